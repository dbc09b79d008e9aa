"""Imports what another package for terms of service has stored: its texts become editions of history, and the
acceptances of its users become imported acceptances.
"""

from __future__ import annotations

import time
from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import reversion
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.db import DEFAULT_DB_ALIAS, connections, router, transaction
from django.utils import timezone

from agreement.management import command_error, printable, quote, read_texts, shell_user, unreadable
from agreement.management.acceptance_file import BATCH, SQLITE_PAUSE_SECONDS, Staging
from agreement.management.agreements import choose_agreement
from agreement.management.peer_tables import PeerHistory, PeerText
from agreement.models import (
    Acceptance,
    Agreement,
    AuditEntry,
    ContradictionError,
    Edition,
    HistoricAcceptance,
    StaleEditionError,
)
from agreement.models.audit import AuditAction
from agreement.text import clauses, hypertext, source
from agreement.text.front_matter import front_matter
from agreement.text.languages import LANGUAGES

#: So many acceptances that can't be imported are named, and the others are counted.
MAX_NAMED = 20
#: What the text of an edition says below its title in a language in which it never existed.
NO_TEXT = {
    "kk": "Бұл редакция тек орыс тілінде болған. Төменде сол тілдегі мәтін түпнұсқа күйінде берілген.",
    "ru": "Эта редакция существовала только на казахском языке. Ниже приведён подлинный текст на этом языке.",
}


@dataclass(slots=True)
class PeerImport:
    """What was imported, in numbers, and further lines to print, in their order. In a dry run, what would be.

    ``known_editions`` and ``known_acceptances`` were there already, and ``refused`` is the number of acceptances that
    can't be imported.
    """

    editions: int = 0
    known_editions: int = 0
    acceptances: int = 0
    known_acceptances: int = 0
    refused: int = 0
    lines: list[str] = field(default_factory=list)


def add_peer_options(parser: ArgumentParser) -> None:
    """Add the options that the commands for all packages have."""
    parser.add_argument(
        "--language",
        choices=LANGUAGES,
        help="the language of the texts; may be left out if the tables have columns for both languages",
    )
    parser.add_argument(
        "--texts",
        metavar="FOLDER",
        help="a folder with files, such as 2.00.kk.md, that take the place of texts: Word, Markdown or text",
    )
    parser.add_argument("--create", action="store_true", help="create the agreement if there is none with its slug")
    parser.add_argument(
        "--database", default=DEFAULT_DB_ALIAS, metavar="ALIAS", help="the database with the tables of the package"
    )
    parser.add_argument("--dry-run", action="store_true", help="read and check everything, and write nothing")


def import_peer(
    history: PeerHistory, *, agreement: str | None, create: bool, texts: str | None, dry_run: bool
) -> tuple[Agreement, PeerImport]:
    """Import the texts and the acceptances of this history into the agreement with the slug ``agreement``, and return
    the agreement and what was imported. :func:`choose_agreement` finds the agreement; with ``create`` it creates one
    that does not exist. ``texts`` is the folder of the option, or ``None``.

    All editions are recorded in one transaction. The acceptances follow in transactions of about ``BATCH`` each. Those
    that can't be recorded are left out; the first ``MAX_NAMED`` of them are named. A text whose moment is that of an
    edition that was not cancelled, and an acceptance that is recorded, are not imported again, so that the call can be
    repeated. With ``dry_run`` nothing stays: the agreement and the editions are rolled back, and the acceptances are
    only checked.

    Raises ``CommandError`` if the agreement is not found, if a file or a text can't be read, or if an edition can't be
    recorded; nothing is imported then. Raises it also if, in the meantime, an edition or a withdrawal made one of the
    acceptances impossible; the editions and the batches before it stay.
    """
    result = PeerImport(lines=list(history.notes))
    try:
        with transaction.atomic(using=router.db_for_write(Edition)):
            row = choose_agreement(agreement, create=create)
            editions = _import_texts(history, row, texts, result)
            if dry_run:
                _import_acceptances(history, row, editions, result, dry_run=True)
            transaction.set_rollback(dry_run, using=router.db_for_write(Edition))
    except ValidationError as error:
        raise command_error(error) from None
    if not dry_run:
        _import_acceptances(history, row, editions, result, dry_run=False)
    return row, result


def write_result(
    write: Callable[[str], object], history: PeerHistory, agreement: str, result: PeerImport, *, dry_run: bool
) -> None:
    """Print what was imported, a line for each fact, by calling ``write`` with each line. With ``dry_run`` the lines
    say what would be imported. ``agreement`` is its slug.
    """
    for line in result.lines:
        write(printable(line))
    there = f" {result.known_editions} were there already." if result.known_editions else ""
    verb = "Would import" if dry_run else "Imported"
    write(f"{verb} {result.editions} editions of {agreement!r} from {history.package}.{there}")
    there = f" {result.known_acceptances} were recorded already." if result.known_acceptances else ""
    refused = f" {result.refused} can't be imported and stay in their table." if result.refused else ""
    write(f"{verb} {result.acceptances} acceptances of {agreement!r}.{there}{refused}")


def _import_texts(
    history: PeerHistory, agreement: Agreement, folder: str | None, result: PeerImport
) -> dict[int, tuple[int, str]]:
    """Record an edition for each text, unless the agreement has one with its moment that was not cancelled. Count the
    editions in ``result``, and add lines about the texts. Return, for each text by its key, the primary key of the
    edition and the language of its acceptances: that of the text if it is stored in one language only, otherwise ``""``
    (not known). Raises ``CommandError`` if a file or a text can't be read, or if an edition can't be recorded.
    """
    published = Edition.objects.published().binding().filter(agreement=agreement).with_real_columns()
    known = {edition.effective_from: edition for edition in published}
    files = _files(history.texts, folder)
    editions = {}
    for text in history.texts:
        bodies, lines = _bodies(text, files[text.label])
        edition = known.get(text.effective_from)
        if edition is None:
            edition = _record(history, text, agreement, bodies)
            result.editions += 1
            what = "imported history"
        else:
            result.known_editions += 1
            same = all(getattr(edition, f"body_{code}") == source.normalise(body) for code, body in bodies.items())
            what = "there already" if same else "there already, with other words than the text has now"
        result.lines += [f"Text {text.label}: {line}" for line in lines]
        result.lines.append(
            f"Text {text.label} is edition {edition.number}, {what}: effective from {text.effective_from.isoformat()}"
        )
        (language,) = text.bodies if len(text.bodies) == 1 else ("",)
        editions[text.key] = (edition.pk, language)
    return editions


def _record(history: PeerHistory, text: PeerText, agreement: Agreement, bodies: dict[str, str]) -> Edition:
    summaries = {f"summary_{code}": _markdown(summary)[0] for code, summary in text.summaries.items() if summary}
    # A text in one language states nothing about a language that prevails.
    stated: dict[str, Any] = {} if len(text.bodies) > 1 else {"prevailing_language": ""}
    try:
        with reversion.create_revision():
            reversion.set_comment(f"imported from {history.package}")
            edition = Edition.objects.create_draft(agreement=agreement, bodies=bodies, **summaries, **stated)
        edition.record(effective_from=text.effective_from)
    except ValidationError as error:
        hint = f"Give a corrected text: --texts FOLDER, with the files {text.label}.kk.md and {text.label}.ru.md."
        raise command_error(f"Text {text.label} can't be imported: {command_error(error)}", hint) from None
    return edition


def _bodies(text: PeerText, files: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The text of the edition in each language, and lines about what the reading left out.

    ``files`` contains, by language, the names of the files that take the place of stored texts. If a language has no
    file and is not one of those in which the package stores the text, it gets a copy of the other text, in which
    ``NO_TEXT`` stands below the title. Raises ``CommandError`` if a file can't be read, or if the stored text of a
    language without a file is empty.
    """
    bodies, lines = read_texts(files)
    for code, stored in text.bodies.items():
        if code in bodies:
            continue
        if not stored.strip():
            raise command_error(
                f"Text {text.label} is empty in the language {code!r}.",
                f"Add --texts FOLDER with the file {text.label}.{code}.md, or --language with the other language.",
            )
        bodies[code], left_out = _titled(stored, text.titles.get(code, ""))
        lines += left_out
    for code in LANGUAGES:
        if code not in bodies:
            (original,) = bodies.values()
            bodies[code] = _stand_in(original, code)
    return bodies, lines


def _files(texts: list[PeerText], folder: str | None) -> dict[str, dict[str, str]]:
    """Return label of a text → language → path of the file in the folder that takes the place of the text in that
    language. Without a folder there are no files. Raises ``CommandError`` if the folder can't be read, has two files
    for one text in one language, or a file for none; hidden files are ignored.
    """
    files: dict[str, dict[str, str]] = {text.label: {} for text in texts}
    try:
        names = sorted(path.name for path in Path(folder).iterdir() if not path.name.startswith(".")) if folder else []
    except (OSError, ValueError) as error:
        raise unreadable(str(folder), error) from None
    for name in names:
        label, code, _type = [*name.rsplit(".", 2), "", ""][:3]
        if label not in files or code not in LANGUAGES or code in files[label]:
            raise command_error(
                f"The file {quote(name)} belongs to no text, or another file belongs to the same text.",
                f"A name is made of the text, the language and the type, such as 1.kk.md. Texts: {', '.join(files)}.",
            )
        files[label][code] = str(Path(folder or "", name))
    return files


def _titled(stored: str, title: str) -> tuple[str, list[str]]:
    """Return the stored text as Markdown, and the lines of :func:`_markdown` about it. The title is put above the text,
    if there is one and the text does not begin with it.
    """
    body, lines = _markdown(stored)
    title = hypertext.plain(title)
    if title and clauses.title_line(body) != title:
        body = f"{clauses.replace_title('', title)}{body}"
    return body, lines


def _markdown(stored: str) -> tuple[str, list[str]]:
    """Return the stored words as Markdown, and lines about what was left out and about marks of Django's templates
    (``{%`` or ``{{``), which stay as words. A text without a tag or a comment of HTML is not converted; only its line
    ends become LF.
    """
    lines = []
    if "{%" in stored or "{{" in stored:
        lines.append("marks of Django's templates are imported as words")
    if not hypertext.is_html(stored):
        return source.normalise(stored), lines
    reading = hypertext.to_markdown(stored)
    return reading.text, lines + [
        f"{count} {kind} are not imported" for kind, count in reading.left_out.items() if count
    ]


def _stand_in(original: str, language: str) -> str:
    """The text for the language ``language``, in which there was none: the original text, which is in the other
    language, with the sentence of ``NO_TEXT`` about that below its title.
    """
    body = clauses.replace_title(original, clauses.title_line(original))
    lines = body.split("\n")
    below = front_matter(body).line + 1
    return "\n".join([*lines[:below], "", NO_TEXT[language], "", "\n".join(lines[below:]).lstrip("\n")])


def _import_acceptances(
    history: PeerHistory,
    agreement: Agreement,
    editions: Mapping[int, tuple[int, str]],
    result: PeerImport,
    *,
    dry_run: bool,
) -> None:
    """Record the acceptances, each with its moment; with ``dry_run`` only check them. Add to ``result`` the numbers of
    the new, the known and the refused ones, and lines that name the first ``MAX_NAMED`` of the refused ones. Before the
    first acceptance is recorded, an audit entry with the number and the digest of the rows is added.

    ``editions`` is what :func:`_import_texts` returned. The rows of the package are read once. Memory does not grow
    with their number.
    """
    with Staging("Acceptance") as staging:
        digest = sha256()
        _stage(history, editions, staging, digest)
        if not dry_run and staging.count():
            note = f"{staging.count()} rows of {history.acceptances.model._meta.db_table}"
            log = AuditEntry.objects.log
            log(AuditAction.ACCEPTED, on=agreement, by=shell_user(), note=note, digest=digest.hexdigest())
        pause = not dry_run and connections[router.db_for_write(Acceptance)].vendor == "sqlite"
        for numbers, rows in staging.batches():
            valid, errors = _record_batch(numbers, rows, agreement, dry_run=dry_run)
            result.acceptances += valid.count(True)
            result.known_acceptances += valid.count(False)
            staging.add_errors(errors)
            if pause:
                time.sleep(SQLITE_PAUSE_SECONDS)
        result.refused, sentences = staging.errors(MAX_NAMED)
        result.lines += sentences
        if result.refused > MAX_NAMED:
            result.lines.append(f"And {result.refused - MAX_NAMED} more.")


def _stage(history: PeerHistory, editions: Mapping[int, tuple[int, str]], staging: Staging, digest: Any) -> None:
    """Add each row of the package to ``staging``: as an acceptance or, if the user has no account or the moment is in
    the future, as a sentence that says so. ``digest`` is updated with the content of every row.
    """
    now, users = timezone.now(), get_user_model()
    to_key = users._meta.pk.to_python
    batch: list[tuple[int, HistoricAcceptance]] = []

    def end_batch() -> None:
        accounts = users._default_manager.filter(pk__in={row.user for _number, row in batch})
        keys = set(accounts.order_by().values_list("pk", flat=True))
        staging.add((number, row) for number, row in batch if row.user in keys)
        staging.add_errors(
            (number, f"there is no user with the key {row.user}.") for number, row in batch if row.user not in keys
        )
        batch.clear()

    for number, user, text, at in history.rows():
        digest.update(f"{number} {user} {text} {at.isoformat()}\n".encode())
        if at > now:
            staging.add_errors([(number, f"its moment, {at.isoformat()}, is in the future.")])
            continue
        edition, language = editions[text]
        batch.append((number, HistoricAcceptance(user=to_key(user), edition=edition, language=language, at=at)))
        if len(batch) == BATCH:
            end_batch()
    end_batch()


def _record_batch(
    numbers: list[int], rows: list[HistoricAcceptance], agreement: Agreement, *, dry_run: bool
) -> tuple[list[bool], list[tuple[int, str]]]:
    """Record those of the rows that can be recorded; with ``dry_run`` only check them. ``numbers`` are the numbers of
    the rows, in the same order.

    Returns two lists. The first says of each row that can be recorded whether it is new (``False``: it was recorded
    before). The second has the number of each other row, and a sentence that states why it can't be recorded. Raises
    ``CommandError`` if a row was found right and could then not be recorded; nothing of the batch is recorded then.
    """
    outcomes = Acceptance.objects.import_history(rows, agreement=agreement.pk, dry_run=dry_run)
    errors = [
        (number, _sentence(row, outcome, numbers))
        for number, row, outcome in zip(numbers, rows, outcomes, strict=True)
        if isinstance(outcome, ValidationError)
    ]
    if errors and not dry_run:
        valid = [row for row, one in zip(rows, outcomes, strict=True) if not isinstance(one, ValidationError)]
        outcomes = Acceptance.objects.import_history(valid, agreement=agreement.pk)
        if any(isinstance(one, ValidationError) for one in outcomes):
            raise CommandError("An edition or a withdrawal was recorded in the meantime. Run the command again.")
    return [one for one in outcomes if isinstance(one, bool)], errors


def _sentence(row: HistoricAcceptance, error: ValidationError, numbers: list[int]) -> str:
    if isinstance(error, ContradictionError):
        return f"acceptance {numbers[error.earlier]} is of the same text by the same user, at another moment."
    if isinstance(error, StaleEditionError):
        number = (error.params or {})["edition"]
        return f"its moment, {row.at.isoformat()}, is not in the time in which edition {number} was in force."
    return " ".join(error.messages)
