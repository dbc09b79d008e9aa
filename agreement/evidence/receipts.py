"""Receipts of acceptance: a PDF for the user, which anybody can check without this site.

A receipt is a PDF file with lines after it that readers of PDF files ignore:

- ``%record`` and, in Base64, the salt, a line break and the record of the acceptance
  (``agreement.models.log_records``);
- ``%proof`` and, in Base64, the proof that the entry about it is in the log (C2SP tlog-proof), with the signed
  checkpoint;
- the end of a PDF file again (``startxref``, the place, ``%%EOF``), because programs look for it at the end;
- ``%signature`` and, in Base64, the signature (Ed25519) of the key of the log over all bytes before this line. This
  line has 100 bytes.

So no byte of it can be changed without the key of the site, and what it says about the acceptance can be compared with
a checkpoint of the log that has as many entries.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils import translation

from agreement import conf
from agreement.editions import pdf, qr
from agreement.editions.display import DisplayedEdition
from agreement.editions.timeline import Timeline
from agreement.models import Acceptance
from agreement.models.log import NewEntry, TransparencyLog
from agreement.models.log_records import commitment
from agreement.models.published_log import Disclosure, PublishedLog, narrow
from agreement.seal import log as tree
from agreement.seal.manifest import sha256
from agreement.text import dates, languages

#: So many bytes has the last line of a receipt.
SIGNATURE_LINE = 100
_SIGNATURE = b"%signature "
_LINE = re.compile(rb"^%(record|proof) ([A-Za-z0-9+/=]+)$", re.MULTILINE)
#: The program that checks a receipt. It needs Python and openssl alone.
CHECKER = Path(__file__).parent / "check_receipt.py"


class NoReceipt(Exception):
    """There is no receipt of this acceptance. The message says why."""


class NotGenuine(ValueError):
    """The file is a receipt that was changed, or that has another key."""


def is_offered() -> bool:
    """Can this site make receipts: does it have a ``LOG_KEY``, and can it make PDF files? It does not wait for the
    trial of the PDF renderer (:func:`agreement.editions.pdf.is_available`).
    """
    return bool(conf.get().LOG_KEY) and pdf.is_available("", wait=False)


def receipt(row: Acceptance, timeline: Timeline, *, at: datetime, language: str) -> bytes:
    """Return the receipt of this acceptance as a PDF file in ``language`` (``kk`` or ``ru``), with the newest signed
    checkpoint of that instant. ``timeline`` is that of its agreement. The same arguments give the same bytes.

    Raises :class:`NoReceipt` if the log has no proof at that instant, if its newest checkpoint is not signed with the
    present key, or if the site can't make receipts; and :class:`agreement.editions.pdf.RendererBusy`.
    """
    if not conf.get().LOG_KEY or not pdf.is_available(""):
        raise NoReceipt("the site makes no receipts")
    log = PublishedLog.of(row.edition.agreement_id, at=at)
    logged = next(log.disclosures([row]), None) if log else None
    if log is None or logged is None:
        raise NoReceipt("it is erased, or no signed checkpoint covers it yet")
    if tree.signed_by(log.note, tree.public_key_of(conf.get().LOG_KEY)) is not True:
        raise NoReceipt("the newest checkpoint was signed before the site got its present key")
    with translation.override(language):
        displayed = DisplayedEdition.from_timeline(row.edition, timeline, at)
        page = render_to_string("agreement/evidence/receipt.html", _context(row, displayed, log, logged))
    return _signed(pdf.render(page), logged)


def _context(row: Acceptance, displayed: DisplayedEdition, log: PublishedLog, logged: Disclosure) -> dict[str, Any]:
    """The variables of the template, in the active language."""
    edition, checkpoint = displayed.edition, log.checkpoint
    language, zone = displayed.language, edition.agreement.time_zone
    key = tree.verifier_key(checkpoint.origin, tree.public_key_of(conf.get().LOG_KEY))
    verify = _url("verify")
    return {
        "row": row,
        "displayed": displayed,
        "edition": edition,
        "account": row.user.get_username() if row.user else "",
        "at": dates.instant(row.at, language, zone),
        "recorded_at": dates.instant(row.recorded_at, language, zone) if row.recorded_at != row.at else "",
        "texts": {code: sha256(edition.text(code).body) for code in languages.LANGUAGES},
        "entry": logged.entry.decode(),
        "index": logged.index,
        "checkpoint": narrow(log.note),
        "origin": checkpoint.origin,
        "key": key,
        "key_bytes": key.split("+", 2)[2],
        "address": _url("edition", edition.agreement.slug, edition.number),
        "verify": verify,
        "qr": qr.svg(verify) if verify else "",
        "signature_line": SIGNATURE_LINE,
    }


def _url(name: str, *args: object) -> str:
    """The absolute URL of that page of the app in the active language; ``""`` if the site has no such page."""
    try:
        return urljoin(conf.get().BASE_URL, reverse(f"agreement:{name}", args=args))
    except NoReverseMatch:
        return ""


def _signed(content: bytes, logged: Disclosure) -> bytes:
    """The PDF file with the lines after it."""
    place = re.findall(rb"startxref\s+(\d+)\s+%%EOF\s*$", content)[-1]
    lines = [
        b"%record " + base64.b64encode(logged.record),
        b"%proof " + base64.b64encode(logged.proof.encode()),
        b"startxref\n" + place + b"\n%%EOF\n",
    ]
    whole = content.rstrip(b"\n") + b"\n" + b"\n".join(lines)
    signature = base64.b64encode(tree.sign_bytes(whole, conf.get().LOG_KEY))
    return whole + _SIGNATURE + signature + b"\n"


@dataclass(frozen=True, slots=True)
class CheckedReceipt:
    """What a genuine receipt says. ``record`` is that of the acceptance. ``is_key_former`` states that the site has
    another key now.
    """

    record: dict[str, Any]
    index: int
    checkpoint: tree.Checkpoint
    is_key_former: bool = False


def is_receipt(content: bytes) -> bool:
    """Does this file end with the line of a signature, as a receipt does, or has it the lines of one?"""
    return content[-SIGNATURE_LINE:].startswith(_SIGNATURE) or len(_LINE.findall(content[-100_000:])) == 2


def check(content: bytes) -> CheckedReceipt:
    """Return what this receipt says, if it is one that this site made with its present key or with a former key of one
    of its logs.

    Raises :class:`NotGenuine` if any byte was changed, if it was made with another key, or if its parts contradict each
    other; ``ImportError`` if ``cryptography`` is not installed. 1 query. That the checkpoint is one of the log is not
    checked.
    """
    try:
        body, line = content[:-SIGNATURE_LINE], content[-SIGNATURE_LINE:]
        signature = base64.b64decode(line.removeprefix(_SIGNATURE).rstrip(b"\n"), validate=True)
        key = next((key for key in _public_keys() if tree.verifies(body, signature, key)), None)
        # One signature can be written in several ways in Base64, and only one of them is in the file of the site.
        if key is None or line != _SIGNATURE + base64.b64encode(signature) + b"\n":
            raise NotGenuine("The signature does not match.")
        parts = {name.decode(): base64.b64decode(value, validate=True) for name, value in _LINE.findall(body)}
        salt, _line_break, record = parts["record"].partition(b"\n")
        index, proof, note = tree.parse_proof(parts["proof"].decode())
        checkpoint, stated = tree.Checkpoint.parse(note), json.loads(record)
        entry: dict[str, object] = {"acceptance": commitment(salt.decode(), record)}
        leaves = [NewEntry(kind="", content=one, row=None).encode() for one in (entry, entry | {"earlier": True})]
        roots = [tree.root_from_inclusion(tree.leaf_hash(leaf), index, checkpoint.size, proof) for leaf in leaves]
    except NotGenuine:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise NotGenuine("Its parts can't be read.") from error
    if checkpoint.root not in roots or tree.signed_by(note, key) is not True or not isinstance(stated, dict):
        raise NotGenuine("Its proof does not match.")
    return CheckedReceipt(stated, index, checkpoint, is_key_former=key != _present_key())


def _present_key() -> bytes | None:
    """The public key of the site's ``LOG_KEY``; ``None`` if it has none."""
    return tree.public_key_of(secret) if (secret := conf.get().LOG_KEY) else None


def _public_keys() -> list[bytes]:
    """The present public key, if the site has one, and those with which its logs were ever signed. 1 query."""
    lines = "".join(TransparencyLog.objects.values_list("keys", flat=True)).splitlines()
    present = _present_key()
    return list(dict.fromkeys([*([present] if present else []), *map(tree.public_key_in, lines)]))
