"""Tables and the verbs on one row or one queryset.

Imports go one way: ``editions`` knows ``notices``, ``notices`` names ``editions`` only in strings, and
``triggers`` knows neither: it reads the fields of whatever models it is given.
"""

from agreement.models.editions import Agreement, Edition, EditionError
from agreement.models.notices import Delivery, Notice, NoticeText

__all__ = ["Agreement", "Delivery", "Edition", "EditionError", "Notice", "NoticeText"]
