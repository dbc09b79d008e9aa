"""The filter of the templates of the desk: ``{% load agreement_desk %}``."""

from __future__ import annotations

from django import template

from agreement.conf import active_language
from agreement.text import dates

register = template.Library()


@register.filter
def grouped(count: int) -> str:
    """``{{ count|grouped }}``: the number with its thousands separated, as the language of the page writes it."""
    return dates.format_number(count, active_language())
