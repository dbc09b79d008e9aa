"""A transparency log: Merkle tree (RFC 9162), tiles (C2SP tlog-tiles), checkpoints (C2SP tlog-checkpoint) and proofs.

An entry is any bytes. Its place in the log is its index, counted from 0. The tree of the first ``size`` entries has one
root hash, which changes if any of them changes. A **checkpoint** is a text that states the origin of the log, the size
and the root; its holder can later check every entry that the log had then, and that the log was only added to. A
**tile** is 256 neighbouring hashes of one level of the tree, from which all proofs are computed.

This module has no database, no settings and no clock. Only signatures need a library: ``cryptography``.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

#: A full tile has so many hashes.
TILE_WIDTH = 256
_TILE_HEIGHT = 8
_ED25519 = b"\x01"
_PROOF = "c2sp.org/tlog-proof@v1"
#: What the DER form of every Ed25519 public key begins with (RFC 8410).
_DER_PREFIX = bytes.fromhex("302a300506032b6570032100")
_SIGNATURE = re.compile(r"— \S+ [A-Za-z0-9+/]{40,}={0,2}")
_TILE_PATH = re.compile(r"(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")
#: The highest level that a tile can have in a path.
_MAX_LEVEL = 63


def leaf_hash(entry: bytes) -> bytes:
    """The hash of an entry in the tree."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two neighbouring subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_hash(hashes: Sequence[bytes]) -> bytes:
    """The root of the tree over these hashes, which are those of entries or of subtrees of one size. Only the last
    subtree may be smaller. If there are none, it is the root of the empty tree.
    """
    if not hashes:
        return hashlib.sha256().digest()
    if len(hashes) == 1:
        return hashes[0]
    middle = _split(len(hashes))
    return node_hash(root_hash(hashes[:middle]), root_hash(hashes[middle:]))


@dataclass(frozen=True, slots=True)
class Tree:
    """The tree of the first ``size`` entries. ``tile(level, number, width)`` returns the first ``width`` hashes of that
    tile, one after the other. It must keep the tiles that it has read, because a proof asks for the same tile several
    times.
    """

    size: int
    tile: Callable[[int, int, int], bytes]

    def root(self) -> bytes:
        """The root hash."""
        return self._range(0, self.size)

    def inclusion(self, index: int) -> list[bytes]:
        """The proof that the entry with that index is in the tree: the hashes from its sibling up to the child of the
        root. Raises ``ValueError`` if the tree has no such entry.
        """
        if not 0 <= index < self.size:
            msg = f"The tree of {self.size} entries has no entry {index}."
            raise ValueError(msg)
        proof, first, end = [], 0, self.size
        while end - first > 1:
            middle = first + _split(end - first)
            if index < middle:
                proof.append(self._range(middle, end))
                end = middle
            else:
                proof.append(self._range(first, middle))
                first = middle
        return proof[::-1]

    def _range(self, first: int, end: int) -> bytes:
        """The hash of the entries from ``first`` to before ``end``: a subtree that the recursive definition of the root
        or a proof names.
        """
        if not first and end == 0:
            return root_hash([])
        count = end - first
        if count & (count - 1) == 0:
            return self._complete(first, count.bit_length() - 1)
        middle = first + _split(count)
        return node_hash(self._range(first, middle), self._range(middle, end))

    def _complete(self, first: int, height: int) -> bytes:
        """The hash of the complete subtree of that height that begins with the entry ``first``."""
        level, rest = divmod(height, _TILE_HEIGHT)
        at = first >> (level * _TILE_HEIGHT)
        number, place = divmod(at, TILE_WIDTH)
        hashes = self.tile(level, number, tile_width(self.size, level, number))
        return root_hash([hashes[32 * one : 32 * one + 32] for one in range(place, place + (1 << rest))])


def tile_width(size: int, level: int, number: int) -> int:
    """How many hashes that tile has in the tree of that size; 0 or less if there is no such tile."""
    return min(TILE_WIDTH, (size >> (level * _TILE_HEIGHT)) - number * TILE_WIDTH)


def root_from_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """The root of the tree of that size in which the proof places this hash of an entry. Raises ``ValueError`` if the
    proof can't be one for that index and size.
    """
    if not 0 <= index < size:
        msg = f"A tree of {size} entries has no entry {index}."
        raise ValueError(msg)
    place, last, found = index, size - 1, leaf
    for one in proof:
        if not last:
            raise ValueError("The proof is too long.")
        if place & 1 or place == last:
            found = node_hash(one, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, one)
        place, last = place >> 1, last >> 1
    if last:
        raise ValueError("The proof is too short.")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class TilePath:
    """Which part of a log a path names, after ``tile/``: the first ``width`` hashes of a tile, or the first ``width``
    entries. ``level`` is ``None`` for entries.
    """

    level: int | None
    number: int
    width: int = TILE_WIDTH

    @classmethod
    def parse(cls, path: str) -> TilePath:
        """The part that this path names. Raises ``ValueError`` if no part has this path. It is not checked whether a
        log is so large.
        """
        if found := _TILE_PATH.fullmatch(path):
            level = None if found[1] == "entries" else int(found[1])
            number = int(found[2].replace("/", "").replace("x", ""))
            parsed = cls(level=level, number=number, width=int(found[3] or TILE_WIDTH))
            # Each part has one path: no leading zeros, and no width of a full tile.
            if str(parsed) == path and (level or 0) <= _MAX_LEVEL:
                return parsed
        raise ValueError(path)

    def __str__(self) -> str:
        rest, last = divmod(self.number, 1000)
        groups = [f"{last:03}"]
        while rest:
            rest, group = divmod(rest, 1000)
            groups.insert(0, f"x{group:03}")
        level = "entries" if self.level is None else self.level
        partial = f".p/{self.width}" if self.width < TILE_WIDTH else ""
        return f"{level}/{'/'.join(groups)}{partial}"


def entry_bundle(entries: Sequence[bytes]) -> bytes:
    """The entries, each after its length as two bytes. Raises ``OverflowError`` if one has more than 65,535 bytes."""
    return b"".join(len(entry).to_bytes(2) + entry for entry in entries)


def _split(count: int) -> int:
    """The greatest power of two that is less than ``count``, which is 2 or more."""
    return 1 << (count - 1).bit_length() - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a checkpoint states. ``origin`` names the log: it has no spaces and no ``+``."""

    origin: str
    size: int
    root: bytes

    @property
    def body(self) -> str:
        """The three lines that are signed."""
        return f"{self.origin}\n{self.size}\n{_encode(self.root)}\n"

    @classmethod
    def parse(cls, note: str) -> Checkpoint:
        """The checkpoint that this note states, signed or not. The signatures are not checked. Raises ``ValueError`` if
        the text is no checkpoint.
        """
        try:
            origin, size, root = note.split("\n")[:3]
            if not size.isascii() or not size.isdecimal() or size != str(int(size)):
                raise ValueError(size)
            found = cls(origin=origin, size=int(size), root=base64.b64decode(root, validate=True))
        except ValueError:
            raise ValueError("This is no checkpoint of a transparency log.") from None
        if not origin or len(found.root) != hashlib.sha256().digest_size or not note.startswith(found.body):
            raise ValueError("This is no checkpoint of a transparency log.")
        return found


def key_id(origin: str, public_key: bytes) -> bytes:
    """The four bytes by which a signature of the log names its key."""
    return hashlib.sha256(origin.encode() + b"\n" + _ED25519 + public_key).digest()[:4]


def verifier_key(origin: str, public_key: bytes) -> str:
    """The public key of the log in one line, as programs for C2SP logs take it."""
    return f"{origin}+{key_id(origin, public_key).hex()}+{_encode(_ED25519 + public_key)}"


def public_key_pem(verifier_key: str) -> str:
    """The public key in such a line, in the form that OpenSSL reads (PEM)."""
    encoded = _encode(_DER_PREFIX + public_key_in(verifier_key))
    return f"-----BEGIN PUBLIC KEY-----\n{encoded}\n-----END PUBLIC KEY-----\n"


def public_key_in(verifier_key: str) -> bytes:
    """The public key in a line that :func:`verifier_key` wrote."""
    _origin, _id, encoded = verifier_key.split("+", 2)  # Base64 may contain more of these signs.
    return base64.b64decode(encoded)[len(_ED25519) :]


def is_signed_with(note: str, verifier_key: str) -> bool:
    """Does a signature of the note name the key in such a line? The signature is not checked."""
    origin, key, _encoded = verifier_key.split("+", 2)
    named = [line.rpartition(" ")[2] for line in note.splitlines() if line.startswith(f"— {origin} ")]
    return any(base64.b64decode(one)[:4].hex() == key for one in named)


def public_key_of(secret: str) -> bytes:
    """The public key of a secret key, which is 32 bytes in Base64. Raises ``ValueError`` if it is not, and
    ``ImportError`` if ``cryptography`` is not installed.
    """
    return _private_key(secret).public_key().public_bytes_raw()


def sign_bytes(message: bytes, secret: str) -> bytes:
    """The signature (Ed25519) of any bytes. Raises errors as :func:`sign` does."""
    return _private_key(secret).sign(message)


def verifies(message: bytes, signature: bytes, public_key: bytes) -> bool:
    """Is this the signature of these bytes under this public key? Raises ``ImportError`` if ``cryptography`` is not
    installed.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def sign(checkpoint: Checkpoint, secret: str) -> str:
    """The checkpoint as a note with the signature of the log (Ed25519). ``secret`` is 32 bytes in Base64. Raises
    ``ValueError`` if it is not, and ``ImportError`` if ``cryptography`` is not installed.
    """
    signed = key_id(checkpoint.origin, public_key_of(secret)) + sign_bytes(checkpoint.body.encode(), secret)
    return f"{checkpoint.body}\n— {checkpoint.origin} {_encode(signed)}\n"


def signed_by(note: str, public_key: bytes) -> bool | None:
    """Is the note a checkpoint with a valid signature under this public key? ``None`` if no signature names this key.
    Raises ``ValueError`` if the text is no checkpoint, and ``ImportError`` if ``cryptography`` is not installed.
    """
    checkpoint = Checkpoint.parse(note)
    body, _blank, signatures = note.rpartition("\n\n")
    for line in signatures.splitlines():
        mark, _space, encoded = line.rpartition(" ")
        try:
            signed = base64.b64decode(encoded, validate=True)
        except ValueError:
            continue
        if mark == f"— {checkpoint.origin}" and signed[:4] == key_id(checkpoint.origin, public_key):
            return verifies(f"{body}\n".encode(), signed[4:], public_key)
    return None


def proof_text(index: int, proof: Sequence[bytes], note: str) -> str:
    """The proof that an entry is in the log, as a text that can be checked without the log (C2SP tlog-proof)."""
    return "\n".join([_PROOF, f"index {index}", *map(_encode, proof), "", note])


def parse_proof(text: str) -> tuple[int, list[bytes], str]:
    """The index, the hashes and the checkpoint of a proof that :func:`proof_text` wrote. Raises ``ValueError`` if the
    text is no such proof.
    """
    head, blank, note = text.partition("\n\n")
    first, *lines = head.split("\n")
    if first != _PROOF or not blank or not lines or not lines[0].startswith("index "):
        raise ValueError("This is no proof of a transparency log.")
    index = lines[0].removeprefix("index ")
    if not index.isascii() or not index.isdecimal():
        raise ValueError("This is no proof of a transparency log.")
    return int(index), [base64.b64decode(line, validate=True) for line in lines[1:]], note


def find_checkpoint(text: str) -> str:
    """The first checkpoint in this text, with its signatures: in a letter, it stands between other words. White space
    around the lines is ignored. As in a text that was copied from a PDF, the last word of a signature may be in a line
    of its own, and the blank line before the signatures may be missing. Raises ``ValueError`` if there is none.
    """
    lines = [line.strip() for line in text.splitlines()]
    for place in range(len(lines) - 2):
        try:
            found = Checkpoint.parse("\n".join([*lines[place : place + 3], ""]))
        except ValueError:
            continue
        return _with_signatures(found, lines[place + 3 :])
    raise ValueError("This is no checkpoint of a transparency log.")


def _with_signatures(checkpoint: Checkpoint, following: Sequence[str]) -> str:
    """The note of the checkpoint with the signatures in the lines that follow it."""
    signatures: list[str] = []
    rest = list(following[1:] if following and not following[0] else following)
    while rest and rest[0].startswith("— "):
        line = rest.pop(0)
        if rest and not _SIGNATURE.fullmatch(line):
            line = f"{line} {rest.pop(0)}"
        if not _SIGNATURE.fullmatch(line):
            break
        signatures.append(f"{line}\n")
    return "\n".join([checkpoint.body, "".join(signatures)]) if signatures else checkpoint.body


def decode_hash(text: str) -> bytes:
    """The bytes of a hash as a checkpoint states it. Raises ``ValueError`` if it is not Base64."""
    return base64.b64decode(text, validate=True)


def _encode(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _private_key(secret: str) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(base64.b64decode(secret, validate=True))
