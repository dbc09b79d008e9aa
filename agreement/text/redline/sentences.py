"""A redline in words: the facts about a change, a summary in one sentence, and plain text for mail."""

from __future__ import annotations

import re
from collections.abc import Sequence

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
        "only_kk": "Орыс тіліндегі мәтін өзгерген жоқ. Қазақ тіліндегі мәтінде: {changes}",
        "only_ru": "Қазақ тіліндегі мәтін өзгерген жоқ. Орыс тіліндегі мәтінде: {changes}",
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
        "only_kk": "Текст на русском языке не изменился. В тексте на казахском языке: {changes}",
        "only_ru": "Текст на казахском языке не изменился. В тексте на русском языке: {changes}",
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
        "only_kk": "The Russian text did not change. In the Kazakh text: {changes}",
        "only_ru": "The Kazakh text did not change. In the Russian text: {changes}",
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
#: The parts of the summary, each in three forms: for 1, for 2–4, for 5 and more (Russian). Only the first part that is
#: used contains the noun.
_COUNTS = {
    "kk": {
        "reworded": ("{n} тармақ өзгертілді",) * 3,
        "inserted": ("{n} тармақ қосылды",) * 3,
        "deleted": ("{n} тармақ алып тасталды",) * 3,
        "renumbered": ("{n} тармақтың нөмірі өзгерді",) * 3,
        "moved": ("{n} тармақтың орны ауысты",) * 3,
        "reformatted": ("{n} тармақтың ресімделуі ғана өзгерді",) * 3,
        "outside": ("тармақтардан тыс мәтін өзгерді",) * 3,
        "front": ("атаудың үстіндегі деректемелер өзгерді",) * 3,
    },
    "ru": {
        "noun": ("пункт", "пункта", "пунктов"),
        "reworded": ("изменён {n} {noun}", "изменены {n} {noun}", "изменено {n} {noun}"),
        "inserted": ("добавлен {n} {noun}", "добавлены {n} {noun}", "добавлено {n} {noun}"),
        "deleted": ("исключён {n} {noun}", "исключены {n} {noun}", "исключено {n} {noun}"),
        "renumbered": ("перенумерован {n} {noun}", "перенумерованы {n} {noun}", "перенумеровано {n} {noun}"),
        "moved": ("перемещён {n} {noun}", "перемещены {n} {noun}", "перемещено {n} {noun}"),
        "reformatted": ("только оформление изменено в {n} пункте",) + ("только оформление изменено в {n} пунктах",) * 2,
        "outside": ("изменён текст вне пунктов",) * 3,
        "front": ("изменены реквизиты над названием",) * 3,
    },
    "en": {
        "noun": ("clause", "clauses", "clauses"),
        "reworded": ("{n} {noun} changed",) * 3,
        "inserted": ("{n} {noun} added",) * 3,
        "deleted": ("{n} {noun} deleted",) * 3,
        "renumbered": ("{n} {noun} renumbered",) * 3,
        "moved": ("{n} {noun} moved",) * 3,
        "reformatted": ("formatting alone changed in {n} clause",) + ("formatting alone changed in {n} clauses",) * 2,
        "outside": ("text outside the clauses changed",) * 3,
        "front": ("details above the title changed",) * 3,
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
    """The redline in one sentence: "4 clauses changed, 2 added, 1 deleted, 5 renumbered."

    ``language`` is kk, ru or en. All units with a number count as clauses: also sections, sub-clauses, items and
    appendices. A clause counts for each of its facts; a replaced or restated one counts as changed. Changes of units that have no
    number in either edition are one part without a count: "text outside the clauses changed". Changes above the title
    are another: "details above the title changed". If nothing changed, the sentence says so.
    """
    counts = {fact: 0 for fact in _COUNTS["en"] if fact != "noun"}
    for change in redline.changed:
        numbered = any(unit and unit.number for unit in (change.old, change.new))
        outside = "front" if change.unit.kind == "front" else "outside"
        for fact in facts(change) if numbered else (outside,):
            counts["reworded" if fact in {"replaced", "restated"} else fact] += 1
    forms = _COUNTS[language]
    parts: list[str] = []
    for fact, count in counts.items():
        if count:
            form = _plural(count, language)
            words = forms[fact][form]
            if parts:
                words = words.replace(" {noun}", "")
            noun = forms["noun"][form] if "noun" in forms else ""
            parts.append(words.format(n=count, noun=noun))
    line = ", ".join(parts)
    return f"{line[0].upper()}{line[1:]}." if line else PHRASES[language]["none"]


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
