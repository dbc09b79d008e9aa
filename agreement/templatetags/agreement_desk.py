"""A filter and a tag for the templates of the admin: ``{% load agreement_desk %}``."""

from __future__ import annotations


from django import template
from django.utils import timezone

from agreement import conf
from agreement.conf import active_language
from agreement.text import dates

register = template.Library()


@register.filter
def grouped(count: int) -> str:
    """``{{ count|grouped }}``: the number with separated thousands: by commas on an English page, by no-break spaces in
    any other language.
    """
    return dates.format_number(count, active_language())


@register.simple_tag
def list_zone() -> str:
    """``{% list_zone %}``: the time zone of the dates in the lists of the app, such as "Astana time, UTC+5"."""
    return dates.zone(timezone.now(), active_language(), conf.time_zone())
