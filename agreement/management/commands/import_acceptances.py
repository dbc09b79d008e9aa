from __future__ import annotations

import time
from argparse import ArgumentParser
from collections.abc import Iterator
from hashlib import sha256
from itertools import islice
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, no_translations
from django.db import IntegrityError, connections, router

from agreement.editions.timeline import Timeline, current_timelines
from agreement.evidence import find_user_keys
from agreement.management import command_error, parse_past_instant, printable, quote, shell_user
from agreement.management.acceptance_file import BATCH, SQLITE_PAUSE_SECONDS, Digest, Staging, read_rows
from agreement.models import (
    Acceptance,
    Agreement,
    AuditEntry,
    ContradictionError,
    HistoricAcceptance,
    WithdrawnError,
)
from agreement.models.audit import AuditAction
from agreement.models.fields import UserKey
from agreement.text import languages

#: The error lists this many bad lines, and counts the others.
MAX_NAMED = 20


class Command(BaseCommand):
    help = (
        "Record acceptances from before the site had this app, from a CSV file with the columns user, edition, at,"
        " language. All lines are checked first. If one is wrong, none is recorded, and each wrong line is reported by"
        " its number. The command can be repeated, also after it was killed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        user = "user: a username or a key (name:U or key:U states which one it is)"
        parser.add_argument("file", metavar="FILE.csv", help=f"UTF-8; {user}; at: 2026-03-01T09:00Z")
        parser.add_argument("--agreement", metavar="SLUG", help="the agreement; may be left out if there is only one")
        parser.add_argument("--dry-run", action="store_true", help="check every line, and record nothing")

    @no_translations
    def handle(self, *, file: str, agreement: str | None, dry_run: bool, **options: Any) -> None:
        timeline = self.timeline(agreement)
        with Staging() as staging:
            digest = sha256()
            self.stage(file, timeline, staging, digest)
            created = self.validate(timeline, staging)
            count, errors = staging.errors(MAX_NAMED)
            if count:
                more = [f"And {count - MAX_NAMED} more."] if count > MAX_NAMED else []
                hint = "\nNothing was recorded. Correct the file and run the command again."
                raise command_error("\n".join([*errors, *more]), hint)
            if not dry_run:
                created = self.record(timeline, staging, digest.hexdigest())
            known = staging.count() - created
        rest = f" {known} were recorded already and stay unchanged." if known else ""
        self.stdout.write(
            f"{'Would record' if dry_run else 'Recorded'} {created} acceptances of {timeline.slug!r}.{rest}"
        )

    def timeline(self, slug: str | None) -> Timeline:
        """Return the timeline of the agreement with that slug; without a slug, that of the only agreement. Agreements
        without a published edition are ignored. Raises ``CommandError`` if there is no agreement with that slug, or if
        no slug is given and there is not exactly one agreement.
        """
        timelines = current_timelines().agreements
        if slug is None and len(timelines) == 1:
            return next(iter(timelines.values()))
        if slug is None or slug not in timelines:
            problem = "The option --agreement is missing." if slug is None else f"There is no edition of {quote(slug)}."
            raise command_error(problem, f"Agreements with published editions: {', '.join(timelines) or 'none'}.")
        return timelines[slug]

    def stage(self, file: str, timeline: Timeline, staging: Staging, digest: Digest) -> None:
        """Read the file, add its bytes to ``digest``, and stage each line: its acceptance, or a sentence that states
        why the line is wrong. Whether the user may accept at that moment, and whether the lines contradict each other,
        is not checked here. Raises ``CommandError`` if the file can't be read: see :func:`read_rows`.
        """
        rows = read_rows(file, digest)
        while batch := list(islice(rows, BATCH)):
            keys = find_user_keys({row["user"] for _number, row in batch if row})
            users: Any = get_user_model()  # Any: the type checker does not know the fields of the site's user model.
            wanted = [key for key in keys.values() if not isinstance(key, ValidationError)]
            accounts = set(users._default_manager.filter(pk__in=wanted).order_by().values_list("pk", flat=True))
            lines = [(number, self.line(row, keys, accounts, timeline)) for number, row in batch]
            staging.add((number, line) for number, line in lines if isinstance(line, HistoricAcceptance))
            staging.add_errors((number, line) for number, line in lines if isinstance(line, str))

    def line(
        self, row: dict[str, str] | None, keys: dict[str, Any], accounts: set[UserKey], timeline: Timeline
    ) -> HistoricAcceptance | str:
        """Return the acceptance in a row of the file, or a sentence that states why the row is wrong. ``keys`` contains
        what ``find_user_keys()`` returns for the user of the row, and ``accounts`` the keys of the accounts that exist.
        It makes no query.

        A row is valid if all of these are true. It has as many cells as the first line; the language may be missing.
        Its instant is past and has an offset, and the edition, which is given by its number, was in force then. The
        language is ``kk``, ``ru`` or empty. The name or key is that of one user whose account exists.
        """
        if row is None:
            return "it has more or fewer cells than the first line."
        edition = next((one for one in timeline.editions if str(one.number) == row["edition"]), None)
        if edition is None:
            return f"{timeline.slug!r} has no edition {quote(row['edition'])}."
        try:
            at = parse_past_instant(row["at"])
        except CommandError as error:
            return str(error)
        if timeline.in_force(at) != edition:
            return f"edition {edition.number} was not in force at {at.isoformat()}."
        if row["language"] not in ("", *languages.LANGUAGES):
            return f"{quote(row['language'])} is not a language of the texts."
        key = keys[row["user"]]
        if isinstance(key, ValidationError):
            return printable(" ".join(key.messages))
        if key not in accounts:
            return f"There is no user “{printable(row['user'])}”."
        return HistoricAcceptance(user=key, edition=edition.pk, language=row["language"], at=at)

    def validate(self, timeline: Timeline, staging: Staging) -> int:
        """Check the staged lines by the rules of the acceptances, and stage a sentence for each wrong line. Return how
        many acceptances would be recorded. Nothing is written to the site's database.
        """
        created = 0
        for numbers, rows in staging.batches():
            outcomes = Acceptance.objects.import_history(rows, agreement=timeline.key, dry_run=True)
            created += outcomes.count(True)
            staging.add_errors(sentences(numbers, outcomes))
        return created

    def record(self, timeline: Timeline, staging: Staging, digest: str) -> int:
        """Record the staged acceptances in batches, each in a transaction of its own, after one audit entry for all of
        them. Return how many this call recorded. Those that were recorded before are not changed. ``digest`` is that of
        the file, for the entry. Raises ``CommandError`` if a line became wrong since it was checked, or if the database
        refuses one. Then nothing of its batch is recorded, and the batches before it stay.
        """
        agreement = Agreement.objects.get(pk=timeline.key)
        # The entry is never erased, so it does not contain the name of the file, which may name a person.
        note = f"{staging.count()} lines"
        AuditEntry.objects.log(AuditAction.ACCEPTED, on=agreement, by=shell_user(), note=note, digest=digest)
        on_sqlite = connections[router.db_for_write(Acceptance)].vendor == "sqlite"
        created = 0
        for numbers, rows in staging.batches():
            try:
                outcomes = Acceptance.objects.import_history(rows, agreement=timeline.key)
                problems = [f"Line {number}: {sentence}" for number, sentence in sentences(numbers, outcomes)]
            except IntegrityError as error:
                problems = [f"An account was deleted in the meantime, or the database refused a line: {error}"]
            if problems:
                hint = f"\n{created} acceptances were recorded before this and stay. Correct the file and run it again."
                raise command_error("\n".join(problems[:MAX_NAMED]), hint)
            created += outcomes.count(True)
            if on_sqlite:
                time.sleep(SQLITE_PAUSE_SECONDS)
        return created


def sentences(numbers: list[int], outcomes: list[bool | ValidationError]) -> Iterator[tuple[int, str]]:
    """Yield the number of each line that can't be recorded, and a sentence that states why. ``outcomes`` is what
    ``Acceptance.objects.import_history()`` returned for the lines with these numbers: an error for a line that can't be
    recorded, otherwise whether it is new.
    """
    for number, outcome in zip(numbers, outcomes, strict=True):
        if isinstance(outcome, ContradictionError):
            yield number, f"line {numbers[outcome.earlier]} gives another moment or language for this user and edition."
        elif isinstance(outcome, WithdrawnError):
            reference = (outcome.params or {})["number"]
            yield number, f"the user had withdrawn their consent ({reference}) and was not allowed to accept again."
        elif isinstance(outcome, ValidationError):
            yield number, " ".join(outcome.messages)
