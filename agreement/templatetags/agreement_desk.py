"""What the templates of the desk need besides: ``{% load agreement_desk %}``."""

from __future__ import annotations

from django import template
from django.utils.translation import get_language

from agreement import dates

register = template.Library()


@register.filter
def grouped(count: int) -> str:
    """``{{ count|grouped }}``: the number with its thousands apart, as the page's language writes it."""
    return dates.number(count, (get_language() or "en").partition("-")[0])
