from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, no_translations

from agreement.management.peer_import import add_peer_options, import_peer, write_result
from agreement.management.peer_tables import read_tos
from agreement.text.languages import LANGUAGES


class Command(BaseCommand):
    help = "Import the texts and the agreements of users of django-tos as history. Its tables are only read."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--agreement", metavar="SLUG", help="the agreement; may be left out if there is only one")
        for language, name in (("kk", "Kazakh"), ("ru", "Russian")):
            parser.add_argument(
                f"--title-{language}",
                default="",
                metavar="TEXT",
                help=f"the title of all texts in {name} (default: the first line of each text)",
            )
        add_peer_options(parser)

    @no_translations
    def handle(self, *, agreement: str | None, dry_run: bool, **options: Any) -> None:
        titles = {language: options[f"title_{language}"] for language in LANGUAGES}
        history = read_tos(language=options["language"], titles=titles, using=options["database"])
        row, result = import_peer(
            history, agreement=agreement, create=options["create"], texts=options["texts"], dry_run=dry_run
        )
        write_result(self.stdout.write, history, row.slug, result, dry_run=dry_run)
