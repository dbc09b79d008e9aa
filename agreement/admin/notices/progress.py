"""The page that displays the sending of a notice. On it the sending is paused and resumed, and failed deliveries are
sent again. The module also has the action of the page of users who were not reached.

The numbers on the page are those of the :class:`Progress` of the notice, which has one row for each channel. Deliveries
are counted only to leave out those of deleted accounts. While :attr:`NoticeProgress.running` is true, a script replaces
the middle of the page.
"""

from __future__ import annotations

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
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agreement.admin.base import AdminView, MissingRight, moment, redirect_missing
from agreement.admin.rights import explain_denied
from agreement.conf import active_language
from agreement.models import ChannelState, Notice, Progress
from agreement.models.ledger_labels import CHANNEL_LABELS, REASON_LABELS, reason_in_words
from agreement.models.progress import NoticeState
from agreement.models.succession import State
from agreement.notices.forecast import expected_end, foreseen_state, speed
from agreement.notices.unreached import resend_reachable
from agreement.text import dates

#: The states in which a script refreshes the numbers on the page.
RUNNING = frozenset({NoticeState.DELAY, NoticeState.SENDING})
#: The actions on a notice: the permission and the translated name of each.
NOTICE_ACTIONS = (
    ("pause_notice", _("pause the sending")),
    ("resume_notice", _("resume the sending")),
    ("resend_notice", _("send again to users who were not reached")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelProgress:
    """The progress of a notice in one channel, as the page displays it.

    ``row`` has the numbers, and ``channel`` is the label of the channel. ``failed`` and ``skipped`` are lists of pairs:
    the label of a reason and the number of deliveries, the most frequent first. ``rate`` and ``ends`` are phrases: the
    messages sent per hour of sending so far, and the expected end of the sending; each is ``""`` if it is not known.
    ``ends``, ``late`` and ``unavailable`` (the reason of an outage of the channel) are set only if deliveries wait in
    the channel, and the state of the notice is ``delay`` or ``sending``; otherwise they are ``""``, ``False`` and
    ``""``.
    """

    row: Progress
    channel: str
    failed: list[tuple[str, int]]
    skipped: list[tuple[str, int]]
    rate: str
    ends: str
    late: bool
    """Whether the sending is expected to end after the edition takes effect, or was to take effect before it was
    cancelled. False if that moment is not after the notice becomes due.
    """
    unavailable: str
    """The reason of an outage for which the channel is unavailable; ``""`` if it is available."""

    @property
    def done(self) -> int:
        """The number of deliveries that no longer wait: they were sent, failed or were skipped."""
        return self.row.audience - self.row.waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeProgress:
    """The progress of a notice in all channels, as the page displays it. ``due``, ``paused`` and ``effective`` are
    moments as phrases in the time zone of the agreement, or a dash if there is none. ``seconds_until_due`` is 0 if the
    notice is due.
    """

    notice: Notice
    channels: list[ChannelProgress]
    state: NoticeState
    overtaken: str
    """Why no more messages are needed; ``""`` if the state is not ``OVERTAKEN``, or if that reason is gone."""
    due: str
    seconds_until_due: int
    paused: str
    effective: str

    @property
    def running(self) -> bool:
        """Whether the state is ``delay`` (the notice waits for its due time) or ``sending``. A script refreshes the
        numbers on the page only in these states. The numbers of a paused notice can still change: messages that were
        already being sent go out, and deliveries are still written.
        """
        return self.state in RUNNING

    @property
    def audience(self) -> int:
        """The number of deliveries in all channels: 0 also while the list of recipients is not written."""
        return sum(channel.row.audience for channel in self.channels)

    @property
    def unreached(self) -> int:
        """The sum of ``Progress.unreached`` of all channels: the deliveries that should have reached a user and did
        not, without those of deleted accounts. At most 1 query for each channel.
        """
        return sum(channel.row.unreached for channel in self.channels)

    @property
    def failed(self) -> int:
        """The number of failed deliveries, in all channels; 0 if the whole notice is to be skipped now
        (``Notice.skip_reason``), for example because a newer one has overtaken it. Some of them may be skipped when
        they are sent again, for example because the account is inactive. At most 1 query, if the edition of the notice
        is loaded.
        """
        failed = sum(channel.row.failed for channel in self.channels)
        return 0 if failed and self.notice.skip_reason() else failed


def notice_progress(notice: Notice) -> NoticeProgress:
    """Return the present progress of a notice, with its channels in the order of their names. There are no channels
    before the first deliveries are being written. The number of queries does not depend on the number of users.
    """
    at, zone = timezone.now(), notice.edition.agreement.time_zone
    rows = list(Progress.objects.filter(notice=notice).order_by("channel"))
    state = foreseen_state(notice, rows, at=at)
    return NoticeProgress(
        notice=notice,
        channels=[_channel_progress(row, notice, at, running=state in RUNNING) for row in rows],
        state=state,
        overtaken=reason_in_words(notice.skip_reason(at)) if state == NoticeState.OVERTAKEN else "",
        due=moment(notice.due_at, zone, seconds=False),
        seconds_until_due=max(0, ceil((notice.due_at - at).total_seconds())),
        paused=moment(notice.paused_at, zone, seconds=False),
        effective=moment(notice.edition.effective_from, zone, seconds=False),
    )


def _channel_progress(row: Progress, notice: Notice, at: datetime, *, running: bool) -> ChannelProgress:
    row.notice, effect, ends, unavailable = notice, notice.edition.effective_from, None, ""
    if running and row.waiting:
        ends = expected_end(row, at=at)
        channel = ChannelState.objects.away(at).filter(channel=row.channel).first()
        unavailable = channel.reason if channel else ""
    return ChannelProgress(
        row=row,
        channel=str(CHANNEL_LABELS.get(row.channel, row.channel)),
        failed=_reasons(row, "failed"),
        skipped=_reasons(row, "skipped"),
        rate=_rate(row),
        ends=moment(ends, notice.edition.agreement.time_zone, seconds=False) if ends else "",
        late=bool(ends and effect and ends > effect > notice.due_at),
        unavailable=unavailable,
    )


def _reasons(row: Progress, outcome: str) -> list[tuple[str, int]]:
    """Return pairs of a reason's label and the number of deliveries, the most frequent first. ``outcome`` is ``failed``
    or ``skipped``. The reason ``""`` has the label "other reasons", in the language of the page.
    """
    found = sorted(row.reasons.get(outcome, {}).items(), key=lambda item: -item[1])
    return [(reason_in_words(reason) or str(REASON_LABELS[""]), count) for reason, count in found]


def _rate(row: Progress) -> str:
    """Return a phrase with the messages sent per hour of sending so far, at most what the rate limits of the channel
    allow; ``""`` if sending has lasted less than a second, or if the number is 0.
    """
    if row.sending_time < timedelta(seconds=1):
        return ""
    rate = round((speed(row) or 0) * 3600)
    return gettext("%(count)s an hour") % {"count": dates.format_number(rate, active_language())} if rate else ""


class NoticeView(AdminView):
    """The base class of the pages about one notice. ``object_id`` in the URL is its key, quoted by the admin. This
    class checks no permission.
    """

    model_admin: admin.ModelAdmin[Notice]

    def find(self, object_id: str) -> Notice | None:
        """Return the notice with that key; ``None`` if there is none. ``object_id`` is quoted by the admin. No
        permission is checked.
        """
        return self.model_admin.get_object(self.request, unquote(object_id))


class ProgressView(NoticeView):
    """``…/<id>/sending/``: the progress of the notice. With ``?part`` the response is only the middle of the page.

    Raises ``PermissionDenied`` for users who may not view notices. If there is no notice with that key, the response is
    a redirect to the start page of the admin, with a warning.
    """

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
        state = notice.edition.state()
        may["begin"] = state in {State.SCHEDULED, State.IN_FORCE} and request.user.has_perm("agreement.add_edition")
        may["cancel"] = state == State.SCHEDULED and request.user.has_perm("agreement.cancel_edition")
        context: dict[str, Any] = {"progress": notice_progress(notice), "may": may, "original": notice}
        context["correctable"] = state == State.IN_FORCE
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
    """``…/<id>/pause/``, ``resume/``, ``resend/`` and ``resend-reachable/``: perform the ``action`` on POST, then
    redirect to the progress, with a message that states what was done or, as a warning, why nothing was changed.
    ``resend`` sends the failed deliveries again. ``resend_reachable`` sends again the deliveries that did not reach a
    user who had no address then and has one now, or who has another address now (:func:`resend_reachable`). GET is not
    allowed (status 405).

    Raises ``MissingRight`` for users who lack the permission for the action (``pause_notice``, ``resume_notice``, or
    ``resend_notice`` for the last two); otherwise ``PermissionDenied`` for users who may not view notices. If there is
    no notice with that key, the response is a redirect to the start page of the admin, with a warning.
    """

    action: str = ""

    def post(self, request: HttpRequest, object_id: str) -> HttpResponse:
        verb, permission = {
            "pause": (_pause, "pause_notice"),
            "resume": (_resume, "resume_notice"),
            "resend": (_resend, "resend_notice"),
            "resend_reachable": (_resend_reachable, "resend_notice"),
        }[self.action]
        if not request.user.has_perm(f"agreement.{permission}"):
            raise MissingRight(permission, dict(NOTICE_ACTIONS)[permission])
        if not self.model_admin.has_view_permission(request):
            raise PermissionDenied
        notice = self.find(object_id)
        if notice is None:
            return redirect_missing(self.model_admin, request, object_id)
        done, sentence = verb(notice, cast("AbstractBaseUser", request.user))
        messages.add_message(request, messages.SUCCESS if done else messages.WARNING, sentence)
        name = f"{self.model_admin.admin_site.name}:agreement_notice_sending"
        return HttpResponseRedirect(reverse(name, args=[quote(notice.pk)]))


def _pause(notice: Notice, by: AbstractBaseUser) -> tuple[bool, str]:
    """Pause the sending of the notice. Return whether this changed anything, and the message for the user. Nothing is
    changed if the notice is paused already, or if nothing is left to write or send.
    """
    if not notice.pause(by=by):
        return False, gettext("Nothing was changed: sending is paused already, or there is nothing left to send.")
    if timezone.now() >= notice.due_at:
        return True, gettext(
            "Paused. Messages that are already being sent are not stopped. No others will be sent until you resume"
            " sending."
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
    return True, _again_in_words(count)


def _resend_reachable(notice: Notice, by: AbstractBaseUser) -> tuple[bool, str]:
    count = resend_reachable(notice, by=by)
    if not count:
        return False, gettext(
            "Nothing was changed: no user who was not reached has another address now, or a newer notice has overtaken"
            " this one."
        )
    return True, _again_in_words(count)


def _again_in_words(count: int) -> str:
    return gettext("Will be sent again: %(count)s") % {"count": dates.format_number(count, active_language())}
