"""The ledger: which user was notified, with at most one row for each notice, user and channel.

A row waits until its outcome is recorded: *sent*, *failed* or *skipped*. A worker claims waiting rows by a lease, whose
end is ``due_at``. After the end of the lease any worker may claim the row, if it still waits, so that no row is lost if
a worker is killed. A row whose outcome a worker recorded keeps its lease until :meth:`DeliveryQuerySet.count_outcomes`
adds the outcome to the :class:`Progress` of the notice.

Leases are written and judged by the clock of the database, because the clocks of machines differ: to a worker whose
clock is ahead, the leases of all others would have run out. In this module "now" is :func:`ledger_now`, and ``at`` must
be a moment of the same clock. On PostgreSQL a method that needs the present moment and is called without ``at`` asks
the database for it.
"""

from __future__ import annotations

import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import cache, partial
from typing import TYPE_CHECKING, Self

from django.conf import settings
from django.db import connections, models, router, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import Count, Exists, F, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from agreement.memory import remembered
from agreement.models import message_ids
from agreement.models.audit import AuditAction, AuditEntry, By
from agreement.models.clock import DatabaseClock, database_now
from agreement.models.fields import PRESERVE_UNDER_PSEUDONYM, InstantField, UserKey
from agreement.models.notices import (
    CANCELLED,
    NOTICE_LANGUAGES,
    PERHAPS_SENT,
    Notice,
    NoticeText,
    overtaken_by,
)
from agreement.models.personal import PersonalQuerySet
from agreement.models.progress import Progress

#: How long a claimed delivery belongs to the worker that claimed it. The worker renews the lease while it sends.
LEASE = timedelta(seconds=30)
#: How many deliveries a worker claims at once, at most. If it is killed, they wait until the lease runs out.
CLAIM_SIZE = 100
#: How many rows one statement changes at most, if there may be millions.
CHUNK_ROWS = 10_000
#: The rank of a user who was never active. Such users are notified last.
NEVER_ACTIVE_RANK = 1_000_000


def ledger_now() -> datetime:
    """Return the present moment by the clock of the database that contains the ledger. 1 query on PostgreSQL."""
    return database_now(router.db_for_write(Delivery))


def ledger_clock() -> DatabaseClock:
    """Return the clock of the database that contains the ledger, for a worker. 1 query on PostgreSQL."""
    return DatabaseClock(router.db_for_write(Delivery))


class DeliveryOutcome(models.TextChoices):
    """The outcome of a delivery, or that it still waits. All but ``waiting`` are final, but ``reopen()`` can make
    failed deliveries, skipped ones and sent ones whose message was returned wait again, and ``revive()`` skipped ones.
    """

    WAITING = "waiting", _("waiting")
    SENT = "sent", _("sent")
    FAILED = "failed", _("failed")
    SKIPPED = "skipped", _("skipped")


class DeliveryQuerySet(PersonalQuerySet["Delivery"]):
    def primary(self) -> Self:
        """The same rows, read from the database for writes. A replica may not have the last claims and outcomes yet."""
        return self.using(router.db_for_write(self.model))

    def waiting(self) -> Self:
        """Deliveries without a recorded outcome, with or without a lease, whether due or not."""
        return self.filter(outcome=DeliveryOutcome.WAITING)

    def final(self) -> Self:
        """Deliveries with a recorded outcome: sent, failed or skipped."""
        return self.exclude(outcome=DeliveryOutcome.WAITING)

    def returned(self) -> Self:
        """Deliveries whose message was returned, and which did not wait again since."""
        return self.filter(returns__gt=F("returns_before"))

    def due(self, at: datetime | None = None) -> Self:
        """Waiting deliveries that are due at that instant (now) and have no lease, or whose lease ran out by then.
        Those of paused notices are included.
        """
        return self.waiting().filter(due_at__lte=at or ledger_now())

    def unleased(self, at: datetime | None = None) -> Self:
        """Waiting deliveries without a lease, or whose lease ran out by that instant (now), whether due or not."""
        return self.waiting().filter(Q(lease="") | Q(due_at__lte=at or ledger_now()))

    def leased(self) -> Self:
        """Deliveries with a lease, also one that ran out. They wait, or have an outcome that is not counted yet."""
        return self.primary().exclude(lease="")

    def claim(
        self,
        *,
        notice: Notice,
        channel: str,
        size: int = CLAIM_SIZE,
        at: datetime | None = None,
        due: datetime | None = None,
    ) -> list[Delivery]:
        """Lease up to ``size`` due deliveries of a notice in a channel, and return them, those of the most recently
        active users first (the column ``rank``). All get the same new lease.

        The lease begins at ``at`` (now) and lasts for ``LEASE``. Waiting deliveries whose ``due_at`` is not after
        ``due`` (``None``: not after ``at``) are chosen, the longest due first, and among equals those of the most
        recently active users. A delivery whose earlier lease ended by then is among them, because ``due_at`` is the end
        of its lease. ``due`` must not be after ``at``; this is not checked. If the notice is paused, the result is
        empty.

        With ``at``, 2 queries, 1 if nothing is claimed. Workers on several machines need no coordination. On PostgreSQL
        each skips the rows that another one is claiming. On SQLite the second write waits for the first, and then finds
        these rows claimed.
        """
        lease, at = uuid.uuid4().hex, at or ledger_now()
        primary = self.primary()
        connection = connections[primary.db]
        moment, until = map(connection.ops.adapt_datetimefield_value, (due or at, at + LEASE))
        with connection.cursor() as cursor:
            # One statement, because on SQLite a transaction that reads first may be unable to write afterwards.
            cursor.execute(_claim_sql(connection.vendor), [lease, until, notice.pk, channel, moment, notice.pk, size])
            if not cursor.rowcount:
                return []
        claimed = list(primary.waiting().filter(lease=lease).order_by("rank", "pk"))
        for delivery in claimed:
            delivery.notice = notice
        return claimed

    def renew(self, *, lease: str, at: datetime | None = None) -> set[int]:
        """Renew a lease, so that it lasts for ``LEASE`` from that instant (now). With ``at``, 2 queries.

        Returns the primary keys of the deliveries that wait and still have this lease. A lease that ran out is renewed
        too, for the deliveries that no other worker has claimed in the meantime. The worker must not send the other
        deliveries of its claim.
        """
        leased = self.primary().waiting().filter(lease=lease)
        leased.update(due_at=(at or ledger_now()) + LEASE)
        return set(leased.values_list("pk", flat=True))

    def shorten(self, at: datetime | None = None) -> int:
        """Shorten the leases that end more than three times ``LEASE`` after that instant (now), to one ``LEASE`` after
        it. Returns the number of deliveries whose lease was shortened. With ``at``, 1 query, 2 if there are any.

        Such leases were written before the clock was put back. The lease of a dead worker would last for as long as the
        clock was put back; a living worker renews its lease in time. A lease that ends earlier is left as it is,
        because ``at`` may have been read a while before.
        """
        at = at or ledger_now()
        ahead = self.leased().filter(due_at__gt=at + 3 * LEASE)
        return ahead.update(due_at=at + LEASE) if ahead.exists() else 0

    def release(self, *, lease: str, due_at: datetime) -> int:
        """Remove this lease from the waiting deliveries that have it, which are then due at ``due_at``. This does not
        count as an attempt. Returns how many there were. 1 query.
        """
        return self.waiting().filter(lease=lease).update(lease="", due_at=due_at)

    def count_outcomes(self, *, lease: str, began_at: datetime | None = None, at: datetime | None = None) -> int:
        """Add the outcomes recorded under a lease to the progress of its notice in its channel, with the time that the
        batch took, and remove the lease from these deliveries. Deliveries that still wait are left as they are.

        ``began_at`` is when the batch began (``None``: no time is added), and ``at`` when it ended (now). Each delivery
        is added once, however often this is called and wherever a caller is killed. Returns how many were added; 0 if
        there are none or if another process has added them in the meantime. With ``at``, at most 5 queries.
        """
        at = at or ledger_now()
        final = self.primary().final().filter(lease=lease).order_by()
        found = list(final.values_list("notice", "channel", "outcome", "reason").annotate(Count("pk")))
        if not found:
            return 0
        counts: Counter[tuple[str, str]] = Counter()
        for _notice, _channel, outcome, reason, count in found:
            counts[outcome, reason] += count
        with transaction.atomic(using=final.db):
            # The progress is locked before the deliveries, as _change_outcome() does: else the two could deadlock.
            progress = Progress.objects.using(final.db).lock(notice=found[0][0], channel=found[0][1])
            if final.update(lease="") != (total := counts.total()):  # Another process has counted them.
                transaction.set_rollback(True, using=final.db)
                return 0
            if began_at:
                sent = sum(count for (outcome, _reason), count in counts.items() if outcome == DeliveryOutcome.SENT)
                progress.add_batch(began_at=began_at, at=at, sent=sent)
            progress.latest_at = progress.latest_at or at
            counts[DeliveryOutcome.WAITING, ""] -= total
            progress.add(counts)
            progress.save()
        return total

    def skip(self, *, notice: Notice, reason: str, at: datetime | None = None) -> int:
        """Record as skipped those of these deliveries that are of the notice, wait, and have no lease or one that ran
        out by that instant (now). The progress of the notice is changed with them. Returns how many were skipped.

        ``reason`` is stored with each. At most ``CHUNK_ROWS`` rows are changed in each transaction. If ``reason`` is
        ``CANCELLED``, deliveries that may have been sent get the reason ``PERHAPS_SENT`` instead. These are the
        deliveries with ``perhaps_sent`` and, of each lease that ran out, the one that its worker would have sent next:
        the first in the order of rank and key that still waits.
        """
        at = at or ledger_now()
        rows = self.primary().unleased(at).filter(notice=notice)
        groups = [(rows, reason)]
        if reason == CANCELLED:
            leased = rows.exclude(lease="").order_by("-rank", "-pk").values_list("lease", "pk")
            first = dict(leased).values()  # The last key written for a lease is that of the first row to be sent.
            groups.insert(0, (rows.filter(Q(pk__in=first) | Q(perhaps_sent=True)), PERHAPS_SENT))
        waiting = Progress.objects.using(rows.db).filter(notice=notice, waiting__gt=0)
        return sum(
            self._change_outcome(some, notice, channel, old="waiting", new="skipped", reason=why, outcome_at=at)
            for channel in waiting.values_list("channel", flat=True)
            for some, why in groups
        )

    def revive(self, *, cancelled: Notice) -> int:
        """Make deliveries wait again that were skipped in favour of a newer edition which was then cancelled, and add
        an audit entry for each notice and channel (and each ``CHUNK_ROWS`` of its rows). When they are due is not
        changed. Returns how many deliveries wait again.

        ``cancelled`` is the notice of that cancellation. A delivery is left out if its channel sent the user the notice
        of the publication of the cancelled edition, or its reminder. Call this when no delivery of the cancelled
        edition is claimed: as long as one is, a worker may still send it. The call may be repeated.
        """
        edition, primary, total = cancelled.edition, self.primary(), 0
        received = self.filter(notice__in=cancelled.other_notices(), user=OuterRef("user"), channel=OuterRef("channel"))
        received = received.filter(outcome=DeliveryOutcome.SENT)
        earlier = Notice.objects.filter(edition__agreement=edition.agreement_id, edition__number__lt=edition.number)
        skipped = Progress.objects.using(primary.db).filter(notice__in=earlier, skipped__gt=0)
        for progress in skipped.select_related("notice"):
            overtaken = primary.filter(
                notice=progress.notice, channel=progress.channel, outcome=DeliveryOutcome.SKIPPED, lease=""
            ).filter(~Exists(received), reason=overtaken_by(edition.number or 0))
            total += self._change_outcome(
                overtaken,
                progress.notice,
                progress.channel,
                old="skipped",
                new="waiting",
                reason="",
                reopening=partial(AuditEntry.objects.using(primary.db).log, AuditAction.REVIVED, on=progress.notice),
                outcome_at=None,
            )
        return total

    def _change_outcome(
        self,
        rows: Self,
        notice: Notice,
        channel: str,
        *,
        old: str,
        new: str,
        reason: str,
        reopening: Callable[..., AuditEntry] | None = None,
        **columns: object,
    ) -> int:
        """Change the outcome of rows of one notice and channel from ``old`` to ``new``, and their progress with it.
        Returns how many changed.

        ``rows`` must be of that notice and have the outcome ``old``; those of other channels are left out. At most
        ``CHUNK_ROWS`` of them are changed in each transaction. ``reason`` is stored with each, the lease is removed,
        and ``columns`` are further columns to set. ``reopening`` is given if rows with a final outcome wait again,
        otherwise ``None``. It is called once in each transaction with the argument ``note``, which is the number of
        rows as text, and returns a new audit entry. The rows of the transaction refer to that entry by ``reopened_by``.
        """
        rows, total = rows.filter(channel=channel).order_by(), 0
        while True:
            with transaction.atomic(using=rows.db):
                progress = Progress.objects.using(rows.db).lock(notice=notice, channel=channel)
                counts: Counter[tuple[str, str]] = Counter()
                # The keys are read first. As a subquery, PostgreSQL may join two scans of all waiting rows while its
                # statistics are old. The conditions are repeated: a row may have been claimed in the meantime.
                old_reasons = dict(rows.values_list("pk", "reason")[:CHUNK_ROWS])
                if reopening and old_reasons:
                    reopened = {"reopened_by": reopening(note=str(len(old_reasons))), "returns_before": F("returns")}
                    columns |= reopened
                    progress.bounced -= rows.returned().filter(pk__in=old_reasons).count()
                count = rows.filter(pk__in=old_reasons).update(outcome=new, lease="", reason=reason, **columns)
                if old in Progress.EXPLAINED:  # No other process changes these rows while the lock is held.
                    counts.subtract((old, old_reason) for old_reason in old_reasons.values())
                else:
                    counts[old, ""] -= count
                if not count:
                    return total
                counts[new, reason] += count
                progress.add(counts)
                progress.save()
            total += count

    def resend(self, *, notice: Notice, by: By = None, at: datetime | None = None) -> int:
        """Make the failed deliveries of a notice wait again, due at that instant (now) and with 0 attempts, and add an
        audit entry for each channel (and each ``CHUNK_ROWS`` of its rows). Failed deliveries that the :class:`Progress`
        does not count yet are left as they are. ``by`` is the person who requests it. Returns how many wait again.
        """
        failed = Progress.objects.using(self.primary().db).filter(notice=notice, failed__gt=0)
        channels = failed.values_list("channel", flat=True)
        return sum(
            self.reopen(notice=notice, channel=channel, outcome=DeliveryOutcome.FAILED, by=by, at=at)
            for channel in channels
        )

    def reopen(
        self,
        *,
        notice: Notice,
        channel: str,
        outcome: DeliveryOutcome,
        by: By = None,
        at: datetime | None = None,
    ) -> int:
        """Make those of these deliveries wait again that are of the notice and the channel and have that outcome, due
        at that instant (now) and with 0 attempts, and add an audit entry (for each ``CHUNK_ROWS`` of the rows). Those
        that were sent wait again only if their message was returned. Those whose outcome the :class:`Progress` does not
        count yet are left as they are. ``by`` is the person who requests it. Returns how many wait again.
        """
        rows = self.primary().filter(notice=notice, outcome=outcome, lease="")
        rows = rows.returned() if outcome == DeliveryOutcome.SENT else rows
        fresh: dict[str, object] = {"due_at": at or ledger_now(), "outcome_at": None, "attempts": 0}
        return self._change_outcome(
            rows,
            notice,
            channel,
            old=outcome.value,
            new="waiting",
            reason="",
            reopening=partial(AuditEntry.objects.using(rows.db).log, AuditAction.RESENT, on=notice, by=by),
            **fresh,
        )

    def record_bounce(self, message_id: str, *, at: datetime | None = None, reason: str = "") -> Bounce | None:
        """Record that the mail with that ``Message-ID`` was returned at that instant (now), and return the record;
        ``None`` if no delivery has that id. The outcome of the delivery is neither checked nor changed. The first call
        adds 1 to the number of returned mails in the progress of the notice. A second call records nothing and returns
        the last record, unless the delivery waited again since: then it counts as the first.

        This is for sites whose mail server reports returned mail in a way of its own: the webhooks of anymail and the
        command ``record_bounces`` need no code. ``reason`` may be the whole reply of a server. :func:`bounce_code` says
        what of it is stored, because the text may quote the address.
        """
        delivery = self.using(router.db_for_write(Bounce)).with_message_id(message_id).first()
        return delivery.record_bounce(at=at, reason=reason)[0] if delivery else None

    def reconcile(self, message_ids: Iterable[str], *, at: datetime | None = None) -> int:
        """Record the waiting deliveries with these ids as sent at that instant (now). Returns how many were recorded.

        A delivery with a lease that has not run out is left as it is, and an id that no delivery has is ignored. The
        ids are those of ``Message-ID`` headers in the log of the mail server. ``dispatch.reconcile()`` calls this after
        a database was restored from a backup.
        """
        at, total = at or ledger_now(), 0
        for message_id in message_ids:
            rows = self.primary().with_message_id(message_id).unleased(at)
            if delivery := rows.select_related("notice").first():
                notice, channel = delivery.notice, delivery.channel
                total += self._change_outcome(
                    rows, notice, channel, old="waiting", new="sent", reason="found in the mail log", outcome_at=at
                )
        return total

    def with_message_id(self, message_id: str) -> Self:
        """The delivery that has that ``Message-ID``, whether it was sent or not, as a queryset; an empty one if there
        is none. A delivery of a deleted account is found by its pseudonym, if the site still has the key and no erasure
        has cleared the pseudonym.
        """
        if (found := message_ids.parse(message_id)) is None:
            return self.none()
        notice, channel, user_key = found
        return self.for_user_key(user_key).filter(notice__uuid=notice, channel=channel)

    def uncounted_leases(self, at: datetime | None = None) -> list[str]:
        """Leases that ran out before that instant (now) and have outcomes that the :class:`Progress` does not count
        yet, for example because the worker was killed. At most 100, in no particular order. With ``at``, 1 query.
        """
        expired = self.leased().final().filter(due_at__lt=at or ledger_now())
        return list(expired.order_by().values_list("lease", flat=True).distinct()[:100])


DeliveryManager = models.Manager.from_queryset(DeliveryQuerySet)


class Delivery(models.Model):
    """The copy of a notice for one user by one channel. "Sent" means only that the channel (for mail: the mail server)
    accepted it.

    While the row waits with a ``lease``, ``due_at`` is the end of the lease. ``attempts`` is the number of failed
    attempts after which another one was scheduled; ``reopen()`` sets it to 0. ``perhaps_sent`` means that an attempt
    ended without an answer, so that the message may have been accepted; it never becomes false again. ``language``,
    ``since``, ``cancelled`` and ``address_digest`` describe the message that was sent or failed, as far as they are
    known. They stay when the row waits again. The pseudonym is empty while the account exists.
    """

    # The column has no index of its own, because the indexes below begin with it.
    notice = models.ForeignKey(
        Notice, on_delete=models.PROTECT, related_name="deliveries", verbose_name=_("notice"), db_index=False
    )
    # The ledger outlives the account.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=PRESERVE_UNDER_PSEUDONYM,
        null=True,
        related_name="+",
        verbose_name=_("user"),
    )
    channel = models.CharField(_("channel"), max_length=32)
    # Whole hours from the user's last activity to the creation of the notice; 0 if the
    # site has no USER_ACTIVE_AT. The lowest rank is sent first.
    rank = models.PositiveIntegerField(default=0, editable=False)
    language = models.CharField(_("language"), max_length=3, blank=True, choices=NOTICE_LANGUAGES)
    # The number of the edition with which the sent text compares the new one (NoticeText.since), and how many editions
    # were cancelled when it was composed. With notice, channel and language they identify the sealed text.
    since = models.PositiveIntegerField(_("compared with edition"), null=True, blank=True, editable=False)
    cancelled = models.PositiveIntegerField(_("cancelled editions"), null=True, blank=True, editable=False)
    outcome = models.CharField(
        _("outcome"), max_length=8, choices=DeliveryOutcome.choices, default=DeliveryOutcome.WAITING
    )
    reason = models.CharField(_("reason"), max_length=255, blank=True)
    attempts = models.PositiveSmallIntegerField(_("failed attempts"), default=0)
    perhaps_sent = models.BooleanField(default=False, db_default=False, editable=False)
    due_at = InstantField(_("due"))
    lease = models.CharField(max_length=32, blank=True, editable=False)
    outcome_at = InstantField(_("outcome recorded"), null=True, blank=True)
    # How many messages of this row were returned, and how many of them before it last waited again.
    returns = models.PositiveSmallIntegerField(default=0, db_default=0, editable=False)
    returns_before = models.PositiveSmallIntegerField(default=0, db_default=0, editable=False)
    # The entry about the last resending, by which the row waits or waited again. It is read only by the verification.
    reopened_by = models.ForeignKey(
        AuditEntry, on_delete=models.PROTECT, null=True, related_name="+", db_index=False, editable=False
    )
    account_deleted_at = InstantField(_("account deleted"), null=True, blank=True, editable=False)
    # Empty while the account exists. Until then the rows, of which there may be millions, are found by the user.
    pseudonym = models.CharField(_("pseudonym"), max_length=64, default="", db_default="", blank=True, editable=False)
    pseudonym_key = models.CharField(
        _("key of the pseudonym"), max_length=32, default="", db_default="", blank=True, editable=False
    )
    # HMAC-SHA256 of the address it was sent to, if the site has a key. The address itself is never stored.
    address_digest = models.CharField(_("digest of the address"), max_length=64, blank=True, editable=False)

    if TYPE_CHECKING:
        notice_id: int
        user_id: UserKey

    objects = DeliveryManager()

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        constraints = [
            models.UniqueConstraint(fields=["notice", "user", "channel"], name="agreement_delivery_once"),
            models.CheckConstraint(
                condition=Q(outcome="waiting", outcome_at__isnull=True)
                | Q(outcome__in=["sent", "failed", "skipped"], outcome_at__isnull=False),
                name="agreement_delivery_outcome_complete",
            ),
        ]
        indexes = [
            models.Index(
                fields=["notice", "channel", "due_at", "rank", "id"],
                condition=Q(outcome="waiting"),
                name="agreement_delivery_next",
            ),
            # For the lists of who was not reached, in the order of the primary keys.
            models.Index(fields=["notice", "id"], condition=Q(outcome="failed"), name="agreement_delivery_failed"),
            models.Index(
                fields=["notice", "reason", "id"], condition=Q(outcome="skipped"), name="agreement_delivery_skipped"
            ),
            models.Index(fields=["notice", "id"], condition=Q(returns__gt=0), name="agreement_delivery_returned"),
            # Claimed rows, also those whose outcome is not counted yet. They are few at any moment.
            models.Index(fields=["lease"], condition=~Q(lease=""), name="agreement_delivery_leased"),
            # For deleted accounts: to find the rows of one account, and the rows that must still be erased.
            models.Index(fields=["pseudonym"], condition=~Q(pseudonym=""), name="agreement_delivery_pseudonym"),
            models.Index(
                fields=["account_deleted_at"],
                condition=Q(account_deleted_at__isnull=False) & ~Q(address_digest="", pseudonym=""),
                name="agreement_delivery_deleted",
            ),
        ]

    def record_outcome(
        self,
        outcome: DeliveryOutcome,
        *,
        language: str = "",
        since: int | None = None,
        cancelled: int | None = None,
        reason: str = "",
        address_digest: str = "",
        perhaps_sent: bool = False,
        at: datetime | None = None,
        cursor: CursorWrapper | None = None,
    ) -> bool:
        """Record the final outcome at that instant (now). Returns whether it was recorded: ``False``, and nothing is
        changed, if the row no longer waits with the lease of this object. With ``at``, 1 query. The attributes of this
        object and the progress of the notice are not changed.

        ``language``, ``since`` and ``cancelled`` are those of the :class:`NoticeText` that was sent or, for a failed
        delivery, that the channel refused; ``""`` and ``None`` if there is no such text. ``address_digest`` is the
        digest of the address to which it was sent, or ``""``. ``perhaps_sent`` states that an attempt ended without an
        answer; ``False`` leaves the column as it is. ``reason`` is stored as :func:`impersonal` returns it. The row
        keeps its lease until the outcome is counted. ``cursor`` is an open database cursor to use; ``None`` opens one.
        A caller that records many outcomes passes one, because opening a cursor takes half as long as the statement.

        On PostgreSQL the statement does not wait for the disk. Therefore the worker must remember the outcome until
        :meth:`DeliveryQuerySet.count_outcomes`, which does wait, has counted it. If the server crashed in between, the
        worker records the outcome again.
        """
        return self._update(
            cursor,
            outcome=outcome.value,
            language=language,
            since=since,
            cancelled=cancelled,
            reason=impersonal(reason) if reason else "",
            address_digest=address_digest,
            outcome_at=at or ledger_now(),
            **({"perhaps_sent": True} if perhaps_sent else {}),
        )

    def postpone(self, *, due_at: datetime, reason: str, perhaps_sent: bool = False) -> bool:
        """Count a failed attempt and remove the lease; the row still waits and is due again at ``due_at``. ``reason``
        is stored as :func:`impersonal` returns it. ``perhaps_sent`` states that the attempt ended without an answer;
        ``False`` leaves the column as it is. Returns ``False``, and changes nothing, if the row no longer waits with
        the lease of this object. The attributes of this object are not changed. 1 query.
        """
        columns: dict[str, str | int | datetime | None] = {"perhaps_sent": True} if perhaps_sent else {}
        columns |= {"due_at": due_at, "reason": impersonal(reason), "attempts": self.attempts + 1, "lease": ""}
        return self._update(None, **columns)

    def _update(self, cursor: CursorWrapper | None = None, **columns: str | int | datetime | None) -> bool:
        """Set these columns of the row if it still waits with the lease of this object. Returns whether it did.
        1 query.

        If another worker has claimed the row, or its outcome is recorded, nothing is changed. The attributes of this
        object are not set. ``cursor`` is an open database cursor to use; ``None`` opens one.

        The statement is written in SQL, because it runs once for each message. The ORM takes as long to compile it as
        the database takes to run it.
        """
        connection = connections[router.db_for_write(Delivery)]
        if cursor is None:
            with connection.cursor() as opened:
                return self._update(opened, **columns)
        adapt = connection.ops.adapt_datetimefield_value
        values = [adapt(value) if isinstance(value, datetime) else value for value in columns.values()]
        cursor.execute(_update_sql(tuple(columns), connection.vendor), [*values, self.pk, self.lease])
        return bool(cursor.rowcount)

    def record_bounce(self, *, at: datetime | None = None, reason: str = "") -> tuple[Bounce, bool]:
        """Record that the mail of this delivery was returned at that instant (now), and add 1 to the number of returned
        mails in the progress of the notice. Return the record and ``True``. If a return is recorded already, and the
        delivery did not wait again since, nothing is changed, and the result is the last record and ``False``. The
        outcome of the delivery is neither checked nor changed. ``reason`` is stored as :func:`bounce_code` returns it.
        """
        alias, at = router.db_for_write(Bounce), at or ledger_now()
        with transaction.atomic(using=alias):
            progress = Progress.objects.using(alias).filter(notice=self.notice_id, channel=self.channel)
            progress.update(bounced=F("bounced") + 1)  # It is locked first, as _change_outcome() does.
            sending = Delivery.objects.using(alias).filter(pk=self.pk, returns=F("returns_before"))
            if sending.update(returns=F("returns") + 1):
                return Bounce.objects.using(alias).create(delivery=self, at=at, reason=bounce_code(reason)), True
            transaction.set_rollback(True, using=alias)
        return Bounce.objects.using(alias).filter(delivery=self.pk).latest("pk"), False

    @property
    def message_id_local_part(self) -> str:
        """The part of the mail's ``Message-ID`` before the ``@``. It is made of the notice, the channel and the key of
        the user. After the account is deleted the row has no key, so the result is not that of the mail that was sent.
        """
        return message_ids.local_part(self.notice.uuid, self.channel, self.user_id)

    @property
    def text(self) -> NoticeText | None:
        """The sealed text of the message that was sent to this user or, for a failed delivery, that the channel
        refused; ``None`` if the row records no such text, as for a delivery that waits, also again, or is skipped. At
        most 1 query.
        """
        final = self.outcome in {DeliveryOutcome.SENT, DeliveryOutcome.FAILED}
        if not final or self.since is None or self.cancelled is None:
            return None
        texts = NoticeText.objects.filter(notice=self.notice_id, channel=self.channel, language=self.language)
        return texts.filter(since=self.since, cancelled=self.cancelled).first()

    def __str__(self) -> str:
        return f"{self.pk}: {self.get_outcome_display()}"


#: A mail address, or a telephone number. The codes of SMTP ("550 5.1.1") are shorter than a number.
_ADDRESS = re.compile(r"\S*@\S*|\+?\d[\d ()-]{5,}\d")
#: The codes in the reply of a mail server: of SMTP (RFC 5321) and the enhanced one (RFC 3463).
_CODES = re.compile(r"(?<![\w.@+-])([245]\d\d)?[ -]?([245]\.\d{1,3}\.\d{1,3})?(?![\w.@+-])")
#: The reasons that django-anymail gives.
_REJECT_REASONS = frozenset({"invalid", "bounced", "timed_out", "blocked", "spam", "unsubscribed", "other"})


def impersonal(reason: str) -> str:
    """The reason why a message was not sent, in which ``…`` replaces what looks like an e-mail address or a telephone
    number. These are each word with an ``@``, and each sequence of at least seven characters that are digits, spaces,
    round brackets or hyphens, if it begins with a digit, perhaps after ``+``, and ends with one. Dates and other long
    numbers are replaced too. A telephone number in another form, such as ``701.123.4567``, remains, and so does the
    beginning of an address that contains a space.

    Unprintable characters, which a database may reject, are removed, line breaks too. The result is cut to 255
    characters. ``reason`` may be any text, such as the whole reply of a server.
    """
    return _ADDRESS.sub("…", "".join(char for char in reason if char.isprintable()))[:255]


def bounce_code(reason: str) -> str:
    """The first code in the reason of a returned mail, such as ``"550"``, ``"5.1.1"``, or ``"550 5.1.1"`` if the second
    follows directly. A reason that is a word of django-anymail is returned itself. The result is ``""`` if the reason
    contains no code. Other text is left out.
    """
    if reason in _REJECT_REASONS:
        return reason
    found = next((match for match in _CODES.finditer(reason) if match[0].strip(" -")), None)
    return " ".join(filter(None, found.groups())) if found else ""


@remembered
@cache
def _claim_sql(vendor: str) -> str:
    """The statement of :meth:`DeliveryQuerySet.claim` for a database of that vendor. It is written in SQL, because it
    runs once for each batch. Its parameters are the lease and its end, the notice, the channel, the latest ``due_at``,
    the notice again, and the number of rows.

    It evaluates the inner query once, whatever plan the database makes.
    """
    delivery, notice = Delivery._meta.db_table, Notice._meta.db_table
    chosen = (
        f"SELECT id FROM {delivery} WHERE outcome = 'waiting' AND notice_id = %s AND channel = %s AND due_at <= %s"  # noqa: S608 - only names and constants of the app
        f" AND EXISTS (SELECT 1 FROM {notice} WHERE id = %s AND paused_at IS NULL) ORDER BY due_at, rank, id LIMIT %s"
    )
    among = f"ANY (ARRAY({chosen} FOR UPDATE SKIP LOCKED))" if vendor == "postgresql" else f"({chosen})"
    return f"UPDATE {delivery} SET lease = %s, due_at = %s WHERE id {'=' if vendor == 'postgresql' else 'IN'} {among}"  # noqa: S608 - only names and constants of the app


@remembered
@cache
def _update_sql(columns: tuple[str, ...], vendor: str) -> str:
    """The statement that sets these columns of one row, if the row still waits with a given lease. It contains no text
    from outside. Its parameters are the values, the primary key and the lease. On PostgreSQL, a statement that sets the
    outcome does not wait for the disk.
    """
    assignments = ", ".join(f"{name} = %s" for name in columns)
    # "||" prevents the planner from using any index but the primary key. The index on leases contains a dead row for
    # each message of the batch. With statistics from before the audience was written, the planner could choose
    # agreement_delivery_next and scan all waiting rows.
    condition = "id = %s AND lease || '' = %s AND outcome || '' = 'waiting'"
    sql = f"UPDATE {Delivery._meta.db_table} SET {assignments} WHERE {condition}"  # noqa: S608 - only names and constants of the app
    # This applies only to the transaction of this statement, also with a pool of connections.
    no_wait = " RETURNING set_config('synchronous_commit', 'off', true)"
    return sql + no_wait if vendor == "postgresql" and "outcome" in columns else sql


class Bounce(models.Model):
    """A returned mail; at most one for each time that the delivery was sent. ``at`` is when it was returned, as far as
    it is known, and ``recorded_at`` when this was recorded. The outcome of the delivery does not change.
    """

    delivery = models.ForeignKey(Delivery, on_delete=models.PROTECT, related_name="bounces", verbose_name=_("delivery"))
    at = InstantField(_("came back"))
    recorded_at = InstantField(_("recorded"), default=timezone.now, editable=False)
    reason = models.CharField(_("reason"), max_length=255, blank=True)

    if TYPE_CHECKING:
        delivery_id: int

    class Meta:
        verbose_name = _("returned letter")
        verbose_name_plural = _("returned letters")

    def __str__(self) -> str:
        return f"{self.delivery_id}: {self.reason}"
