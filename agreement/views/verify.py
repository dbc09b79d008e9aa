"""The page that recognises the edition of a text, a file or a digest.

If the browser can compute the SHA-256 of the text (with JavaScript, on a page with TLS), only the SHA-256 is sent to
the site. If not, the text is posted and hashed, and the response is a redirect to this page with the SHA-256 in its
URL. The text is not stored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from typing import Any

from django.core.exceptions import BadRequest, RequestDataTooBig, SuspiciousOperation
from django.core.files.uploadhandler import MemoryFileUploadHandler
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt

from agreement import memory
from agreement.editions.display import DisplayedEdition
from agreement.editions.timeline import Timelines, current_timelines, may_remember
from agreement.models import Edition
from agreement.seal import manifest
from agreement.text import languages, source
from agreement.views.base import Visit, page

SHA256_PATTERN = re.compile(r"[0-9a-f]{64}")
#: How many bytes a posted form may have in addition to the text.
FORM_OVERHEAD = 10_000
#: The exceptions for a text that is none, and for a form that can't be read, for example in an unknown charset.
UNREADABLE = (SuspiciousOperation, BadRequest, MultiPartParserError, LookupError, ValueError)


@dataclass(frozen=True, slots=True)
class HashedText:
    """A text of an edition whose SHA-256 is known: its body in one language, or its manifest."""

    edition: str
    """The digest of the edition."""
    language: str
    """The language of the body; ``""`` for the manifest."""
    trimmed: bool = False
    """Whether the SHA-256 is that of the body without the line breaks at its end. They are often lost when a text is
    copied.
    """


class DigestIndex:
    """Finds the texts of sealed editions by their SHA-256. Outside a transaction, each edition is read once, and its
    SHA-256 values are remembered, not its texts. Inside a transaction nothing is remembered.
    """

    def __init__(self) -> None:
        self._known: dict[str, list[tuple[str, HashedText]]] = {}
        self._lock = Lock()

    def find(self, digest: str, timelines: Timelines) -> list[HashedText]:
        """Return the texts of the editions in ``timelines`` that have that SHA-256, in the order of the timelines; an
        empty list if there are none. There may be several, because editions may have the same text. ``digest`` must be
        in lower case. The editions need not be public.

        Outside a transaction, 1 query if any of the editions was not read yet; otherwise none. Inside a transaction, 1
        query if there are any editions.
        """
        editions = [edition for timeline in timelines.agreements.values() for edition in timeline.editions]
        with self._lock:
            # Inside a transaction nothing is remembered, because it may be rolled back.
            known = self._known if may_remember() else {}
            unread = [edition.pk for edition in editions if edition.digest not in known]
            if unread:
                bodies = (f"body_{language}" for language in languages.LANGUAGES)
                rows = Edition.objects.filter(pk__in=unread).values_list("digest", *bodies)
                known |= {edition: list(self._read(edition, texts)) for edition, *texts in rows.iterator(chunk_size=10)}
            pairs = [pair for edition in editions for pair in known.get(edition.digest, [])]
        return [found for sha256, found in pairs if sha256 == digest]

    def clear(self) -> None:
        """Forget all editions. They are read again at the next call of ``find()``."""
        with self._lock:
            self._known.clear()

    @staticmethod
    def _read(edition: str, texts: list[str]) -> Iterator[tuple[str, HashedText]]:
        """Yield each SHA-256 by which the edition is recognised, with what has it: the manifest, each body and, if it
        ends with line breaks, the body without them. ``edition`` is the digest, and ``texts`` are the bodies in the
        order of ``LANGUAGES``.
        """
        yield edition, HashedText(edition, "")
        for language, text in zip(languages.LANGUAGES, texts, strict=True):
            yield manifest.sha256(text), HashedText(edition, language)
            if (trimmed := text.rstrip("\n")) != text:
                yield manifest.sha256(trimmed), HashedText(edition, language, trimmed=True)


_index = DigestIndex()
memory.register(__name__, _index.clear)


@dataclass(frozen=True, slots=True)
class RecognisedEdition:
    """A recognised edition, and which of its texts was recognised."""

    displayed: DisplayedEdition
    hashed: HashedText

    @property
    def sentence(self) -> str:
        """A sentence, in the language of the page, that states which text was recognised, and the number of its
        edition.
        """
        number = {"number": self.displayed.edition.number}
        return {
            "kk": _("This is the Kazakh text of edition %(number)s."),
            "ru": _("This is the Russian text of edition %(number)s."),
            "": _("This is the digest of edition %(number)s, Kazakh and Russian text together."),
        }[self.hashed.language] % number


@csrf_exempt
@transaction.non_atomic_requests
def verify(request: HttpRequest) -> HttpResponseBase:
    """The page with the form, and with the result for ``?sha256=``. A POST is answered by
    :func:`redirect_posted_text`, and GET and HEAD by :func:`answer`. The response to another method is 405.
    """
    return redirect_posted_text(request) if request.method == "POST" else answer(request)


@page(unlimited=("sha256",))
def answer(visit: Visit) -> HttpResponse:
    """The page with the form and, for ``?sha256=``, with the recognised editions. Only public editions are recognised.
    The status is 404 if there are none, and 400 if the value is not a SHA-256. Upper-case letters and white space
    around the value are allowed.
    """
    if "sha256" not in visit.parameters:
        return visit.render("agreement/pages/verify.html", {"max_bytes": source.MAX_BYTES})
    digest = visit.parameters["sha256"].strip().lower()
    if not SHA256_PATTERN.fullmatch(digest):
        return _refuse(visit, _("This is not a SHA-256. A SHA-256 has 64 digits, 0–9 and a–f."), 400)
    found = [
        RecognisedEdition(visit.display(timeline, dated), hashed)
        for hashed in _index.find(digest, visit.timelines)
        for timeline in visit.timelines.agreements.values()
        for dated in visit.public(timeline)
        if dated.digest == hashed.edition
    ]
    context = {"digest": digest, "found": found, "max_bytes": source.MAX_BYTES}
    response = visit.render("agreement/pages/verify.html", context)
    response.status_code = 200 if found else 404
    return response


def redirect_posted_text(request: HttpRequest) -> HttpResponse:
    """Return a redirect (303) to the result for the posted file or, without a file, for the posted text. If the first
    word of a text of fewer than 400 characters is a SHA-256, the redirect names this SHA-256; if not, that of the
    normalised text. Nothing is written, so no CSRF token is needed.

    If the text has more than ``MAX_BYTES`` bytes, if the request states a length of more than ``MAX_BYTES +
    FORM_OVERHEAD`` bytes, or if its body exceeds Django's setting ``DATA_UPLOAD_MAX_MEMORY_SIZE`` without the file, the
    response is the page with the form and the status 413. If the text is empty, has only white space, is not in UTF-8
    or contains NUL, or if the form can't be read, the status is 400.
    """
    visit = Visit(request, timezone.now(), current_timelines(), {})
    try:
        # This is checked before the body is read, so that a text that is too long is never stored.
        if int(request.META.get("CONTENT_LENGTH") or 0) > source.MAX_BYTES + FORM_OVERHEAD:
            raise RequestDataTooBig
        with suppress(AttributeError):  # A middleware may have read the body already.
            request.upload_handlers = [MemoryUploadHandler(request)]
        file = request.FILES.get("file")
        content = file.read() if file else request.POST.get("text", "").encode()
        if len(content) > source.MAX_BYTES:
            raise RequestDataTooBig
        text = source.decode(content, "text")
    except RequestDataTooBig:
        return _refuse(visit, _("The text is too long."), 413)
    except UNREADABLE:
        return _refuse(visit, _("This is not a text: it is empty, contains a NUL character, or is not in UTF-8."), 400)
    # People also post a digest. The program sha256sum prints the name of the file after it.
    words = text.lower().split(maxsplit=1)
    digest = words[0] if len(text) < 400 and SHA256_PATTERN.fullmatch(words[0]) else manifest.sha256(text)
    address = f"{visit.path('verify')}?sha256={digest}"
    return HttpResponse(status=303, headers={"Location": address, "Cache-Control": "no-store"})


class MemoryUploadHandler(MemoryFileUploadHandler):
    """Stores a posted file in memory and not on a disk, regardless of the site's ``FILE_UPLOAD_MAX_MEMORY_SIZE``."""

    def handle_raw_input(self, *args: Any, **kwargs: Any) -> None:
        self.activated = True


def _refuse(visit: Visit, sentence: str, status: int) -> HttpResponse:
    """Return the page with the form, with this status and the sentence that states why the request was refused. Caches
    may not store it.
    """
    response = visit.render("agreement/pages/verify.html", {"refusal": sentence, "max_bytes": source.MAX_BYTES})
    response.status_code = status
    response.headers["Cache-Control"] = "no-store"
    return response
