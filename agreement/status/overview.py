"""What waits for staff, for the start page of the admin: for each agreement the edition in force, the announced
editions, the drafts, the notices that are being sent, the missing replies to withdrawals, and the breaches of personal
data.

The numbers of deliveries are those of :class:`Progress`: no query reads all deliveries. :func:`overview` says what is
read for which reader.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache, lru_cache
from zoneinfo import ZoneInfo

from django.db.models import CharField, Count, Exists, IntegerField, OuterRef, Prefetch, Q, QuerySet, Subquery
from django.db.models.functions import Cast, Coalesce
from django.utils import timezone

from agreement import conf
from agreement.editions.template_citations import cited_clauses
from agreement.memory import remembered
from agreement.models import (
    Agreement,
    AuditAction,
    AuditEntry,
    Breach,
    ChannelState,
    Edition,
    HandOver,
    Notice,
    Progress,
    Withdrawal,
    channel_state,
)
from agreement.models.progress import UNDER_WAY, NoticeState
from agreement.notices.forecast import foreseen_state
from agreement.status.report import UNSENT_LOOK
from agreement.text import clauses, languages
from agreement.text.lint import rules

#: How many drafts of one agreement are described, the newest first.
MAX_DRAFTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A draft, and the numbers of errors and warnings that the lint finds in it. ``by`` is the name of the person who
    saved it last (``""`` if it is not known), and ``at`` is when they did (``None`` if the audit log does not say it).
    ``hand_over`` states that it was marked as ready to publish or sent back; ``None`` if neither was done.
    """

    edition: Edition
    hand_over: HandOver | None
    by: str
    at: datetime | None
    errors: int
    warnings: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """A notice that is under way (``UNDER_WAY``: it is being sent, or was paused, suspended or not yet due) or did not
    reach everybody, with the numbers of its deliveries in all channels together. ``audience`` is the number of written
    deliveries, and ``unreached`` that of the deliveries that should have reached a user and did not
    (:attr:`Progress.unreached`). ``delayed`` means that it is being sent, but that in one of its channels deliveries
    have waited for longer than ``UNSENT_LOOK`` without a batch, although the rate limits allow a message.
    """

    notice: Notice
    state: NoticeState
    sent: int
    audience: int
    waiting: int
    unreached: int
    delayed: bool

    @property
    def unsent(self) -> int:
        """The number of deliveries that no longer wait and were not sent: they failed or were skipped."""
        return self.audience - self.waiting - self.sent

    @property
    def paused(self) -> bool:
        return self.state in {NoticeState.PAUSED, NoticeState.DELAY_PAUSED}


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenBreach:
    """A breach of personal data that has no notice yet, or whose notice is not sent completely or was sent to nobody.
    ``late`` means that the deadline by which the users must be notified is over.
    """

    breach: Breach
    late: bool


@dataclass(slots=True, kw_only=True)
class Card:
    """What the start page displays of one agreement. ``binding`` is the edition in force (``None`` if there is none).
    ``announced`` are the scheduled editions, in the order of their effect, each with the number of days until then.
    ``drafts`` are the newest drafts, at most ``MAX_DRAFTS``, and ``other_drafts`` is the number of the others.
    ``replies`` is the number of withdrawals without a reply, and ``reply_days`` the number of days until the earliest
    of their last days for a reply: negative if that day is over, ``None`` if no reply is missing. ``sending`` begins
    with the newest notice, and ``breaches`` with the one that has been known longest. What the reader may not view is
    empty, 0 or ``None``.
    """

    agreement: Agreement
    binding: Edition | None = None
    announced: list[tuple[Edition, int]] = field(default_factory=list)
    drafts: list[Draft] = field(default_factory=list)
    other_drafts: int = 0
    sending: list[Sending] = field(default_factory=list)
    replies: int = 0
    reply_days: int | None = None
    breaches: list[OpenBreach] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Overview:
    """A card for each agreement, and the audit entry of the last verification of the editions. ``verification`` is
    ``None`` if there is no such entry or no agreement, or if the reader may not view it.
    """

    cards: list[Card]
    """A card for each agreement: first that of ``DEFAULT_AGREEMENT``, then the others in the order of their slugs."""
    verification: AuditEntry | None = None


def overview(*, viewable: Collection[str], at: datetime | None = None) -> Overview:
    """Return what waits at that instant (now). ``viewable`` are the names of the models whose rows the reader may view.

    Agreements, and their editions that are in force or announced, are always read, because they are public. Other rows
    are read only if ``viewable`` contains the name of their model: drafts (``edition``), notices (``notice``),
    withdrawals (``withdrawal``), breaches (``breach``), and the last verification (``auditentry``). The audit log gives
    the author of a draft also without ``auditentry``.

    At most 8 queries, however many agreements, editions and deliveries there are, those of :func:`foreseen_state`, and
    those that read the dates of the editions once per second. Inside a transaction, the dates are read for each
    agreement with a draft whose findings are not remembered.
    """
    at = at or timezone.now()
    default = conf.get().DEFAULT_AGREEMENT
    found = sorted(_cards(viewable, at), key=lambda card: card.agreement.slug != default)
    cards = {card.agreement.pk: card for card in found}
    if not cards:
        return Overview(cards=[])
    editions = list(_editions(at, drafts="edition" in viewable))
    for edition in editions:
        edition.agreement = cards[edition.agreement_id].agreement
    _add_editions(cards, editions, at)
    if "notice" in viewable:
        for one in _sending(editions, at):
            cards[one.notice.edition.agreement_id].sending.append(one)
    if "breach" in viewable:
        for breach in Breach.objects.open().select_related("agreement", "notice"):
            cards[breach.agreement_id].breaches.append(OpenBreach(breach=breach, late=breach.deadline < at))
    verification = AuditEntry.objects.last_verification() if "auditentry" in viewable else None
    return Overview(cards=list(cards.values()), verification=verification)


def _cards(viewable: Collection[str], at: datetime) -> Iterable[Card]:
    """Return a card for each agreement, with the number of its withdrawals without a reply, and the number of days from
    that instant to the earliest last day for one. If ``viewable`` does not contain ``withdrawal``, the withdrawals are
    not read, and the two are 0 and ``None``. 1 query.
    """
    agreements = Agreement.objects.all()
    if "withdrawal" not in viewable:
        return [Card(agreement=agreement) for agreement in agreements]
    unanswered = Withdrawal.objects.unanswered().filter(agreement=OuterRef("pk"))
    counts = unanswered.order_by().values("agreement").annotate(count=Count("pk")).values("count")
    found = agreements.annotate(
        replies=Coalesce(Subquery(counts, output_field=IntegerField()), 0),
        reply_by=Subquery(unanswered.values("reply_by")[:1]),
    )
    return [
        Card(
            agreement=agreement,
            replies=agreement.replies,
            reply_days=agreement.reply_by and (agreement.reply_by - _day(agreement, at)).days,
        )
        for agreement in found
    ]


def _day(agreement: Agreement, at: datetime) -> date:
    """Return the date of that instant in the time zone of the agreement."""
    return at.astimezone(ZoneInfo(agreement.time_zone)).date()


def _editions(at: datetime, *, drafts: bool) -> QuerySet[Edition]:
    """Return the editions that are in force or scheduled at that instant and, if ``drafts`` is true, all drafts, with
    their hand-overs, without bodies and summaries. They are in the order of the model: of each agreement the drafts
    first, the newest first, and then the editions by number, the highest first. Each has ``saved_at``, ``saved_by`` and
    ``saved``: the moment, the author and the primary key of the last audit entry about saving it, ``None`` if there is
    none.
    """
    relevant = Q(effective_from__binds_at=at) | Q(effective_from__gt=at, cancelled_at__isnull=True)
    if drafts:
        relevant |= Q(published_at__isnull=True)
    key = Cast(OuterRef("pk"), CharField())
    entries = AuditEntry.objects.filter(model="edition", key=key, action=AuditAction.WRITTEN).order_by("-pk")
    columns = {f"saved{end}": Subquery(entries.values(name)[:1]) for end, name in (("", "pk"), ("_at", "at"))}
    found: QuerySet[Edition] = Edition.objects.filter(relevant).without_texts("body", "summary")
    found = found.select_related("hand_over")
    return found.annotate(**columns, saved_by=Subquery(entries.values("by")[:1]))


def _add_editions(cards: dict[int, Card], editions: list[Edition], at: datetime) -> None:
    drafts: dict[int, list[Edition]] = {}
    for edition in editions:
        card = cards[edition.agreement_id]
        if edition.effective_from is None:
            drafts.setdefault(edition.agreement_id, []).append(edition)
        elif edition.effective_from <= at:
            card.binding = edition
        else:
            days = (_day(card.agreement, edition.effective_from) - _day(card.agreement, at)).days
            card.announced.insert(0, (edition, days))
    described = {key: found[:MAX_DRAFTS] for key, found in drafts.items()}
    findings = _findings(cards, [edition for found in described.values() for edition in found])
    for key, found in described.items():
        cards[key].other_drafts = len(drafts[key]) - len(found)
        for edition in found:
            errors, warnings = findings[edition.pk]
            by, saved_at = edition.saved_by or "", edition.saved_at  # type: ignore[attr-defined]  # annotated
            hand_over = getattr(edition, "hand_over", None)
            draft = Draft(edition=edition, hand_over=hand_over, by=by, at=saved_at, errors=errors, warnings=warnings)
            cards[key].drafts.append(draft)


class _Counts:
    """The numbers of errors and warnings of the lint about one saved state of a draft. ``known`` is ``None`` until
    :func:`_findings` has counted them.
    """

    known: tuple[int, int] | None = None


@remembered
@lru_cache(maxsize=256)
def _counts(draft: int, saved: int | None, binding: str) -> _Counts:
    """Return the object that stores the numbers of findings about one saved state of a draft. While the process
    remembers it, the same arguments give the same object.

    ``draft`` is the primary key of the draft, and ``saved`` that of the audit entry about saving this state (``None``:
    there is none). ``binding`` is the digest of the edition in force with which the draft is compared (``""``: none).
    """
    return _Counts()


def _findings(cards: dict[int, Card], drafts: list[Edition]) -> dict[int, tuple[int, int]]:
    """Return the numbers of errors and warnings about each of these drafts, by its primary key: (0, 0) for a draft that
    was deleted in the meantime. The numbers are remembered, because a text takes long to check. 1 query for all texts,
    if the numbers of any draft are not remembered. ``cards`` are by the primary key of the agreement.
    """
    counts, wanted = {}, set()
    for draft in drafts:
        binding = cards[draft.agreement_id].binding
        counts[draft.pk] = _counts(draft.pk, draft.saved, binding.digest if binding else "")  # type: ignore[attr-defined]
        if counts[draft.pk].known is None:
            wanted |= {draft.pk, binding.pk if binding else draft.pk}
    texts = Edition.objects.with_real_columns().in_bulk(wanted) if wanted else {}
    cited = cache(lambda key: cited_clauses(cards[key].agreement))
    for draft in drafts:
        if counts[draft.pk].known is None:
            binding = cards[draft.agreement_id].binding
            # If the draft was deleted in the meantime, nothing is known of it.
            written = texts.get(draft.pk)
            previous = texts[binding.pk] if binding else None
            counts[draft.pk].known = _lint(written, previous, cited(draft.agreement_id)) if written else (0, 0)
    return {key: one.known or (0, 0) for key, one in counts.items()}


def _lint(draft: Edition, binding: Edition | None, cited: Mapping[str, Collection[str]]) -> tuple[int, int]:
    """Return the numbers of errors and warnings about the draft, by the same rules as on the page that publishes it.
    ``binding`` is the edition in force with which the draft is compared (``None``: there is none), and ``cited`` is the
    result of :func:`cited_clauses`.
    """
    texts = {code: draft.text(code) for code in languages.LANGUAGES}
    bodies = {code: text.body for code, text in texts.items()}
    found = rules.lint(
        bodies,
        titles={code: clauses.title_line(body) for code, body in bodies.items()},
        summaries={code: text.summary for code, text in texts.items()},
        previous={code: binding.text(code).body for code in bodies} if binding else None,
        stated=draft.statements(),
        previous_stated=binding.statements() if binding else None,
        cited=cited,
        **conf.lint_options(),
    )
    errors = sum(message.severity == "error" for message in found)
    return errors, len(found) - errors


def _sending(editions: list[Edition], at: datetime) -> list[Sending]:
    """Return the notices about any edition that are under way (``UNDER_WAY``), and the finished notices about these
    ``editions`` that did not reach everybody, the newest notice first. Notices whose deliveries are to be skipped at
    that instant are left out. At most 3 queries, besides those of :func:`foreseen_state`.
    """
    waiting = Exists(Progress.objects.filter(notice=OuterRef("pk"), waiting__gt=0))
    relevant = Q(fanned_out_at__isnull=True) | Q(waiting) | Q(edition__in=[edition.pk for edition in editions])
    notices = Notice.objects.filter(relevant).with_edition().with_overtaking(at=at).order_by("-pk")
    found, channels = [], None
    for notice in notices.prefetch_related(Prefetch("progress", Progress.objects.with_gone())):
        rows = notice.progress.all()
        state = foreseen_state(notice, rows, at=at)
        if state not in UNDER_WAY and (state != NoticeState.GAPS or notice.skip_reason(at)):
            continue
        idle = [row for row in rows if state == NoticeState.SENDING and _is_idle(notice, row, at)]
        if idle and channels is None:
            channels = {channel.channel: channel for channel in ChannelState.objects.all()}
        found.append(
            Sending(
                notice=notice,
                state=state,
                sent=sum(row.sent for row in rows),
                audience=sum(row.audience for row in rows),
                waiting=sum(row.waiting for row in rows),
                unreached=sum(row.unreached for row in rows),
                delayed=any(_may_send(channels or {}, row.channel, at) for row in idle),
            )
        )
    return found


def _is_idle(notice: Notice, row: Progress, at: datetime) -> bool:
    """Return whether deliveries of the notice wait in one channel, and longer than ``UNSENT_LOOK`` has passed since its
    last batch there. The time counts from ``notice.due_at`` if that is later, or if there was no batch yet. ``row`` is
    the progress of the notice in that channel.
    """
    return bool(row.waiting) and at - max(notice.due_at, row.latest_at or notice.due_at) > UNSENT_LOOK


def _may_send(channels: dict[str, ChannelState], channel: str, at: datetime) -> bool:
    """Return whether the rate limits of the channel with that name allow a message at that instant; ``True`` if it has
    no rate limits or no stored state. ``channels`` are the stored states by the name of the channel.
    """
    limits, state = channel_state.limits_for(channel), channels.get(channel)
    return not (limits and state) or state.free_slots(limits, at) > 0
