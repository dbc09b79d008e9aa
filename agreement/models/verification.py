"""Do the sealed editions still say what their digests say? Recomputed from the rows, whoever wrote them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext

from agreement.models.agreements import Agreement
from agreement.models.refusals import TEXTS
from agreement.text import seal

if TYPE_CHECKING:
    from agreement.models.editions import Edition, EditionQuerySet


def faults(editions: EditionQuerySet) -> Iterator[tuple[Edition | Agreement, str]]:
    """What is wrong in the chains of these editions' agreements, a sentence each: ``EditionQuerySet.verify()``."""
    published = editions.model.objects.published().filter(agreement=OuterRef("pk"))
    agreements = Agreement.objects.using(editions.db).filter(
        Q(pk__in=editions.order_by().values("agreement")) | ~Q(head="") & ~Exists(published.order_by())
    )
    for agreement in agreements:
        head, met = agreement.head, False
        previous = last = None
        for edition in agreement.editions.using(editions.db).published().iterator(chunk_size=50):
            yield from ((edition, fault) for fault in of_edition(edition, previous, last))
            previous = edition
            last = last if edition.cancelled_at else edition
            met = met or edition.digest == head
        agreement.refresh_from_db(fields=["head"])
        # Somebody may have published meanwhile: then the head of the beginning was met on the way.
        if head != (previous.digest if previous else "") and not (met and agreement.head != head):
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


def of_edition(edition: Edition, previous: Edition | None, last: Edition | None) -> Iterator[str]:
    """What is wrong with one edition after the ``previous`` one, ``last`` being the last that binds. 0 queries."""
    if not _has_its_digest(edition):
        yield gettext("The text, dates or number are not those its digest was made of.")
    if edition.previous_digest != (previous.digest if previous else ""):
        yield gettext("It does not name the edition before it: the chain is broken.")
    if edition.number != (previous.number or 0) + 1 if previous else edition.number != 1:
        yield gettext("An edition before it is missing.")
    if edition.cancelled_at and edition.cancelled_at > timezone.now():
        yield gettext("It is said to be cancelled at a moment to come.")
    if last and edition.effective_from and last.effective_from and edition.effective_from <= last.effective_from:
        yield gettext("It does not take effect after the edition before it.")
    # __dict__ holds the base columns as stored; the translation package's descriptor hides them.
    if any(edition.__dict__[name] != getattr(edition, f"{name}_kk") for name in TEXTS):
        yield gettext("Its base columns are not the mirror of the Kazakh text.")


def _has_its_digest(edition: Edition) -> bool:
    try:
        return seal.sha256(edition.manifest()) == edition.digest
    except (AttributeError, TypeError, ValueError):  # A value that is not even of its column's kind.
        return False
