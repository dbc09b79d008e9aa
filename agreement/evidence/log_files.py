"""Adds to a bundle what shows that its contents are in the log of an agreement, and since when.

The newest signed checkpoint is made by the site, so it proves no moment. A checkpoint that left the site does: whoever
has a letter knows that what its checkpoint covers was recorded before. A bundle therefore contains the proofs that its
entries are in the checkpoints of the letters about the agreement, to whomever they were sent, and in the first
checkpoints of its editions, which are in their PDF files and in the feed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

from agreement.evidence.bundle import Bundle
from agreement.models import Acceptance, LogEntry, NoticeText, Withdrawal
from agreement.models.log import LogKind
from agreement.models.published_log import Disclosure, LoggedEdition, ProvedLog, PublishedLog
from agreement.seal import log as tree
from agreement.seal.log import public_key_pem

#: In how many checkpoints each entry is proved, the first ones after it. A letter has usually that of few others.
MAX_CHECKPOINTS = 30


def add_log(
    bundle: Bundle, slug: str, log: PublishedLog, people: Sequence[Acceptance | Withdrawal]
) -> list[Disclosure]:
    """Add the newest signed checkpoint of the log and its public keys. For each of these rows that the log contains,
    add its record with the salt, its entry and the proof of the entry. Return what was added about them.
    """
    bundle.add(f"{slug}/log/checkpoint", log.note.encode())
    bundle.add(f"{slug}/log/key", "".join(f"{key}\n" for key in log.keys).encode())
    bundle.add(f"{slug}/log/key.pem", "".join(map(public_key_pem, log.keys)).encode())
    bundle.logs.append(slug)
    disclosed = list(log.disclosures(people))
    for one in disclosed:
        name = f"user/log/{_row_name(one)}"
        bundle.add(f"{name}.txt", one.record)
        bundle.add(f"{name}.json", one.entry)
        bundle.add(f"{name}.tlog-proof", one.proof.encode())
        bundle.disclosed.append(name)
    return disclosed


def add_cancellations(
    bundle: Bundle, slug: str, *, log: PublishedLog | None, editions: Mapping[int, int]
) -> list[tuple[int, int]]:
    """Add the entries about the cancellations of these editions, which are numbers by primary key, and the proofs of
    those that the log contains. Return the number of each edition of the latter, with the index of the entry. 1 query
    and those of the proofs; no query without editions.
    """
    entries = LogEntry.objects.filter(kind=LogKind.CANCELLED, row__in=editions).order_by("index")
    placed = []
    for row, index, entry in entries.values_list("row", "index", "entry") if editions else ():
        name = f"{slug}/editions/{editions[row or 0]}/cancelled.json"
        bundle.add(name, bytes(entry))
        if log and index < log.size:
            with suppress(LookupError):  # The log contradicts the checkpoint. verify_editions says where.
                bundle.add(f"{name}.tlog-proof", log.proof(index).encode())
                placed.append((editions[row or 0], index))
    return placed


def add_earlier_proofs(
    bundle: Bundle,
    slug: str,
    *,
    log: PublishedLog,
    editions: Iterable[tuple[int, LoggedEdition]],
    cancelled: Sequence[tuple[int, int]],
    disclosed: Sequence[Disclosure],
) -> None:
    """Add the proofs that these rows, these cancellations and the last edition before it are in each checkpoint of the
    log that left the site: in the letters, in the first checkpoints of the editions, and in the newest one.
    ``editions`` are the logged editions of the bundle by number, and ``cancelled`` the indices of the cancellations by
    number. A proof that the bundle has already in another file is left out. Each entry is proved in ``MAX_CHECKPOINTS``
    at most. 1 query for the letters, and those of the proofs.
    """
    editions = list(editions)
    if not editions and not disclosed:
        return
    first = {one.size: one.note for _number, one in editions}
    letters = {size: note for size, note in _notes_in_letters(log.agreement) if size < log.size}
    written: Counter[str] = Counter()
    for size, note in sorted({**letters, **first, log.size: log.note}.items()):
        earlier = ProvedLog(log.agreement, note)
        covered = [(number, one.index) for number, one in editions if one.index < size]
        found = {f"edition-{number}": index for number, index in covered[-1:] if size not in first}
        if size != log.size:
            found |= {_row_name(one): one.index for one in disclosed if one.index < size}
            found |= {f"cancelled-{number}": index for number, index in cancelled if index < size}
        for name, index in found.items():
            written[name] += 1
            if written[name] <= MAX_CHECKPOINTS or size == log.size:
                with suppress(LookupError):  # The log contradicts the checkpoint. verify_editions says where.
                    bundle.add(f"{slug}/log/{size}.{name}.tlog-proof", earlier.proof(index).encode())


def notice_indices(texts: Iterable[int]) -> dict[int, int]:
    """The index of the entry about each of these texts of notices, which are primary keys, if it is in a log. 1
    query.
    """
    entries = LogEntry.objects.filter(kind=LogKind.NOTICE, row__in=list(texts))
    return {row: index for row, index in entries.values_list("row", "index") if row is not None}


def _notes_in_letters(agreement: int) -> Iterator[tuple[int, str]]:
    """The signed checkpoints in all letters about the agreement with that primary key, with the number of entries. A
    letter of a time without a key has none, nor has a text of a channel with few words. 1 query.
    """
    texts = NoticeText.objects.filter(notice__edition__agreement=agreement).order_by("pk")
    for text in texts.values_list("text", flat=True).iterator(chunk_size=100):
        with suppress(ValueError):
            note = tree.find_checkpoint(text)
            checkpoint = tree.Checkpoint.parse(note)
            if note != checkpoint.body:
                yield checkpoint.size, note


def _row_name(one: Disclosure) -> str:
    return f"{one.row._meta.model_name}-{one.row.pk}"
