"""The reasons in the ledger for which a message was not sent, in words."""

from __future__ import annotations

import re

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agreement.models.notices import (
    ACCOUNT_GONE,
    ADDRESS_NOT_TAKEN,
    CANCELLED,
    ENDED,
    IN_EFFECT,
    INACTIVE,
    INVALID_ADDRESS,
    NO_ADDRESS,
    NOT_IN_AUDIENCE,
    OVERTAKEN,
    PERHAPS_SENT,
    REMOVED,
)

#: The labels of the reasons in the ledger. A channel of the site may have other reasons, which have no label.
REASON_LABELS = {
    "": _("other reasons"),
    NO_ADDRESS: _("no address"),
    INVALID_ADDRESS: _("invalid address"),
    ADDRESS_NOT_TAKEN: _("the mail server does not accept addresses with letters other than a–z"),
    CANCELLED: _("the edition was cancelled"),
    PERHAPS_SENT: _("the edition was cancelled; sending was interrupted, and the message may have been sent"),
    OVERTAKEN: _("overtaken by newer editions"),
    IN_EFFECT: _("the edition is in force already"),
    NOT_IN_AUDIENCE: _("no longer in the audience"),
    ACCOUNT_GONE: _("the account was deleted"),
    INACTIVE: _("the account is inactive"),
    ENDED: _("the agreement with the user has ended"),
    REMOVED: _("this channel is no longer used"),
}


def reason_in_words(reason: str) -> str:
    """Return the label of a reason in the ledger, in the active language. An unknown reason and ``""`` are returned
    unchanged.
    """
    if found := re.fullmatch(r"overtaken by edition (\d+)", reason):
        return gettext("overtaken by edition %(number)s") % {"number": found[1]}
    return str(REASON_LABELS[reason]) if reason and reason in REASON_LABELS else reason


def known_reason(reason: str) -> str:
    """Return the label of a reason for a page of the user; ``""`` for a reason that has none, such as the answer of a
    mail server.
    """
    words = reason_in_words(reason)
    return "" if words == reason and reason not in REASON_LABELS else words
