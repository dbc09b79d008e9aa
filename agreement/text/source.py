"""Reads the text of an edition from the bytes of a file or from a form, by one rule.

A byte order mark is removed, and the line ends become LF (:func:`normalise`). Nothing else changes: decomposed letters
and odd spaces remain as the author wrote them. The body is the whole text with its title line. :func:`decode` refuses a
file with NUL; :func:`normalise`, which forms use, refuses nothing.

Files are UTF-8 unless another encoding is given. :func:`recognise` finds other encodings in which Kazakh and Russian
texts are stored.
"""

from __future__ import annotations

import re
from collections import Counter

from django.utils.translation import gettext as _

#: The longest text that is accepted, in bytes. The Criminal Code of Kazakhstan has half as many.
MAX_BYTES = 2_000_000
#: The encodings with one byte for each letter that are recognised. KZ-1048 and PT154 have Kazakh letters.
ENCODINGS = ("windows-1251", "KZ-1048", "PT154", "KOI8-R", "IBM866")

# A vertical tab is the line break of Word (Shift+Enter) in plain text, and a form feed is its page break.
_LINE_END = re.compile("\r\n|[\r\v\f\u2028\u2029]")
_VOWELS = frozenset("аеёиоуыэюяәіөұүАЕЁИОУЫЭЮЯӘІӨҰҮ")
_LETTERS = _VOWELS | frozenset("бвгджзйклмнпрстфхцчшщъьғқңһБВГДЖЗЙКЛМНПРСТФХЦЧШЩЪЬҒҚҢҺ")
_SIGNS = frozenset("«»„“”‘’–—…№§•·°±©®™€\u00a0\u00ad")
_PLAIN = _LETTERS | _SIGNS | frozenset(map(chr, (*range(32, 127), 9, 10, 13, 0xFEFF)))


class SourceError(ValueError):
    """The text can't become the text of an edition. ``args`` are a sentence, which ``str()`` gives, and a hint that
    says what to do, or ``""``. Both are in the language that was active.
    """

    def __init__(self, sentence: str, hint: str) -> None:
        super().__init__(sentence, hint)
        self.hint = hint

    def __str__(self) -> str:
        return str(self.args[0])


class EncodingError(SourceError):
    """The file ``name`` is likely a text in the encoding ``encoding``, which is not UTF-8.
    :func:`agreement.word.files.read_file` raises it; :func:`decode` does not.
    """

    def __init__(self, name: str, encoding: str) -> None:
        self.encoding = encoding
        sentence = _("%(name)s is a text in the encoding %(encoding)s.") % {"name": name, "encoding": encoding}
        super().__init__(sentence, _("Save it as .docx or as a text file in UTF-8."))


def normalise(text: str) -> str:
    """The text with LF in place of CRLF, CR, vertical tabs, form feeds, and the line and paragraph separators of
    Unicode. If its first character is a byte order mark, this is removed.
    """
    return _LINE_END.sub("\n", text.removeprefix("\ufeff"))


def recognise(content: bytes) -> str:
    """The name of the encoding in which these bytes are probably a text: ``UTF-8``, ``UTF-16``, ``UTF-16LE``,
    ``UTF-16BE``, or one of ``ENCODINGS``; ``""`` if none is likely. Python has a codec of each name.

    Bytes that begin with the byte order mark of UTF-16 give ``UTF-16`` without further checks. Bytes without NUL that
    can be decoded as UTF-8 are UTF-8, and so are no bytes at all. Other bytes are UTF-16LE or UTF-16BE if 98 % of the
    characters that they give are letters of Kazakh or Russian, common signs or in ASCII. Other bytes with NUL give
    ``""``. Each of ``ENCODINGS`` is judged by the letters: nearly all that are not ASCII must be Kazakh or Russian,
    with as many vowels as these languages have. If encodings fit equally, such as windows-1251 and KZ-1048 for a
    Russian text, the first one is given.
    """
    if content[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return "UTF-16"
    if b"\0" not in content and _decodes(content, "UTF-8"):
        return "UTF-8"
    for name in ("UTF-16LE", "UTF-16BE"):
        if len(content) % 2 == 0 and _decodes(content, name):
            counts = Counter(content.decode(name))
            if sum(counts[character] for character in _PLAIN) >= 0.98 * len(content) / 2:
                return name
    if b"\0" in content:
        return ""
    found = Counter(content)
    fits = {name: fit for name in ENCODINGS if (fit := _fit(found, name)) and _decodes(content, name)}
    return max(fits, key=fits.__getitem__, default="")


def _decodes(content: bytes, name: str) -> bool:
    try:
        content.decode(name)
    except UnicodeDecodeError:
        return False
    return True


def _fit(counts: Counter[int], name: str) -> float:
    """How well a text fits the encoding ``name``: a greater number for a better fit, 0 if it does not fit. It does not
    fit, for example, if more than two thirds of its letters are those of ASCII. ``counts`` says how often each byte
    occurs in the text.
    """
    characters = {bytes([byte]).decode(name, "replace"): counts[byte] for byte in range(128, 256) if counts[byte]}
    letters = sum(count for character, count in characters.items() if character in _LETTERS)
    vowels = sum(count for character, count in characters.items() if character in _VOWELS)
    others = sum(count for character, count in characters.items() if character not in _LETTERS | _SIGNS)
    latin = sum(counts[byte] for byte in range(128) if chr(byte).isalpha())
    if not letters or letters * 2 < latin or others * 20 > letters or not 0.3 <= vowels / letters <= 0.6:
        return 0
    return vowels / letters - 3 * others / letters


def decode(content: bytes, name: str, *, encoding: str = "UTF-8", may_be_empty: bool = False) -> str:
    """The normalised text of a file. ``name`` is the name of the file in messages, and ``encoding`` a name that
    :func:`recognise` can give.

    Raises :class:`SourceError` for a file that is larger than ``MAX_BYTES``, is not in that encoding, or has the
    character NUL in its text. A file that contains nothing but white space raises it too, or gives ``""`` with
    ``may_be_empty``.
    """
    values: dict[str, object] = {"name": name, "encoding": encoding}
    if len(content) > MAX_BYTES:
        raise SourceError(
            _("%(name)s is too large to be an agreement's text.") % values,
            _("Save only the text of the agreement, without pictures, as .docx or as a text file."),
        )
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        values |= {"byte": f"0x{content[error.start]:02x}", "position": error.start}
        raise SourceError(
            _("%(name)s is not a text in %(encoding)s: byte %(byte)s at position %(position)s.") % values,
            _("Save it as .docx or as a text file in UTF-8."),
        ) from None
    if "\x00" in text:
        raise SourceError(
            _("%(name)s contains a NUL character at position %(position)s. It is probably not a text file.")
            % (values | {"position": text.index("\0")}),
            _("Save it as .docx or as a text file in UTF-8."),
        )
    text = normalise(text)
    if not text.strip():
        if may_be_empty:
            return ""
        raise SourceError(_("%(name)s contains no text.") % values, _("Write the text of the agreement into it."))
    return text
