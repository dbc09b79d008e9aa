"""The Atom feed (RFC 4287) of an agreement: one entry for each public edition, in the active language.

The id of an entry is made of the digest and the language. Therefore it stays the same if the site moves, and a reader
who subscribes to both languages gets both entries.
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
from agreement.conf import active_language
from agreement.editions.display import DisplayedEdition
from agreement.models.succession import State
from agreement.views.base import Visit, page
from agreement.views.cache import ANY_ORIGIN

# XML 1.0 does not allow these two characters. A sealed title or summary contains no other character that it forbids.
_UNWRITABLE = re.compile("[\ufffe\uffff]")


@page()
def feed(visit: Visit, slug: str) -> HttpResponse:
    """The Atom feed of all public editions of an agreement, the newest first; cancelled ones too if the site displays
    scheduled editions. The response is 404 if there is no public edition.
    """
    timeline = visit.timeline(slug)
    displayed = visit.display_without_texts((timeline, edition) for edition in reversed(visit.public(timeline)))
    home = visit.url("current", slug)
    atom = Atom1Feed(
        title=_xml_safe(_("Editions: %(title)s") % {"title": displayed[0].title}),
        link=home,
        description=None,
        language=active_language(),
        author_name=urlsplit(home).netloc,
        feed_url=visit.url("feed", slug),
    )
    for one in displayed:
        title = _("Edition %(number)s") % {"number": one.edition.number}
        if one.state == State.CANCELLED:
            title = f"{title} ({one.state.label})"
        atom.add_item(
            title=_xml_safe(f"{title}: {one.title}"),
            link=visit.url("edition", slug, one.edition.number),
            description=_xml_safe(_summary(one)),
            unique_id=entry_id(one.edition.digest),
            pubdate=_public_since(one),
            updateddate=one.edition.cancelled_at or _public_since(one),
        )
    return HttpResponse(atom.writeString("utf-8"), headers={"Content-Type": atom.content_type} | ANY_ORIGIN)


def entry_id(digest: str) -> str:
    """Return the id of an edition's entry in the active language, as a URN. ``digest`` is that of the edition. Equal
    digests give equal ids in the same language, on any site.
    """
    return uuid.uuid5(uuid.NAMESPACE_URL, f"sha256:{digest}/{active_language()}").urn


def _public_since(displayed: DisplayedEdition) -> datetime | None:
    """Return the moment that the feed states as that of publication: when the edition was published or, if the site
    does not display scheduled editions, when it took effect. For imported history, it is the moment of effect. It is
    never ``None`` for an edition of the feed, only for a draft.
    """
    edition = displayed.edition
    return edition.published_at if conf.get().SHOW_SCHEDULED else edition.effective_from


def _summary(displayed: DisplayedEdition) -> str:
    """Return the HTML of an entry: when the edition takes effect or, if it was cancelled, a sentence that states this;
    the summary of its changes; and its digest. It does not depend on the date of the request.
    """
    when = _("Effective from: %(effective)s.") % {"effective": displayed.effective}
    return format_html(
        '<p>{}</p>\n<div lang="{}">{}</div>\n<p>SHA-256: <code>{}</code></p>',
        displayed.interval if displayed.state == State.CANCELLED else when,
        displayed.language,
        mark_safe(linebreaks(displayed.summary, autoescape=True)),  # noqa: S308 - it has just been escaped
        displayed.edition.digest,
    )


def _xml_safe(text: str) -> str:
    """Return the text with a replacement character for each U+FFFE and U+FFFF, which XML 1.0 does not allow. Other
    characters that it does not allow are not replaced: a sealed title or summary contains none.
    """
    return _UNWRITABLE.sub("\ufffd", text)
