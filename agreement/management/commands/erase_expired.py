from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, no_translations
from django.utils import timezone

from agreement.management import command_error, parse_past_instant
from agreement.retention import erase


class Command(BaseCommand):
    help = "Erase personal data whose term of retention is over; editions, records and counts stay."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--at", metavar="T", help="what was over then: 2026-03-01T09:00:00+05:00; now if left out")
        parser.add_argument("--dry-run", action="store_true", help="count exactly what would be erased, change nothing")

    @no_translations
    def handle(self, *, dry_run: bool, **options: Any) -> None:
        at = parse_past_instant(options["at"]) if options["at"] else timezone.now()
        counts = erase(at=at, dry_run=dry_run)
        verb = "Would erase" if dry_run else "Erased"
        self.stdout.write(
            f"{verb} the personal data of {counts.people} people: addresses, browsers, pseudonyms and links of"
            f" {counts.acceptances} acceptances and {counts.consents} consents, applicants and scans of"
            f" {counts.withdrawals} withdrawals, address digests of {counts.deliveries} deliveries."
            f" {counts.under_legal_hold} people are under a legal hold."
        )
        if counts.scan_not_deleted:
            raise command_error(
                f"Of {counts.scan_not_deleted} people nothing was erased, because a scan could not be deleted.",
                "Let this account write into PRIVATE_ROOT, then run erase_expired again.",
            )
