"""An amendment in words: the sentences of the instrument that a lawyer writes, in Kazakh and Russian.

The phrases are those of the acts of Kazakhstan: «пункт 2.3 изложить в следующей редакции», «2.3-тармақ мынадай
редакцияда жазылсын».

In all functions ``language`` is ``kk`` or ``ru``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Literal

from agreement.text import dates
from agreement.text.redline.operations import Operation, Path, Phrase, Step
from agreement.text.redline.words import WORD

Case = Literal["accusative", "genitive", "dative", "locative", "ablative", "instrumental"]

#: The Russian nouns of a :class:`Step`: accusative, genitive, instrumental, prepositional; accusative and instrumental
#: of the plural; dative.
RUSSIAN = {
    "section": ("раздел", "раздела", "разделом", "разделе", "разделы", "разделами", "разделу"),
    "chapter": ("главу", "главы", "главой", "главе", "главы", "главами", "главе"),
    "article": ("статью", "статьи", "статьёй", "статье", "статьи", "статьями", "статье"),
    "paragraph": ("параграф", "параграфа", "параграфом", "параграфе", "параграфы", "параграфами", "параграфу"),
    "clause": ("пункт", "пункта", "пунктом", "пункте", "пункты", "пунктами", "пункту"),
    "subclause": ("подпункт", "подпункта", "подпунктом", "подпункте", "подпункты", "подпунктами", "подпункту"),
    "appendix": ("приложение", "приложения", "приложением", "приложении", "приложения", "приложениями", "приложению"),
    "note": ("примечание", "примечания", "примечанием", "примечании", "примечания", "примечаниями", "примечанию"),
    "heading": ("заголовок", "заголовка", "заголовком", "заголовке", "заголовки", "заголовками", "заголовку"),
    "caption": ("заголовок", "заголовка", "заголовком", "заголовке", "заголовки", "заголовками", "заголовку"),
    "title": ("название", "названия", "названием", "названии", "названия", "названиями", "названию"),
    "preamble": ("преамбулу", "преамбулы", "преамбулой", "преамбуле", "преамбулы", "преамбулами", "преамбуле"),
    "lead": (
        *("вводную часть", "вводной части", "вводной частью", "вводной части"),
        *("вводные части", "вводными частями", "вводной части"),
    ),
    "text": ("текст", "текста", "текстом", "тексте", "тексты", "текстами", "тексту"),
    "under": ("текст", "текста", "текстом", "тексте", "тексты", "текстами", "тексту"),
    "line": ("абзац", "абзаца", "абзацем", "абзаце", "абзацы", "абзацами", "абзацу"),
}
_RUSSIAN_CASES: dict[Case, int] = {"accusative": 0, "genitive": 1, "instrumental": 2, "locative": 3, "dative": 6}
#: The Kazakh nouns in the nominative. Their other forms follow from the last letters (:func:`_kazakh`).
KAZAKH = {
    "section": "бөлім",
    "chapter": "тарау",
    "article": "бап",
    "paragraph": "параграф",
    "clause": "тармақ",
    "subclause": "тармақша",
    "appendix": "қосымша",
    "note": "ескертпе",
    "heading": "тақырып",
    "caption": "тақырып",
    "title": "атау",
    "preamble": "кіріспе",
    "lead": "кіріспе бөлік",
    "text": "мәтін",
    "under": "мәтін",
    "line": "абзац",
}
_RUSSIAN_ORDINALS = (
    *("перв", "втор", "трет", "четвёрт", "пят", "шест", "седьм", "восьм", "девят", "десят"),
    *("одиннадцат", "двенадцат", "тринадцат", "четырнадцат", "пятнадцат"),
    *("шестнадцат", "семнадцат", "восемнадцат", "девятнадцат", "двадцат"),
)
_RUSSIAN_ENDINGS: dict[Case, str] = {"accusative": "ый", "genitive": "ого", "instrumental": "ым", "locative": "ом"}
_KAZAKH_ORDINALS = (
    *("бірінші", "екінші", "үшінші", "төртінші", "бесінші"),
    *("алтыншы", "жетінші", "сегізінші", "тоғызыншы", "оныншы"),
    *("он бірінші", "он екінші", "он үшінші", "он төртінші", "он бесінші"),
    *("он алтыншы", "он жетінші", "он сегізінші", "он тоғызыншы", "жиырмасыншы"),
)
#: After such a number in Kazakh stands no hyphen: «I бөлім», «2) тармақша».
_WITHOUT_HYPHEN = re.compile(r"(?:[IVXLCDMІХ]+|.*\))\Z")
#: What words, digits and signs are called: in Russian the accusative, instrumental and genitive of both numbers, in
#: Kazakh the nominative of both numbers.
_RUSSIAN_WORDS = {
    "word": (("слово", "словом", "слова"), ("слова", "словами", "слов")),
    "digit": (("цифру", "цифрой", "цифры"), ("цифры", "цифрами", "цифр")),
}
_KAZAKH_WORDS = {"word": ("сөз", "сөздер"), "digit": ("цифр", "цифрлар")}
_BACK = frozenset("аоұыуи")
_FRONT = frozenset("әөүіе")


@dataclass(frozen=True, slots=True)
class Point:
    """One numbered point of an instrument: its sentence without the final sign, and the lines of the new wording that
    follow it in quotation marks."""

    sentence: str
    quote: tuple[str, ...] = ()

    def lines(self, end: str) -> list[str]:
        """The sentence and the quotation as they are printed, with ``end`` after them: ``;`` or ``.``."""
        if not self.quote:
            return [self.sentence + end]
        quote = "\n".join(map(inner_quotes, self.quote))
        return [self.sentence + ":", *f"«{quote}»{end}".split("\n")]


def points(operations: Iterable[Operation], language: str) -> tuple[Point, ...]:
    """The points of the instrument in ``kk`` or ``ru``, in the order of the operations. ``formatting`` gives none."""
    say = _say_kazakh if language == "kk" else _say_russian
    return tuple(Point(say(one), one.quote) for one in operations if one.kind != "formatting")


def title(operations: Sequence[Operation], language: str, name: str) -> str:
    """The title, in ``kk`` or ``ru``, of the instrument that amends the document with the title ``name``: «О внесении
    изменения в …».
    """
    changes, additions = _counts(operations)
    if language == "kk":
        return f"«{inner_quotes(name)}» құжатына {_kazakh_subject(changes, additions)} енгізу туралы"
    found = [("изменений" if changes > 1 else "изменения")] if changes or not additions else []
    found += [("дополнений" if additions > 1 else "дополнения")] if additions else []
    subject = " и ".join(found)
    return f"О внесении {subject} в документ «{inner_quotes(name)}»"


def enacting(operations: Sequence[Operation], language: str, name: str, edition: str) -> str:
    """The sentence before the numbered points, in ``kk`` or ``ru``: «Внести в документ … следующие изменения:». It has
    no number itself. ``name`` is the title of the document. ``edition`` names the edition that is amended: «редакция №
    1».
    """
    changes, additions = _counts(operations)
    if language == "kk":
        subject = _kazakh_subject(changes, additions)
        return f"«{inner_quotes(name)}» құжатына ({edition}) мынадай {subject} енгізілсін:"
    found = [("изменения" if changes > 1 else "изменение")] if changes or not additions else []
    found += [("дополнения" if additions > 1 else "дополнение")] if additions else []
    subject = f"{'следующие' if changes + additions > 1 else 'следующее'} {' и '.join(found)}"
    return f"Внести в документ «{inner_quotes(name)}» ({edition}) {subject}:"


def edition_name(number: int | None, at: datetime | None, language: str, zone: str) -> str:
    """The amended edition as the sentence before the points names it: «редакция № 1 от 1 марта 2026 года». For a draft,
    whose ``number`` is ``None``, it is «проект» or «жоба» alone. ``at`` is the moment of its effect, and ``zone`` the
    name of the time zone of the date. If ``at`` is ``None``, the date is left out. ``language`` is ``kk`` or ``ru``.
    """
    if number is None:
        return "жоба" if language == "kk" else "проект"
    if language == "kk":
        on = dates.day(at, language, zone, "on") if at else ""
        return f"{on}{'ғы' if on.endswith('а') else 'гі'} {number}-редакция" if on else f"{number}-редакция"
    return f"редакция №{dates.NBSP}{number}" + (f" от {day(at, language, zone)}" if at else "")


def effect(number: int | None, at: datetime | None, language: str, zone: str, *, cancelled: bool = False) -> str:
    """The sentence after the points: when the new edition takes effect, or, if ``cancelled`` is true, that it does not.
    ``language`` is ``kk`` or ``ru``. ``number`` is the number of the new edition, ``at`` the moment of its effect, and
    ``zone`` the name of the time zone in which it is written. Without ``number`` the sentence speaks of «Новая
    редакция» or «Жаңа редакция». Without ``at`` it says that the edition takes effect when it is published.
    """
    if language == "kk":
        name = f"{number}-редакция" if number else "Жаңа редакция"
        if cancelled:
            return f"{name} күшіне енгізілмеген."
        if at is None:
            return f"{name} жарияланған сәттен бастап күшіне енеді."
        moment = f"сағат{dates.NBSP}{dates.clock(at, zone)}, {dates.zone(at, language, zone)}"
        return f"{name} {dates.day(at, language, zone, 'from')} бастап ({moment}) күшіне енеді."
    name = f"Редакция №{dates.NBSP}{number}" if number else "Новая редакция"
    if cancelled:
        return f"{name} отменена до вступления в силу."
    if at is None:
        return f"{name} вступает в силу с момента опубликования."
    moment = f"{day(at, language, zone)} в{dates.NBSP}{dates.clock(at, zone)} ({dates.zone(at, language, zone)})"
    return f"{name} вступает в силу {moment}."


def day(at: datetime, language: str, zone: str) -> str:
    """The date in the time zone with the name ``zone``, as acts write it: «2026 жылғы 1 наурыз» in ``kk``, «1 марта
    2026 года» in ``ru``.
    """
    return dates.day(at, language, zone).removesuffix("г.") + ("года" if language == "ru" else "")


def inner_quotes(text: str) -> str:
    """The text as it is printed between «quotation marks»: its own « and » become „ and “."""
    return text.replace("«", "„").replace("»", "“")


def _counts(operations: Iterable[Operation]) -> tuple[int, int]:
    """How many operations change, delete or move something, and how many insert units or lines. An operation of the
    kind ``insert`` counts only in the second number. ``formatting`` counts in neither.
    """
    kinds = [operation.kind for operation in operations if operation.kind != "formatting"]
    additions = kinds.count("insert")
    return len(kinds) - additions, additions


def _kazakh_subject(changes: int, additions: int) -> str:
    change, addition = ("өзгерістер" if changes > 1 else "өзгеріс"), ("толықтырулар" if additions > 1 else "толықтыру")
    if changes and additions:
        return f"{change} {'мен' if changes > 1 else 'пен'} {addition}"
    return addition if additions else change


# Russian


def _say_russian(one: Operation) -> str:
    old = _russian(one.old, "accusative")
    if one.kind == "delete":
        return f"{_russian_part(one, 'accusative')} исключить"
    if one.kind == "insert":
        return _say_russian_insertion(one)
    leads = []
    if one.kind == "move" and one.container and one.new:
        leads.append(f"{old} перенести в {_russian([one.container], 'accusative')} и")
    if one.new:
        each = " соответственно" if len(one.new) > 1 else ""
        numbers = f"считать {_russian(one.new, 'instrumental', inner=True)}{each}"
        leads = [f"{leads[0]} {numbers}"] if leads else [f"{old} {numbers}"]
    if one.after is not None:
        place = f"после {_russian([one.after], 'genitive')}" if one.after else "в начале текста"
        leads.append(f"разместить {place}" if leads else f"{old} разместить {place}")
    if one.kind in {"renumber", "move"}:
        return ", ".join(leads)
    if one.kind == "words":
        changes = ", ".join(_russian_phrases(one.phrases))
        if not one.old:
            return f"по всему тексту {changes}"
        if _only_adds(one) and (one.part or not leads):
            within = _russian([one.part], "accusative") if leads else _russian_part(one, "accusative")
            return ", ".join([*leads, f"{within} {changes}"])
        within = _russian_part(one, "locative") if not leads else _russian([one.part], "locative")
        return ", ".join([*leads, f"{_in(within)} {changes}" if within else f"в нём {changes}"])
    if leads and not one.part:
        return f"{', '.join(leads)} и изложить в следующей редакции"
    whole = _russian_part(one, "accusative") if not leads else _russian([one.part], "accusative")
    return ", ".join([*leads, f"{whole} изложить в следующей редакции"])


def _say_russian_insertion(one: Operation) -> str:
    what = _russian_part(one, "instrumental", alone=True) if one.part else _russian(one.new, "instrumental", inner=True)
    place = _russian([one.container], "accusative")
    if one.after is not None:
        place = f"после {_russian([one.after], 'genitive')}" if one.after else "в начале текста"
    return f"{place} дополнить {what} следующего содержания".strip()


def _russian_part(one: Operation, case: Case, *, alone: bool = False) -> str:
    """The words, in that grammatical case, for what the operation is about: the part of its one unit, or its units if
    it has no part. ``alone`` leaves out the unit that contains the part.
    """
    if not one.part:
        return _russian(one.old, case)
    whole = () if alone else (one.old or (one.container,))[0]
    if one.part[0].noun == "line":
        return _russian([(step, *whole) for step in one.part], case)
    return _russian([(*one.part, *whole)], case)


def _russian(paths: Sequence[Path], case: Case, *, inner: bool = False) -> str:
    """The words, in that grammatical case, for one or several units of one container: «пункты 4.1–4.5 приложения 1».
    ``inner`` leaves the container out. ``""`` if there is no unit.
    """
    paths = [path for path in paths if path]
    if not paths:
        return ""
    (noun, first), *outer = paths[0]
    numbers = [path[0].number for path in paths if path[0].number]
    forms = RUSSIAN[noun]
    if len(paths) == 1:
        words = forms[_RUSSIAN_CASES[case]]
    elif case == "locative":
        words = forms[5].removesuffix("ми") + "х"
    else:
        words = forms[4 if case == "accusative" else 5]
    if noun in {"heading", "under"}:
        quoted = f" «{inner_quotes(first)}»" if first else ""
        words += f" под заголовком{quoted}" if noun == "under" else quoted
    elif (
        noun == "line"
        and numbers
        and all(number.isdecimal() and int(number) <= len(_RUSSIAN_ORDINALS) for number in numbers)
    ):
        words += " " + _listed([_russian_ordinal(int(number), case) for number in numbers], " и ")
    elif numbers:
        words += " " + _listed(numbers, " и ")
    if inner:
        return words
    if noun == "note" and outer:
        return f"{words} к {_russian([tuple(outer)], 'dative')}"
    return " ".join([words, *([_russian([tuple(outer)], "genitive")] if outer else [])])


def _russian_ordinal(number: int, case: Case) -> str:
    stem = _RUSSIAN_ORDINALS[number - 1]
    if number == 3:
        return stem + {"accusative": "ий", "genitive": "ьего", "instrumental": "ьим"}.get(case, "ьем")
    ending = _RUSSIAN_ENDINGS[case]
    return stem + ("ой" if case == "accusative" and number in {2, 6, 7, 8} else ending)


def _in(place: str) -> str:
    return f"{'во' if place.startswith('вводн') else 'в'} {place}"


def _russian_phrases(found: Iterable[Phrase]) -> Iterator[str]:
    for deletes, group in groupby(found, key=lambda phrase: not phrase.new):
        phrases = [*group]
        if deletes and len(phrases) > 1:
            yield f"{_RUSSIAN_WORDS[_sort_of_all(phrases)][1][0]} {_quoted_old(phrases, ' и ')} исключить"
        else:
            yield from map(_russian_phrase, phrases)


def _russian_phrase(phrase: Phrase) -> str:
    forms = _RUSSIAN_WORDS[_sort(phrase.old)][_is_plural(phrase.old)]
    old, new = f"«{inner_quotes(phrase.old)}»", f"«{inner_quotes(phrase.new)}»"
    if not phrase.new:
        return f"{forms[0]} {old} исключить"
    by = _RUSSIAN_WORDS[_sort(phrase.new)][_is_plural(phrase.new)][1]
    if phrase.after:
        return f"после {forms[2]} {old} дополнить {by} {new}"
    return f"{forms[0]} {old} заменить {by} {new}"


# Kazakh


def _say_kazakh(one: Operation) -> str:
    old = _kazakh_units(one.old)
    if one.kind == "delete":
        return f"{_kazakh_part(one)} алып тасталсын"
    if one.kind == "insert":
        return _say_kazakh_insertion(one)
    leads = []
    if one.kind == "move" and one.container and one.new:
        leads.append(f"{old} {_kazakh_units([one.container], 'dative')} көшірілсін және")
    if one.new:
        each = "тиісінше " if len(one.new) > 1 else ""
        numbers = f"{each}{_kazakh_units(one.new, inner=True)} болып саналсын"
        leads = [f"{leads[0]} {numbers}"] if leads else [f"{old} {numbers}"]
    if one.after is not None:
        place = f"{_kazakh_units([one.after], 'ablative')} кейін" if one.after else "мәтіннің басына"
        leads.append(f"{place} орналастырылсын" if leads else f"{old} {place} орналастырылсын")
    if one.kind in {"renumber", "move"}:
        return ", ".join(leads)
    if one.kind == "words":
        changes = ", ".join(_kazakh_phrases(one.phrases))
        if not one.old:
            return f"бүкіл мәтін бойынша {changes}"
        case: Case = "accusative" if _only_adds(one) else "locative"
        within = _kazakh_part(one, case) if not leads else _kazakh_units([one.part], case)
        if within and not any(phrase.after for phrase in one.phrases):
            within += "ғы" if within.endswith("а") else "гі"
        return ", ".join([*leads, f"{within or 'онда'} {changes}"])
    if leads and not one.part:
        return f"{', '.join(leads)} және мынадай редакцияда жазылсын"
    whole = _kazakh_part(one) if not leads else _kazakh_units([one.part])
    return ", ".join([*leads, f"{whole} мынадай редакцияда жазылсын"])


def _say_kazakh_insertion(one: Operation) -> str:
    if one.part:
        what = _kazakh_part(one, "instrumental", alone=True)
    else:
        what = _kazakh_units(one.new, "instrumental", inner=True)
    place = _kazakh_units([one.container])
    if one.after is not None:
        place = f"{_kazakh_units([one.after], 'ablative')} кейін" if one.after else "мәтіннің басы"
    return f"{place} мынадай мазмұндағы {what} толықтырылсын".strip()


def _kazakh_part(one: Operation, case: Case = "accusative", *, alone: bool = False) -> str:
    if not one.part:
        return _kazakh_units(one.old, case)
    whole = () if alone else (one.old or (one.container,))[0]
    if one.part[0].noun == "line":
        return _kazakh_units([(step, *whole) for step in one.part], case)
    return _kazakh_units([(*one.part, *whole)], case)


def _kazakh_units(paths: Sequence[Path], case: Case = "accusative", *, inner: bool = False) -> str:
    """The words, in that grammatical case, for one or several units of one container: «1-қосымшаның
    4.1–4.5-тармақтары». ``accusative`` stands for the nominative, which the passive verbs need. ``inner`` leaves the
    container out. ``""`` if there is no unit.
    """
    paths = [path for path in paths if path]
    if not paths:
        return ""
    step, *outer = paths[0]
    outer = [] if inner else outer
    owned = bool(outer) or (step.noun == "title" and not inner)
    word = _kazakh(KAZAKH[step.noun], case, plural=len(paths) > 1, owned=owned)
    found = [_kazakh_number([path[0] for path in paths], word)]
    for place, one in enumerate(outer):
        noun = _kazakh(KAZAKH[one.noun], "genitive", owned=place < len(outer) - 1)
        found.insert(0, _kazakh_number([one], noun))
    return " ".join(found)


def _kazakh_number(steps: Sequence[Step], word: str) -> str:
    noun, numbers = steps[0].noun, [step.number for step in steps if step.number]
    if noun in {"heading", "under"}:
        quoted = f"«{inner_quotes(numbers[0])}» деген " if numbers else ""
        return f"{quoted}тақырыптан кейінгі {word}" if noun == "under" else quoted + word
    if (
        noun == "line"
        and numbers
        and all(number.isdecimal() and int(number) <= len(_KAZAKH_ORDINALS) for number in numbers)
    ):
        return f"{_listed([_KAZAKH_ORDINALS[int(number) - 1] for number in numbers], ' және ')} {word}"
    if not numbers:
        return word
    listed = _listed(numbers, " және ")
    return f"{listed}{' ' if _WITHOUT_HYPHEN.match(numbers[-1]) else '-'}{word}"


def _kazakh(word: str, case: Case, *, plural: bool = False, owned: bool = False) -> str:
    """The form of a Kazakh noun in that grammatical case, by the harmony of vowels and by its last sound.
    ``accusative`` stands for the nominative. ``owned`` adds the ending of the third person: тармағы.
    """
    back = next(letter for letter in reversed(word) if letter in _BACK | _FRONT) in _BACK
    if plural:
        last = word[-1]
        consonant = "л" if last in _BACK | _FRONT or last in "руй" else "т" if last in "қкптсшфц" else "д"
        word += consonant + ("ар" if back else "ер")
    if owned:
        vowel = "ы" if back else "і"
        if word[-1] in _BACK - {"у"} | _FRONT:
            word += "с" + vowel
        else:
            word = word[:-1] + {"қ": "ғ", "к": "г", "п": "б"}.get(word[-1], word[-1]) + vowel
    a, last = ("а" if back else "е"), word[-1]
    voiceless, nasal = last in "қкптсшфц", last in "мнң"
    if case == "genitive":
        first = "н" if last in _BACK - {"у"} | _FRONT or nasal else "т" if voiceless else "д"
        return word + first + ("ың" if back else "ің")
    if case == "dative":
        return word + ("н" + a if owned else (("қ" if back else "к") if voiceless else ("ғ" if back else "г")) + a)
    if case == "locative":
        return word + ("н" if owned else "") + ("т" if voiceless else "д") + a
    if case == "ablative":
        return word + ("н" if owned or nasal else "т" if voiceless else "д") + a + "н"
    if case == "instrumental":
        return word + ("пен" if voiceless else "бен" if last in "зжбвгд" else "мен")
    return word


def _kazakh_phrases(found: Iterable[Phrase]) -> Iterator[str]:
    for deletes, group in groupby(found, key=lambda phrase: not phrase.new):
        phrases = [*group]
        if deletes and len(phrases) > 1:
            noun = _KAZAKH_WORDS[_sort_of_all(phrases)][1]
            yield f"{_quoted_old(phrases, ' және ')} деген {noun} алып тасталсын"
        else:
            yield from map(_kazakh_phrase, phrases)


def _kazakh_phrase(phrase: Phrase) -> str:
    noun = _KAZAKH_WORDS[_sort(phrase.old)][_is_plural(phrase.old)]
    old, new = f"«{inner_quotes(phrase.old)}» деген", f"«{inner_quotes(phrase.new)}» деген"
    if not phrase.new:
        return f"{old} {noun} алып тасталсын"
    by = _kazakh(_KAZAKH_WORDS[_sort(phrase.new)][_is_plural(phrase.new)], "instrumental")
    if phrase.after:
        return f"{old} {_kazakh(noun, 'ablative')} кейін {new} {by} толықтырылсын"
    return f"{old} {noun} {new} {by} ауыстырылсын"


# Both


def _only_adds(one: Operation) -> bool:
    """Do all phrases insert words, and none replace or delete any? Then their unit is what the sentence supplements:
    «тармақ … толықтырылсын». The operation has at least one phrase.
    """
    return all(phrase.after for phrase in one.phrases)


def _sort(words: str) -> Literal["word", "digit"]:
    return "word" if any(map(str.isalpha, words)) else "digit"


def _sort_of_all(phrases: Iterable[Phrase]) -> Literal["word", "digit"]:
    return _sort(" ".join(phrase.old for phrase in phrases))


def _quoted_old(phrases: Iterable[Phrase], conjunction: str) -> str:
    quoted = [f"«{inner_quotes(phrase.old)}»" for phrase in phrases]
    return conjunction.join((", ".join(quoted[:-1]), quoted[-1]))


def _is_plural(words: str) -> bool:
    if _sort(words) == "digit":
        return sum(map(str.isdigit, words)) > 1
    return len(WORD.findall(words)) > 1


def _listed(numbers: Sequence[str], conjunction: str) -> str:
    """The numbers, separated by commas, with the conjunction before the last. Three or more that follow each other are
    a range.
    """
    runs: list[list[str]] = []
    for number in numbers:
        if runs and _follows(runs[-1][-1], number):
            runs[-1].append(number)
        else:
            runs.append([number])
    parts = [part for run in runs for part in ([f"{run[0]}–{run[-1]}"] if len(run) > 2 else run)]
    return conjunction.join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def _follows(number: str, following: str) -> bool:
    """Is the second number the next one after the first: 4.1 and 4.2, 2) and 3)?"""
    head, _, last = number.rstrip(")").rpartition(".")
    other, _, after = following.rstrip(")").rpartition(".")
    return head == other and last.isdecimal() and after.isdecimal() and int(after) == int(last) + 1
