"""The pages on which signed-in users withdraw from an agreement, give and withdraw consents to data processing, and
download their evidence.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from zoneinfo import ZoneInfo

from django.core.exceptions import BadRequest
from django.db import transaction
from django.db.models import Q
from django.http import HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils.http import urlencode

from agreement import conf
from agreement.acceptance import consents
from agreement.editions.display import DisplayedEdition, text_language
from agreement.evidence import export_user
from agreement.evidence.bundle import bundle_response
from agreement.models import Acceptance, Agreement, Consent, Withdrawal, WithdrawalOutcome
from agreement.models.membership import unbound_agreements
from agreement.notices import withdrawal_letters
from agreement.notices.withdrawal_letters import WithdrawalReply
from agreement.retention import years_after_end
from agreement.views.account import account_page, next_path, withdrawal_sentence
from agreement.views.base import Visit
from agreement.views.record import (
    UserMembership,
    blocks,
    in_page_order,
    memberships,
    record_page,
    withdrawable,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementEffect:
    """An agreement with an edition in force, and the withdrawal by which it is suspended or ended for this user, if
    there is one; or what a withdrawal would do.
    """

    displayed: DisplayedEdition
    """The edition in force."""
    withdrawal: Withdrawal | None
    """The strictest one, if several are in effect; ``None`` if none is."""
    is_bound: bool
    """Whether an edition of the agreement binds the user now."""
    is_withdrawable: bool
    """Whether the user can withdraw from the agreement (:func:`agreement.views.record.withdrawable`)."""
    blocks: bool
    """Whether the withdrawal makes pages of the site unavailable to the user."""
    years: int = 0
    """For how many years the data of the user is stored if they end the agreement now. 0 if they can't, or if a
    withdrawal on this site does not end an agreement."""

    @property
    def sentence(self) -> str:
        """A sentence in the language of the page: on which day the withdrawal suspended or ended the agreement, and its
        number. ``""`` without a withdrawal.
        """
        return withdrawal_sentence(self.withdrawal, self.displayed) if self.withdrawal else ""


@account_page("GET", "HEAD", "POST")
def withdraw(visit: Visit) -> HttpResponse:
    """The page with the agreements from which the user withdrew or can withdraw, and the replies to the last 50
    applications of this user, the latest first, refused ones too. If there is no such agreement, the page states of
    each agreement with an edition in force that it is not in force for the user. If the request has a path in ``next``
    and a withdrawal makes pages unavailable to the user, the page states why it is displayed in place of that page.

    If the setting ``FILE_WITHDRAWALS`` is not empty, the page has a form for each agreement from which the user can
    withdraw (:func:`agreement.views.record.withdrawable`), but none for a person who acts in the name of the user. A
    POST about such an agreement registers a withdrawal. Every POST is redirected to this page. Raises ``BadRequest``
    for a POST if the setting is empty, or if a field is missing or invalid.
    """
    outcome = conf.get().FILE_WITHDRAWALS
    user, own = visit.request.user, memberships(visit)
    given = Consent.objects.filter(Q(withdrawn_at=None) | Q(withdrawn_at__gt=visit.at), user=user.pk)
    has_consents = given.exists()
    to_withdraw = {one.timeline.slug for one in withdrawable(own, visit.at, has_consents=has_consents)}
    if visit.request.method == "POST":
        if not outcome:
            raise BadRequest("This site accepts written applications only.")
        _register(visit, outcome, to_withdraw)
        return HttpResponseRedirect(visit.path("withdraw"))
    effects = _effects(visit, own, to_withdraw)
    language, following = text_language(), next_path(visit.request)
    rows = Withdrawal.objects.filter(user=user.pk).select_related("agreement", "edition").order_by("-pk")[:50]
    replies: list[WithdrawalReply] = [withdrawal_letters.withdrawal_reply(row, language) for row in rows]
    context = {
        "effects": [one for one in effects if one.withdrawal or one.is_withdrawable] or effects,
        "is_withdrawable": bool(to_withdraw),
        # The gate leads here from a page that the user may not open.
        "is_refused": bool(following) and any(one.withdrawal and one.blocks for one in effects),
        "replies": replies,
        "files_withdrawals": outcome,
        "has_consents": has_consents,
        # After the acceptance the record confirms it, and links to the page that the user wanted.
        "next": f"{visit.path('record')}?{urlencode({'next': following})}" if following else "",
    }
    return visit.render("agreement/account/withdrawal.html", context)


def _effects(visit: Visit, own: dict[int, UserMembership], to_withdraw: Collection[str]) -> list[AgreementEffect]:
    """Return the agreements that have an edition in force, in the order of
    :func:`agreement.views.record.in_page_order`. ``own`` is the user's membership in each agreement, and
    ``to_withdraw`` are the slugs of those from which they can withdraw.
    """
    user, ends = visit.request.user, conf.get().FILE_WITHDRAWALS != WithdrawalOutcome.SUSPENDED
    unbound, effects = unbound_agreements(user.pk), []
    for one in in_page_order(own):
        if edition := one.timeline.in_force(visit.at):
            (displayed,) = visit.display_without_texts([(one.timeline, edition)])
            is_withdrawable = one.timeline.slug in to_withdraw
            effects.append(
                AgreementEffect(
                    displayed=displayed,
                    withdrawal=one.withdrawal,
                    is_bound=one.bound is not None,
                    is_withdrawable=is_withdrawable,
                    blocks=blocks(one, unbound),
                    years=years_after_end(user.pk, one.timeline.key, visit.at) if is_withdrawable and ends else 0,
                )
            )
    return effects


def _register(visit: Visit, outcome: str, to_withdraw: Collection[str]) -> None:
    """Register the withdrawal that the form states, and withdraw the user's consents. It takes effect now, and the user
    may accept again without an officer. ``outcome`` is its effect: ``suspended`` or ``ended``. ``to_withdraw`` are the
    slugs of the agreements from which the user can withdraw; nothing is registered for another one, and if a withdrawal
    from the same agreement is in effect already. The agreement is locked while this runs.

    Raises ``BadRequest`` if the field ``agreement`` is not the slug of an agreement with a sealed edition, or if the
    field ``confirm`` is not ``yes``.
    """
    timeline = visit.timelines.agreements.get(visit.request.POST.get("agreement", ""))
    if timeline is None or visit.request.POST.get("confirm") != "yes":
        raise BadRequest("agreement must be the slug of an agreement, and confirm must be yes.")
    if timeline.slug not in to_withdraw:
        return
    agreement = Agreement.objects.get(pk=timeline.key)
    user = visit.request.user
    with transaction.atomic():
        agreement.lock()
        if Acceptance.objects.withdrawal_in_effect(user_key=user.pk, agreement=agreement.pk):
            return
        Withdrawal.objects.register(
            agreement=agreement,
            user=user,
            outcome=outcome,
            received_on=visit.at.astimezone(ZoneInfo(agreement.time_zone)).date(),
            language=text_language(),
        )


@account_page("POST")
def consent(visit: Visit) -> HttpResponse:
    """Record or withdraw a consent to the processing of personal data, and redirect to the record.

    The posted ``purpose`` is the name of the consent. If the posted ``decision`` is ``give``, the posted ``digest``
    identifies the displayed words. If it is not that of the site's present words, or if the site has no such purpose,
    no consent is recorded, and the response is the record with the status 409. If the user has given a consent for the
    purpose in these words already, and no withdrawal of it is recorded, it is not recorded again. If ``decision`` is
    ``withdraw``, all consents of the user for the purpose are withdrawn, whatever their words were. If there are none,
    nothing is changed.

    Raises ``BadRequest`` if ``decision`` is neither ``give`` nor ``withdraw``, or if a purpose to withdraw contains a
    NUL character.
    """
    posted, user = visit.request.POST, visit.request.user
    name, decision = posted.get("purpose", ""), posted.get("decision")
    if decision not in {"give", "withdraw"}:
        raise BadRequest("decision must be give or withdraw.")
    if decision == "withdraw":
        if "\x00" in name:  # PostgreSQL does not accept NUL in a query.
            raise BadRequest("purpose must be the name of a consent.")
        consents.withdraw(user, name)
    else:
        try:
            consents.give(user, [(name, posted.get("digest", ""))])
        except consents.StaleWording:
            response = record_page(visit, stale_wording=True)
            response.status_code = 409
            return response
    return HttpResponseRedirect(f"{visit.path('record')}#consents")


@account_page("GET", of_user_alone=True)
def evidence_mine(visit: Visit) -> HttpResponseBase:
    """A download of the evidence about this user, ``evidence.zip``, with the same content that an officer would export
    now. What is not in the logs yet is entered first. The export adds an audit entry about the user. If there is no
    evidence, nothing is recorded, and the response is a redirect to the record.
    """
    user = visit.request.user
    try:
        return bundle_response(partial(export_user, user.pk, by=user), filename="evidence.zip")
    except LookupError:
        return HttpResponseRedirect(visit.path("record"))
