"""The page that recognises the edition of a text, a file, a letter or a digest.

If the browser can compute the SHA-256 of the text (with JavaScript, on a page with TLS), it first sends only the
SHA-256. If no public edition has it, or the browser can't compute it, the text or file is posted. A posted text is
hashed, and its words are compared with those of the latest public editions. It is not stored.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
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
from django.utils.translation import gettext_lazy
from django.views.decorators.csrf import csrf_exempt

from agreement import memory
from agreement.conf import active_language
from agreement.editions import pdf_words, recognition
from agreement.editions.display import DisplayedEdition
from agreement.editions.printed import PrintedWords
from agreement.editions.recognition import BODY
from agreement.editions.timeline import Timelines, current_timelines, may_remember
from agreement.evidence import receipts
from agreement.models import AcceptanceKind, Checkpoint, Edition, NoticeText
from agreement.seal import manifest
from agreement.text import dates, languages, source
from agreement.views import comparisons, own_words
from agreement.views.base import Visit, page
from agreement.word import files, reader

SHA256_PATTERN = re.compile(r"[0-9a-f]{64}")
#: A digest, or its beginning as pages and PDF files print it.
BEGINNING_PATTERN = re.compile(r"[0-9a-f]{8,64}")
#: A digest in a text, or its beginning with the sign that the rest is left out.
NAMED_PATTERN = re.compile(r"(?<![0-9a-f])(?:([0-9a-f]{64})(?![0-9a-f])|([0-9a-f]{8,63})(?:…|\.\.\.))")
#: How a text is like an edition if it has words of one edition in their order, and all other words are listed.
PROVED = {"same", "part", "around", "between"}
#: How many letters of the site are compared with a text.
MAX_LETTERS = 60
#: With how many editions of the site the words of a text are compared: the latest ones.
MAX_COMPARED = 40
#: The largest Word file that is read here, unpacked, in bytes. The page is public, and a large file takes seconds.
MAX_UNPACKED = 8_000_000
#: With what PDF files and Word files begin.
PDF, ZIP = b"%PDF-", b"PK\x03\x04"
#: The names of the texts of an edition, for a sentence.
TEXT_NAMES = {"kk": gettext_lazy("in Kazakh"), "ru": gettext_lazy("in Russian")}
#: How much of the metadata of a PDF file is read, in bytes.
MAX_METADATA = 100_000
#: How many bytes a posted form may have in addition to the text.
FORM_OVERHEAD = 10_000
#: The exceptions for bytes that are not a text, and for a form that can't be read, for example in an unknown charset.
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
    """Finds the texts of sealed editions by their SHA-256. Outside a transaction, the SHA-256 values of an edition are
    remembered, not its texts, until :meth:`clear`. Inside a transaction nothing is remembered.
    """

    def __init__(self) -> None:
        self._known: dict[str, list[tuple[str, HashedText]]] = {}
        self._lock = Lock()

    def find(self, digest: str, timelines: Timelines) -> list[HashedText]:
        """Return the texts of the editions in ``timelines`` whose SHA-256 begins with ``digest``, in the order of the
        timelines; an empty list if there are none. There may be several, because editions may have the same text.
        ``digest`` must be in lower case. The editions need not be public.

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
        return [found for sha256, found in pairs if sha256.startswith(digest)]

    def clear(self) -> None:
        """Forget all editions. They are read again at the next call of ``find()``."""
        with self._lock:
            self._known.clear()

    @staticmethod
    def _read(edition: str, texts: list[str]) -> Iterator[tuple[str, HashedText]]:
        """Yield each SHA-256 by which the edition is recognised, with what has it: the manifest, each body and, for a
        body that ends with line breaks, the body without them. ``edition`` is the digest, and ``texts`` are the bodies
        in the order of ``LANGUAGES``.
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


@dataclass(frozen=True, slots=True)
class ComparedEdition:
    """A public edition that a posted text is like, and how the words of the two compare."""

    displayed: DisplayedEdition
    match: recognition.Match

    @property
    def sentence(self) -> str:
        """A sentence, in the language of the page, that states how the text is like that edition."""
        values = {"number": self.displayed.edition.number, "language": TEXT_NAMES[self.match.language]}
        return {
            "same": _("These are the words of edition %(number)s, %(language)s, without any difference."),
            "around": _("All words of edition %(number)s, %(language)s, are in this text without any difference."),
            "part": _("These words are in edition %(number)s, %(language)s, without any difference."),
            "between": _("All words of edition %(number)s, %(language)s, are in this text in the same order."),
            "passages": _("Passages of this text are in edition %(number)s, %(language)s, word for word."),
            "differs": _("This text is like edition %(number)s, %(language)s, but it differs from it."),
        }[self.match.likeness] % values


@csrf_exempt
@transaction.non_atomic_requests
def verify(request: HttpRequest) -> HttpResponseBase:
    """The page that recognises the edition of a text, a file or a digest: it has a form and the result. A POST is
    answered by :func:`recognise_posted`, and GET and HEAD, with an optional ``?sha256=``, by :func:`answer`. The
    response to another method is 405.
    """
    return recognise_posted(request) if request.method == "POST" else answer(request)


@page(unlimited=("sha256",))
def answer(visit: Visit) -> HttpResponse:
    """The page with the form for a text, a file or a digest and, for ``?sha256=``, with the public editions that have
    this digest or a text with this SHA-256. The value is a SHA-256, or at least its first 8 digits. Upper-case letters
    and white space around it are allowed. The status is 404 if there is no such edition, and 400 for another value.
    """
    if "sha256" not in visit.parameters:
        return visit.render("agreement/pages/verify.html", _form_context(verdict=""))
    digest = visit.parameters["sha256"].strip().lower()
    if not BEGINNING_PATTERN.fullmatch(digest):
        sentence = _("This is not a SHA-256. Enter its 64 digits, 0–9 and a–f, or at least the first 8 of them.")
        return _refuse(visit, sentence, 400)
    found = _recognised(visit, _index.find(digest, visit.timelines))
    response = visit.render("agreement/pages/verify.html", _form_context(digest=digest, found=found))
    response.status_code = 200 if found else 404
    return response


def recognise_posted(request: HttpRequest) -> HttpResponse:
    """Return the result for the posted file or, without a file, for the posted text. Nothing is written, so no CSRF
    token is needed.

    If the posted text is a digest or the beginning of one (:func:`_posted_digest`), or if it is the exact text of a
    public edition, the response is a redirect (303) to this page with ``?sha256=``. For a Word file with the exact text
    of a public edition, the response is the page with this edition. It also has the lines of the headers, footers and
    footnotes with words that this site does not print.

    If a PDF file is a receipt of acceptance, its words are not compared. The response is the page that states whether
    the receipt is genuine. If it is, the page also has the public edition that the receipt names.

    Any other text or PDF file is compared by its words. The response is the page with the public editions that the text
    is like, and with those whose digest is in the text. If the text has words of editions in their order, or contains a
    letter of this site, the page also has the lines with other words. :func:`_judged` states which editions are left
    out in these two cases.

    The status is 404 if the page has no edition, and 413 if the text or file is too large. It is 400 if a text, a Word
    file or the form can't be read, and if the form has both a file and a text. A PDF file that can't be read is
    searched for digests only.
    """
    visit = Visit(request, timezone.now(), current_timelines(), {})
    try:
        # This is checked before the body is read, so that a text that is too long is never stored.
        if int(request.META.get("CONTENT_LENGTH") or 0) > files.MAX_BYTES + FORM_OVERHEAD:
            raise RequestDataTooBig
        with suppress(AttributeError):  # A middleware may have read the body already.
            request.upload_handlers = [MemoryUploadHandler(request)]
        file, written = request.FILES.get("file"), request.POST.get("text", "")
        if file and written.strip():
            sentence = _("You chose a file and entered a text. Verify one of them: delete the text, or choose no file.")
            return _refuse(visit, sentence, 400)
        content = file.read() if file else written.encode()
        name = file.name or "" if file else ""
        if content.startswith(PDF):
            return _posted_pdf(visit, content, name)
        posted = _posted_text(content)
    except RequestDataTooBig:
        return _refuse(visit, _("The text is too long."), 413)
    except source.SourceError as error:
        return _refuse(visit, f"{error} {error.hint}".strip(), 400)
    except UNREADABLE:
        return _refuse(visit, _("This is not a text: it is empty, contains a NUL character, or is not in UTF-8."), 400)
    text = posted.text
    digest = _posted_digest(text) or manifest.sha256(text)
    found = [] if _posted_digest(text) else _recognised(visit, _index.find(digest, visit.timelines))
    # A Word file may have other words outside its text.
    added = own_words.others(visit, [], [one.displayed for one in found], posted.margins.splitlines()) if found else []
    if found and posted.is_word:
        verdict = "differs" if added else "genuine"
        return _posted_answer(visit, found=found, added=added, digest=digest, verdict=verdict, file_name=name)
    if found or _posted_digest(text):
        address = f"{visit.path('verify')}?sha256={digest}"
        return HttpResponse(status=303, headers={"Location": address, "Cache-Control": "no-store"})
    readable = recognition.readable(text)
    named = _named(visit, f"{text}\n{readable}\n{posted.margins}".lower())
    margins = posted.margins.splitlines()
    # The Word files of the site have other words around a comparison than the page.
    comparison = None if posted.is_word else comparisons.recognise(visit, readable)
    if comparison and comparison.is_proved:
        return _posted_answer(visit, comparison=comparison, file_name=name)
    context = _judged(visit, readable, named, margins, digest)
    if not context["is_proved"] and not posted.is_word:
        context["comparison"] = comparison or _comparison(visit, readable, context)
    if not context["is_proved"] and posted.struck:
        # A comparative table of this site displays the old words struck out.
        both = _compared(visit, f"{text}\n{posted.struck}", named)
        if both and both[0].match.likeness == "passages":
            context["compared"] = both
    return _posted_answer(visit, **context, file_name=name)


def _judged(
    visit: Visit, text: str, named: list[RecognisedEdition], margins: Sequence[str], sha256: str = ""
) -> dict[str, Any]:
    """Return the variables of the page, as arguments of :func:`_form_context`, for a text whose SHA-256 is unknown.
    ``named`` are the public editions whose digest is in the text. ``margins`` are lines outside the text, such as the
    headers of pages. They are not compared with the editions. ``sha256`` is that of the text as it was posted.

    If the text has words of editions in their order (:func:`_is_proved`), the variable ``added`` has the lines of the
    text and of the margins with other words that this site does not print. Otherwise, if the text contains a letter of
    this site about one of ``named``, ``added`` has the lines of the text with words that are not of the letter, and
    ``is_letter`` is true. In both cases ``is_proved`` says that ``added`` is empty. For any other text ``is_proved`` is
    false, and there is no ``added``.
    """
    compared = _compared(visit, text, named)
    if not _is_proved(compared) and named and (added := _added_to_letter(text, named, sha256)) is not None:
        return {"named": named, "added": added, "is_letter": True, "is_proved": not added}
    if not _is_proved(compared):
        return {"compared": compared, "named": named, "is_proved": False}
    # In a text in both languages, the one is added to the other.
    lines = [line if all(line in one.match.added for one in compared) else BODY for line in compared[0].match.added]
    # Editions may have the same text. The digest says which one was copied.
    digests = {one.hashed.edition for one in named}
    editions = sorted((one.displayed for one in compared), key=lambda one: one.edition.digest not in digests)
    added = own_words.others(visit, lines, editions, margins)
    return {"compared": compared, "named": named if added else [], "added": added, "is_proved": not added}


def _comparison(visit: Visit, text: str, context: dict[str, Any]) -> comparisons.RecognisedComparison | None:
    """Return the page of changes from which a text was copied that does not name it; ``None`` if there is none.
    ``context`` is the result of :func:`_judged` for the text.
    """
    compared = context.get("compared", ())
    digests = [one.match.digest for one in compared] or [one.hashed.edition for one in context["named"]]
    public = {
        dated.digest: (timeline, dated)
        for timeline in visit.timelines.agreements.values()
        for dated in visit.public(timeline)
    }
    language = compared[0].match.language if compared else ""
    return comparisons.recognise(visit, text, [public[digest] for digest in digests], language=language)


def _added_to_letter(text: str, named: Sequence[RecognisedEdition], sha256: str) -> list[str] | None:
    """Return the lines of the text that have words which are not of a letter of this site about one of these editions;
    an empty list if all words are of the letter, of its text or its subject, or if ``sha256`` is the digest of the
    letter. ``None`` if the text does not contain all words of such a letter, in the form of text or of HTML. The
    ``MAX_LETTERS`` latest letters are considered, and the latest one that is contained counts. 1 query.
    """
    digests = [one.hashed.edition for one in named]
    sealed = NoticeText.objects.filter(notice__edition__digest__in=digests).order_by("-pk")
    for subject, plain, html, digest in sealed.values_list("subject", "text", "html", "digest")[:MAX_LETTERS]:
        if sha256 == digest:
            return []
        forms = [plain, recognition.readable(html)]
        for form in forms:
            if (around := recognition.contained(form, text)) is not None:
                own = PrintedWords([line for line in around if line != BODY])
                own.add([subject, *(line for one in forms for line in one.splitlines())])
                return own.others
    return None


def _posted_pdf(visit: Visit, content: bytes, name: str) -> HttpResponse:
    """Return the result for a PDF file with that name, by its words. The headers and footers of its pages are not
    compared with the editions. If the text has words of editions in their order, words of the headers and footers that
    this site does not print count as added. Otherwise, if the text is like an edition, the page lists the headers and
    footers. If no words can be read, only the editions whose digest stands in the file are found.
    """
    if receipts.is_receipt(content):
        return _posted_receipt(visit, content, name)
    text, margins = pdf_words.split_margins(pdf_words.read_pages(content))
    metadata = _pdf_metadata(content)
    named = _named(visit, "\n".join([metadata, text, *margins]).lower())
    context = _judged(visit, text, named, margins)
    shown = [] if "added" in context else margins
    return _posted_answer(visit, **context, is_pdf=True, is_read=bool(text), margins=shown, file_name=name)


def _posted_receipt(visit: Visit, content: bytes, name: str) -> HttpResponse:
    """Return the result for a receipt of acceptance: whether it is genuine, and the public edition that it names. A
    receipt that was changed has the status 404.
    """
    try:
        stated = receipts.check(content)
    except (receipts.NotGenuine, ImportError):
        return _posted_answer(visit, verdict="differs", receipt="changed", file_name=name)
    editions = [
        visit.display(timeline, dated)
        for timeline in visit.timelines.agreements.values()
        for dated in visit.public(timeline)
        if dated.digest == stated.record.get("digest")
    ]
    found = Checkpoint.objects.filter(root=stated.checkpoint.root.hex(), size=stated.checkpoint.size).exists()
    if not editions or not found:
        return _posted_answer(visit, verdict="differs", receipt="unknown", file_name=name)
    at = datetime.fromisoformat(str(stated.record["at"]))
    context = {
        "receipt": "genuine",
        "receipt_edition": editions[0],
        "receipt_at": dates.instant(at, active_language(), editions[0].edition.agreement.time_zone),
        "receipt_kind": dict(AcceptanceKind.choices).get(str(stated.record["kind"]), ""),
        "receipt_index": stated.index,
        "receipt_origin": stated.checkpoint.origin,
        "receipt_key_former": stated.is_key_former,
    }
    return _posted_answer(visit, verdict="genuine", file_name=name, **context)


def _pdf_metadata(content: bytes) -> str:
    """Return the bytes of a PDF file and its metadata, decompressed, as one text, in which each byte is a character
    (Latin-1). Up to 5 streams of metadata are read, and ``MAX_METADATA`` bytes of each.
    """
    found = [content]
    for match in islice(re.finditer(rb"/Type\s*/Metadata[^>]{0,200}>>\s*stream\r?\n", content), 5):
        with suppress(zlib.error):
            found.append(zlib.decompressobj().decompress(content[match.end() :], MAX_METADATA))
    return b"\n".join(found).decode("latin-1")


def _posted_digest(text: str) -> str:
    """Return the digest in lower case, or its beginning, if the posted text is one; otherwise ``""``. The text may
    begin with a complete digest; any words may follow it, such as the name of the file that the program ``sha256sum``
    prints. Any other text must consist of 8 to 64 hexadecimal digits, and may have "SHA-256" before them, as on pages,
    and white space, punctuation and invisible characters anywhere. A text of 400 characters or more gives ``""``.
    """
    if len(text) >= 400:
        return ""
    first = (text.lower().split() or [""])[0]
    if SHA256_PATTERN.fullmatch(first):
        return first
    digits = re.sub(r"[\W_]+", "", text.lower()).removeprefix("sha256")
    return digits if BEGINNING_PATTERN.fullmatch(digits) else ""


@dataclass(frozen=True, slots=True)
class PostedText:
    """A posted text. For a Word file, ``text`` is its Markdown with all tracked changes accepted and without struck out
    words. ``struck`` is its Markdown with all tracked changes rejected and with the struck out words; ``""`` if no
    words are struck out, also if there are tracked changes. ``margins`` are the lines of headers, footers and
    footnotes; the files of this app state their digests in footers. For any other text, ``struck`` and ``margins`` are
    ``""``.
    """

    text: str
    struck: str = ""
    margins: str = ""
    is_word: bool = False


def _posted_text(content: bytes) -> PostedText:
    """Return the text of a posted file. Raises ``RequestDataTooBig`` if it is too large, ``SourceError`` for a ZIP
    archive that can't be read as a Word file, and ``ValueError`` for other bytes that are not a text in UTF-8, contain
    NUL or nothing but white space.
    """
    if content.startswith(ZIP):
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                if sum(entry.file_size for entry in archive.infolist()) > MAX_UNPACKED:
                    raise RequestDataTooBig
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
            pass  # The reader refuses it with a sentence.
        read = files.read_file(content, _("The file")).manuscript
        margins = "\n".join([*read.margins, *read.footnotes])
        return PostedText(read.accepted, read.rejected if read.struck else "", margins, is_word=True)
    if len(content) > source.MAX_BYTES:
        raise RequestDataTooBig
    try:
        return PostedText(source.decode(content, "text"))
    except source.SourceError as error:
        raise ValueError from error


def _recognised(visit: Visit, texts: list[HashedText]) -> list[RecognisedEdition]:
    """Return those of these texts whose edition is public, each with its edition. 1 query for each."""
    return [
        RecognisedEdition(visit.display(timeline, dated), hashed)
        for hashed in texts
        for timeline in visit.timelines.agreements.values()
        for dated in visit.public(timeline)
        if dated.digest == hashed.edition
    ]


def _compared(visit: Visit, text: str, named: Sequence[RecognisedEdition]) -> list[ComparedEdition]:
    """Return the public editions that a text is like, by its words, in the order of their publication; an edition twice
    if the text is like it in both languages. Only the ``MAX_COMPARED`` latest are compared. If a passage stands in
    several, one of ``named`` is preferred, otherwise one in force. If the text differs from an edition, the lines that
    this site prints around the edition are not marked as added. 1 query, and 1 more for each result; for a text that
    differs, also those of :func:`own_words.others`.
    """
    public = {
        dated.digest: (timeline, dated)
        for timeline in visit.timelines.agreements.values()
        for dated in visit.public(timeline)
    }
    latest = sorted((dated for _timeline, dated in public.values()), key=lambda dated: dated.published_at)
    latest = latest[-MAX_COMPARED:]
    rows = Edition.objects.in_bulk([dated.pk for dated in latest])
    preferred = {one.hashed.edition for one in named}
    in_force = {timeline.in_force(visit.at) for timeline in visit.timelines.agreements.values()}
    # Of equal candidates, the last one is found.
    order = sorted(latest, key=lambda dated: (dated.digest in preferred, dated in in_force))
    candidates = (
        recognition.Candidate(dated.digest, language, rows[dated.pk].text(language).body)
        for dated in order
        for language in languages.LANGUAGES
    )

    def others(digest: str, lines: list[str]) -> list[str]:
        return own_words.others(visit, lines, [visit.display(*public[digest])])

    found = recognition.matches(text, candidates, others=others)
    found.sort(key=lambda match: public[match.digest][1].published_at)
    return [ComparedEdition(visit.display(*public[match.digest]), match) for match in found]


def _is_proved(compared: Sequence[ComparedEdition]) -> bool:
    """Return whether the text has words of the first of these editions in their order, all of them or a piece
    (``PROVED``). Then only the lines that were added decide whether the text is genuine. ``False`` if there is no
    edition.
    """
    return bool(compared) and compared[0].match.likeness in PROVED


def _named(visit: Visit, text: str) -> list[RecognisedEdition]:
    """Return the public editions whose digest, or the SHA-256 of one of whose texts, stands in the text, each once. The
    beginning of a digest counts too, of at least 8 digits and with "…", as pages print it, or "..." after it. ``text``
    must be in lower case. Only the first 20 places with such digits are considered.
    """
    digests = dict.fromkeys(match[1] or match[2] for match in islice(NAMED_PATTERN.finditer(text), 20))
    texts = [hashed for digest in digests for hashed in _index.find(digest, visit.timelines)]
    named = {one.hashed.edition: one for one in reversed(_recognised(visit, texts))}
    return list(reversed(named.values()))


def _posted_answer(visit: Visit, **context: Any) -> HttpResponse:
    """Return the page with what a posted text was recognised as. ``context`` contains arguments of
    :func:`_form_context`. The status is 404 if none of its ``found``, ``compared``, ``named`` and ``receipt_edition``
    contains an edition and there is no ``comparison``, else 200. Caches may not store the page.
    """
    response = visit.render("agreement/pages/verify.html", _form_context(**context))
    names = ("found", "compared", "named", "receipt_edition", "comparison")
    response.status_code = 200 if any(context.get(name) for name in names) else 404
    response.headers["Cache-Control"] = "no-store"
    return response


def _form_context(
    *,
    found: Sequence[RecognisedEdition] = (),
    compared: Sequence[ComparedEdition] = (),
    named: Sequence[RecognisedEdition] = (),
    added: Sequence[str] = (),
    is_proved: bool = False,
    comparison: comparisons.RecognisedComparison | None = None,
    **context: Any,
) -> dict[str, Any]:
    """Return the variables of the page. ``found`` are the editions recognised by a SHA-256, ``compared`` those that the
    posted text is like, and ``named`` those whose digest stands in it. ``added`` are lines with words that are neither
    of the edition nor of this site. ``is_proved`` says that each word of the text is of an edition, of a letter or of
    this site. ``comparison`` is the page of changes from which the text was copied, or that it names; if it was copied
    from there, the editions are left out.

    ``context`` contains further variables, which take precedence. Without one in ``context``, ``verdict`` is "genuine"
    if there is an edition in ``found``, ``is_proved``, or the text was copied from a page of changes, otherwise
    "differs" if there is an edition in ``compared`` or ``named`` or a page of changes, else "unknown".
    """
    if comparison and comparison.is_proved:
        compared, named, added, is_proved = (), (), (), True
    verdict = "genuine" if found or is_proved else "differs" if compared or named or comparison else "unknown"
    shown = [one.displayed for one in found] + [one.displayed for one in compared] + [one.displayed for one in named]
    return {
        "found": found,
        "compared": compared,
        "headlines": "; ".join(dict.fromkeys(one.displayed.headline for one in compared)),
        "compared_digests": {one.match.digest for one in compared},
        "named": named,
        "comparison": comparison,
        "added": added,
        "number": shown[0].edition.number if shown else None,
        "likeness": compared[0].match.likeness if compared else "",
        "verdict": verdict,
        "max_bytes": files.MAX_BYTES,
        "reads_word": reader.installed(),
        **context,
    }


class MemoryUploadHandler(MemoryFileUploadHandler):
    """Stores a posted file in memory and not on a disk, regardless of the site's ``FILE_UPLOAD_MAX_MEMORY_SIZE``."""

    def handle_raw_input(self, *args: Any, **kwargs: Any) -> None:
        self.activated = True


def _refuse(visit: Visit, sentence: str, status: int) -> HttpResponse:
    """Return the page with the form, with this status and the sentence that states why the request was refused. Caches
    may not store it.
    """
    response = visit.render("agreement/pages/verify.html", _form_context(refusal=sentence, verdict=""))
    response.status_code = status
    response.headers["Cache-Control"] = "no-store"
    return response
