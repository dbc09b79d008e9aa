"""The admin of agreements, editions, notices, deliveries, acceptances, declines, withdrawals, consents, legal holds,
breaches of personal data and audit entries. It is called "the desk".

``base`` contains the code that the lists and pages share. ``people`` contains the field with which an officer names a
user. ``rights`` finds the people who may do what the user may not. ``editions``, ``acceptances`` and ``notices`` are
packages. Every other module registers one or more models, except ``kazakh``, which only ``makemessages`` reads. Nothing
is registered if modeltranslation or reversion is not installed, or if modeltranslation comes too late, so that the site
starts and a system check can report the missing app or the wrong order.
"""

from django.apps import apps

from agreement.models import Edition

# The translated columns exist unless the admin of Django is before modeltranslation in INSTALLED_APPS.
if apps.is_installed("reversion") and hasattr(Edition, "title_kk"):
    from agreement.admin import agreements, log, withdrawals  # noqa: F401
    from agreement.admin.acceptances import declines, register  # noqa: F401
    from agreement.admin.editions import change  # noqa: F401
    from agreement.admin.notices import breaches, ledger  # noqa: F401
