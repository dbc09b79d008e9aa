from __future__ import annotations

import csv
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, no_translations
from django.db import router, transaction

from agreement.editions.timeline import Timeline, current_timelines
from agreement.evidence import find_user_key
from agreement.management import command_error, parse_past_instant, shell_user
from agreement.models import Acceptance, AcceptanceKind, Agreement, AuditEntry, Edition
from agreement.models.audit import AuditAction
from agreement.models.fields import SiteUser
from agreement.models.succession import EditionDates
from agreement.text import languages

#: The error lists this many bad lines, and counts the others.
MAX_NAMED = 20
COLUMNS = ("user", "edition", "at", "language")


@dataclass(frozen=True, slots=True)
class ImportedAcceptance:
    """A valid acceptance from one row of the file, which is not recorded yet. ``language`` is ``kk``, ``ru``, or ``""``
    if the file does not state it.
    """

    user: SiteUser
    edition: EditionDates
    at: datetime
    language: str


class Command(BaseCommand):
    help = (
        "Record acceptances from before the site had this app, from a CSV file with the columns user, edition, at,"
        " language. Either all lines are recorded, or none. Each wrong line is reported by its number. The"
        " command can be repeated."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        user = "user: a username or a key (name:U or key:U says which)"
        parser.add_argument("file", metavar="FILE.csv", help=f"UTF-8; {user}; at: 2026-03-01T09:00Z")
        parser.add_argument("--agreement", metavar="SLUG", help="the agreement; may be left out if there is only one")
        parser.add_argument("--dry-run", action="store_true", help="check every line, and record nothing")

    @no_translations
    def handle(self, *, file: str, agreement: str | None, dry_run: bool, **options: Any) -> None:
        timeline = self.timeline(agreement)
        count = 0
        errors: list[str] = []
        for number, line in self.lines(file, timeline):
            count += 1
            errors += [f"Line {number}: {line}"] if isinstance(line, str) else []
        if errors:
            more = [f"And {len(errors) - MAX_NAMED} more."] if len(errors) > MAX_NAMED else []
            named = "\n".join([*errors[:MAX_NAMED], *more])
            raise command_error(named, "\nNothing was recorded. Correct the file and run the command again.")
        with transaction.atomic(using=(alias := router.db_for_write(Acceptance))):
            created = self.record(file, timeline)
            transaction.set_rollback(dry_run, using=alias)
        rest = f" {count - created} were recorded already and stay unchanged." if created < count else ""
        self.stdout.write(
            f"{'Would record' if dry_run else 'Recorded'} {created} acceptances of {timeline.slug!r}.{rest}"
        )

    def record(self, file: str, timeline: Timeline) -> int:
        """Record every acceptance of the file, and one audit entry for all of them, in the transaction of the caller.
        Return how many acceptances were not recorded before. Those that were recorded before are not changed. The file
        is read and checked again; raises ``CommandError`` if a row is no longer valid.
        """
        created = 0
        editions = Edition.objects.select_related("agreement").in_bulk([one.pk for one in timeline.editions])
        for number, line in self.lines(file, timeline):
            if isinstance(line, str):  # After the check, an account was deleted or the file changed.
                raise command_error(
                    f"Line {number}: {line}", "Nothing was recorded. Correct the file and run the command again."
                )
            created += Acceptance.objects.record(
                user=line.user,
                edition=editions[line.edition.pk],
                digest=line.edition.digest,
                language=line.language,
                kind=AcceptanceKind.IMPORTED,
                at=line.at,
            ).created
        agreement = Agreement.objects.get(pk=timeline.key)
        AuditEntry.objects.log(AuditAction.ACCEPTED, on=agreement, by=shell_user(), note=Path(file).name)
        return created

    def timeline(self, slug: str | None) -> Timeline:
        """Return the timeline of the agreement with that slug; without a slug, that of the only agreement. Agreements
        without a published edition are ignored. Raises ``CommandError`` if there is no agreement with that slug, or if
        no slug is given and there is not exactly one agreement.
        """
        timelines = current_timelines().agreements
        if slug is None and len(timelines) == 1:
            return next(iter(timelines.values()))
        if slug not in timelines:
            problem = "The option --agreement is missing." if slug is None else f"There is no edition of {slug!r}."
            raise command_error(problem, f"Agreements with published editions: {', '.join(timelines) or 'none'}.")
        return timelines[slug]

    def lines(self, file: str, timeline: Timeline) -> Iterator[tuple[int, ImportedAcceptance | str]]:
        """Yield a pair for each row after the first line: its line number, and its acceptance or a sentence that states
        why the row is invalid. Empty lines are left out. The number of a row of several lines is that of its last line.
        Raises ``CommandError`` if the file can't be read, is not UTF-8 or CSV, or if its first line does not name the
        columns. This may happen after some rows.
        """
        try:
            with Path(file).open(encoding="utf-8-sig", newline="") as lines:
                reader = csv.DictReader(lines, strict=True)
                if not {"user", "edition", "at"} <= set(reader.fieldnames or ()) <= set(COLUMNS):
                    raise command_error(
                        f"The first line of {file!r} is {','.join(reader.fieldnames or ())!r}.",
                        f"It must name the columns: {','.join(COLUMNS)} (the last may be left out).",
                    )
                for row in reader:
                    yield reader.line_num, self.line(row, timeline)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise command_error(f"{file!r} can't be read: {error}.", "Give a CSV file in UTF-8.") from None

    def line(self, row: dict[str | None, Any], timeline: Timeline) -> ImportedAcceptance | str:
        """Return the acceptance in a row of the file, or a sentence that states why the row is invalid.

        A row is valid if all of these are true. It has as many cells as the first line; the language may be missing.
        Its instant is past and has an offset, and the edition, which is given by its number, was in force then. The
        language is ``kk``, ``ru`` or empty. The name or key is that of one user whose account exists. No withdrawal in
        effect at that instant forbids the user to accept again. Nothing is recorded here.
        """
        if None in row or None in [row[name] for name in ("user", "edition", "at")]:
            return "it has more or fewer cells than the first line."
        edition = next((one for one in timeline.editions if str(one.number) == row["edition"].strip()), None)
        if edition is None:
            return f"{timeline.slug!r} has no edition {row['edition']!r}."
        try:
            at = parse_past_instant(row["at"].strip())
        except CommandError as error:
            return str(error)
        if timeline.in_force(at) != edition:
            return f"edition {edition.number} was not in force at {at.isoformat()}."
        language = (row.get("language") or "").strip()
        if language not in ("", *languages.LANGUAGES):
            return f"{language!r} is not a language of the texts."
        users: Any = get_user_model()  # Any: the type checker does not know the fields of the site's user model.
        name = row["user"].strip()
        try:
            user = users._default_manager.filter(pk=find_user_key(name)).first()
        except ValidationError as error:
            return " ".join(error.messages)
        if user is None:
            return f"There is no user “{name}”."
        withdrawal = Acceptance.objects.withdrawal_in_effect(user_key=user.pk, agreement=timeline.key, at=at)
        if withdrawal and not withdrawal.may_accept_again:
            return f"{name!r} had withdrawn their consent ({withdrawal.reference}) and was not allowed to accept again."
        return ImportedAcceptance(user, edition, at, language)
