from __future__ import annotations

import json
import sys
from argparse import ArgumentParser

from django.core.management.base import BaseCommand, no_translations

from agreement.status import report


class Command(BaseCommand):
    help = (
        "Report the state of the installation to a monitor: editions, waiting and failed deliveries, the seal."
        " Exit code 0: nothing is wrong; 1: a person must look at it; 2: a person must act immediately."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--format", choices=["text", "json"], default="text")

    @no_translations
    def handle(self, *, format: str, **options: object) -> None:  # noqa: A002 - the option's name
        found = report.status()
        if format == "json":
            self.stdout.write(json.dumps(found.as_dict(), indent=2))
        else:
            for line in found.lines():
                self.stdout.write(line)
        if found.level:
            sys.exit(found.level)
