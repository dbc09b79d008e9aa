"""The page with a signed-in user's record: their acceptances, declines, consents, withdrawals, and the notices to
them.
"""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from django.db.models import Model, QuerySet
from django.http import HttpResponse

from agreement import conf
from agreement.acceptance import consents
from agreement.conf import active_language
from agreement.editions.changes import Comparison
from agreement.editions.display import DisplayedEdition, text_language
from agreement.models import Acceptance, Consent, Decline, Delivery, DeliveryOutcome, Withdrawal
from agreement.text import dates
from agreement.views.account import DisplayedAcceptance, account_page, display_acceptance, text_columns
from agreement.views.base import Visit

#: How many entries of each kind the record displays, the latest first.
MAX_ENTRIES = 200

Entry = TypeVar("Entry", bound=Model)


@account_page("GET", "HEAD")
def record(visit: Visit) -> HttpResponse:
    """The page with the record of the signed-in user: their latest acceptances, declines, consents, withdrawals and
    deliveries of notices.
    """
    return record_page(visit)


def record_page(visit: Visit, *, stale_wording: bool = False) -> HttpResponse:
    """Return the page with the record of the user: the latest ``MAX_ENTRIES`` acceptances, declines, consents,
    withdrawals and deliveries of notices, each the latest first, and the consents that the site still asks for.
    Deliveries that still wait are left out. If there are more entries, the page states this.

    With ``stale_wording=True`` the page states that a consent was not recorded, because its words had changed; the
    status is 200 nevertheless.
    """
    acceptances, more_acceptances = _acceptances(visit)
    given, more_consents = _consents(visit)
    declines, more_declines = _declines(visit)
    withdrawals, more_withdrawals = _withdrawals(visit)
    notices, more_notices = _notices(visit)
    context = {
        "acceptances": acceptances,
        "declines": declines,
        "given_consents": given,
        "consents": consents.open_purposes(visit.request.user.pk, text_language()),
        "withdrawals": withdrawals,
        "notices": notices,
        "truncated": any((more_acceptances, more_declines, more_consents, more_withdrawals, more_notices)),
        "at": visit.at,
        "files_withdrawals": bool(conf.get().FILE_WITHDRAWALS),
        "stale_wording": stale_wording,
    }
    return visit.render("agreement/account/record.html", context)


def _acceptances(visit: Visit) -> tuple[list[DisplayedAcceptance], bool]:
    """Return the latest acceptances, the latest first, and whether there are more than ``MAX_ENTRIES``. Each has the
    changes since the one before it in the same agreement, unless both are of the same edition or the one before is not
    among them. An acceptance of an edition that ``visit.timelines`` does not contain yet is left out. 1 query. A
    redline that is not remembered costs at most 2 queries when it is displayed.
    """
    rows = Acceptance.objects.filter(user=visit.request.user.pk).select_related("edition__agreement")
    latest, more = _latest(rows.defer(*text_columns("edition")).order_by("-at", "-pk"))
    displayed: list[DisplayedAcceptance] = []
    previous: dict[int, DisplayedEdition] = {}
    for row in reversed(latest):
        timeline = visit.timelines.containing(row.edition_id)
        if timeline is None:
            continue
        new, old = DisplayedEdition.from_timeline(row.edition, timeline, visit.at), previous.get(timeline.key)
        changes = Comparison(old, new) if old and old.edition.pk != row.edition_id else None
        previous[timeline.key] = new
        displayed.append(display_acceptance(row, timeline, new, changes))
    return displayed[::-1], more


def _declines(visit: Visit) -> tuple[list[tuple[Decline, DisplayedEdition, str]], bool]:
    """Return the latest declines, the latest first, and whether there are more than ``MAX_ENTRIES``. Each is with its
    edition and its moment in words. A decline of an edition that ``visit.timelines`` does not contain yet is left out.
    1 query.
    """
    rows = Decline.objects.filter(user=visit.request.user.pk).with_accepted().select_related("edition__agreement")
    latest, more = _latest(rows.defer(*text_columns("edition")).order_by("-at", "-pk"))
    found = []
    for row in latest:
        if timeline := visit.timelines.containing(row.edition_id):
            displayed = DisplayedEdition.from_timeline(row.edition, timeline, visit.at)
            found.append((row, displayed, _in_words(row.at, timeline.time_zone)))
    return found, more


def _consents(visit: Visit) -> tuple[list[tuple[Consent, str, str]], bool]:
    """Return the latest consents, the latest first, and whether there are more than ``MAX_ENTRIES``. Withdrawn ones are
    included. Each is with the moments in words when it was given and when it was or will be withdrawn; the second is
    ``""`` if no withdrawal is recorded. 1 query.
    """
    rows, more = _latest(Consent.objects.filter(user=visit.request.user.pk).order_by("-pk"))
    zone = conf.time_zone()
    return [(row, _in_words(row.given_at, zone), _in_words(row.withdrawn_at, zone)) for row in rows], more


def _withdrawals(visit: Visit) -> tuple[list[tuple[Withdrawal, str, str]], bool]:
    """Return the latest withdrawals, the latest first, and whether there are more than ``MAX_ENTRIES``. Refused ones
    are included. Each is with the moments in words when it was registered and when it takes effect; the second is
    ``""`` for a refused one. 1 query.
    """
    withdrawals = Withdrawal.objects.filter(user=visit.request.user.pk).select_related("agreement")
    rows, more = _latest(withdrawals.order_by("-pk"))
    zones = ((row, row.agreement.time_zone) for row in rows)
    return [(row, _in_words(row.registered_at, zone), _in_words(row.effective_at, zone)) for row, zone in zones], more


def _notices(visit: Visit) -> tuple[list[tuple[Delivery, DisplayedEdition, str]], bool]:
    """Return the latest deliveries that were sent, failed or were skipped, the latest outcome first, and whether there
    are more than ``MAX_ENTRIES``. Each is with the edition of its notice and the moment of the outcome in words. A
    delivery about an edition that ``visit.timelines`` does not contain yet is left out. 1 query.
    """
    rows = Delivery.objects.filter(user=visit.request.user.pk).exclude(outcome=DeliveryOutcome.WAITING)
    rows = rows.select_related("notice__edition__agreement").defer(*text_columns("notice__edition"))
    latest, more = _latest(rows.order_by("-outcome_at"))
    found = []
    for row in latest:
        edition = row.notice.edition
        timeline = visit.timelines.containing(edition.pk)
        if timeline is None:
            continue
        displayed = DisplayedEdition.from_timeline(edition, timeline, visit.at)
        found.append((row, displayed, _in_words(row.outcome_at, edition.agreement.time_zone)))
    return found, more


def _latest(rows: QuerySet[Entry]) -> tuple[list[Entry], bool]:
    """Return the first ``MAX_ENTRIES`` of the rows, and whether there are more. 1 query."""
    found = list(rows[: MAX_ENTRIES + 1])
    return found[:MAX_ENTRIES], len(found) > MAX_ENTRIES


def _in_words(at: datetime | None, time_zone: str) -> str:
    """Return the moment in words in the active language; ``""`` for ``None``."""
    return dates.instant(at, active_language(), time_zone) if at else ""
