"""Agreements with one defect each, and what the lint must say of it: an id, and of which language (``""``: of both)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.corpus.clean import ALL

CLEAN = {agreement.name: agreement.texts() for agreement in ALL}
SUMMARIES = {"kk": "Мерзім өзгерді.", "ru": "Изменён срок."}
TITLES = {"kk": "Пайдаланушы келісімі", "ru": "Пользовательское соглашение"}
OTHER = {"kk": "ru", "ru": "kk"}
#: The agreement ``taxi`` with other words in a clause of both languages.
EARLIER = {
    "kk": CLEAN["taxi"]["kk"].replace("аты-жөнін", "тегі мен атын"),
    "ru": CLEAN["taxi"]["ru"].replace("имя,", "фамилию и имя,"),
}
KK_RETENTION = "Келісім тоқтатылғаннан кейін деректер бес жыл сақталады."
RU_RETENTION = "После прекращения Соглашения данные хранятся пять лет."

#: What stands in the text and what to put there, or a function of the text.
Edit = tuple[str, str] | Callable[[str], str]


@dataclass(frozen=True)
class Case:
    name: str
    bodies: dict[str, str]
    expected: frozenset[tuple[str, str]]
    more: dict[str, Any] = field(default_factory=dict)
    """Further arguments of ``lint()``."""


def edited(text: str, edits: tuple[Edit, ...]) -> str:
    for edit in edits:
        if callable(edit):
            text = edit(text)
        else:
            assert edit[0] in text, edit
            text = text.replace(*edit, 1)
    return text


def paragraphs(change: Callable[[list[str]], list[str]]) -> Callable[[str], str]:
    return lambda text: "\n\n".join(change(text.split("\n\n")))


def without(number: str) -> Callable[[str], str]:
    """The text less the paragraph of that number."""
    return paragraphs(lambda parts: [part for part in parts if not part.startswith(f"{number} ")])


def swapped(one: str, two: str) -> Callable[[str], str]:
    """The text with two paragraphs in each other's place."""

    def change(parts: list[str]) -> list[str]:
        place = {part.split(" ")[0]: index for index, part in enumerate(parts)}
        a, b = place[one], place[two]
        parts[a], parts[b] = parts[b].strip(), parts[a].strip()
        return parts

    return paragraphs(change)


def renumbered(old: str, new: str) -> Callable[[str], str]:
    """The text with a section's clauses under another number, and the references to them as they were."""
    return lambda text: text.replace(f"\n{old}.", f"\n{new}.").replace(f"## {old}.", f"## {new}.")


def inserted(before: str, text: str) -> Edit:
    """The text with a clause of that number, and those after it in the section one number on."""
    section, _, place = before.strip(".").partition(".")

    def change(parts: list[str]) -> list[str]:
        changed = []
        for part in parts:
            for number in range(9, int(place) - 1, -1):
                if part.startswith(f"{section}.{number}. "):
                    part = f"{section}.{number + 1}. " + part.split(" ", 1)[1]
                    break
            if part.startswith(f"{section}.{int(place) + 1}. "):
                changed.append(f"{before} {text}")
            changed.append(part)
        return changed

    return paragraphs(change)


def added(paragraph: str) -> Edit:
    """The text with a paragraph at its end."""
    return lambda text: f"{text}\n{paragraph}\n"


ALMOST = [
    *(
        (f"{number} Тараптар хат жаза алады.", f"{number} Стороны могут писать.")
        for number in ("5.3.1.1.", "5.3.1.1", "- 5.4.", "5.4)", "5. 4.", "А)", "> 5.4.")
    ),
    ("I. ХАТ АЛМАСУ", "I. ПЕРЕПИСКА"),
    ("6-бап. Хат алмасу", "Статья 6. Переписка"),
    ("6-тарау", "ГЛАВА 6"),
]
KK_SENTENCE = "Портал байланыс операторының кінәсінен болған үзіліс үшін жауап бермейді."
RU_SENTENCE = "Портал не отвечает за перерывы, возникшие по вине оператора связи."
EN_SENTENCE = "The portal is not liable for interruptions caused by the telecom operator."
RU_PASSWORD = "Пользователь не передаёт свой пароль другим лицам и сам отвечает за его сохранность."
KK_PASSWORD = "Пайдаланушы құпия сөзін басқа адамдарға бермейді және оның сақталуына өзі жауап береді."
KK_QUOTING = "Портал материалдарын сілтеме көрсете отырып дәйексөз ретінде келтіруге рұқсат етіледі."
RU_QUOTING = "Материалы Портала разрешается цитировать со ссылкой на источник."
DECOMPOSED = unicodedata.normalize("NFD", "й")

#: Places that were to be filled in, in a clause before the last.
UNFILLED = [
    ("{{portal}}", "{{portal}}"),
    ("${portal}", "${portal}"),
    ("{portal}", "{portal}"),
    ("{% portal %}", "{% portal %}"),
    ("[ТОЛТЫРУ: атауы]", "[ЗАПОЛНИТЬ: название]"),
    ("[атауын көрсетіңіз]", "[указать наименование]"),
    ("[ПОРТАЛДЫҢ АТАУЫ]", "[НАЗВАНИЕ ПОРТАЛА]"),
    ("<АТАУЫ>", "<НАЗВАНИЕ>"),
    ("№ ____ Портал", "Портал № ____"),
    ("«__» наурызда Портал", "«___» марта Портал"),
    ("20__ жылы Портал", "Портал в 20__ г."),
    ("XXX", "ХХХ"),
    ("TODO", "TODO"),
    ("Лорем ипсум", "Lorem ipsum"),
]
#: A clause of the appendices and a heading, in the language of the other text.
KK_HEADING, RU_HEADING = "Жауапкершілік", "Ответственность"

SECOND_LIST = "\n\n1) Aнықтама – справка.\n\n2) Хат – письмо.\n\n3.2. ".replace("A", "А")
#: A defect of one language: name, agreement, id, the Kazakh edit and the Russian one. Each makes two cases.
OF_ONE: list[tuple[str, str, str, Edit, Edit]] = [
    ("no text", "shop", "L001", lambda _: " \n", lambda _: " \n"),
    (
        "a clause more",
        "library",
        "L004",
        lambda text: text + "\n5.4. Тараптар бір-біріне хат жаза алады.\n",
        lambda text: text + "\n5.4. Стороны могут писать друг другу письма.\n",
    ),
    (
        "a section more",
        "tickets",
        "L004",
        lambda text: text + "4. МЕКЕНЖАЙЛАР\n",
        lambda text: text + "4. АДРЕСА\n",
    ),
    (
        "a sub-clause more",
        "taxi",
        "L004",
        ("\n\n3.2. ", "\n\n4) сыпайы болуға.\n\n3.2. "),
        ("\n\n3.2. ", "\n\n4) быть вежливым.\n\n3.2. "),
    ),
    (
        "an item more",
        "courses",
        "L004",
        ("\n\n2.2. ", "\n\nв) сыпайы болуға.\n\n2.2. "),
        ("\n\n2.2. ", "\n\nг) быть вежливым.\n\n2.2. "),
    ),
    ("a second list", "taxi", "L005", ("\n\n3.2. ", SECOND_LIST), ("\n\n3.2. ", SECOND_LIST)),
    ("unreadable", "weather", "L007", ("Портал", "Пор\x00тал"), ("Портал", "Пор\x00тал")),
    ("dangling clause", "library", "L012", ("4.1-тармақта", "4.9-тармақта"), ("пункте 4.1", "пункте 4.9")),
    (
        "dangling list",
        "archive",
        "L012",
        ("2.1 және 2.2-т", "2.1 және 2.7-т"),
        ("пунктов 2.1 и 2.2", "пунктов 2.1 и 2.7"),
    ),
    ("dangling range", "bank", "L012", ("5.1 – 5.2 т", "5.1 – 5.8 т"), ("пунктах 5.1 – 5.2", "пунктах 5.1 – 5.8")),
    ("dangling section", "shop", "L012", ("1-бөлімнің", "9-бөлімнің"), ("раздела 1", "раздела 9")),
    (
        "dangling sub-clause",
        "taxi",
        "L012",
        ("3.1-тармақтың 2) тармақшасы", "3.1-тармақтың 5) тармақшасы"),
        ("подпункта 2) пункта 3.1", "подпункта 5) пункта 3.1"),
    ),
    (
        "dangling, abbreviated",
        "maps",
        "L012",
        ("2.2-тармақтардың", "7.2-тармақтардың"),
        ("пунктов 2.1 и 2.2", "пп. 2.1 и 7.2"),
    ),
    (
        "dangling, with an ordinal or at a list's end",
        "library",
        "L012",
        ("4.1-тармақта", "4.9-шы тармақта"),
        ("пункте 4.1", "пунктах 4.1, а также 4.9"),
    ),
    ("dangling in an appendix", "pool", "L012", ("1.1-тармақта к", "1.9-тармақта к"), ("пункте 1.1:", "пункте 1.9:")),
    (
        "an appendix more",
        "pool",
        "L004",
        added("3-ҚОСЫМША\n\nБос."),
        added("ПРИЛОЖЕНИЕ 3\n\nПусто."),
    ),
    (
        "a clause more in an appendix",
        "pool",
        "L004",
        added("1.2. Өтінішке қол қойылады."),
        added("1.2. Заявление подписывается."),
    ),
    (
        "a title too long",
        "shop",
        "L008",
        ("Пайдаланушы келісімі", "Пайдаланушы келісімі" + " өте ұзын" * 30),
        ("Пользовательское соглашение", "Пользовательское соглашение" + " очень длинное" * 30),
    ),
    ("empty clause", "jobs", "L015", (KK_PASSWORD, ""), (RU_PASSWORD, "")),
    ("a clause of a dash", "news", "L015", (KK_QUOTING, "—"), (RU_QUOTING, "—")),
    ("heading", "theatre", "L016", ("## 4. ", "## Анықтама\n\n## 4. "), ("## 4. ", "## Справка\n\n## 4. ")),
    ("no title line", "grants", "L019", ("# Пайдаланушы келісімі", ""), ("# Пользовательское соглашение", "")),
    ("Latin o and p", "shop", "L020", ("Порталда теңгемен", "Пopталда теңгемен"), ("на Портале в", "на Пopтале в")),
    ("a Cyrillic T in TLS", "bank", "L020", ("TLS", "ТLS"), ("TLS", "ТLS")),
    ("IP in Cyrillic", "maps", "L053", ("IP-", "ІР-"), ("IP-", "ІР-")),
    ("a Latin capital", "taxi", "L020", ("Келісім екі", "Kелісім екі"), ("Соглашение публ", "Cоглашение публ")),
    ("the other language", "shop", "L021", (KK_SENTENCE, RU_SENTENCE), (RU_SENTENCE, KK_SENTENCE)),
    ("English", "weather", "L021", (KK_SENTENCE, EN_SENTENCE), (RU_SENTENCE, EN_SENTENCE)),
    (
        "a heading in the other language",
        "shop",
        "L021",
        (KK_HEADING.upper(), RU_HEADING.upper()),
        (RU_HEADING.upper(), KK_HEADING.upper()),
    ),
    (
        "a title in the other language",
        "taxi",
        "L021",
        ("Пайдаланушы келісімі", "Пользовательское соглашение"),
        ("Пользовательское соглашение", "Пайдаланушы келісімі"),
    ),
    (
        "a sentence in the other language",
        "library",
        "L021",
        (KK_QUOTING, f"{KK_QUOTING} Ссылка обязательна и бесплатна."),
        (RU_QUOTING, f"{RU_QUOTING} Сілтеме көрсету міндетті."),
    ),
    ("Greek letters", "shop", "L020", ("Порталда теңгемен", "Πορταлда теңгемен"), ("на Портале в", "на Πορταле в")),
    ("bold letters of mathematics", "bank", "L020", ("TLS", "\U0001d413\U0001d40b\U0001d412"), ("TLS", "T\U0001d40bS")),
    ("wide letters", "maps", "L020", ("IP-", "\uff29\uff30-"), ("IP-", "\uff29\uff30-")),
    ("a Latin schwa", "shop", "L020", ("теңгемен", "тəңгемен"), ("тенге", "тəнге")),
    ("zero for O", "jobs", "L020", ("электрондық", "электр0ндық"), ("электронной", "электр0нной")),
    ("not NFC", "forum", "L022", ("хабардар", f"ха{DECOMPOSED}бардар"), ("уведомляется", f"уведомля{DECOMPOSED}ется")),
    ("zero-width space", "taxi", "L023", ("Портал", "Пор\u200bтал"), ("Портал", "Пор\u200bтал")),
    ("soft hyphen", "jobs", "L023", ("Портал", "Пор\u00adтал"), ("Портал", "Пор\u00adтал")),
    *(
        (f"U+{ord(char):04X}", "jobs", "L023", ("Портал", f"Пор{char}тал"), ("Портал", f"Пор{char}тал"))
        for char in "\u034f\u115f\u180b\u2063\u3164\ufe0f\ue000\uf0b7\ufffd\ufdd0\uffff\U000e0041\U000f0001\u000b\u2800"
    ),
    ("bidi override", "bank", "L024", ("Портал", "\u202eПортал"), ("Портал", "\u202eПортал")),
    ("bidi mark", "postal", "L024", ("Портал", "Портал\u200f"), ("Портал", "Портал\u200f")),
    ("em space", "grants", "L025", ("Портал ", "Портал\u2003"), ("Портал ", "Портал\u2003")),
    ("tab", "energy", "L025", ("Портал ", "Портал\t"), ("Портал ", "Портал\t")),
    (
        "no-break space",
        "clinic",
        "L025",
        ("дербес деректерді", "дербес\xa0деректерді"),
        ("персональные данные", "персональные\xa0данные"),
    ),
    ("doubled space", "museum", "L026", ("Портал ", "Портал  "), ("Портал ", "Портал  ")),
    (
        "two kinds of space",
        "news",
        "L026",
        ("болып танылады", "болып \xa0танылады"),
        ("признаётся лицо", "признаётся \xa0лицо"),
    ),
    ("open quote", "library", "L027", ("туралы»", "туралы"), ("информатизации»", "информатизации")),
    ("open bracket", "tickets", "L027", ("Келісім)", "Келісім"), ("Соглашение)", "Соглашение")),
    (
        "closed bracket",
        "parking",
        "L027",
        ("(бұдан әрі – Портал", "бұдан әрі – Портал"),
        ("(далее – Портал", "далее – Портал"),
    ),
    ("straight quote", "theatre", "L027", ("Порталға", '"Порталға'), ("Портал", '"Портал')),
    *((f"almost a number, {kk[:6]}", "library", "L029", added(kk), added(ru)) for kk, ru in ALMOST),
    *((f"unfilled {ru}", "library", "L031", ("Порталға", kk), ("Портал", ru)) for kk, ru in UNFILLED),
    (
        "a missing appendix",
        "library",
        "L032",
        (KK_QUOTING, f"{KK_QUOTING} Тәртібі 2-қосымшада көрсетілген."),
        (RU_QUOTING, f"{RU_QUOTING} Порядок указан в приложении № 2 к настоящему Соглашению."),
    ),
    (
        "an appendix more than there are",
        "pool",
        "L032",
        ("Ақылы", "7-қосымшада аталған ақылы"),
        ("Цены платных", "Названные в приложении 7 цены платных"),
    ),
    (
        "a word twice",
        "shop",
        "L033",
        ("Пайдаланушы құпия", "Пайдаланушы құпия құпия"),
        ("не передаёт", "не не передаёт"),
    ),
    ("a preposition twice", "bank", "L033", ("және кіру", "және және кіру"), ("и время", "и и время")),
    (
        "a title that is an approval",
        "grants",
        "L037",
        ("Пайдаланушы келісімі", "БЕКІТІЛГЕН"),
        ("Пользовательское соглашение", "УТВЕРЖДЕНО"),
    ),
    (
        "a title that is a place",
        "grants",
        "L037",
        ("Пайдаланушы келісімі", "Астана қаласы"),
        ("Пользовательское соглашение", "г. Астана"),
    ),
    (
        "a title that is a party",
        "grants",
        "L037",
        ("Пайдаланушы келісімі", "«Дүкен» ЖШС"),
        ("Пользовательское соглашение", "ТОО «Дүкен»"),
    ),
    ("tag", "energy", "L028", ("Портал", "<b>Портал</b>"), ("Портал", "<b>Портал</b>")),
    ("comment", "school", "L028", ("Портал", "<!-- ескі --> Портал"), ("Портал", "<!-- старое --> Портал")),
]

#: The same of a defect that shows in the other language's text, against the clean agreement as the edition before.
OF_THE_OTHER: list[tuple[str, str, Edit, Edit]] = [
    ("changed term", "clinic", ("үш жылдан", "бес жылдан"), ("трёх лет", "пяти лет")),
    ("another target", "gallery", ("kz/help", "kz/price"), ("kz/help", "kz/price")),
    ("another number in a list", "gallery", ("\n5. ", "\n6. "), ("\n5. ", "\n6. ")),
    ("another sum", "gallery", ("Суреттер", "1 000 сурет"), ("изображения", "1 000 изображений")),
    ("reworded", "shop", ("он күн ішінде", "кідіріссіз"), ("в течение десяти дней", "без промедления")),
]

LAST_INTO_FIFTH: tuple[Edit, ...] = tuple((f"\n6.{place}. ", f"\n5.{place + 2}. ") for place in (1, 2, 3))
#: A defect of both languages.
OF_BOTH: list[tuple[str, str, str, tuple[Edit, ...], tuple[Edit, ...]]] = [
    ("number twice", "library", "L003", (("\n4.4. ", "\n4.3. "),), (("\n4.4. ", "\n4.3. "),)),
    (
        "section twice",
        "shop",
        "L003",
        (("## 6. ", "## 5. "), *LAST_INTO_FIFTH),
        (("## 6. ", "## 5. "), *LAST_INTO_FIFTH),
    ),
    (
        "number twice in an appendix",
        "pool",
        "L003",
        (("\n1.2. Тариф", "\n1.1. Тариф"),),
        (("\n1.2. Тариф", "\n1.1. Тариф"),),
    ),
    (
        "two documents in one file",
        "museum",
        "L051",
        (lambda text: f"{text}\nҚұпиялылық саясаты\n{text.partition(chr(10))[2]}",),
        (lambda text: f"{text}\nПолитика конфиденциальности\n{text.partition(chr(10))[2]}",),
    ),
    (
        "gap in an appendix",
        "pool",
        "L010",
        (("\n1.2. Тариф", "\n1.3. Тариф"),),
        (("\n1.2. Тариф", "\n1.3. Тариф"),),
    ),
    (
        "sub-clause twice in an appendix",
        "pool",
        "L030",
        (("\n2) ", "\n2) музейлер үшін;\n\n2) "),),
        (("\n2) ", "\n2) для музеев;\n\n2) "),),
    ),
    ("sub-clause twice", "taxi", "L030", (("\n3) ", "\n2) "),), (("\n3) ", "\n2) "),)),
    (
        "a list that might be clauses",
        "forum",
        "L050",
        (lambda text: text.split("\n\n")[0] + "\n\n1. Порталды сақтаңыз.\n2. Хат жазыңыз.\n3. Жауап күтіңіз.\n",),
        (lambda text: text.split("\n\n")[0] + "\n\n1. Берегите Портал.\n2. Пишите.\n3. Ждите ответа.\n",),
    ),
    (
        "a number without a space",
        "library",
        "L029",
        (added("5.4.Тараптар хат жаза алады."),),
        (added("5.4.Стороны могут писать."),),
    ),
    (
        "two clauses on one line",
        "library",
        "L034",
        (("\n\n4.4. ", " 4.4. "),),
        (("\n\n4.4. ", " 4.4. "),),
    ),
    (
        "three clauses on one line",
        "shop",
        "L034",
        (("\n\n3.2. ", " 3.2. "), ("\n\n3.3. ", " 3.3. ")),
        (("\n\n3.2. ", " 3.2. "), ("\n\n3.3. ", " 3.3. ")),
    ),
    ("a clause on the line of its section", "tickets", "L034", (("\n3.1. ", " 3.1. "),), (("\n3.1. ", " 3.1. "),)),
    ("a gap that is referred to", "shop", "L010", (without("2.1."),), (without("2.1."),)),
    (
        "a heading is missing",
        "shop",
        "L010",
        (lambda text: re.sub("## 3. .*", "", text),),
        (lambda text: re.sub("## 3. .*", "", text),),
    ),
    (
        "the last heading is missing",
        "shop",
        "L010",
        (lambda text: re.sub("## 6. .*", "", text),),
        (lambda text: re.sub("## 6. .*", "", text),),
    ),
    ("one wrong number in a row", "shop", "L011", (("\n2.2. ", "\n2.9. "),), (("\n2.2. ", "\n2.9. "),)),
    ("gap", "clinic", "L010", (without("3.2"),), (without("3.2"),)),
    ("gap of two", "bank", "L010", (without("4.2."), without("4.3.")), (without("4.2."), without("4.3."))),
    ("gap in a list", "taxi", "L010", (("\n3) ", "\n4) "),), (("\n3) ", "\n4) "),)),
    ("gap before a section", "weather", "L010", (renumbered("3", "4"),), (renumbered("3", "4"),)),
    ("no first clause", "museum", "L010", (without("3.1."),), (without("3.1."),)),
    ("out of order", "weather", "L011", (swapped("3.1.", "3.2."),), (swapped("3.1.", "3.2."),)),
    ("in a foreign section", "museum", "L011", (("\n3.2. ", "\n2.4. "),), (("\n3.2. ", "\n2.4. "),)),
    (
        "no numbers",
        "forum",
        "L018",
        (lambda text: text.split("\n\n")[0] + f"\n\n{KK_SENTENCE}\n",),
        (lambda text: text.split("\n\n")[0] + f"\n\n{RU_SENTENCE}\n",),
    ),
]

#: References left behind by an insertion or a deletion, in both languages, against the clean agreement.
STALE: list[tuple[str, str, Edit, Edit]] = [
    (
        "a clause came before the one referred to",
        "library",
        inserted("4.1.", "Бұл бөлім шарттың бір бөлігі болып табылады."),
        inserted("4.1.", "Этот раздел составляет часть договора."),
    ),
    (
        "another clause took the number referred to",
        "jobs",
        lambda text: text.replace(
            "4.1. Портал дербес деректерді қызмет көрсету және Пайдаланушыға хабарлама жіберу үшін жинайды.",
            "4.1. Осы бөлім кәмелетке толмағандарға да арналған.",
        ),
        lambda text: text.replace(
            "4.1. Портал собирает персональные данные, чтобы оказывать услуги и направлять Пользователю уведомления.",
            "4.1. Этот раздел касается и несовершеннолетних.",
        ),
    ),
]


def cases() -> Iterator[Case]:
    def made(name: str, base: str, id_: str, languages: str, edits: dict[str, tuple[Edit, ...]], **more: Any) -> Case:
        bodies = {language: edited(text, edits.get(language, ())) for language, text in CLEAN[base].items()}
        return Case(name, bodies, frozenset((f"agreement.{id_}", said) for said in languages.split(",")), more)

    for name, base, id_, *edits in OF_ONE:
        for language, edit in zip(("kk", "ru"), edits, strict=True):
            said = "" if id_ == "L005" else language
            yield made(f"{name} ({language})", base, id_, said, {language: (edit,)})
    for name, base, *edits in OF_THE_OTHER:
        for language, edit in zip(("kk", "ru"), edits, strict=True):
            yield made(f"{name} ({language})", base, "L014", OTHER[language], {language: (edit,)}, previous=CLEAN[base])
    for name, base, id_, kk, ru in OF_BOTH:
        yield made(name, base, id_, "kk,ru", {"kk": kk, "ru": ru})
    for name, base, kk_edit, ru_edit in STALE:
        yield made(name, base, "L013", "kk,ru", {"kk": (kk_edit,), "ru": (ru_edit,)}, previous=CLEAN[base])
    for language in ("kk", "ru"):
        yield made(f"no title ({language})", "taxi", "L002", language, {}, titles={**TITLES, language: " "})
        lost = {**SUMMARIES, language: ""}
        yield made(f"no summary ({language})", "taxi", "L017", language, {}, previous=EARLIER, summaries=lost)
    yield made("order differs", "weather", "L006", "", {"kk": (swapped("3.1.", "3.2."),)})
    for language, edit in (("kk", ("4.1-тармақта", "4.2-тармақта")), ("ru", ("пункте 4.1", "пункте 4.2"))):
        yield made(f"another reference ({language})", "library", "L035", "", {language: (edit,)})
    for days in (0, 5, 30):
        yield made(f"{days} days of notice stated", "library", "L036", "kk,ru", {}, stated={"notice_days": days})
    years: dict[str, tuple[Edit, ...]] = {"kk": (added(KK_RETENTION),), "ru": (added(RU_RETENTION),)}
    yield made("three years stated", "forum", "L036", "kk,ru", years, stated={"retention_years": 3})
    yield made("nothing changed", "taxi", "L038", "", {}, previous=CLEAN["taxi"], summaries={"kk": "", "ru": ""})
    stated = {"notice_days": 10, "retention_years": 5, "prevailing_language": "kk"}
    for name, value in (("notice_days", 0), ("retention_years", 3), ("prevailing_language", "")):
        now = {**stated, name: value}
        yield made(f"{name} changed", "weather", "L039", "", {}, stated=now, previous_stated=stated)
    for number in ("9.9", "2.1-9", "a7"):
        yield made(
            f"{number} is quoted", "weather", "L052", "", {}, cited={"1": ["a.html"], number: ["b.html", "c.html"]}
        )


CASES = tuple(cases())
