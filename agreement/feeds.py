"""The Atom feed (RFC 4287) of an agreement: one entry for each publication, in the language of the address.

An entry is updated once at most: when its edition is cancelled. Its id is made of the digest and the language, so it
outlives a move of the site, and a reader of two languages gets both.
"""

from __future__ import annotations

import re
import uuid
from datetime import datetime
from urllib.parse import urlsplit

from django.http import HttpResponse
from django.utils.feedgenerator import Atom1Feed
from django.utils.html import format_html, linebreaks
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _

from agreement import conf
from agreement.models.editions import State
from agreement.pages import OPEN, Visit, page
from agreement.shown import Shown, frame

# XML 1.0 has no way to write them; the seal refuses its other forbidden characters.
_UNWRITABLE = re.compile("[\ufffe\uffff]")


@page()
def feed(visit: Visit, slug: str) -> HttpResponse:
    """Every public edition, the newest first. 1 query."""
    timeline = visit.timeline(slug)
    shown = visit.listed((timeline, edition) for edition in reversed(timeline.public(visit.at)))
    home = visit.url("current", slug)
    atom = Atom1Feed(
        title=_written(_("Editions: %(title)s") % {"title": shown[0].title}),
        link=home,
        description=None,
        language=frame(),
        author_name=urlsplit(home).netloc,
        feed_url=visit.url("feed", slug),
    )
    for one in shown:
        title = _("Edition %(number)s") % {"number": one.edition.number}
        if one.state == State.CANCELLED:
            title = f"{title} ({one.state.label})"
        atom.add_item(
            title=_written(f"{title}: {one.title}"),
            link=visit.url("edition", slug, one.edition.number),
            description=_written(_summary(one)),
            unique_id=identity(one.edition.digest),
            pubdate=_since(one),
            updateddate=one.edition.cancelled_at or _since(one),
        )
    return HttpResponse(atom.writeString("utf-8"), headers={"Content-Type": atom.content_type} | OPEN)


def identity(digest: str) -> str:
    """The id of an edition's entry in the active language."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"sha256:{digest}/{frame()}").urn


def _since(shown: Shown) -> datetime | None:
    """When the edition became public."""
    edition = shown.edition
    return edition.published_at if conf.get().SHOW_SCHEDULED else edition.effective_from


def _summary(shown: Shown) -> str:
    """HTML that stays the same whatever the day, unless the edition is cancelled."""
    when = _("Effective from: %(effective)s.") % {"effective": shown.effective}
    return format_html(
        '<p>{}</p>\n<div lang="{}">{}</div>\n<p>SHA-256: <code>{}</code></p>',
        shown.interval if shown.state == State.CANCELLED else when,
        shown.language,
        mark_safe(linebreaks(shown.summary, autoescape=True)),  # noqa: S308 - it has just been escaped
        shown.edition.digest,
    )


def _written(text: str) -> str:
    return _UNWRITABLE.sub("\ufffd", text)
