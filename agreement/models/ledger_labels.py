"""The channels in the ledger, and the reasons for which a message was not sent, in words."""

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

#: The labels of the app's own channels. The label of another channel is its ``name``.
CHANNEL_LABELS = {"email": _("e-mail")}
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


#: The status codes of RFC 3463 in the replies of mail servers and in returned messages, with labels.
REPLY_LABELS = (
    (re.compile(r"(?:SMTP \d{3} )?5\.1\.(?:[1-6]|10)"), _("the address does not exist (%(reply)s)")),
    (re.compile(r"(?:SMTP \d{3} )?5\.2\.2"), _("the mailbox is full (%(reply)s)")),
    (re.compile(r"(?:SMTP \d{3} )?5\.7\.\d+"), _("the mail server does not take messages of this site (%(reply)s)")),
)


def reason_in_words(reason: str) -> str:
    """Return the label of a reason in the ledger, in the active language. The label of a reply of a mail server
    contains the reply. An unknown reason and ``""`` are returned unchanged.
    """
    if label := _reply_label(reason):
        return label % {"reply": reason}
    if found := re.fullmatch(r"overtaken by edition (\d+)", reason):
        return gettext("overtaken by edition %(number)s") % {"number": found[1]}
    return str(REASON_LABELS[reason]) if reason and reason in REASON_LABELS else reason


def known_reason(reason: str) -> str:
    """Return the label of a reason for a page of the user; ``""`` for a reason that has none, such as the answer of a
    mail server.
    """
    words = reason_in_words(reason)
    return "" if _reply_label(reason) or (words == reason and reason not in REASON_LABELS) else words


def _reply_label(reason: str) -> str:
    """The label of a reply of a mail server; ``""`` if the reason is no such reply, or if its status has no label."""
    return next((str(label) for reply, label in REPLY_LABELS if reply.fullmatch(reason)), "")
