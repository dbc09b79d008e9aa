"""The page on which a signed-in user accepts editions, or declines. They are the editions in force or, if the site
allows it, announced ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.core.exceptions import BadRequest
from django.db import transaction
from django.http import Http404, HttpResponse, HttpResponseRedirect, QueryDict
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from agreement import conf
from agreement.acceptance import consents, grace, requests
from agreement.conf import active_language
from agreement.editions.changes import Comparison, ComparisonRow, MarkedUnit, marked_units
from agreement.editions.display import DisplayedEdition
from agreement.editions.timeline import Timeline, fresh_timelines
from agreement.models import (
    Acceptance,
    AcceptanceKind,
    Decline,
    DisplayedText,
    Edition,
    StaleEditionError,
    Withdrawal,
    WithdrawnError,
)
from agreement.models.agreements import AcceptanceMode
from agreement.models.membership import unbound_agreements
from agreement.models.succession import EditionDates
from agreement.seal.manifest import sha256
from agreement.text import dates, languages
from agreement.text.article import Article
from agreement.views.account import (
    DisplayedAcceptance,
    account_page,
    display_acceptance,
    next_path,
    user_acceptances,
    withdrawal_sentence,
    without_cancelled,
)
from agreement.views.base import COUNTERPART_LABELS, Visit


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptanceQuestion:
    """An edition that the page displays, with the changes since the edition that the user read or accepted before. The
    page asks the user to accept it unless ``is_accepted`` is true.
    """

    displayed: DisplayedEdition
    article: Article
    """The HTML of the text, as an acceptance names it."""
    last: DisplayedAcceptance | None
    """Of the user's acceptances in this agreement up to this edition, the one of the edition with the highest number;
    of several, the last. It may have been overtaken by a withdrawal. Acceptances of cancelled editions are passed over.
    ``None`` if there is none.
    """
    missed: tuple[DisplayedEdition, ...] = ()
    """The editions after the old one of ``changes``, up to and including the edition of this question, in the order of
    their numbers. Cancelled ones are left out. Empty if ``changes`` is ``None``.
    """
    changes: Comparison | None = None
    """The changes to this edition. They are those from the edition that the posted form displayed, if it displayed
    another one; otherwise those from the edition of ``last``. ``None`` if there is no such edition, or if it is this
    one.
    """
    was_read: bool = False
    """Whether the old edition of ``changes`` is the one that the posted form displayed."""
    withdrawn: str = ""
    """The sentence about the withdrawal that is in effect; ``""`` without one."""
    is_accepted: bool = False
    """Whether the user has accepted this edition, or an earlier one from which only the wording differs, and did not
    withdraw after that.
    """
    grace: str = ""
    """Sentences which state until when an earlier acceptance still counts, although the user has not accepted the
    edition in force; ``""`` if that is not so.
    """
    chosen: str = ""
    """The answer to this edition, ``accept`` or ``decline``, in a form that was not recorded because of another edition
    and had an answer to each; ``""`` otherwise."""

    @property
    def rows(self) -> list[ComparisonRow]:
        """The changed units, as rows of the comparative table; empty without ``changes``."""
        return [row for row in self.changes.rows if row.source.kind == "change"] if self.changes else []

    @property
    def units(self) -> list[MarkedUnit]:
        """The units of ``article``, each with its change."""
        return list(marked_units(self.article.document, self.changes.redline if self.changes else None))

    @property
    def html_digest(self) -> str:
        """The SHA-256 of the HTML of ``article``."""
        return sha256(self.article.html)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredEdition:
    """An edition that the user declined or, if they answered about each, accepted. Or one that they tried to decline
    and can't, because they had accepted it.
    """

    displayed: DisplayedEdition
    at: str = ""
    """When the user first declined it, in words; ``""`` if they have accepted it."""
    accepted_at: str = ""
    """When the user accepted it, in words, if this was their answer; ``""`` otherwise."""
    grace: str = ""
    """Sentences which state until when an earlier acceptance still counts, although the user has not accepted the
    edition in force; ``""`` if that is not so, or if they have accepted this edition.
    """
    must_accept: bool = False
    """Whether the user must accept it before they go on: they have not accepted it, it is in force, its agreement is
    accepted by confirmation, and no earlier acceptance counts.
    """
    by_use: bool = False
    """Whether they have not accepted it, it is in force, and its agreement is accepted by use."""


@dataclass(frozen=True, slots=True)
class PostedAnswer:
    """The fields that the form posts about one edition that it displayed: the slug of the agreement, the number and the
    digest of the edition, the language of the displayed text (``kk`` or ``ru``), and the user's decision. Whether such
    an edition exists is not checked.
    """

    slug: str
    number: int
    digest: str
    language: str
    accepts: bool = True
    """Whether the form accepts the edition; false if it declines it. The API does not set it."""
    html_digest: str | None = None
    """The digest of the HTML that the accept page displayed. It is not checked. ``None`` if a program displayed the
    text in its own way."""


@account_page("GET", "HEAD", "POST")
def accept(visit: Visit, slug: str) -> HttpResponse:
    """The page that asks a user to accept the agreement ``slug``, and the other agreements that are accepted by
    confirmation and that they have not accepted and may accept. A POST records an acceptance of each posted edition and
    the ticked consents, all or nothing, and redirects to ``next`` or, without it, to the record. What was recorded
    before is not recorded again.

    If a new acceptance is not possible now (for example, another edition has taken effect since the page was
    displayed), if a posted digest is not that of the edition or of its HTML, or if the words of a consent have changed,
    nothing is recorded. Then the response is the page with the new question and the status 409. If the user withdrew
    and may not accept again without an officer, nothing is recorded, and the response is a redirect to the withdrawal
    page; so is the response to a GET if they withdrew from the agreement ``slug``.

    If the user declines, a decline is recorded of each posted edition that they have neither accepted nor declined
    before, all or nothing, and the response is a page that states the effect. If one of them can't be declined now, for
    example because another edition has taken effect, nothing is recorded, and the response is the page with the new
    question and the status 409.

    With the setting ``SEPARATE_ANSWERS``, a form about several editions may have an answer to each (the decision
    ``each``). The acceptances, the declines and the ticked consents are recorded together, all or nothing. If the user
    declined one or more, the response is the page that states the effect.

    Raises ``Http404`` if the agreement of the page or of a posted edition does not exist or has no public edition, and
    if a question is to be displayed but no edition can be accepted. Raises ``BadRequest`` if the posted decision, the
    number of an edition or a language is missing or invalid.
    """
    timeline, posted = visit.timeline(slug), visit.request.POST
    if visit.request.method != "POST":
        return _question_page(visit, timeline)
    answers, decision = list(_posted_answers(posted, slug)), posted.get("decision")
    try:
        with transaction.atomic():
            if decision == "decline":
                found = {answer.slug: _declined_edition(visit, answer) for answer in in_order(visit, answers)}
                return _declined_page(visit, slug, [found[answer.slug] for answer in answers])
            found = {
                answer.slug: (_accepted_edition if answer.accepts else _declined_edition)(visit, answer)
                for answer in in_order(visit, answers)
            }
            consents.give(visit.request.user, _posted_consents(posted))
    except WithdrawnError:
        return _redirect_to_withdrawal(visit)
    except (StaleEditionError, consents.StaleWording):
        # Another edition may have taken effect since this request began, so the dates are read again.
        again = Visit(visit.request, timezone.now(), fresh_timelines(), {})
        return _question_page(again, again.timeline(slug), stale=answers)
    if not all(answer.accepts for answer in answers):
        return _declined_page(visit, slug, [found[answer.slug] for answer in answers])
    return HttpResponseRedirect(next_path(visit.request) or visit.path("record"))


@account_page("GET", "HEAD")
def accept_due(visit: Visit) -> HttpResponse:
    """Redirect to the page that asks about everything that the user must still accept by confirmation and may accept;
    if there is nothing, to ``next`` or, without it, to the record.
    """
    following = next_path(visit.request)
    for timeline, _edition, _withdrawal in _due(visit, user_acceptances(visit)):
        path = visit.path("accept", timeline.slug)
        return HttpResponseRedirect(f"{path}?{urlencode({'next': following})}" if following else path)
    return HttpResponseRedirect(following or visit.path("record"))


def _posted_answers(posted: QueryDict, slug: str) -> Iterable[PostedAnswer]:
    """Yield one answer for each edition about which the form has fields. If the user has accepted the agreement of the
    page, ``slug``, the form has none about it; otherwise its answer is the first. The others follow in the order of
    their slugs. Each answer has the decision of the form or, if that is ``each``, the one about its edition.

    Raises ``BadRequest`` if there is no answer, if the decision of the form is neither ``accept`` nor ``decline`` nor,
    with ``SEPARATE_ANSWERS``, ``each``, if ``each`` comes without exactly one decision about an edition, if a number
    does not consist of 1 to 10 digits, or if a language is neither ``kk`` nor ``ru``. The digests are not checked.
    """
    each = posted.get("decision") == "each" and conf.get().SEPARATE_ANSWERS
    if not each and posted.get("decision") not in {"accept", "decline"}:
        raise BadRequest("decision must be accept or decline.")
    others = sorted(name.partition(":")[2] for name in posted if name.startswith("edition:"))
    others = [other for other in others if other != slug]
    of_page = [(slug, "")] if "edition" in posted or not others else []
    for name, suffix in [*of_page, *((other, f":{other}") for other in others)]:
        names = ("edition", "digest", "language", "html_digest")
        number, digest, language, html_digest = (posted.get(f"{field}{suffix}", "") for field in names)
        if not (number.isascii() and number.isdecimal() and len(number) <= 10) or language not in languages.LANGUAGES:
            raise BadRequest("edition must be a number, and language kk or ru.")
        decisions = posted.getlist(f"decision:{name}" if each else "decision")
        if decisions not in (["accept"], ["decline"]):
            raise BadRequest(f"decision:{name:.100} must be accept or decline, once.")
        yield PostedAnswer(name, int(number), digest, language, decisions == ["accept"], html_digest)


def _posted_consents(posted: QueryDict) -> list[tuple[str, str]]:
    """Return the consents that the user ticked: the name of each purpose, and the digest of the words beside its
    checkbox. Neither is checked.
    """
    return [(name.partition(":")[2], posted.get(name, "")) for name in posted if name.startswith("consent:")]


def in_order(visit: Visit, answers: Iterable[PostedAnswer]) -> list[PostedAnswer]:
    """Return the answers in the order in which they must be recorded in one transaction: that of the primary keys of
    their agreements, as for deemed acceptances. If two requests of one user recorded the same rows in different orders,
    each would wait for the other. Raises ``Http404`` if an agreement does not exist or has no public edition.
    """
    return sorted(answers, key=lambda answer: visit.timeline(answer.slug).key)


def record_answer(visit: Visit, answer: PostedAnswer) -> Acceptance:
    """Record that the user accepts the edition in this answer by confirmation, and return the row. If they have
    accepted it already and did not withdraw since, nothing is recorded, and the row is that of the earlier acceptance.

    Raises ``Http404`` if the agreement does not exist or has no public edition, and ``StaleEditionError`` if the
    edition does not exist, has another digest or can't be accepted now. It also raises ``StaleEditionError`` if the
    digest of the HTML is neither that of the present HTML nor of one that a user accepted before, and
    ``WithdrawnError`` if the user withdrew and may not accept again without an officer.
    """
    edition, displayed = _edition(visit, answer), None
    if answer.html_digest is not None:
        displayed = DisplayedText.objects.find(edition=edition, language=answer.language, digest=answer.html_digest)
        if displayed is None:
            raise StaleEditionError(edition)
    acceptance: Acceptance = Acceptance.objects.record(
        user=visit.request.user,
        edition=edition,
        digest=answer.digest,
        language=answer.language,
        kind=AcceptanceKind.EXPLICIT,
        request_details=requests.request_details(visit.request),
        displayed=displayed,
    )
    return acceptance


def decline_answer(visit: Visit, answer: PostedAnswer) -> Decline | None:
    """Record that the user declines the edition in this answer, and return the row; that of an earlier decline of the
    edition if there is one. If they have accepted the edition, nothing is recorded, and the result is ``None``. Raises
    ``Http404`` if the agreement does not exist or has no public edition, and ``StaleEditionError`` if the edition does
    not exist, has another digest or can't be declined now.
    """
    edition, timeline = _edition(visit, answer), visit.timeline(answer.slug)
    if is_accepted(timeline, EditionDates.from_edition(edition), user_acceptances(visit)[timeline.key]):
        return None
    decline: Decline = Decline.objects.record(
        user=visit.request.user,
        edition=edition,
        digest=answer.digest,
        language=answer.language,
        request_details=requests.request_details(visit.request),
    )
    return decline


def _accepted_edition(visit: Visit, answer: PostedAnswer) -> AnsweredEdition:
    """Record that the user accepts the edition in this answer (:func:`record_answer`). Return the edition, with the
    moment of their acceptance.
    """
    row, timeline = record_answer(visit, answer), visit.timeline(answer.slug)
    displayed = replace(_display(visit, timeline, row.edition), language=answer.language)
    at = dates.instant(row.at, active_language(), timeline.time_zone, seconds=False)
    return AnsweredEdition(displayed=displayed, accepted_at=at)


def _declined_edition(visit: Visit, answer: PostedAnswer) -> AnsweredEdition:
    """Record that the user declines the edition in this answer (:func:`decline_answer`). Return the edition, with the
    moment of their decline if they have not accepted it.
    """
    decline, timeline = decline_answer(visit, answer), visit.timeline(answer.slug)
    edition = decline.edition if decline else _edition(visit, answer)
    displayed = replace(DisplayedEdition.from_timeline(edition, timeline, visit.at), language=answer.language)
    if decline is None:
        return AnsweredEdition(displayed=displayed)
    in_force, mode = timeline.in_force(visit.at), timeline.acceptance_mode
    binds = in_force is not None and in_force.pk == edition.pk
    binds = binds and timeline.slug not in unbound_agreements(visit.request.user.pk)
    time_left = _grace(timeline, user_acceptances(visit)[timeline.key], visit.at)
    return AnsweredEdition(
        displayed=displayed,
        at=dates.instant(decline.at, active_language(), timeline.time_zone, seconds=False),
        grace=time_left,
        must_accept=binds and mode == AcceptanceMode.BY_CONFIRMATION and not time_left,
        by_use=binds and mode == AcceptanceMode.BY_USE,
    )


def _declined_page(visit: Visit, slug: str, editions: list[AnsweredEdition]) -> HttpResponse:
    """Return the page that states which editions the user declined and when, and what that means for them. If they
    accepted others by the same form, it states these too. ``editions`` may also contain editions that they accepted
    before. ``slug`` is that of the agreement of the page.
    """
    declined = [one for one in editions if one.at]
    some_accepted = any(one.accepted_at for one in editions)
    context = {
        # The page of an agreement that was just accepted would ask about it no more.
        "slug": declined[0].displayed.edition.agreement.slug if declined and some_accepted else slug,
        "next": next_path(visit.request),
        "editions": editions,
        "declined": declined,
        "heading": _("Your answers are recorded") if some_accepted else _("You have not accepted the terms"),
        "must_accept": any(one.must_accept for one in declined),
        "by_use": any(one.by_use for one in declined),
    }
    return visit.render("agreement/account/decline.html", context)


def _edition(visit: Visit, answer: PostedAnswer) -> Edition:
    """Return the edition in this answer, with its agreement. Raises ``Http404`` if the agreement does not exist or has
    no public edition, and ``StaleEditionError`` if the edition does not exist or has another digest. 1 query.
    """
    dated = next((one for one in visit.timeline(answer.slug).editions if one.number == answer.number), None)
    if dated is None or dated.digest != answer.digest:
        raise StaleEditionError(f"{answer.slug} {answer.number}")
    edition: Edition = Edition.objects.select_related("agreement").get(pk=dated.pk)
    return edition


def _grace(timeline: Timeline, rows: Iterable[Acceptance], at: datetime) -> str:
    """Return sentences which state until when one of these acceptances still counts, although none of them is of the
    edition in force, or of an earlier edition from which it differs only in wording; ``""`` if that is not so. The
    acceptances must have the attribute ``current``. Those that a withdrawal has overtaken are ignored.
    """
    until = timeline.grace_until({row.edition_id for row in rows if row.current}, at)
    return grace.sentence(until, timeline.time_zone) if until else ""


def _question_page(visit: Visit, timeline: Timeline, *, stale: Sequence[PostedAnswer] = ()) -> HttpResponse:
    """Return the page with the questions: first the one about this agreement, also if the user has accepted it; then
    those about the other agreements that are accepted by confirmation and that the user has not accepted. Another
    agreement is left out if it does not bind the user, or if the user withdrew from it and may not accept it again
    without an officer.

    ``timeline`` is that of this agreement. ``stale`` are the answers of a form that was not recorded. If there are any,
    the status is 409, and the page states that the text was changed in the meantime, and what changed since the edition
    that the form displayed; if no edition changed, it states that the page was changed. A consent that was ticked stays
    ticked, unless its words have changed. If the user withdrew from this agreement and may not accept again without an
    officer, return a redirect to the withdrawal page. Raises ``Http404`` if no edition of this agreement can be
    accepted.
    """
    accepted = user_acceptances(visit)
    wanted = edition_to_accept(visit, timeline, accepted[timeline.key])
    if wanted is None:
        raise Http404
    withdrawal = withdrawal_in_effect(visit, timeline)
    if withdrawal and not withdrawal.may_accept_again:
        return _redirect_to_withdrawal(visit)
    read = {answer.slug: answer for answer in stale}
    of_page = _question(visit, timeline, wanted, accepted[timeline.key], withdrawal, read.get(timeline.slug))
    questions = [of_page]
    for other, edition, withdrawal in _due(visit, accepted, without=timeline.slug):
        questions.append(_question(visit, other, edition, accepted[other.key], withdrawal, read.get(other.slug)))
    language, way_back = questions[0].displayed.language, next_path(visit.request)
    open_questions = [question for question in questions if not question.is_accepted]
    counterpart = next(code for code in languages.LANGUAGES if code != language)
    purposes = consents.open_purposes(visit.request.user.pk, language)
    posted = _posted_consents(visit.request.POST)
    displayed = {(edition.agreement.slug, edition.number) for edition in (one.displayed.edition for one in questions)}
    context = {
        "slug": timeline.slug,
        "questions": questions,
        "open_questions": open_questions,
        "separate": conf.get().SEPARATE_ANSWERS and len(open_questions) > 1,
        "other": {
            "language": counterpart,
            "path": "?" + urlencode({"language": counterpart} | ({"next": way_back} if way_back else {})),
            "name": COUNTERPART_LABELS[counterpart],
        },
        "consents": purposes,
        "next": way_back,
        "stale": bool(stale),
        "same_editions": displayed.issuperset((answer.slug, answer.number) for answer in stale),
        "ticked": {one.name for one in purposes if (one.name, one.digest) in posted},
    }
    response = visit.render("agreement/account/acceptance.html", context)
    response.status_code = 409 if stale else 200
    return response


def _due(
    visit: Visit, accepted: Mapping[int, Sequence[Acceptance]], *, without: str = ""
) -> Iterator[tuple[Timeline, EditionDates, Withdrawal | None]]:
    """Yield the agreements that the page must ask this user about, in the order of their slugs, each with the edition
    and the withdrawal in effect: those that are accepted by confirmation and bind the user, and that they have not
    accepted and may accept. ``accepted`` are their acceptances by the primary key of the agreement. The agreement with
    the slug ``without`` is left out.
    """
    skipped = {without, *unbound_agreements(visit.request.user.pk)}
    for slug, timeline in sorted(visit.timelines.agreements.items()):
        if slug in skipped or timeline.acceptance_mode != AcceptanceMode.BY_CONFIRMATION:
            continue
        edition = edition_to_accept(visit, timeline, accepted[timeline.key])
        if edition is None or is_accepted(timeline, edition, accepted[timeline.key]):
            continue
        withdrawal = withdrawal_in_effect(visit, timeline)
        if withdrawal is None or withdrawal.may_accept_again:
            yield timeline, edition, withdrawal


def edition_to_accept(visit: Visit, timeline: Timeline, rows: Sequence[Acceptance]) -> EditionDates | None:
    """Return the edition that the page asks about: the one in force, whether or not the user has accepted it. ``None``
    if there is none to ask about. ``rows`` are the user's acceptances in this agreement.

    If the site displays announced editions and lets users accept them (``SHOW_SCHEDULED`` and ``ACCEPT_ANNOUNCED``),
    and the edition in force is accepted already or there is none, return the announced edition instead, if there is
    one.
    """
    in_force, site = timeline.in_force(visit.at), conf.get()
    if site.ACCEPT_ANNOUNCED and site.SHOW_SCHEDULED and (in_force is None or is_accepted(timeline, in_force, rows)):
        return timeline.announced(visit.at) or in_force
    return in_force


def is_accepted(timeline: Timeline, edition: EditionDates, rows: Sequence[Acceptance]) -> bool:
    """Return whether one of these acceptances was not overtaken by a withdrawal, and is of this edition or of an
    earlier one from which it differs only in wording. The acceptances must have the attribute ``current``.
    """
    # Every acceptance is considered: a user who has accepted the next edition in advance is still bound by this one.
    counting = {dated.pk for dated in timeline.counting_editions(edition)}
    return any(row.edition_id in counting and getattr(row, "current", False) for row in rows)


def withdrawal_in_effect(visit: Visit, timeline: Timeline) -> Withdrawal | None:
    """Return the withdrawal because of which the agreement with this user is suspended or ended now, if there is one.
    If only an officer may record another acceptance after it, the page must not ask about the agreement, because
    nothing in the form would be recorded. 1 query, 2 if a withdrawal of the user from the agreement ever took effect.
    """
    return Acceptance.objects.withdrawal_in_effect(user_key=visit.request.user.pk, agreement=timeline.key)


def _redirect_to_withdrawal(visit: Visit) -> HttpResponse:
    """Return a redirect to the withdrawal page, which states the effect of a withdrawal. The parameter ``next`` of the
    request is preserved if it is a path on this site.
    """
    path, following = visit.path("withdraw"), next_path(visit.request)
    return HttpResponseRedirect(f"{path}?{urlencode({'next': following})}" if following else path)


def _question(
    visit: Visit,
    timeline: Timeline,
    edition: EditionDates,
    rows: Sequence[Acceptance],
    withdrawal: Withdrawal | None,
    read: PostedAnswer | None,
) -> AcceptanceQuestion:
    """Return the question about this edition. ``rows`` are the user's acceptances in the agreement, in the order of the
    editions. ``withdrawal`` is the one in effect, or ``None``. ``read`` is the answer about this agreement in a form
    that was not recorded, or ``None``. 1 query, at most 3 if the question has ``changes``.
    """
    new = _in_requested_language(visit, visit.display(timeline, edition))
    last = next((row for row in reversed(without_cancelled(rows)) if (row.edition.number or 0) <= edition.number), None)
    question = AcceptanceQuestion(
        displayed=new,
        article=new.edition.article(new.language),
        last=display_acceptance(last, timeline, _display(visit, timeline, last.edition)) if last else None,
        is_accepted=is_accepted(timeline, edition, rows),
        grace=_grace(timeline, rows, visit.at),
        withdrawn=withdrawal_sentence(withdrawal, new) if withdrawal else "",
    )
    was_read = _edition_read(visit, timeline, read)
    if was_read and was_read.pk == edition.pk:
        if read and visit.request.POST.get("decision") == "each":
            question = replace(question, chosen="accept" if read.accepts else "decline")
        was_read = None
    since = was_read.pk if was_read else last.edition_id if last else edition.pk
    if since == edition.pk:
        return question
    old_edition = Edition.objects.select_related("agreement").get(pk=since)
    after = [dated for dated in timeline.binding if (old_edition.number or 0) < dated.number <= edition.number]
    missed = visit.display_without_texts((timeline, dated) for dated in after)
    return replace(
        question,
        missed=tuple(replace(one, language=new.language) for one in missed),
        changes=Comparison(replace(_display(visit, timeline, old_edition), language=new.language), new),
        was_read=was_read is not None,
    )


def _display(visit: Visit, timeline: Timeline, edition: Edition) -> DisplayedEdition:
    return DisplayedEdition.from_timeline(edition, timeline, visit.at)


def _edition_read(visit: Visit, timeline: Timeline, read: PostedAnswer | None) -> EditionDates | None:
    """Return the edition that a posted form displayed: a public one with the posted number and digest. ``None`` if
    there is no such edition, or if ``read`` is ``None``.
    """
    posted = read and (read.number, read.digest)
    return next((one for one in visit.public(timeline) if (one.number, one.digest) == posted), None)


def _in_requested_language(visit: Visit, edition: DisplayedEdition) -> DisplayedEdition:
    """Return the edition in the language that the posted field ``language`` names or, if it is missing or empty, the
    parameter ``?language=``. If that is neither ``kk`` nor ``ru``, return ``edition`` unchanged.
    """
    language = visit.request.POST.get("language") or visit.request.GET.get("language")
    return replace(edition, language=language) if language in languages.LANGUAGES else edition
