"""The tables of the app, and the operations on one row or one queryset.

A site may import those of the names below that ``docs/public.md`` lists. The package uses ``conf``, ``memory``,
``signals``, ``text`` and ``seal``. Inside it, declines import acceptances, acceptances import withdrawals, deliveries
and displayed texts, withdrawals and displayed texts import editions, deliveries import notices, and editions import
publishing, notices and the audit log. At run time none of these imports the other way round.
"""

from agreement.models.acceptances import (
    Acceptance,
    AcceptanceKind,
    ContradictionError,
    HistoricAcceptance,
    StaleEditionError,
    WithdrawnError,
)
from agreement.models.agreements import AcceptanceMode, Agreement
from agreement.models.audit import AuditAction, AuditEntry
from agreement.models.autosave import Autosave
from agreement.models.breaches import AffectedUser, Breach
from agreement.models.channel_state import ChannelState
from agreement.models.declines import Decline
from agreement.models.deliveries import Bounce, Delivery, DeliveryOutcome
from agreement.models.displayed_texts import DisplayedText
from agreement.models.editions import Edition
from agreement.models.errors import EditionError
from agreement.models.hand_overs import HandOver, HandOverState
from agreement.models.legal_holds import LegalHold
from agreement.models.log import Checkpoint, LogEntry, LogTile, TransparencyLog
from agreement.models.notices import Notice, NoticeKind, NoticeRead, NoticeText
from agreement.models.progress import Progress
from agreement.models.signatures import Signature
from agreement.models.succession import State
from agreement.models.time_stamps import TimeStamp
from agreement.models.withdrawals import Consent, Withdrawal, WithdrawalOutcome

__all__ = [
    "Acceptance",
    "AcceptanceKind",
    "AcceptanceMode",
    "AffectedUser",
    "Agreement",
    "AuditAction",
    "AuditEntry",
    "Autosave",
    "Bounce",
    "Breach",
    "ChannelState",
    "Checkpoint",
    "Consent",
    "ContradictionError",
    "Decline",
    "Delivery",
    "DeliveryOutcome",
    "DisplayedText",
    "Edition",
    "EditionError",
    "HandOver",
    "HandOverState",
    "HistoricAcceptance",
    "LegalHold",
    "LogEntry",
    "LogTile",
    "Notice",
    "NoticeKind",
    "NoticeRead",
    "NoticeText",
    "Progress",
    "Signature",
    "StaleEditionError",
    "State",
    "TimeStamp",
    "TransparencyLog",
    "Withdrawal",
    "WithdrawalOutcome",
    "WithdrawnError",
]
