from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, no_translations
from django.utils import timezone

from agreement import evidence
from agreement.management import past_instant, refusal
from agreement.models import Edition


class Command(BaseCommand):
    help = "Write a ZIP that proves editions to anyone, who needs sha256sum and not this software to check it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--edition",
            nargs="+",
            required=True,
            metavar=("SLUG", "N"),
            help="an agreement and its editions' numbers; without numbers all of them",
        )
        parser.add_argument("--at", metavar="T", help="as it stood then: 2026-03-01T09:00:00+05:00; now if left out")
        parser.add_argument("--output", required=True, metavar="FILE.zip", help="a file that does not exist yet")

    @no_translations
    def handle(self, **options: Any) -> None:
        at = past_instant(options["at"]) if options["at"] else timezone.now()
        slug, *numbers = options["edition"]
        editions = Edition.objects.published().filter(agreement__slug=slug, recorded_at__lte=at)
        known = {str(edition.number): edition for edition in editions.select_related("agreement")}
        unknown = [number for number in numbers if number not in known]
        if unknown or not known:
            what = f"edition {unknown[0]!r}" if unknown else "edition"
            hint = f"Published by {at.isoformat()}: {', '.join(known) or 'none'}."
            raise refusal(f"There is no {what} of {slug!r}.", hint)
        wanted = [known[number] for number in dict.fromkeys(numbers or known)]
        try:
            digests = evidence.export_editions(wanted, at=at, output=Path(options["output"]))
        except FileExistsError:
            raise refusal(f"{options['output']!r} exists already.", "Name a new file.") from None
        except OSError as error:
            problem = f"{options['output']!r} can't be written: {(error.strerror or str(error)).lower()}."
            raise refusal(problem, "Name a file in a folder that is yours.") from None
        numbers = ", ".join(str(edition.number) for edition in wanted)
        self.stdout.write(f"Wrote {len(digests)} files about {slug}, edition {numbers}: {options['output']}")
        self.stdout.write("Check it anywhere: unzip it, then sha256sum -c SHA256SUMS")
