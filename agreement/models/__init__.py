"""Tables and the verbs on one row or one queryset.

Imports go one way: ``acceptances`` knows ``editions``; ``editions`` knows ``acts``, ``notices``, ``fields`` and
``refusals``; ``deliveries`` knows ``notices``, which names ``editions`` only in strings; ``triggers`` knows none of
them: it reads the fields of whatever models it is given.
"""

from agreement.models.acceptances import Acceptance, Stale
from agreement.models.acts import Act
from agreement.models.autosave import Autosave
from agreement.models.deliveries import Delivery, Progress
from agreement.models.editions import Agreement, Edition
from agreement.models.notices import Notice, NoticeText
from agreement.models.paces import Pace
from agreement.models.refusals import EditionError

__all__ = [
    "Acceptance",
    "Act",
    "Agreement",
    "Autosave",
    "Delivery",
    "Edition",
    "EditionError",
    "Notice",
    "NoticeText",
    "Pace",
    "Progress",
    "Stale",
]
