"""Publications and cancellations in Wagtail's audit log, from the signals of the app.

The audit log of the app itself is complete and can't be changed. This is a copy for people who read Wagtail's reports.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from wagtail.log_actions import LogFormatter, log

from agreement.contrib.wagtail import page_cache
from agreement.models import Edition
from agreement.models.audit import AuditAction, AuditEntry
from agreement.signals import edition_cancelled, edition_published


def connect() -> None:
    edition_published.connect(record_publication, dispatch_uid="agreement_wagtail.published")
    edition_cancelled.connect(record_cancellation, dispatch_uid="agreement_wagtail.cancelled")


def record_publication(*, edition: Edition, **kwargs: Any) -> None:
    _record(edition, AuditAction.PUBLISHED)


def record_cancellation(*, edition: Edition, **kwargs: Any) -> None:
    _record(edition, AuditAction.CANCELLED)


def _record(edition: Edition, action: AuditAction) -> None:
    """Record in Wagtail's log that the edition was published or cancelled (``action``), and remove the pages that quote
    any agreement from the caches in front of the site. The user is that of the entry in the app's audit log. If the
    entry has no account, or the account no longer exists, the user is ``None``: Wagtail's log can't contain a name
    alone.
    """
    entry = AuditEntry.objects.about(edition).filter(action=action).first()
    account = entry.account if entry else ""
    user = get_user_model()._default_manager.filter(pk=account).first() if account else None
    log(edition, f"agreement.{action.value}", user=user, data={"number": edition.number})
    page_cache.purge()


class _Formatter(LogFormatter):
    def format_message(self, entry: Any) -> str:
        return f"{self.label} ({_('edition %(number)s') % {'number': entry.data.get('number', '')}})"


class PublicationFormatter(_Formatter):
    label = gettext_lazy("User agreement: edition published")


class CancellationFormatter(_Formatter):
    label = gettext_lazy("User agreement: edition cancelled")


class RefreshFormatter(LogFormatter):
    label = gettext_lazy("User agreement: pages removed from caches")

    def format_message(self, entry: Any) -> str:
        return _("Pages that quote an agreement were removed from caches: %(count)s") % {
            "count": entry.data.get("pages", 0)
        }


def register(actions: Any) -> None:
    actions.register_action(f"agreement.{AuditAction.PUBLISHED.value}")(PublicationFormatter)
    actions.register_action(f"agreement.{AuditAction.CANCELLED.value}")(CancellationFormatter)
    actions.register_action(page_cache.REFRESH)(RefreshFormatter)
