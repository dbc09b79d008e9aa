"""The desk of content administrators: drafts, publication, what was said to whom.

``agreements`` and ``editions`` register the models; an edition's pages are ``starting``, ``drafts``, ``comparing``,
``revisions``, ``previews`` and ``publishing``; ``notices`` is the read-only ledger, ``acceptances`` who joined and who
has not, ``withdrawals`` who left and what is held, ``acts`` the log. Without the packages they build on nothing is
registered here, so that the system check can say which line is missing.
"""

from django.apps import apps

if apps.is_installed("modeltranslation") and apps.is_installed("reversion"):
    from agreement.admin import acceptances, acts, agreements, editions, notices, withdrawals  # noqa: F401
