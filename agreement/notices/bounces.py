"""Records returned letters: those that django-anymail reports by its signal, if it is installed, and those that mail
servers report by mail.
"""

from __future__ import annotations

import enum
import json
import logging
import re
from email.errors import MessageError
from importlib import import_module
from typing import Any

from django.contrib.auth import get_user_model
from django.db import router, transaction
from django.db.models import TextField
from django.db.models.functions import Cast
from django.utils import timezone

from agreement import conf
from agreement.models import Bounce, Delivery, DeliveryOutcome, message_ids, pseudonyms
from agreement.notices.channels.email import EmailChannel, ascii_domain
from agreement.notices.delivery_status import DeliveryReport, UnreadableReportError, read_report
from agreement.notices.return_path import delivery_returned_to

logger = logging.getLogger("agreement")

#: The event types of anymail for a returned letter.
RETURNED_EVENTS = frozenset({"bounced", "rejected", "failed"})
#: A ``Message-ID`` of the form that :func:`agreement.models.message_ids.local_part` gives.
_OURS = re.compile(r"[0-9a-f]{32}\.email\.[\w%~-]+@[\w.-]+", re.ASCII)


class MailOutcome(enum.Enum):
    """What became of a mail that :func:`record_mail` was given. The values are words for a person."""

    RECORDED = "recorded as returned"
    KNOWN = "recorded before"
    DELAYED = "delayed"
    OTHER_LETTER = "about other letters"
    OTHER_MAIL = "other mails"
    UNMATCHED = "not matched"


class UnmatchedError(Exception):
    """A returned letter that can't be matched with a delivery. The text is the cause."""


def connect() -> None:
    """Connect :func:`record_bounce` to anymail's signal. ``AgreementConfig.ready()`` calls this if anymail is
    installed.
    """
    tracking = import_module("anymail.signals").tracking
    tracking.connect(record_bounce, dispatch_uid="agreement.bounces")


def record_bounce(sender: object, event: Any, **kwargs: object) -> None:
    """Record that a notice was returned, at most once for each time that it was sent; the outcome of the delivery is
    neither checked nor changed. ``event`` is an ``AnymailTrackingEvent``. Events of types other than
    ``RETURNED_EVENTS`` are ignored. Events about letters that are not found are logged.

    The letter is found by the ``Message-ID`` that the app gave to it. This id is looked for in three places, in this
    order: in the metadata of the event, in its ``message_id``, and anywhere in its ``esp_event``, which is the report
    of the mail service. At most five ids are tried. An id that the service gave to the letter does not find it.
    """
    if event.event_type not in RETURNED_EVENTS:
        return
    raw = json.dumps(getattr(event, "esp_event", None), default=str)
    ids = [(getattr(event, "metadata", None) or {}).get("agreement_message_id"), event.message_id, *_OURS.findall(raw)]
    for message_id in dict.fromkeys(str(one) for one in ids[:5] if one):
        reason = str(event.reject_reason or "")
        if bounce := Delivery.objects.record_bounce(message_id, at=event.timestamp, reason=reason):
            _log_bounce(bounce)
            return
    service = str(kwargs.get("esp_name") or "the mail service")
    unmatched(service, f"no notice has the id {str(event.message_id or '')[:255]!r}")


def record_mail(mail: bytes, *, source: str, rehearsed: set[int] | None = None) -> MailOutcome:
    """Record the returned letter that this mail reports, if it is a notice that was sent, and return what became of the
    mail. A report that the letter is delayed is only logged. The outcome of the delivery is not changed. ``source``
    names the mail in the log.

    With ``rehearsed``, nothing is recorded or logged. It is the same set for all mails of a dry run. The key of each
    delivery whose return would be recorded is added to it, so that a second report about this delivery is ``KNOWN``.

    A mail that can't be read raises no error; it is ``UNMATCHED``. Errors of the database are raised.

    Anybody can send a mail that looks like a report. With the setting ``VERP``, only the token in the address to which
    the letter was returned counts. Without it, the ``Message-ID`` of the returned letter counts, if the mail also names
    the address to which the letter was sent.
    """
    dry_run = rehearsed is not None
    try:
        report = read_report(mail)
        if report is None:
            return MailOutcome.OTHER_MAIL
        delivery = _find(report)
    except UnmatchedError as error:
        return unmatched(source, str(error), dry_run=dry_run)
    except UnreadableReportError as error:
        return unmatched(source, f"the report can't be read: {error}", dry_run=dry_run)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, AssertionError, MessageError) as error:
        return unmatched(source, f"the mail can't be read ({type(error).__name__})", dry_run=dry_run)
    if delivery is None:
        if not dry_run:
            logger.info("N117 %s is about a letter that is not a notice", source)
        return MailOutcome.OTHER_LETTER
    if not report.failed:
        if not dry_run:
            logger.info("N116 delivery %s is delayed: the mail server still tries", delivery.pk)
        return MailOutcome.DELAYED
    dated = report.at if report.at and report.at <= timezone.now() else None
    if delivery.bounces.filter(**({"at__gte": dated} if dated else {})).exists():
        return MailOutcome.KNOWN  # This report was read before, or a later one was.
    # A date before the sending can't be right, at least not to the second.
    at = dated if dated and delivery.outcome_at and dated >= delivery.outcome_at else None
    with transaction.atomic(using=router.db_for_write(Bounce)):
        bounce, created = delivery.record_bounce(at=at, reason=report.reason)
        transaction.set_rollback(dry_run, using=router.db_for_write(Bounce))
    if rehearsed is not None:
        created = created and delivery.pk not in rehearsed
        rehearsed.add(delivery.pk)
    elif created:
        _log_bounce(bounce)
    return MailOutcome.RECORDED if created else MailOutcome.KNOWN


def _find(report: DeliveryReport) -> Delivery | None:
    """The delivery that the report is about; ``None`` if it is about a letter that is not a notice. Raises
    ``UnmatchedError`` if it may be about a notice and the delivery is not found or not certain, or if the delivery was
    not sent.
    """
    if conf.get().VERP:
        if delivery := delivery_returned_to(report.returned_to):
            return _sent(delivery)
        cause = "it was not returned to an address with a valid token"
    elif report.message_ids:
        for message_id in report.message_ids:
            rows = Delivery.objects.primary().with_message_id(message_id)
            delivery = rows.filter(channel=EmailChannel.name).select_related("notice").first()
            if delivery and _went_to(delivery, report.addresses):
                return _sent(delivery)
        cause = "no notice with its Message-ID was sent to the address that it names"
    else:
        cause = "it does not contain the Message-ID of the letter"
    may_be_a_notice = any(map(message_ids.parse, report.message_ids)) or "<agreement." in "".join(report.list_ids)
    if report.message_ids and not may_be_a_notice:
        return None
    raise UnmatchedError(cause)


def _sent(delivery: Delivery) -> Delivery:
    if delivery.outcome != DeliveryOutcome.SENT:
        msg = f"delivery {delivery.pk} was not sent"
        raise UnmatchedError(msg)
    return delivery


def _went_to(delivery: Delivery, addresses: tuple[str, ...]) -> bool:
    """Was the letter sent to one of these addresses? They are compared with the digest in the ledger. If it has none,
    they are compared with the present address of the user. At most 1 query.
    """
    if delivery.address_digest:
        written = {*addresses, *map(_unicode_domain, addresses)}
        return any(delivery.address_digest in pseudonyms.address_digests(one) for one in written)
    if delivery.user_id is None:
        return False
    users = get_user_model()._default_manager.filter(pk=delivery.user_id)
    present = users.values_list(Cast(conf.user_email(), TextField()), flat=True).first() or ""
    return bool(present) and _comparable(present) in map(_comparable, addresses)


def _comparable(address: str) -> str:
    try:
        return ascii_domain(address.strip()).casefold()
    except UnicodeError:
        return address.strip().casefold()


def _unicode_domain(address: str) -> str:
    """The e-mail address with its domain in Unicode, as a user may write it; unchanged if the domain can't be
    converted. ``address`` contains an ``@``.
    """
    local, _at, domain = address.rpartition("@")
    try:
        return f"{local}@{domain.encode('ascii').decode('idna')}"
    except UnicodeError:
        return address


def unmatched(source: str, cause: str, *, dry_run: bool = False) -> MailOutcome:
    """Log that a returned letter can't be matched, unless ``dry_run`` is true. Return ``MailOutcome.UNMATCHED``. In the
    log, ``source`` names the mail or the mail service, and ``cause`` is the reason.
    """
    if not dry_run:
        logger.warning("N115 a returned letter from %s can't be matched: %s", source, cause)
    return MailOutcome.UNMATCHED


def _log_bounce(bounce: Bounce) -> None:
    logger.info("N107 delivery %s came back: %s", bounce.delivery_id, bounce.reason)
