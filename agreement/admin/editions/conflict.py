"""The page for an author whose draft somebody else saved in the meantime. The two wordings are merged clause by clause,
and the page asks only about what both changed in different ways.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import capfirst
from django.utils.translation import gettext
from reversion.errors import RevertError
from reversion.models import Version

from agreement.admin.base import moment, render_page
from agreement.admin.editions.compare import changes_html
from agreement.admin.editions.fields import (
    STATED_FIELDS,
    TEXT_FIELDS_BY_LANGUAGE,
    WRITTEN_FIELDS,
    fingerprint,
    label,
    stated_in_words,
    values,
)
from agreement.models import AuditEntry, Edition
from agreement.models.autosave import Autosave
from agreement.text import clauses, source
from agreement.text.merge import APART, Merge, merge
from agreement.text.redline import words

#: After a conflict, at most this many revisions, the latest, are searched for the wording with which the author began.
REVISIONS_SEARCHED = 50
#: How many characters of the label and the first line of a unit its name on the page has at most.
MAX_NAME = 45

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A question of the page. ``index`` is its number, from 0, among all questions of the conflict. ``name`` is the
    field, and ``label`` names the field and the unit. ``base``, ``theirs`` and ``mine`` are the three wordings as text:
    ``""`` if a text does not contain the unit, and for ``base`` also if it is not known. ``code`` is the language of a
    text, ``""`` for other fields, which can only be chosen and not written. ``answer`` is what was posted, ``""`` for
    nothing; :attr:`chosen` understands ``theirs``, ``mine``, ``both`` and ``hand``. ``written`` is the posted text for
    the answer ``hand``; ``mine`` if none was posted.
    """

    index: int
    name: str
    label: str
    code: str
    base: str
    theirs: str
    mine: str
    answer: str
    written: str

    @property
    def theirs_html(self) -> SafeString:
        return self._html("delete")

    @property
    def mine_html(self) -> SafeString:
        return self._html("insert")

    @property
    def both(self) -> bool:
        """Whether the author may take both wordings: it is a question about a text, ``theirs`` and ``mine`` are not
        empty, and ``base`` is.
        """
        return bool(self.code and self.theirs and self.mine) and not self.base

    @property
    def chosen(self) -> str | None:
        """The wording that the author chose; ``None`` if they chose none of those that are offered."""
        offered = {"theirs": self.theirs, "mine": self.mine}
        if self.code:
            offered["hand"] = self.written
        if self.both:
            offered["both"] = f"{self.theirs}{APART}{self.mine}"
        return offered.get(self.answer)

    def _html(self, kind: str) -> SafeString:
        """Return the words of ``theirs`` if ``kind`` is ``delete``, or of ``mine`` if it is ``insert``. In a text,
        those that the other wording does not have are in ``<mark>``.
        """
        if not self.code:
            return SafeString(escape(self.theirs if kind == "delete" else self.mine))
        runs = words.compare(self.theirs, self.mine)
        parts = [
            escape(run.text) if run.kind == "equal" else f"<mark>{escape(run.text)}</mark>"
            for run in runs
            if run.kind in {"equal", kind}
        ]
        return mark_safe("".join(parts))  # noqa: S308 - all texts in it are escaped


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedChange:
    """A change that was merged without a question: its place, who made it (``theirs``, ``mine`` or ``both``), and its
    words. ``code`` is the language of a text, ``""`` for other fields. ``moved`` means that the unit was moved.
    ``disputed`` means that both moved it to different places; it is then where the author's own text has it.
    """

    label: str
    code: str
    author: str
    html: SafeString
    moved: bool = False
    disputed: bool = False


class Conflict:
    """Two wordings of one draft, merged field by field, and the bodies clause by clause.

    ``base`` are the values with which the author began, ``None`` if they are not known; ``theirs`` are those that were
    saved in the meantime, and ``mine`` those of the author. ``base_token`` and ``token`` are the fingerprints of
    ``base`` and of ``theirs``. ``posted`` is the posted form with the answers, such as ``merge_0`` and ``merge_text_0``
    for the first question; ``None`` if the page asks for the first time. It makes no query.
    """

    def __init__(
        self,
        *,
        base_token: str,
        token: str,
        base: Values | None,
        theirs: Values,
        mine: Values,
        posted: Mapping[str, Any] | None = None,
    ) -> None:
        self.base_token, self.token = base_token, token
        self.base, self.theirs, self.mine = base, theirs, mine
        self.answered = posted is not None
        self._posted = posted or {}
        self._bodies: dict[str, Merge] = {
            name: merge(base[name] if base else None, theirs[name], mine[name])
            for name in theirs
            if name.startswith("body_")
        }

    @cached_property
    def choices(self) -> list[Choice]:
        """The questions, in the order of the fields."""
        return [
            self._choice(index, *question)
            for index, question in enumerate(question for name in self.theirs for question in self._questions(name))
        ]

    @cached_property
    def merged(self) -> list[MergedChange]:
        """What was merged without a question, in the order of the fields; empty if ``base`` is not known."""
        return [change for name in self.theirs for change in self._merged(name)] if self.base else []

    @property
    def hidden(self) -> list[tuple[str, str]]:
        """The names and values of the hidden fields of the page: the fingerprints (``merge_base`` and ``token``) and
        the values of the author. ``False`` is left out, like an unchecked box.
        """
        own = [(name, str(value)) for name, value in self.mine.items() if value is not False]  # An unchecked box.
        return [("merge_base", self.base_token), ("token", self.token), *own]

    @property
    def repeated(self) -> list[str]:
        """The label, or else the number, of the last unit with each number that a merged body has more than once, and
        neither ``theirs`` nor ``mine`` has more than once. A unit whose question is not answered yet is not in the
        merged text.
        """
        found: dict[str, None] = {}
        for name, body in self._bodies.items():
            before = _repeated(self.theirs[name]).keys() | _repeated(self.mine[name]).keys()
            chosen = [choice.chosen for choice in self.choices if choice.name == name]
            text = body.text(choice if choice is not None else "" for choice in chosen)
            found |= {shown: None for number, shown in _repeated(text).items() if number not in before}
        return list(found)

    def values(self) -> dict[str, Any] | None:
        """Return the merged values with the answers, by the name of the field; ``None`` if an answer is missing or is
        not one of those offered. Written answers are not validated.
        """
        if any(choice.chosen is None for choice in self.choices):
            return None
        return {name: self._value(name) for name in self.theirs}

    def _value(self, name: str) -> Any:
        chosen = [choice for choice in self.choices if choice.name == name]
        if name in self._bodies:
            return self._bodies[name].text(choice.chosen or "" for choice in chosen)
        if chosen:
            (choice,) = chosen
            own = {"theirs": self.theirs[name], "mine": self.mine[name]}
            return own.get(choice.answer, choice.chosen)
        return self._taken_from(name)[name]

    def _taken_from(self, name: str) -> Values:
        return self.theirs if self.base and self.mine[name] == self.base[name] else self.mine

    def _questions(self, name: str) -> Iterator[tuple[str, str, str, str, str]]:
        """Yield five texts for each question about that field: the name of the field, the place in it (``""`` for the
        whole field), and the three wordings ``base``, ``theirs`` and ``mine``.
        """
        if name in self._bodies:
            for question in self._bodies[name].questions:
                yield name, _unit_name(question.unit), question.base, question.theirs, question.mine
        elif self.theirs[name] != self.mine[name] and (
            not self.base or self.base[name] not in {self.theirs[name], self.mine[name]}
        ):
            base = _in_words(name, self.base[name]) if self.base else ""
            yield name, "", base, _in_words(name, self.theirs[name]), _in_words(name, self.mine[name])

    def _choice(self, index: int, name: str, place: str, base: str, theirs: str, mine: str) -> Choice:
        return Choice(
            index=index,
            name=name,
            label=_place(name, place),
            code=_code(name),
            base=base,
            theirs=theirs,
            mine=mine,
            answer=str(self._posted.get(f"merge_{index}", "")),
            written=source.normalise(str(self._posted.get(f"merge_text_{index}", mine))),
        )

    def _merged(self, name: str) -> Iterator[MergedChange]:
        if name in self._bodies:
            for taken in self._bodies[name].taken:
                yield MergedChange(
                    label=_place(name, _unit_name(taken.unit)),
                    code=_code(name),
                    author=taken.author,
                    html=changes_html("summary", taken.old, taken.new),
                    moved=taken.moved,
                    disputed=taken.disputed,
                )
        elif self.base and not any(self._questions(name)):
            old, theirs, mine = self.base[name], self.theirs[name], self.mine[name]
            if theirs != old or mine != old:
                author = "both" if theirs == mine else "mine" if theirs == old else "theirs"
                html = changes_html(name, old, self._taken_from(name)[name])
                yield MergedChange(label=_place(name, ""), code=_code(name), author=author, html=html)


def _in_words(name: str, value: object) -> str:
    return str(stated_in_words(name, value)) if name in STATED_FIELDS else str(value)


def _code(name: str) -> str:
    return name.rpartition("_")[2] if name in WRITTEN_FIELDS else ""


def _place(name: str, place: str) -> str:
    field = capfirst(str(label(name)))
    return f"{field}: {place}" if place else field


def _unit_name(unit: clauses.Clause) -> str:
    """Return the label and the first line of a unit. If both together are longer than ``MAX_NAME`` characters, they are
    cut to that length, and ``…`` is added.
    """
    line = f"{unit.label} {unit.text.partition(chr(10))[0]}".strip()
    return line if len(line) <= MAX_NAME else f"{line[:MAX_NAME].rstrip()}…"


def _repeated(body: str) -> dict[str, str]:
    """Return the numbers that more than one unit of the text has, each with the label of the last such unit, or with
    the number itself if that unit has no label.
    """
    document = clauses.parse(body)
    counts = Counter(document.numbers)
    return {unit.number: unit.label or unit.number for unit in document.clauses if counts[unit.number] > 1}


def revision_values(edition: Edition, token: str) -> dict[str, Any] | None:
    """Return the values of the revision whose fingerprint is ``token``. Return ``None`` if it is not among the latest
    ``REVISIONS_SEARCHED`` revisions of that edition. Revisions that django-reversion can't read are ignored.
    """
    names = (*TEXT_FIELDS_BY_LANGUAGE, *STATED_FIELDS)
    for version in Version.objects.get_for_object_reference(Edition, edition.pk)[:REVISIONS_SEARCHED]:
        try:
            fields = version.field_dict
        except RevertError:
            continue
        revision = Edition(**{name: fields[name] for name in names if name in fields})
        if fingerprint(revision) == token:
            return values(revision)
    return None


def conflict_page(model_admin: admin.ModelAdmin[Edition], request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Return the page that asks about the conflict, with the status 409, if the form of the response was refused
    because of one; otherwise the response. What the author posted is also stored as their unsaved text, so that it is
    not lost if they leave the page.
    """
    form = getattr((getattr(response, "context_data", None) or {}).get("adminform"), "form", None)
    conflict: Conflict | None = getattr(form, "conflict", None)
    if form is None or conflict is None:
        return response
    edition = form.stored_draft or form.instance
    fields = {name: str(value) for name, value in conflict.mine.items()}
    Autosave.objects.store(author=request.user.pk, edition=edition, fields=fields, base=conflict.base_token)
    entry = AuditEntry.objects.last_author(edition)
    return render_page(
        model_admin,
        request,
        "edition/conflict",
        status=409,
        original=edition,
        title=gettext("Combine two texts"),
        conflict=conflict,
        problems=form.non_field_errors() if conflict.answered else [],
        author=entry and entry.by,
        saved_at=entry and moment(entry.at, edition.agreement.time_zone),
    )
