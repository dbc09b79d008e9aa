from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

import reversion
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, no_translations
from django.db import transaction

from agreement import conf
from agreement.management import (
    add_file_options,
    command_error,
    parse_instant,
    printable,
    read_texts,
)
from agreement.management.agreements import choose_agreement
from agreement.models import Edition
from agreement.text.front_matter import front_matter
from agreement.text.languages import LANGUAGES
from agreement.text.lint import lint


class Command(BaseCommand):
    help = "Create a draft (or, with --imported, an edition of history) from two files, Kazakh and Russian."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--kk", required=True, metavar="FILE", help="the Kazakh text: Word, Markdown or text")
        parser.add_argument("--ru", required=True, metavar="FILE", help="the Russian text: Word, Markdown or text")
        add_file_options(parser)
        parser.add_argument("--agreement", metavar="SLUG", help="the agreement; may be left out if there is only one")
        parser.add_argument(
            "--create", action="store_true", help="create the agreement if there is none with this slug"
        )
        for language, name in (("kk", "Kazakh"), ("ru", "Russian")):
            parser.add_argument(f"--summary-{language}", default="", help=f"what changed, in {name}")
            parser.add_argument(
                f"--approval-{language}",
                help=f"the order that approved it, in {name} (default of a draft: what the text says above its title)",
            )
        parser.add_argument(
            "--imported", action="store_true", help="seal the edition as history; needs --effective-from"
        )
        parser.add_argument(
            "--effective-from",
            metavar="T",
            help="with --imported: when it took effect, such as 2020-03-01T09:00:00+06:00",
        )
        parser.add_argument("--dry-run", action="store_true", help="read and check everything, and write nothing")

    @no_translations
    def handle(self, *, dry_run: bool, imported: bool, effective_from: str | None, **options: Any) -> None:
        if imported != bool(effective_from):
            raise command_error(
                "--imported and --effective-from must be given together.",
                "The moment of a draft is given when it is published: publish_edition ID --effective-from T.",
            )
        names = {language: options[language] for language in LANGUAGES}
        bodies, notes = read_texts(names, changes=options["changes"], encoding=options["encoding"])
        stated: dict[str, Any] = {}
        for language, body in bodies.items():
            stated[f"summary_{language}"] = options[f"summary_{language}"]
            approval = options[f"approval_{language}"]
            if approval is None:  # What is sealed at once is not guessed.
                approval = "" if imported else front_matter(body).approval
            stated[f"approval_{language}"] = approval
        try:
            with transaction.atomic():
                agreement = choose_agreement(options["agreement"], create=options["create"])
                if not imported:  # What an edition of history stated is not known.
                    stated |= Edition.objects.stated_in_force(agreement)
                with reversion.create_revision():
                    reversion.set_comment("import_edition")
                    edition = Edition.objects.create_draft(agreement=agreement, bodies=bodies, **stated)
                if effective_from:
                    edition.record(effective_from=parse_instant(effective_from))
                identity = "a draft" if dry_run else f"Draft {edition.pk}"
                transaction.set_rollback(dry_run)
        except ValidationError as error:
            raise command_error(error) from None
        done = f"{edition.number} of {agreement.slug}, imported history" if imported else agreement.slug
        titles = printable(f"{edition.title_kk} | {edition.title_ru}")
        if dry_run:
            self.stdout.write(f"Would import {identity} of {done}: {titles}")
            self.write_reading(edition, notes)
        elif imported:
            self.stdout.write(f"{identity} is sealed as edition {done}, digest {edition.digest}")
            self.write_reading(edition, notes)
        else:
            self.stdout.write(f"{identity} of {done}: {titles}")
            self.write_reading(edition, notes)
            self.stdout.write(f"Publish it with: manage.py publish_edition {edition.pk}")
            for message in lint(bodies, stated=edition.statements(), **conf.lint_options()):
                place = " · ".join(filter(None, (message.language, message.clause, f"line {message.line}")))
                sentence = printable(message.sentence("en"))
                self.stdout.write(f"{message.id} {message.severity} · {place} · {sentence}")

    def write_reading(self, edition: Edition, notes: list[str]) -> None:
        """Print ``notes``, which are lines about the reading of the files. Then print what the edition states: the days
        of notice, the days to accept, the years of retention, the prevailing language and the approvals.
        """
        for line in notes:
            self.stdout.write(printable(line))
        language = edition.prevailing_language or "none"
        self.stdout.write(
            f"States: notice {edition.notice_days} days, {edition.grace_days} days to accept,"
            f" retention {edition.retention_years} years, prevailing language {language}"
        )
        for approval in filter(None, (edition.approval_kk, edition.approval_ru)):
            self.stdout.write(printable(f"Approval: {approval}"))
