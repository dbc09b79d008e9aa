from __future__ import annotations

from collections.abc import Callable, Iterator

from django.apps import apps
from django.core.management.base import BaseCommand, no_translations
from django.db import DatabaseError, connections, router, transaction

from agreement.management import command_error
from agreement.models import AuditEntry, Edition, NoticeText, verification
from agreement.models.audit import AuditAction
from agreement.seal import inspection, triggers


class Command(BaseCommand):
    help = (
        "Recompute every digest and the chain, compare the records with each other, and check that the database still"
        " protects them. The exit code is 1 if there is a fault."
    )

    @no_translations
    def handle(self, **options: object) -> None:
        alias = router.db_for_read(Edition)
        connection = connections[alias]
        faults = 0
        for sentence in _faults(alias):
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
        printed and no exception is raised.
        """
        kind = AuditAction.FAULTY if faults else AuditAction.VERIFIED
        try:
            with transaction.atomic(using=router.db_for_write(AuditEntry)):
                editions = Edition.objects.published()
                if latest := editions.order_by("-pk").first():
                    AuditEntry.objects.log(kind, on=latest, note=f"{faults}" if faults else "")
                return editions.count()
        except DatabaseError:
            self.stdout.write("The verification was not recorded in the audit log: this database role may only read.")
        try:
            with transaction.atomic(using=router.db_for_read(Edition)):
                return Edition.objects.published().count()
        except DatabaseError:  # There is no such table.
            return 0


def _faults(alias: str) -> Iterator[str]:
    """Yield each fault as a sentence. The database is inspected first. If a table can't be read after that, this is a
    fault too.
    """
    yield from inspection.differences(connections[alias], apps.get_model)
    parts: list[Callable[[], Iterator[str]]] = [
        _edition_faults,
        lambda: (f"{row} (id {row.pk}): {sentence}" for row, sentence in verification.log_faults(alias)),
        lambda: (
            f"{row} ({row._meta.verbose_name}, id {row.pk}): {sentence}"
            for row, sentence in verification.row_faults(alias)
        ),
        _text_faults,
    ]
    for part in parts:
        try:
            with transaction.atomic(using=alias):
                sentences = list(part())
        except DatabaseError as error:
            sentences = [f"The records can't be read: {' '.join(str(error).split())}."]
        yield from sentences


def _edition_faults() -> Iterator[str]:
    for row, sentence in verification.faults(Edition.objects.published()):
        yield f"{row} (id {row.pk}): {sentence}"


def _text_faults() -> Iterator[str]:
    for text in NoticeText.objects.select_related("notice__edition__agreement").iterator(chunk_size=50):
        if not text.intact:
            yield f"{text.notice} ({text.channel}, {text.language}): this is not the text that was sent."
