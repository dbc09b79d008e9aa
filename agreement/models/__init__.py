"""Tables and the verbs on one row or one queryset.

Imports go one way: ``acceptances`` knows ``editions``, ``notices`` and ``fields``; ``editions`` knows ``notices``,
``fields`` and ``refusals``; ``notices`` names ``editions`` only in strings; ``triggers`` knows none of them: it reads
the fields of whatever models it is given.
"""

from agreement.models.acceptances import Acceptance, Stale
from agreement.models.editions import Agreement, Edition
from agreement.models.notices import Delivery, Notice, NoticeText
from agreement.models.refusals import EditionError
from agreement.models.timestamps import TimeStamp

__all__ = [
    "Acceptance",
    "Agreement",
    "Delivery",
    "Edition",
    "EditionError",
    "Notice",
    "NoticeText",
    "Stale",
    "TimeStamp",
]
