"""Adds to a bundle what shows that its contents are in the log of an agreement, and since when.

The newest signed checkpoint is made by the site, so it proves no moment. A checkpoint that left the site does: whoever
has a letter knows that what its checkpoint covers was recorded before. A bundle therefore contains the proofs that its
entries are in the checkpoints of the letters in it, and in the first checkpoints of its editions, which are in their
PDF files and in the feed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from agreement.evidence.bundle import Bundle
from agreement.models import Acceptance, LogEntry, NoticeText, Withdrawal
from agreement.models.log import LogKind
from agreement.models.published_log import Disclosure, LoggedEdition, ProvedLog, PublishedLog
from agreement.seal import log as tree
from agreement.seal.log import public_key_pem

#: The signed checkpoints that left the site, by the number of entries.
Notes = Mapping[int, str]


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


def add_earlier_proofs(
    bundle: Bundle,
    slug: str,
    notes: Notes,
    *,
    log: PublishedLog,
    editions: Iterable[tuple[int, LoggedEdition]],
    disclosed: Sequence[Disclosure],
) -> None:
    """Add the proofs that these rows, and the last edition before it, are in each of these checkpoints of the log.
    ``editions`` are the logged editions of the bundle by number; their first checkpoints count too. A proof that the
    bundle has already in another file is left out.
    """
    editions = list(editions)
    first = {one.size: one.note for _number, one in editions}
    for size, note in sorted({**first, **notes}.items()):
        if size > log.size:
            continue
        earlier = ProvedLog(log.agreement, note)
        covered = [(number, one.index) for number, one in editions if one.index < size]
        found = {f"edition-{number}": index for number, index in covered[-1:] if size not in first}
        if size != log.size:
            found |= {_row_name(one): one.index for one in disclosed if one.index < size}
        for name, index in found.items():
            file = f"{slug}/log/{size}.{name}.tlog-proof"
            if file not in bundle.digests:
                with suppress(LookupError):  # The log contradicts the checkpoint. verify_editions says where.
                    bundle.add(file, earlier.proof(index).encode())


def notice_indices(texts: Iterable[int]) -> dict[int, int]:
    """The index of the entry about each of these texts of notices, which are primary keys, if it is in a log. 1
    query.
    """
    entries = LogEntry.objects.filter(kind=LogKind.NOTICE, row__in=list(texts))
    return {row: index for row, index in entries.values_list("row", "index") if row is not None}


def note_in(text: NoticeText) -> tuple[int, str] | None:
    """The signed checkpoint in this letter, with the number of its entries; ``None`` if there is none: the site had no
    key, or the channel takes few words.
    """
    try:
        note = tree.find_checkpoint(text.text)
    except ValueError:
        return None
    checkpoint = tree.Checkpoint.parse(note)
    return (checkpoint.size, note) if note != checkpoint.body else None


def _row_name(one: Disclosure) -> str:
    return f"{one.row._meta.model_name}-{one.row.pk}"
