"""The HTML of the text that a user accepts: the title and the clauses, as the accept page displays them.

It depends on the text and its address alone, not on the user, the moment, the active language or a setting.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from html import escape, unescape

from agreement.text import clauses

#: The version of this HTML. Raise it by 1 when the HTML of the same text changes, because an acceptance names it.
#: ``tests/text/test_article.py`` fails without that.
RENDERER = 1

_TAG = re.compile(r"<[^<>]+>")
#: The beginning of a tag up to its id, or to the id that its link leads to. No tag of a text has both.
_ID = re.compile(r'(<[a-z][^<>]*?\s(?:id="|href="#))')


@dataclass(frozen=True)
class Article:
    """A text in one language, as HTML. The page may contain other elements between ``heading`` and ``opening``, and
    between the parts of ``document``. It contains the bytes of ``html`` in this order.
    """

    slug: str
    """The slug of the agreement, which each id begins with, because a page may contain several texts."""
    language: str
    """``kk`` or ``ru``."""
    title: str
    document: clauses.Document
    """The parsed text. Each id in its parts has the prefix, and so has each id that a link in it leads to."""

    @property
    def heading(self) -> str:
        """The element with the title."""
        return f'<h2 id="title-{self.slug}" lang="{self.language}">{escape(self.title)}</h2>\n'

    @property
    def opening(self) -> str:
        """The tag before the first part."""
        return f'<div class="agreement-text" lang="{self.language}">\n'

    @property
    def closing(self) -> str:
        """The tag after the last part."""
        return "\n</div>\n"

    @property
    def html(self) -> str:
        """The title and the text. The SHA-256 of its UTF-8 bytes is what an acceptance names."""
        return f"{self.heading}{self.opening}{self.document.html}{self.closing}"


def render(*, slug: str, language: str, title: str, body: str) -> Article:
    """Return the article with this title and this text. ``slug`` is that of the agreement, and ``language`` is ``kk``
    or ``ru``.
    """
    document = clauses.parse(body)
    parts = tuple(_prefix_ids(part, f"{slug}-") for part in document.parts)
    return Article(slug, language, title, replace(document, parts=parts))


def letters(page: str) -> str:
    """Return the characters of the words in this HTML, without tags and white space. Two versions of the renderer give
    the same letters for the same text.
    """
    return "".join(unescape(_TAG.sub("", page)).split())


def _prefix_ids(page: str, prefix: str) -> str:
    """Return the HTML with the prefix before each id in it, and before each id that one of its links leads to."""
    return _ID.sub(rf"\g<1>{prefix}", page)
