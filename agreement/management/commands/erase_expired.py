from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, no_translations
from django.utils import timezone

from agreement import retention
from agreement.management import past_instant, refusal


class Command(BaseCommand):
    help = "Erase personal data whose term of retention is over; editions, records and counts stay."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--at", metavar="T", help="what was over then: 2026-03-01T09:00:00+05:00; now if left out")
        parser.add_argument("--dry-run", action="store_true", help="tell exactly what, change nothing")

    @no_translations
    def handle(self, *, dry_run: bool, **options: Any) -> None:
        at = past_instant(options["at"]) if options["at"] else timezone.now()
        tally = retention.erase(at=at, dry_run=dry_run)
        verb = "Would erase" if dry_run else "Erased"
        self.stdout.write(
            f"{verb} the personal data of {tally.people} people: addresses, browsers, pseudonyms and links of"
            f" {tally.joinings} joinings and {tally.consents} consents, applicants and scans of {tally.withdrawals}"
            f" withdrawals, address digests of {tally.deliveries} deliveries."
            f" {tally.held} people are kept by a legal hold."
        )
        if tally.stuck:
            raise refusal(
                f"Of {tally.stuck} people nothing was erased, because a scan could not be deleted.",
                "Let this account write into PRIVATE_ROOT, then run erase_expired again.",
            )
