"""The portal's own pages: the front page, the materials page, the second factor, ``robots.txt``, the page with the
status 400 and, in the demo, the mailbox.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import django_otp
from django.conf import settings
from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.views import LoginView
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_safe

from agreement.editions import editions_in_force, text_language
from agreement.views import Visit, page
from portal_site import mailbox
from portal_site.forms import SecondFactorForm

MATERIALS = Path(__file__).parent / "samples" / "materials.json"
#: The content security policy of a letter. It allows inline styles and links, but no scripts, images or forms.
LETTER_CSP = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
)


def noindex(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Decorator: add a header to the responses of the view that forbids search engines to list them."""

    @wraps(view)
    def answer(request: HttpRequest, **arguments: object) -> HttpResponseBase:
        response = view(request, **arguments)
        response.headers["X-Robots-Tag"] = "noindex"
        return response

    return answer


def personal(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Decorator: forbid shared caches to store the responses of the view, because its pages name the signed-in user. A
    browser asks again before it displays a copy.
    """

    @wraps(view)
    def answer(request: HttpRequest, **arguments: object) -> HttpResponseBase:
        response = view(request, **arguments)
        patch_cache_control(response, private=True, no_cache=True)
        return response

    return answer


@require_safe
@personal
def home(request: HttpRequest) -> HttpResponse:
    """The front page, with the editions in force: first that of ``DEFAULT_AGREEMENT``, then the others in the order of
    the slugs. The queries for them are those of :func:`agreement.editions.editions_in_force`: 1 for the texts, and at
    most 2 more if the dates of the editions must be read again.
    """
    main = settings.AGREEMENT["DEFAULT_AGREEMENT"]
    agreements = sorted(editions_in_force(), key=lambda displayed: displayed.edition.agreement.slug != main)
    context = {"agreements": agreements, "mailbox": _mailbox_is_displayed()}
    return render(request, "portal/home.html", context)


@page()
def materials(visit: Visit) -> HttpResponse:
    """The materials that the portal offers, with quotations of the clauses that apply to them. The page is cached like
    the pages of the agreement.
    """
    language = text_language()
    shelf = [{**one, "words": one[language]} for one in _materials()]
    return visit.render("portal/materials.html", {"materials": shelf, "language": language})


@require_safe
def robots(request: HttpRequest) -> HttpResponse:
    """``robots.txt``: it allows search engines to read everything, and names the sitemap."""
    address = urljoin(settings.AGREEMENT.get("BASE_URL") or request.build_absolute_uri("/"), reverse("sitemap"))
    return HttpResponse(f"User-agent: *\nDisallow:\n\nSitemap: {address}\n", content_type="text/plain; charset=utf-8")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """The page with the status 400. Django's own view renders its template without the request, so without links to
    the languages.
    """
    return render(request, "400.html", status=400)


class SecondFactorView(LoginRequiredMixin, LoginView):
    """The page on which a user who is logged in enters the code of their second factor. The session then has a new key,
    because it has more rights. A visitor who is not logged in is redirected to the login page.
    """

    template_name = "registration/second_factor.html"

    def get_form(self, form_class: object = None) -> Any:
        return SecondFactorForm(self.request.user, **self.get_form_kwargs())

    def form_valid(self, form: Any) -> HttpResponse:
        self.request.session.cycle_key()
        django_otp.login(self.request, form.get_user().otp_device)
        return HttpResponseRedirect(self.get_success_url())


@require_safe
@personal
def letters(request: HttpRequest) -> HttpResponse:
    """The list of the letters in the mailbox, the newest first, fifty on each page. ``?page=`` is the number of the
    page (default: 1). The response is 404 if there is no such page, or if the mailbox is not displayed.
    """
    _require_mailbox()
    total = mailbox.count()
    pages = max(1, -(-total // mailbox.PAGE))
    number = request.GET.get("page", "1")
    page = int(number) if number.isascii() and number.isdecimal() and len(number) < 10 else 0
    if not 1 <= page <= pages:
        raise Http404
    context = {"letters": mailbox.newest(page), "total": total, "page": page, "pages": range(1, pages + 1)}
    return render(request, "portal/mailbox.html", context)


@require_safe
@personal
def letter(request: HttpRequest, key: str) -> HttpResponse:
    """The page of a letter, with its headers and its text. The HTML is displayed in a frame, which :func:`letter_html`
    serves. The response is 404 if there is no such letter, or if the mailbox is not displayed.
    """
    return render(request, "portal/letter.html", {"letter": _letter(key)})


@require_safe
def letter_html(request: HttpRequest, key: str) -> HttpResponse:
    """The HTML of a letter, with a strict content security policy. The response is 404 if the letter has no HTML, if
    there is no such letter, or if the mailbox is not displayed.
    """
    found = _letter(key)
    if not found.html:
        raise Http404
    return HttpResponse(found.html, headers={"Content-Security-Policy": LETTER_CSP})


@cache
def _materials() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(MATERIALS.read_text(encoding="utf-8"))
    return found


def _mailbox_is_displayed() -> bool:
    """Return whether the mailbox is displayed: only while ``DEBUG`` is on, because everyone who can open the site can
    read it, and only if mail is stored in files.
    """
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
