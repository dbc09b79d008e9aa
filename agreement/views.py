"""The public pages: read-only, the same for every visitor, right at the instant of the request.

None of them sets a cookie, reads the session or varies on either, so any cache may keep them; a page is asked
for again each time (``no-cache``, an ``ETag``), sealed bytes are kept for ever. Languages are addresses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urljoin

from django.conf import settings
from django.conf.locale import LANG_INFO
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.cache import get_conditional_response
from django.utils.http import quote_etag
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from agreement import conf, dates
from agreement.models import Edition
from agreement.models.editions import EditionQuerySet, State
from agreement.text import clauses, seal

# What a list of editions has no use for, and what makes one heavy.
LONG = ("body", "body_kk", "body_ru")
# Django calls the language «Қазақ», which is the people.
NAMES = {"kk": "Қазақша"}


def page(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponseBase]:
    """GET and HEAD; anything else is 405 for its method, before a token for it is looked for."""
    answer: Callable[..., HttpResponseBase] = csrf_exempt(require_safe(view))
    return answer


@page
def index(request: HttpRequest) -> HttpResponse:
    """The site's agreements that have an edition in force, or one announced. At most 2 queries."""
    now = timezone.now()
    found = list(_brief(Edition.objects.in_force(now)).order_by("agreement__slug"))
    if conf.get().SHOW_SCHEDULED:
        known = {edition.agreement_id for edition in found}
        announced = _brief(_announced(now)).exclude(agreement__in=known)
        found += {edition.agreement_id: edition for edition in announced.order_by("-effective_from")}.values()
    return _page(request, "agreement/index.html", {"agreements": [Shown.of(edition, now) for edition in found]})


@page
def current(request: HttpRequest, slug: str) -> HttpResponse:
    """The edition in force, with a word about the next one; or that word alone, before the first.

    1 query; 2 while a later edition is published.
    """
    now = timezone.now()
    edition = _whole(Edition.objects.in_force(now)).filter(agreement__slug=slug).first()
    upcoming = None
    if conf.get().SHOW_SCHEDULED and (edition is None or edition.superseded_at):
        announced = _brief(_announced(now)).filter(agreement__slug=slug)
        upcoming = announced.order_by("effective_from").first()
    if edition is None and upcoming is None:
        raise Http404
    context = {"upcoming": upcoming and Shown.of(upcoming, now)}
    if edition is None:
        return _page(request, "agreement/announced.html", context)
    return _edition(request, Shown.of(edition, now), context)


@page
def editions(request: HttpRequest, slug: str) -> HttpResponse:
    """Every public edition of an agreement, the newest first. 1 query."""
    now = timezone.now()
    found = _brief(_public(now)).filter(agreement__slug=slug).order_by("-number")
    shown = [Shown.of(edition, now) for edition in found]
    if not shown:
        raise Http404
    return _page(request, "agreement/editions.html", {"slug": slug, "editions": shown})


@page
def edition(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """The permanent page of an edition. 1 query; 2 for an edition that is not the one in force."""
    now = timezone.now()
    shown = Shown.of(get_object_or_404(_whole(_public(now)), agreement__slug=slug, number=number), now)
    binding = None
    if shown.state != State.IN_FORCE:
        ours = Edition.objects.in_force(now).filter(agreement=shown.edition.agreement_id)
        binding = ours.values_list("number", flat=True).first()
    return _edition(request, shown, {"binding": binding, "permanent": True})


@page
def markdown(request: HttpRequest, slug: str, number: int, language: str) -> HttpResponse:
    """The sealed text in one language, the bytes ``body_sha256`` in the manifest is of. 1 query."""
    found = get_object_or_404(_public(timezone.now()), agreement__slug=slug, number=number)
    return _sealed(request, found.text(language).body.encode(), "text/markdown; charset=utf-8")


@page
def manifest(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """The bytes the edition's digest is of. 1 query."""
    found = get_object_or_404(_public(timezone.now()), agreement__slug=slug, number=number)
    return _sealed(request, found.manifest(), "application/json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An edition as a page in the active language shows it at one instant."""

    edition: Edition
    at: datetime
    state: State
    language: str
    """Of the text: the page's language, or the prevailing one where an edition has no text in that."""

    @classmethod
    def of(cls, edition: Edition, at: datetime) -> Shown:
        frame = _frame()
        language = frame if frame in conf.LANGUAGES else edition.prevailing_language or conf.LANGUAGES[0]
        return cls(edition=edition, at=at, state=edition.state(at), language=language)

    @property
    def title(self) -> str:
        return self._text("title")

    @property
    def approval(self) -> str:
        return self._text("approval")

    @property
    def summary(self) -> str:
        return self._text("summary")

    @property
    def document(self) -> clauses.Document:
        return clauses.parse(self._text("body"))

    @property
    def sections(self) -> list[clauses.Clause]:
        return [clause for clause in self.document.clauses if clause.kind == "section"]

    @property
    def validity(self) -> str:
        """One sentence on when the edition binds, bound or would have bound."""
        edition = self.edition
        values = self._moment("since", edition.effective_from, "from")
        if self.state == State.CANCELLED:
            values = self._moment("on", edition.effective_from, "on")
            return _("It was to take effect on %(on)s, %(on_clock)s (%(on_zone)s), and never did.") % values
        if self.state == State.SCHEDULED:
            values = self._moment("on", edition.effective_from, "on")
            return _("It takes effect on %(on)s, %(on_clock)s (%(on_zone)s).") % values
        until = edition.successor_from()
        if self.state == State.SUPERSEDED:
            pattern = _(
                "In force from %(since)s, %(since_clock)s (%(since_zone)s),"
                " to %(until)s, %(until_clock)s (%(until_zone)s); superseded since."
            )
        elif until and conf.get().SHOW_SCHEDULED:
            pattern = _(
                "In force since %(since)s, %(since_clock)s (%(since_zone)s),"
                " and until %(until)s, %(until_clock)s (%(until_zone)s)."
            )
        else:
            return _("In force since %(since)s, %(since_clock)s (%(since_zone)s).") % values
        return pattern % (values | self._moment("until", until, "until"))

    @property
    def prevails(self) -> str:
        """Which text decides where the two differ, in a sentence; empty where the edition states none."""
        return {
            "kk": _("Where the texts differ, the Kazakh text prevails."),
            "ru": _("Where the texts differ, the Russian text prevails."),
        }.get(self.edition.prevailing_language, "")

    @property
    def foreign(self) -> str:
        """Why the text is in another language than the page; empty where it is not."""
        if self.language == _frame():
            return ""
        return {
            "kk": _("The agreement is written in Kazakh and Russian; this is the Kazakh text."),
            "ru": _("The agreement is written in Kazakh and Russian; this is the Russian text."),
        }[self.language]

    @property
    def effective(self) -> str:
        return self._instant(self.edition.effective_from)

    @property
    def published(self) -> str:
        return self._instant(self.edition.published_at)

    @property
    def recorded(self) -> str:
        return self._instant(self.edition.recorded_at)

    @property
    def cancelled(self) -> str:
        return self._instant(self.edition.cancelled_at)

    def _text(self, name: str) -> str:
        return getattr(self.edition, f"{name}_{self.language}") or ""

    def _instant(self, at: datetime | None) -> str:
        return dates.instant(at, _frame(), self.edition.agreement.time_zone) if at else ""

    def _moment(self, name: str, at: datetime | None, case: dates.Case) -> dict[str, str]:
        """The parts of a moment, each by itself: languages put them, and bend them, in their own ways."""
        if at is None:
            return {}
        zone = self.edition.agreement.time_zone
        return {
            name: dates.day(at, _frame(), zone, case),
            f"{name}_clock": dates.clock(at, zone),
            f"{name}_zone": dates.zone(at, _frame(), zone),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternate:
    """This page in one of the site's languages."""

    language: str
    name: str
    path: str
    url: str
    active: bool


def alternates(request: HttpRequest) -> list[Alternate]:
    """This page in each language; empty where addresses hold no language (no ``i18n_patterns``)."""
    match = request.resolver_match
    if match is None:
        return []
    found = []
    for language, name in settings.LANGUAGES:
        with translation.override(language):
            path = reverse(match.view_name, args=match.args, kwargs=match.kwargs, current_app=match.namespace or None)
        found.append(
            Alternate(
                language=language,
                name=NAMES.get(language) or LANG_INFO.get(language, {}).get("name_local", str(name)).capitalize(),
                path=path,
                url=_absolute(request, path),
                active=language == translation.get_language(),
            )
        )
    return found if len({alternate.path for alternate in found}) > 1 else []


def _frame() -> str:
    """The language of what surrounds a text: ``kk``, ``ru``, or another, for which dates are English."""
    return (translation.get_language() or "").partition("-")[0]


def _absolute(request: HttpRequest, path: str) -> str:
    return urljoin(conf.get().BASE_URL, path) if conf.get().BASE_URL else request.build_absolute_uri(path)


def _public(now: datetime) -> EditionQuerySet:
    """Sealed editions anyone may read: those that took effect, and, where the site shows what is scheduled,
    announcements and those taken back.
    """
    sealed: EditionQuerySet = Edition.objects.published().filter(published_at__lte=now)
    sealed = sealed.select_related("agreement").with_successors()
    if conf.get().SHOW_SCHEDULED:
        return sealed
    return sealed.filter(effective_from__lte=now, cancelled_at__isnull=True)


def _announced(now: datetime) -> EditionQuerySet:
    announced: EditionQuerySet = Edition.objects.binding().filter(effective_from__gt=now, published_at__lte=now)
    return announced


def _whole(found: EditionQuerySet) -> EditionQuerySet:
    return found.select_related("agreement").with_successors()


def _brief(found: EditionQuerySet) -> EditionQuerySet:
    whole: Any = _whole(found)
    # By the columns' own names: the translation package reads "body" as the active language's.
    brief: EditionQuerySet = whole.rewrite(False).defer(*LONG)
    return brief


def _edition(request: HttpRequest, shown: Shown, context: dict[str, Any]) -> HttpResponse:
    match = request.resolver_match
    path = reverse(
        "agreement:edition",
        args=[shown.edition.agreement.slug, shown.edition.number],
        current_app=match.namespace if match else None,
    )
    context |= {"shown": shown, "address": _absolute(request, path)}
    return _page(request, "agreement/edition.html", context)


def _page(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    context |= {"alternates": alternates(request), "canonical": _absolute(request, request.path)}
    response = HttpResponse(render_to_string(template, context, request))
    response.headers["Cache-Control"] = "public, no-cache"
    return _unless_known(request, response)


def _sealed(request: HttpRequest, content: bytes, content_type: str) -> HttpResponse:
    response = HttpResponse(content, content_type=content_type)
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    # Nobody's browser may take an agreement's text for a page, whatever is written in it.
    response.headers["X-Content-Type-Options"] = "nosniff"
    return _unless_known(request, response)


def _unless_known(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """The response, or 304 to whoever holds these very bytes. The tag is their SHA-256."""
    etag = quote_etag(seal.sha256(response.content))
    response.headers["ETag"] = etag
    return get_conditional_response(request, etag=etag, response=response) or response
