"""The messages of the lint: a severity for each id, and a sentence and a hint in Kazakh, Russian and English.

``{…}`` are values of the message. The rules are in ``rules.py``. An id is never reused for another rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from agreement.text.clauses import Clause

Severity = Literal["error", "warning"]
#: The languages that messages are written in.
MESSAGE_LANGUAGES = ("kk", "ru", "en")
#: The names of the languages, as the sentences need them.
LANGUAGE_NAMES = {
    "kk": {"kk": "қазақша", "ru": "орысша"},
    "ru": {"kk": "казахском", "ru": "русском"},
    "en": {"kk": "Kazakh", "ru": "Russian"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One finding of one rule. A message of a site's own rule may have ``words`` in a single language."""

    id: str
    severity: Severity
    language: str
    """The language of the text, ``kk`` or ``ru``; ``""`` if the message is about both texts."""
    clause: str
    """The number of the unit, or of the unit that contains it; ``""`` if there is none. Of a gap (L010) it is the first
    missing number."""
    line: int
    """The line of the body, from 1; 0 if the message is about no particular line. Of L005 and L006 it is a line of the
    second text, or 0."""
    words: Mapping[str, tuple[str, str]] = field(hash=False)
    """Language → (sentence, hint)."""

    def sentence(self, language: str) -> str:
        """What is wrong, in that language; else in English, or in the first language that the message has."""
        return self._words(language)[0]

    def hint(self, language: str) -> str:
        """What to do, in the language of the sentence."""
        return self._words(language)[1]

    def _words(self, language: str) -> tuple[str, str]:
        return self.words.get(language) or self.words.get("en") or next(iter(self.words.values()))


class MessageText(NamedTuple):
    """The severity of a message, and its sentence and hint in each language."""

    severity: Severity
    kk: tuple[str, str]
    ru: tuple[str, str]
    en: tuple[str, str]


MESSAGES: dict[str, MessageText] = {
    "agreement.L001": MessageText(
        "error",
        ("{in_kk} мәтін бос.", "Мәтінді жазыңыз: редакция екі тілде қатар жарияланады."),
        ("Текст на {in_ru} языке пуст.", "Напишите текст: редакция публикуется сразу на двух языках."),
        ("The {in_en} text is empty.", "Write the text: an edition is published in both languages together."),
    ),
    "agreement.L002": MessageText(
        "error",
        ("{in_kk} атауы жоқ.", "Редакцияның атауын жазыңыз."),
        ("Нет названия на {in_ru} языке.", "Напишите название редакции."),
        ("The {in_en} title is empty.", "Write the title of the edition."),
    ),
    "agreement.L003": MessageText(
        "error",
        ("{number} нөмірі қайталанады: ол {first}-жолда да тұр.", "Екеуінің біріне басқа нөмір беріңіз."),
        ("Номер {number} повторяется: он уже стоит в строке {first}.", "Дайте одному из двух другой номер."),
        ("The number {number} is used twice: line {first} has it too.", "Give one of the two another number."),
    ),
    "agreement.L004": MessageText(
        "error",
        (
            "{number} тек {in_kk} мәтінде бар.",
            "Екінші тілге де осы нөмірді мәтінімен қосыңыз немесе бұл жерден алып тастаңыз.",
        ),
        (
            "{number} есть только в тексте на {in_ru} языке.",
            "Добавьте тот же номер и его текст на другом языке или исключите его здесь.",
        ),
        (
            "{number} is in the {in_en} text only.",
            "Add a clause with this number in the other text, or delete it here.",
        ),
    ),
    "agreement.L005": MessageText(
        "error",
        (
            "Бөлімдер мен тармақтардың саны әртүрлі: қазақша {kk}, орысша {ru}.",
            "Екі тілдегі мәтінді тармақ бойынша салыстырыңыз.",
        ),
        (
            "Число разделов и пунктов различается: {kk} на казахском языке, {ru} на русском.",
            "Сверьте тексты на двух языках пункт за пунктом.",
        ),
        (
            "The number of sections and clauses differs: {kk} in Kazakh, {ru} in Russian.",
            "Compare the two texts clause by clause.",
        ),
    ),
    "agreement.L006": MessageText(
        "error",
        (
            "Реті әртүрлі: қазақша {kk} тұрған жерде орысша {ru} тұр.",
            "Бөлімдер мен тармақтарды екі тілде бірдей ретпен орналастырыңыз.",
        ),
        (
            "Порядок различается: где на казахском языке стоит {kk}, на русском стоит {ru}.",
            "Расположите разделы и пункты на обоих языках в одном порядке.",
        ),
        (
            "The order differs: where the Kazakh text has {kk}, the Russian text has {ru}.",
            "Put both texts in the same order.",
        ),
    ),
    "agreement.L007": MessageText(
        "error",
        ("Мәтінде файлға жазылмайтын таңба бар: {char}.", "Таңбаны өшіріңіз."),
        ("В тексте есть символ, который нельзя записать в файл: {char}.", "Удалите символ."),
        ("The text contains a character that can't be written to a file: {char}.", "Delete the character."),
    ),
    "agreement.L008": MessageText(
        "error",
        (
            "{in_kk} мәтіннің бірінші жолы атауы ретінде тым ұзын: {length} таңба, ал шегі — {most}.",
            "Бірінші жолға тек келісімнің атауын жазып, қалғанын келесі жолға көшіріңіз.",
        ),
        (
            "Первая строка текста на {in_ru} языке слишком длинна для названия: символов {length}, а можно {most}.",
            "Оставьте в первой строке только название соглашения, остальное перенесите на следующую.",
        ),
        (
            "The first line of the {in_en} text is too long for a title: {length} characters, at most {most}.",
            "Keep only the title of the agreement in the first line, and move the rest to the next line.",
        ),
    ),
    "agreement.L010": MessageText(
        "warning",
        (
            "{number} жоқ: {before} нөмірінен кейін бірден {after} келеді.",
            "Нөмірлеуді тексеріңіз; әдейі солай қалдырылса, ештеңе істемеңіз.",
        ),
        (
            "{number} отсутствует: после {before} сразу идёт {after}.",
            "Проверьте нумерацию; если так задумано, оставьте.",
        ),
        (
            "The numbering skips {number}, between {before} and {after}.",
            "Check the numbering. If this is intended, change nothing.",
        ),
    ),
    "agreement.L011": MessageText(
        "warning",
        (
            "{number} өз орнында тұрған жоқ: ол {after} нөмірінен кейін келеді.",
            "Оны ретіне қарай орналастырыңыз немесе нөмірін өзгертіңіз.",
        ),
        ("{number} стоит не на своём месте: после {after}.", "Переставьте или перенумеруйте."),
        ("{number} is out of order: it comes after {after}.", "Move it to its place, or renumber it."),
    ),
    "agreement.L012": MessageText(
        "warning",
        ("Мәтінде {reference} нөміріне сілтеме бар, бірақ ондай нөмір жоқ.", "Сілтемедегі нөмірді түзетіңіз."),
        ("Текст ссылается на {reference}, но такого номера нет.", "Исправьте номер в ссылке."),
        ("The text refers to {reference}, which does not exist.", "Correct the number in the reference."),
    ),
    "agreement.L013": MessageText(
        "warning",
        (
            "Сілтеме бұрынғыдай {reference} нөмірін көрсетеді, ал онда тұрған мәтін қазір: {now_kk}.",
            "Сілтеме қайда апаруға тиіс екенін тексеріңіз.",
        ),
        (
            "Ссылка по-прежнему указывает на {reference}, а то, что там стояло, теперь: {now_ru}.",
            "Проверьте, куда должна вести ссылка.",
        ),
        (
            "The text still refers to {reference}, but that clause is now {now_en}.",
            "Check what the text should refer to.",
        ),
    ),
    "agreement.L014": MessageText(
        "warning",
        (
            "{number} алдыңғы редакциядан бері екінші тілде ғана өзгерді.",
            "{in_kk} мәтінге де өзгеріс керек пе, тексеріңіз.",
        ),
        (
            "{number} с предыдущей редакции изменён только на другом языке.",
            "Проверьте, не нужно ли то же изменение на {in_ru} языке.",
        ),
        (
            "Since the previous edition, {number} has changed only in the other language.",
            "Check whether the {in_en} text needs the same change.",
        ),
    ),
    "agreement.L015": MessageText(
        "warning",
        ("{number} бос: нөмірден кейін мәтін жоқ.", "Мәтінін жазыңыз немесе нөмірді алып тастаңыз."),
        ("{number} пуст: после номера нет текста.", "Напишите текст или удалите номер."),
        ("{number} is empty: there is no text after the number.", "Write its text, or delete the number."),
    ),
    "agreement.L016": MessageText(
        "warning",
        ("Нөмірсіз тақырып: «{text}».", "Нөмір қойыңыз, сонда оған сілтеме жасауға болады."),
        ("Заголовок без номера: «{text}».", "Дайте ему номер, чтобы на него можно было сослаться."),
        ("This heading has no number: “{text}”.", "Give it a number, so that other texts can refer to it."),
    ),
    "agreement.L017": MessageText(
        "warning",
        (
            "{in_kk} түйін жоқ: не өзгергені айтылмаған.",
            "Не өзгергенін бір-екі сөйлеммен жазыңыз: ол хабарламаға шығады.",
        ),
        (
            "Нет краткого изложения на {in_ru} языке: не сказано, что изменилось.",
            "Напишите в одном-двух предложениях, что изменилось: это войдёт в уведомление.",
        ),
        ("The {in_en} summary is empty.", "Write in one or two sentences what changed. The notice contains them."),
    ),
    "agreement.L018": MessageText(
        "warning",
        ("Мәтінде нөмірленген бөлім де, тармақ та жоқ.", "Бөлімдер мен тармақтарды нөмірлеңіз: «1. …», «1.1. …»."),
        ("В тексте нет ни разделов, ни пунктов с номерами.", "Пронумеруйте разделы и пункты: «1. …», «1.1. …»."),
        ("No section and no clause of the text has a number.", "Number the sections and clauses: “1. …”, “1.1. …”."),
    ),
    "agreement.L019": MessageText(
        "warning",
        ("Мәтін атаусыз басталады.", "Бірінші жолға келісімнің атауын жазыңыз."),
        ("Текст начинается без названия.", "Напишите в первой строке название соглашения."),
        ("The text does not begin with a title.", "Write the title of the agreement in the first line."),
    ),
    "agreement.L020": MessageText(
        "warning",
        ("«{word}» сөзінде {letters} таңбасы басқа жазудан алынған.", "Сөзді бір жазудың әріптерімен қайта теріңіз."),
        ("В слове «{word}» символы {letters} взяты из другого письма.", "Наберите слово заново буквами одного письма."),
        ("The word “{word}” contains characters of another script: {letters}.", "Type the word again in one script."),
    ),
    "agreement.L021": MessageText(
        "warning",
        ("Абзац басқа тілде сияқты: «{text}».", "Мәтіннің дұрыс тілге қойылғанын тексеріңіз."),
        ("Абзац, похоже, на другом языке: «{text}».", "Проверьте, в тот ли язык он вставлен."),
        ("A paragraph seems to be in another language: “{text}”.", "Check that it is in the right text."),
    ),
    "agreement.L022": MessageText(
        "warning",
        (
            "«{word}» ыдыратылған таңбалармен жазылған (NFC емес).",
            "Мәтінді NFC түрінде сақтаңыз: әйтпесе іздеу оны таппайды.",
        ),
        (
            "«{word}» записано разложенными символами (не NFC).",
            "Сохраните текст в форме NFC: иначе поиск его не найдёт.",
        ),
        (
            "“{word}” is not in the Unicode form NFC.",
            "Save the text in the form NFC. Otherwise a search does not find it.",
        ),
    ),
    "agreement.L023": MessageText(
        "warning",
        ("Көрінбейтін таңба: {char}.", "Таңбаны өшіріңіз."),
        ("Невидимый символ: {char}.", "Удалите символ."),
        ("The text contains an invisible character: {char}.", "Delete the character."),
    ),
    "agreement.L024": MessageText(
        "warning",
        ("Мәтін бағытын өзгертетін таңба: {char}.", "Таңбаны өшіріңіз: ол сөздердің көрінетін ретін ауыстыра алады."),
        ("Символ, меняющий направление текста: {char}.", "Удалите его: он может переставить видимые слова."),
        (
            "The text contains a character that changes its direction: {char}.",
            "Delete it: words can appear in another order.",
        ),
    ),
    "agreement.L025": MessageText(
        "warning",
        ("Ерекше бос орын: {char}.", "Оны кәдімгі бос орынмен ауыстырыңыз."),
        ("Необычный пробел: {char}.", "Замените его обычным пробелом."),
        ("The text contains an unusual space: {char}.", "Replace it with an ordinary space."),
    ),
    "agreement.L026": MessageText(
        "warning",
        ("Қатар тұрған бос орындар: «{text}».", "Біреуін ғана қалдырыңыз."),
        ("Повторяющиеся пробелы: «{text}».", "Оставьте один."),
        ("The text contains several spaces in a row: “{text}”.", "Keep only one."),
    ),
    "agreement.L027": MessageText(
        "warning",
        ("Жұбы жоқ белгі: {marks}.", "Тырнақша мен жақшаның ашылуы мен жабылуын тексеріңіз."),
        ("Знак без пары: {marks}.", "Проверьте, открыты и закрыты ли кавычки и скобки."),
        ("A quote or bracket has no pair: {marks}.", "Check that quotes and brackets are opened and closed."),
    ),
    "agreement.L028": MessageText(
        "warning",
        (
            "HTML белгісі: {tag}. Ол орындалмайды, мәтін ретінде көрсетіледі.",
            "Оны алып тастаңыз; безендіруге Markdown қолданыңыз.",
        ),
        ("Тег HTML: {tag}. Он не сработает и будет показан как текст.", "Удалите его; для оформления служит Markdown."),
        (
            "The text contains an HTML tag: {tag}. It has no effect and is shown as text.",
            "Delete it. Use Markdown to format.",
        ),
    ),
    "agreement.L029": MessageText(
        "warning",
        (
            "Жол басындағы нөмір әдеттегідей жазылмаған: «{text}».",
            "Нөмірді жол басына «1.1. Мәтін» түрінде, бос орынмен жазыңыз; бұл нөмір болмаса, ештеңе істемеңіз.",
        ),
        (
            "Номер в начале строки записан не так, как обычно: «{text}».",
            "Пишите номер в начале строки и через пробел: «1.1. Текст»; если это не номер, оставьте.",
        ),
        (
            "The number at the beginning of the line is not written as usual: “{text}”.",
            "Begin the line with the number and a space: “1.1. Text”. If it is not a number, change nothing.",
        ),
    ),
    "agreement.L030": MessageText(
        "warning",
        (
            "{number} бір тармақта қайталанады: ол {first}-жолда да тұр, сілтеме соған апарады.",
            "Екеуінің біріне басқа нөмір беріңіз.",
        ),
        (
            "{number} повторяется в одном пункте: он уже стоит в строке {first}, ссылка ведёт туда.",
            "Дайте одному из двух другой номер.",
        ),
        (
            "{number} is used twice in one clause: line {first} has it too, and references lead there.",
            "Give one of the two another number.",
        ),
    ),
    "agreement.L050": MessageText(
        "warning",
        (
            "«1.», «2.» нөмірлерін екі түрлі түсінуге болады; мұнда олар {reading_kk} деп оқылды: «{text}».",
            "Дұрыс болса, ештеңе істемеңіз. Бөлімді «## 1. …», тармақты «**1.** …», тізімді «1)» деп жазыңыз.",
        ),
        (
            "Номера «1.», «2.» можно понять двояко; здесь они прочитаны как {reading_ru}: «{text}».",
            "Если это верно, оставьте. Раздел пишите как «## 1. …», пункт как «**1.** …», список как «1)».",
        ),
        (
            "The numbers “1.”, “2.” can be read in two ways. Here they are read as {reading_en}: “{text}”.",
            "If this is right, change nothing. Write a section as “## 1. …”, a clause as “**1.** …”, a list as “1)”.",
        ),
    ),
}


def make_message(id: str, language: str = "", unit: Clause | None = None, line: int = 0, **values: Any) -> Message:  # noqa: A002
    """The message with that id in ``MESSAGES``, in Kazakh, Russian and English. ``language`` is that of the text;
    ``""`` if it is about both texts.

    The message has the line of ``unit`` and its number, or the number of its parent if it has none. A ``line`` other
    than 0 replaces the line. Without ``unit``, the number is ``""``. ``values`` replace the ``{…}`` of the sentences
    and hints. The value ``clause`` replaces the number of the unit.
    """
    text = MESSAGES[id]
    values.update({f"in_{code}": names.get(language, language) for code, names in LANGUAGE_NAMES.items()})
    words = {
        code: (_capital(sentence.format(**values)), _capital(hint.format(**values)))
        for code, (sentence, hint) in (("kk", text.kk), ("ru", text.ru), ("en", text.en))
    }
    where = str(values.get("clause", unit.number or unit.parent if unit else ""))
    return Message(
        id=id,
        severity=text.severity,
        language=language,
        clause=where,
        line=line or (unit.line if unit else 0),
        words=words,
    )


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
