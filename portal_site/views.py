"""The portal's own pages: the front page, and in the demo the mailbox."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from agreement.editions import editions_in_force, text_language
from agreement.views import Visit, alternates, page
from portal_site import mailbox

MATERIALS = Path(__file__).parent / "samples" / "materials.json"
#: A letter brings its own styles, and nothing else: no script, no image, no form, no other address.
LETTER_CSP = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
)


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """What the portal is, and where to look. 1 query."""
    context = {"agreements": editions_in_force(), "mailbox": _mailbox_is_displayed()}
    return _render(request, "portal/home.html", context)


@page()
def materials(visit: Visit) -> HttpResponse:
    """What the library lends, and under which clauses of the edition in force. Cached as the agreement's own pages."""
    language = text_language()
    shelf = [{**one, "words": one[language]} for one in _materials()]
    return visit.render("portal/materials.html", {"materials": shelf, "language": language})


@require_safe
def robots(request: HttpRequest) -> HttpResponse:
    """Search engines may read everything; the sitemap lists it."""
    address = urljoin(settings.AGREEMENT.get("BASE_URL") or request.build_absolute_uri("/"), reverse("sitemap"))
    return HttpResponse(f"User-agent: *\nDisallow:\n\nSitemap: {address}\n", content_type="text/plain; charset=utf-8")


@require_safe
def letters(request: HttpRequest) -> HttpResponse:
    """The demo's letters, the newest first, fifty a page."""
    _require_mailbox()
    total = mailbox.count()
    pages = max(1, -(-total // mailbox.PAGE))
    number = request.GET.get("page", "1")
    page = int(number) if number.isascii() and number.isdecimal() and len(number) < 10 else 0
    if not 1 <= page <= pages:
        raise Http404
    context = {"letters": mailbox.newest(page), "total": total, "page": page, "pages": range(1, pages + 1)}
    return _render(request, "portal/mailbox.html", context)


@require_safe
def letter(request: HttpRequest, key: str) -> HttpResponse:
    """One letter: headers and text; its HTML part stands in a frame of its own."""
    return _render(request, "portal/letter.html", {"letter": _letter(key)})


@require_safe
def letter_html(request: HttpRequest, key: str) -> HttpResponse:
    """The HTML part of a letter, under a policy of its own."""
    found = _letter(key)
    if not found.html:
        raise Http404
    return HttpResponse(found.html, headers={"Content-Security-Policy": LETTER_CSP})


@cache
def _materials() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(MATERIALS.read_text(encoding="utf-8"))
    return found


def _render(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    return render(request, template, context | {"alternates": alternates(request)})


def _mailbox_is_displayed() -> bool:
    """Is the mailbox displayed? Everybody could read it, so only on the machine of the person who tries the demo."""
    return bool(settings.DEBUG) and mailbox.folder() is not None


def _require_mailbox() -> None:
    if not _mailbox_is_displayed():
        raise Http404


def _letter(key: str) -> mailbox.Letter:
    _require_mailbox()
    found = mailbox.get(key)
    if found is None:
        raise Http404
    return found
