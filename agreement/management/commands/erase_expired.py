from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, no_translations
from django.utils import timezone

from agreement.management import command_error, parse_past_instant
from agreement.retention import erase


class Command(BaseCommand):
    help = "Erase personal data whose retention term has ended. Editions, records and counts are not erased."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--at",
            metavar="T",
            help="erase the data whose term ended by this instant, such as 2026-03-01T09:00:00+05:00 (default: now)",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="count exactly what would be erased, and change nothing"
        )
        parser.add_argument(
            "--delete-unregistered-scans",
            action="store_true",
            help="also delete the files in the folder of scans that belong to no withdrawal",
        )

    @no_translations
    def handle(self, *, dry_run: bool, delete_unregistered_scans: bool, **options: Any) -> None:
        at = parse_past_instant(options["at"]) if options["at"] else timezone.now()
        counts = erase(at=at, dry_run=dry_run, delete_unregistered_scans=delete_unregistered_scans)
        verb = "Would erase" if dry_run else "Erased"
        self.stdout.write(
            f"{verb} the personal data of {counts.people} people: addresses, browsers, pseudonyms and links of"
            f" {counts.acceptances} acceptances, {counts.declines} declines and {counts.consents} consents,"
            " applicants and scans of"
            f" {counts.withdrawals} withdrawals, address digests of {counts.deliveries} deliveries."
            f" {counts.under_legal_hold} people are under a legal hold."
        )
        if counts.scan_not_deleted:
            raise command_error(
                f"The data of {counts.scan_not_deleted} people was not erased, because a scan could not be deleted.",
                "Give this account the permission to write in PRIVATE_ROOT, then run erase_expired again.",
            )
        unregistered = f"{counts.unregistered_scans} files in the folder of scans"
        if counts.unregistered_scans and delete_unregistered_scans:
            verb = "Would delete" if dry_run else "Deleted"
            self.stdout.write(f"{verb} {unregistered} that belong to no withdrawal.")
        elif counts.unregistered_scans:
            raise command_error(
                f"{unregistered} belong to no withdrawal.",
                "After a restore, register their applications again. Then add --delete-unregistered-scans.",
            )
