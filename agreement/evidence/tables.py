"""The columns of the CSV tables in a bundle, and of the file of declines for officers. Each constant maps the heading
of a column to a field of the model, to a look-up path or to an annotation. A table of deliveries in a bundle has three
more columns, which are computed for each row: the file with the text that was sent, the pseudonym of the recipient and
the id of its key.
"""

from __future__ import annotations

ACCEPTANCE_COLUMNS = {
    "record": "pk",
    "agreement": "edition__agreement__slug",
    "edition": "edition__number",
    "digest": "digest",
    "at": "at",
    "recorded_at": "recorded_at",
    "kind": "kind",
    "language": "language",
    "renderer": "renderer",
    "html_digest": "html_digest",
    "notice_sent": "notice_sent",
    "round": "round",
    "reason": "reason",
    "officer": "officer",
    "ip": "ip",
    "browser": "user_agent",
    "pseudonym": "pseudonym",
    "key": "pseudonym_key",
}
#: The table in the bundle of an edition lists all users, so it contains no personal details. Those are only in the
#: bundle of one user.
EDITION_ACCEPTANCE_COLUMNS = {
    name: field
    for name, field in ACCEPTANCE_COLUMNS.items()
    if name not in {"agreement", "edition", "reason", "officer", "ip", "browser"}
}
DECLINE_COLUMNS = {
    "record": "pk",
    "agreement": "edition__agreement__slug",
    "edition": "edition__number",
    "digest": "digest",
    "at": "at",
    "language": "language",
    "ip": "ip",
    "browser": "user_agent",
    "pseudonym": "pseudonym",
    "key": "pseudonym_key",
}
EDITION_DECLINE_COLUMNS = {
    name: field for name, field in DECLINE_COLUMNS.items() if name not in {"agreement", "edition", "ip", "browser"}
}
#: The table of all declines for officers, which names the accounts.
OFFICER_DECLINE_COLUMNS = {
    "record": "pk",
    "agreement": "edition__agreement__slug",
    "edition": "edition__number",
    "at": "at",
    "language": "language",
    "user": "user",
    "accepted": "accepted",
    "pseudonym": "pseudonym",
    "key": "pseudonym_key",
}
WITHDRAWAL_COLUMNS = {
    "record": "pk",
    "agreement": "agreement__slug",
    "year": "year",
    "number": "serial",
    "application": "application_number",
    "received": "received_on",
    "registered_at": "registered_at",
    "reply_by": "reply_by",
    "reply_sent_at": "reply_sent_by_then",
    "outcome": "outcome",
    "effective_at": "effective_at",
    "ground": "ground",
    "may_accept_again": "may_accept_again",
    "registered_by": "registered_by",
    "pseudonym": "pseudonym",
    "key": "pseudonym_key",
}
CONSENT_COLUMNS = {
    "record": "pk",
    "purpose": "purpose",
    "language": "language",
    "digest": "digest",
    "given_at": "given_at",
    "withdrawn_at": "withdrawn_by_then",
    "pseudonym": "pseudonym",
    "key": "pseudonym_key",
}
DELIVERY_COLUMNS = {
    "record": "pk",
    "agreement": "notice__edition__agreement__slug",
    "edition": "notice__edition__number",
    "notice": "notice__kind",
    "channel": "channel",
    "language": "language",
    "outcome": "outcome",
    "reason": "reason",
    "attempts": "failed_attempts",
    "outcome_at": "outcome_at",
    "returned_at": "returned_at",
    "address": "address_digest",
}
EDITION_DELIVERY_COLUMNS = {
    name: field for name, field in DELIVERY_COLUMNS.items() if name not in {"agreement", "edition"}
}
