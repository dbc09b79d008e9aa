"""Verification: recomputes digests and chains, to find sealed editions that were changed or deleted."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext

from agreement.models.agreements import Agreement
from agreement.models.editions import Edition, EditionQuerySet
from agreement.models.errors import TEXT_FIELDS
from agreement.seal.manifest import sha256


def faults(editions: EditionQuerySet | None = None) -> Iterator[tuple[Edition | Agreement, str]]:
    """Recompute the digests and chains of all sealed editions of the agreements to which these editions belong
    (``None``: of all agreements that have editions), and yield each fault.

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
        # If an edition was published meanwhile, the head that was read first is the digest of an earlier edition.
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
