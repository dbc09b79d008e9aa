"""Records returned letters. django-anymail reports them by its signal, if it is installed."""

from __future__ import annotations

import logging
from importlib import import_module
from typing import Any

from agreement.models import Delivery

logger = logging.getLogger("agreement")

#: The event types of anymail for a returned letter.
RETURNED_EVENTS = frozenset({"bounced", "rejected", "failed"})


def connect() -> None:
    """Connect :func:`record_bounce` to anymail's signal. ``AgreementConfig.ready()`` calls this if anymail is
    installed.
    """
    tracking = import_module("anymail.signals").tracking
    tracking.connect(record_bounce, dispatch_uid="agreement.bounces")


def record_bounce(sender: object, event: Any, **kwargs: object) -> None:
    """Record that a notice was returned, once for each delivery; the outcome of the delivery is not changed. ``event``
    is an ``AnymailTrackingEvent``. Events of types other than ``RETURNED_EVENTS``, and events about letters that are
    not notices, are ignored.
    """
    if event.event_type not in RETURNED_EVENTS:
        return
    message_id = (getattr(event, "metadata", None) or {}).get("agreement_message_id") or event.message_id or ""
    bounce = Delivery.objects.record_bounce(str(message_id), at=event.timestamp, reason=str(event.reject_reason or ""))
    if bounce:
        logger.info("N107 delivery %s came back: %s", bounce.delivery_id, bounce.reason)
