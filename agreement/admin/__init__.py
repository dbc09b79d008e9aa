"""The desk: the admin of agreements, their editions, notices, acceptances, withdrawals and audit entries.

``base`` has what the lists and pages share, and ``rights`` says who may do what the reader may not. Each other module
registers one or more models; ``editions``, ``acceptances`` and ``notices`` are packages. ``kazakh`` is read by
``makemessages`` alone. Nothing is registered if modeltranslation or reversion is not installed: then the system check
can say which line is missing from the settings.
"""

from django.apps import apps

if apps.is_installed("modeltranslation") and apps.is_installed("reversion"):
    from agreement.admin import agreements, log, withdrawals  # noqa: F401
    from agreement.admin.acceptances import register  # noqa: F401
    from agreement.admin.editions import change  # noqa: F401
    from agreement.admin.notices import ledger  # noqa: F401
