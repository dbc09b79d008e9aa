"""A signed-in user's way out: to withdraw consent, to see what became of it, and to take his evidence along."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from django.core.exceptions import BadRequest
from django.db import transaction
from django.http import FileResponse, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase

from agreement import conf, consents, dates, evidence, withdrawing
from agreement.models import Acceptance, Agreement, Withdrawal
from agreement.pages import Visit
from agreement.personal import next_path, personal, record_page
from agreement.shown import Shown, frame
from agreement.withdrawing import Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """An agreement, and what a withdrawal did to it for this user."""

    shown: Shown
    departure: Withdrawal | None

    @property
    def left_at(self) -> str:
        """Since when the user is outside, as the page's language writes it."""
        at = self.departure and self.departure.effective_at
        return dates.instant(at, frame(), self.shown.edition.agreement.time_zone) if at else ""


@personal("GET", "HEAD", "POST")
def withdraw(visit: Visit) -> HttpResponse:
    """Where each agreement stands with this user, every reply he got, and, if the site takes them here, the form."""
    outcome = conf.get().FILE_WITHDRAWALS
    user = visit.request.user
    if visit.request.method == "POST":
        if not outcome:
            raise BadRequest("This site takes written applications only.")
        _file(visit, outcome)
        return HttpResponseRedirect(visit.path("withdraw"))
    standings = []
    for timeline in visit.timelines.agreements.values():
        if edition := timeline.in_force(visit.at):
            departure = Acceptance.objects.departure(user_key=user.pk, agreement=timeline.key)
            standings.append(Standing(shown=visit.listed([(timeline, edition)])[0], departure=departure))
    language = frame() if frame() in conf.LANGUAGES else conf.LANGUAGES[0]
    rows = Withdrawal.objects.filter(user=user.pk).select_related("agreement", "edition").order_by("-pk")[:50]
    replies: list[Reply] = [withdrawing.reply(row, language) for row in rows]
    context = {"standings": standings, "replies": replies, "files": bool(outcome), "next": next_path(visit.request)}
    return visit.render("agreement/withdraw.html", context)


def _file(visit: Visit, outcome: str) -> None:
    """Register what the user asks for; an agreement he is outside of already is left as it is."""
    timeline = visit.timelines.agreements.get(visit.request.POST.get("agreement", ""))
    if timeline is None or visit.request.POST.get("confirm") != "yes":
        raise BadRequest("agreement must name one, and confirm must be yes.")
    agreement = Agreement.objects.get(pk=timeline.key)
    user = visit.request.user
    with transaction.atomic():
        agreement.lock()
        if Acceptance.objects.departure(user_key=user.pk, agreement=agreement.pk):
            return
        Withdrawal.objects.register(
            agreement=agreement,
            user=user,
            outcome=outcome,
            received_on=visit.at.astimezone(ZoneInfo(agreement.time_zone)).date(),
            language=frame() if frame() in conf.LANGUAGES else conf.LANGUAGES[0],
        )


@personal("POST")
def consent(visit: Visit) -> HttpResponse:
    """Give a consent to data, in the words of the posted digest, or take it back; nothing else changes by it."""
    posted, user = visit.request.POST, visit.request.user
    name, decision = posted.get("purpose", ""), posted.get("decision")
    if decision not in {"give", "withdraw"}:
        raise BadRequest("decision must be give or withdraw.")
    if decision == "withdraw":
        if "\x00" in name:  # Which PostgreSQL can't be asked about.
            raise BadRequest("purpose must name one.")
        consents.withdraw(user, name)
    else:
        try:
            consents.give(user, [(name, posted.get("digest", ""))])
        except consents.Reworded:
            response = record_page(visit, reworded=True)
            response.status_code = 409
            return response
    return HttpResponseRedirect(f"{visit.path('record')}#consents")


@personal("GET")
def evidence_mine(visit: Visit) -> HttpResponseBase:
    """The user's own evidence, as an officer could export it now; where there is none, the record, which says so."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "evidence.zip"
        try:
            evidence.export_user(visit.request.user.pk, at=visit.at, output=output, by=visit.request.user)
        except LookupError:
            return HttpResponseRedirect(visit.path("record"))
        # Open before the folder goes: the file lives until it is sent.
        return FileResponse(output.open("rb"), as_attachment=True, filename="evidence.zip")
