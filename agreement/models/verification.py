"""Verification: looks for sealed rows that were changed, added or deleted in spite of the triggers. It recomputes
digests and chains, and compares records with each other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import reduce
from operator import and_, or_

from django.apps import apps
from django.db.models import (
    BigIntegerField,
    BooleanField,
    Case,
    CharField,
    CheckConstraint,
    Count,
    Exists,
    ExpressionWrapper,
    F,
    Min,
    Model,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Cast, Coalesce
from django.utils import timezone
from django.utils.translation import gettext

from agreement.models.acceptances import Acceptance, AcceptanceKind
from agreement.models.agreements import Agreement
from agreement.models.audit import AuditAction, AuditEntry
from agreement.models.clock import database_now
from agreement.models.declines import Decline
from agreement.models.deliveries import Bounce, Delivery, DeliveryOutcome
from agreement.models.displayed_texts import DisplayedText
from agreement.models.editions import Edition, EditionQuerySet
from agreement.models.errors import TEXT_FIELDS
from agreement.models.notices import NoticeText
from agreement.models.progress import Progress
from agreement.models.signatures import Signature
from agreement.models.withdrawals import Consent, Withdrawal
from agreement.seal.manifest import sha256
from agreement.seal.triggers import CLOCK_TOLERANCE, SEALS
from agreement.text.languages import LANGUAGES


def faults(editions: EditionQuerySet | None = None) -> Iterator[tuple[Edition | Agreement, str]]:
    """Check the digests, numbers and moments of all sealed editions of the agreements to which these editions belong
    (``None``: of all agreements that have editions), and compare the end of each chain with the ``head`` of the
    agreement. Yield each fault.

    A fault is a pair: the edition, and a sentence in the active language. If the editions at the end of a chain are
    missing, it is the last edition that is stored. An agreement that has lost all its sealed editions is always
    checked, because no queryset of editions contains it; its fault has the agreement in place of an edition. Editions
    are read in chunks of 50, however many there are. 1 query, and 2 more for each agreement that is checked.
    """
    editions = Edition.objects.all() if editions is None else editions
    published = Edition.objects.published().filter(agreement=OuterRef("pk"))
    agreements = Agreement.objects.using(editions.db).filter(
        Q(pk__in=editions.order_by().values("agreement")) | ~Q(head="") & ~Exists(published.order_by())
    )
    for agreement in agreements:
        head, found_head = agreement.head, False
        previous = last = None
        for edition in agreement.editions.using(editions.db).published().iterator(chunk_size=50):
            yield from ((edition, fault) for fault in edition_faults(edition, previous, last))
            previous = edition
            last = last if edition.cancelled_at else edition
            found_head = found_head or edition.digest == head
        agreement.refresh_from_db(fields=["head"])
        # If an edition was published in the meantime, the head that was read first is the digest of an earlier edition.
        if head != (previous.digest if previous else "") and not (found_head and agreement.head != head):
            yield (
                (
                    previous,
                    gettext("Editions after it are missing: the head of the chain contains another digest."),
                )
                if previous
                else (
                    agreement,
                    gettext("All editions are missing, but the head of the chain contains a digest."),
                )
            )


def edition_faults(edition: Edition, previous: Edition | None, last: Edition | None) -> Iterator[str]:
    """Yield the faults of one sealed edition, as sentences in the active language. 0 queries, if its agreement is
    loaded.

    ``previous`` is the stored edition with the next lower number, cancelled or not, and ``last`` the last edition
    before this one that was not cancelled; ``None`` if there is none.
    """
    if not _matches_digest(edition):
        yield gettext("Its text, dates or number do not match its digest.")
    if edition.previous_digest != (previous.digest if previous else ""):
        yield gettext("It does not contain the digest of the previous edition: the chain is broken.")
    if edition.number != (previous.number or 0) + 1 if previous else edition.number != 1:
        yield gettext("An edition before it is missing.")
    if previous and previous.recorded_at and edition.recorded_at and edition.recorded_at < previous.recorded_at:
        yield gettext("It was recorded before the previous edition.")
    if edition.imported and previous and not previous.imported:
        yield gettext("It is imported history, but an edition was published before it was recorded.")
    if edition.cancelled_at and edition.cancelled_at > timezone.now():
        yield gettext("Its cancellation date is in the future.")
    if last and edition.effective_from and last.effective_from and edition.effective_from <= last.effective_from:
        yield gettext("It does not take effect later than the previous edition.")
    # __dict__ contains the base columns as they are stored, which the descriptor of ``translation`` does not return.
    if any(edition.__dict__[name] != getattr(edition, f"{name}_kk") for name in TEXT_FIELDS):
        yield gettext("Its columns without a language suffix differ from the Kazakh text.")


def _matches_digest(edition: Edition) -> bool:
    try:
        return sha256(edition.manifest()) == edition.digest
    except (AttributeError, TypeError, ValueError):  # A stored value does not have the type of its column.
        return False


def log_faults(using: str) -> Iterator[tuple[Edition | AuditEntry, str]]:
    """Compare the sealed editions of this database, which is given by alias, with the audit log, and yield each fault.

    A fault is a pair: the edition, or the entry if its edition is missing, and a sentence in the active language. The
    entry about the publication, or about the recording as history, contains the digest of the edition and the name of
    the publisher, and the entry about the cancellation its digest. Both entries have the moment of what they are about,
    to within ``CLOCK_TOLERANCE``. At most 3 queries.
    """
    editions = list(
        Edition.objects.using(using).published().select_related("agreement").without_texts("title", *TEXT_FIELDS)
    )
    entries: dict[str, list[AuditEntry]] = defaultdict(list)
    actions = (AuditAction.PUBLISHED, AuditAction.RECORDED, AuditAction.CANCELLED)
    for entry in AuditEntry.objects.using(using).filter(model="edition", action__in=actions):
        entries[entry.key].append(entry)
    for edition in editions:
        yield from ((edition, sentence) for sentence in _edition_log_faults(edition, entries.pop(str(edition.pk), [])))
    # An edition may have been published after the editions were read.
    stored = Edition.objects.using(using).published().filter(pk__in=[key for key in entries if key.isdecimal()])
    present = {str(key) for key in stored.values_list("pk", flat=True)}
    for key, (entry, *_earlier) in entries.items():
        if key not in present:
            yield entry, gettext("The edition that this entry is about is missing.")


def _edition_log_faults(edition: Edition, entries: list[AuditEntry]) -> Iterator[str]:
    """Yield the faults of one sealed edition, as sentences in the active language. ``entries`` are those of the audit
    log about its publication, its recording as history and its cancellation. 0 queries.
    """
    action = AuditAction.RECORDED if edition.imported else AuditAction.PUBLISHED
    published = [entry for entry in entries if entry.action == action and entry.digest == edition.digest]
    cancelled = [entry for entry in entries if entry.action == AuditAction.CANCELLED]
    recorded_at, cancelled_at = edition.recorded_at, edition.cancelled_at
    if not any(recorded_at and abs(entry.at - recorded_at) <= CLOCK_TOLERANCE for entry in published):
        yield gettext("The audit log has no entry about its publication with this digest and moment.")
    if any(entry.by and entry.by != edition.published_by for entry in published):
        yield gettext("The audit log names another publisher.")
    if len(cancelled) != bool(cancelled_at) or any(
        entry.digest != edition.digest or not cancelled_at or abs(entry.at - cancelled_at) > CLOCK_TOLERANCE
        for entry in cancelled
    ):
        yield gettext("Its cancellation differs from the audit log.")


def row_faults(using: str) -> Iterator[tuple[Model, str]]:
    """Yield the rows of this database, which is given by alias, that contradict other rows or themselves, each with a
    sentence in the active language.

    Such a row shows that a database role removed the triggers and then changed or deleted a row, or that a role that
    may write added one. 55 queries return only these rows. 3 more read the distinct texts of consents, the displayed
    texts, and the signatures with their editions; on PostgreSQL 1 more reads the clock. Each text of a consent that
    does not match its digest costs 1 more.
    """
    for rows, sentence in _contradictions(using):
        yield from ((row, sentence) for row in rows.order_by("pk").iterator(chunk_size=500))
    consents = Consent.objects.using(using)
    for text, digest in consents.order_by().values_list("text", "digest").distinct().iterator():
        if sha256(text) != digest:
            sentence = gettext("Its text does not match its digest.")
            yield from ((row, sentence) for row in consents.filter(text=text, digest=digest).order_by("pk"))
    displayed = DisplayedText.objects.using(using).filter(language__in=LANGUAGES).select_related("edition__agreement")
    for html in displayed.iterator(chunk_size=10):
        if not html.intact:
            yield html, gettext("Its HTML does not match its digest.")
        if not html.matches_edition:
            yield html, gettext("Its HTML does not have the words of its edition.")
    signatures = Signature.objects.using(using).select_related("edition__agreement")
    for signature in signatures.order_by("pk").iterator(chunk_size=10):
        if not signature.edition.published_at or not signature.is_of(signature.edition.manifest()):
            yield signature, gettext("It is not the signature of the manifest of its edition.")


def _contradictions(using: str) -> Iterator[tuple[QuerySet[Model], str]]:
    acceptances = Acceptance.objects.using(using)
    yield (
        acceptances.exclude(digest=F("edition__digest")).select_related("edition__agreement"),
        gettext("It does not contain the digest of its edition."),
    )
    declines = Decline.objects.using(using)
    yield (
        declines.exclude(digest=F("edition__digest")).select_related("edition__agreement"),
        gettext("It does not contain the digest of its edition."),
    )
    early = Q(at__lt=F("edition__published_at"))
    yield (
        declines.filter(early).select_related("edition__agreement"),
        gettext("Its moment is before the edition was published, or it was recorded at another moment."),
    )
    other = ~Q(kind=AcceptanceKind.IMPORTED) & ~Q(recorded_at=F("at"))
    yield (
        acceptances.filter(early | other).select_related("edition__agreement"),
        gettext("Its moment is before the edition was published, or it was recorded at another moment."),
    )
    same_text = {name: OuterRef(name) for name in ("edition", "language", "renderer")}
    displayed = DisplayedText.objects.filter(**same_text, digest=OuterRef("html_digest"))
    yield (
        acceptances.exclude(html_digest="").filter(~Exists(displayed)).select_related("edition__agreement"),
        gettext("The HTML that was displayed is missing."),
    )
    reopened = Delivery.objects.using(using).filter(reopened_by__isnull=False)
    key = Cast("notice_id", CharField(max_length=255))
    yield (
        reopened.exclude(
            reopened_by__action__in=[AuditAction.RESENT, AuditAction.REVIVED],
            reopened_by__model="notice",
            reopened_by__key=key,
        ),
        gettext("It was queued again, but the audit entry that it names is about something else."),
    )
    # Each entry contains the number of its deliveries, which decreases as they wait once more and name a later entry.
    entries = AuditEntry.objects.using(using).filter(action__in=[AuditAction.RESENT, AuditAction.REVIVED])
    named = reopened.order_by().filter(reopened_by=OuterRef("pk")).values("reopened_by").annotate(rows=Count("pk"))
    number = Case(When(note__regex="^[0-9]{1,9}$", then=Cast("note", BigIntegerField())), default=0)
    yield (
        entries.annotate(named=Subquery(named.values("rows"))).filter(named__gt=number),
        gettext("More deliveries refer to this entry than the entry states."),
    )
    deliveries = Delivery.objects.using(using).order_by()
    columns = ("notice", "channel", "language", "since", "cancelled")
    texts = NoticeText.objects.filter(**{name: OuterRef(name) for name in columns})
    yield (
        deliveries.filter(outcome=DeliveryOutcome.SENT, since__isnull=False).filter(~Exists(texts)),
        gettext("The text that was sent is missing."),
    )
    mails = Bounce.objects.filter(delivery=OuterRef("pk")).order_by().values("delivery").annotate(rows=Count("pk"))
    yield (
        deliveries.annotate(mails=Coalesce(Subquery(mails.values("rows")), 0)).exclude(returns=F("mails")),
        gettext("The number of its returned letters differs from the number of recorded ones."),
    )
    # The outcome of a delivery with a lease is not counted yet.
    same = deliveries.filter(notice=OuterRef("notice"), channel=OuterRef("channel"))
    counts = same.values("notice").annotate(rows=Count("pk")).values("rows")
    conditions = {name: Q(outcome=name, lease="") for name in Progress.FINAL}
    conditions["waiting"] = Q(outcome=DeliveryOutcome.WAITING) | ~Q(lease="")
    conditions["bounced"] = Q(returns__gt=F("returns_before"))
    stored = {
        f"stored_{name}": Coalesce(Subquery(counts.filter(condition)), 0) for name, condition in conditions.items()
    }
    equal = Q(**{name: F(f"stored_{name}") for name in conditions})
    progress = Progress.objects.using(using)
    yield progress.annotate(**stored).exclude(equal), gettext("Its counts differ from the deliveries.")
    counted = Exists(progress.filter(notice=OuterRef("notice"), channel=OuterRef("channel")))
    first = deliveries.filter(~counted).values("notice", "channel").annotate(first=Min("pk")).values("first")
    yield (
        deliveries.filter(pk__in=first),
        gettext("The counts of its notice in its channel are missing."),
    )
    withdrawals = Withdrawal.objects.using(using).select_related("agreement")
    earlier = Withdrawal.objects.filter(agreement=OuterRef("agreement"), year=OuterRef("year"))
    yield (
        withdrawals.filter(serial__gt=1).filter(~Exists(earlier.filter(serial=OuterRef("serial") - 1))),
        gettext("The withdrawal with the number before it is missing."),
    )
    signatures = Signature.objects.using(using).select_related("edition__agreement")
    one_before = Signature.objects.filter(edition=OuterRef("edition"), number=OuterRef("number") - 1)
    yield signatures.filter(number__gt=1).filter(~Exists(one_before)), gettext("The signature before it is missing.")
    for seal in SEALS:
        model = apps.get_model("agreement", seal.model)
        dangling = Q(pk__in=[])
        for field in model._meta.concrete_fields:
            if field.many_to_one or field.one_to_one:
                target = field.related_model._base_manager.filter(**{field.target_field.name: OuterRef(field.attname)})
                dangling |= Q(**{f"{field.attname}__isnull": False}) & Q(~Exists(target))
        if dangling != Q(pk__in=[]):
            rows = model._base_manager.using(using).filter(dangling)
            yield rows, gettext("It refers to a missing row of another table.")
        # A connection of SQLite may ignore checks. A condition that is NULL is kept, as in the database.
        checks = [one.condition for one in model._meta.constraints if isinstance(one, CheckConstraint)]
        if checks:
            kept = Coalesce(ExpressionWrapper(reduce(and_, checks), output_field=BooleanField()), Value(value=True))
            rows = model._base_manager.using(using).annotate(kept=kept).filter(kept=False)
            yield rows, gettext("It violates a constraint of its table.")
    latest = database_now(using) + CLOCK_TOLERANCE
    for model, recorded in (
        (Edition, "recorded_at"),
        (Acceptance, "recorded_at"),
        (Withdrawal, "registered_at"),
        (Consent, "given_at"),
        (Decline, "at"),
        (AuditEntry, "at"),
        (Delivery, "account_deleted_at"),
    ):
        moments = {recorded, "account_deleted_at", "erased_at"} & {field.name for field in model._meta.fields}
        future = reduce(or_, (Q(**{f"{name}__gt": latest}) for name in sorted(moments)))
        if model in {Acceptance, Consent, Decline}:  # They are recorded only for an account that exists.
            deleted_before = Q(account_deleted_at__lt=F(recorded) - CLOCK_TOLERANCE)
            future |= Q(account_deleted_at__isnull=False) & deleted_before
        rows = model._base_manager.using(using).filter(future)
        yield rows, gettext("Its moment of recording is in the future or after the deletion of its account.")
    linked = Q(user__isnull=False, account_deleted_at__isnull=False)
    unlinked = Q(user__isnull=True, account_deleted_at__isnull=True)
    for rows, condition in (
        (acceptances.select_related("edition__agreement"), linked | unlinked & Q(erased_at__isnull=True)),
        (withdrawals, linked),
        (AuditEntry.objects.using(using), linked),
        (Consent.objects.using(using), linked | unlinked & Q(erased_at__isnull=True)),
        (declines.select_related("edition__agreement"), linked | unlinked & Q(erased_at__isnull=True)),
        (Delivery.objects.using(using), linked | unlinked),
    ):
        yield (
            rows.filter(condition),
            gettext(
                "It names no account although the account was not deleted, or it names an account that was deleted."
            ),
        )
