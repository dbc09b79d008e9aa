"""A signed-in user's own pages: to join what is in force, or not to; and the record of what was joined.

They are the user's alone: never kept by anybody between, and never answered to a form of another site's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import BadRequest, PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods

from agreement import conf, consents, dates, gate, origin
from agreement.compared import Compared
from agreement.gate import Timeline
from agreement.lineage import Dated
from agreement.models import Acceptance, Agreement, Consent, Delivery, Edition, Outside, Stale, Withdrawal
from agreement.models.agreements import Joining
from agreement.pages import Visit
from agreement.shown import Shown, frame

#: How much of a long life the record shows, the latest first.
LATEST = 200
#: What an edition need not be read with, where its words are not shown.
LONG = ("body", "body_kk", "body_ru")

View = Callable[..., HttpResponseBase]


def personal(*methods: str) -> Callable[[View], Callable[..., HttpResponseBase]]:
    """Make a view of a :class:`Visit` one of a signed-in user's request, by those methods."""

    def decorate(view: View) -> Callable[..., HttpResponseBase]:
        @wraps(view)
        def answer(request: HttpRequest, **arguments: Any) -> HttpResponseBase:
            response: HttpResponseBase
            if request.user.is_authenticated:
                # Not what was remembered a second ago: whoever asks is going to be bound by the answer.
                response = view(Visit(request, timezone.now(), gate.fresh(), {}), **arguments)
            elif request.method == "POST":
                raise PermissionDenied
            else:
                response = redirect_to_login(request.get_full_path())
            response.headers["Cache-Control"] = "private, no-store"
            return response

        protected: Callable[..., HttpResponseBase] = csrf_protect(require_http_methods(methods)(answer))
        return protected

    return decorate


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One edition a user may join, and what changed since the one he joined last."""

    shown: Shown
    joined: Joined | None
    missed: tuple[Shown, ...] = ()
    """The editions since then, in order, the asked one last."""
    changes: Compared | None = None
    """From then to now."""
    settled: bool = False
    """Has the user joined it, or one it changed in wording only?"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """A joining in the words of a page."""

    acceptance: Acceptance
    edition: Shown
    at: str
    changes: Compared | None = None
    """From the edition joined before."""

    @property
    def says(self) -> str:
        """What the record proves, and what it does not."""
        acceptance = self.acceptance
        if acceptance.kind != Acceptance.Kind.DEEMED:
            return ""
        if acceptance.notice_sent:
            return _("The text was not displayed then; the notice about it had been sent.")
        return _("The text was not displayed then, and no notice about it had been sent.")


@personal("GET", "HEAD", "POST")
def accept(visit: Visit, slug: str) -> HttpResponse:
    """Ask about an agreement, and about whatever else this user has to confirm; record the answer.

    Another edition in force by then, or another text: 409 with the question anew, and nothing recorded.
    """
    timeline = visit.timeline(slug)
    if visit.request.method != "POST":
        return _ask(visit, timeline)
    answers = list(_answers(visit.request.POST, slug))
    if visit.request.POST.get("decision") == "decline":
        context = {"slug": slug, "next": next_path(visit.request)}
        return visit.render("agreement/declined.html", context)
    try:
        with transaction.atomic():
            for each, number, digest, language in answers:
                _record(visit, each, number, digest, language)
            consents.give(visit.request.user, _consented(visit.request.POST))
    except Outside:
        return _to_withdrawal(visit)
    except (Stale, consents.Reworded):
        # As it is by now: it may have become so since this request began.
        again = Visit(visit.request, timezone.now(), gate.fresh(), {})
        return _ask(again, again.timeline(slug), stale=True)
    return HttpResponseRedirect(next_path(visit.request) or visit.path("record"))


def _answers(posted: QueryDict, slug: str) -> Iterable[tuple[str, int, str, str]]:
    """What the form says was shown: slug, number, digest and language of each edition; ``BadRequest``."""
    if posted.get("decision") not in {"accept", "decline"}:
        raise BadRequest("decision must be accept or decline.")
    others = sorted(name.partition(":")[2] for name in posted if name.startswith("edition:"))
    for each, suffix in [(slug, ""), *((other, f":{other}") for other in others if other != slug)]:
        number, digest, language = (posted.get(f"{name}{suffix}", "") for name in ("edition", "digest", "language"))
        if not (number.isascii() and number.isdecimal() and len(number) <= 10) or language not in conf.LANGUAGES:
            raise BadRequest("edition must be a number, and language kk or ru.")
        yield each, int(number), digest, language


def _consented(posted: QueryDict) -> list[tuple[str, str]]:
    """The consents ticked, each by the digest of the words beside its box."""
    return [(name.partition(":")[2], posted.get(name, "")) for name in posted if name.startswith("consent:")]


def _record(visit: Visit, slug: str, number: int, digest: str, language: str) -> None:
    dated = next((each for each in visit.timeline(slug).editions if each.number == number), None)
    if dated is None or dated.digest != digest:
        raise Stale(f"{slug} {number}")
    edition: Edition = Edition.objects.get(pk=dated.pk)
    Acceptance.objects.record(
        user=visit.request.user,
        edition=edition,
        digest=digest,
        language=language,
        kind=Acceptance.Kind.EXPLICIT,
        origin=origin.of(visit.request),
    )


def _ask(visit: Visit, timeline: Timeline, *, stale: bool = False) -> HttpResponse:
    """3 queries, 2 for each edition asked about, and 1 if consents to data are."""
    joined = joined_by(visit)
    wanted = _wanted(visit, timeline, joined[timeline.key])
    if wanted is None:
        raise Http404
    if _shut(visit, timeline):
        return _to_withdrawal(visit)
    questions = [_question(visit, timeline, wanted, joined[timeline.key])]
    for other in visit.timelines.agreements.values():
        if other.key != timeline.key and other.joining == Joining.EXPLICIT:
            edition = _wanted(visit, other, joined[other.key])
            if edition and not _settled(other, edition, joined[other.key]) and not _shut(visit, other):
                questions.append(_question(visit, other, edition, joined[other.key]))
    language = questions[0].shown.language
    context = {
        "slug": timeline.slug,
        "questions": questions,
        "asked": [question for question in questions if not question.settled],
        "other": next(code for code in conf.LANGUAGES if code != language),
        "language": language,
        "consents": consents.left(visit.request.user.pk, language),
        "next": next_path(visit.request),
        "stale": stale,
    }
    response = visit.render("agreement/accept.html", context)
    response.status_code = 409 if stale else 200
    return response


def joined_by(visit: Visit) -> dict[int, list[Acceptance]]:
    """This user's joinings in each agreement, in the order of the editions. 1 query."""
    rows = Acceptance.objects.with_current(visit.request.user.pk).select_related("edition")
    rows = rows.order_by("edition__number", "round")
    found: dict[int, list[Acceptance]] = defaultdict(list)
    for row in rows.defer(*(f"edition__{name}" for name in LONG)):
        found[row.edition.agreement_id].append(row)
    return found


def binding(rows: Iterable[Acceptance]) -> list[Acceptance]:
    """Those joinings whose edition was not taken back: one joined beforehand that never took effect bound nobody."""
    return [row for row in rows if row.edition.cancelled_at is None]


def _wanted(visit: Visit, timeline: Timeline, joined: Sequence[Acceptance]) -> Dated | None:
    """The edition to be asked about: the one in force, or, if the site shows and asks beforehand, the next."""
    in_force, site = timeline.in_force(visit.at), conf.get()
    if site.JOIN_BEFOREHAND and site.SHOW_SCHEDULED and (in_force is None or _settled(timeline, in_force, joined)):
        return timeline.announced(visit.at) or in_force
    return in_force


def _settled(timeline: Timeline, edition: Dated, joined: Sequence[Acceptance]) -> bool:
    # Not the last alone: whoever joined the next edition beforehand is bound by this one all the same.
    holding = {dated.pk for dated in timeline.holding(edition)}
    return any(row.edition_id in holding and getattr(row, "current", False) for row in joined)


def _shut(visit: Visit, timeline: Timeline) -> bool:
    """Has the user left it so that joining again is an officer's to record? Then asking would refuse the rest too."""
    departure = Acceptance.objects.departure(user_key=visit.request.user.pk, agreement=timeline.key)
    return departure is not None and not departure.may_rejoin


def _to_withdrawal(visit: Visit) -> HttpResponse:
    """The way to what became of the agreement, for whoever left it and may not join again by himself."""
    going = next_path(visit.request)
    path = visit.path("withdraw")
    return HttpResponseRedirect(f"{path}?{urlencode({'next': going})}" if going else path)


def _question(visit: Visit, timeline: Timeline, edition: Dated, rows: Sequence[Acceptance]) -> Question:
    shown, settled = _in_language(visit, visit.shown(timeline, edition)), _settled(timeline, edition, rows)
    joined = next((row for row in reversed(binding(rows)) if (row.edition.number or 0) <= edition.number), None)
    if joined is None or joined.edition_id == edition.pk:
        before = _row(timeline, joined, shown) if joined else None
        return Question(shown=shown, joined=before, settled=settled)
    since = [dated for dated in timeline.binding if (joined.edition.number or 0) < dated.number <= edition.number]
    missed = visit.listed((timeline, dated) for dated in since)
    old = Shown.of(Edition.objects.select_related("agreement").get(pk=joined.edition_id), timeline, visit.at)
    old = replace(old, language=shown.language)
    return Question(
        shown=shown,
        joined=_row(timeline, joined, old),
        missed=tuple(replace(each, language=shown.language) for each in missed),
        changes=Compared(old, shown),
        settled=settled,
    )


def _in_language(visit: Visit, shown: Shown) -> Shown:
    """In the language asked for by ``?language=``, or posted; else in the page's."""
    asked = visit.request.POST.get("language") or visit.request.GET.get("language")
    return replace(shown, language=asked) if asked in conf.LANGUAGES else shown


def _row(timeline: Timeline, acceptance: Acceptance, edition: Shown, changes: Compared | None = None) -> Joined:
    at = dates.instant(acceptance.at, frame(), timeline.time_zone) if acceptance.at else ""
    return Joined(acceptance=acceptance, edition=edition, at=at, changes=changes)


def next_path(request: HttpRequest) -> str:
    """Where the user was going: a path of this site, or nothing."""
    asked = request.POST.get("next") or request.GET.get("next") or ""
    safe = asked.startswith("/") and url_has_allowed_host_and_scheme(
        asked, allowed_hosts=None, require_https=request.is_secure()
    )
    return asked if safe else ""


@personal("GET", "HEAD")
def record(visit: Visit) -> HttpResponse:
    """What this user joined, consented to, withdrew and was told, the latest first: moment, language, digest, own
    redline.
    """
    return record_page(visit)


def record_page(visit: Visit, *, reworded: bool = False) -> HttpResponse:
    """The record; ``reworded`` says that nothing was recorded, since the words of a consent had changed."""
    by_key = {timeline.key: timeline for timeline in visit.timelines.agreements.values()}
    user = visit.request.user.pk
    rows = Acceptance.objects.filter(user=user).select_related("edition__agreement")
    rows = rows.defer(*(f"edition__{name}" for name in LONG))
    joined, more_joined = _latest(rows.order_by("-at", "-pk"))
    joinings: list[Joined] = []
    last: dict[int, Shown] = {}
    for row in reversed(joined):
        timeline = by_key[row.edition.agreement_id]
        shown = Shown.of(row.edition, timeline, visit.at)
        old = last.get(timeline.key)
        changes = Compared(old, shown) if old and old.edition.pk != row.edition_id else None
        last[timeline.key] = shown
        joinings.append(_row(timeline, row, shown, changes))
    sent = Delivery.objects.filter(user=user).exclude(outcome=Delivery.Outcome.WAITING)
    sent = sent.select_related("notice__edition__agreement").defer(*(f"notice__edition__{name}" for name in LONG))
    told, more_told = _latest(sent.order_by("-settled_at"))
    left, more_left = _latest(Withdrawal.objects.filter(user=user).select_related("agreement").order_by("-pk"))
    consented, more_consented = _consents(visit)
    context = {
        "joinings": joinings[::-1],
        "notices": [
            (row, Shown.of(edition, by_key[edition.agreement_id], visit.at), _moment(row.settled_at, edition.agreement))
            for row in told
            for edition in [row.notice.edition]
        ],
        "withdrawals": [
            (row, *(_moment(at, row.agreement) for at in (row.registered_at, row.effective_at))) for row in left
        ],
        "cut": more_joined or more_consented or more_left or more_told,
        "files": bool(conf.get().FILE_WITHDRAWALS),
        "reworded": reworded,
    }
    return visit.render("agreement/record.html", context | consented)


def _latest(rows: Any) -> tuple[list[Any], bool]:
    """As many as the record shows, and whether there are more."""
    found = list(rows[: LATEST + 1])
    return found[:LATEST], len(found) > LATEST


def _moment(at: datetime | None, agreement: Agreement) -> str:
    return dates.instant(at, frame(), agreement.time_zone) if at else ""


def _consents(visit: Visit) -> tuple[dict[str, Any], bool]:
    """What this user consented to, by its moments in words, and what he may still consent to; and whether there is
    more. At most 2 queries.
    """
    rows, more = _latest(Consent.objects.filter(user=visit.request.user.pk).order_by("-pk"))
    said = [
        (row, *(dates.instant(at, frame(), conf.time_zone()) if at else "" for at in (row.given_at, row.withdrawn_at)))
        for row in rows
    ]
    language = frame() if frame() in conf.LANGUAGES else conf.LANGUAGES[0]
    return {"given": said, "at": visit.at, "consents": consents.left(visit.request.user.pk, language)}, more
