"""The progress of a notice in each channel, and the state of the notice, which is computed from it.

The progress is stored as numbers, so that reading it counts no rows of the ledger. :attr:`Progress.gone` is not stored;
it is counted.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar, Self

from django.apps import apps
from django.db import models
from django.db.models import Count, F, Model, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from agreement import conf
from agreement.models.notices import (
    CANCELLED,
    EXCUSED,
    IN_EFFECT,
    INVALID_ADDRESS,
    NO_ADDRESS,
    OVERTAKEN,
    PERHAPS_SENT,
    Notice,
    is_excused,
)

#: The deliveries that should have reached a user and did not.
UNREACHED = (
    Q(outcome="failed")
    | Q(outcome="sent", returns__gt=F("returns_before"))
    | Q(~Q(reason__in=EXCUSED) & ~Q(reason__startswith=OVERTAKEN), outcome="skipped")
)
#: How many reasons of one outcome are counted separately. Any others are counted together, except those of
#: ``ALWAYS_COUNTED`` and those that begin with ``OVERTAKEN``.
MAX_REASONS = 40
#: The reasons that are always counted separately, because other numbers are computed from them.
ALWAYS_COUNTED = EXCUSED | {NO_ADDRESS, INVALID_ADDRESS}


class ProgressQuerySet(models.QuerySet["Progress"]):
    def total(self) -> dict[str, int]:
        """The sums of these rows: ``{"waiting": …, "sent": …, "failed": …, "skipped": …}``, 0 each if there are no
        rows. 1 query.
        """
        names = ("waiting", *Progress.FINAL)
        sums = self.aggregate(**{f"total_{name}": Coalesce(Sum(name), 0) for name in names})
        return {name: sums[f"total_{name}"] for name in names}

    def with_gone(self) -> Self:
        """The same rows with :attr:`Progress.gone`, so that it makes no query."""
        rows: QuerySet[Model] = apps.get_model("agreement.Delivery")._default_manager.all()
        rows = rows.filter(UNREACHED, notice=OuterRef("notice"), channel=OuterRef("channel"), user=None).order_by()
        counts = rows.values("notice").annotate(count=Count("pk")).values("count")
        return self.annotate(gone=Coalesce(Subquery(counts), 0))

    def lock(self, *, notice: Notice | int, channel: str) -> Progress:
        """The row of a notice in a channel, locked until the transaction ends. If there is no such row,
        ``Progress.DoesNotExist`` is raised.

        2 queries. The first one is a write, because SQLite locks only for writes. Call it inside a transaction; outside
        one the lock ends immediately.
        """
        row = self.filter(notice=notice, channel=channel)
        row.update(waiting=F("waiting"))
        return row.get()


ProgressManager = models.Manager.from_queryset(ProgressQuerySet)


class Progress(models.Model):
    """How many deliveries of a notice in one channel have each outcome. A delivery of a batch counts as waiting until
    the outcomes of the batch are added. A delivery whose message was returned is counted in ``bounced`` in addition to
    its outcome, until it waits again.
    """

    #: The final outcomes. The columns have their names.
    FINAL: ClassVar[tuple[str, ...]] = ("sent", "failed", "skipped")
    #: The final outcomes that have a reason.
    EXPLAINED: ClassVar[tuple[str, ...]] = ("failed", "skipped")

    notice = models.ForeignKey(Notice, on_delete=models.PROTECT, related_name="progress", verbose_name=_("notice"))
    channel = models.CharField(_("channel"), max_length=32)
    waiting = models.PositiveIntegerField(_("waiting"), default=0)
    sent = models.PositiveIntegerField(_("sent"), default=0)
    failed = models.PositiveIntegerField(_("failed"), default=0)
    skipped = models.PositiveIntegerField(_("skipped"), default=0)
    bounced = models.PositiveIntegerField(_("returned"), default=0)
    latest_at = models.DateTimeField(_("latest batch"), null=True, blank=True)
    # The time in which at least one batch was being sent, without pauses and waits for retries and rate limits, and the
    # number of messages sent in it. The last stretch of this time is from ``sending_since`` to ``latest_at``.
    sending_time = models.DurationField(_("time spent sending"), default=timedelta)
    sending_since = models.DateTimeField(null=True, blank=True, editable=False)
    timed = models.PositiveIntegerField(_("sent in that time"), default=0)
    # Outcome → reason → number of deliveries.
    reasons = models.JSONField(_("reasons"), default=dict, blank=True, editable=False)

    if TYPE_CHECKING:
        notice_id: int

    objects = ProgressManager()

    class Meta:
        verbose_name = _("progress")
        verbose_name_plural = _("progress")
        constraints = [
            models.UniqueConstraint(fields=["notice", "channel"], name="agreement_progress_once"),
        ]

    @property
    def audience(self) -> int:
        """The number of deliveries written so far, whatever their outcome."""
        return self.waiting + self.sent + self.failed + self.skipped

    @property
    def unreached(self) -> int:
        """The number of deliveries that should have reached a user and did not, without those of deleted accounts: the
        sum of ``failed``, ``bounced`` and :attr:`missed`, less :attr:`gone`, but not less than 0. A delivery that two
        of the first three numbers contain counts twice, for example one that failed and whose message was returned.
        """
        return max(0, self.failed + self.bounced + self.missed - self.gone)

    @cached_property
    def gone(self) -> int:
        """The number of deliveries that should have reached a user and did not, and whose account was deleted since. 1
        query, if there may be any; none after ``with_gone()``.
        """
        if not (self.failed or self.bounced or self.missed):
            return 0
        return Progress.objects.with_gone().get(pk=self.pk).gone

    @property
    def missed(self) -> int:
        """The number of deliveries that were skipped although they should have reached their user, for example because
        the user has no address. It counts those for whose reason :func:`agreement.models.notices.is_excused` is false,
        and all that ``reasons`` counts under ``""``, where their reasons are not known.
        """
        skipped: dict[str, int] = self.reasons.get("skipped", {})
        return sum(count for reason, count in skipped.items() if not is_excused(reason))

    @property
    def stopped(self) -> int:
        """The number of deliveries that were skipped because the notice was not to be sent any more: a newer one
        overtook it, its edition was cancelled, or it is a reminder and its edition took effect.
        """
        skipped: dict[str, int] = self.reasons.get("skipped", {})
        stops = {CANCELLED, PERHAPS_SENT, IN_EFFECT}
        return sum(count for reason, count in skipped.items() if reason in stops or reason.startswith(OVERTAKEN))

    @property
    def speed(self) -> float | None:
        """Messages per second of ``sending_time``; ``None`` if nothing was sent or measured."""
        return self.timed / self.sending_time.total_seconds() if self.timed and self.sending_time else None

    def add(self, counts: Mapping[tuple[str, str], int]) -> None:
        """Add these numbers of deliveries: (outcome, reason) → how many more, or fewer if negative. For ``failed`` and
        ``skipped`` they are also added to ``reasons``. After ``MAX_REASONS`` reasons of an outcome, others count under
        ``""``, those that begin with ``OVERTAKEN`` under ``OVERTAKEN``, and those in ``ALWAYS_COUNTED`` under their own
        name. For the other outcomes the reason is ignored.

        The caller must have read this row by ``Progress.objects.lock()``, and saves it afterwards. Otherwise numbers
        that another process adds at the same time are lost.
        """
        for (outcome, reason), count in counts.items():
            setattr(self, outcome, getattr(self, outcome) + count)
            if outcome in self.EXPLAINED:
                known = self.reasons.setdefault(outcome, {})
                key = _counted_under(reason, known, count)
                known[key] = known.get(key, 0) + count
        self.reasons = {
            outcome: positive
            for outcome, known in self.reasons.items()
            if (positive := {reason: count for reason, count in known.items() if count > 0})
        }

    def add_batch(self, *, began_at: datetime, at: datetime, sent: int) -> None:
        """Add a batch, in which ``sent`` messages were sent from ``began_at`` to ``at``, to ``sending_time`` and
        ``timed``.

        The sending time consists of stretches in which at least one batch was being sent. The last stretch is from
        ``sending_since`` to ``latest_at``. If the batch is the first one that is added here, or began after
        ``latest_at``, it begins a new stretch. If it ended before ``sending_since``, because it is added late, only its
        own time is added. Otherwise it extends the last stretch at each end where it goes beyond it, so that the time
        that it shares with the last stretch counts once. What it shares with earlier stretches counts twice.

        The caller must have read this row by ``Progress.objects.lock()``, and saves it afterwards.
        """
        latest, since = self.latest_at, self.sending_since
        if latest is None or since is None or began_at > latest:
            self.sending_time += at - began_at
            self.sending_since = began_at
        elif at < since:
            self.sending_time += at - began_at
        else:  # The batch overlaps the last stretch, which grows at one end or at both.
            self.sending_time += max(timedelta(), at - latest) + max(timedelta(), since - began_at)
            self.sending_since = min(since, began_at)
        self.latest_at = max(latest or at, at)
        self.timed += sent

    def __str__(self) -> str:
        return f"{self.notice_id}, {self.channel}: {self.audience - self.waiting}/{self.audience}"


def _counted_under(reason: str, known: Collection[str], count: int) -> str:
    """Return under which name ``count`` deliveries with that reason are counted. ``known`` are the names that have a
    count already. The row must not grow without end if all reasons of a channel differ.
    """
    if reason in known or reason in ALWAYS_COUNTED or (count > 0 and len(known) < MAX_REASONS):
        return reason
    # Under "" they would count as deliveries that should have reached their user.
    return OVERTAKEN if reason.startswith(OVERTAKEN) else ""


class NoticeState(models.TextChoices):
    """How far the sending of a notice is. Nothing is stored: :func:`notice_state` computes it."""

    DELAY = "delay", _("waits for the time of the first message")
    DELAY_PAUSED = "delay_paused", _("paused before the first message")
    PAUSED = "paused", _("paused")
    SUSPENDED = "suspended", _("suspended by a setting")
    SENDING = "sending", _("being sent")
    OVERTAKEN = "overtaken", _("no longer needed")
    GAPS = "gaps", _("finished, but not everybody was reached")
    DONE = "done", _("finished")


#: The states in which messages may still be sent, also if a person has to resume the sending first.
UNDER_WAY = frozenset(
    {NoticeState.DELAY, NoticeState.DELAY_PAUSED, NoticeState.PAUSED, NoticeState.SUSPENDED, NoticeState.SENDING}
)


def notice_state(notice: Notice, rows: Collection[Progress], *, at: datetime | None = None) -> NoticeState:
    """Return the state of a notice at that instant (now). ``rows`` is its progress in all channels.

    A notice is finished if all deliveries are written and none waits. It is then ``OVERTAKEN`` if some were skipped
    because it was not to be sent any more (:attr:`Progress.stopped`), or if nothing was sent and
    :meth:`Notice.skip_reason` gives a reason now; otherwise ``GAPS`` if some users were not reached, otherwise
    ``DONE``. A notice that is not finished is ``OVERTAKEN`` if :meth:`Notice.skip_reason` gives a reason. Otherwise it
    is, in this order, paused (``DELAY_PAUSED`` before ``due_at``, then ``PAUSED``), ``SUSPENDED`` (by the setting
    ``SENDING_SUSPENDED``), in its notice delay (``DELAY``), or being sent (``SENDING``). The queries are those of
    :meth:`Notice.skip_reason` and, for a finished notice, of :attr:`Progress.gone`.
    """
    at = at or timezone.now()
    finished = notice.fanned_out_at is not None and not any(row.waiting for row in rows)
    sent = any(row.sent for row in rows)
    if (finished and any(row.stopped for row in rows)) or (not (finished and sent) and notice.skip_reason(at)):
        return NoticeState.OVERTAKEN
    if finished:
        return NoticeState.GAPS if any(row.unreached for row in rows) else NoticeState.DONE
    if notice.paused_at:
        return NoticeState.DELAY_PAUSED if at < notice.due_at else NoticeState.PAUSED
    if conf.get().SENDING_SUSPENDED:
        return NoticeState.SUSPENDED
    return NoticeState.DELAY if at < notice.due_at else NoticeState.SENDING
