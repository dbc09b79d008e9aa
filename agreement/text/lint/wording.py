"""The lint's rules about unfinished and faulty wording: placeholders, repeated words, numbers in the middle of a line,
and first lines that are no title.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from agreement.text.clauses import Clause, Document
from agreement.text.lint.letters import excerpt, first_matches
from agreement.text.lint.messages import collected

if TYPE_CHECKING:
    from agreement.text.lint.messages import Message
    from agreement.text.lint.texts import Texts

_CAPITAL = "A-ZА-ЯЁӘҒҚҢӨҰҮҺІ"
_BLANK = r"(?:\\?_)"
_PLACEHOLDER = re.compile(
    r"(?=[{$<\\\[«\"“„_XХTFLlЛлМЩВC])(?:"  # Without it, each alternative would be tried at each character.
    r"\$?\{{1,2}[^{}\n]{2,80}\}{1,2}|<%[^%\n]{1,80}%>"  # marks of templates
    r"|<[а-яёәғқңөұүһіА-ЯЁӘҒҚҢӨҰҮҺІ](?:[^<>\n]{1,60}[^\s<>])>"
    r"|\\?\[[^\[\]\n]{3,120}\](?![(\[:])"
    rf"|[«\"“„][ \xa0]*{_BLANK}{{2,}}[ \xa0]*[»\"”“]|(?<![^\W\d_]){_BLANK}{{3,}}(?![^\W\d_])"
    rf"|(?<=\d){_BLANK}{{2,}}(?!\w)"
    r"|(?<!\w)(?:Место для ввода \w+|Щ[её]лкните(?: здесь| или коснитесь)[^\n.]{0,40}ввести \w+|Выберите элемент"
    r"|Click (?:here |or tap (?:here )?)?to enter \w+|Choose an item|Мәтін енгізу орны)\."
    r"|(?<![\w-])(?:X{3,}|Х{3,}|TODO|FIXME|TBD)(?!\w)|(?i:\b(?:lorem|лорем)\s+(?:ipsum|ипсум)))"
)
#: Words with which a placeholder in square brackets begins.
_TO_FILL = re.compile(
    r"\W*(?:заполн|указ(?:ать|ыва|ите)|укажите|впи[шс]|вста[вь]|введите|ввести|наименовани|названи|фио\b|ф\.\s?и\.\s?о"
    r"|имя|фамили|адрес|дат[аы]\b|номер|сумм[аы]\b|срок\b|бин\b|иин\b|инн\b|огрн|домен|компани|ваш|город\b|телефон"
    r"|e-?mail|сайт|url\b|руководител|должност|организаци|басшы|лауазым|ұйым"
    r"|толтыр|көрсет|енгіз|жаз(?:ыңыз|у)|атауы|мекенжай|күні\b|сома(?:сы)?\b|қала\b|компания"
    r"|company|your\b|insert|enter\b|name\b|address|date\b|domain|website|.*(?:толтыр|көрсет|енгіз|жаз)\w*\W*$)",
    re.IGNORECASE,
)
_SIGNATURE = re.compile(
    r"подпис|қолы|қол қою|м\.\s?п\b|м\.\s?о\b|ф\.\s?и\.\s?о|аты-жөні|расшифровк|директор|руководител|/|\(\s*\)",
    re.IGNORECASE,
)
_SIGNED = re.compile(r"(?:подпис\w*|қолы|м\.\s?п|м\.\s?о)\W*$", re.IGNORECASE)
#: Before a blank for facts, which is no signature.
_FACT = re.compile(
    r"(?<!\w)(?:б[ис]н|иин|инн|кпп|огрн|иик|бик|бск|жсн|жск|адрес|мекенжай|тел|телефон|банк|р/с|к/с|e-?mail|эл\."
    r"|от|№)\W*$",
    re.IGNORECASE,
)


def placeholders(texts: Texts) -> Iterator[Message]:
    """L031: places that were to be filled in: ``{{name}}``, ``[указать БИН]``, ``<ДОМЕН>``, ``____``, ``XXX``. One
    message for each text. A line of underscores alone is no placeholder. Neither is a blank for a signature: one after
    a word such as «подпись», or one near the end of the text that looks like it.
    """
    for language, document in texts.documents.items():
        yield from collected("agreement.L031", language, _placeholders(document, texts.bodies[language]), "text")


def _placeholders(document: Document, body: str) -> Iterator[tuple[Clause | None, int, str]]:
    last = document.clauses[-1].start if document.clauses else 0
    end = min(last, len(body) * 4 // 5) if last > len(body) // 2 else len(body) * 4 // 5
    roman = "XXIX" in body  # Then XXX is the number of a chapter.

    def counts(match: re.Match[str]) -> bool:
        found = match[0]
        if "[" in found[:2]:
            inner = found.strip("\\[]")
            letters = [char for char in inner if char.isalpha()]
            return bool(_TO_FILL.match(inner)) or (len(letters) > 3 and inner.isupper() and not inner.isascii())
        if "_" not in found:
            return not (roman and found.startswith("XXX"))
        # Of a long line, only the words around the blank are read.
        around, end_of_line = max(match.start() - 300, 0), body.find("\n", match.end(), match.end() + 300)
        begin = body.rfind("\n", around, match.start()) + 1 or around
        line = body[begin : end_of_line if end_of_line >= 0 else match.end() + 300]
        if not line.strip(" \t\xa0_\\|*-"):
            return False  # A rule, or a line for a signature.
        before = body[max(begin, match.start() - 40) : match.start()]
        if _SIGNED.search(before):
            return False
        return match.start() < end or not _is_signature(line, before)

    for unit, line, match in first_matches(document, body, _PLACEHOLDER, counts):
        text = re.sub("__+", "__", match[0].replace("\\", "")).strip('«»"“”„ ')
        yield unit, line, excerpt(text)


def _is_signature(line: str, before: str) -> bool:
    """Is the blank in this line likely to be for a signature? ``before`` are the last characters of the line before the
    blank.
    """
    if _FACT.search(before):
        return False
    words = re.findall(r"[^\W\d_]{2,}", line)
    return _SIGNATURE.search(line) is not None or (len(words) <= 3 and not re.search(r"[\d«\"“]", line))


_REPEATED = re.compile(r"(?<![\w-])([^\W\d_]+)[ \xa0]+\1(?![\w-])", re.IGNORECASE)
_SHORT = frozenset("авикосуя")
#: Words that are doubled on purpose.
_DOUBLED = frozenset(
    "еле очень чуть едва вот да нет ну тихо быстро давно долго много только чем как"
    " тез жиі бірте қайта ара анда оқтын ұзақ жылдам әрең жай көп аз күн ай жыл түн бір екі үш төрт бес алты жеті он"
    " сан алуан түрлі басқа бөлек жеке өз кім қай әр ақырын біртіндеп дүркін шұғыл сөз үй ел жер қат топ әлсін оқта"
    " талай анық айқын нақ дәл тура".split()
)


def repeated_words(texts: Texts) -> Iterator[Message]:
    """L033: a word is repeated: ``не не``. One message for each text. These are not reported: doubled words such as
    ``еле еле`` or ``тез тез``, names after a quotation mark, abbreviations (``ПО по``), single letters that are no
    Russian word, words of more than three letters that differ in capital letters (``стороны Стороны``), and shorter
    words in small letters before a word with a capital letter.
    """
    for language, document in texts.documents.items():
        if not _may_repeat(texts.bodies[language]):
            continue  # The pattern is much slower.
        matches = first_matches(document, texts.bodies[language], _REPEATED, _is_repeated)
        found = ((unit, line, match[0]) for unit, line, match in matches)
        yield from collected("agreement.L033", language, found, "text")


def _may_repeat(body: str) -> bool:
    """Does a word seem to follow itself somewhere in the text? A quick test before the slower pattern."""
    last = "\0"
    for word in body.lower().split():
        if word.startswith(last) and not word[len(last) : len(last) + 1].isalnum():
            return True
        last = word if word[0].isalnum() else word.lstrip('«("“„*_') or word
    return False


def _is_repeated(match: re.Match[str]) -> bool:
    first, second = match[0].split()[0], match[0].split()[-1]
    word = first.lower()
    if word in _DOUBLED or (len(word) > 1 and first.isupper()):
        return False
    if first != second and (first.islower() or len(word) > 3):
        return False  # «Курс курс шеңберінде»: the second word begins another phrase.
    if first[:1].isupper() and match.string[max(match.start() - 1, 0)] in '«"“„':
        return False  # A name.
    return len(word) > 1 or word in _SHORT


# With or without a space before it: «…услуги. 3.1. Исполнитель», «…услуги.3.1. Исполнитель».
_INNER = re.compile(
    r"(?P<number>[0-9](?<=[^\n\dA-Za-z_№/-][0-9])(?<!\d\.[0-9])(?:\d{0,2}(?:\.\d{1,3}){1,2}|\d?(?=\.)))\.?[ \xa0]+"
    rf"(?=[«\"“]?[{_CAPITAL}])"
)
_ABBREVIATION = re.compile(r"(?<!\w)(?:пп?|ст|гл|разд|подп|т|г|ж|см|ред|рис|табл|№|v|верси\w+)[.)»]*$", re.IGNORECASE)


def swallowed(document: Document, body: str) -> dict[str, tuple[Clause, int, str]]:
    """Number → unit, line and words of each clause that begins in the middle of a line: ``1.1. Текст. 1.2. Ещё.`` In an
    appendix that counts anew, the number has the prefix of the appendix, such as ``a1.``. ``unit`` is the one that
    contains the line.

    Such a number directly follows, in the order of numbers, the one before it on the line or that of the unit, or it
    stands after a word without a full stop, as after the heading of a section. No unit has it, and a capital letter
    follows it. A number of one part is that of a section whose first clause the text contains, or it follows the number
    of a clause of one part.
    """
    present, found = set(document.numbers), dict[str, tuple[Clause, int, str]]()
    last: dict[int, str] = {}  # The last number that was found in a line.
    counting: dict[int, bool] = {}  # Offset of a clause → does its number begin a list in it?

    def counts(match: re.Match[str]) -> bool:
        whole = body[max(0, match.start() - 200) : match.start()]
        before = whole.rstrip(" \xa0")
        if not before or before[-1] in "\n#*" or _ABBREVIATION.search(before[-12:]):
            return False
        if before[-1] in ".;:!?»)" or (before == whole and before[-1].isalpha()):
            return True
        # Without a full stop before it, the number follows the heading of its section: «1. ОБЩЕЕ 1.1. Текст».
        if not match["number"].endswith(".1") or not before[-1].isalpha():
            return False
        heading = _HEADING.search(before)
        return heading is not None and match["number"] == f"{heading['number']}.1"

    for unit, line, match in first_matches(document, body, _INNER, counts, every=True):
        if unit is None or not unit.number or "-" in unit.number:
            continue
        # In an appendix that starts its own numbering, the address has a prefix, and the text has none.
        number, scope = match["number"], _SCOPE.match(unit.number)
        prefix = scope[0] if scope else ""
        address, before = prefix + number, last.get(line, unit.number.removeprefix(prefix))
        heads = body[max(0, match.start() - 12) : match.start()].rstrip(" \xa0")[-1].isalpha()
        own = unit.label.rstrip(".") if unit.kind == "clause" and "." not in number else ""
        if own.isdigit():
            if unit.start not in counting:
                counting[unit.start] = _counts_in(unit, own)
            if counting[unit.start]:
                continue
            address, before, heads = unit.number.removesuffix(own) + number, last.get(line, own), False
        elif "." not in number and f"{address}.1" not in present:
            continue  # A section: its first clause follows.
        if address in present or not (heads or number in _following(before)):
            continue
        last[line] = number
        text = body[match.start("number") : match.start("number") + 80].partition("\n")[0]
        found.setdefault(address, (unit, line, excerpt(text)))
    return found


def _counts_in(unit: Clause, number: str) -> bool:
    """Does the text of the clause contain its own number again, such as ``15.``? Then a list in it counts past this
    number, and ``16.`` may be the next item of the list. ``number`` is the number without the dot.
    """
    return re.search(rf"\s{number}\.\s", unit.text) is not None


_HEADING = re.compile(r"(?m:^)[#*\s]*(?P<number>\d{1,3})\.[ \xa0][^\n]*\Z")
_SCOPE = re.compile(r"a\d{1,3}\.")


def _following(number: str) -> set[str]:
    """The numbers that may follow a number directly: after 1.1, these are 1.1.1, 1.2, 2 and 2.1. Empty for a
    number that does not consist of digits and dots.
    """
    parts = number.split(".")
    if not all(part.isdigit() for part in parts):
        return set()
    found = {f"{number}.1", f"{int(parts[0]) + 1}.1", str(int(parts[0]) + 1)}
    for depth in range(1, len(parts)):
        found.add(".".join([*parts[:depth], str(int(parts[depth]) + 1)]))
    return found


def swallowed_clauses(texts: Texts) -> Iterator[Message]:
    """L034: clauses that begin in the middle of a line, and are therefore part of the clause before them. One message
    for each text.
    """
    for language, numbers in texts.swallowed.items():
        yield from collected("agreement.L034", language, numbers.values(), "text")


_NO_TITLE = re.compile(
    r"(?:утвержд|согласован|введен|бекіт|келісілді|қабылданды|приказ|бұйрық|приложение\s*(?:№|\d)|\d+-қосымша)"
    r"|(?:г\.|город\s|гор\.|қ\.)\s?\w[^\n]{0,60}$|\w+\s+қаласы\W*$"
    r"|[«\"“]?[\s_\\]*\d{0,2}[\s_\\]*[»\"”]?\s*(?:\d{1,2}\s+)?"
    r"(?:январ|феврал|март|апрел|ма[йя]|июн|июл|август|сентябр|октябр|ноябр|декабр|қаңтар|ақпан|наурыз|сәуір|мамыр|маусым"
    r"|шілде|тамыз|қыркүйек|қазан|қараша|желтоқсан)\w*\s+\d{4}|\d{4}\s*(?:жыл|год)|\d{1,2}\.\d{1,2}\.\d{4}"
    r"|(?:ТОО|АО|ООО|ПАО|ОАО|ЗАО|ИП|ЖШС|АҚ|ЖК|LLP|LLC)\s+[«\"“„][^»\"”“]*[»\"”“]\W*$"
    r"|[«\"“„][^»\"”“]*[»\"”“]\s*(?:ТОО|АО|ЖШС|АҚ|ЖК|ИП|LLP)\W*$"
    r"|(?:товарищество с ограниченной|общество с ограниченной|акционерное общество|индивидуальный предприниматель"
    r"|жауапкершілігі шектеулі|акционерлік қоғам|жеке кәсіпкер)|---+$|\|",
    re.IGNORECASE,
)


#: What a sentence has and a title has not.
_SENTENCE = re.compile(
    r"[^\n]{15,}(?:,\sкотор|\s(?:действует|определя[ею]т|регулиру[ею]т|устанавлива[ею]т|является|являются"
    r"|распространяется|применяется|заключили|реттейді|белгілейді|анықтайды|қолданылады|таралады)(?!\w))",
    re.IGNORECASE,
)


def unlike_a_title(line: str) -> bool:
    """Does the line look like something other than a title, such as an approval («УТВЕРЖДЕНО»), a place, a date, the
    name of a party, a row of a table or a sentence?
    """
    return _NO_TITLE.match(line.strip("*_ ")) is not None or _SENTENCE.match(line) is not None
