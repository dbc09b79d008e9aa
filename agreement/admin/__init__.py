"""The desk of content administrators: drafts, publication, what was said to whom.

``editions`` holds the agreements and their editions, ``drafts`` the form of a draft, ``publishing`` the pages that
publish and cancel, ``notices`` the read-only ledger, ``acts`` the log. Without the packages they build on nothing is
registered here, so that the system check can say which line is missing.
"""

from django.apps import apps

if apps.is_installed("modeltranslation") and apps.is_installed("reversion"):
    from agreement.admin import acts, editions, notices  # noqa: F401
