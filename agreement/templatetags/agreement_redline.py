"""The filters of the templates of the app itself: ``{% load agreement_redline %}``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django import template

from agreement.text.redline import wording, words

register = template.Library()


@register.filter
def separated(runs: Iterable[words.Run]) -> Iterator[words.Run]:
    """``{{ runs|separated }}``: the runs with a space between a deleted word and the word that replaces it."""
    return words.separated(runs)


@register.filter
def inner_quotes(name: str) -> str:
    """``“{{ name|inner_quotes }}”``: the name between quotation marks, its own marks as the inner ones."""
    return wording.inner_quotes(name)
