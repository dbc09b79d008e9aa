"""Reads the mails by which mail servers report what became of a letter.

Most of them have the form of RFC 3464: a ``multipart/report`` whose parts are an explanation, the fields of
``message/delivery-status``, and the letter or its header. Some servers write an ordinary text instead and quote the
header of the letter in it.

Anybody can send such a mail. Only the first ``MAX_BYTES`` bytes are read, and only the parts directly below the top are
looked into, so that the time does not depend on how deep the mail is. What it says is not checked here.
"""

from __future__ import annotations

import binascii
import quopri
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from email.parser import HeaderParser
from email.utils import parseaddr, parsedate_to_datetime

from agreement.models.deliveries import bounce_code

#: How much of a mail is read. The fields of the report and the header of the returned letter are near its beginning.
MAX_BYTES = 1_000_000
#: Limits of one mail: characters of a header, parts, groups of fields in one part, addresses (and values of
#: ``List-Id``), and ids of letters, each of which is looked up.
_MAX_HEADER, _MAX_PARTS, _MAX_RECIPIENTS, _MAX_FOUND, _MAX_IDS = 65_536, 20, 50, 20, 5
#: The media types of a returned letter, or of its header (RFC 6522 §3–4, RFC 6533).
_RETURNED = frozenset({"message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers"})
_STATUS = frozenset({"message/delivery-status", "message/global-delivery-status"})
#: The fields in which servers that write no report name the recipient: Exim, and Mail.ru.
_RECIPIENT_FIELDS = ("X-Failed-Recipients", "X-Mailer-Daemon-Recipients")
_ARRIVED = frozenset({"delivered", "relayed", "expanded"})
_ADDRESS = re.compile(r"[^\s<>,;:\"()\[\]@]{1,64}@[^\s<>,;:\"()\[\]@]{1,255}")
_QUOTED_ID = re.compile(r"^[>| \t]*message-id:\s*(<[^<>\s]{1,250}>)", re.IGNORECASE | re.MULTILINE)
_QUOTED_TO = re.compile(r"^[>| \t]*to:(.{1,500})$", re.IGNORECASE | re.MULTILINE)


class UnreadableReportError(ValueError):
    """A mail that looks like a report about a letter, but does not say what became of it. The text is the cause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryReport:
    """What a mail says about a letter: whether it failed or is delayed, why, and what identifies the letter and its
    recipient. All of it may be forged.
    """

    failed: bool
    """Did the server give up? If not, the letter is delayed, and the server still tries."""
    reason: str
    """The first codes that explain this, such as ``"550 5.1.1"``. ``""`` if there are none, or if the fields of a
    report say that the letter is delayed.
    """
    message_ids: tuple[str, ...]
    """The values of ``Message-ID`` of the returned letter, as far as the mail contains them."""
    addresses: tuple[str, ...]
    """The addresses to which the letter went, as far as the mail names them."""
    list_ids: tuple[str, ...]
    """The values of ``List-Id`` of the returned letter, as far as the mail contains them."""
    returned_to: str
    """A text that contains the address to which the letter was returned, if the mail names it: the values in the header
    of the mail, and those of ``Return-Path`` of the letter.
    """
    at: datetime | None
    """The date of the mail; ``None`` if it states none that can be read."""


def read_report(mail: bytes) -> DeliveryReport | None:
    """What the mail says about a letter that failed or is delayed; ``None`` if it is another mail, or says that the
    letter arrived. Raises ``UnreadableReportError`` for a report that does not say what became of the letter, and any
    exception of Python's mail parser for a mail that is malformed in a way that the parser does not expect.
    """
    text = mail[:MAX_BYTES].decode("utf-8", "replace").replace("\r\n", "\n").lstrip("\n")
    top, body = _split_header(re.sub(r"\A>?From .*\n", "", text))
    is_report = top.get_content_type() == "multipart/report"
    if is_report and str(top.get_param("report-type", "delivery-status")).lower() != "delivery-status":
        return None  # A complaint, or the confirmation of a reader.
    sender = parseaddr(top.get("From", ""))[1].partition("@")[0].lower()
    if not (is_report or any(top.get(name) for name in _RECIPIENT_FIELDS) or sender == "mailer-daemon"):
        return None
    parts = _parts(top, body)
    statuses = [content for part, content in parts if part.get_content_type() in _STATUS]
    letters = [_split_header(text)[0] for part, text in parts if part.get_content_type() in _RETURNED]
    words = "\n".join(content for part, content in parts if part.get_content_type() not in _RETURNED)
    blocks = [block for status in statuses for block in _blocks(status)]
    failed, reason = _outcome(blocks) if blocks else _outcome_in_words(top, words)
    if failed is None:
        return None
    ids = [value for letter in letters for value in letter.get_all("Message-ID", [])]
    ids += [block["X-Original-Message-ID"] for block in blocks if block["X-Original-Message-ID"]]
    to = [value for letter in letters for value in letter.get_all("To", [])]
    to += [block[name] for block in blocks for name in ("Final-Recipient", "Original-Recipient") if block[name]]
    to += [top[name] for name in _RECIPIENT_FIELDS if top[name]]
    if not ids:
        ids, to = _QUOTED_ID.findall(words), to + _QUOTED_TO.findall(words)
    returned_to = [*top.values(), *(value for letter in letters for value in letter.get_all("Return-Path", []))]
    return DeliveryReport(
        failed=failed,
        reason=reason,
        message_ids=tuple(dict.fromkeys(" ".join(str(value).split()) for value in ids))[:_MAX_IDS],
        addresses=tuple(dict.fromkeys(_ADDRESS.findall("\n".join(map(str, to))[:_MAX_HEADER])))[:_MAX_FOUND],
        list_ids=tuple(value for letter in letters for value in letter.get_all("List-Id", []))[:_MAX_FOUND],
        returned_to="\n".join(map(str, returned_to)),
        at=_date(top),
    )


def _split_header(text: str) -> tuple[Message, str]:
    """Return the header of a mail or a part, and the text after the header. The header ends at the first empty line.
    Only its first ``_MAX_HEADER`` characters are parsed, and the rest of a longer header is dropped. A text that begins
    with an empty line has no header. If there is no empty line, the whole text is the header.
    """
    header, _empty, body = ("", "", text[1:]) if text.startswith("\n") else text.partition("\n\n")
    return HeaderParser().parsestr(header[:_MAX_HEADER] + "\n\n"), body


def _parts(top: Message, body: str) -> list[tuple[Message, str]]:
    """The parts directly below the top, each with its header and its decoded content; the mail itself if it is not a
    ``multipart``. At most ``_MAX_PARTS`` are returned.
    """
    boundary = top.get_boundary() if top.get_content_maintype() == "multipart" else None
    if not boundary:
        return [(top, _decode(top, body))]
    delimiter = rf"^--{re.escape(boundary)}(?:--)?[ \t]*$"
    chunks = re.split(delimiter, body, maxsplit=_MAX_PARTS, flags=re.MULTILINE)
    found = [_split_header(chunk.removeprefix("\n")) for chunk in chunks[1:]]
    return [(part, _decode(part, content)) for part, content in found]


def _decode(part: Message, content: str) -> str:
    """The content of a part, decoded by its ``Content-Transfer-Encoding``, without empty lines at its beginning."""
    encoding = str(part.get("Content-Transfer-Encoding", "")).strip().lower()
    if encoding == "quoted-printable":
        content = quopri.decodestring(content.encode()).decode("utf-8", "replace")
    elif encoding == "base64":
        letters = re.sub(r"[^A-Za-z0-9+/]", "", content)
        content = binascii.a2b_base64(letters[: len(letters) // 4 * 4]).decode("utf-8", "replace")
    return content.replace("\r\n", "\n").lstrip("\n")


def _blocks(status: str) -> list[Message]:
    """The groups of fields of a ``message/delivery-status``: first the group about the report, then one for each
    recipient (RFC 3464 §2.1). At most ``_MAX_RECIPIENTS`` groups are returned, that about the report among them.
    """
    blocks = re.split(r"\n[ \t]*\n", status.strip("\n"), maxsplit=_MAX_RECIPIENTS)[:_MAX_RECIPIENTS]
    return [_split_header(block)[0] for block in blocks]


def _outcome(blocks: list[Message]) -> tuple[bool | None, str]:
    """Whether the server gave up, and the codes of the first failure. ``(False, "")`` if the letter is delayed.
    ``(None, "")`` if the letter arrived somewhere, for example because one of the addresses to which it was forwarded
    accepted it.

    The field ``Action`` decides (RFC 3464 §2.3.3): a server that gives up after days of trying writes ``failed`` beside
    a status of 4.x.x. Only if it is missing, the class of the status decides. A failure with a code of success (2.x.x)
    tells nothing. Raises ``UnreadableReportError`` if no field tells.
    """
    failures, actions = [], set()
    for block in blocks:
        status = bounce_code(str(block.get("Status", "")))
        word = re.match(r"\s*([a-z]+)", str(block.get("Action", "")).lower())
        action = word[1] if word else {"5": "failed", "4": "delayed"}.get(status[:1], "")
        code = bounce_code(str(block.get("Diagnostic-Code", ""))[:2000]) or status
        if action == "failed" and (status or code).startswith("2"):
            continue
        actions.add(action)
        if action == "failed":
            failures.append(code)
    if actions & _ARRIVED:
        return None, ""
    if failures:
        return True, failures[0]
    if "delayed" in actions:
        return False, ""
    msg = "it names no outcome"
    raise UnreadableReportError(msg)


def _outcome_in_words(top: Message, words: str) -> tuple[bool, str]:
    """Whether the server gave up, and the first codes in the words of a mail that has no ``message/delivery-status``
    (``""`` if there are none). If its header contains one of ``_RECIPIENT_FIELDS``, the server gave up. Otherwise the
    first code decides: with 5 the server gave up, with 4 the letter is delayed. Raises ``UnreadableReportError`` if
    there is neither such a field nor such a code.
    """
    quoted = _QUOTED_ID.search(words)
    code = bounce_code((words[: quoted.start()] if quoted else words)[:20_000])
    if any(top.get(name) for name in _RECIPIENT_FIELDS):
        return True, code
    if code[:1] in {"4", "5"}:
        return code[0] == "5", code
    msg = "it names no outcome"
    raise UnreadableReportError(msg)


def _date(top: Message) -> datetime | None:
    try:
        at = parsedate_to_datetime(str(top.get("Date", "")))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)  # "-0000" (RFC 5322 §3.3)
