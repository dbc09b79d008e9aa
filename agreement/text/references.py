"""Finds references from one clause to another, as Kazakh and Russian agreements write them, with their case endings.

Kazakh: ``3.1-тармақ``, ``3.1-ші тармақ``, ``3.1-тармақтың 2) тармақшасы``, ``2.1 және 2.2-тармақтар``,
``4.1 – 4.3 тармақтар``, ``2-бөлім``, ``15-тармақ``, ``5-баптың 2-тармағы``, ``1-қосымша``. Russian: ``пункт 3.1``,
``п. 3.1``, ``пп. 2.1 и 2.2``, ``пунктами 4.1–4.3``, ``раздел 2``, ``подпункт 2) пункта 3.1``, ``пункт 15``, ``пункт 2
статьи 5``, ``глава II``, ``приложение № 1``.

A number without such a word (``TLS 1.2``, a date, the number of a law) is no reference. A clause of another document
(``пункт 3.1 Правил``, ``Заңның 3.1-тармағы``) is no reference either. In Russian, only the usual names of documents are
recognised. In an appendix that starts its own numbering, a number means the clause of the appendix, if there is one and
the words do not name the agreement (``пункт 3.1 Соглашения``).
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import NamedTuple

from agreement.text.headings import numeral

_ROMAN = r"[IVXLІХ]{1,7}(?!\w)"
_NUMBER = rf"(?:\d{{1,3}}(?:\.\d{{1,3}}){{0,5}}(?![\d.]*\d)|{_ROMAN})"
# "2)" is an item, but the bracket of "3.1)" closes a parenthesis.
_PLAIN = rf"(?!\d{{1,3}}\)){_NUMBER}"
_ITEM = (
    r"(?:(?:\d{1,3}|[а-яёәғқңөұүһі])\)|\((?:\d{1,3}|[a-zа-яёәғқңөұүһі]|[ivxіх]{2,6})\)"
    r"|[«\"“„][а-яёәғқңөұүһі][»\"”“]\)?)"
)
_AND = (
    r"(?:\s*[–—-]\s*|\s*,\s*(?:(?:и|а\s+также|және|сондай-ақ)\s+)?"
    r"|\s+(?:и|или|либо|по|до|а\s+также|және|мен|пен|бен|не|немесе|әрі|сондай-ақ)\s+)"
)
# The quantifiers are possessive, so that a long list which is no reference is read only once.
_LIST = re.compile(
    rf"(?<![\w/-])(?<!\d\.)(?<![A-Za-z]\s)(?:(?P<numbers>{_PLAIN}(?:{_AND}{_PLAIN}(?!\w))*+)"
    rf"|(?P<items>{_ITEM}(?:{_AND}{_ITEM})*+))"
)
_MAYBE_NUMBER = re.compile(r"[0-9]|(?<!\w)[IVXLІХ]")
_EACH_INSERTED = re.compile(r"\d{1,3}[-‑]\d{1,2}(?![\d.])")
_EACH_NUMBER, _EACH_ITEM = re.compile(_NUMBER), re.compile(_ITEM)

#: What the words of both languages name, by their first letters.
_UNITS = (
    ("пункт", "clause"), ("п.", "clause"), ("пп", "clause"), ("п ", "clause"), ("подпункт", "clause"),
    ("тарма", "clause"), ("разд", "section"), ("бөлі", "section"), ("глав", "chapter"), ("гл.", "chapter"),
    ("тарау", "chapter"), ("стат", "article"), ("ст.", "article"), ("бап", "article"), ("баб", "article"),
    ("§", "paragraph"), ("парагр", "paragraph"), ("част", "part"), ("прилож", "appendix"), ("қосымша", "appendix"),
)  # fmt: skip
_KK = re.compile(
    r"(?:\.?\s?[-–‑]\s?|\s?)(?:[ыі]?н?ш[ыі]\s+)?(?P<word>тармақ|тармағ|бөлім(?!ше)|бөлім\b|тарау|ба[пб](?=\b|[тқы])"
    r"|параграф|қосымша)(?P<ending>\w*)",
    re.IGNORECASE,
)
_KK_ITEM = re.compile(r"\s?[-–‑]?\s?тармақша\w*", re.IGNORECASE)
_KK_WITHIN = re.compile(
    rf"(?<![\w.])(?:(?P<number>(?:\d{{1,3}}[-‑](?=\d))?{_NUMBER})\s?[-–‑]?\s?(?:[ыі]?н?ш[ыі]\s+)?|(?P<this>осы)\s+)"
    r"(?P<word>ба[пб]|тарау|бөлім|параграф|қосымша)\w*\s+\Z",
    re.IGNORECASE,
)
_CASE = "(?:а|у|ом|е|ы|ов|ам|ами|ах)?"
_RU = re.compile(
    rf"(?<!\w)(?P<word>(?:под)?пункт{_CASE}|пп?\.|п\.\s?п\.|раздел{_CASE}|разд\.|глав(?:а|ы|е|у|ой|ам|ами|ах)?|гл\."
    rf"|стать(?:я|и|е|ю|[её]й|ям|ями|ях)|статей|ст\.|§{{1,2}}|параграф{_CASE}|част(?:ь|и|ью|ей|ям|ями|ях)"
    r"|приложени(?:е|я|ю|ем|и|й|ям|ями|ях))\s*(?P<sign>№\s*)?(?:с\s+)?\Z",
    re.IGNORECASE,
)
_RU_ITEM = re.compile(r"(?<!\w)(?:подпункт\w{0,3}|пп?\.|подп\.)\s*\Z", re.IGNORECASE)
_RU_OF = re.compile(rf"\s+(?:пункт(?:а|ов)|п\.)\s*(?P<number>{_NUMBER})", re.IGNORECASE)
#: Further clauses of the same document: «п. 2, п. 3 ст. 404 Кодекса».
_RU_MORE = re.compile(r"(?:\s*(?:,|\bи)\s*(?:пп?\.|(?:под)?пункт\w*)\s*\d{1,3}(?:\.\d{1,3})*){1,8}", re.IGNORECASE)
_RU_WITHIN = re.compile(
    r"(?:\s+|(?=ст\.))(?:(?:(?P<this>настоящ|данн)\w+\s+)?(?P<word>статьи|ст\.|главы|раздела|параграфа|приложения))"
    rf"(?:\s*(?:№\s*)?(?P<number>{_NUMBER}))?",
    re.IGNORECASE,
)
#: An appendix of another document: «приложение 1 к Правилам», «приложения № 1 и № 2 к приказу».
_RU_TO = re.compile(
    r"(?:(?:,|\s+и)\s*№?\s*\d{1,2}){0,8}(?:\s+ко?\s+(?!настоящ|соглаш|договор|контракт|оферт|польз|публичн|услови|политик"
    r"|приложен)\w|,?\s+утвержд\w+\s+(?:приказ|постановлени|решени|распоряжени))",
    re.IGNORECASE,
)
_KK_TO = re.compile(r"(?:заң|кодекс|қағида|ереже|тәртіп|нұсқаулық|бұйры|қаулы)\w*\s+(?:№\s*)?\Z", re.IGNORECASE)
# Only in the genitive: "пункт 3.1 определяет порядок" refers to this agreement.
_OTHER = (
    r"(?:закон|кодекс|регламент|приказ|договор|контракт|стандарт|устав|указ|акт|протокол|меморандум)(?:а|ов)|правил"
    r"|политики|порядка|методики|(?:положени|постановлени|приложени|распоряжени|задани)[яй]"
    r"|(?:инструкци|конвенци|конституци|спецификаци|деклараци)[ий]|гост\w*|перечня|заявки|программы|[ГНТУ]К|КоАП"
)
_ADJECTIVES = r"(?:(?!настоящ|наш)[\w-]+(?:ого|его|ых|их|ой|ей)\s+){0,3}"
_RU_ELSEWHERE = re.compile(
    rf"\.?,?\s+(?:раздела\s+[\dIVX.]+\s+)?{_ADJECTIVES}"
    rf"[«\"„“]?(?:(?:{_OTHER}|стат(?:ьи|ей)|главы)(?!\w)|ст\.)",
    re.IGNORECASE,
)
#: After an article or a chapter, which may be in a chapter of the same text.
_RU_DOCUMENT = re.compile(rf"\s+{_ADJECTIVES}[«\"„“]?(?:{_OTHER})(?!\w)", re.IGNORECASE)
_RU_AGREEMENT = re.compile(r"\s+(?:\w+\s+){0,2}(?:соглашени|договор|оферт)", re.IGNORECASE)
_KK_PREVIOUS = re.compile(r"(?<![\w.])(?P<word>[\w.]++(?:[-‑]\w++)*+)[»”\"]?\s++(?:\([^()]*+\)\s++)?\Z")
_GENITIVE = ("ның", "нің", "дың", "дің", "тың", "тің")
_OWN = ("келісім", "осы", "шарт", "оферта")
_LAWS = ("заң", "кодекс", "қағида", "ереже", "тәртіп", "нұсқаулық", "бұйрық", "қаулы", "қосымша")
_OWNED = re.compile(r"тармағ|тармақтары|бөлім(?:дер)?і|баб|баптары|тарау(?:лар)?ы|қосымшас|қосымшалары")
_OWN_PART = re.compile(r"(?:[\d.]+[-‑]?)?(?:(?:[ыі]?н?ш[ыі])?(?:тарма[қғ]|бөлім|тарау|параграф|қосымша))")
_ARTICLE = re.compile(r"(?:\d+[-‑])?\d+[-‑]?(?:бап|(?P<owned>баб))")


@dataclass(frozen=True, slots=True)
class Reference:
    """A place in a text that names a unit, such as a clause or an item: the characters from ``start`` up to ``end``.

    They are the number, or the label of the item with its quotes, without the word before or after it. ``number`` is
    what the reference calls the unit, or the clause that contains the item, in digits: ``2`` for ``глава II`` and for
    ``пункт 2 статьи 5``. It is ``""`` for an item of the clause that contains the text.
    """

    start: int
    end: int
    number: str
    item: str = ""
    """The label of the item, ``2)`` or ``б)``; ``""`` if the reference names no item."""
    outer: bool = False
    """Does the reference name the agreement (``пункт 3.1 Соглашения``)? Then it never means a clause of the appendix
    that contains the text."""
    unit: str = ""
    """What the number is of: ``clause``, ``section``, ``chapter``, ``article``, ``paragraph``, ``part`` or
    ``appendix``; ``""`` for an item without a number, and for a number such as 3.1, but not for the article 12.1."""
    within: str = ""
    """What contains the clause: ``article 5``, ``appendix 1``, ``this article`` for the one that contains the text, or
    the like; ``""`` if it is not named."""

    def target(self, here: str, numbers: AbstractSet[str], labels: Mapping[tuple[str, str], str]) -> str:
        """The number of the unit that a reference in the unit ``here`` leads to; ``""`` if there is none. ``here`` is
        the number of the unit that contains the text, or that of its parent if it has none.

        If ``here`` is in an appendix and ``outer`` is false, a unit of the appendix with this number comes before one
        of the agreement. A reference without a number means an item of the clause that contains ``here``; that is
        ``here`` up to its dash.

        ``numbers`` are the numbers to which the reference may lead, and ``labels`` is ``Document.labels``.
        """
        found = (labels.get((clause, self.item), "") if self.item else clause for clause in self._clauses(here, labels))
        return next((number for number in found if number and number in numbers), "")

    def is_expected(self, here: str, labels: Mapping[tuple[str, str], str], names: AbstractSet[str]) -> bool:
        """Should the document contain what the reference names? A document without any ``Статья``, for example, need
        not contain the article 5: another document does. A clause in a unit that is named (``пункт 2 статьи 5``) is
        expected if the document contains that unit. Always false for an appendix, for an article or chapter such as
        12.1, and for a clause whose number has one part, in ``this article`` or the like (``пункт 2 настоящей
        статьи``). ``here`` and ``labels`` are those of :meth:`target`, and ``names`` is the result of :func:`names` for
        the document.
        """
        if self.within and not self.within.startswith("this "):
            return any((scope, self.within) in labels for scope in self._scopes(here))
        if self.unit in _INSERTABLE and "." in self.number:
            return False  # An article that was inserted in another document.
        return not self.unit or (self.unit in names and not self.within and self.unit != "appendix")

    def _scopes(self, here: str) -> list[str]:
        appendix = here.partition("-")[0].partition(".")[0] if here.startswith("a") and not self.outer else ""
        return [appendix, ""] if appendix else [""]

    def _clauses(self, here: str, labels: Mapping[tuple[str, str], str]) -> Iterator[str]:
        if not self.number:
            yield here.partition("-")[0]
        for scope in self._scopes(here) if self.number else ():
            if self.within:
                yield from self._within(scope, here, labels)
            elif self.unit:
                yield labels.get((scope, f"{self.unit} {self.number}"), "")
            else:
                yield f"{scope}.{self.number}" if scope else self.number
                if self.number.startswith("0."):
                    yield f"0{self.number}"  # A clause of the section 0, whose number is 00.

    def _within(self, scope: str, here: str, labels: Mapping[tuple[str, str], str]) -> Iterator[str]:
        owner = labels.get((scope, self.within), "")
        if self.within.startswith("this "):
            # Numbers of two parts: the clause 5.2 is in the article 5.
            owner = here.partition("-")[0].rpartition(".")[0] or here.partition("-")[0]
        if not owner:
            return
        if not self.unit:
            yield f"{owner}.{self.number}" if self.within.startswith("appendix") else self.number
            return
        yield f"{owner}.{self.number}"
        yield labels.get((owner, f"{self.number})"), "")  # «Пункт 2 статьи 5» may be the item 2) of the article.
        yield labels.get((scope, f"{self.unit} {self.number}"), "")
        if self.within.startswith("appendix"):
            yield labels.get((owner, f"{self.unit} {self.number}"), "")

    def __str__(self) -> str:
        return f"{self.number} {self.item}".strip()


def names(labels: Mapping[tuple[str, str], str]) -> frozenset[str]:
    """The kinds of units that the document names by a word or by a number of one part, such as ``article`` and
    ``section``: the first words of the names that :func:`name` and :func:`appendix_name` give to its labels. ``labels``
    is ``Document.labels``.
    """
    return frozenset(label.partition(" ")[0] for _, label in labels if " " in label)


def name(label: str, *, clause: bool = False) -> str:
    """What a label is called in references: ``article 5`` for ``Статья 5.`` and ``5-бап.``; ``section 2`` for ``2.``
    and ``II.``, or ``clause 2`` if ``clause`` is true; ``article 12.1`` for ``Статья 12-1``; ``""`` for a label such as
    ``1.1.``
    """
    if inserted := _LABEL_INSERTED.search(label):
        words = label.replace(inserted[0], " ").strip(" .:)№-–‑").split()
        unit = _unit(words[-1]) if words else ""
        return f"{unit} {_inserted(inserted[0])}" if unit in _INSERTABLE else ""
    match = _LABEL.search(label)
    if match is None:
        return ""
    words = label.replace(match[0], " ").strip(" .:)№-–‑").split()
    return f"{_unit(words[-1]) if words else 'clause' if clause else 'section'} {_value(match[0])}"


#: What may have a number such as 12.1 or 12-1, because it was inserted after the 12th.
_INSERTABLE = frozenset({"article", "chapter"})
_LABEL_INSERTED = re.compile(r"(?<![\w.-])\d{1,3}[.‑-]\d{1,2}(?![.‑-]?\d)")
_LABEL = re.compile(r"(?<![\w.])(?:\d{1,3}(?!\.?\d)|[IVXLІХ]{1,7}(?!\w)|[Ⅰ-Ⅻ]|(?<!\w)[A-Z](?=\.))")


def appendix_name(words: str) -> str:
    """What an appendix is called in references: ``appendix 1`` for «Приложение № 1 к Договору»; ``""`` if no number is
    found. ``words`` are those of its heading.
    """
    match = re.search(
        r"приложение\s*(?:№|n)?\s*(\d{1,2})|(\d{1,2})\s*[-–‑]?\s*(?:[ыі]?н?ш[ыі]\s+)?қосымша", words, re.I
    )
    match = match or re.search(r"()қосымша\S*\s*(?:№\s*)?(\d{1,2})", words, re.I)
    return f"appendix {match[1] or match[2]}" if match else ""


def _unit(word: str) -> str:
    word = f"{word.lower()} "
    return next((unit for beginning, unit in _UNITS if word.startswith(beginning)), "section")


def _numbers(written: str, unit: str) -> Iterator[tuple[int, str]]:
    """Yield the numbers in ``written``, such as ``2.1 и 2.2``, each with its offset there. ``unit`` is what they are
    the numbers of. ``12-1`` may be one number of an article or a chapter; otherwise it is two, the ends of a range.
    """
    end = 0
    for each in _EACH_NUMBER.finditer(written):
        inserted = _EACH_INSERTED.match(written, each.start()) if unit in _INSERTABLE else None
        if each.start() >= end:
            number = inserted[0] if inserted and _inserted(inserted[0]) else each[0].rstrip(".")
            end = each.start() + len(number)
            yield each.start(), number


def _inserted(written: str) -> str:
    """``12.1`` for 12.1 and 12-1; ``""`` for anything else, such as one number or the range 4-8. After a hyphen, the
    second number must be less than the first. After a dot, it may be any number.
    """
    match = re.fullmatch(r"(\d{1,3})(?:\.|([‑-]))(\d{1,2})", written)
    return f"{match[1]}.{match[3]}" if match and not (match[2] and int(match[3]) >= int(match[1])) else ""


def _kind(number: str, unit: str) -> str:
    """What a number is of: ``unit``, but ``section`` for «пункт II»; ``""`` for a number that contains a dot."""
    if "." in number:
        return ""
    return "section" if unit == "clause" and number and not number[0].isdigit() else unit


def _value(written: str) -> str:
    return written if written[:1].isdigit() else str(numeral(written) or ord(written[0]) - 64)


def find(text: str) -> Iterator[Reference]:
    """Yield the references in a text, in order.

    Each number or item of a list gives one reference, and a range (``4.1–4.3``) gives two, its ends. ``подпункт 2)
    пункта 3.1`` gives two: to the item and to the clause. A number with a dot refers to a clause, or to an article or a
    chapter that was inserted later. A reference that is recognised as one to another document is left out. Whether the
    unit exists is not checked.
    """
    owner: tuple[str, _Named] | None = None  # A Kazakh "3.1-тармақтың": its items may follow.
    for match in _LIST.finditer(text):
        before, (start, end) = text[max(0, match.start() - 24) : match.start()], match.span()
        if match["items"]:
            of: tuple[str, _Named] | None = None  # The clause that contains the items.
            ru = _RU.search(before) if match["items"][:-1].isdecimal() else None
            if ru and (_unit(ru["word"]) == "section" or _is_in_brackets(ru["word"], before, text, end)):
                # A parenthesis was opened before "раздел" or "п.".
                yield Reference(start, end - 1, match["items"][:-1], unit=_unit(ru["word"]))
            elif kk := _KK_ITEM.match(text, end):
                of = owner if owner and not text[owner[1].end : start].strip() else None
                end = kk.end()
                if of is None and _is_here(text, start):
                    of = "", _Named(end)
            elif _RU_ITEM.search(before):
                if ru := _RU_OF.match(text, end):
                    named = _russian("clause", text, ru.end())
                    of = (ru["number"], named) if named else None
                elif not _RU_ELSEWHERE.match(text, end):
                    of = "", _Named(end)
            if of:
                number, named = of
                number, unit = number and _value(number), _kind(number, named.unit)
                for item in _EACH_ITEM.finditer(match["items"]):
                    place, label = start + item.start(), item[0].strip('«»"“”„()') + ")"
                    yield Reference(place, start + item.end(), number, label, named.outer, unit, named.within)
            continue
        if not (named := _named(text, before, start, end)):
            continue
        owner = None
        for place, number in _numbers(match["numbers"], named.unit):
            place += start
            value = _inserted(number) if named.unit in _INSERTABLE else ""
            value, unit = value or _value(number), named.unit if value else _kind(number, named.unit)
            # Only the number of a clause contains a dot.
            if unit or named.unit == "clause":
                owner = value, named
                yield Reference(place, place + len(number), value, "", named.outer, unit, named.within)


def _is_in_brackets(word: str, before: str, text: str, end: int) -> bool:
    """Is the parenthesis after a number that of «(см. п. 8)», and not that of an item «п. 2) пункта 8»? ``word`` is the
    word before the number, ``before`` the text before the number, and ``end`` the offset after the parenthesis.
    """
    item = word.lower().startswith("под") or _RU_OF.match(text, end)
    return not item and before.rfind("(") > before.rfind(")")


class _Named(NamedTuple):
    """What a word makes of a number: the end of the reference, and values of ``Reference``. The end includes a word
    that follows the number.
    """

    end: int
    unit: str = ""
    within: str = ""
    outer: bool = False


def _named(text: str, before: str, start: int, end: int) -> _Named | None:
    """What the word before or after a number makes of it. ``None`` if no word makes the number a reference, or if it
    means another document.

    ``start`` and ``end`` are the place of the number, or of a list of numbers, in the text. ``before`` is the text
    directly before it.
    """
    if ru := _RU.search(before):
        return _russian(_unit(ru["word"]), text, end)
    kk = _KK.match(text, end)
    if kk is None:
        return None
    word = kk["word"].lower() + kk["ending"].lower()
    unit = _unit(word)
    if before.rstrip().endswith("№") and unit != "appendix":
        return None  # The number of a law.
    if kk["ending"].startswith("ша") and (unit != "clause" or text.count(".", start, end) < 2):
        return None  # A sub-clause is found here only if it is written as 3.1.2.
    if unit == "appendix" and _KK_TO.search(text[max(0, start - 40) : start]):
        return None
    owned, within, place = _OWNED.match(word) is not None, "", start
    if unit == "clause" and (found := _KK_WITHIN.search(text[max(0, start - 60) : start])):
        kind = _unit(found["word"])
        number = found["number"] and (_inserted(found["number"]) or _value(found["number"]))
        within = f"{kind} {number}" if number else f"this {kind}"
        if kind == "appendix":
            place = max(0, start - 60) + found.start()
            owned = False
    if not _is_here(text, place, owned=owned, of_law=unit == "article" and owned):
        return None
    return _Named(kk.end(), unit, within, _is_agreements(text[max(0, start - 60) : start]))


def _russian(unit: str, text: str, end: int) -> _Named | None:
    """What a Russian word for this kind of unit makes of the number after it, which ends at ``end``; ``None`` if it
    means another document.
    """
    within, last, alone = "", end, True
    if unit == "clause" and (more := _RU_MORE.match(text, end)):
        end, alone = more.end(), False
    if unit == "clause" and (match := _RU_WITHIN.match(text, end)) and (match["number"] or match["this"]):
        kind = _unit(match["word"])
        number = match["number"] and (_inserted(match["number"]) or _value(match["number"]))
        within = f"{kind} {number}" if number else f"this {kind}"
        end = match.end()
    elsewhere = _RU_ELSEWHERE if unit in {"clause", "section"} else _RU_DOCUMENT
    if elsewhere.match(text, end) or (unit == "appendix" and _RU_TO.match(text, end)):
        return None
    return _Named(last, unit, within, alone and _RU_AGREEMENT.match(text, end) is not None)


def _is_here(text: str, start: int, *, owned: bool = True, of_law: bool = False) -> bool:
    """Does a Kazakh reference mean this agreement, because no other document precedes it (``Заңның 8-бабының``)?

    ``start`` is the offset in ``text`` at which the reference begins. ``owned``: does the reference belong to the word
    before it (``Қағиданың 3.1-тармағы``)? If not, that word may belong to a later word (``деректердің 3.1-тармақта
    көрсетілген түрлері``). ``of_law``: is it an article with the possessive ending of ``8-бабы``? It usually belongs to
    a law. Then the result is true only if a word for this agreement precedes it.
    """
    before = text[max(0, start - 120) : start]
    while previous := _KK_PREVIOUS.search(before):
        word = previous["word"].lower()
        if article := _ARTICLE.match(word):
            of_law = of_law or bool(article["owned"])
            owned = owned or of_law
            before = before[: previous.start()]
            continue
        if word.startswith(_OWN):
            return True
        if not word.endswith(_GENITIVE):
            return not of_law
        if not owned and not word.startswith(_LAWS):
            return True
        before = before[: previous.start()]
        if not _OWN_PART.match(word):
            return before.split()[-1:] in (["осы"], ["Осы"])
    return not of_law


def _is_agreements(before: str) -> bool:
    previous = _KK_PREVIOUS.search(before)
    return previous is not None and previous["word"].lower().startswith(("келісім", "оферта", "шарт"))


def link(block: ET.Element, here: str, numbers: AbstractSet[str], labels: Mapping[tuple[str, str], str]) -> None:
    """Turn the references in a block of the unit ``here`` into links, in place. ``here`` is the number of the unit, or
    that of its parent if it has none. References to no unit remain text. So do those in links and in code, those whose
    number is only partly emphasised, and a reference to the appendix ``here``, such as the number in its own heading.

    ``numbers`` are the numbers to which links may lead, and ``labels`` is ``Document.labels``.
    """
    pieces = _pieces(block)
    text = "".join([piece.text for piece in pieces])
    if not _MAYBE_NUMBER.search(text):
        return
    edges, size = list[int](), 0
    for piece in pieces:
        edges.append(size)
        size += len(piece.text)
    links: dict[int, list[tuple[int, int, str]]] = defaultdict(list)
    for reference in find(text):
        at = bisect_right(edges, reference.start) - 1
        piece, start, end = pieces[at], reference.start - edges[at], reference.end - edges[at]
        if not piece.linkable or end > len(piece.text):
            continue
        target = reference.target(here, numbers, labels)
        if target and not (target == here and reference.unit == "appendix"):  # The heading of the appendix itself.
            links[at].append((start, end, target))
    children: dict[ET.Element, dict[int, list[ET.Element]]] = defaultdict(dict)
    for at, found in links.items():
        piece = pieces[at]
        head, anchors = _anchors(piece.text, found)
        if piece.place < 0:
            piece.element.text = head
        else:
            piece.element[piece.place].tail = head
        children[piece.element][piece.place] = anchors
    for element, added in children.items():
        element[:] = [
            *added.get(-1, ()),
            *(one for place, child in enumerate(element) for one in (child, *added.get(place, ()))),
        ]


class _Piece(NamedTuple):
    """A text in a block: that of ``element`` before its first child, or, if ``place`` is not -1, after the child at
    ``place``. ``linkable``: may a reference in it become a link?
    """

    text: str
    element: ET.Element
    place: int = -1
    linkable: bool = True


def _pieces(block: ET.Element) -> list[_Piece]:
    """The texts in a block, in order. ``|`` stands before each inner block and each line break, and in place of a
    printed number.
    """
    if not len(block):
        return [_Piece(block.text or "", block, linkable=block.tag not in {"code", "pre"})]
    if len(block) == 1 and block[0].get("class") in _LABELS:
        return [
            _Piece(block.text or "", block),
            _Piece("|", block[0], linkable=False),
            _Piece(block[0].tail or "", block, 0),
        ]
    pieces = list[_Piece]()
    waiting: list[_Piece | tuple[ET.Element, bool]] = [(block, True)]
    while waiting:
        following = waiting.pop()
        if isinstance(following, _Piece):
            pieces.append(following)
            continue
        element, linkable = following
        linkable = linkable and element.tag not in {"a", "code", "pre"}
        inside: list[_Piece | tuple[ET.Element, bool]] = [_Piece(element.text or "", element, linkable=linkable)]
        for place, child in enumerate(element):
            if child.tag not in _INLINE or child.get("class") in _LABELS:
                inside.append(_Piece("|", child, linkable=False))
            if child.get("class") not in _LABELS:
                inside.append((child, linkable))
            inside.append(_Piece(child.tail or "", element, place, linkable))
        waiting += reversed(inside)
    return pieces


_LABELS = frozenset({"number", "name"})
_INLINE = frozenset({"a", "code", "em", "span", "strong"})


def _anchors(text: str, links: list[tuple[int, int, str]]) -> tuple[str, list[ET.Element]]:
    """The text before the first link, and the links, each with the text after it. A link is its start and end in the
    text and its target.
    """
    anchors = list[ET.Element]()
    for place, (start, end, target) in enumerate(links):
        anchor = ET.Element("a", {"href": f"#{target}", "class": "reference"})
        anchor.text = text[start:end]
        anchor.tail = text[end : links[place + 1][0] if place + 1 < len(links) else len(text)]
        anchors.append(anchor)
    return text[: links[0][0]], anchors
