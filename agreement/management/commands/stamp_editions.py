from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, no_translations

from agreement import conf
from agreement.evidence import time_stamps
from agreement.management import command_error, printable


class Command(BaseCommand):
    help = (
        "Request a time stamp from the authority for every edition that has none. The exit code is 1 if an edition"
        " still has none."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="list the editions, and request no time stamp")

    @no_translations
    def handle(self, *, dry_run: bool, **options: Any) -> None:
        if not conf.get().TIMESTAMP_AUTHORITY:
            raise command_error(
                'AGREEMENT["TIMESTAMP_AUTHORITY"] is empty.', "Set it to the address of an RFC 3161 authority."
            )
        failed = 0
        for edition in time_stamps.unstamped():
            if dry_run:
                self.stdout.write(f"Would stamp {edition}: {edition.digest}")
                continue
            try:
                stamp = time_stamps.stamp(edition)
            except time_stamps.NotStamped as error:
                failed += 1
                self.stderr.write(printable(f"{edition}: {error}"))
            else:
                self.stdout.write(f"Stamped {edition}: {stamp.stamped_at} by {stamp.authority}")
        if failed:
            raise command_error(
                f"{failed} editions have no time stamp yet.",
                "They are published nevertheless. Run this command again later.",
            )
