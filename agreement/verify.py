"""The page that tells anyone which edition a text is of.

A text never has to leave the reader's computer: with JavaScript only its SHA-256 does. Without, the text is posted,
read, hashed and forgotten, and the answer is the same page with the SHA-256 in its address. Nothing is stored, and
what a web server's log may hold is a digest, of which no text can be made again.
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
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt

from agreement import conf, gate
from agreement.models import Edition
from agreement.pages import Visit, page
from agreement.shown import Shown
from agreement.text import seal, source

DIGEST = re.compile(r"[0-9a-f]{64}")
#: A form's own lines around the text.
ENVELOPE = 10_000


@dataclass(frozen=True, slots=True)
class Known:
    """What a SHA-256 is of: the text in that language, or, with ``""``, the manifest of the edition of that digest."""

    edition: str
    language: str
    trimmed: bool = False
    """Is it of the text without the line breaks at its end, which are easily lost in copying?"""


class Index:
    """SHA-256 → what it is of, for every sealed edition: each is read once in a process, since none ever changes."""

    def __init__(self) -> None:
        self._known: dict[str, list[tuple[str, Known]]] = {}
        self._lock = Lock()

    def of(self, digest: str, timelines: gate.Timelines) -> list[Known]:
        """What it is of, drafts apart. 1 query if an edition is new here; more than one text may be the same."""
        editions = [edition for timeline in timelines.agreements.values() for edition in timeline.editions]
        with self._lock:
            # What is not committed is nobody else's.
            known = self._known if gate.remembers() else {}
            unread = [edition.pk for edition in editions if edition.digest not in known]
            if unread:
                bodies = (f"body_{language}" for language in conf.LANGUAGES)
                rows = Edition.objects.filter(pk__in=unread).values_list("digest", *bodies)
                known |= {edition: list(self._read(edition, texts)) for edition, *texts in rows.iterator(chunk_size=10)}
            every = [pair for edition in editions for pair in known.get(edition.digest, [])]
        return [found for sha256, found in every if sha256 == digest]

    @staticmethod
    def _read(edition: str, texts: list[str]) -> Iterator[tuple[str, Known]]:
        yield edition, Known(edition, "")
        for language, text in zip(conf.LANGUAGES, texts, strict=True):
            yield seal.sha256(text), Known(edition, language)
            if (trimmed := text.rstrip("\n")) != text:
                yield seal.sha256(trimmed), Known(edition, language, trimmed=True)


_index = Index()


@dataclass(frozen=True, slots=True)
class Found:
    """An edition that was recognised, with what of it."""

    shown: Shown
    known: Known

    @property
    def sentence(self) -> str:
        number = {"number": self.shown.edition.number}
        return {
            "kk": _("This is the Kazakh text of edition %(number)s."),
            "ru": _("This is the Russian text of edition %(number)s."),
            "": _("This is the digest of edition %(number)s, Kazakh and Russian text together."),
        }[self.known.language] % number


@csrf_exempt
@transaction.non_atomic_requests
def verify(request: HttpRequest) -> HttpResponseBase:
    """The question, and the answer to ``?sha256=``. A posted text becomes such an address."""
    return posted(request) if request.method == "POST" else asked(request)


@page("sha256")
def asked(visit: Visit) -> HttpResponse:
    """200 and what is recognised, 404 where nothing is, 400 for what is no SHA-256. 1 query for each answer."""
    if "sha256" not in visit.asked:
        return visit.render("agreement/verify.html", {"max_bytes": source.MAX_BYTES})
    digest = visit.asked["sha256"].strip().lower()
    if not DIGEST.fullmatch(digest):
        return _refused(visit, _("That is no SHA-256: it has 64 digits, 0–9 and a–f."), 400)
    found = [
        Found(visit.shown(timeline, dated), known)
        for known in _index.of(digest, visit.timelines)
        for timeline in visit.timelines.agreements.values()
        for dated in timeline.public(visit.at)
        if dated.digest == known.edition
    ]
    context = {"digest": digest, "found": found, "max_bytes": source.MAX_BYTES}
    response = visit.render("agreement/verify.html", context)
    response.status_code = 200 if found else 404
    return response


def posted(request: HttpRequest) -> HttpResponse:
    """303 to the answer. Nothing is written anywhere, so a forged post is a reader's question like any other."""
    visit = Visit(request, timezone.now(), gate.timelines(), {})
    try:
        # Before a byte is read: what is too long is neither kept in memory nor laid on a disk.
        if int(request.META.get("CONTENT_LENGTH") or 0) > source.MAX_BYTES + ENVELOPE:
            raise RequestDataTooBig
        with suppress(AttributeError):  # Some middleware has read the body before.
            request.upload_handlers = [InMemory(request)]
        file = request.FILES.get("file")
        content = file.read() if file else request.POST.get("text", "").encode()
        text = source.decode(content, "text")
    except RequestDataTooBig:
        return _refused(visit, _("The text is too long."), 413)
    except (source.SourceError, SuspiciousOperation, BadRequest, LookupError, ValueError):  # Or in no charset at all.
        return _refused(visit, _("That is no text: it is empty, or not UTF-8."), 400)
    # Digests are what people have at hand as often as texts: sha256sum prints the file's name behind them.
    words = text.lower().split(maxsplit=1)
    digest = words[0] if len(text) < 400 and DIGEST.fullmatch(words[0]) else seal.sha256(text)
    address = f"{visit.path('verify')}?sha256={digest}"
    return HttpResponse(status=303, headers={"Location": address, "Cache-Control": "no-store"})


class InMemory(MemoryFileUploadHandler):
    """A posted file in memory whatever the site's limit for that: never on a disk."""

    def handle_raw_input(self, *args: Any, **kwargs: Any) -> None:
        self.activated = True


def _refused(visit: Visit, sentence: str, status: int) -> HttpResponse:
    response = visit.render("agreement/verify.html", {"refusal": sentence, "max_bytes": source.MAX_BYTES})
    response.status_code = status
    response.headers["Cache-Control"] = "no-store"
    return response
