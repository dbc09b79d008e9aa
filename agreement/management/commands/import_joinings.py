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

from agreement import conf, evidence, gate
from agreement.lineage import Dated
from agreement.management import past_instant, refusal, whose_shell
from agreement.models import Acceptance, Act, Agreement, Edition

#: Bad lines that are named; the rest are counted.
NAMED = 20
COLUMNS = ("user", "edition", "at", "language")


@dataclass(frozen=True, slots=True)
class Line:
    """A joining as the file tells it."""

    user: Any
    edition: Dated
    at: datetime
    language: str


class Command(BaseCommand):
    help = (
        "Record joinings from before the site had this app, from a CSV file with the columns user, edition, at,"
        " language. All lines, or none: a line that can't be true is named by its number. Repeating it is harmless."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        user = "user: a username or a key (name:U or key:U says which)"
        parser.add_argument("file", metavar="FILE.csv", help=f"UTF-8; {user}; at: 2026-03-01T09:00Z")
        parser.add_argument("--agreement", metavar="SLUG", help="may be left out while there is one")
        parser.add_argument("--dry-run", action="store_true", help="check every line, record nothing")

    @no_translations
    def handle(self, *, file: str, agreement: str | None, dry_run: bool, **options: Any) -> None:
        timeline = self.timeline(agreement)
        count = 0
        wrong: list[str] = []
        for number, found in self.lines(file, timeline):
            count += 1
            wrong += [f"Line {number}: {found}"] if isinstance(found, str) else []
        if wrong:
            more = [f"And {len(wrong) - NAMED} more."] if len(wrong) > NAMED else []
            raise refusal("\n".join([*wrong[:NAMED], *more]), "\nNothing was recorded: mend the file and repeat.")
        with transaction.atomic(using=(alias := router.db_for_write(Acceptance))):
            made = self.record(file, timeline)
            transaction.set_rollback(dry_run, using=alias)
        known = f" {count - made} were known already, and stay as they are." if made < count else ""
        self.stdout.write(f"{'Would record' if dry_run else 'Recorded'} {made} joinings of {timeline.slug!r}.{known}")

    def record(self, file: str, timeline: gate.Timeline) -> int:
        """Every line, or, in the transaction this runs in, none; how many were not known."""
        made = 0
        editions = Edition.objects.select_related("agreement").in_bulk([one.pk for one in timeline.editions])
        for number, line in self.lines(file, timeline):
            if isinstance(line, str):  # An account was deleted, or the file changed, since it was checked.
                raise refusal(f"Line {number}: {line}", "Nothing was recorded: mend the file and repeat.")
            made += Acceptance.objects.record(
                user=line.user,
                edition=editions[line.edition.pk],
                digest=line.edition.digest,
                language=line.language,
                kind=Acceptance.Kind.IMPORTED,
                at=line.at,
            ).made
        agreement = Agreement.objects.get(pk=timeline.key)
        Act.objects.log(Act.Kind.JOINED, on=agreement, by=whose_shell(), note=Path(file).name)
        return made

    def timeline(self, slug: str | None) -> gate.Timeline:
        known = gate.timelines().agreements
        if slug is None and len(known) == 1:
            return next(iter(known.values()))
        if slug not in known:
            problem = "Which agreement?" if slug is None else f"There is no edition of {slug!r}."
            raise refusal(problem, f"Give --agreement: {', '.join(known) or 'none is published'}.")
        return known[slug]

    def lines(self, file: str, timeline: gate.Timeline) -> Iterator[tuple[int, Line | str]]:
        """Every line of the file after its head by its number: a joining, or why it is none."""
        try:
            with Path(file).open(encoding="utf-8-sig", newline="") as lines:
                reader = csv.DictReader(lines, strict=True)
                if not {"user", "edition", "at"} <= set(reader.fieldnames or ()) <= set(COLUMNS):
                    raise refusal(
                        f"The first line of {file!r} is {','.join(reader.fieldnames or ())!r}.",
                        f"Name the columns: {','.join(COLUMNS)} (the last may be left out).",
                    )
                for row in reader:
                    yield reader.line_num, self.line(row, timeline)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise refusal(f"{file!r} can't be read: {error}.", "Give a CSV file in UTF-8.") from None

    def line(self, row: dict[str | None, Any], timeline: gate.Timeline) -> Line | str:
        if None in row or None in [row[name] for name in ("user", "edition", "at")]:
            return "it has more or fewer cells than the first line."
        edition = next((one for one in timeline.editions if str(one.number) == row["edition"].strip()), None)
        if edition is None:
            return f"{timeline.slug!r} has no edition {row['edition']!r}."
        try:
            at = past_instant(row["at"].strip())
        except CommandError as error:
            return str(error)
        if timeline.in_force(at) != edition:
            return f"edition {edition.number} was not in force at {at.isoformat()}."
        language = (row.get("language") or "").strip()
        if language not in ("", *conf.LANGUAGES):
            return f"{language!r} is no language of the texts."
        users: Any = get_user_model()
        named = row["user"].strip()
        try:
            user = users._default_manager.filter(pk=evidence.key_of(named)).first()
        except ValidationError as error:
            return " ".join(error.messages)
        if user is None:
            return f"There is no user “{named}”."
        left = Acceptance.objects.departure(user_key=user.pk, agreement=timeline.key, at=at)
        if left and not left.may_rejoin:
            return f"{named!r} had left by withdrawal {left.reference}, and was not to join again."
        return Line(user, edition, at, language)
