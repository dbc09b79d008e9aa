"""The page that displays the sending of a notice. On this page the sending is paused and resumed, and failed deliveries
are sent again.

The page never counts deliveries: it uses the :class:`Progress` of the notice, one row for each channel. Therefore it
takes the same time for ten users and for ten million. While the numbers change, a script replaces the middle of the
page. Without the script the page has a link to refresh it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from agreement import conf
from agreement.admin.base import AdminView, moment, redirect_missing
from agreement.admin.rights import explain_denied
from agreement.conf import active_language
from agreement.models import ChannelState, Notice, Progress
from agreement.models.notices import (
    ACCOUNT_GONE,
    CANCELLED,
    ENDED,
    IN_EFFECT,
    INACTIVE,
    INVALID_ADDRESS,
    NO_ADDRESS,
    NOT_IN_AUDIENCE,
    PERHAPS_SENT,
    REMOVED,
)
from agreement.notices.forecast import expected_end, speed
from agreement.text import dates

#: The labels of the app's own channels. The label of another channel is its ``name``.
CHANNEL_LABELS = {"email": _("e-mail")}
#: The labels of the reasons in the ledger. A channel of the site may have other reasons, which have no label.
REASON_LABELS = {
    "": _("other reasons"),
    NO_ADDRESS: _("no address"),
    INVALID_ADDRESS: _("invalid address"),
    CANCELLED: _("the edition was cancelled"),
    PERHAPS_SENT: _("the edition was cancelled; sending was interrupted, and the message may have been sent"),
    IN_EFFECT: _("the edition is in effect already"),
    NOT_IN_AUDIENCE: _("no longer in the audience"),
    ACCOUNT_GONE: _("the account was deleted"),
    INACTIVE: _("the account is inactive"),
    ENDED: _("the agreement with the user has ended"),
    REMOVED: _("this channel is no longer used"),
}
#: The actions on a notice: the permission and the translated name of each.
NOTICE_ACTIONS = (
    ("pause_notice", _("pause the sending")),
    ("resume_notice", _("resume the sending")),
    ("resend_notice", _("send failed deliveries again")),
)


def reason_in_words(reason: str) -> str:
    """Return the label of a reason in the ledger, in the language of the page. An unknown reason is
    returned unchanged.
    """
    if found := re.fullmatch(r"overtaken by edition (\d+)", reason):
        return gettext("overtaken by edition %(number)s") % {"number": found[1]}
    return str(REASON_LABELS[reason]) if reason and reason in REASON_LABELS else reason


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelProgress:
    """The progress of a notice in one channel, as the page displays it. ``rate`` and ``ends`` are phrases, ``""`` if
    there is none. ``failed`` and ``skipped`` are pairs of the label of a reason and the number of deliveries.
    """

    row: Progress
    channel: str
    failed: list[tuple[str, int]]
    skipped: list[tuple[str, int]]
    rate: str
    ends: str
    late: bool
    """Whether the sending is expected to end after the edition takes effect."""
    unavailable: str
    """The reason for which the channel is unavailable; ``""`` if it is available."""

    @property
    def done(self) -> int:
        """The number of deliveries that no longer wait."""
        return self.row.audience - self.row.waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeProgress:
    """The progress of a notice in all channels, as the page displays it. Its moments are phrases."""

    notice: Notice
    channels: list[ChannelProgress]
    state: str
    """One of ``delay`` and ``delay_paused`` (before the notice is due), ``sending``, ``paused``, ``suspended`` (by the
    setting ``SENDING_SUSPENDED``) and ``done``.
    """
    due: str
    seconds_until_due: int
    paused: str
    effective: str

    @property
    def running(self) -> bool:
        """Whether the numbers will change without an action of the user."""
        return self.state in {"delay", "sending"}

    @property
    def failed(self) -> int:
        """How many failed deliveries can be sent again. It is 0 if they would be skipped, because a newer notice has
        overtaken this one, for example. At most 1 query.
        """
        failed = sum(channel.row.failed for channel in self.channels)
        return 0 if failed and self.notice.skip_reason() else failed


def notice_progress(notice: Notice, *, at: datetime | None = None) -> NoticeProgress:
    """Return the progress of a notice. ``at`` is the present moment. 1 query. While the notice waits for its due time
    or is being sent, also at most 5 for each channel, and 1 for each notice with deliveries that wait in that channel.
    """
    at, zone = at or timezone.now(), notice.edition.agreement.time_zone
    rows = list(Progress.objects.filter(notice=notice).order_by("channel"))
    state = _state(notice, rows, at)
    return NoticeProgress(
        notice=notice,
        channels=[_channel_progress(row, notice, at, running=state in {"delay", "sending"}) for row in rows],
        state=state,
        due=moment(notice.due_at, zone),
        seconds_until_due=max(0, ceil((notice.due_at - at).total_seconds())),
        paused=moment(notice.paused_at, zone),
        effective=moment(notice.edition.effective_from, zone),
    )


def _state(notice: Notice, rows: list[Progress], at: datetime) -> str:
    """Return the value of :attr:`NoticeProgress.state`. No query."""
    if notice.fanned_out_at is not None and not any(row.waiting for row in rows):
        return "done"
    if notice.paused_at:
        return "delay_paused" if at < notice.due_at else "paused"
    if conf.get().SENDING_SUSPENDED:
        return "suspended"
    return "delay" if at < notice.due_at else "sending"


def _channel_progress(row: Progress, notice: Notice, at: datetime, *, running: bool) -> ChannelProgress:
    row.notice, effect, ends, unavailable = notice, notice.edition.effective_from, None, ""
    if running and row.waiting:
        ends = expected_end(row, at=at)
        channel = ChannelState.objects.filter(channel=row.channel, away_until__gt=at).first()
        unavailable = channel.reason if channel else ""
    return ChannelProgress(
        row=row,
        channel=str(CHANNEL_LABELS.get(row.channel, row.channel)),
        failed=_reasons(row, "failed"),
        skipped=_reasons(row, "skipped"),
        rate=_rate(row),
        ends=moment(ends, notice.edition.agreement.time_zone) if ends else "",
        late=bool(ends and effect and ends > effect > notice.due_at),
        unavailable=unavailable,
    )


def _reasons(row: Progress, outcome: str) -> list[tuple[str, int]]:
    """Return pairs of a reason's label and the number of deliveries, the most frequent first. ``outcome`` is ``failed``
    or ``skipped``.
    """
    found = sorted(row.reasons.get(outcome, {}).items(), key=lambda item: -item[1])
    return [(reason_in_words(reason) or str(REASON_LABELS[""]), count) for reason, count in found]


def _rate(row: Progress) -> str:
    """Return a phrase with the messages per hour; ``""`` if sending has not lasted long enough to measure it."""
    if row.sending_time < timedelta(seconds=1):
        return ""
    rate = round((speed(row) or 0) * 3600)
    return gettext("%(count)s an hour") % {"count": dates.format_number(rate, active_language())} if rate else ""


class NoticeView(AdminView):
    """The base class of the pages about one notice. ``object_id`` in the URL is its key, quoted by the admin."""

    model_admin: admin.ModelAdmin[Notice]

    def find(self, object_id: str) -> Notice | None:
        """Return the notice with that key, or ``None``."""
        return self.model_admin.get_object(self.request, unquote(object_id))


class ProgressView(NoticeView):
    """``…/<id>/sending/``: the progress of the notice. With ``?part`` the response is only the middle of the page."""

    def get(self, request: HttpRequest, object_id: str) -> HttpResponse:
        notice = self.find(object_id)
        if not self.model_admin.has_view_permission(request, notice):
            raise PermissionDenied
        if notice is None:
            return redirect_missing(self.model_admin, request, object_id)
        may = {
            codename.partition("_")[0]: request.user.has_perm(f"agreement.{codename}")
            for codename, _name in NOTICE_ACTIONS
        }
        context: dict[str, Any] = {"progress": notice_progress(notice), "may": may, "original": notice}
        if "part" in request.GET:
            context["opts"] = self.model_admin.opts
            return TemplateResponse(request, "admin/agreement/notice/progress_body.html", context)
        denied = [action for action in NOTICE_ACTIONS if not request.user.has_perm(f"agreement.{action[0]}")]
        return self.render(
            "notice/progress",
            **context,
            title=gettext("Sending: %(notice)s") % {"notice": notice},
            denied_actions=explain_denied(denied),
        )


class NoticeActionView(NoticeView):
    """``…/<id>/pause/``, ``resume/`` and ``resend/``: perform the action on POST, then redirect to the progress."""

    action: str = ""

    def post(self, request: HttpRequest, object_id: str) -> HttpResponse:
        may_act = request.user.has_perm(f"agreement.{self.action}_notice")
        if not may_act or not self.model_admin.has_view_permission(request):
            raise PermissionDenied
        notice = self.find(object_id)
        if notice is None:
            return redirect_missing(self.model_admin, request, object_id)
        verb = {"pause": _pause, "resume": _resume, "resend": _resend}[self.action]
        done, sentence = verb(notice, cast("AbstractBaseUser", request.user))
        messages.add_message(request, messages.SUCCESS if done else messages.WARNING, sentence)
        name = f"{self.model_admin.admin_site.name}:agreement_notice_sending"
        return HttpResponseRedirect(reverse(name, args=[quote(notice.pk)]))


def _pause(notice: Notice, by: AbstractBaseUser) -> tuple[bool, str]:
    """Pause the notice. Return whether this changed anything, and the message for the user."""
    if not notice.pause(by=by):
        return False, gettext("Nothing was changed: sending is paused already, or there is nothing left to send.")
    if timezone.now() >= notice.due_at:
        return True, gettext(
            "Paused. Messages that are already being sent will go out. No others will be sent until you resume sending."
        )
    return True, gettext("Paused. Nothing has been sent, and nothing will be sent until you resume sending.")


def _resume(notice: Notice, by: AbstractBaseUser) -> tuple[bool, str]:
    if notice.resume(by=by):
        return True, gettext("Sending continues.")
    return False, gettext("Nothing was changed: sending is not paused.")


def _resend(notice: Notice, by: AbstractBaseUser) -> tuple[bool, str]:
    count = notice.resend(by=by)
    if not count:
        return False, gettext(
            "Nothing was changed: there are no failed deliveries, or a newer notice has overtaken this one."
        )
    sentence = ngettext(
        "%(count)d delivery is waiting to be sent again.", "%(count)d deliveries are waiting to be sent again.", count
    )
    return True, sentence % {"count": count}
