from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from django.apps import apps
from django.core.exceptions import ObjectDoesNotExist
from django.core.management.base import BaseCommand, no_translations
from django.db import DatabaseError, connections, router, transaction
from django.db.models import Model, QuerySet

from agreement.editions.recognition import readable
from agreement.management import command_error, printable
from agreement.models import Agreement, AuditEntry, Edition, NoticeText, log_verification, verification
from agreement.models.audit import AuditAction
from agreement.seal import inspection, triggers
from agreement.seal import log as tree
from agreement.seal.log import find_checkpoint

#: What is raised when a stored value does not have the type of its column, or a row of another table is missing.
UNREADABLE = (DatabaseError, ObjectDoesNotExist, AttributeError, TypeError, ValueError, OverflowError)
#: So many rows are read at once to find those that can't be read.
CHUNK = 500


class Command(BaseCommand):
    help = (
        "Recompute every digest and the chain, compare the records with each other, and check that the database still"
        " protects them. The exit code is 1 if there is a fault."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--checkpoint",
            type=Path,
            action="append",
            default=[],
            metavar="FILE",
            help=(
                "a checkpoint that left the site earlier, for example from a letter or a PDF: the log must continue it"
            ),
        )

    @no_translations
    def handle(self, *, checkpoint: list[Path], **options: object) -> None:
        alias = router.db_for_read(Edition)
        connection = connections[alias]
        faults = 0
        notes = [_read_checkpoint(path) for path in checkpoint]
        for sentence in _faults(alias, notes, self.stdout.write):
            faults += 1
            self.stderr.write(sentence)
        if connection.vendor not in triggers.VENDORS:
            self.stdout.write(
                f"There are no triggers on {connection.vendor}: the seal consists of Python code and the chain only."
            )
        elif triggers.removable(connection, apps.get_model):
            self.stdout.write(
                "The current database role could remove the triggers. A role that does not own the tables can't."
            )
        editions = self._log(faults)
        if faults:
            raise command_error(
                f"{faults} faults in {editions} editions.",
                "Compare with a backup and with the digests in notices. `migrate --skip-checks` installs the triggers.",
            )
        self.stdout.write(f"{editions} editions verified: every digest and the chain are correct.")

    def _log(self, faults: int) -> int:
        """Record the verification as an audit entry, so that ``agreement_status`` can report it, and return the number
        of published editions. ``faults`` is the number of faults that were found. Nothing is recorded if there is no
        published edition. If the database refuses the entry, for example because its role may only read, a sentence is
        printed instead. If the table of editions can't be read, that sentence is printed too, nothing is recorded, and
        the result is 0.
        """
        kind = AuditAction.FAULTY if faults else AuditAction.VERIFIED
        try:
            with transaction.atomic(using=router.db_for_write(AuditEntry)):
                editions = Edition.objects.published()
                # A column that can't be read must not prevent the entry.
                named = editions.select_related("agreement").only("number", "agreement__slug")
                if latest := named.order_by("-pk").first():
                    AuditEntry.objects.log(kind, on=latest, note=f"{faults}" if faults else "")
                return editions.count()
        except DatabaseError:
            self.stdout.write("The verification was not recorded in the audit log: this database role may only read.")
        try:
            with transaction.atomic(using=router.db_for_read(Edition)):
                return Edition.objects.published().count()
        except DatabaseError:  # There is no such table.
            return 0


def _read_checkpoint(path: Path) -> str:
    """The checkpoint in this file: a text, or a letter as a mail program stores it. What is before its first line, for
    example the words of a letter, is ignored. Raises ``CommandError`` if there is none.
    """
    try:
        return find_checkpoint(readable(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise command_error(
            f"{printable(str(path))}: {error}",
            "Give a letter (.eml), or a file with the lines of a checkpoint, as a letter or a PDF states them.",
        ) from None


def _log_faults(alias: str, notes: Sequence[str], remark: Callable[[str], object]) -> Iterator[str]:
    """Yield each fault of the logs, and of these checkpoints, as a sentence. ``remark`` is called with each sentence
    about what is no fault.
    """
    origins = {tree.Checkpoint.parse(note).origin: note for note in notes}
    known = set()
    for agreement in Agreement.objects.using(alias).select_related("log").order_by("pk"):
        name = agreement.log.origin if hasattr(agreement, "log") else ""
        known.add(name)
        given = [note for note in notes if name and tree.Checkpoint.parse(note).origin == name]
        check, name = log_verification.LogCheck(agreement, alias, notes=given), name or agreement.slug
        yield from (f"Log {name}: {sentence}" for sentence in check.faults())
        for sentence in check.remarks():
            remark(f"Log {name}: {sentence}")
    for origin in origins.keys() - known:
        yield f"There is no log {origin!r}, of which a checkpoint was given."


def _faults(
    alias: str, notes: Sequence[str] = (), remark: Callable[[str], object] = lambda sentence: None
) -> Iterator[str]:
    """Yield each fault as a sentence. The tables and triggers of the database are inspected first. If something can't
    be read, this is a fault too. Then each row of a sealed table that can't be read is named at the end. ``notes`` are
    checkpoints that left the site, and ``remark`` is called with each sentence about what is no fault.
    """
    connection = connections[alias]
    parts: list[Callable[[], Iterator[str]]] = [
        lambda: iter(inspection.differences(connection, apps.get_model)),
        _edition_faults,
        lambda: (f"{_name(row)} (id {row.pk}): {sentence}" for row, sentence in verification.log_faults(alias)),
        lambda: (
            f"{_name(row)} ({row._meta.verbose_name}, id {row.pk}): {sentence}"
            for row, sentence in verification.row_faults(alias)
        ),
        _text_faults,
        lambda: _log_faults(alias, notes, remark),
    ]
    readable = True
    for part in parts:
        sentences: list[str] = []
        try:
            with transaction.atomic(using=alias):
                sentences.extend(part())  # What was found before an error is in the list.
        except UNREADABLE as error:
            readable = False
            sentences.append(f"The records can't be read: {' '.join(str(error).split())}.")
        yield from sentences
    if not readable:
        for model in (apps.get_model("agreement", seal.model) for seal in triggers.SEALS):
            yield from _unreadable(model._base_manager.using(alias).order_by("pk"))


def _name(row: Model) -> str:
    try:
        return str(row)
    except ObjectDoesNotExist:  # A row that it names is missing.
        return f"{row._meta.verbose_name} {row.pk}"


def _unreadable(rows: QuerySet[Model]) -> Iterator[str]:
    """Yield a sentence for each of these rows that can't be read, for example because a text that is no date is stored
    in the column of a date. Yield nothing if there is no such table.
    """
    try:
        with transaction.atomic(using=rows.db):
            keys = list(rows.values_list("pk", flat=True))
    except DatabaseError:  # There is no such table. The inspection has named it.
        return
    for start in range(0, len(keys), CHUNK):
        chunk = keys[start : start + CHUNK]
        try:
            _read(rows.filter(pk__in=chunk))
        except UNREADABLE:
            for key in chunk:
                try:
                    _read(rows.filter(pk=key))
                except UNREADABLE:
                    yield f"The row can't be read: {rows.model._meta.verbose_name}, id {key}."


def _read(rows: QuerySet[Model]) -> None:
    """Read the rows. Raises one of ``UNREADABLE`` if a value can't be read, or if a column that must have a value has
    none.
    """
    required = [field.attname for field in rows.model._meta.concrete_fields if not field.null]
    with transaction.atomic(using=rows.db):
        if any(getattr(row, name) is None for row in rows for name in required):
            raise ValueError("A value is missing, or it does not have the type of its column.")


def _edition_faults() -> Iterator[str]:
    for row, sentence in verification.faults(Edition.objects.published()):
        yield f"{row} (id {row.pk}): {sentence}"


def _text_faults() -> Iterator[str]:
    for text in NoticeText.objects.select_related("notice__edition__agreement").iterator(chunk_size=50):
        if not text.intact:
            yield f"{text.notice} ({text.channel}, {text.language}): this is not the text that was sent."
