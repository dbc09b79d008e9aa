"""Finds the title of an agreement below what documents print above it, such as the order that approved it, the place,
the date, the name of a party, a version, or the front matter of a web site.

If the text does not begin with one of these, its title is the first line that is not empty.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: How many lines are searched, and how many of them may be one approval.
MAX_LINES, MAX_APPROVAL_LINES = 80, 10
#: The longest approval that an edition can have, in characters, and the longest line that is no paragraph.
MAX_APPROVAL, MAX_LINE = 255, 200

_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_RULE = re.compile(r"[-=*_—–.\s|:]{3,}$")
_BOLD = re.compile(r"\*\*|</?(?:b|strong)>", re.I)
_KEY = re.compile(r"[\w-]{1,40}\s*:(?:\s|$)|\s|[-#]")
_NUMBERED = re.compile(r"[#*_\s]*(?:§|\d{1,3}(?:\.\d{1,3}){0,2}[.)]\s|[IVX]{1,4}\.\s|\d{1,3}(?:\.\d{1,3}){1,2}\s)")
_MONTH = (
    r"(?:январ|феврал|март|апрел|ма[йя]|июн|июл|август|сентябр|октябр|ноябр|декабр|қаңтар|ақпан|наурыз|сәуір|мамыр"
    r"|маусым|шілде|тамыз|қыркүйек|қазан|қараша|желтоқсан)\w*"
)
_ORDER_RU = r"(?:приказ|решени|протокол|постановлени|распоряжени)"
_ORDER_KK = r"(?:бұйры|шешім|хаттама|қаулы|өкім)"

_APPROVED = re.compile(
    r"[«\"“]?(?:утвержд(?:[её]н[аоы]?|аю)|принят[аоы]?|бекіт(?:ілген|ілді|емін)|қабылданған)(?!\w)", re.I
)
_APPROVED_BY = re.compile(
    rf"приложени\w+(?:\s*№?\s*\d{{1,3}})?\s+к\s+{_ORDER_RU}"
    rf"|.*{_ORDER_KK}\w*\s+(?:№\s*\S+\s+)?(?:(?:№\s*)?\d{{0,3}}\s*-?\s*қосымша|бекіт(?:ілген|ілді))[.\s]*$",
    re.I,
)
#: The Kazakh participles that stand at the end of a phrase, and the end of such a phrase: «… бұйрығымен», after which
#: the number of the order or a remark in brackets may stand.
_PARTICIPLE_KK = re.compile(r"[«\"“]?бекіт(?:ілген|ілді)[»\"”]?$", re.I)
_BY_KK = re.compile(r"(?:мен|бен|пен)(?:\s+№\s*\S+)?(?:\s+\([^()]*\))?[.,;\s]*$", re.I)
_QUOTES = '«»"“”'
#: The number or the year of an order.
_DATED = re.compile(r"(?:№|N)\s*[\w_]|(?<!\d)(?:19|20)\d\d(?!\d)|_{2,}")
_AGREED = re.compile(r"(?:согласован[аоы]?|келісілді|келісілген)(?!\w)", re.I)
_CONTINUED = re.compile(
    rf"[a-zа-яёәғқңөұүһі(№_]|[«\"“]?[_\d]|(?i:{_ORDER_RU}|{_ORDER_KK}|директор|генеральн|председател|правлени|совет"
    r"|наблюдательн|общ\w+ собрани|учредител|руководител|ректор|от\s|бас(?:қарма|шы|\sдиректор)|төраға|кеңес"
    r"|жалпы жиналыс|құрылтайшы|м\.?\s?[пo]\.?$|қолы|подпись)"
    rf"|.*(?:(?i:{_ORDER_KK})(?:ғы|і|сы)|(?:ның|нің|дың|дің|тың|тің)$)"
    r"|.*[А-ЯӘҒҚҢӨҰҮҺІ]\.\s?(?:[А-ЯӘҒҚҢӨҰҮҺІ]\.\s?)?[А-ЯӘ]\w+$"
    r"|[А-ЯЁӘҒҚҢӨҰҮҺІ][а-яёәғқңөұүһі-]+(?:\s[А-ЯЁӘҒҚҢӨҰҮҺІ][а-яёәғқңөұүһі-]+){2}$"
)
_DOCUMENT = re.compile(
    r"соглашени|договор|оферт|политик|правил[аоы]?\b|услови|положени|регламент|согласи|порядок|кодекс|инструкци"
    r"|келісім|шарт|саясат|қағида|ереже|тәртіб|нұсқаулық|талаптар|agreement|terms|policy|conditions|offer|rules",
    re.I,
)
_ABBREVIATED = r"ТОО|АО|НАО|ИП|ООО|ПАО|ОАО|ЗАО|РГП|КГП|РГУ|КГУ|ГУ|ЖШС|АҚ|КеАҚ|ЖК|РМК|КМК|ММ|LLP|LLC|JSC"
_PARTY = re.compile(
    rf"(?:{_ABBREVIATED})(?!\w)|.*[»\"”]\s*(?:{_ABBREVIATED})$"
    r"|(?i:товариществ\w+\s|акционерн\w+\sобществ|обществ\w+\sс\sогр|индивидуальн\w+\sпредприн|некоммерческ\w+\s)"
    r"|.*(?i:серіктестігі|акционерлік қоғамы|жеке кәсіпкер\w*)(?!\w)"
)
_PLACE = re.compile(
    r"(?:(?:республика казахстан|қазақстан республикасы)[,\s]*)?"
    r"(?:(?:г\.|гор\.|город)\s*[\w-]+|[\w-]+(?:\s[\w-]+)?\s(?:қ\.|қаласы)|(?:астана|алматы|шымкент)(?!\w)).{0,60}$",
    re.I,
)
#: A place at the beginning of a line. «Алматы қаласының әкімі» is no place.
_CITY = re.compile(
    r"(?:(?:республика казахстан|қазақстан республикасы)[,\s]*)?"
    r"(?:(?:г\.|гор\.|город(?!\w))\s*[\w-]+|[\w-]+\s(?:қ\.|қаласы(?!\w))|(?:астана|алматы|шымкент)(?!\w))[\s.,]*",
    re.I,
)
_DATE = re.compile(
    rf"(?:от\s|с\s)?[«\"“]?[_\d]{{0,10}}[»\"”]?\s*(?:\d{{1,2}}[./]\d{{1,2}}[./]\d{{2,4}}|(?:{_MONTH}|_{{2,20}})\s*[_\d]{{2,4}}"
    rf"|[_\d]{{4}}\s*(?:жылғы|жыл|ж\.)\s*[«\"“]?[_\d]{{0,10}}[»\"”]?\s*(?:{_MONTH}|_+))\W*(?:г(?:ода|\.)?|ж\.?|жыл)?.{{0,20}}$",
    re.I,
)
_DETAIL = re.compile(
    r"(?:ред(?:акция|\.)|версия|нұсқа\w*|дата|күні|опубликован\w*|жарияланған|обновлен\w*"
    r"|последн\w+\s(?:обновлен|измен|редакц)\w+|соңғы\s(?:жаңарт|өзгер)\w+|действует\sс|вступ\w+\sв\sсилу|күшіне\sен\w+|version|published"
    r"|last\supdated|effective|бин|иин|бсн|жсн|тел\.?|адрес|мекенжай\w*|e-?mail|https?|www)(?!\w)"
    r"|(?:№|N)\s*\S{1,20}$|(?:проект|жоба|образец|үлгі|форма|типовая\sформа|нысан|draft)$"
    r"|\((?:подпись|қолы|ф\.?\s?и\.?\s?о|дата|күні|м\.?\s?[пo])\.?\)$|!\[|\[!\[",
    re.I,
)
#: A chapter or another part of a document: «Глава 1.», «1-тарау».
_PART = re.compile(
    r"(?:глава|раздел|статья|часть|параграф|§)\s*\d|\d+\s?[-–‑]?\s?(?:тарау|бөлім|бап|бөлік|параграф)", re.I
)
#: The name of a section that is no name of a document: «Общие положения», «Жалпы ережелер».
_SECTION = re.compile(r"(?:общ|основн|заключительн)\w+\s|(?:жалпы|негізгі|қорытынды)\s", re.I)
#: The links that a page of a web site prints above its text: «← Назад», «Главная / Документы».
_NAVIGATION = re.compile(
    r"[←⟵‹]\s*\S.{0,40}$|\W*(?:артқа(?:\sқайту)?|назад|вернуться(?:\sназад)?|на\sглавную|меню|мәзір|back|menu)\W*$"
    r"|(?:главная(?:\sстраница)?|басты\sбет|home)\s*(?:[/>»›→|•·—–-].{1,150})?$",
    re.I,
)


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """The title line of an agreement, and the approval above it.

    ``title`` is the text of the title line without the marks ``#`` at its ends. ``line`` is the index of the title
    line, from 0. If every line is empty or consists of marks ``#``, they are ``""`` and -1. ``approval`` are the words
    of the first approval above the title other than «СОГЛАСОВАНО», at most ``MAX_APPROVAL`` characters. It is ``""`` if
    none was found, or if it is a single word such as «УТВЕРЖДЕНО».

    If no title follows what documents print above one, ``title`` is the first line that is not empty, and ``approval``
    is ``""``. If that line is a date or a detail such as a version, and does not name a kind of document, ``line`` is
    -1.
    """

    title: str = ""
    line: int = -1
    approval: str = ""


def front_matter(body: str) -> FrontMatter:
    """The title line of a text and the approval above it. The lines of ``body`` must end with LF. The title line is the
    first line that is not empty, unless this is an approval, a place, a date, the name of a party or the like. Then it
    is the first line after all of these, if that one can be a title and is one of the first ``MAX_LINES`` lines; if
    not, :class:`FrontMatter` describes the result. A line of heading marks alone counts as empty.

    If that line names no kind of document and is no heading, but the only heading of the first level below it does, the
    heading is the title. An import makes such a heading of the style Title of a Word file.
    """
    lines = [(index, line.strip()) for index, line in enumerate(body.split("\n", MAX_LINES)[:MAX_LINES])]
    filled = [(index, text) for index, line in lines if (text := line.strip("#").strip())]
    if not filled:
        rest = body.split("\n")
        index = next((index for index, line in enumerate(rest) if line.strip().strip("#").strip()), -1)
        return FrontMatter(rest[index].strip().strip("#").strip(), index) if index >= 0 else FrontMatter()
    place, approval = _after_yaml([text for _index, text in filled]), ""
    while place < len(filled):
        words = [_words(text) for _index, text in filled[place : place + MAX_APPROVAL_LINES]]
        size = _approval(words)
        if size and not approval and not _AGREED.match(words[0]):
            approval = " ".join(filter(None, words[:size]))
        if not size and _is_above_title(filled[place][1], words[0]):
            size = 1
        if not size and filled[place][1].startswith(">"):  # A remark above a heading of Markdown.
            after = next((at for at in range(place, len(filled)) if not filled[at][1].startswith(">")), place)
            size = (after - place) * lines[filled[after][0]][1].startswith("#")
        if not size:
            break
        place += size
    place = _heading_below([lines[index][1] for index, _text in filled], [text for _index, text in filled], place)
    if place and (place == len(filled) or not _can_be_title(filled[place][1], _words(filled[place][1]))):
        first = _words(filled[0][1])
        detail = _DATE.match(first) or _DETAIL.match(first)
        return FrontMatter(filled[0][1], -1 if detail and not _DOCUMENT.search(first) else filled[0][0])
    return FrontMatter(filled[place][1], filled[place][0], _sentence(approval))


def has_title_below(body: str) -> bool:
    """Does the title line name no kind of document, while a line of its own between it and the first number does? The
    line below may have at most 80 characters, and must not look like a sentence. The lines of ``body`` must end with
    LF.
    """
    found = front_matter(body)
    if found.line < 0 or _DOCUMENT.search(found.title):
        return False
    for line in body.split("\n", MAX_LINES)[found.line + 1 : MAX_LINES]:
        words = _words(line.strip().strip("#").strip())
        if _NUMBERED.match(f"{words} ") or _PART.match(words) or len(words) > 80 or words.endswith((".", ":", ",")):
            return False
        if _DOCUMENT.search(words) and not _SECTION.match(words) and _can_be_title(line.strip(), words):
            return True
    return False


def _words(line: str) -> str:
    """The words of a line of Markdown; those of all cells for a row of a table. ``""`` for a line that consists of
    three or more signs such as ``-`` or ``=``.
    """
    if _RULE.match(line):
        return ""
    if line.startswith("|"):
        line = re.sub(r"(?<!\\)\||<br\s*/?>", " ", line)
    return " ".join(_ESCAPE.sub(r"\1", _BOLD.sub("", line).strip("*_ ")).split())


def _after_yaml(lines: list[str]) -> int:
    """How many of the lines, counted from the first, are front matter such as that of a static site: a line ``---``,
    lines such as ``key: value``, and a second line ``---``. Both lines ``---`` are counted. 0 if the lines do not begin
    with front matter. ``lines`` has at least one item.
    """
    if lines[0] != "---":
        return 0
    for place, line in enumerate(lines[1:], start=1):
        if line == "---":
            return place + 1
        if not _KEY.match(line):
            break
    return 0


def _approval(words: list[str]) -> int:
    """How many items of ``words``, counted from the first, are an approval («УТВЕРЖДЕНО», «СОГЛАСОВАНО») and the lines
    that continue it. 0 if ``words`` does not begin with an approval. ``words`` has one item for each line that is not
    empty, the result of :func:`_words` for that line; at least one and at most ``MAX_APPROVAL_LINES``.
    """
    size = 0
    if _APPROVED.match(words[0]) or _AGREED.match(words[0]):
        size = 1
    else:
        for count in range(1, len(words) + 1):
            part = words[:count]
            if any(len(line) > MAX_LINE or _NUMBERED.match(f"{line} ") for line in part):
                break
            if _APPROVED_BY.match(" ".join(part)):
                size = count
                break
    if not size or len(words[0]) > MAX_LINE:
        return 0
    while size < len(words):
        dated = any(_DATED.search(line) for line in words[:size])
        place = _is_place(words[size], dated=dated)
        more = 1 if _continues(words[size]) and not place else _lines_to_date(words, size)
        if not more:
            break
        size += more
    return size


def _lines_to_date(lines: list[str], size: int) -> int:
    """How many lines after the first ``size`` lines of an approval belong to it because its date follows them. The name
    of the body that approved a text can be printed on several lines: «Республики Казахстан – Елбасы».

    0 if the first ``size`` lines state a number or a date, or if no date follows. Also 0 if a line before the date has
    no words or more than 80 characters, names a kind of document, is numbered, or begins another approval.
    """
    if any(_DATED.search(line) for line in lines[:size]):
        return 0
    for place, line in enumerate(lines[size:]):
        if place and _DATED.search(line):
            return place
        if not 0 < len(line) <= 80 or _DOCUMENT.search(line) or _NUMBERED.match(f"{line} ") or _APPROVED.match(line):
            return 0
    return 0


def _is_place(line: str, *, dated: bool) -> bool:
    """Is this line of words the place of the document, and no part of the approval above it? It is a place alone or, if
    the approval states its number or date (``dated``), a place and another date.
    """
    if not (city := _CITY.match(line)):
        return False
    rest = line[city.end() :]
    return not rest or (dated and bool(_DATE.match(rest)) and not rest.startswith("от "))


def _continues(line: str) -> bool:
    return (
        len(line) <= MAX_LINE
        and not _APPROVED.match(line)
        and (not _NUMBERED.match(f"{line} ") or _DATE.match(line) is not None)
        and (line[:1].islower() or not _DOCUMENT.search(line))
        and bool(_CONTINUED.match(line) or _PARTY.match(line) or _DATE.match(line))
    )


def _is_above_title(line: str, words: str) -> bool:
    """Is this line one that documents print above the title: a place, a date, the name of a party, a detail such as a
    version, a link of the site, a row of a table, an HTML comment, or a line without words? ``words`` is the result of
    :func:`_words` for ``line``. A place, a date, a party or a detail that names a kind of document, such as «договор»,
    is not such a line. Approvals are not recognised here.
    """
    if not words or line.startswith("|") or (line.startswith("<!--") and line.endswith("-->")):
        return True
    if len(words) > MAX_LINE:
        return False
    if _NAVIGATION.match(words):
        return True
    if _DATE.match(words) or _DETAIL.match(words):
        return not _DOCUMENT.search(words)
    return bool((_PLACE.match(words) or _PARTY.match(words.strip("() "))) and not _DOCUMENT.search(words))


def _heading_below(lines: list[str], texts: list[str], place: int) -> int:
    """The index of the title if it is a heading below the line at ``place``; otherwise ``place``. ``lines`` are the
    lines that are not empty, without white space at their ends, and ``texts`` the same lines without the marks ``#`` at
    their ends.

    The line at ``place`` and the lines between must name no kind of document, be no heading and look like no sentence
    and no numbered line. The heading must name a kind of document, and be the only one of the first level.
    """
    headings = [at for at, line in enumerate(lines) if line.startswith("# ")]
    if len(headings) != 1 or not place < headings[0] < place + MAX_APPROVAL_LINES:
        return place
    heading = headings[0]
    for at in range(place, heading):
        words = _words(texts[at])
        if lines[at].startswith("#") or not _can_be_title(lines[at], words) or _DOCUMENT.search(words):
            return place
    title = _words(texts[heading])
    names = _DOCUMENT.search(title) and not _SECTION.match(title) and _can_be_title(title, title)
    return heading if names else place


def _can_be_title(line: str, words: str) -> bool:
    """Can this line be a title? ``words`` is the result of :func:`_words` for ``line``. ``words`` must have at most
    ``MAX_LINE`` characters, must not look like a sentence, and must not begin with the number of a clause. ``line``
    must not begin with one of the signs ``|``, ``>``, ``-`` and ``+``, and is not empty.
    """
    sentence = words[:1].islower() or (words.endswith((".", ";", ":", ",")) and len(words.split()) > 6)
    return len(words) <= MAX_LINE and not sentence and not _NUMBERED.match(f"{words} ") and line[0] not in "|>-+"


def _sentence(approval: str) -> str:
    """The approval as one phrase, cut to ``MAX_APPROVAL`` characters: ``УТВЕРЖДЕНО: приказом`` becomes ``Утверждено
    приказом``. ``""`` for an approval of one word or none. A Kazakh participle at the beginning is moved to the end,
    where the grammar has it, if the words after it state by what the agreement was approved. It stays at the beginning
    if the phrase would be longer than ``MAX_APPROVAL`` characters.
    """
    first, _space, rest = approval.partition(" ")
    first = first.rstrip(":")
    if not rest:
        return ""
    if _PARTICIPLE_KK.match(first) and _BY_KK.search(rest):
        moved = f"{rest[0].upper()}{rest[1:].rstrip('.,; ')} {first.strip(_QUOTES).lower()}"
        if len(moved) <= MAX_APPROVAL:
            return moved
    before, _space, last = rest.rpartition(" ")
    if before and last.isupper() and _PARTICIPLE_KK.match(last):
        rest = f"{before} {last.lower()}"
    return f"{first.capitalize() if first.isupper() else first} {rest}"[:MAX_APPROVAL]
