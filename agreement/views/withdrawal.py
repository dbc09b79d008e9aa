"""Pages on which a signed-in user withdraws consent, sees its effect, and downloads their evidence."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from zoneinfo import ZoneInfo

from django.core.exceptions import BadRequest
from django.db import transaction
from django.http import HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase

from agreement import conf
from agreement.acceptance import consents
from agreement.conf import active_language
from agreement.editions.display import DisplayedEdition, text_language
from agreement.evidence import export_user
from agreement.evidence.bundle import bundle_response
from agreement.models import Acceptance, Agreement, Withdrawal
from agreement.notices import withdrawal_letters
from agreement.notices.withdrawal_letters import WithdrawalReply
from agreement.text import dates
from agreement.views.account import account_page, next_path
from agreement.views.base import Visit
from agreement.views.record import record_page


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementEffect:
    """An agreement, and the withdrawal that suspended or ended it for this user."""

    displayed: DisplayedEdition
    withdrawal: Withdrawal | None

    @property
    def withdrawn_at(self) -> str:
        """When the withdrawal took effect, in words of the page's language."""
        at = self.withdrawal and self.withdrawal.effective_at
        return dates.instant(at, active_language(), self.displayed.edition.agreement.time_zone) if at else ""


@account_page("GET", "HEAD", "POST")
def withdraw(visit: Visit) -> HttpResponse:
    """The effect of withdrawals on each agreement, the replies to this user, and the form, if the site has one."""
    outcome = conf.get().FILE_WITHDRAWALS
    user = visit.request.user
    if visit.request.method == "POST":
        if not outcome:
            raise BadRequest("This site takes written applications only.")
        _register(visit, outcome)
        return HttpResponseRedirect(visit.path("withdraw"))
    effects = []
    for timeline in visit.timelines.agreements.values():
        if edition := timeline.in_force(visit.at):
            withdrawal = Acceptance.objects.withdrawal_in_effect(user_key=user.pk, agreement=timeline.key)
            (displayed,) = visit.display_without_texts([(timeline, edition)])
            effects.append(AgreementEffect(displayed=displayed, withdrawal=withdrawal))
    language = text_language()
    rows = Withdrawal.objects.filter(user=user.pk).select_related("agreement", "edition").order_by("-pk")[:50]
    replies: list[WithdrawalReply] = [withdrawal_letters.withdrawal_reply(row, language) for row in rows]
    context = {
        "effects": effects,
        "replies": replies,
        "files_withdrawals": bool(outcome),
        "next": next_path(visit.request),
    }
    return visit.render("agreement/account/withdrawal.html", context)


def _register(visit: Visit, outcome: str) -> None:
    """Register the withdrawal that the form states. Nothing changes if the user has withdrawn before."""
    timeline = visit.timelines.agreements.get(visit.request.POST.get("agreement", ""))
    if timeline is None or visit.request.POST.get("confirm") != "yes":
        raise BadRequest("agreement must name one, and confirm must be yes.")
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
    """Give a consent to data in the words of the posted digest, or withdraw it. Nothing else changes."""
    posted, user = visit.request.POST, visit.request.user
    name, decision = posted.get("purpose", ""), posted.get("decision")
    if decision not in {"give", "withdraw"}:
        raise BadRequest("decision must be give or withdraw.")
    if decision == "withdraw":
        if "\x00" in name:  # PostgreSQL refuses a query with it.
            raise BadRequest("purpose must name one.")
        consents.withdraw(user, name)
    else:
        try:
            consents.give(user, [(name, posted.get("digest", ""))])
        except consents.StaleWording:
            response = record_page(visit, stale_wording=True)
            response.status_code = 409
            return response
    return HttpResponseRedirect(f"{visit.path('record')}#consents")


@account_page("GET")
def evidence_mine(visit: Visit) -> HttpResponseBase:
    """The user's evidence, as an officer could export it now. Without any, a redirect to the record, which says so."""
    user = visit.request.user
    try:
        return bundle_response(partial(export_user, user.pk, at=visit.at, by=user), filename="evidence.zip")
    except LookupError:
        return HttpResponseRedirect(visit.path("record"))
