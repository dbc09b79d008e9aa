"""The replacements of words that make one line of another, as a lawyer states them: «слова … заменить словами …»."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice, pairwise, product

from agreement.text.redline.operations import Phrase
from agreement.text.redline.words import WORD, Run, compare

#: Words are replaced by name in a line only if it has at most ``MAX_PHRASES`` replacements, none of which has more than
#: ``MAX_WORDS`` words, and at least half of its words stay. Otherwise the line is restated.
MAX_PHRASES, MAX_WORDS = 3, 20
#: How many words on each side may be added to a phrase to make it unique in its unit.
_CONTEXT = 4
#: How many words before and after it are added, the fewest first.
_WIDTHS = sorted(product(range(_CONTEXT + 1), repeat=2), key=lambda counts: (sum(counts), max(counts)))
_TOKEN = re.compile(r"\S+\s*")
_CLOSING = frozenset(",.;:!?)»”…")
_PART = re.compile(r"\w+|[^\w\s]")


def phrases(old: str, new: str, runs: Sequence[Run] = ()) -> tuple[Phrase, ...]:
    """The replacements of words that make one line of another. Empty if they would be too many, too long or ambiguous,
    or if more than half of the old words are replaced or deleted, and not by one phrase throughout the line.

    One phrase may replace words wherever they occur in the line. If there are several, the old words of each occur
    once. Replaced one after the other, the phrases give the new line, apart from white space. ``runs`` turn the old
    line into the new one, if they are known.
    """
    runs = runs or compare(old, new)
    if found := _same_everywhere(old, new, runs):
        return (found,)
    changed = sum(len(WORD.findall(run.text)) for run in runs if run.kind == "delete")
    if 2 * changed > len(WORD.findall(old)):
        return ()
    made: list[Phrase] = []
    at, place = 0, 0
    while place < len(runs):
        run = runs[place]
        if run.kind == "equal":
            at += len(run.text)
            place += 1
            continue
        deleted = run.text if run.kind == "delete" else ""
        following = runs[place + 1] if deleted and place + 1 < len(runs) else run
        inserted = following.text if following.kind == "insert" else ""
        phrase = _phrase(old, at, at + len(deleted), inserted)
        if phrase is None or len(made) == MAX_PHRASES:
            return ()
        made.append(phrase)
        at += len(deleted)
        place += bool(deleted) + bool(inserted)
    result = old
    for phrase in made:
        put = f"{phrase.old} {phrase.new}" if phrase.after else phrase.new
        if result.count(phrase.old) != 1:
            return ()
        result = result.replace(phrase.old, put)
    return tuple(made) if _PART.findall(result) == _PART.findall(new) else ()


def _same_everywhere(old: str, new: str, runs: Sequence[Run]) -> Phrase | None:
    """The one replacement that makes the new line wherever its words occur in the old one, at least twice; ``None`` if
    there is none. ``runs`` turn the old line into the new one.
    """
    pairs = {
        (one.text.strip(), other.text.strip())
        for one, other in pairwise(runs)
        if (one.kind, other.kind) == ("delete", "insert")
    }
    if len(pairs) != 1 or sum(run.kind == "insert" for run in runs) != sum(run.kind == "delete" for run in runs):
        return None
    phrase = Phrase(*pairs.pop())
    if old.count(phrase.old) < 2 or not (_closed(phrase.old) and _closed(phrase.new)):
        return None
    if not (WORD.search(phrase.old) and WORD.search(phrase.new)):
        return None
    same = _PART.findall(old.replace(phrase.old, phrase.new)) == _PART.findall(new)
    return _short(phrase) if same else None


def _phrase(old: str, start: int, end: int, inserted: str) -> Phrase | None:
    """The replacement of ``old[start:end]`` by ``inserted`` as a lawyer states it; ``None`` if it can't be stated
    shortly. If nothing is deleted, it may be an insertion after the words before it. The fewest words around it are
    added that make it unique, and give it both marks of each quotation.
    """
    ahead = [start, *(match.start() for match in reversed([*_TOKEN.finditer(old, 0, start)][-_CONTEXT:]))]
    behind = [end, *(match.end() for match in islice(_TOKEN.finditer(old, end), _CONTEXT))]
    if WORD.search(inserted) and start == end:
        for left in ahead[1:]:
            anchor = old[left:start].strip()
            if old.count(anchor) == 1 and WORD.search(anchor) and _closed(anchor) and _closed(inserted):
                return _short(Phrase(anchor, inserted.strip(), after=True))
    for count, after in _WIDTHS:
        left, right = ahead[min(count, len(ahead) - 1)], behind[min(after, len(behind) - 1)]
        words, put = old[left:right].strip(), (old[left:start] + inserted + old[end:right]).strip()
        begins_alike = not put or (put[0] in _CLOSING) == (words[:1] in _CLOSING)
        states = WORD.search(words) and (WORD.search(put) or not put) and begins_alike
        if states and old.count(words) == 1 and _closed(words) and _closed(put):
            return _short(Phrase(words, put))
    return None


def _closed(words: str) -> bool:
    """Do the words contain as many «, and as many „, as their closing marks? A quotation with one of the two marks
    can't be read.
    """
    return words.count("«") == words.count("»") and words.count("„") == words.count("“")


def _short(phrase: Phrase) -> Phrase | None:
    return phrase if max(len(WORD.findall(words)) for words in phrase[:2]) <= MAX_WORDS else None
