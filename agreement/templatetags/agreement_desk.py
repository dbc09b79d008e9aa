"""Filters and tags for the templates of the admin: ``{% load agreement_desk %}``."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import template
from django.conf import settings
from django.template.context import RequestContext
from django.urls import NoReverseMatch, reverse, translate_url
from django.utils import timezone
from django.utils.translation import get_language

from agreement import conf
from agreement.conf import active_language
from agreement.status import overview
from agreement.text import dates

register = template.Library()
#: The models of which the start page displays rows.
DISPLAYED_MODELS = ("agreement", "auditentry", "breach", "edition", "notice", "withdrawal")


@register.filter
def grouped(count: int) -> str:
    """``{{ count|grouped }}``: the number with separated thousands: by commas on an English page, by no-break spaces in
    any other language.
    """
    return dates.format_number(count, active_language())


@register.filter
def short(at: datetime) -> str:
    """``{{ at|short }}``: the date and time of an instant in short form, without seconds and zone, such as
    «29.11.2026, 03:41» or "29 Nov 2026, 03:41". The time zone is that of :func:`agreement.conf.time_zone`.
    """
    return dates.short(at, active_language(), conf.time_zone())


@register.simple_tag
def list_zone() -> str:
    """``{% list_zone %}``: the time zone of the dates in the lists of the app, such as "Astana time, UTC+5"."""
    return dates.zone(timezone.now(), active_language(), conf.time_zone())


@register.inclusion_tag("admin/agreement/start.html", takes_context=True)
def agreement_start(context: RequestContext) -> dict[str, Any]:
    """``{% agreement_start %}``: the start of an index of the admin, with what the reader of the page may view: a card
    for each agreement with its editions, its drafts, and the notices, replies and breaches that need attention; the
    last verification of the editions; and links to what the reader may do next. It is empty for a reader who may view
    none of it, on the index of another app, and if the context has no ``request``.
    """
    request = context.get("request")
    if request is None or context.get("app_label", "agreement") != "agreement":
        return {}
    has_perm = request.user.has_perm
    viewable = {
        name for name in DISPLAYED_MODELS if has_perm(f"agreement.view_{name}") or has_perm(f"agreement.change_{name}")
    }
    if not viewable:
        return {}
    able = ("add_edition", "change_edition", "publish_edition", "resume_notice", "view_unreached", "notify_breach")
    return {
        "overview": overview.overview(viewable=viewable),
        "may": {name: has_perm(f"agreement.{name}") for name in able} | dict.fromkeys(viewable, True),
    }


@register.inclusion_tag("admin/agreement/languages.html", takes_context=True)
def agreement_admin_languages(context: RequestContext) -> dict[str, Any]:
    """``{% agreement_admin_languages %}``: links to this page in each language of the site. If the language is not part
    of the URLs (no ``i18n_patterns``), it is a form for Django's view ``set_language``; empty if the site does not
    include that view. It is also empty if the site has one language, or if the context has no ``request``.
    """
    request, current = context.get("request"), get_language()
    if request is None or len(settings.LANGUAGES) < 2:
        return {}
    path = request.get_full_path()
    choices = [
        {
            "code": code,
            "name": conf.native_name(code, str(name)),
            "path": translate_url(path, code),
            "active": code == current,
        }
        for code, name in settings.LANGUAGES
    ]
    if len({choice["path"] for choice in choices}) > 1:
        return {"languages": choices}
    try:
        action = reverse("set_language")
    except NoReverseMatch:
        return {}
    return {"languages": choices, "action": action, "next": path, "csrf_token": context.get("csrf_token")}
