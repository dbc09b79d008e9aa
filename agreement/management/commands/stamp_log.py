from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, no_translations

from agreement import conf
from agreement.evidence import time_stamps
from agreement.management import command_error, printable


class Command(BaseCommand):
    help = (
        "Request a time stamp from the authority for the newest signed checkpoint of every log that has entries without"
        " a time stamp. The exit code is 1 if a log still has such entries."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="list the checkpoints, and request no time stamp")

    @no_translations
    def handle(self, *, dry_run: bool, **options: Any) -> None:
        if not conf.get().TIMESTAMP_AUTHORITY:
            raise command_error(
                'AGREEMENT["TIMESTAMP_AUTHORITY"] is empty.', "Set it to the address of an RFC 3161 authority."
            )
        if not conf.get().LOG_KEY:
            raise command_error(
                'AGREEMENT["LOG_KEY"] is empty: no checkpoint is signed, and only a signed one is stamped.',
                "Set it to what `openssl rand -base64 32` prints.",
            )
        failed = 0
        for agreement, checkpoint in time_stamps.unstamped():
            if checkpoint is None:
                failed += 1
                self.stderr.write(f"{agreement.slug}: no newer checkpoint is signed. The next entry makes one.")
                continue
            name = f"{agreement.slug}, {checkpoint.size} entries"
            if dry_run:
                self.stdout.write(f"Would stamp {name}: {checkpoint.root}")
                continue
            try:
                stamp = time_stamps.stamp(checkpoint)
            except time_stamps.NotStamped as error:
                failed += 1
                self.stderr.write(printable(f"{name}: {error}"))
            else:
                self.stdout.write(f"Stamped {name}: {stamp.stamped_at} by {stamp.authority}")
        if failed:
            raise command_error(
                f"{failed} logs have entries without a time stamp.",
                "The entries are recorded nevertheless. Run this command again later.",
            )
