"""What any page of the site may say of an agreement: ``{% load agreement %}``. README, "In your pages"."""

from __future__ import annotations

from typing import Any

from django import template
from django.template import Context

from agreement import citing
from agreement.models import Notice
from agreement.models.notices import LATEST

register = template.Library()


@register.simple_tag(takes_context=True)
def agreement_url(context: Context, slug: str = "") -> str:
    """``{% agreement_url %}``: the address of the edition in force. No query."""
    return citing.path(slug, app=_app(context))


@register.simple_tag
def agreement_validity(slug: str = "") -> str:
    """``{% agreement_validity %}``: which edition binds since when, in a sentence in the page's language."""
    return citing.validity(slug)


@register.simple_tag(takes_context=True)
def agreement_clause(context: Context, number: str | float, slug: str = "") -> citing.Citation:
    """``{% agreement_clause "2.3" %}``: the clause in force, quoted with its source; with ``as clause``, its parts
    (:class:`agreement.citing.Citation`).
    """
    return citing.clause(number, slug, app=_app(context))


@register.inclusion_tag("agreement/news.html", takes_context=True)
def agreement_banner(context: Context, slug: str = "", days: int = 10) -> dict[str, Any]:
    """``{% agreement_banner days=10 %}``: says that an edition is announced, or took effect within so many days.

    The same for every visitor, so that a cache may keep the page it stands on; nothing where there is nothing new.
    """
    return {"news": citing.news(slug, days=days, app=_app(context))}


@register.inclusion_tag("agreement/unread.html", takes_context=True)
def agreement_unread(context: Context) -> dict[str, Any]:
    """``{% agreement_unread %}``: says how many notices the signed-in user has not looked at, with the way to them.

    For pages that are the user's own anyway: no cache may keep what it stands on. 1 query, none for a visitor.
    """
    user = getattr(context.get("request"), "user", None)
    if user is None or not user.is_authenticated:
        return {"unread": 0}
    # As many as the page holds: what it does not show could never be read.
    latest: Any = Notice.objects.for_user(user)
    read = latest.values_list("read_at", flat=True)[:LATEST]
    return {"unread": sum(at is None for at in read), "path": citing.inbox(app=_app(context))}


def _app(context: Context) -> str | None:
    """The namespace links stay in, as Django's own ``{% url %}`` finds it."""
    request = context.get("request")
    match = getattr(request, "resolver_match", None)
    return getattr(request, "current_app", None) or (match.namespace if match else None)
