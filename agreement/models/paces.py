"""One row a channel that sends: what its caps have seen, and whether it is away."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from django.db import models, router, transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from agreement import pace
from agreement.models.deliveries import LEASE
from agreement.pace import Cap

#: How long a channel that is away is left alone: the pauses double from the first to the longest.
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=15), timedelta(minutes=10)


class PaceQuerySet(models.QuerySet["Pace"]):
    def lock(self, channel: str) -> Pace:
        """The channel's row, made if it is missing, for this transaction alone (2 queries, 4 the first time)."""
        # A write, as Agreement.lock(): it locks the row, or SQLite's database. What is read is not a replica's.
        primary = self.using(router.db_for_write(self.model))
        if not primary.filter(channel=channel).update(channel=F("channel")):
            primary.get_or_create(channel=channel)
            primary.filter(channel=channel).update(channel=F("channel"))
        return primary.get(channel=channel)

    def renew(self, channel: str, *, lease: str, at: datetime | None = None) -> bool:
        """Keep the slots of whoever still sends; ``False`` if he was taken for dead, and others go by that. 3 queries
        in a transaction.
        """
        with transaction.atomic(using=router.db_for_write(Pace)):
            row = self.lock(channel)
            return row.renew(lease=lease, at=at or timezone.now())

    def away(self, channel: str, *, at: datetime, reason: str) -> None:
        """Leave the channel alone for a while, longer each time; workers that meet one outage count once."""
        row = self.get_or_create(channel=channel)[0]
        pause = min(FIRST_PAUSE * 2 ** min(row.outages, 20), LONGEST_PAUSE) * random.uniform(0.75, 1.25)  # noqa: S311
        here = self.filter(Q(away_until__isnull=True) | ~self._left_alone(at), channel=channel)
        here.update(away_until=at + pause, outages=F("outages") + 1, reason=reason[:255])

    def left_alone(self, at: datetime) -> Self:
        """Channels that are away at that instant. A pause longer than any can be was written before the clock was
        put back: it is over.
        """
        return self.filter(self._left_alone(at))

    def _left_alone(self, at: datetime) -> Q:
        return Q(away_until__gt=at, away_until__lte=at + 2 * LONGEST_PAUSE)

    def back(self, channel: str) -> None:
        """The channel took something again."""
        self.filter(channel=channel, outages__gt=0).update(away_until=None, outages=0, reason="")


PaceManager = models.Manager.from_queryset(PaceQuerySet)


class Pace(models.Model):
    """Slots are drawn here, under a lock, by every claim of a channel that has caps: so no pause, outage, retry,
    second notice or fourth worker makes a burst.
    """

    channel = models.CharField(_("channel"), max_length=32, unique=True)
    # What was sent, as agreement.pace keeps it: [[moment, number], …].
    log = models.JSONField(default=list, blank=True)
    # What is claimed and on its way: {lease: [moment of the claim or of its last renewal, number]}.
    claims = models.JSONField(default=dict, blank=True)
    away_until = models.DateTimeField(_("away until"), null=True, blank=True)
    outages = models.PositiveSmallIntegerField(_("outages in a row"), default=0)
    reason = models.CharField(_("reason"), max_length=255, blank=True)

    objects = PaceManager()

    class Meta:
        verbose_name = _("pace of a channel")
        verbose_name_plural = _("paces of channels")

    def room(self, limits: Sequence[Cap], at: datetime) -> int:
        """How many deliveries may be claimed now."""
        return pace.room(self._log(at), limits, at.timestamp())

    def opens_at(self, limits: Sequence[Cap], at: datetime) -> datetime:
        """When at least one may be claimed."""
        return datetime.fromtimestamp(pace.opens(self._log(at), limits, at.timestamp()), UTC)

    def back_at(self, at: datetime) -> datetime:
        """When the channel may be tried again: at that instant, unless it is away."""
        until = self.away_until
        return until if until and at < until <= at + 2 * LONGEST_PAUSE else at

    def draw(self, limits: Sequence[Cap], *, lease: str, count: int, at: datetime) -> None:
        """Take ``count`` slots for a claim."""
        self.log = pace.trimmed(self._past(at), limits, at.timestamp())
        self.claims = {**self._open(at), lease: [at.timestamp(), count]}
        self.save(update_fields=["log", "claims"])

    def renew(self, *, lease: str, at: datetime) -> bool:
        """Keep the slots of a claim, if they were not counted as a dead worker's."""
        if kept := lease in self.claims:
            self.claims[lease][0] = at.timestamp()
            self.save(update_fields=["claims"])
        return kept

    def settle(self, limits: Sequence[Cap], *, lease: str, used: int, at: datetime) -> None:
        """Give back what a claim did not use; what it used counts from now on, even if it was taken for dead."""
        self.claims.pop(lease, None)
        self.log = pace.trimmed([*self.log, *([(at.timestamp(), used)] if used else [])], limits, at.timestamp())
        self.save(update_fields=["log", "claims"])

    def _log(self, at: datetime) -> list[tuple[float, int]]:
        """As if everything claimed were sent at this moment, and nothing after it."""
        now = at.timestamp()
        claimed = [(now, count) for _moment, count in self._open(at).values()]
        return [*((min(moment, now), count) for moment, count in self._past(at)), *claimed]

    def _open(self, at: datetime) -> dict[str, Any]:
        """What living workers have claimed."""
        return {lease: claim for lease, claim in self.claims.items() if claim[0] >= (at - LEASE).timestamp()}

    def _past(self, at: datetime) -> list[tuple[float, int]]:
        """What was sent: of a dead worker's claim perhaps all of it, up to the end of its lease."""
        dead = [claim for lease, claim in self.claims.items() if lease not in self._open(at)]
        return [*self.log, *((moment + LEASE.total_seconds(), count) for moment, count in dead)]

    def __str__(self) -> str:
        return self.channel
