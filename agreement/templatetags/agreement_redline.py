"""The filter of the templates that display changed words: ``{% load agreement_redline %}``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django import template

from agreement.text.redline import words

register = template.Library()


@register.filter
def separated(runs: Iterable[words.Run]) -> Iterator[words.Run]:
    """``{{ runs|separated }}``: the runs with a space between a deleted word and the word that replaces it."""
    return words.separated(runs)
