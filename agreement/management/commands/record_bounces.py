from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import BaseCommand, no_translations

from agreement.management import command_error, printable, quote, unreadable
from agreement.notices.bounces import MailOutcome, record_mail, unmatched
from agreement.notices.delivery_status import MAX_BYTES

#: The flags in the name of a file of a Maildir: the mail was processed by this command (the flag "passed"), and no
#: person needs to read it ("seen").
PROCESSED, SEEN = "P", "S"
#: The outcomes after which a mail of a Maildir is marked as processed. Other mails belong to the owner of the mailbox.
MARKED = frozenset(MailOutcome) - {MailOutcome.OTHER_MAIL}


class Command(BaseCommand):
    help = (
        "Record the returned letters that mail servers report by mail. The source is a Maildir, an mbox, a file with"
        " one mail, or - for standard input. The exit code is 1 if a returned letter is not matched."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "source", help="a folder in the Maildir format, an mbox or a message, or - for standard input"
        )
        parser.add_argument("--dry-run", action="store_true", help="print the counts, and record and mark nothing")

    @no_translations
    def handle(self, *, source: str, dry_run: bool, **options: Any) -> None:
        try:
            counts = Counter(_process(source, set() if dry_run else None))
        except (OSError, ValueError) as error:
            raise unreadable(source, error) from None
        self.stdout.write(f"{'Would process' if dry_run else 'Processed'} {counts.total()} mails.")
        for outcome in MailOutcome:
            if counts[outcome]:
                self.stdout.write(f"  {outcome.value:<21} {counts[outcome]:>6}")
        if unmatched := counts[MailOutcome.UNMATCHED]:
            raise command_error(
                f"{unmatched} returned letters could not be matched with a notice.",
                "The log names each with its cause (N115). They stay unread in a Maildir.",
            )


def _process(source: str, rehearsed: set[int] | None) -> Iterator[MailOutcome]:
    """Process the mails of the source, and yield the outcome of each. ``source`` is the path of a Maildir, of an mbox
    or of a file with one mail, or ``-`` for standard input. ``rehearsed`` is ``None`` or, in a dry run, the set in
    which :func:`record_mail` collects the primary keys of the deliveries whose return would be recorded. Raises
    ``CommandError`` if ``source`` is a folder that is not a Maildir, and ``OSError`` or ``ValueError`` if it can't be
    read.
    """
    if source == "-":
        yield from _process_stream(sys.stdin.buffer, "standard input", rehearsed)
    elif (folder := Path(source)).is_dir():
        if not (folder / "new").is_dir() or not (folder / "cur").is_dir():
            raise command_error(f"{quote(source)} is not a Maildir.", "It has no folders 'new' and 'cur'.")
        yield from _process_maildir(folder, rehearsed)
    else:
        with folder.open("rb") as stream:
            yield from _process_stream(stream, printable(folder.name), rehearsed)


def _process_maildir(folder: Path, rehearsed: set[int] | None) -> Iterator[MailOutcome]:
    """Process the mails of this Maildir that are not marked as processed, and yield the outcome of each. Then, except
    in a dry run, a mail whose outcome is in ``MARKED`` (any but ``OTHER_MAIL``) is moved to ``cur``, and its file name
    gets the flag ``PROCESSED`` and, unless the outcome is ``UNMATCHED``, the flag ``SEEN``. No mail is deleted.

    A mail that another program moves before it is read is left for the next run. A file that can't be read is
    ``UNMATCHED`` and gets no flag. ``rehearsed`` is that of :func:`_process`.
    """
    dry_run = rehearsed is not None
    files = [file for name in ("new", "cur") for file in sorted((folder / name).iterdir())]
    for file in files:
        unique, _colon, flags = file.name.partition(":2,")
        if PROCESSED in flags or file.name.startswith(".") or not file.is_file():
            continue
        name = printable(unique)
        try:
            with file.open("rb") as stream:
                mail = stream.read(MAX_BYTES)
        except FileNotFoundError:
            continue
        except OSError as error:  # The other mails are processed nevertheless.
            yield unmatched(name, f"the file can't be read ({type(error).__name__})", dry_run=dry_run)
            continue
        outcome = record_mail(mail, source=name, rehearsed=rehearsed)
        if outcome in MARKED and not dry_run:
            marks = {PROCESSED} if outcome == MailOutcome.UNMATCHED else {PROCESSED, SEEN}
            with suppress(FileNotFoundError):  # The outcome is recorded. The next run finds it recorded before.
                file.rename(folder / "cur" / f"{unique}:2,{''.join(sorted({*flags, *marks}))}")
        yield outcome


def _process_stream(stream: BinaryIO, source: str, rehearsed: set[int] | None) -> Iterator[MailOutcome]:
    for number, mail in enumerate(_split(stream), 1):
        yield record_mail(mail, source=f"{source}, mail {number}", rehearsed=rehearsed)


def _split(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the mails of an mbox, or the one mail of a file that is not an mbox, each cut after ``MAX_BYTES``. In an
    mbox each mail begins with a line ``From …`` (RFC 4155), which is the first line of the file or follows an empty
    line.
    """
    mail, is_mbox, is_after_empty_line = bytearray(), None, True
    while line := stream.readline(MAX_BYTES):
        is_start = is_after_empty_line and line.startswith(b"From ")
        is_mbox = is_start if is_mbox is None else is_mbox
        if is_mbox and is_start and mail:
            yield bytes(mail)
            mail.clear()
        mail += line[: MAX_BYTES - len(mail)]
        is_after_empty_line = line in {b"\n", b"\r\n"}
    if mail.strip():
        yield bytes(mail)
