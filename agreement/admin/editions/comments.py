"""The comments of the revisions of a draft: stored as data, and worded in the language of the reader."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from reversion.models import Revision

from agreement.admin.base import moment
from agreement.models import Agreement, Edition
from agreement.models.audit import edition_name

#: What an author can do with the tracked changes of a file.
TRACKED = {"accepted": _("accept all of them"), "rejected": _("reject all of them")}


def created_from(edition: Edition | None) -> str:
    """Return the comment, as JSON, of the first revision of a new draft with the texts of that edition; with ``None``,
    of one with empty texts.
    """
    source = [edition.agreement.slug, edition.number, edition.begun_at.isoformat()] if edition else None
    return json.dumps({"created_from": source})


def imported(names: list[str], *, tracked: str) -> str:
    """Return the comment, as JSON, of the first revision of a draft from files with these names. ``tracked`` says what
    was done with the tracked changes in them: ``accepted``, ``rejected``, or ``""`` if there were none.
    """
    return json.dumps({"imported": names, "tracked": tracked}, ensure_ascii=False)


def before_the_first_save() -> str:
    """Return the comment, as JSON, of the revision with what a command stored, before the first save on the desk."""
    return json.dumps({"before": "the first save"})


def restored(at: datetime) -> str:
    """Return the comment, as JSON, of a revision that restores the one of that moment."""
    return json.dumps({"restored": at.isoformat()})


def restored_in_words(at: datetime, zone: str) -> str:
    """Return the phrase that the revision of that moment was restored, with the seconds, because two revisions can have
    the same minute. ``zone`` is the name of the time zone.
    """
    return gettext("Restored the revision of: %(at)s") % {"at": moment(at, zone)}


def in_words(revision: Revision, agreement: Agreement) -> str:
    """Return the comment of a revision of a draft of this agreement, in the language of the page. A comment that
    another program wrote in words is returned unchanged.
    """
    if not revision.comment.startswith("{"):
        return str(revision.get_comment())  # Words, or the data of Django's own message.
    text: str = revision.comment
    zone = agreement.time_zone
    try:
        data: dict[str, Any] = json.loads(text)
    except ValueError:
        return text
    if "before" in data:
        return gettext("Before the first save")
    if "restored" in data:
        return restored_in_words(datetime.fromisoformat(data["restored"]), zone)
    if "imported" in data:
        words = gettext("Imported: %(names)s") % {"names": ", ".join(data["imported"])}
        return f"{words} · {TRACKED[data['tracked']]}" if data["tracked"] else words
    if source := data.get("created_from"):
        slug, number, begun_at = source
        name = agreement.name if slug == agreement.slug else slug
        edition = edition_name(name, number, datetime.fromisoformat(begun_at), zone)
        return gettext("Created from: %(edition)s") % {"edition": edition}
    return gettext("Created with empty texts")
