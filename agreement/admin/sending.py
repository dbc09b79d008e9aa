"""How far a notice has come, and what can be done about it: hold, pause, resume, send again to the failed.

The page is read from the notice's :class:`Progress`, a row a channel, and from a sample of its deliveries, which says
how fast it goes; so it costs the same for ten users and for ten million. A small script fetches its middle anew while
something is under way; without it there is a link.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING, cast

from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from agreement import conf, dates
from agreement.admin.acts import may_not
from agreement.admin.tables import language, moment
from agreement.forecast import expected_end, speed
from agreement.models import Notice, Pace, Progress
from agreement.models.notices import ACCOUNT_GONE, CANCELLED, ENDED, IN_EFFECT, INACTIVE, LEFT, PERHAPS_SENT, REMOVED

if TYPE_CHECKING:
    NoticeModelAdmin = admin.ModelAdmin[Notice]
else:
    NoticeModelAdmin = admin.ModelAdmin

#: The channels of our own in words; a host's channel is called by its name.
CHANNELS = {"email": _("e-mail")}
#: What the ledger says of why, in words. A host's channel says it in its own.
REASONS = {
    "": _("other reasons"),
    "no address": _("no address"),
    "invalid address": _("invalid address"),
    CANCELLED: _("the edition was cancelled"),
    PERHAPS_SENT: _("the edition was cancelled; sending had broken off, perhaps after it was sent"),
    IN_EFFECT: _("the edition is in effect already"),
    LEFT: _("no longer among those who are told"),
    ACCOUNT_GONE: _("the account was deleted"),
    INACTIVE: _("the account is inactive"),
    ENDED: _("the agreement with the user has ended"),
    REMOVED: _("this channel is used no more"),
}


def in_words(reason: str) -> str:
    """A reason of the ledger in the reader's language; what is no word of ours as it is."""
    if found := re.fullmatch(r"overtaken by edition (\d+)", reason):
        return gettext("overtaken by edition %(number)s") % {"number": found[1]}
    return str(REASONS[reason]) if reason and reason in REASONS else reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One channel of a notice: its row, and what follows from it."""

    row: Progress
    channel: str
    failed: list[tuple[str, int]]
    skipped: list[tuple[str, int]]
    rate: str
    ends: str
    late: bool
    """Will it end after the edition takes effect?"""
    away: str

    @property
    def done(self) -> int:
        return self.row.audience - self.row.waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """A notice as its page shows it."""

    notice: Notice
    channels: list[Sent]
    state: str
    """``held`` and ``breath`` before anything may leave; then ``paused``, ``sending``, ``done``; or ``hold``."""
    due: str
    left: int
    """Seconds until it is due."""
    since: str
    effective: str

    @property
    def running(self) -> bool:
        """Will its numbers change by themselves?"""
        return self.state in {"breath", "sending"}

    @property
    def failed(self) -> int:
        """How many may be sent again: nobody, once it is no news. At most 1 query."""
        failed = sum(one.row.failed for one in self.channels)
        return 0 if failed and self.notice.stale() else failed


def course(notice: Notice, *, at: datetime | None = None) -> Course:
    """How far a notice has come at that instant (now). 1 query, and at most 10 a channel."""
    at, zone = at or timezone.now(), notice.edition.agreement.time_zone
    rows = list(Progress.objects.filter(notice=notice).order_by("channel"))
    unfinished = notice.fanned_out_at is None or any(row.waiting for row in rows)
    if not unfinished:
        state = "done"
    elif notice.paused_at:
        state = "held" if at < notice.due_at else "paused"
    elif conf.get().HOLD:
        state = "hold"
    else:
        state = "breath" if at < notice.due_at else "sending"
    return Course(
        notice=notice,
        channels=[_channel(row, notice, at, running=state in {"breath", "sending"}) for row in rows],
        state=state,
        due=moment(notice.due_at, zone),
        left=max(0, ceil((notice.due_at - at).total_seconds())),
        since=moment(notice.paused_at, zone),
        effective=moment(notice.edition.effective_from, zone),
    )


def _channel(row: Progress, notice: Notice, at: datetime, *, running: bool) -> Sent:
    row.notice, effect, ends, away = notice, notice.edition.effective_from, None, ""
    if running and row.waiting:
        ends = expected_end(row, at=at)
        pace = Pace.objects.filter(channel=row.channel, away_until__gt=at).first()
        away = pace.reason if pace else ""
    return Sent(
        row=row,
        channel=str(CHANNELS.get(row.channel, row.channel)),
        failed=_reasons(row, "failed"),
        skipped=_reasons(row, "skipped"),
        rate=_rate(row),
        ends=moment(ends, notice.edition.agreement.time_zone) if ends else "",
        late=bool(ends and effect and ends > effect > notice.due_at),
        away=away,
    )


def _reasons(row: Progress, outcome: str) -> list[tuple[str, int]]:
    """The most frequent first."""
    found = row.reasons.get(outcome, {}).items()
    return [(in_words(reason) or str(REASONS[""]), count) for reason, count in sorted(found, key=lambda it: -it[1])]


def _rate(row: Progress) -> str:
    """Messages an hour; nothing for a single batch, which says too little."""
    if not row.began_at or not row.latest_at or row.latest_at - row.began_at < timedelta(seconds=1):
        return ""
    rate = round((speed(row) or 0) * 3600)
    return gettext("%(count)s an hour") % {"count": dates.number(rate, language())} if rate else ""


class Sending(NoticeModelAdmin):
    """``…/<id>/sending/`` shows; ``…/<id>/pause/``, ``resume/`` and ``resend/`` act, on POST alone."""

    change_form_template = "admin/agreement/notice/change_form.html"

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        acts = [
            path(f"<path:object_id>/{act}/", wrap(self.act_view), {"act": act}, name=f"agreement_notice_{act}")
            for act in ("pause", "resume", "resend")
        ]
        page = path("<path:object_id>/sending/", wrap(self.sending_view), name="agreement_notice_sending")
        return [page, *acts, *super().get_urls()]

    @method_decorator(require_safe)
    def sending_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        notice = self.get_object(request, unquote(object_id))
        if not self.has_view_permission(request, notice):
            raise PermissionDenied
        if notice is None:
            gone: HttpResponse = self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined]
            return gone
        acts = ("pause_notice", "resume_notice", "resend_notice")
        may = {codename.partition("_")[0]: request.user.has_perm(f"agreement.{codename}") for codename in acts}
        context = {"sending": course(notice), "may": may, "opts": self.opts, "original": notice}
        if "part" in request.GET:
            return TemplateResponse(request, "admin/agreement/notice/progress.html", context)
        denied = [(name, label) for name, label in ACTS if not request.user.has_perm(f"agreement.{name}")]
        context |= {
            "title": gettext("Sending: %(notice)s") % {"notice": notice},
            "media": self.media,
            "rights": may_not(denied),
            "has_view_permission": True,
        }
        each = self.admin_site.each_context(request)
        return TemplateResponse(request, "admin/agreement/notice/sending.html", each | context)

    def act_view(self, request: HttpRequest, object_id: str, act: str) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not request.user.has_perm(f"agreement.{act}_notice") or not self.has_view_permission(request):
            raise PermissionDenied
        notice = self.get_object(request, unquote(object_id))
        if notice is None:
            gone: HttpResponse = self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined]
            return gone
        by = cast("AbstractBaseUser", request.user)
        there = reverse(f"{self.admin_site.name}:agreement_notice_sending", args=[quote(notice.pk)])
        if act == "resend":
            count = notice.resend(by=by)
            if not count:
                said = gettext("Nothing was changed: there is nobody to send to again, or it is no news any more.")
                messages.warning(request, said)
                return HttpResponseRedirect(there)
            sentence = ngettext(
                "%(count)d delivery waits to be sent again.", "%(count)d deliveries wait to be sent again.", count
            )
            messages.success(request, sentence % {"count": count})
        elif act == "pause":
            if not notice.pause(by=by):
                messages.warning(
                    request, gettext("Nothing was changed: it is paused already, or nothing is left to send.")
                )
                return HttpResponseRedirect(there)
            said = gettext("Held: nothing has left, and nothing leaves until it is resumed.")
            if timezone.now() >= notice.due_at:
                said = gettext("Paused: what was on its way is sent, and nothing more until it is resumed.")
            messages.success(request, said)
        else:
            done = notice.resume(by=by)
            said = gettext("Sending goes on.") if done else gettext("Nothing was changed: it is not paused.")
            messages.add_message(request, messages.SUCCESS if done else messages.WARNING, said)
        return HttpResponseRedirect(there)


ACTS = (
    ("pause_notice", _("hold or pause the sending")),
    ("resume_notice", _("resume the sending")),
    ("resend_notice", _("send again to those not reached")),
)
