"""Finds references from one clause to another, as Kazakh and Russian agreements write them, with their case endings.

Kazakh: ``3.1-тармақ``, ``3.1-ші тармақ``, ``3.1-тармақтың 2) тармақшасы``, ``2.1 және 2.2-тармақтар``,
``4.1 – 4.3 тармақтар``, ``2-бөлім``. Russian: ``пункт 3.1``, ``п. 3.1``, ``пп. 2.1 и 2.2``, ``пунктами 4.1–4.3``,
``раздел 2``, ``подпункт 2) пункта 3.1``.

A number without such a word (``TLS 1.2``, a date, the number of a law) is no reference. A clause of another document
(``пункт 3.1 Правил``, ``Заңның 3.1-тармағы``) or of an appendix (``пункт 3.1 приложения 1``) is no reference either. In
Russian, only the usual names of documents are recognised. In an appendix that starts its own numbering, a number means
the clause of the appendix, if there is one and the words do not name the agreement (``пункт 3.1 Соглашения``).
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

_NUMBER = r"\d{1,3}(?:\.\d{1,3}){0,2}(?![\d.]*\d)"
# "2)" is an item, but the bracket of "3.1)" closes a parenthesis.
_PLAIN = rf"(?!\d{{1,3}}\)){_NUMBER}"
_ITEM = r"(?:(?:\d{1,3}|[а-яёәғқңөұүһі])\)|[«\"“„][а-яёәғқңөұүһі][»\"”“]\)?)"
_AND = (
    r"(?:\s*[–—-]\s*|\s*,\s*(?:(?:и|а\s+также|және|сондай-ақ)\s+)?"
    r"|\s+(?:и|или|либо|по|до|а\s+также|және|мен|пен|бен|не|немесе|әрі|сондай-ақ)\s+)"
)
# The quantifiers are possessive, so that a long list which is no reference is read only once.
_LIST = re.compile(
    rf"(?<![\w№/-])(?<!\d\.)(?<![A-Za-z№]\s)(?:(?P<numbers>{_PLAIN}(?:{_AND}{_PLAIN}(?!\w))*+)"
    rf"|(?P<items>{_ITEM}(?:{_AND}{_ITEM})*+))"
)
_EACH_NUMBER, _EACH_ITEM = re.compile(_NUMBER), re.compile(_ITEM)

_KK = re.compile(
    r"(?:\.?\s?[-–‑]\s?|\s?)(?:[ыі]?н?ш[ыі]\s+)?(?P<word>тармақ|тармағ|бөлім(?!ше)|бөлім\b)(?P<ending>\w*)",
    re.IGNORECASE,
)
_KK_ITEM = re.compile(r"\s?[-–‑]?\s?тармақша\w*", re.IGNORECASE)
_RU = re.compile(
    r"(?<!\w)(?:(?P<clause>(?:под)?пункт(?:а|у|ом|е|ы|ов|ам|ами|ах)?|пп?\.|п\.\s?п\.)"
    r"|(?P<section>раздел(?:а|у|ом|е|ы|ов|ам|ами|ах)?|разд\.))\s*(?:№\s*)?(?:с\s+)?\Z",
    re.IGNORECASE,
)
_RU_ITEM = re.compile(r"(?<!\w)(?:подпункт\w{0,3}|пп?\.|подп\.)\s*\Z", re.IGNORECASE)
_RU_OF = re.compile(rf"\s+(?:пункт(?:а|ов)|п\.)\s*(?P<number>{_NUMBER})", re.IGNORECASE)
# Only in the genitive: "пункт 3.1 определяет порядок" refers to this agreement.
_OTHER = (
    r"(?:закон|кодекс|регламент|приказ|договор|контракт|стандарт|устав|указ)(?:а|ов)|правил|политики|порядка|методики"
    r"|(?:положени|постановлени|приложени|распоряжени)[яй]|(?:инструкци|конвенци)[ий]|стат(?:ьи|ей)|гост\w*|главы"
    r"|перечня|[ГНТУ]К|КоАП"
)
_RU_ELSEWHERE = re.compile(
    r"\.?,?\s+(?:раздела\s+[\dIVX.]+\s+)?(?:(?!настоящ|наш)[\w-]+(?:ого|его|ых|их|ой|ей)\s+){0,3}"
    rf"[«\"„“]?(?:(?:{_OTHER})(?!\w)|ст\.)",
    re.IGNORECASE,
)
_RU_AGREEMENT = re.compile(r"\s+(?:\w+\s+){0,2}(?:соглашени|договор|оферт)", re.IGNORECASE)
_KK_PREVIOUS = re.compile(r"(?<![\w.])(?P<word>[\w.]++(?:[-‑]\w++)*+)[»”\"]?\s++(?:\([^()]*+\)\s++)?\Z")
_GENITIVE = ("ның", "нің", "дың", "дің", "тың", "тің")
_OWN = ("келісім", "осы", "шарт", "оферта")
_LAWS = ("заң", "кодекс", "қағида", "ереже", "тәртіп", "нұсқаулық", "бұйрық", "қаулы", "қосымша")
_OWNED = re.compile(r"тармағ|тармақтары|бөлім(?:дер)?і")
_OWN_PART = re.compile(r"(?:[\d.]+[-‑]?)?(?:(?:[ыі]?н?ш[ыі])?(?:тарма[қғ]|бөлім))")
_LAWS_PART = re.compile(r"\d+[-‑]?(?:бап|баб)")


@dataclass(frozen=True, slots=True)
class Reference:
    """A place in a text that names a section, a clause or an item: the characters from ``start`` up to ``end``.

    They are the number, or the label of the item with its quotes, without the word before or after it. ``number`` is
    the number of the section or clause as it is written; ``""`` for an item of the clause that contains the text.
    """

    start: int
    end: int
    number: str
    item: str = ""
    """The label of the item, ``2)`` or ``б)``; ``""`` for the clause itself."""
    outer: bool = False
    """Does the reference name the agreement (``пункт 3.1 Соглашения``)? Then it never means a clause of the appendix
    that contains the text. Always false if there is an ``item``."""

    def target(self, here: str, numbers: AbstractSet[str], labels: Mapping[tuple[str, str], str]) -> str:
        """The number of the unit that a reference in the unit ``here`` leads to; ``""`` if there is none. ``here`` is
        the number of the unit that contains the text, or that of its parent if it has none.

        If ``here`` is in an appendix and ``outer`` is false, a clause of the appendix with this number comes before one
        of the agreement. A reference without a number means an item of the clause that contains ``here``; that is
        ``here`` up to its dash.

        ``numbers`` are all numbers of the document. ``labels`` maps the number of a clause and the label of an item in
        it to the number of the item.
        """
        clauses = [self.number or here.partition("-")[0]]
        if self.number and here.startswith("a") and not self.outer:
            clauses.insert(0, f"{here.partition('-')[0].partition('.')[0]}.{self.number}")
        found = (labels.get((clause, self.item), "") if self.item else clause for clause in clauses)
        return next((number for number in found if number in numbers), "")

    def __str__(self) -> str:
        return f"{self.number} {self.item}".strip()


def find(text: str) -> Iterator[Reference]:
    """Yield the references in a text, in order. The time is linear in its length.

    Each number or item of a list gives one reference, and a range (``4.1–4.3``) gives two, its ends. ``подпункт 2)
    пункта 3.1`` gives two: to the item and to the clause. A number without a dot is a reference only to a section, and
    a number with a dot only to a clause. A reference to another document is left out. Whether the clause exists is not
    checked.
    """
    owner: tuple[int, str] | None = None  # The end and the number of a Kazakh "3.1-тармақтың": its items may follow.
    for match in _LIST.finditer(text):
        before, (start, end) = text[max(0, match.start() - 24) : match.start()], match.span()
        if match["items"]:
            number = None
            if (ru := _RU.search(before)) and ru["section"] and match["items"][:-1].isdecimal():
                yield Reference(start, end - 1, match["items"][:-1])  # A parenthesis was opened before "раздел".
            elif kk := _KK_ITEM.match(text, end):
                number = owner[1] if owner and not text[owner[0] : start].strip() else ""
                end = kk.end()
                if not number and not _is_here(text, start):
                    number = None
            elif _RU_ITEM.search(before):
                ru = _RU_OF.match(text, end)
                if ru is None:
                    number = None if _RU_ELSEWHERE.match(text, end) else ""
                elif "." in ru["number"] and not _RU_ELSEWHERE.match(text, ru.end()):
                    number = ru["number"]
            if number is not None:
                for item in _EACH_ITEM.finditer(match["items"]):
                    yield Reference(start + item.start(), start + item.end(), number, item[0].strip('«»"“”„)') + ")")
            continue
        named, section = _named(text, before, start, end)
        if not named:
            continue
        last, outer = "", bool(_RU_AGREEMENT.match(text, end)) or _is_agreements(text[max(0, start - 60) : start])
        for each in _EACH_NUMBER.finditer(match["numbers"]):
            last = each[0].rstrip(".")
            # The number of a clause contains a dot: "пункт 2 статьи 8" refers to a law.
            if ("." in last) != section:
                yield Reference(start + each.start(), start + each.start() + len(last), last, outer=outer)
        owner = (named, last)


def _named(text: str, before: str, start: int, end: int) -> tuple[int, bool]:
    """The end of the reference, with the Kazakh word after its number, and whether it means a section. The end is 0 if
    no word makes the number a reference, if it means another document, or for a Kazakh ``2-тармақша``; the second value
    then means nothing.

    ``start`` and ``end`` are the place of the number, or of a list of numbers, in the text. ``before`` is the text
    directly before it.
    """
    if ru := _RU.search(before):
        return (0, False) if _RU_ELSEWHERE.match(text, end) else (end, bool(ru["section"]))
    if kk := _KK.match(text, end):
        if kk["ending"].startswith("ша") and text.count(".", start, end) < 2:
            return 0, False  # A sub-clause is found here only if it is written as 3.1.2.
        word = kk["word"].lower() + kk["ending"].lower()
        here = _is_here(text, start, owned=_OWNED.match(word) is not None)
        return (kk.end() if here else 0), word.startswith("бөлім")
    return 0, False


def _is_here(text: str, start: int, *, owned: bool = True) -> bool:
    """Does a Kazakh reference mean this agreement, because no other document precedes it (``Заңның 8-бабының``)?

    ``owned``: does the reference belong to the word before it (``Қағиданың 3.1-тармағы``)? If not, that word belongs to
    a later word (``деректердің 3.1-тармақта көрсетілген түрлері``), unless it names a law.
    """
    before = text[max(0, start - 120) : start]
    while previous := _KK_PREVIOUS.search(before):
        word = previous["word"].lower()
        if _LAWS_PART.match(word):
            return False
        if not word.endswith(_GENITIVE) or word.startswith(_OWN):
            return True
        if not owned and not word.startswith(_LAWS):
            return True
        before = before[: previous.start()]
        if not _OWN_PART.match(word):
            return before.split()[-1:] in (["осы"], ["Осы"])
    return True


def _is_agreements(before: str) -> bool:
    previous = _KK_PREVIOUS.search(before)
    return previous is not None and previous["word"].lower().startswith(("келісім", "оферта", "шарт"))


def link(block: ET.Element, here: str, numbers: AbstractSet[str], labels: Mapping[tuple[str, str], str]) -> None:
    """Turn the references in a block of the unit ``here`` into links, in place. ``here`` is the number of the unit, or
    that of its parent if it has none. References to no unit remain text. Text directly in a link or in code remains as
    it is.

    ``numbers`` are all numbers of the document. ``labels`` maps the number of a clause and the label of an item in it
    to the number of the item.
    """
    for element in list(block.iter()):
        if element.tag in {"a", "code", "pre"}:
            continue
        if element.text and any(map(str.isdigit, element.text)):
            element.text, links = _links(element.text, here, numbers, labels)
            for place, anchor in enumerate(links):
                element.insert(place, anchor)
        for place, child in reversed(list(enumerate(element))):
            if child.get("class") != "reference" and child.tail and any(map(str.isdigit, child.tail)):
                child.tail, links = _links(child.tail, here, numbers, labels)
                for offset, anchor in enumerate(links, start=1):
                    element.insert(place + offset, anchor)


def _links(
    text: str, here: str, numbers: AbstractSet[str], labels: Mapping[tuple[str, str], str]
) -> tuple[str, list[ET.Element]]:
    head, links, done = text, list[ET.Element](), 0
    for reference in find(text):
        if not (target := reference.target(here, numbers, labels)):
            continue
        between = text[done : reference.start]
        if links:
            links[-1].tail = between
        else:
            head = between
        anchor = ET.Element("a", {"href": f"#{target}", "class": "reference"})
        anchor.text = text[reference.start : reference.end]
        links.append(anchor)
        done = reference.end
    if links:
        links[-1].tail = text[done:]
    return head, links
