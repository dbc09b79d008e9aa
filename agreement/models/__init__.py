"""Tables and the verbs on one row or one queryset.

Imports go one way: ``acceptances`` knows ``editions``, ``deliveries`` and ``fields``; ``editions`` knows ``acts``,
``notices``, ``fields`` and ``refusals``; ``deliveries`` knows ``notices``, which names ``editions`` only in strings;
``triggers`` knows none of them: it reads the fields of whatever models it is given.
"""

from agreement.models.acceptances import Acceptance, Outside, Stale
from agreement.models.acts import Act
from agreement.models.agreements import Agreement
from agreement.models.autosave import Autosave
from agreement.models.deliveries import Bounce, Delivery
from agreement.models.editions import Edition
from agreement.models.holds import LegalHold
from agreement.models.notices import Notice, NoticeRead, NoticeText
from agreement.models.paces import Pace
from agreement.models.progress import Progress
from agreement.models.refusals import EditionError
from agreement.models.timestamps import TimeStamp
from agreement.models.withdrawals import Consent, Withdrawal

__all__ = [
    "Acceptance",
    "Act",
    "Agreement",
    "Autosave",
    "Bounce",
    "Consent",
    "Delivery",
    "Edition",
    "EditionError",
    "LegalHold",
    "Notice",
    "NoticeRead",
    "NoticeText",
    "Outside",
    "Pace",
    "Progress",
    "Stale",
    "TimeStamp",
    "Withdrawal",
]
