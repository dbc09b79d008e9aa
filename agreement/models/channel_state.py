"""The state of each sending channel: one row, with what its rate limits counted, and its outage if it has one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Self

from django.db import models, router, transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from agreement import conf
from agreement.models import rate_limits
from agreement.models.backoff import LONGEST_OUTAGE_PAUSE, outage_pause
from agreement.models.deliveries import LEASE
from agreement.models.rate_limits import RateLimit


class ChannelStateQuerySet(models.QuerySet["ChannelState"]):
    def lock(self, channel: str) -> ChannelState:
        """The channel's row, created if it is missing, locked for this transaction (2 queries, 4 the first time)."""
        # A write, as in Agreement.lock(): it locks the row, or SQLite's database, and never reads from a replica.
        primary = self.using(router.db_for_write(self.model))
        if not primary.filter(channel=channel).update(channel=F("channel")):
            primary.get_or_create(channel=channel)
            primary.filter(channel=channel).update(channel=F("channel"))
        return primary.get(channel=channel)

    def renew(self, channel: str, *, lease: str, at: datetime | None = None) -> bool:
        """Renew the reserved slots of a worker that is still sending. ``False`` if its lease had run out, so that the
        other workers already count its slots as used. 3 queries in a transaction.
        """
        with transaction.atomic(using=router.db_for_write(ChannelState)):
            row = self.lock(channel)
            return row.renew(lease=lease, at=at or timezone.now())

    def mark_away(self, channel: str, *, at: datetime, reason: str) -> None:
        """Do not use the channel for a while, longer each time. Workers that meet the same outage count it once."""
        row = self.get_or_create(channel=channel)[0]
        pause = outage_pause(row.outages)
        available = self.filter(Q(away_until__isnull=True) | ~self._is_away(at), channel=channel)
        available.update(away_until=at + pause, outages=F("outages") + 1, reason=reason[:255])

    def away(self, at: datetime) -> Self:
        """Channels that are away at that instant. A pause longer than the longest possible one was written before the
        clock was put back: it is over.
        """
        return self.filter(self._is_away(at))

    def _is_away(self, at: datetime) -> Q:
        return Q(away_until__gt=at, away_until__lte=at + 2 * LONGEST_OUTAGE_PAUSE)

    def mark_available(self, channel: str) -> None:
        """Record that the channel accepted a message again."""
        self.filter(channel=channel, outages__gt=0).update(away_until=None, outages=0, reason="")


ChannelStateManager = models.Manager.from_queryset(ChannelStateQuerySet)


class ChannelState(models.Model):
    """Every claim of a channel with rate limits reserves its slots here, under a lock. Therefore no pause, outage,
    retry, second notice or fourth worker causes a burst.
    """

    channel = models.CharField(_("channel"), max_length=32, unique=True)
    # What was sent, as models.rate_limits keeps it: [[moment, number], …].
    log = models.JSONField(default=list, blank=True)
    # What is claimed and being sent: {lease: [moment of the claim or of its last renewal, number]}.
    claims = models.JSONField(default=dict, blank=True)
    away_until = models.DateTimeField(_("away until"), null=True, blank=True)
    outages = models.PositiveSmallIntegerField(_("outages in a row"), default=0)
    reason = models.CharField(_("reason"), max_length=255, blank=True)

    objects = ChannelStateManager()

    class Meta:
        verbose_name = _("state of a channel")
        verbose_name_plural = _("states of channels")

    def free_slots(self, limits: Sequence[RateLimit], at: datetime) -> int:
        """How many deliveries may be claimed at that instant."""
        return rate_limits.free_slots(self._log(at), limits, at.timestamp())

    def next_free_at(self, limits: Sequence[RateLimit], at: datetime) -> datetime:
        """From when on at least one delivery may be claimed."""
        return datetime.fromtimestamp(rate_limits.next_free_at(self._log(at), limits, at.timestamp()), UTC)

    def retry_at(self, at: datetime) -> datetime:
        """When the channel may be tried again: at that instant, unless it is away."""
        until = self.away_until
        return until if until and at < until <= at + 2 * LONGEST_OUTAGE_PAUSE else at

    def reserve(self, limits: Sequence[RateLimit], *, lease: str, count: int, at: datetime) -> None:
        """Reserve ``count`` slots for a claim."""
        self.log = rate_limits.trimmed(self._past(at), limits, at.timestamp())
        self.claims = {**self._open(at), lease: [at.timestamp(), count]}
        self.save(update_fields=["log", "claims"])

    def renew(self, *, lease: str, at: datetime) -> bool:
        """Renew the slots of a claim; ``False`` if its lease had run out and they count as used."""
        if renewed := lease in self.claims:
            self.claims[lease][0] = at.timestamp()
            self.save(update_fields=["claims"])
        return renewed

    def record_sent(self, limits: Sequence[RateLimit], *, lease: str, used: int, at: datetime) -> None:
        """Give back the slots that a claim did not use. The used ones count from now on, even if the lease ran out."""
        self.claims.pop(lease, None)
        sent = [(at.timestamp(), used)] if used else []
        self.log = rate_limits.trimmed([*self.log, *sent], limits, at.timestamp())
        self.save(update_fields=["log", "claims"])

    def _log(self, at: datetime) -> list[tuple[float, int]]:
        """The log as if everything claimed were sent at this moment, and nothing after it."""
        now = at.timestamp()
        claimed = [(now, count) for _moment, count in self._open(at).values()]
        return [*((min(moment, now), count) for moment, count in self._past(at)), *claimed]

    # A claim is a pair that JSON keeps as a list of a float and an integer.
    def _open(self, at: datetime) -> dict[str, Any]:
        """The claims of workers whose leases have not run out."""
        return {lease: claim for lease, claim in self.claims.items() if claim[0] >= (at - LEASE).timestamp()}

    def _past(self, at: datetime) -> list[tuple[float, int]]:
        """What was sent. A dead worker may have sent its whole claim, up to the end of its lease."""
        dead = [claim for lease, claim in self.claims.items() if lease not in self._open(at)]
        return [*self.log, *((moment + LEASE.total_seconds(), count) for moment, count in dead)]

    def __str__(self) -> str:
        return self.channel


def limits_for(channel: str) -> tuple[RateLimit, ...]:
    """The rate limits of a channel, as ``models.rate_limits`` computes with them."""
    return rate_limits.parse_all(conf.get().RATE_LIMITS.get(channel, ()))
