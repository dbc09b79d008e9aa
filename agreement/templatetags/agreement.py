"""Template tags with which the site's own pages link to, quote and announce an agreement: ``{% load agreement %}``.

``slug`` may be left out if the setting ``DEFAULT_AGREEMENT`` names the agreement, or if the site has one agreement; an
agreement without a public edition does not count. If it has several and no such setting, ``agreement_url``,
``agreement_validity`` and ``agreement_clause`` without ``slug`` raise ``TemplateSyntaxError`` while ``DEBUG`` is on.
While it is off, a warning is logged, but not at every request.
"""

from __future__ import annotations

from typing import Any

from django import template
from django.template import Context

from agreement.acceptance import first_use, grace
from agreement.editions import citations
from agreement.models import Notice
from agreement.models.notices import USER_PAGE_NOTICES

register = template.Library()


@register.simple_tag(takes_context=True)
def agreement_url(context: Context, slug: str = "") -> str:
    """``{% agreement_url %}``: the path of the page of the edition in force of the agreement ``slug`` or, without
    ``slug``, of ``DEFAULT_AGREEMENT`` or the site's only agreement. If there is no such agreement, it is the path of
    the list of agreements. If there are several and no setting, ``TemplateSyntaxError`` is raised while ``DEBUG`` is
    on, and it is the path of the list while it is off. Agreements without a public edition do not count. A ``slug`` is
    not looked up; ``NoReverseMatch`` is raised if it can't be part of a URL. It makes no query with ``slug``; without
    it, only those that read the dates of the editions.
    """
    return citations.agreement_path(slug, app=_app(context))


@register.simple_tag
def agreement_validity(slug: str = "") -> str:
    """``{% agreement_validity %}``: sentences, in the language of the page, that state the number of the edition in
    force, since when it is in force, until when if a later edition is displayed, and which edition it replaced, if any.
    If no edition is in force, they are about the announced edition, if the setting ``SHOW_SCHEDULED`` is true; if there
    is none either, the result is ``""``.

    Without ``slug``, ``DEFAULT_AGREEMENT`` or the site's only agreement is meant. Agreements without a public edition
    do not count. An unknown ``slug``, and a missing ``slug`` on a site with several agreements and without the setting,
    raise ``TemplateSyntaxError`` while ``DEBUG`` is on, and give ``""`` while it is off. If no agreement has a public
    edition, the result is ``""``.
    """
    return citations.validity_sentence(slug)


@register.simple_tag(takes_context=True)
def agreement_clause(context: Context, number: str | float, slug: str = "") -> citations.Citation:
    """``{% agreement_clause "2.3" %}``: a quotation of the clause in force, with its source. A number that is not a
    string always raises ``TemplateSyntaxError``, because ``2.10`` without quotation marks would become ``2.1``.

    With ``as clause`` the parts of the quotation can be used separately: ``clause`` is a
    :class:`agreement.editions.citations.Citation`. Without ``slug``, ``DEFAULT_AGREEMENT`` or the site's only agreement
    is meant. Agreements without a public edition do not count.

    While ``DEBUG`` is on, ``TemplateSyntaxError`` is raised if the edition in force has no clause with that number, if
    ``slug`` is unknown but the site has agreements, or if it is missing and the site has several and no setting. In
    these cases, while ``DEBUG`` is off, and whenever no edition is in force, the citation has no text. It is then
    displayed as a link to the page of the agreement or, if no agreement was found, to the list of agreements.
    """
    return citations.cite_clause(number, slug, app=_app(context))


@register.inclusion_tag("agreement/partials/announcements.html", takes_context=True)
def agreement_banner(context: Context, slug: str = "", days: int = 10) -> dict[str, Any]:
    """``{% agreement_banner days=10 %}``: a banner about new editions. For each agreement, these are the edition in
    force, if it replaced another one within the last ``days`` days, and the next announced edition, if the setting
    ``SHOW_SCHEDULED`` is true.

    Without ``slug`` it is about all agreements. It is empty if there is no such edition, or if ``slug`` is unknown. It
    depends on the moment and the language, but is the same for every visitor.
    """
    return {"editions": citations.banner_editions(slug, days=days, app=_app(context))}


@register.inclusion_tag("agreement/partials/unread_notices.html", takes_context=True)
def agreement_unread(context: Context) -> dict[str, Any]:
    """``{% agreement_unread %}``: the number of unread notices of the signed-in user, with a link to the page of
    notices; nothing if there are none, if nobody is signed in, or if the context has no ``request``.

    Only the notices that the page of notices lists are counted: the latest ``USER_PAGE_NOTICES``. Caches must not store
    a page with this tag, because it depends on the user. 1 query, besides those by which Django loads the user; none if
    nobody is signed in.
    """
    user = _signed_in(context)
    return {"unread": _unread(user), "path": citations.notices_path(app=_app(context))} if user else {"unread": 0}


@register.inclusion_tag("agreement/partials/account.html", takes_context=True)
def agreement_account(context: Context) -> dict[str, Any]:
    """``{% agreement_account %}``: the name of the signed-in user, links to their notices, with the number of unread
    ones, and to their record, and a form to log out, if the site has a URL named ``logout`` or ``account_logout``.
    Nothing if nobody is signed in, or if the context has no ``request``.

    The name is the full name or, if it is empty, the username. Caches must not store a page with this tag, because it
    depends on the user. 1 query, besides those by which Django loads the user; none if nobody is signed in.
    """
    user = _signed_in(context)
    if user is None:
        return {}
    name = getattr(user, "get_full_name", str)() or user.get_username()
    paths = {"notices": citations.notices_path(app=_app(context)), "record": citations.record_path(app=_app(context))}
    return {"user": name, "unread": _unread(user), **paths}


@register.inclusion_tag("agreement/partials/first_use.html", takes_context=True)
def agreement_first_use(context: Context, days: int = 7) -> dict[str, Any]:
    """``{% agreement_first_use days=7 %}``: a note to the signed-in user about each edition in force that they accepted
    by using the site within the last ``days`` days, with links to the text and to their record. Nothing if there is no
    such acceptance, if nobody is signed in, if another person acts in the name of the user, or if the context has no
    ``request``.

    Caches must not store a page with this tag, because it depends on the user. 1 query, besides those by which Django
    loads the user; none if nobody is signed in.
    """
    request = context.get("request")
    acceptances = first_use.of_request(request, days=days) if request else []
    match = getattr(request, "resolver_match", None)
    return {"acceptances": acceptances, "is_record": match is not None and match.view_name == "agreement:record"}


@register.inclusion_tag("agreement/partials/grace.html", takes_context=True)
def agreement_grace(context: Context) -> dict[str, Any]:
    """``{% agreement_grace %}``: a banner for the signed-in user with each edition in force that they have not accepted
    while an earlier acceptance still counts. It states when the time to accept ends, and links to the page on which
    they can accept.
    Nothing if there is no such edition, if nobody is signed in, if the user is staff and the setting ``EXEMPT_STAFF``
    is true, or if the context has no ``request``.

    Caches must not store a page with this tag, because it depends on the user. It makes no query of its own while no
    edition gives days to accept, and none if nobody is signed in; otherwise at most 2 (3 if the site has
    ``AUDIENCES``), besides those by which Django loads the user.
    """
    request = context.get("request")
    return {"editions": grace.of_request(request) if request else []}


def _signed_in(context: Context) -> Any:
    """Return the signed-in user of the request; ``None`` if nobody is signed in or the context has no request."""
    user = getattr(context.get("request"), "user", None)
    return user if user is not None and user.is_authenticated else None


def _unread(user: Any) -> int:
    """Return the number of unread notices among those that the page of notices displays. The user could not open the
    others. 1 query.
    """
    latest: Any = Notice.objects.for_user(user)  # Any: the annotation ``read_at`` has no type.
    read = latest.values_list("read_at", flat=True)[:USER_PAGE_NOTICES]
    return sum(at is None for at in read)


def _app(context: Context) -> str | None:
    """Return the instance namespace for links: ``current_app`` of the request or, without it, the namespace of its URL.
    ``None`` or ``""`` if there is none.
    """
    request = context.get("request")
    match = getattr(request, "resolver_match", None)
    return getattr(request, "current_app", None) or (match.namespace if match else None)
