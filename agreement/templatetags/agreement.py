"""What any page of the site may say of an agreement: ``{% load agreement %}``. README, "In your pages"."""

from __future__ import annotations

from typing import Any

from django import template
from django.template import Context

from agreement.editions import citations
from agreement.models import Notice
from agreement.models.notices import USER_PAGE_NOTICES

register = template.Library()


@register.simple_tag(takes_context=True)
def agreement_url(context: Context, slug: str = "") -> str:
    """``{% agreement_url %}``: the address of the edition in force. No query."""
    return citations.agreement_path(slug, app=_app(context))


@register.simple_tag
def agreement_validity(slug: str = "") -> str:
    """``{% agreement_validity %}``: which edition binds since when, in a sentence in the page's language."""
    return citations.validity_sentence(slug)


@register.simple_tag(takes_context=True)
def agreement_clause(context: Context, number: str | float, slug: str = "") -> citations.Citation:
    """``{% agreement_clause "2.3" %}``: the clause in force, quoted with its source; with ``as clause``, its parts
    (:class:`agreement.editions.citations.Citation`).
    """
    return citations.cite_clause(number, slug, app=_app(context))


@register.inclusion_tag("agreement/partials/announcements.html", takes_context=True)
def agreement_banner(context: Context, slug: str = "", days: int = 10) -> dict[str, Any]:
    """``{% agreement_banner days=10 %}``: the editions that are announced, or took effect within that many days.

    It is the same for every visitor, so a cache may store its page. It is empty if there is no such edition.
    """
    return {"editions": citations.banner_editions(slug, days=days, app=_app(context))}


@register.inclusion_tag("agreement/partials/unread_notices.html", takes_context=True)
def agreement_unread(context: Context) -> dict[str, Any]:
    """``{% agreement_unread %}``: the number of notices that the signed-in user has not opened, with a link to them.

    For pages that are the user's own, because no cache may store them. 1 query, none for a visitor.
    """
    user = getattr(context.get("request"), "user", None)
    if user is None or not user.is_authenticated:
        return {"unread": 0}
    # Only as many as the page of notices displays: a user could not open the others.
    latest: Any = Notice.objects.for_user(user)  # ``Any``: the types do not know its annotation ``read_at``.
    read = latest.values_list("read_at", flat=True)[:USER_PAGE_NOTICES]
    return {"unread": sum(at is None for at in read), "path": citations.notices_path(app=_app(context))}


def _app(context: Context) -> str | None:
    """The namespace links stay in, as Django's own ``{% url %}`` finds it."""
    request = context.get("request")
    match = getattr(request, "resolver_match", None)
    return getattr(request, "current_app", None) or (match.namespace if match else None)
