"""Which clauses of an agreement the templates of the site quote by the tag ``agreement_clause``.

Only tags whose arguments are written in quotes are found. The source of each template is read: nothing is rendered, and
nothing is remembered of the pages that a process has rendered, because another process may have rendered the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from django.template import engines
from django.template.backends.django import DjangoTemplates
from django.utils import timezone

from agreement import conf
from agreement.editions.timeline import current_timelines
from agreement.models import Agreement

_TAG = re.compile(
    rb"""\{%\s*agreement_clause\s+(?:number\s*=\s*)?(?P<quote>["'])(?P<number>[^"'%{}]{1,100})(?P=quote)"""
    rb"""(?:\s+(?:slug\s*=\s*)?(?P<mark>["'])(?P<slug>[^"'%{}]{0,100})(?P=mark)|\s+slug\s*=\s*(?P<unknown>[^\s%]+)"""
    rb"""|\s+(?!as\s|%\})(?P<variable>[^\s%]+))?"""
)
#: A larger file is no template.
_MAX_BYTES = 1_000_000


def cited_clauses(agreement: Agreement) -> dict[str, tuple[str, ...]]:
    """The numbers of the clauses of the agreement that templates of the site quote, each with the names of these
    templates, in the order of the numbers as text. A number is as the tag has it, without white space and dots at its
    end. Whether the agreement has such a clause is not checked.

    A tag that names no agreement counts if ``DEFAULT_AGREEMENT`` is this one or, while that setting is empty, if no
    other agreement has a public edition. A tag whose number or agreement is a variable does not count.

    The queries are those of :func:`agreement.editions.timeline.current_timelines`, if the setting is empty and a
    template has a tag that names no agreement; otherwise there are none.
    """
    slug, default, at = agreement.slug, conf.get().DEFAULT_AGREEMENT, timezone.now()

    @cache
    def is_default() -> bool:
        if default:
            return default == slug
        others = (timeline for timeline in current_timelines().agreements.values() if timeline.slug != slug)
        return not any(timeline.public(at) for timeline in others)

    found: dict[str, dict[str, None]] = {}
    for name, content in _templates():
        for match in _TAG.finditer(content):
            named = match["slug"] and match["slug"].decode(errors="replace")
            if match["unknown"] or match["variable"] or not (named == slug if named else is_default()):
                continue
            number = match["number"].decode(errors="replace").strip().rstrip(".")
            found.setdefault(number, {})[name] = None
    return {number: tuple(names) for number, names in sorted(found.items())}


def _templates() -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of each template that contains the name of the tag, and of at most ``_MAX_BYTES``.
    Of templates with the same name, only the one that Django loads is considered. Templates that are not files in a
    folder are not found.
    """
    seen = set[str]()
    for folder in dict.fromkeys(_folders()):
        for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
            name = path.relative_to(folder).as_posix()
            if name in seen or not path.is_file():
                continue
            seen.add(name)
            if path.stat().st_size <= _MAX_BYTES and b"agreement_clause" in (content := path.read_bytes()):
                yield name, content


def _folders() -> Iterator[Path]:
    for engine in engines.all():
        if isinstance(engine, DjangoTemplates):
            yield from (Path(folder) for loader in _loaders(engine.engine.template_loaders) for folder in loader)


def _loaders(loaders: Iterable[Any]) -> Iterator[Iterable[str]]:
    """Yield the folders of each template loader, also of those in a loader that caches. A loader without folders is
    left out.
    """
    for loader in loaders:
        if inner := getattr(loader, "loaders", None):
            yield from _loaders(inner)
        elif hasattr(loader, "get_dirs"):
            yield loader.get_dirs()
