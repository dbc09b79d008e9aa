"""Letters that come back, as django-anymail tells of them where a site has it: connected by the app itself."""

from __future__ import annotations

import logging
from importlib import import_module
from typing import Any

from agreement.models import Delivery

logger = logging.getLogger("agreement")

#: What anymail calls a letter that did not stay where it was sent.
RETURNED = frozenset({"bounced", "rejected", "failed"})


def listen() -> None:
    """Called by ``AgreementConfig.ready()`` where anymail is installed."""
    tracking = import_module("anymail.signals").tracking
    tracking.connect(returned, dispatch_uid="agreement.bounces")


def returned(sender: Any, event: Any, **kwargs: Any) -> None:
    """Record a letter of ours that came back; other letters and events are passed over."""
    if event.event_type not in RETURNED:
        return
    identity = (getattr(event, "metadata", None) or {}).get("agreement_message_id") or event.message_id or ""
    # A reason and not the server's words, which may quote the address.
    bounce = Delivery.objects.bounced(str(identity), at=event.timestamp, reason=str(event.reject_reason or ""))
    if bounce:
        logger.info("N107 delivery %s came back: %s", bounce.delivery_id, bounce.reason)
