from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand
from django.utils.translation import get_language

from agreement import conf
from agreement.management import refusal
from agreement.models import Edition
from agreement.text import lint, source

SPOKEN = ("kk", "ru", "en")


class Command(BaseCommand):
    help = "Say what is wrong, or looks wrong, in an edition or in two files. Exit code 1 if it can't be published so."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("id", type=int, nargs="?", help="the edition's id; compared with the last one published")
        for language, name in (("kk", "Kazakh"), ("ru", "Russian")):
            parser.add_argument(f"--{language}", metavar="FILE", help=f"instead of an id: the {name} text")
            parser.add_argument(f"--previous-{language}", metavar="FILE", help=f"the edition before, in {name}")
        parser.add_argument("--format", choices=("text", "json"), default="text")
        parser.add_argument("--language", choices=SPOKEN, help="of the messages; default: the site's")

    def handle(self, *, language: str | None, **options: Any) -> None:
        files = {code: options[code] for code in conf.LANGUAGES}
        if options["id"] is not None and not any(files.values()):
            found = edition(options["id"])
        elif options["id"] is None and all(files.values()):
            before = {code: options[f"previous_{code}"] for code in conf.LANGUAGES}
            if any(before.values()) and not all(before.values()):
                raise refusal("The previous edition is given in one language.", "Give --previous-kk and --previous-ru.")
            found = lint.lint(
                {code: read(name) for code, name in files.items()},
                previous={code: read(name) for code, name in before.items()} if all(before.values()) else None,
                **conf.lint(),
            )
        else:
            raise refusal("Either an id, or both files.", "lint_edition ID, or lint_edition --kk FILE --ru FILE.")
        site = (get_language() or "en").partition("-")[0]
        spoken = language or (site if site in SPOKEN else "en")
        self.show(found, spoken, options["format"])
        if any(message.severity == "error" for message in found):
            sys.exit(1)

    def show(self, found: tuple[lint.Message, ...], spoken: str, form: str) -> None:
        if form == "json":
            rows = [
                {
                    "id": message.id,
                    "severity": message.severity,
                    "language": message.language,
                    "clause": message.clause,
                    "line": message.line,
                    "message": message.sentence(spoken),
                    "hint": message.hint(spoken),
                }
                for message in found
            ]
            self.stdout.write(json.dumps(rows, ensure_ascii=False, indent=2))
            return
        for message in found:
            place = " · ".join((message.language or "kk, ru", message.clause or "—", str(message.line)))
            self.stdout.write(
                f"{message.id} · {message.severity} · {place} · {message.sentence(spoken)} · {message.hint(spoken)}"
            )
        errors = sum(message.severity == "error" for message in found)
        self.stdout.write(f"{errors} errors, {len(found) - errors} warnings")


def edition(pk: int) -> tuple[lint.Message, ...]:
    """The lint of an edition against the last binding one published before it (2 queries)."""
    draft = Edition.objects.filter(pk=pk).first()
    if draft is None:
        raise refusal(f"There is no edition with id {pk}.", "import_edition prints the id of each draft.")
    before = Edition.objects.published().binding().filter(agreement=draft.agreement_id)
    if draft.number:
        before = before.filter(number__lt=draft.number)
    previous = before.last()
    return lint.lint(
        {code: draft.text(code).body for code in conf.LANGUAGES},
        titles={code: draft.text(code).title for code in conf.LANGUAGES},
        summaries={code: draft.text(code).summary for code in conf.LANGUAGES},
        previous={code: previous.text(code).body for code in conf.LANGUAGES} if previous else None,
        **conf.lint(),
    )


def read(name: str) -> str:
    """The file's text by the rule of ``agreement.text.source``; an empty file is the lint's to report."""
    try:
        with Path(name).open("rb") as file:
            content = file.read(source.MAX_BYTES + 1)
        return source.decode(content, name) if content.strip() else ""
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise refusal(f"{name!r} can't be read: {reason}.", "Check the file's name and rights.") from None
    except source.SourceError as error:
        raise refusal(str(error), error.hint) from None
