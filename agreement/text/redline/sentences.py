"""A redline in words: the facts about a change, a summary in one sentence, and plain text for mail."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from agreement.text.clauses import Clause, named_label
from agreement.text.redline.changes import Change, Redline
from agreement.text.redline.words import Run

#: Facts about a unit and names of kinds of units, in each language.
PHRASES = {
    "kk": {
        "reworded": "өзгертілді",
        "restated": "жаңа редакцияда жазылды",
        "inserted": "қосылды",
        "deleted": "алып тасталды",
        "renumbered": "бұрынғы нөмірі {was}",
        "relocated": "бұрынғы орны: {was}",
        "appendix": "{number}‑қосымша",
        "unnumbered": "бұрын нөмірсіз болған",
        "moved": "орны ауыстырылды",
        "reformatted": "ресімделуі ғана өзгерді",
        "replaced": "толығымен ауыстырылды: сөзбе-сөз салыстыру үшін тым ұзын",
        "front": "атаудың үстіндегі деректемелер",
        "title": "атауы",
        "text": "нөмірсіз мәтін",
        "note": "ескертпе",
        "heading": "тақырып",
        "none": "Мәтін өзгерген жоқ.",
        "only_kk": "Орыс тіліндегі мәтін өзгерген жоқ, қазақ тіліндегі мәтін өзгерді. {changes}",
        "only_ru": "Қазақ тіліндегі мәтін өзгерген жоқ, орыс тіліндегі мәтін өзгерді. {changes}",
    },
    "ru": {
        "reworded": "{изменён}",
        "restated": "{изложен} в новой редакции",
        "inserted": "{добавлен}",
        "deleted": "{исключён}",
        "renumbered": "прежний номер {was}",
        "relocated": "прежнее место: {was}",
        "appendix": "приложение {number}",
        "unnumbered": "прежде без номера",
        "moved": "{перемещён}",
        "reformatted": "изменено только оформление",
        "replaced": "{заменён} целиком: слишком длинный текст не сравнивается по словам",
        "front": "реквизиты над названием",
        "title": "название",
        "text": "текст без номера",
        "note": "примечание",
        "heading": "заголовок",
        "none": "Текст не изменился.",
        "only_kk": "Текст на русском языке не изменился, текст на казахском языке изменился. {changes}",
        "only_ru": "Текст на казахском языке не изменился, текст на русском языке изменился. {changes}",
    },
    "en": {
        "reworded": "reworded",
        "restated": "restated",
        "inserted": "added",
        "deleted": "deleted",
        "renumbered": "formerly {was}",
        "relocated": "formerly at {was}",
        "appendix": "appendix {number}",
        "unnumbered": "formerly without a number",
        "moved": "moved",
        "reformatted": "formatting only",
        "replaced": "replaced as a whole: too long to compare word by word",
        "front": "details above the title",
        "title": "title",
        "text": "unnumbered text",
        "note": "note",
        "heading": "heading",
        "none": "Nothing changed.",
        "only_kk": "The Russian text did not change, but the Kazakh text did. {changes}",
        "only_ru": "The Kazakh text did not change, but the Russian text did. {changes}",
    },
}
#: The Russian participles in ``PHRASES``, in the feminine, in the neuter and in the plural.
_PARTICIPLES = {
    "изменён": ("изменена", "изменено", "изменены"),
    "изложен": ("изложена", "изложено", "изложены"),
    "добавлен": ("добавлена", "добавлено", "добавлены"),
    "исключён": ("исключена", "исключено", "исключены"),
    "перемещён": ("перемещена", "перемещено", "перемещены"),
    "заменён": ("заменена", "заменено", "заменены"),
}
#: The Russian names of units that are not masculine. The first word of a printed name («Глава 2») is one of them.
_FEMININE, _NEUTER = {"глава", "статья", "часть", "книга"}, {"приложение", "название", "примечание", "положение"}
_PLURAL = {"реквизиты"}
#: The words before the counts of the summary, in its order.
_COUNTED = {
    "kk": {
        "reworded": "өзгертілді",
        "restated": "жаңа редакцияда жазылды",
        "inserted": "қосылды",
        "deleted": "алып тасталды",
        "renumbered": "нөмірі өзгерді",
        "moved": "орны ауыстырылды",
        "reformatted": "ресімделуі ғана өзгерді",
    },
    "ru": {
        "reworded": "изменено",
        "restated": "изложено в новой редакции",
        "inserted": "добавлено",
        "deleted": "исключено",
        "renumbered": "перенумеровано",
        "moved": "перемещено",
        "reformatted": "изменено только оформление",
    },
    "en": {
        "reworded": "changed",
        "restated": "restated",
        "inserted": "added",
        "deleted": "deleted",
        "renumbered": "renumbered",
        "moved": "moved",
        "reformatted": "formatting alone changed",
    },
}
#: The nouns of the counted units, in the order of the summary. Each has three forms: for 1, for 2–4, for 5 and more
#: (Russian).
_NOUNS = {
    "kk": {
        "section": ("бөлім",) * 3,
        "clause": ("тармақ",) * 3,
        "subclause": ("тармақша",) * 3,
        "appendix": ("қосымша",) * 3,
    },
    "ru": {
        "section": ("раздел", "раздела", "разделов"),
        "clause": ("пункт", "пункта", "пунктов"),
        "subclause": ("подпункт", "подпункта", "подпунктов"),
        "appendix": ("приложение", "приложения", "приложений"),
    },
    "en": {
        "section": ("section", "sections", "sections"),
        "clause": ("clause", "clauses", "clauses"),
        "subclause": ("sub-clause", "sub-clauses", "sub-clauses"),
        "appendix": ("appendix", "appendices", "appendices"),
    },
}
#: The parts of the summary without a count: about units that have no number in either edition.
_UNNUMBERED = {
    "kk": {
        "title": "атауы өзгерді",
        "front": "атаудың үстіндегі деректемелер өзгерді",
        "outside": "тармақтардан тыс мәтін өзгерді",
        "look": "тармақтардан тыс мәтіннің ресімделуі ғана өзгерді",
    },
    "ru": {
        "title": "изменено название",
        "front": "изменены реквизиты над названием",
        "outside": "изменён текст вне пунктов",
        "look": "изменено только оформление текста вне пунктов",
    },
    "en": {
        "title": "title changed",
        "front": "details above the title changed",
        "outside": "text outside the clauses changed",
        "look": "formatting alone changed outside the clauses",
    },
}

#: How many characters of unchanged text are kept on each side of a change when a clause is shortened. Only a passage
#: of more than three times as many is shortened.
CONTEXT_CHARACTERS = 150

_MARKS = re.compile(r"(?<=\[)(?=-)|(?<=-)(?=\])|(?<=\{)(?=\+)|(?<=\+)(?=\})")


def facts(change: Change) -> tuple[str, ...]:
    """The facts about a unit, as keys of ``PHRASES["en"]``; empty if it is unchanged.

    Several are possible, in this order: inserted, deleted, one of reworded, restated and replaced, renumbered, moved,
    reformatted.
    """
    known = {
        "inserted": change.inserted,
        "deleted": change.deleted,
        "reworded": change.text_changed and not (change.restated or change.replaced),
        "restated": change.restated,
        "replaced": change.replaced,
        "renumbered": change.renumbered,
        "moved": change.moved,
        "reformatted": change.reformatted,
    }
    return tuple(fact for fact, is_true in known.items() if is_true)


def summary(redline: Redline, language: str) -> str:
    """The redline in one sentence: "Changed: 1 section, 4 clauses; added: 2 clauses; renumbered: 5 clauses."

    ``language`` is kk, ru or en. A unit with a number is counted (:func:`counted`) for each of its facts; if it was
    replaced, it counts as changed. Changes of units that have no number in either edition are parts without a count,
    such as "title changed". If nothing changed, the sentence says so.
    """
    units: dict[str, list[Clause]] = defaultdict(list)
    unnumbered: set[str] = set()
    for change in redline.changed:
        known = facts(change)
        unit = next((unit for unit in (change.new, change.old) if unit and unit.number), None)
        if unit is None:
            unnumbered.add("look" if known == ("reformatted",) else _outside(change.unit))
            continue
        for fact in known:
            units["reworded" if fact == "replaced" else fact].append(unit)
    parts = [f"{words}: {counted(units[fact], language)}" for fact, words in _COUNTED[language].items() if units[fact]]
    parts += [words for name, words in _UNNUMBERED[language].items() if name in unnumbered]
    line = "; ".join(parts)
    return f"{line[0].upper()}{line[1:]}." if line else PHRASES[language]["none"]


def counted(units: Iterable[Clause], language: str) -> str:
    """How many sections, clauses, sub-clauses (with the items) and appendices these numbered units are: "5 sections, 4
    clauses". A noun with the count 0 is left out; without units, the result is "0 clauses". ``language`` is kk, ru or
    en.
    """
    kinds = {"heading": "appendix", "item": "subclause"}
    counts = Counter(kinds.get(unit.kind, unit.kind) for unit in units)
    return ", ".join(
        f"{counts[noun]} {forms[_plural(counts[noun], language)]}"
        for noun, forms in _NOUNS[language].items()
        if counts[noun] or (noun == "clause" and not counts)
    )


def _outside(unit: Clause) -> str:
    return unit.kind if unit.kind in {"title", "front"} else "outside"


def _plural(count: int, language: str) -> int:
    """The index of the plural form: 0 for one, 1 for few, 2 for many (CLDR). In Kazakh and English it is 0 for the
    count 1, and 2 for any other count.
    """
    if language != "ru":
        return 0 if count == 1 else 2
    if count % 10 == 1 and count % 100 != 11:
        return 0
    return 1 if 2 <= count % 10 <= 4 and not 12 <= count % 100 <= 14 else 2


def describe(change: Change, fact: str, language: str, *, heading: bool = False) -> str:
    """One of the ``facts()`` about a change in words: "reworded", "formerly 4.1.". ``language`` is kk, ru or en.

    For ``renumbered`` the words contain the old label. If the old unit had none, they contain its number, without the
    ``a`` of an appendix; if it had neither, they are "formerly without a number". If both labels are the same, they
    contain the old place: "formerly at 2.3, 1)". A Russian participle has the gender of the name of the unit: «пункт»
    добавлен, «приложение» добавлено, «глава» добавлена, «реквизиты» добавлены. ``heading`` means that the words are
    the heading of a list of units: then the participle is impersonal, «добавлено».
    """
    was = (change.old.label or change.old.number.removeprefix("a")) if change.old else ""
    if fact == "renumbered" and not was:
        fact = "unnumbered"
    elif fact == "renumbered" and change.old and change.new and change.old.label == change.new.label != "":
        fact, was = "relocated", place(change.old, language)
    return PHRASES[language][fact].format(was=was, **_participles(None if heading else change.unit))


def _participles(unit: Clause | None) -> dict[str, str]:
    """The Russian participles by their masculine form, in the gender and number of the name of the unit; in
    the neuter for ``None``.
    """
    if unit is None:
        return {word: neuter for word, (_feminine, neuter, _plural) in _PARTICIPLES.items()}
    kind = "appendix" if unit.kind == "heading" and unit.number else unit.kind
    name = named_label(unit) or PHRASES["ru"].get(kind, "")
    words = set(name.casefold().split())
    gender = next((place for place, nouns in enumerate((_FEMININE, _NEUTER, _PLURAL)) if words & nouns), None)
    return {word: word if gender is None else forms[gender] for word, forms in _PARTICIPLES.items()}


def place(unit: Clause, language: str) -> str:
    """Where a unit that has a label and a number is, such as "appendix 1, 2.3, 1)". ``language`` is kk, ru or en."""
    whole, _dash, item = unit.number.partition("-")
    appendix, number = re.fullmatch("(?:a([0-9]+))?\\.?(?:ch)?(.*)", whole).groups()  # type: ignore[union-attr]
    above = unit.parent.partition("-")[2]
    appendix = PHRASES[language]["appendix"].format(number=appendix) if appendix else ""
    within = [f"{above})" if above else "", unit.label] if item else []
    return ", ".join(filter(None, [appendix, number, *within]))


def shortened(runs: Sequence[Run]) -> tuple[Run, ...]:
    """The runs, with ``…`` for unchanged words far from a change. If nothing changed, the first words are kept.

    Only an equal run of more than 450 characters is shortened: up to 150 characters remain next to each change.
    """
    last = len(runs) - 1
    return tuple(
        Run("equal", _without_middle(run.text, head=not last or index > 0, tail=index < last))
        if run.kind == "equal"
        else run
        for index, run in enumerate(runs)
    )


def _without_middle(text: str, *, head: bool, tail: bool) -> str:
    """A long text cut at words: its beginning (``head``), its end (``tail``), or both, with ``…`` for the rest. At
    least one of the two is true. A text of at most three times ``CONTEXT_CHARACTERS`` is returned unchanged.
    """
    if len(text) <= 3 * CONTEXT_CHARACTERS:
        return text
    begins = text[:CONTEXT_CHARACTERS].rpartition(" ")[0] or text[:CONTEXT_CHARACTERS]
    ends = text[-CONTEXT_CHARACTERS:].partition(" ")[2] or text[-CONTEXT_CHARACTERS:]
    return f"{begins} … {ends}" if head and tail else f"{begins} …" if head else f"… {ends}"


def plain_text(redline: Redline, language: str, *, whole: bool = False, brief: bool = False) -> str:
    """The redline as plain text for mail: ``[-deleted-] {+inserted+}``, one paragraph for each unit that changed.

    The first line of a paragraph is the label of the unit and, in brackets, the :func:`facts` about it in words. A
    unit without a label has the name of its kind in place of it, if the kind has one. The words of the unit follow in
    the next lines. The text ends with a line end. If there is no paragraph, it says that nothing changed.
    ``language``, kk, ru or en, is that of the facts and of the names of kinds.

    ``whole`` includes the unchanged units. ``brief`` shortens each paragraph (:func:`shortened`). White space alone
    gets no marks. If a text contains such a mark itself, a backslash separates its two characters (``[\\-``), so that
    it is not read as a mark.
    """
    words = PHRASES[language]
    paragraphs = []
    for change in redline.changes if whole else redline.changed:
        unit = change.unit
        known = "; ".join(describe(change, fact, language) for fact in facts(change))
        name = unit.label or words.get(unit.kind, "")
        head = f"{name} ({known})" if known else name
        runs = shortened(change.words) if brief else change.words
        text = "".join(map(_marked, runs)).replace("-]{+", "-] {+")
        paragraphs.append(f"{head}\n{text}".strip())
    return "\n\n".join(paragraphs) + "\n" if paragraphs else words["none"] + "\n"


def _marked(run: Run) -> str:
    text = _MARKS.sub(r"\\", run.text)
    bare = text.strip()
    if run.kind == "equal" or not bare:
        return text
    before, after = text.split(bare)
    return f"{before}[-{bare}-]{after}" if run.kind == "delete" else f"{before}{{+{bare}+}}{after}"
