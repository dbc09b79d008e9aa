from __future__ import annotations

from argparse import ArgumentParser
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, no_translations
from django.utils import timezone

from agreement.evidence import export_editions, export_user, find_user_key
from agreement.management import command_error, parse_past_instant, quote, shell_user
from agreement.models import Edition


class Command(BaseCommand):
    help = (
        "Write a ZIP file that proves editions, or what a user accepted. Anyone can verify it with sha256sum, without"
        " this software."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        about = parser.add_mutually_exclusive_group(required=True)
        about.add_argument(
            "--user",
            metavar="U",
            help="a username, or the key of an account, which may be deleted; name:U or key:U states which one it is",
        )
        about.add_argument(
            "--edition",
            nargs="+",
            metavar=("SLUG", "N"),
            help="an agreement and the numbers of its editions; without numbers, all of them",
        )
        parser.add_argument(
            "--at", metavar="T", help="the state at this instant, such as 2026-03-01T09:00:00+05:00 (default: now)"
        )
        parser.add_argument("--output", required=True, metavar="FILE.zip", help="a file that does not exist yet")

    @no_translations
    def handle(self, **options: Any) -> None:
        at = parse_past_instant(options["at"]) if options["at"] else None
        output = Path(options["output"])
        try:
            digests = self.user(options["user"], at, output) if options["user"] else self.editions(options, at, output)
        except FileExistsError:
            raise command_error(f"{quote(options['output'])} exists already.", "Give the name of a new file.") from None
        except OSError as error:
            problem = f"{quote(options['output'])} can't be written: {(error.strerror or str(error)).lower()}."
            raise command_error(problem, "Give the name of a file in a folder in which you may write.") from None
        self.stdout.write(f"Wrote {len(digests)} files: {options['output']}")
        self.stdout.write("Check it anywhere: unzip it, then sha256sum -c SHA256SUMS")

    def user(self, name: str, at: datetime | None, output: Path) -> dict[str, str]:
        """Write the evidence about a user at that instant (``None``: now) to the new file ``output``. Return the
        SHA-256 of each file
        in it by name. ``name`` is a username, a mail address, or the primary key of an account, which may be deleted.
        The prefix ``name:`` or ``key:`` may state that it is a username or a key.

        Raises ``CommandError`` if no user or several users could be meant, or if there are no records about the user at
        that instant, and ``FileExistsError`` if ``output`` exists.
        """
        try:
            return export_user(find_user_key(name), at=at, output=output, by=shell_user())
        except ValidationError as error:
            raise command_error(error, "Give a deleted account by its key: key:7.") from None
        except LookupError:
            hint = "Give a deleted account by its key. It is found only if PSEUDONYM_KEYS has the secret of its time."
            moment = (at or timezone.now()).isoformat()
            raise command_error(f"There are no records about a user {quote(name)} at {moment}.", hint) from None

    def editions(self, options: dict[str, Any], at: datetime | None, output: Path) -> dict[str, str]:
        """Write the evidence about editions at that instant (``None``: now) to the new file ``output``. Return the
        SHA-256 of each file
        in it by name. The option ``edition`` is the slug of an agreement and the numbers of its editions; without
        numbers, all editions that were recorded by that instant are meant.

        Raises ``CommandError`` if one of the editions does not exist or was not yet recorded at that instant, or if the
        agreement had no edition, and ``FileExistsError`` if ``output`` exists.
        """
        slug, *numbers = options["edition"]
        moment = at or timezone.now()
        editions = Edition.objects.published().filter(agreement__slug=slug, recorded_at__lte=moment)
        published = {str(edition.number): edition for edition in editions.select_related("agreement")}
        unknown = [number for number in numbers if number not in published]
        if unknown or not published:
            missing = f"edition {quote(unknown[0])}" if unknown else "edition"
            hint = f"Editions published until {moment.isoformat()}: {', '.join(published) or 'none'}."
            raise command_error(f"There is no {missing} of {quote(slug)}.", hint)
        wanted = [published[number] for number in dict.fromkeys(numbers or published)]
        return export_editions(wanted, at=at, output=output, by=shell_user())
