"""Reads the text of an edition from the bytes of a file or from a form, by one rule.

Files are UTF-8. A byte order mark is removed, and CRLF and CR become LF. Nothing else changes: decomposed letters and
odd spaces remain as the author wrote them. The body is the whole text with its title line. :func:`decode` refuses a
file with NUL; :func:`normalise`, which forms use, refuses nothing.
"""

from __future__ import annotations

#: The longest text that is accepted, in bytes. The Criminal Code of Kazakhstan has half as many.
MAX_BYTES = 2_000_000


class SourceError(ValueError):
    """The text can't become the text of an edition. ``args`` are a sentence, which ``str()`` gives, and a hint that
    says what to do.
    """

    def __init__(self, sentence: str, hint: str) -> None:
        super().__init__(sentence, hint)
        self.hint = hint

    def __str__(self) -> str:
        return str(self.args[0])


def normalise(text: str) -> str:
    """The text without a byte order mark at its beginning, and with LF in place of CRLF and CR."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def decode(content: bytes, name: str, *, may_be_empty: bool = False) -> str:
    """The normalised text of a file. ``name`` is the name of the file in messages.

    Raises :class:`SourceError` for a file that is larger than ``MAX_BYTES``, is not UTF-8, or contains NUL. A file that
    contains nothing but white space raises it too, or gives ``""`` with ``may_be_empty``.
    """
    if len(content) > MAX_BYTES:
        sentence = f"{name!r} is {len(content):,} bytes long; at most {MAX_BYTES:,} are allowed."
        raise SourceError(sentence, "Save only the text of the agreement as a text file.")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        sentence = f"{name!r} is not UTF-8: byte {content[error.start]:#04x} at position {error.start}."
        raise SourceError(sentence, "Save the file as UTF-8 and import it again.") from None
    if "\x00" in text:
        sentence = f"{name!r} contains a NUL character at position {text.index(chr(0))}."
        raise SourceError(
            sentence, "It may not be a text file. Export the agreement as Markdown or plain text, in UTF-8."
        )
    text = normalise(text)
    if not text.strip():
        if may_be_empty:
            return ""
        raise SourceError(f"{name!r} is empty.", "Write the text of the agreement into it.")
    return text
