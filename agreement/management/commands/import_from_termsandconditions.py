from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, no_translations

from agreement.management.peer_import import add_peer_options, import_peer, write_result
from agreement.management.peer_tables import read_termsandconditions


class Command(BaseCommand):
    help = "Import the texts and the acceptances of django-termsandconditions as history. Its tables are only read."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--slug", metavar="SLUG", help="the terms; may be left out if there is only one slug")
        parser.add_argument(
            "--agreement", metavar="SLUG", help="the agreement to import into (default: the slug of the terms)"
        )
        add_peer_options(parser)

    @no_translations
    def handle(self, *, slug: str | None, dry_run: bool, **options: Any) -> None:
        slug, history = read_termsandconditions(slug, language=options["language"], using=options["database"])
        row, result = import_peer(
            history,
            agreement=options["agreement"] or slug,
            create=options["create"],
            texts=options["texts"],
            dry_run=dry_run,
        )
        write_result(self.stdout.write, history, row.slug, result, dry_run=dry_run)
