"""The messages of the lint: a severity for each id, and a sentence and a hint in Kazakh, Russian and English.

``{…}`` are values of the message. ``rules.py`` lists the rules. An id is never reused for another rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from agreement.text.clauses import Clause
from agreement.text.lint import places

Severity = Literal["error", "warning"]
#: The largest number of lines that a message names, and that its sentence names.
MOST_LINES, MOST_WRITTEN = 1000, 8
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
    """The line of the body, from 1; 0 if the message is about no particular line. Of L005, L006 and L035 it is a line
    of the second text, or 0."""
    words: Mapping[str, tuple[str, str]] = field(hash=False)
    """Language → (sentence, hint)."""
    lines: tuple[int, ...] = ()
    """All lines of a message about places in several lines, ``line`` first; otherwise empty, also for several units in
    a row. At most ``MOST_LINES``."""
    count: int = 1
    """How many places the message is about: units in a row, or lines."""
    first: int = 0
    """The line of an earlier place that the sentence names; 0 if it names none."""
    last_clause: str = ""
    """The number of the last unit of a message about several units in a row, which begin with ``clause``; otherwise
    ``""``."""
    places: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Language → where the place is, in words: ``3.1``, ``приложение 1, 2.3``. Empty if the message has no ``clause``,
    or if a site's own rule left it out."""

    def sentence(self, language: str) -> str:
        """What is wrong, in that language; else in English, or in the first language that the message has."""
        return self._words(language)[0]

    def hint(self, language: str) -> str:
        """What to do, in the language of the sentence."""
        return self._words(language)[1]

    def place(self, language: str) -> str:
        """Where in the text the finding is, in words of that language. If ``places`` lacks that language, in English;
        if it lacks English too, as in a message of a site's own rule, the attribute ``clause``. ``""`` if the message
        has no ``clause``.
        """
        return self.places.get(language) or self.places.get("en") or self.clause

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
        (
            "{numbers} нөмірі қайталанады: мұндай нөмір {first}-жолда да тұр.",
            "Бірдей нөмірлердің бірін өзгертіңіз; мәтін екі рет қойылып кетсе, артығын өшіріңіз.",
        ),
        (
            "Номер повторяется: {numbers}. Такой номер уже стоит в строке {first}.",
            "Измените один из одинаковых номеров; если текст вставлен дважды, удалите лишний.",
        ),
        (
            "A number is used twice: {numbers}. Line {first} has it too.",
            "Change one of the two numbers. If the text was pasted twice, delete one copy.",
        ),
    ),
    "agreement.L004": MessageText(
        "error",
        (
            "Тек {in_kk} мәтінде бар: {numbers}.",
            "Осы нөмірді мәтінімен бірге екінші тілге де қосыңыз немесе бұл мәтіннен алып тастаңыз.",
        ),
        (
            "Есть только в тексте на {in_ru} языке: {numbers}.",
            "Добавьте тот же номер и его текст на другом языке или исключите его здесь.",
        ),
        (
            "Only the {in_en} text has {numbers}.",
            "Add the same number and its text in the other language, or delete it here.",
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
            "{in_kk} мәтінде атау жолы тым ұзын: {length} таңба, ал шегі — {most}.",
            "Бұл жолда тек құжаттың атауын қалдырып, қалғанын келесі жолға көшіріңіз.",
        ),
        (
            "Строка названия в тексте на {in_ru} языке слишком длинна: символов — {length}, предел — {most}.",
            "Оставьте в этой строке только название соглашения, остальное перенесите на следующую.",
        ),
        (
            "The title line of the {in_en} text is too long: {length} characters, at most {most}.",
            "Keep only the title of the agreement in this line, and move the rest to the next line.",
        ),
    ),
    "agreement.L010": MessageText(
        "warning",
        (
            "{number} жоқ: {before} бірден {after} келеді.{referred}",
            "Нөмірлеуді тексеріңіз; әдейі солай қалдырылса, ештеңе істемеңіз.",
        ),
        (
            "Пропущено: {number} — {before} сразу идёт {after}.{referred}",
            "Проверьте нумерацию; если так задумано, ничего не меняйте.",
        ),
        (
            "The numbering skips {number}, {before} {after}.{referred}",
            "Check the numbering. If this is intended, change nothing.",
        ),
    ),
    "agreement.L011": MessageText(
        "warning",
        (
            "Өз орнында тұрған жоқ: {numbers}. Бұл {after} келеді.",
            "Оны ретіне қарай орналастырыңыз немесе нөмірін өзгертіңіз.",
        ),
        (
            "Стоит не на своём месте: {numbers}. Этот номер идёт {after}.",
            "Переставьте пункт на его место или измените номер.",
        ),
        (
            "A number is out of order: {numbers}. It comes {after}.",
            "Move it to its place, or renumber it.",
        ),
    ),
    "agreement.L012": MessageText(
        "warning",
        ("Мәтінде жоқ нөмірге сілтеме бар: {number}.", "Сілтемедегі нөмірді түзетіңіз."),
        ("Ссылка указывает на номер, которого в тексте нет: {number}.", "Исправьте номер в ссылке."),
        ("The text refers to {number}, which does not exist.", "Correct the number in the reference."),
    ),
    "agreement.L013": MessageText(
        "warning",
        (
            "Сілтеме бұрынғыша {reference} нөмірін көрсетеді, ал бұрын сол нөмірмен тұрған тармақ қазір {now}.",
            "Сілтеме нені көрсетуге тиіс екенін тексеріңіз.",
        ),
        (
            "Ссылка по-прежнему указывает на {reference}, а прежний пункт с этим номером теперь {now}.",
            "Проверьте, куда должна вести ссылка.",
        ),
        (
            "The text still refers to {reference}, but that clause is now {now}.",
            "Check what the text should refer to.",
        ),
    ),
    "agreement.L014": MessageText(
        "warning",
        (
            "Алдыңғы редакциядан бері екінші тілде ғана өзгерді: {numbers}.",
            "{in_kk} мәтінге де осындай өзгеріс керек пе, тексеріңіз.",
        ),
        (
            "По сравнению с предыдущей редакцией изменено только на другом языке: {numbers}.",
            "Проверьте, не нужно ли то же изменение на {in_ru} языке.",
        ),
        (
            "Since the previous edition, only the other language has changed: {numbers}.",
            "Check whether the {in_en} text needs the same change.",
        ),
    ),
    "agreement.L015": MessageText(
        "warning",
        (
            "Нөмірден кейін мәтін жоқ: {numbers}.",
            "Мәтінін жазыңыз немесе нөмірді алып тастаңыз.",
        ),
        (
            "После номера нет текста: {numbers}.",
            "Напишите текст или удалите номер.",
        ),
        (
            "There is no text after the number: {numbers}.",
            "Write its text, or delete the number.",
        ),
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
            "{in_kk} сипаттама жоқ: не өзгергені айтылмаған.",
            "Не өзгергенін бір-екі сөйлеммен жазыңыз: олар хабарламаға кіреді.",
        ),
        (
            "Нет краткого изложения на {in_ru} языке: не сказано, что изменилось.",
            "Напишите в одном-двух предложениях, что изменилось: это войдёт в уведомление.",
        ),
        ("The {in_en} summary is empty.", "Write in one or two sentences what changed. The notice contains them."),
    ),
    "agreement.L018": MessageText(
        "warning",
        (
            "Мәтіннен нөмірленген бөлім де, тармақ та табылмады.",
            "Бөлімді бөлек жолға «## 1. Атауы» деп, тармақты «1.1. Мәтін» деп жазыңыз.",
        ),
        (
            "В тексте не найдено ни разделов, ни пунктов с номерами.",
            "Пишите раздел отдельной строкой «## 1. Название», пункт — «1.1. Текст».",
        ),
        (
            "No section and no clause with a number was found in the text.",
            "Write a section on a line of its own as “## 1. Name”, and a clause as “1.1. Text”.",
        ),
    ),
    "agreement.L019": MessageText(
        "warning",
        (
            "Мәтін атаусыз басталады.",
            "Бірінші жолға құжаттың атауын жазыңыз.",
        ),
        (
            "Текст начинается без названия.",
            "Напишите в первой строке название соглашения.",
        ),
        (
            "The text does not begin with a title.",
            "Write the title of the agreement in the first line.",
        ),
    ),
    "agreement.L020": MessageText(
        "warning",
        (
            "Сөзде басқа әліпбидің ұқсас таңбалары бар: «{word}» — {letters}.",
            "Сөзді бір әліпбидің әріптерімен қайта теріңіз: көзге бірдей, бірақ іздеу мен салыстыру оны таппайды.",
        ),
        (
            "Похожие знаки другого алфавита в «{word}»: {letters}.",
            "Наберите слово заново буквами одного алфавита: на вид оно такое же, но поиск и сравнение его не найдут.",
        ),
        (
            "There are look-alike characters of another script in “{word}”: {letters}.",
            "Type the word again in one script. A search or a comparison does not find the word as it is now.",
        ),
    ),
    "agreement.L021": MessageText(
        "warning",
        (
            "Мәтін басқа тілде сияқты: «{text}».",
            "Оның тиісті тілдегі мәтінде тұрғанын тексеріңіз; дәйексөз немесе атау болса, ештеңе істемеңіз.",
        ),
        (
            "Похоже, это на другом языке: «{text}».",
            "Проверьте, в тот ли текст это вставлено; если это цитата или название, ничего не меняйте.",
        ),
        (
            "This seems to be in another language: “{text}”.",
            "Check that it is in the right text. If it is a quotation or a name, change nothing.",
        ),
    ),
    "agreement.L022": MessageText(
        "warning",
        (
            "«{word}» ыдыратылған таңбалармен жазылған (NFC емес).",
            "Сөзді қайта теріңіз немесе мәтінді NFC түрінде сақтаңыз: әйтпесе іздеу оны таппайды.",
        ),
        (
            "Записано разложенными символами (не NFC): «{word}».",
            "Наберите слово заново или сохраните текст в форме NFC: иначе поиск его не найдёт.",
        ),
        (
            "“{word}” is not in the Unicode form NFC.",
            "Type the word again, or save the text in the form NFC. Otherwise a search does not find it.",
        ),
    ),
    "agreement.L023": MessageText(
        "warning",
        (
            "Көрінбейтін немесе мағынасыз таңба: {char}.",
            "Таңбаны өшіріңіз; онсыз сөздер қосылып кетсе, орнына бос орын қойыңыз.",
        ),
        (
            "Невидимый или лишённый смысла символ: {char}.",
            "Удалите символ; если без него слова сливаются, поставьте пробел.",
        ),
        (
            "The text contains an invisible or meaningless character: {char}.",
            "Delete the character. If words run together without it, put a space.",
        ),
    ),
    "agreement.L024": MessageText(
        "warning",
        ("Мәтін бағытын өзгертетін таңба: {char}.", "Таңбаны өшіріңіз: ол сөздердің көрінетін ретін ауыстыра алады."),
        ("Символ, меняющий направление текста: {char}.", "Удалите его: он может изменить видимый порядок слов."),
        (
            "The text contains a character that changes its direction: {char}.",
            "Delete it: it can make words appear in another order.",
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
        ("Сөздердің арасында бірнеше бос орын бар.", "Біреуін ғана қалдырыңыз."),
        ("Между словами стоит несколько пробелов.", "Оставьте один."),
        ("There are several spaces between words.", "Keep only one."),
    ),
    "agreement.L027": MessageText(
        "warning",
        ("Жұбы жоқ белгі: {marks}.", "Тырнақшалар мен жақшалардың ашылып-жабылғанын тексеріңіз."),
        ("Знак без пары: {marks}.", "Проверьте, открыты и закрыты ли кавычки и скобки."),
        ("A quote or bracket has no pair: {marks}.", "Check that quotes and brackets are opened and closed."),
    ),
    "agreement.L028": MessageText(
        "warning",
        (
            "HTML белгісі: {tag}. Ол орындалмайды, мәтін ретінде көрсетіледі.",
            "Оны өшіріңіз; ресімдеу үшін Markdown белгілерін қолданыңыз.",
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
            "Пишите номер в начале строки, а после него пробел: «1.1. Текст»; если это не номер, ничего не меняйте.",
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
            "{number} повторяется в одном пункте: этот номер уже стоит в строке {first}, и ссылка ведёт туда.",
            "Дайте одному из двух другой номер.",
        ),
        (
            "{number} is used twice in one clause: line {first} has it too, and references lead there.",
            "Give one of the two another number.",
        ),
    ),
    "agreement.L031": MessageText(
        "warning",
        (
            "Толтырылмаған орын қалған: «{text}».",
            "Орнына нақты сөзді жазыңыз: жарияланған редакцияны өзгертуге болмайды.",
        ),
        (
            "Осталось незаполненное место: «{text}».",
            "Впишите вместо него нужный текст: опубликованную редакцию изменить нельзя.",
        ),
        (
            "A placeholder is not filled in: “{text}”.",
            "Replace it with the real words. A published edition can't be changed.",
        ),
    ),
    "agreement.L032": MessageText(
        "warning",
        (
            "Мәтінде {number}‑қосымшаға сілтеме бар, бірақ ондай қосымша жоқ.",
            "Қосымшаны мәтіннің соңына «{number}-ҚОСЫМША» деген жолдан бастап қосыңыз немесе сілтемені түзетіңіз.",
        ),
        (
            "Текст ссылается на приложение {number}, но такого приложения в нём нет.",
            "Добавьте приложение в конец текста со строки «ПРИЛОЖЕНИЕ {number}» или исправьте ссылку.",
        ),
        (
            "The text refers to appendix {number}, but it has no such appendix.",
            "Add it at the end, beginning with “{number}-ҚОСЫМША” or “ПРИЛОЖЕНИЕ {number}”, or correct the reference.",
        ),
    ),
    "agreement.L033": MessageText(
        "warning",
        (
            "Сөз қайталанып тұр: «{text}».",
            "Артығын өшіріңіз; қос сөз болса, дефис арқылы жазыңыз; әдейі қайталанса, ештеңе істемеңіз.",
        ),
        (
            "Слово повторено: «{text}».",
            "Удалите лишнее; если так задумано, ничего не меняйте.",
        ),
        (
            "A word is repeated: “{text}”.",
            "Delete one of the two. If this is intended, change nothing.",
        ),
    ),
    "agreement.L034": MessageText(
        "warning",
        (
            "Тармақтың нөмірі жолдың ортасында тұр: «{text}».",
            "Нөмірді жаңа жолға көшіріңіз: әйтпесе бұл бөлек тармақ емес, алдыңғы тармақтың мәтіні болып саналады.",
        ),
        (
            "Номер пункта стоит в середине строки: «{text}».",
            "Перенесите его на новую строку: иначе это не отдельный пункт, а текст предыдущего.",
        ),
        (
            "The number of a clause is in the middle of a line: “{text}”.",
            "Move it to a new line. Otherwise it is part of the text of the clause before it, and not a clause.",
        ),
    ),
    "agreement.L035": MessageText(
        "warning",
        (
            "Екі тілдегі сілтеме әртүрлі: қазақша {kk}, орысша {ru}.",
            "Қайсысы дұрыс екенін тексеріп, екі тілде бірдей нөмір жазыңыз.",
        ),
        (
            "Ссылки на двух языках различаются: на казахском {kk}, на русском {ru}.",
            "Проверьте, какая из них верна, и укажите один номер на обоих языках.",
        ),
        (
            "The references differ: {kk} in Kazakh, {ru} in Russian.",
            "Check which one is right, and write the same number in both languages.",
        ),
    ),
    "agreement.L036": MessageText(
        "warning",
        (
            "Мәтінде {name} — {written}, ал редакцияның деректерінде — {stated}.",
            "Мәтінді немесе редакцияның деректерін түзетіңіз.",
        ),
        (
            "В тексте {name} — {written}, а в сведениях о редакции — {stated}.",
            "Исправьте текст или сведения о редакции.",
        ),
        (
            "In the text, {name} is {written}, but the edition states {stated}.",
            "Correct the text, or the value that the edition states.",
        ),
    ),
    "agreement.L037": MessageText(
        "warning",
        (
            "Атау жолы құжаттың атауына ұқсамайды: «{text}».",
            "Атауын бөлек жолда қалдырыңыз; оның үстінде тек бекіту деректемелері, қала, күн және тараптар тұра алады.",
        ),
        (
            "Строка названия не похожа на название соглашения: «{text}».",
            "Оставьте название отдельной строкой; над ним могут стоять реквизиты утверждения, город, дата и стороны.",
        ),
        (
            "The title line does not look like the title of the agreement: “{text}”.",
            "Keep the title in a line of its own. Only the approval, place, date and parties may stand above it.",
        ),
    ),
    "agreement.L038": MessageText(
        "warning",
        (
            "Алдыңғы редакциямен салыстырғанда бірде-бір сөз өзгермеген.",
            "Дұрыс мәтін таңдалғанын тексеріңіз; тек редакцияның деректері өзгерсе, растаңыз.",
        ),
        (
            "По сравнению с предыдущей редакцией не изменено ни одного слова.",
            "Проверьте, тот ли текст выбран; если меняются только сведения о редакции, подтвердите это.",
        ),
        (
            "Not one word has changed since the previous edition.",
            "Check that this is the right text. If you change only the values that the edition states, confirm it.",
        ),
    ),
    "agreement.L039": MessageText(
        "warning",
        (
            "Алдыңғы редакцияда {name} — {old}, ал осы редакцияда — {new}.",
            "Әдейі өзгертілмесе, бұрынғы мәнін қайтарыңыз.",
        ),
        (
            "В предыдущей редакции {name} — {old}, а в этой — {new}.",
            "Если так не задумано, верните прежнее значение.",
        ),
        (
            "In the previous edition, {name} is {old}; now it is {new}.",
            "If this is not intended, restore the earlier value.",
        ),
    ),
    "agreement.L050": MessageText(
        "warning",
        (
            "«1.», «2.» нөмірлерін екі түрлі түсінуге болады; мұнда олар {reading} деп оқылды: «{text}».",
            "Дұрыс болса, ештеңе істемеңіз. Бөлімді «## 1. …», тармақты «**1.** …», тізімді «1)» деп жазыңыз.",
        ),
        (
            "Номера «1.», «2.» можно понять двояко; здесь они прочитаны как {reading}: «{text}».",
            "Если это верно, ничего не меняйте. Раздел пишите как «## 1. …», пункт как «**1.** …», список как «1)».",
        ),
        (
            "The numbers “1.”, “2.” can be read in two ways. Here they are read as {reading}: “{text}”.",
            "If this is right, change nothing. Write a section as “## 1. …”, a clause as “**1.** …”, a list as “1)”.",
        ),
    ),
    "agreement.L051": MessageText(
        "error",
        (
            "{at}-жолдан бастап екінші құжат тұр: «{text}». Оның нөмірлері қайтадан 1-ден басталады.",
            (
                "Басқа құжат болса, оны жеке құжат етіп жариялаңыз; дәл сол мәтін немесе оның басқа тілдегі нұсқасы"
                " болса, өшіріңіз; осы құжаттың бөлігі болса, «1-қосымша» деп атаңыз."
            ),
        ),
        (
            "Со строки {at} начинается второй документ: «{text}». Его номера снова начинаются с 1.",
            (
                "Если это другой документ, опубликуйте его как отдельное соглашение; если тот же текст ещё раз или на"
                " другом языке — удалите его; если часть этого соглашения — назовите её «Приложение 1»."
            ),
        ),
        (
            "A second document begins in line {at}: “{text}”. Its numbers begin again at 1.",
            (
                "If it is another document, publish it as an agreement of its own. If it is the same text again or in"
                " another language, delete it. If it is a part of this agreement, give it the heading “Приложение 1”."
            ),
        ),
    ),
    "agreement.L052": MessageText(
        "warning",
        (
            "Сайттың беттерінде {number} нөмірлі үзінді келтірілген ({pages}), ал мәтінде ондай нөмір жоқ.",
            "Нөмірді қалпына келтіріңіз немесе жариялағанға дейін сол беттерді түзететін адамға хабарлаңыз.",
        ),
        (
            "Страницы сайта цитируют текст под номером {number} ({pages}), но такого номера в нём нет.",
            "Верните номер или до публикации сообщите тому, кто исправит эти страницы.",
        ),
        (
            "Pages of the site quote {number} of this text ({pages}), but the text has no such number.",
            "Restore the number. Or, before you publish, inform the person who corrects these pages.",
        ),
    ),
    "agreement.L053": MessageText(
        "warning",
        (
            "«{word}» кириллицамен терілген, бірақ латынша «{latin}» сөзіне ұқсайды.",
            "Латын сөзі болса, оны латын әріптерімен теріңіз: көзге бірдей, бірақ іздеу оны таппайды.",
        ),
        (
            "«{word}» набрано кириллицей, а похоже на латинское «{latin}».",
            "Если это латинское слово, наберите его латиницей: на вид оно такое же, но поиск его не найдёт.",
        ),
        (
            "“{word}” is typed in Cyrillic letters, but looks like the Latin “{latin}”.",
            "If it is a Latin word, type it in Latin letters. A search does not find it as it is now.",
        ),
    ),
}


#: The values of messages that are numbers of units.
_NUMBERS = frozenset({"number", "numbers", "before", "after", "kk", "ru", "reference", "referred", "now"})
#: Follows the sentence of a message about several places.
SEVERAL = {
    "kk": " Осындай орындар саны — {count}, жолдары: {lines}.",
    "ru": " Всего таких мест: {count}, строки: {lines}.",
    "en": " There are {count} such places, in the lines {lines}.",
}


def make_message(
    id: str,  # noqa: A002
    language: str = "",
    unit: Clause | None = None,
    line: int = 0,
    *,
    lines: Sequence[int] = (),
    units: Sequence[Clause] = (),
    **values: Any,
) -> Message:
    """The message with that id in ``MESSAGES``, in Kazakh, Russian and English. ``language`` is that of the text;
    ``""`` if it is about both texts. Raises :class:`KeyError` for an id that is not in ``MESSAGES``, and if a ``{…}``
    of its sentence or hint gets no value.

    The message has the line of ``unit`` and its number, or the number of its parent if it has none. ``lines`` are the
    lines of all places of a message about several; the first of them replaces the line. If there is more than one, the
    sentence ends with the first eight and with the count of all. A ``line`` other than 0 replaces the line in any case.
    ``units`` are units in a row, which the sentence names as ``{numbers}``; the first of them replaces ``unit``.
    ``values`` replace the ``{…}`` of the sentences and hints: a mapping contains a value for each language. The value
    ``clause`` replaces the number of the unit.
    """
    text = MESSAGES[id]
    if units:
        unit, values["numbers"] = units[0], places.stretch(units)
    where = str(values.get("clause", unit.number or unit.parent if unit else ""))
    words = {}
    for code, (sentence, hint) in (("kk", text.kk), ("ru", text.ru), ("en", text.en)):
        own = {name: value[code] if isinstance(value, Mapping) else value for name, value in values.items()}
        own |= {name: places.in_words(str(own[name]), code) for name in _NUMBERS & own.keys()}
        own[f"in_{code}"] = LANGUAGE_NAMES[code].get(language, language)
        sentence = _capital(sentence.format(**own))
        if len(lines) > 1:
            written = ", ".join(map(str, lines[:MOST_WRITTEN])) + ("…" if len(lines) > MOST_WRITTEN else "")
            sentence += SEVERAL[code].format(count=len(lines), lines=written)
        words[code] = sentence, _capital(hint.format(**own))
    named = "" if "clause" in values or unit is None else places.printed(unit) if unit.number else ""
    return Message(
        id=id,
        severity=text.severity,
        language=language,
        clause=where,
        line=line or (lines[0] if lines else unit.line if unit else 0),
        words=words,
        lines=tuple(lines[:MOST_LINES]) if len(lines) > 1 else (),
        count=len(units) or len(lines) or 1,
        first=int(values.get("first", 0)),
        last_clause=units[-1].number if len(units) > 1 else "",
        places={code: places.place(where, code, named) for code in MESSAGE_LANGUAGES} if where else {},
    )


def collected(
    id: str,  # noqa: A002
    language: str,
    found: Iterable[tuple[Clause | None, int, str]],
    name: str,
    **values: Any,
) -> Iterator[Message]:
    """Yield one message about all places; yield nothing if there are none. Each place is a unit, a line and what is
    wrong there, in the order of the lines. The value ``{name}`` of the sentence is the first five different words about
    the places. If the places are in several lines, the sentence ends with the first eight of these lines and their
    count. ``id``, ``language`` and the further ``values`` are those of :func:`make_message`.
    """
    first: Clause | None = None
    lines, written = list[int](), dict[str, None]()
    for unit, line, word in found:
        first = first or unit
        if line not in lines[-1:]:
            lines.append(line)
        if len(written) < MOST_WORDS:
            written[word] = None
    if lines:
        quoted = f"«{{{name}}}»" in MESSAGES[id].ru[0]
        values[name] = between_quotes(written) if quoted else ", ".join(written)
        yield make_message(id, language, first, lines[0], lines=lines, **values)


def between_quotes(words: Iterable[str]) -> dict[str, str]:
    """Language → these words, joined so that a sentence of that language can put them between two quotation marks."""
    words = tuple(words)
    return {code: mark.join(words) for code, mark in {"kk": "», «", "ru": "», «", "en": "”, “"}.items()}


#: How many different words a message about several places names.
MOST_WORDS = 5


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
