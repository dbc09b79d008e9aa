"""Redlines of sealed editions. A process remembers the redlines that it used last, within the limits ``CACHED_PAIRS``
and ``CACHED_CHARACTERS``.

The digest of an edition covers its texts. Two digests and a language always mean the same two texts, so no entry
becomes outdated.
"""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import Future
from threading import Lock

from agreement import memory
from agreement.models import Edition
from agreement.text import clauses, languages
from agreement.text.redline import sentences
from agreement.text.redline.changes import Redline
from agreement.text.redline.changes import redline as compare

#: The most redlines that one process remembers, and the most characters of the texts that they compare. The text of a
#: real agreement has about 10,000. Beyond a limit, the redline that was not used for the longest time is removed.
CACHED_PAIRS = 500
CACHED_CHARACTERS = 5_000_000

_Key = tuple[str, str, str]


class _RedlineCache:
    """A cache of redlines. The key is the digest of the old edition, the digest of the new one, and the language.

    While a limit is exceeded, the redline that was not used for the longest time is removed. The last one that was
    added stays, even if its texts alone exceed ``CACHED_CHARACTERS``.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._known: OrderedDict[_Key, tuple[Redline, int]] = OrderedDict()
        self._running: dict[_Key, Future[Redline]] = {}
        self._characters = 0

    def get(self, old: Edition, new: Edition, language: str) -> Redline:
        key = old.digest, new.digest, language
        with self._lock:
            if found := self._known.get(key):
                self._known.move_to_end(key)
                return found[0]
            running = self._running.get(key)
            if running is None:
                ours = self._running[key] = Future()
        if running:
            return running.result()
        try:
            made, size = _compare(old, new, language)
        except BaseException as error:
            with self._lock:
                del self._running[key]
            ours.set_exception(error)
            raise
        with self._lock:
            del self._running[key]
            self._known[key] = made, size
            self._characters += size
            while len(self._known) > CACHED_PAIRS or (self._characters > CACHED_CHARACTERS and len(self._known) > 1):
                self._characters -= self._known.popitem(last=False)[1][1]
        ours.set_result(made)
        return made

    def clear(self) -> None:
        with self._lock:
            self._known.clear()
            self._characters = 0


_cache = _RedlineCache()
memory.register(__name__, _cache.clear)


def sealed_redline(old: Edition, new: Edition, language: str) -> Redline:
    """The redline from the sealed edition ``old`` to the sealed edition ``new``. ``language`` is that of the compared
    texts, ``kk`` or ``ru``.

    It makes no query if the process remembers the redline. A call that computes it makes 1 query for each text that was
    not read with its edition. Threads that need the same redline at the same time compute it once; the others wait.
    Raises ``ValueError`` if either edition has no digest. A draft has none, unless it is previewed as if it were
    published.
    """
    if not (old.digest and new.digest):
        msg = "Only sealed editions can be compared here: a draft has no digest."
        raise ValueError(msg)
    return _cache.get(old, new, language)


def sealed_summary(old: Edition, new: Edition, text_language: str, *, language: str) -> str:
    """The changes from ``old`` to ``new`` in one sentence in ``language`` (``kk``, ``ru`` or ``en``). They are those of
    the texts in ``text_language``. If only the texts in the other language differ, two sentences say so, and what
    changed there. The queries and the errors are those of :func:`sealed_redline`, for one language or for both.
    """
    redline = sealed_redline(old, new, text_language)
    if not redline.changed:
        (other,) = set(languages.LANGUAGES) - {text_language}
        if (elsewhere := sealed_redline(old, new, other)).changed:
            changes = sentences.summary(elsewhere, language)
            return sentences.PHRASES[language][f"only_{other}"].format(changes=changes)
    return sentences.summary(redline, language)


def _compare(old: Edition, new: Edition, language: str) -> tuple[Redline, int]:
    """The redline, in which the words of all changed units are compared already, and how many characters the two texts
    have together.
    """
    old_body, new_body = (getattr(edition, f"body_{language}") or "" for edition in (old, new))
    made = compare(clauses.parse(old_body), clauses.parse(new_body))
    for change in made.changed:  # The words of a clause are compared at their first use. This is the first use.
        _ = change.words
    return made, len(old_body) + len(new_body)
