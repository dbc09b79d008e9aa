"""Lists the deliveries of a notice that reached nobody, and makes those of them wait again that may reach their user
now.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db import models, router
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from agreement.models import Bounce, Delivery, DeliveryOutcome, Notice, Progress, pseudonyms
from agreement.models.audit import By
from agreement.models.backoff import MAX_ATTEMPTS
from agreement.models.deliveries import DeliveryQuerySet
from agreement.models.fields import UserKey
from agreement.models.notices import (
    EXCUSED,
    INVALID_ADDRESS,
    NO_ADDRESS,
    OVERTAKEN,
    enqueue_on_commit,
)
from agreement.notices.audience import notice_audience
from agreement.notices.channels import Channel, site_channels

__all__ = ["Cause", "count_by_cause", "resend_reachable"]

#: How many deliveries are read at once.
ROWS_PER_CHUNK = 2_000


class Cause(models.TextChoices):
    """Why a delivery reached nobody."""

    NO_ADDRESS = "no_address", _("no address")
    INVALID_ADDRESS = "invalid_address", _("invalid address")
    REFUSED = "refused", pgettext_lazy("delivery", "refused")
    GIVEN_UP = "given_up", _("given up after all attempts")
    RETURNED = "returned", _("returned after it was sent")
    OTHER = "other", _("skipped for another reason")


class AddressNow(models.TextChoices):
    """What is known now of the address of a user whom a notice did not reach.

    ``NONE`` is also an address to which the channel can't send, the address of a user who is not in the audience, and
    any address in a channel that the site no longer has. ``SAME`` and ``ANOTHER`` compare it with the address to which
    the message was sent; for a skipped delivery every usable address is ``ANOTHER``. ``UNKNOWN`` means that they have
    an address, but that it can't be compared.
    """

    NONE = "none", _("none")
    SAME = "same", _("the same")
    ANOTHER = "another", _("another one")
    UNKNOWN = "unknown", _("has one")


#: The outcomes of the deliveries of each cause that are sent again if the user has ``AddressNow.ANOTHER``.
#: ``NO_ADDRESS`` is left out, because the database finds these deliveries.
READDRESSED = {
    Cause.INVALID_ADDRESS: DeliveryOutcome.SKIPPED,
    Cause.OTHER: DeliveryOutcome.SKIPPED,
    Cause.REFUSED: DeliveryOutcome.FAILED,
    Cause.GIVEN_UP: DeliveryOutcome.FAILED,
    Cause.RETURNED: DeliveryOutcome.SENT,
}


@dataclass(frozen=True, slots=True)
class Unreached:
    """A delivery that reached nobody, with its cause, and what is known now of the address of its user. ``reason`` and
    ``at`` are those of the returned mail if the cause is ``RETURNED``, otherwise those of the outcome.
    """

    delivery: Delivery
    cause: Cause
    reason: str
    at: datetime | None
    address: AddressNow


def deliveries_by_cause(notice: Notice, cause: Cause, *, deleted: bool = False) -> DeliveryQuerySet:
    """Return the deliveries of the notice that reached nobody for this cause, in the order of their primary keys: those
    whose account exists or, with ``deleted``, those of deleted accounts. A delivery that was refused at its last
    attempt has the cause ``GIVEN_UP``. The queryset is not evaluated.
    """
    rows = Delivery.objects.filter(notice=notice, user__isnull=deleted).order_by("pk")
    failed, skipped = rows.filter(outcome=DeliveryOutcome.FAILED), rows.filter(outcome=DeliveryOutcome.SKIPPED)
    given_up = Q(attempts__gte=MAX_ATTEMPTS - 1)  # The last attempt is not counted.
    match cause:
        case Cause.NO_ADDRESS:
            return skipped.filter(reason=NO_ADDRESS)
        case Cause.INVALID_ADDRESS:
            return skipped.filter(reason=INVALID_ADDRESS)
        case Cause.REFUSED:
            return failed.exclude(given_up)
        case Cause.GIVEN_UP:
            return failed.filter(given_up)
        case Cause.RETURNED:
            return rows.returned().filter(outcome=DeliveryOutcome.SENT, returns__gt=0)  # It uses an index.
    excused = Q(reason__in=EXCUSED) | Q(reason__startswith=OVERTAKEN)
    return skipped.exclude(excused | Q(reason__in=[NO_ADDRESS, INVALID_ADDRESS]))


def count_by_cause(notice: Notice) -> dict[Cause, int]:
    """Return how many deliveries of the notice reached nobody, by cause. Causes with 0 are left out, and deliveries of
    deleted accounts are not counted.

    The numbers are those of the progress of the notice, except that ``GIVEN_UP`` is counted in the ledger. 1 query, 1
    more if deliveries failed, and 1 more for each cause if a delivery of the notice that reached nobody is of a deleted
    account.
    """
    rows = list(Progress.objects.filter(notice=notice).with_gone())
    counts = dict.fromkeys(Cause, 0)
    for row in rows:
        skipped: dict[str, int] = row.reasons.get("skipped", {})
        no_address, invalid = skipped.get(NO_ADDRESS, 0), skipped.get(INVALID_ADDRESS, 0)
        counts[Cause.NO_ADDRESS] += no_address
        counts[Cause.INVALID_ADDRESS] += invalid
        counts[Cause.OTHER] += row.missed - no_address - invalid
        counts[Cause.RETURNED] += row.bounced
        counts[Cause.REFUSED] += row.failed
    if counts[Cause.REFUSED]:
        counts[Cause.GIVEN_UP] = deliveries_by_cause(notice, Cause.GIVEN_UP).count()
        counts[Cause.REFUSED] -= counts[Cause.GIVEN_UP]
    for cause in Cause if any(row.gone for row in rows) else ():
        gone = deliveries_by_cause(notice, cause, deleted=True).count()
        counts[Cause.REFUSED if cause == Cause.GIVEN_UP else cause] -= gone
    return {cause: count for cause, count in counts.items() if count > 0}


def unreached(notice: Notice, cause: Cause, *, after: int = 0, size: int = ROWS_PER_CHUNK) -> list[Unreached]:
    """Return the deliveries of the notice that reached nobody for this cause: up to ``size`` of those with a primary
    key higher than ``after``, in the order of their primary keys, each with its user. Those of deleted accounts are
    left out. At most 2 queries, and 1 for each channel.
    """
    rows = list(deliveries_by_cause(notice, cause).filter(pk__gt=after).select_related("user")[:size])
    mails = Bounce.objects.filter(delivery__in=rows).order_by("pk") if cause == Cause.RETURNED else ()
    returned = {mail.delivery_id: mail for mail in mails}
    now: dict[int, AddressNow] = {}
    for channel in site_channels():
        now |= _addresses_now(notice, [row for row in rows if row.channel == channel.name], channel)
    found = []
    for row in rows:
        address, mail = now.get(row.pk, AddressNow.NONE), returned.get(row.pk)
        reason, at = (mail.reason, mail.at) if mail else (row.reason, row.outcome_at)
        found.append(Unreached(row, cause, reason, at, address))
    return found


def all_unreached(notice: Notice, causes: list[Cause]) -> Iterator[Unreached]:
    """Yield all deliveries of the notice that reached nobody for one of these causes, one cause after another, except
    those of deleted accounts. They are read in chunks.
    """
    for cause in causes:
        after = 0
        while rows := unreached(notice, cause, after=after):
            yield from rows
            after = rows[-1].delivery.pk


def may_reach_again(notice: Notice) -> bool:
    """Return whether :func:`resend_reachable` would find a delivery. Up to ``ROWS_PER_CHUNK`` deliveries of each cause
    and channel are read; if there are more, and none of these is found, the result is true. No more than 12 queries for
    each channel.
    """
    if notice.skip_reason():
        return False
    for channel in site_channels():
        rows = Delivery.objects.filter(notice=notice, channel=channel.name, lease="")
        with_address = channel.reachable(notice_audience(notice)).order_by().values("pk")
        if rows.filter(outcome=DeliveryOutcome.SKIPPED, reason=NO_ADDRESS, user__in=with_address).exists():
            return True
        for cause in READDRESSED:
            some = list(deliveries_by_cause(notice, cause).filter(channel=channel.name)[: ROWS_PER_CHUNK + 1])
            if len(some) > ROWS_PER_CHUNK or AddressNow.ANOTHER in _addresses_now(notice, some, channel).values():
                return True
    return False


def resend_reachable(notice: Notice, *, by: By = None) -> int:
    """Make deliveries of the notice wait again that should have reached a user and did not, and return how many. They
    are the skipped ones whose user has an address now to which the channel can send, and the failed and returned ones
    whose user has another address now than that to which the message was sent. If there are any, audit entries are
    added. ``by`` is the person.

    Users who are not in the audience, and deliveries in channels that the site no longer has, are left out. So are
    failed and returned deliveries if the ledger has no digest of the address, for which the site needs a key of
    pseudonyms. The site's ``ENQUEUE`` is called after the commit. If the deliveries of the notice are to be skipped, 0
    is returned and nothing is done.

    Deliveries that were skipped with the reason ``NO_ADDRESS`` wait again if ``channel.reachable()`` finds an address,
    although the channel may not accept its form. They are not read one by one. Other deliveries are read in chunks.
    """
    if notice.skip_reason():
        return 0
    alias, total = router.db_for_write(Delivery), 0
    progress = Progress.objects.using(alias).filter(
        Q(failed__gt=0) | Q(skipped__gt=0) | Q(bounced__gt=0), notice=notice
    )
    names = set(progress.values_list("channel", flat=True))
    for channel in [channel for channel in site_channels() if channel.name in names]:
        rows = Delivery.objects.using(alias).filter(notice=notice, channel=channel.name, lease="")
        with_address = channel.reachable(notice_audience(notice).using(alias)).order_by().values("pk")
        without = rows.filter(reason=NO_ADDRESS, user__in=with_address)
        total += without.reopen(notice=notice, channel=channel.name, outcome=DeliveryOutcome.SKIPPED, by=by)
        for cause, outcome in READDRESSED.items():
            for keys in _with_another_address(notice, cause, channel, alias):
                chunk = rows.filter(pk__in=keys)
                total += chunk.reopen(notice=notice, channel=channel.name, outcome=outcome, by=by)
    enqueue_on_commit(using=alias)
    return total


def _with_another_address(notice: Notice, cause: Cause, channel: Channel, alias: str) -> Iterator[list[int]]:
    """Yield lists of the primary keys of those deliveries of this notice, cause and channel whose user has
    ``AddressNow.ANOTHER``. ``alias`` is that of the database from which the deliveries are read.
    """
    rows, after = deliveries_by_cause(notice, cause).using(alias).filter(channel=channel.name), 0
    while chunk := list(rows.filter(pk__gt=after)[:ROWS_PER_CHUNK]):
        after = chunk[-1].pk
        now = _addresses_now(notice, chunk, channel)
        if keys := [key for key, address in now.items() if address == AddressNow.ANOTHER]:
            yield keys


def _addresses_now(notice: Notice, rows: list[Delivery], channel: Channel) -> dict[int, AddressNow]:
    """Return what is known now of the addresses of the users of these deliveries, which are of that notice and channel,
    by the primary key of the delivery. At most 1 query.
    """
    users = {row.user_id for row in rows} - {None}
    if not users:
        return dict.fromkeys((row.pk for row in rows), AddressNow.NONE)
    found = notice_audience(notice).filter(pk__in=users).annotate(agreement_address=channel.address())
    addresses: dict[UserKey, object] = dict(found.values_list("pk", "agreement_address"))
    return {row.pk: _address_now(row, addresses.get(row.user_id), channel) for row in rows}


def _address_now(row: Delivery, address: object, channel: Channel) -> AddressNow:
    text = "" if address is None else str(address)
    if not text or channel.unreachable(text):
        return AddressNow.NONE
    if row.outcome == DeliveryOutcome.SKIPPED:  # Then nothing could be sent to the address, if there was one.
        return AddressNow.ANOTHER
    digests = pseudonyms.address_digests(text)
    if not (row.address_digest and digests):
        return AddressNow.UNKNOWN
    return AddressNow.SAME if row.address_digest in digests else AddressNow.ANOTHER
