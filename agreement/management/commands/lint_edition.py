from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import translation
from django.utils.translation import ngettext

from agreement import conf
from agreement.conf import active_language
from agreement.editions.template_citations import cited_clauses
from agreement.management import add_file_options, command_error, printable, read_texts
from agreement.models import Edition
from agreement.text import languages
from agreement.text.lint import Message, lint
from agreement.text.lint.messages import MESSAGE_LANGUAGES


class Command(BaseCommand):
    help = (
        "Report what is wrong, or looks wrong, in an edition or in two files. The exit code is 1 if there is an error,"
        " which forbids publication."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "id",
            type=int,
            nargs="?",
            help="the id of an edition; it is compared with the last edition published before it",
        )
        for language, name in (("kk", "Kazakh"), ("ru", "Russian")):
            parser.add_argument(f"--{language}", metavar="FILE", help=f"the {name} text, instead of an id")
            parser.add_argument(
                f"--previous-{language}", metavar="FILE", help=f"the {name} text of the previous edition"
            )
        add_file_options(parser)
        parser.add_argument("--format", choices=("text", "json"), default="text")
        parser.add_argument(
            "--language", choices=MESSAGE_LANGUAGES, help="the language of the messages (default: that of the site)"
        )

    def handle(self, *, language: str | None, **options: Any) -> None:
        files = {code: options[code] for code in languages.LANGUAGES}
        if options["id"] is not None and not any(files.values()):
            messages = edition_messages(options["id"])
        elif options["id"] is None and all(files.values()):
            previous = {code: name for code in languages.LANGUAGES if (name := options[f"previous_{code}"])}
            if previous and len(previous) < len(files):
                raise command_error(
                    "The previous edition is given in one language only.", "Give both --previous-kk and --previous-ru."
                )
            reading = {"changes": options["changes"], "encoding": options["encoding"], "may_be_empty": True}
            texts, notes = read_texts(files, **reading)
            earlier, more = read_texts(previous, **reading)
            for line in dict.fromkeys(notes + more):
                self.stderr.write(printable(line))
            messages = lint(texts, previous=earlier or None, **conf.lint_options())
        else:
            raise command_error(
                "Give either an id or both files.", "Use lint_edition ID or lint_edition --kk FILE --ru FILE."
            )
        self.write(messages, language or active_language(), options["format"])
        if any(message.severity == "error" for message in messages):
            sys.exit(1)

    def write(self, messages: tuple[Message, ...], language: str, form: str) -> None:
        """Print the messages in that language. ``form`` is ``json`` (a list) or ``text`` (one line for each message,
        and a last line with the numbers of errors and warnings).
        """
        if form == "json":
            rows = [
                {
                    "id": message.id,
                    "severity": message.severity,
                    "language": message.language,
                    "clause": message.clause,
                    "line": message.line,
                    "count": message.count,
                    "message": message.sentence(language),
                    "hint": message.hint(language),
                }
                for message in messages
            ]
            self.stdout.write(json.dumps(rows, ensure_ascii=False, indent=2))
            return
        for message in messages:
            place = " · ".join((message.language or "kk, ru", message.clause or "—", str(message.line)))
            sentences = printable(f"{message.sentence(language)} · {message.hint(language)}")
            self.stdout.write(f"{message.id} · {message.severity} · {place} · {sentences}")
        errors = sum(message.severity == "error" for message in messages)
        warnings = len(messages) - errors
        with translation.override(language):
            known = ngettext("%(count)s error", "%(count)s errors", errors) % {"count": errors}
            doubtful = ngettext("%(count)s warning", "%(count)s warnings", warnings) % {"count": warnings}
        self.stdout.write(f"{known}, {doubtful}")


def edition_messages(pk: int) -> tuple[Message, ...]:
    """Return the messages of the lint about the edition with that primary key, a draft or a published one. A draft is
    compared with the last published edition of the agreement that was not cancelled. A published edition is compared
    with the last one that has a lower number and was not cancelled. If there is no such edition, the lint gets no
    previous texts. For a draft, the lint also gets the numbers of the clauses that templates of the site quote. Raises
    ``CommandError`` if no edition has that key. At most 3 queries.
    """
    draft = Edition.objects.filter(pk=pk).select_related("agreement").first()
    if draft is None:
        raise command_error(f"There is no edition with id {pk}.", "import_edition prints the id of each draft.")
    published = Edition.objects.published().binding().filter(agreement=draft.agreement_id)
    if draft.number:
        published = published.filter(number__lt=draft.number)
    previous = published.last()
    return lint(
        {code: draft.text(code).body for code in languages.LANGUAGES},
        titles={code: draft.text(code).title for code in languages.LANGUAGES},
        summaries={code: draft.text(code).summary for code in languages.LANGUAGES},
        previous={code: previous.text(code).body for code in languages.LANGUAGES} if previous else None,
        stated=draft.statements(),
        previous_stated=previous.statements() if previous else None,
        cited=None if draft.number else cited_clauses(draft.agreement),
        **conf.lint_options(),
    )
