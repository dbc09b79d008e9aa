"""A filter for the templates of the admin: ``{% load agreement_desk %}``."""

from __future__ import annotations

from django import template

from agreement.conf import active_language
from agreement.text import dates

register = template.Library()


@register.filter
def grouped(count: int) -> str:
    """``{{ count|grouped }}``: the number with separated thousands: by commas on an English page, by no-break spaces in
    any other language.
    """
    return dates.format_number(count, active_language())
