"""Differences between two wordings, as the desk shows them: in both languages, and in what the edition states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy as _

from agreement import conf
from agreement.admin.notices import language
from agreement.models import Edition
from agreement.models.refusals import TEXTS
from agreement.text import clauses, redline, rendering, words

#: What an edition states besides its texts.
STATED = ("prevailing_language", "notice_days", "retention_years", "material")
#: What an author writes: the title is the text's first line.
WRITTEN = tuple(f"{name}_{code}" for name in reversed(TEXTS) if name != "title" for code in conf.LANGUAGES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One field that two wordings of a draft do not share."""

    name: str
    label: str
    code: str
    html: SafeString


def values(edition: Edition) -> dict[str, Any]:
    """Everything an author can change, by field."""
    return {name: getattr(edition, name) or "" for name in WRITTEN} | {name: getattr(edition, name) for name in STATED}


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Difference]:
    """From one wording to the other, field by field; empty where they are the same."""
    found = []
    for name in (*WRITTEN, *STATED):
        if old.get(name) != new.get(name):
            _head, _separator, code = name.rpartition("_") if name in WRITTEN else ("", "", "")
            html = _changed(name, old.get(name), new.get(name))
            label = str(Edition._meta.get_field(name).verbose_name)  # type: ignore[union-attr]
            found.append(Difference(name=name, label=label, code=code, html=html))
    return found


def redlines(old: Edition, new: Edition, *, whole: bool = False) -> list[tuple[str, str, SafeString]]:
    """(language, one sentence that sums it up, the redline) of the two texts, in each language."""
    found = []
    for code in conf.LANGUAGES:
        before, after = (clauses.parse(edition.text(code).body) for edition in (old, new))
        compared = redline.redline(before, after)
        found.append(
            (code, rendering.summary(compared, spoken()), _safe(rendering.html(compared, spoken(), whole=whole)))
        )
    return found


def spoken() -> str:
    """The page's language if it is one that redlines and the lint speak, else English."""
    return language() if language() in rendering.WORDS else "en"


def said(name: str, value: object) -> object:
    """What an edition states, in words."""
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if name == "prevailing_language":
        return {"kk": _("Kazakh"), "ru": _("Russian")}.get(str(value), _("none stated"))
    return value


def _changed(name: str, old: Any, new: Any) -> SafeString:
    if name.startswith("body_"):
        compared = redline.redline(clauses.parse(old or ""), clauses.parse(new or ""))
        return _safe(rendering.html(compared, spoken(), whole=False))
    if name in STATED:
        return _safe(f"<del>{escape(said(name, old))}</del> <ins>{escape(said(name, new))}</ins>")
    tags = {"equal": ("", ""), "delete": ("<del>", "</del>"), "insert": ("<ins>", "</ins>")}
    runs = words.compare(old or "", new or "")
    return _safe("".join(tags[run.kind][0] + escape(run.text) + tags[run.kind][1] for run in runs))


def _safe(html: str) -> SafeString:
    return mark_safe(html)  # noqa: S308 - every piece of text in it is escaped
