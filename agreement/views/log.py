"""The transparency log of an agreement as files (C2SP tlog-tiles): the signed checkpoint, the tiles, the entries, the
public keys, and the proof of each edition.

Only what the newest signed checkpoint covers is served. Nothing of it is personal.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import Http404, HttpResponse

from agreement.acceptance.answers import problem
from agreement.models.published_log import PublishedLog, logged_editions
from agreement.seal.log import TilePath, entry_bundle, public_key_pem
from agreement.views.base import Visit, page
from agreement.views.cache import ANY_ORIGIN, immutable_response

#: How long a cache may use the checkpoint, which changes with each entry.
CHECKPOINT_CACHE = "public, max-age=5"
NOT_FOUND = "The newest signed checkpoint of the log covers nothing with this address, or no checkpoint is signed."


def log_file(view: Callable[..., HttpResponse]) -> Callable[..., Any]:
    """Decorator: turn a view that takes a :class:`Visit` and the URL arguments into a Django view of a public file of
    the log. Scripts of any site may read it. The process does not remember it, because there may be many, and each
    costs few queries. If the view raises ``Http404`` or ``LookupError``, the response is problem details (RFC 9457)
    with the status 404, which caches may not store.
    """

    @page(remember=False)
    @wraps(view)
    def respond(visit: Visit, **arguments: Any) -> HttpResponse:
        try:
            response = view(visit, **arguments)
        except (Http404, LookupError):
            response = problem(status=404, kind="about:blank", title="Not Found", detail=NOT_FOUND)
            response.headers["Cache-Control"] = "no-store"  # It may be there in a second.
        for name, value in ANY_ORIGIN.items():
            response.headers[name] = value
        return response

    return respond


@log_file
def checkpoint(visit: Visit, slug: str) -> HttpResponse:
    """The newest signed checkpoint of the log. 1 query."""
    return _text(_published_log(visit, slug).note)


@log_file
def key(visit: Visit, slug: str) -> HttpResponse:
    """The public keys of the log, each in a line as programs for C2SP logs take it, that of the newest checkpoint
    first. 1 query.
    """
    return _text("".join(f"{line}\n" for line in _published_log(visit, slug).keys))


@log_file
def key_pem(visit: Visit, slug: str) -> HttpResponse:
    """The same keys in the form of OpenSSL (PEM). 1 query."""
    return _text("".join(map(public_key_pem, _published_log(visit, slug).keys)))


@log_file
def tile(visit: Visit, slug: str, path: str) -> HttpResponse:
    """The hashes of a tile or, if ``path`` begins with ``entries/``, a bundle of entries. ``path`` is the rest of the
    URL (:class:`agreement.seal.log.TilePath`). A tile that is not full is served in every width that the newest signed
    checkpoint covers. 2 queries; 1 if the log has no such part, and none if ``path`` is no part of any log.
    """
    timeline = visit.timeline(slug)
    try:
        part = TilePath.parse(path)
    except ValueError:
        raise Http404 from None
    if (log := PublishedLog.of(timeline.key)) is None:
        raise Http404
    content = log.hashes(part) if part.level is not None else entry_bundle(log.entries(part))
    return immutable_response(content, "application/octet-stream")


@log_file
def edition_proof(visit: Visit, slug: str, number: int) -> HttpResponse:
    """The proof that the public edition with that number is in the log (C2SP tlog-proof), for the first signed
    checkpoint that covers it. Therefore it never changes. 2 queries, and at most 2 for each level of the tree.
    """
    edition = visit.edition(visit.timeline(slug), number)
    logged = logged_editions([edition.pk])[edition.pk]
    return immutable_response(logged.proof().encode(), "text/plain; charset=utf-8")


def _published_log(visit: Visit, slug: str) -> PublishedLog:
    found = PublishedLog.of(visit.timeline(slug).key)
    if found is None:
        raise Http404
    return found


def _text(content: str) -> HttpResponse:
    headers = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": CHECKPOINT_CACHE}
    return HttpResponse(content, headers=headers)
