"""The state of each sending channel: the messages that its rate limits count, and its outage.

All stored moments are of the clock of the database, as those of the leases (:mod:`agreement.models.deliveries`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Self

from django.db import models, router, transaction
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from agreement import conf
from agreement.models import rate_limits
from agreement.models.backoff import LONGEST_OUTAGE_PAUSE, outage_pause
from agreement.models.deliveries import LEASE, impersonal, ledger_now
from agreement.models.rate_limits import RateLimit


class ChannelStateQuerySet(models.QuerySet["ChannelState"]):
    def lock(self, channel: str) -> ChannelState:
        """The row of the channel with that name, locked until the transaction ends. It is created if it is missing.
        2 queries, and more if it is created. Call it inside a transaction; outside one the row does not stay locked.
        """
        # The lock is a write, as in Agreement.lock(). It locks the row (on SQLite the database), never on a replica.
        primary = self.using(router.db_for_write(self.model))
        if not primary.filter(channel=channel).update(channel=F("channel")):
            primary.get_or_create(channel=channel)
            primary.filter(channel=channel).update(channel=F("channel"))
        return primary.get(channel=channel)

    def renew(self, channel: str, *, lease: str, at: datetime | None = None) -> bool:
        """Renew the slots that a worker reserved for the claim with that lease, at that instant (now), in a
        transaction. Returns whether they were renewed.

        It returns ``False``, and renews nothing, if no slots are reserved under that lease: the claim has ended, or the
        lease ran out and a later claim has already counted these slots as used. A lease that ran out is renewed if no
        later claim has counted its slots.
        """
        with transaction.atomic(using=router.db_for_write(ChannelState)):
            row = self.lock(channel)
            return row.renew(lease=lease, at=at or ledger_now())

    def mark_away(self, channel: str, *, at: datetime, reason: str, progress: bool = False) -> None:
        """Record an outage that a worker met at that instant. The channel is then not used for a while;
        :func:`outage_pause` says how long. Outages are in a row until :meth:`mark_available` is called. ``progress``
        states whether the channel accepted a message from this worker just before: the outage is then the first in a
        row. Otherwise, if the channel is away at that instant (:meth:`away`) because of an outage that was recorded
        before, nothing is changed: workers that meet the same outage count it once. ``reason`` is stored as
        :func:`impersonal` returns it. The row is created if it is missing.
        """
        if progress:
            self.mark_available(channel)
        row = self.get_or_create(channel=channel)[0]
        pause = outage_pause(row.outages)
        available = self.filter(Q(away_until__isnull=True) | ~self._is_away(at), channel=channel)
        available.update(away_until=at + pause, outages=F("outages") + 1, reason=impersonal(reason))

    def away(self, at: datetime) -> Self:
        """The channels that are not to be used at that instant because of an outage: its pause has not ended.

        A pause that ends more than twice ``LONGEST_OUTAGE_PAUSE`` after that instant was written before the clock was
        put back. It is ignored.
        """
        return self.filter(self._is_away(at))

    def _is_away(self, at: datetime) -> Q:
        return Q(away_until__gt=at, away_until__lte=at + 2 * LONGEST_OUTAGE_PAUSE)

    def mark_available(self, channel: str) -> None:
        """Record that the channel accepted a message: its outage and the number of outages in a row are removed.
        Nothing is changed if no outage is recorded, or if the channel has no row. 1 query.
        """
        self.filter(channel=channel, outages__gt=0).update(away_until=None, outages=0, reason="")


ChannelStateManager = models.Manager.from_queryset(ChannelStateQuerySet)


class ChannelState(models.Model):
    """The state of one channel. The row is created when it is first needed.

    A slot is the place of one message under the rate limits. If the channel has rate limits, each claim reserves one
    slot for each of its deliveries here.

    ``log`` is a list of pairs: a moment in seconds since 1970, and the number of messages sent. ``claims`` maps the
    lease of a claim to such a pair: the moment of the claim or of its last renewal, and the number of messages claimed.
    ``away_until`` is the end of the pause of the recorded outage, also if it is past, and null if no outage is
    recorded.
    """

    channel = models.CharField(_("channel"), max_length=32, unique=True)
    # The messages sent: [[moment in seconds since 1970, number of messages], …].
    log = models.JSONField(default=list, blank=True)
    # The messages claimed and being sent: {lease: [moment, number of messages]}. The moment is that of the claim or of
    # its last renewal, in seconds since 1970.
    claims = models.JSONField(default=dict, blank=True)
    away_until = models.DateTimeField(_("unavailable until"), null=True, blank=True)
    outages = models.PositiveSmallIntegerField(_("outages in a row"), default=0)
    reason = models.CharField(_("reason"), max_length=255, blank=True)

    objects = ChannelStateManager()

    class Meta:
        verbose_name = _("state of a channel")
        verbose_name_plural = _("states of channels")

    def free_slots(self, limits: Sequence[RateLimit], at: datetime) -> int:
        """How many deliveries the rate limits allow to be claimed at that instant, never less than 0. ``limits`` are
        the rate limits of this channel, at least one. An outage is not considered. 0 queries.
        """
        return rate_limits.free_slots(self._log(at), limits, at.timestamp())

    def next_free_at(self, limits: Sequence[RateLimit], at: datetime) -> datetime:
        """The first moment from ``at`` on when the rate limits allow at least one delivery to be claimed, in UTC.
        ``limits`` are the rate limits of this channel; without any, it is ``at``. Claimed messages count as sent at
        ``at``. An outage is not considered. 0 queries.
        """
        return datetime.fromtimestamp(rate_limits.next_free_at(self._log(at), limits, at.timestamp()), UTC)

    def retry_at(self, at: datetime) -> datetime:
        """When the channel may be used again after an outage: the end of the pause if it has not ended at ``at``,
        otherwise ``at`` itself. Rate limits are not considered. 0 queries.

        A pause that ends more than twice ``LONGEST_OUTAGE_PAUSE`` after ``at`` is ignored, as in
        :meth:`ChannelStateQuerySet.away`.
        """
        until = self.away_until
        return until if until and at < until <= at + 2 * LONGEST_OUTAGE_PAUSE else at

    def reserve(self, limits: Sequence[RateLimit], *, lease: str, count: int, at: datetime) -> None:
        """Reserve ``count`` slots for the claim with that lease, from that instant on. 1 query.

        ``count`` must not be more than :meth:`free_slots`, which is not checked here. ``limits`` are the rate limits of
        this channel. Claims whose leases ran out by then end: all their messages are added to the log, as sent at the
        end of the lease. Messages that were sent more than a day ago, and too long ago to count for the limits, are
        dropped from the log. The caller must have read this row by ``ChannelState.objects.lock()``. Otherwise another
        worker could reserve the same slots.
        """
        self.log = rate_limits.trimmed(self._past(at), limits, at.timestamp())
        self.claims = {**self._open(at), lease: [at.timestamp(), count]}
        self.save(update_fields=["log", "claims"])

    def renew(self, *, lease: str, at: datetime) -> bool:
        """Renew the reserved slots of the claim with that lease, at that instant. Returns whether they were renewed. At
        most 1 query.

        It returns ``False``, and changes nothing, if no slots are reserved under that lease: the claim has ended, or
        the lease ran out and a later claim has already counted these slots as used. The caller must have read this row
        by ``ChannelState.objects.lock()``.
        """
        if renewed := lease in self.claims:
            self.claims[lease][0] = at.timestamp()
            self.save(update_fields=["claims"])
        return renewed

    def record_sent(self, limits: Sequence[RateLimit], *, lease: str, used: int, at: datetime) -> None:
        """End the claim with that lease. ``used`` messages count as sent at that instant, and the other slots of the
        claim are free again. If the lease ran out and :meth:`reserve` has added all messages of the claim to the log
        since, these stay there, and ``used`` is added. 1 query.

        ``limits`` are the rate limits of this channel. Messages that were sent more than a day ago, and too long ago to
        count for the limits, are dropped from the log. The caller must have read this row by
        ``ChannelState.objects.lock()``.
        """
        self.claims.pop(lease, None)
        sent = [(at.timestamp(), used)] if used else []
        self.log = rate_limits.trimmed([*self.log, *sent], limits, at.timestamp())
        self.save(update_fields=["log", "claims"])

    def _log(self, at: datetime) -> list[tuple[float, int]]:
        """The messages to which the limits are applied at that instant, as pairs of a moment (seconds since 1970) and a
        number. Claimed messages count as sent at that instant, and so do messages whose moment is later, because the
        clock was put back. All messages of a claim whose lease ran out count as sent at the end of the lease.
        """
        now = at.timestamp()
        claimed = [(now, count) for _moment, count in self._open(at).values()]
        return [*((min(moment, now), count) for moment, count in self._past(at)), *claimed]

    # A claim is a pair, which JSON stores as a list of a float and an integer.
    def _open(self, at: datetime) -> dict[str, Any]:
        """The claims whose leases have not run out by that instant: lease → [moment of the claim or of its last
        renewal, number of messages].
        """
        return {lease: claim for lease, claim in self.claims.items() if claim[0] >= (at - LEASE).timestamp()}

    def _past(self, at: datetime) -> list[tuple[float, int]]:
        """The messages sent, as pairs of a moment (seconds since 1970) and a number. All messages of a claim whose
        lease ran out by that instant count as sent at the end of the lease, because its worker may have sent them.
        """
        dead = [claim for lease, claim in self.claims.items() if lease not in self._open(at)]
        return [*self.log, *((moment + LEASE.total_seconds(), count) for moment, count in dead)]

    def __str__(self) -> str:
        return self.channel


def limits_for(channel: str) -> tuple[RateLimit, ...]:
    """The rate limits of the channel with that name (setting ``RATE_LIMITS``), the shortest window first; empty if it
    has none. One more limit may be among them, which spreads the fastest one evenly. Raises ``ValueError`` if the
    setting contains a text that is not a limit.
    """
    return rate_limits.parse_all(conf.get().RATE_LIMITS.get(channel, ()))
