"""Verification: are the sealed editions still those that their digests were made of? Everything is recomputed."""

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
    """Recompute every digest and link of the chains of these editions' agreements (of all); yield each fault.

    A fault is a sentence, yielded with its edition. An agreement whose chain has a head but no edition is always
    checked, because no queryset of editions contains it; its fault is yielded with the agreement. Reads one edition at
    a time, whatever their number and length.
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
        # After a publication meanwhile, the head as it was first read is the digest of an edition before the last.
        if head != (previous.digest if previous else "") and not (found_head and agreement.head != head):
            yield (
                (
                    previous,
                    gettext("Editions after it are missing: the agreement's head names another digest."),
                )
                if previous
                else (
                    agreement,
                    gettext("Every edition is missing, but the agreement's head names a digest."),
                )
            )


def edition_faults(edition: Edition, previous: Edition | None, last: Edition | None) -> Iterator[str]:
    """The faults of one edition. ``previous`` is the one before it, ``last`` the last one that binds. 0 queries."""
    if not _matches_digest(edition):
        yield gettext("The text, dates or number are not those its digest was made of.")
    if edition.previous_digest != (previous.digest if previous else ""):
        yield gettext("It does not name the edition before it: the chain is broken.")
    if edition.number != (previous.number or 0) + 1 if previous else edition.number != 1:
        yield gettext("An edition before it is missing.")
    if edition.cancelled_at and edition.cancelled_at > timezone.now():
        yield gettext("Its moment of cancellation is in the future.")
    if last and edition.effective_from and last.effective_from and edition.effective_from <= last.effective_from:
        yield gettext("It does not take effect after the edition before it.")
    # __dict__ holds the base columns as stored; the translation package's descriptor hides them.
    if any(edition.__dict__[name] != getattr(edition, f"{name}_kk") for name in TEXT_FIELDS):
        yield gettext("Its base columns are not the mirror of the Kazakh text.")


def _matches_digest(edition: Edition) -> bool:
    try:
        return sha256(edition.manifest()) == edition.digest
    except (AttributeError, TypeError, ValueError):  # A value that is not even of its column's kind.
        return False
