"""Tables and the verbs on one row or one queryset.

Imports go one way: ``editions`` knows ``notices``, ``fields`` and ``refusals``; ``deliveries`` knows ``notices``,
which names ``editions`` only in strings; ``triggers`` knows none of them: it reads the fields of whatever models it
is given.
"""

from agreement.models.deliveries import Bounce, Delivery, Progress
from agreement.models.editions import Agreement, Edition
from agreement.models.notices import Notice, NoticeRead, NoticeText
from agreement.models.paces import Pace
from agreement.models.refusals import EditionError

__all__ = [
    "Agreement",
    "Bounce",
    "Delivery",
    "Edition",
    "EditionError",
    "Notice",
    "NoticeRead",
    "NoticeText",
    "Pace",
    "Progress",
]
