"""The page with a signed-in user's record: their acceptances, declines, consents, withdrawals, and the notices to
them.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

from django.db.models import Exists, Model, OuterRef, QuerySet
from django.http import HttpResponse
from django.utils.translation import gettext as _

from agreement import conf
from agreement.acceptance import consents
from agreement.conf import active_language
from agreement.editions.changes import Comparison
from agreement.editions.display import DisplayedEdition, text_language
from agreement.editions.timeline import Timeline
from agreement.evidence import receipts
from agreement.models import (
    Acceptance,
    AcceptanceKind,
    Consent,
    Decline,
    Delivery,
    DeliveryOutcome,
    LogEntry,
    Withdrawal,
    WithdrawalOutcome,
)
from agreement.models.agreements import AcceptanceMode
from agreement.models.ledger_labels import known_reason
from agreement.models.log import LogKind
from agreement.models.membership import Binding, Membership, unbound_agreements
from agreement.models.succession import State
from agreement.text import dates
from agreement.views.account import (
    DisplayedAcceptance,
    account_page,
    display_acceptance,
    next_path,
    text_columns,
    user_acceptances,
)
from agreement.views.base import Visit

#: How many entries of each kind the record displays, the latest first.
MAX_ENTRIES = 200
#: For how long the page states that an acceptance was recorded. The user is led here after they accepted.
NEW_SECONDS = 60

Entry = TypeVar("Entry", bound=Model)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedAcceptance:
    """A row of the table of acceptances: an acceptance, its effect until now, and what the user can do about it."""

    accepted: DisplayedAcceptance
    day: str
    """The day of the acceptance in words, in the language of the page."""
    manner: str
    """The kind of the acceptance in words and, unless it is deemed or the language is not known, the language of the
    accepted text."""
    state: str
    """``in_force`` if the acceptance binds the user now, ``scheduled`` if its edition takes effect later, ``ended`` or
    ``suspended`` by a withdrawal, ``superseded`` by a later acceptance or edition, ``cancelled`` with its edition."""
    state_words: str
    """The state in words, in the language of the page, with its day or with the number of the edition that binds the
    user now, if it has one."""
    to_accept: int = 0
    """The number of the edition in force, if it does not bind the user, the page offers them to accept it, and this is
    their latest acceptance in the agreement. 0 otherwise."""
    receipt: str = ""
    """The path of its receipt; ``""`` if the site makes no receipts, or if its personal data is erased."""
    awaits_log: bool = False
    """Whether the site signs its logs, and the acceptance is in none yet."""
    is_new: bool = False
    """Whether the user confirmed it within the last ``NEW_SECONDS``, so that the page states that it was recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserMembership:
    """The user's acceptances of one agreement, their withdrawals from it, and the edition that binds them now."""

    timeline: Timeline
    membership: Membership[Acceptance]
    withdrawal: Withdrawal | None
    """The withdrawal in effect, if no edition binds the user because of it; the strictest, if there are several."""
    bound: tuple[int, int] | None
    """The number of the edition that binds the user now, and the primary key of the acceptance by which it does;
    ``None`` if no edition binds the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedWithdrawal:
    """An entry of the list of withdrawals, with what the user can do about it."""

    withdrawal: Withdrawal
    registered_at: str
    """When it was registered, in words."""
    effective_at: str
    """When it takes effect, in words; ``""`` for a refused one."""
    edition: DisplayedEdition | None
    """The edition of the agreement in force; ``None`` if there is none."""
    is_in_effect: bool
    """Whether no edition binds the user because of this withdrawal, and the agreement has an edition in force."""
    is_accepted_elsewhere: bool
    """Whether no page of the site asks for the acceptance of this agreement."""


def memberships(visit: Visit) -> dict[int, UserMembership]:
    """Return the user's membership in each agreement that has a sealed edition, by the primary key of the agreement. An
    agreement that the user never accepted has one too. 2 queries.
    """
    accepted = user_acceptances(visit)
    withdrawals: dict[int, list[Withdrawal]] = defaultdict(list)
    for row in Withdrawal.objects.filter(user=visit.request.user.pk).select_related("agreement"):
        withdrawals[row.agreement_id].append(row)
    found = {}
    for timeline in visit.timelines.agreements.values():
        membership = Membership(
            acceptances=accepted[timeline.key], withdrawals=withdrawals[timeline.key], editions=timeline.editions
        )
        bound = membership.bound_by(visit.at)
        overtaking = membership.withdrawals_in_effect
        in_effect = [row for row in overtaking if row.effective_at and row.effective_at <= visit.at]
        found[timeline.key] = UserMembership(
            timeline=timeline,
            membership=membership,
            withdrawal=None if bound else max(in_effect, key=Withdrawal.strictness, default=None),
            bound=(bound[0].number, bound[1].acceptance.pk) if bound else None,
        )
    return found


def in_page_order(own: dict[int, UserMembership]) -> list[UserMembership]:
    """Return the memberships in the order in which a page lists the agreements: first that of ``DEFAULT_AGREEMENT``,
    then those of the other agreements that are accepted on the site, then those of agreements that are accepted
    elsewhere; in each group by slug. ``own`` is the result of :func:`memberships`.
    """
    default = conf.get().DEFAULT_AGREEMENT

    def order(one: UserMembership) -> tuple[bool, bool, str]:
        timeline = one.timeline
        return timeline.slug != default, timeline.acceptance_mode == AcceptanceMode.ELSEWHERE, timeline.slug

    return sorted(own.values(), key=order)


def withdrawable(own: dict[int, UserMembership], at: datetime, *, has_consents: bool) -> list[UserMembership]:
    """Return the memberships that the user can end by a withdrawal, in the order of :func:`in_page_order`: those in an
    agreement that has an edition in force at the instant ``at`` and binds the user. If the user gave a consent that is
    not withdrawn (``has_consents``), the first agreement in that order with an edition in force is one of them too,
    unless a withdrawal from it is in effect. A consent belongs to no agreement, so a consent alone makes no other
    agreement withdrawable. ``own`` is the result of :func:`memberships`.
    """
    listed = [one for one in in_page_order(own) if one.timeline.in_force(at)]
    return [
        one for place, one in enumerate(listed) if one.bound or (has_consents and place == 0 and not one.withdrawal)
    ]


def blocks(own: UserMembership, unbound: frozenset[str]) -> bool:
    """Return whether pages of the site become unavailable to the user when they withdraw from this agreement. That is
    not so for an agreement that is accepted elsewhere, and for one that does not bind the user. ``unbound`` are the
    slugs of the latter, the result of :func:`agreement.models.membership.unbound_agreements`.
    """
    return own.timeline.acceptance_mode != AcceptanceMode.ELSEWHERE and own.timeline.slug not in unbound


@account_page("GET", "HEAD")
def record(visit: Visit) -> HttpResponse:
    """The page with the record of the signed-in user: their latest acceptances, declines, consents, withdrawals and
    deliveries of notices.
    """
    return record_page(visit)


def record_page(visit: Visit, *, stale_wording: bool = False) -> HttpResponse:
    """Return the page with the record of the user: the latest ``MAX_ENTRIES`` acceptances, declines, consents,
    withdrawals and deliveries of notices, each the latest first, and the consents that the site still asks for.
    Deliveries that still wait are left out. If there are more entries, the page states this. If the user has just
    accepted an edition and the request has a path in ``next``, the page links to it.

    With ``stale_wording=True`` the page states that a consent was not recorded, because its words had changed; the
    status is 200 nevertheless.
    """
    own = memberships(visit)
    acceptances, more_acceptances = _acceptances(visit, own)
    given, more_consents = _consents(visit)
    declines, more_declines = _declines(visit)
    withdrawals, more_withdrawals = _withdrawals(visit, own)
    has_consents = any(row.withdrawn_at is None or row.withdrawn_at > visit.at for row, _given, _withdrawn in given)
    to_withdraw = withdrawable(own, visit.at, has_consents=has_consents)
    unbound = unbound_agreements(visit.request.user.pk)
    notices, more_notices = _notices(visit)
    context = {
        "acceptances": acceptances,
        "unaccepted": _unaccepted(visit, own, unbound),
        "declines": declines,
        "given_consents": given,
        "consents": consents.open_purposes(visit.request.user.pk, text_language()),
        "withdrawals": withdrawals,
        "notices": notices,
        "truncated": any((more_acceptances, more_declines, more_consents, more_withdrawals, more_notices)),
        "at": visit.at,
        "now": _in_words(visit.at, conf.time_zone()),
        "user_name": getattr(visit.request.user, "get_full_name", str)() or visit.request.user.get_username(),
        "files_withdrawals": conf.get().FILE_WITHDRAWALS,
        "may_withdraw": bool(to_withdraw),
        "has_consents": has_consents,
        "withdrawal_blocks": any(blocks(one, unbound) for one in to_withdraw),
        "next": next_path(visit.request),
        "stale_wording": stale_wording,
    }
    return visit.render("agreement/account/record.html", context)


def _acceptances(visit: Visit, own: dict[int, UserMembership]) -> tuple[list[RecordedAcceptance], bool]:
    """Return the latest ``MAX_ENTRIES`` acceptances, the latest first, and whether there are more. Each has the changes
    since the one before it in the same agreement, unless both are of the same edition or the one before is too old to
    be returned. An acceptance of an edition that ``visit.timelines`` does not contain yet is left out. ``own`` is the
    result of :func:`memberships`. 1 query, and 1 more if the site has ``AUDIENCES``. A redline that is not remembered
    costs at most 2 queries when it is displayed.
    """
    logged = LogEntry.objects.filter(kind=LogKind.ACCEPTANCE, row=OuterRef("pk"))
    rows = Acceptance.objects.filter(user=visit.request.user.pk).select_related("edition__agreement")
    rows = rows.annotate(is_logged=Exists(logged))
    latest, more = _latest(rows.defer(*text_columns("edition")).order_by("-at", "-pk"))
    displayed: list[RecordedAcceptance] = []
    previous: dict[int, DisplayedEdition] = {}
    last, unbound = {}, unbound_agreements(visit.request.user.pk)
    for row in reversed(latest):
        timeline = visit.timelines.containing(row.edition_id)
        if timeline is None:
            continue
        new, old = DisplayedEdition.from_timeline(row.edition, timeline, visit.at), previous.get(timeline.key)
        changes = Comparison(old, new) if old and old.edition.pk != row.edition_id else None
        previous[timeline.key] = new
        accepted = display_acceptance(row, timeline, new, changes)
        awaits_log = bool(conf.get().LOG_KEY) and not getattr(row, "is_logged", False)  # An annotation.
        displayed.append(replace(_recorded(visit, own[timeline.key], accepted), awaits_log=awaits_log))
        last[timeline.key] = len(displayed) - 1
    for key, place in last.items():
        if own[key].timeline.slug not in unbound and (number := _to_accept(visit, own[key])):
            displayed[place] = replace(displayed[place], to_accept=number)
    return displayed[::-1], more


def _unaccepted(
    visit: Visit, own: dict[int, UserMembership], unbound: frozenset[str]
) -> list[tuple[DisplayedEdition, bool]]:
    """Return the editions in force of the agreements that the user never accepted and can accept on this site, in the
    order of :func:`in_page_order`. Each is with whether its agreement is accepted by use. ``own`` is the result of
    :func:`memberships`, and ``unbound`` that of :func:`agreement.models.membership.unbound_agreements`. 1 query; none
    if there is no such agreement.
    """
    found = [
        (one.timeline, edition)
        for one in in_page_order(own)
        if (edition := one.timeline.in_force(visit.at))
        and not one.membership.acceptances
        and not one.withdrawal
        and blocks(one, unbound)
    ]
    by_use = [timeline.acceptance_mode == AcceptanceMode.BY_USE for timeline, _edition in found]
    return list(zip(visit.display_without_texts(found), by_use, strict=True))


def _recorded(visit: Visit, own: UserMembership, accepted: DisplayedAcceptance) -> RecordedAcceptance:
    """Return the row of the table for this acceptance. ``own`` is the user's membership in its agreement. It makes no
    query.
    """
    row, timeline = accepted.acceptance, own.timeline
    binding = own.membership.binding(row, until=visit.at)
    state, words = _state(visit, own, accepted.edition, binding)
    kind = row.get_kind_display()
    language = {"kk": _("the Kazakh text"), "ru": _("the Russian text")}.get(row.language[:2])
    # A deemed acceptance has the language of the site: no text was displayed.
    manner = kind if language is None or row.kind == AcceptanceKind.DEEMED else f"{kind}, {language}"
    day = dates.day(row.at, active_language(), timeline.time_zone)
    is_new = row.kind == AcceptanceKind.EXPLICIT and visit.at - row.at < timedelta(seconds=NEW_SECONDS)
    offered = receipts.is_offered() and not row.erased_at
    return RecordedAcceptance(
        accepted=accepted,
        day=day,
        manner=manner,
        state=state,
        state_words=words,
        receipt=visit.path("receipt", row.pk, text_language()) if offered else "",
        is_new=is_new,
    )


def _state(
    visit: Visit, own: UserMembership, edition: DisplayedEdition, binding: Binding[Acceptance]
) -> tuple[str, str]:
    """Return the state of an acceptance, as in :attr:`RecordedAcceptance.state`, and the state in words, as in
    :attr:`RecordedAcceptance.state_words`. ``edition`` is the accepted edition, ``binding`` the effect of the
    acceptance until now, and ``own`` the user's membership in the agreement.
    """
    zone, withdrawal = own.timeline.time_zone, binding.withdrawal
    if binding.ended_at and withdrawal and binding.ended_at <= visit.at:
        values = {"day": dates.day(binding.ended_at, active_language(), zone, "on")}
        if withdrawal.outcome == WithdrawalOutcome.ENDED:
            return "ended", _("ended on %(day)s") % values
        return "suspended", _("suspended on %(day)s") % values
    if edition.state == State.CANCELLED:
        return "cancelled", _("the edition was cancelled")
    if own.bound and own.bound[1] == binding.acceptance.pk:
        if binding.ended_at:
            values = {"day": dates.day(binding.ended_at, active_language(), zone, "until")}
            return "in_force", _("in force for you until %(day)s") % values
        if own.bound[0] != edition.edition.number:
            return "in_force", _("in force for you, with edition %(number)s") % {"number": own.bound[0]}
        return "in_force", _("in force for you")
    effective_from = edition.edition.effective_from
    if edition.state == State.SCHEDULED and effective_from:
        values = {"day": dates.day(effective_from, active_language(), zone, "on")}
        return "scheduled", _("takes effect on %(day)s") % values
    if own.bound:
        return "superseded", _("replaced by edition %(number)s") % {"number": own.bound[0]}
    return "superseded", _("no longer in force for you")


def _to_accept(visit: Visit, own: UserMembership) -> int:
    """Return the number of the edition in force if it does not bind the user and the page offers them to accept it;
    else 0. While a withdrawal is in effect, the page offers this if the user may accept again without an officer. While
    no withdrawal is in effect, it offers this if the agreement is accepted by confirmation.
    """
    in_force = own.timeline.in_force(visit.at)
    if in_force is None or (own.bound and own.bound[0] == in_force.number):
        return 0
    if own.withdrawal:
        return in_force.number if own.withdrawal.may_accept_again else 0
    return in_force.number if own.timeline.acceptance_mode == AcceptanceMode.BY_CONFIRMATION else 0


def _declines(visit: Visit) -> tuple[list[tuple[Decline, DisplayedEdition, str]], bool]:
    """Return the latest ``MAX_ENTRIES`` declines, the latest first, and whether there are more. Each is with its
    edition and its moment in words. A decline of an edition that ``visit.timelines`` does not contain yet is left out.
    1 query.
    """
    rows = Decline.objects.filter(user=visit.request.user.pk).with_accepted().select_related("edition__agreement")
    latest, more = _latest(rows.defer(*text_columns("edition")).order_by("-at", "-pk"))
    found = []
    for row in latest:
        if timeline := visit.timelines.containing(row.edition_id):
            displayed = DisplayedEdition.from_timeline(row.edition, timeline, visit.at)
            found.append((row, displayed, _in_words(row.at, timeline.time_zone)))
    return found, more


def _consents(visit: Visit) -> tuple[list[tuple[Consent, str, str]], bool]:
    """Return the latest ``MAX_ENTRIES`` consents, the latest first, and whether there are more. Withdrawn ones are
    included. Each is with the moments in words when it was given and when it was or will be withdrawn; the second is
    ``""`` if no withdrawal is recorded. 1 query.
    """
    rows, more = _latest(Consent.objects.filter(user=visit.request.user.pk).order_by("-pk"))
    zone = conf.time_zone()
    return [(row, _in_words(row.given_at, zone), _in_words(row.withdrawn_at, zone)) for row in rows], more


def _withdrawals(visit: Visit, own: dict[int, UserMembership]) -> tuple[list[RecordedWithdrawal], bool]:
    """Return the latest ``MAX_ENTRIES`` withdrawals of the user of the request, from all agreements, and whether there
    are more. The latest is first. Refused ones are included. ``own`` is the result of :func:`memberships`. 1 query, and
    1 more if any of the agreements has an edition in force.
    """
    withdrawals = Withdrawal.objects.filter(user=visit.request.user.pk).select_related("agreement")
    rows, more = _latest(withdrawals.order_by("-pk"))
    withdrawn = [own[key] for key in {row.agreement_id for row in rows} if key in own]
    in_force = [(one.timeline, edition) for one in withdrawn if (edition := one.timeline.in_force(visit.at))]
    editions = {one.edition.agreement_id: one for one in visit.display_without_texts(in_force)}
    return [_recorded_withdrawal(row, own.get(row.agreement_id), editions.get(row.agreement_id)) for row in rows], more


def _recorded_withdrawal(
    row: Withdrawal, own: UserMembership | None, edition: DisplayedEdition | None
) -> RecordedWithdrawal:
    """Return the entry of the list for this withdrawal. ``own`` is the user's membership in its agreement; ``None`` if
    no edition of the agreement is sealed. ``edition`` is the edition in force; ``None`` if there is none. In both cases
    the withdrawal does not count as one in effect. It makes no query.
    """
    zone = row.agreement.time_zone
    return RecordedWithdrawal(
        withdrawal=row,
        registered_at=_in_words(row.registered_at, zone),
        effective_at=_in_words(row.effective_at, zone),
        edition=edition,
        is_in_effect=bool(own and edition and own.withdrawal and own.withdrawal.pk == row.pk),
        is_accepted_elsewhere=bool(own and own.timeline.acceptance_mode == AcceptanceMode.ELSEWHERE),
    )


def _notices(visit: Visit) -> tuple[list[tuple[Delivery, DisplayedEdition, str, str]], bool]:
    """Return the latest ``MAX_ENTRIES`` deliveries that were sent, failed or were skipped, the latest outcome first,
    and whether there are more. Each is with the edition of its notice, the moment of the outcome in words, and the
    reason in words if no message was sent; ``""`` for a reason that has no words, such as the answer of a mail server.
    A delivery about an edition that ``visit.timelines`` does not contain yet is left out. 1 query.
    """
    rows = Delivery.objects.filter(user=visit.request.user.pk).exclude(outcome=DeliveryOutcome.WAITING)
    rows = rows.select_related("notice__edition__agreement").defer(*text_columns("notice__edition"))
    latest, more = _latest(rows.order_by("-outcome_at"))
    found = []
    for row in latest:
        edition = row.notice.edition
        timeline = visit.timelines.containing(edition.pk)
        if timeline is None:
            continue
        displayed = DisplayedEdition.from_timeline(edition, timeline, visit.at)
        at = _in_words(row.outcome_at, edition.agreement.time_zone)
        found.append((row, displayed, at, known_reason(row.reason)))
    return found, more


def _latest(rows: QuerySet[Entry]) -> tuple[list[Entry], bool]:
    """Return the first ``MAX_ENTRIES`` of the rows, and whether there are more. 1 query."""
    found = list(rows[: MAX_ENTRIES + 1])
    return found[:MAX_ENTRIES], len(found) > MAX_ENTRIES


def _in_words(at: datetime | None, time_zone: str) -> str:
    """Return the moment in words in the active language, without seconds; ``""`` for ``None``."""
    return dates.instant(at, active_language(), time_zone, seconds=False) if at else ""
