"""What anybody may see of the log of an agreement: its entries up to the newest signed checkpoint, and their proofs.

Nothing here depends on the settings. A site that had a ``LOG_KEY`` once continues to publish what was signed then.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from django.db import router
from django.db.models import OuterRef, Subquery

from agreement.models.acceptances import Acceptance
from agreement.models.log import Checkpoint, LogEntry, LogKind, Tiles
from agreement.models.log_records import acceptance_record, withdrawal_record
from agreement.models.withdrawals import Withdrawal
from agreement.seal import log as tree


@dataclass(frozen=True, slots=True)
class Disclosure:
    """What shows that an acceptance or a withdrawal is in a log. ``record`` is the salt, a line break and the record of
    the row: the entry states its SHA-256. ``proof`` is about the bytes ``entry``, which are the entry ``index``.
    """

    row: Acceptance | Withdrawal
    record: bytes
    index: int
    entry: bytes
    proof: str


class ProvedLog:
    """The log of the agreement with the primary key ``agreement``, as this signed checkpoint states it: its size, its
    root and its signature. It reads each tile once, so that several proofs cost few queries.
    """

    def __init__(self, agreement: int, note: str) -> None:
        self.agreement, self.note = agreement, note
        self.checkpoint = tree.Checkpoint.parse(note)
        self._using = router.db_for_read(LogEntry)
        self._tiles = Tiles(agreement, using=self._using)

    @property
    def size(self) -> int:
        """How many entries the log has."""
        return self.checkpoint.size

    def hashes(self, path: tree.TilePath) -> bytes:
        """The hashes of that part of the log. 1 query. Raises ``LookupError`` if the log has no such part, or if the
        database lacks rows of it. ``path`` must not name entries.
        """
        self._require(path)
        return self._tiles(path.level or 0, path.number, path.width)

    def entries(self, path: tree.TilePath) -> list[bytes]:
        """The entries of that part of the log. 1 query. Raises ``LookupError`` as :meth:`hashes` does."""
        self._require(path)
        first = path.number * tree.TILE_WIDTH
        rows = LogEntry.objects.using(self._using).filter(agreement=self.agreement)
        rows = rows.filter(index__gte=first, index__lt=first + path.width).order_by("index")
        found = [bytes(entry) for entry in rows.values_list("entry", flat=True)]
        if len(found) != path.width:
            raise LookupError(str(path))
        return found

    def proof(self, index: int) -> str:
        """The proof that the entry with that index is in the log (C2SP tlog-proof). At most 2 queries for each level of
        the tree, which are 6 in a log of less than 16,777,216 entries, and 1 more. Raises ``LookupError`` if the log
        has no such entry, or if the database contradicts the checkpoint.
        """
        rows = LogEntry.objects.using(self._using).filter(agreement=self.agreement, index=index)
        entry = rows.values_list("entry", flat=True).first()
        if entry is None or index >= self.size:
            raise LookupError(index)
        hashes = tree.Tree(self.size, self._tiles).inclusion(index)
        if tree.root_from_inclusion(tree.leaf_hash(bytes(entry)), index, self.size, hashes) != self.checkpoint.root:
            raise LookupError(index)
        return tree.proof_text(index, hashes, self.note)

    def disclosures(self, rows: Sequence[Acceptance | Withdrawal]) -> Iterator[Disclosure]:
        """Yield, for each of these rows that the log contains, what shows this to a person who does not have the
        database. The rows must be of the agreement of the log. Erased rows are left out, because their salt was
        deleted. At most 2 queries, and those of a proof for each row; but each tile is read once.
        """
        for kind, model in ((LogKind.ACCEPTANCE, Acceptance), (LogKind.WITHDRAWAL, Withdrawal)):
            by_key = {row.pk: row for row in rows if isinstance(row, model) and not row.erased_at}
            entries = LogEntry.objects.using(self._using).filter(kind=kind, row__in=by_key, index__lt=self.size)
            for row, index, entry, salt in entries.order_by("index").values_list("row", "index", "entry", "salt"):
                if row is None or not salt:
                    continue
                record = _record(by_key[row])
                try:
                    proof = self.proof(index)
                except LookupError:  # verify_editions names what is wrong.
                    continue
                yield Disclosure(by_key[row], salt.encode() + b"\n" + record, index, bytes(entry), proof)

    def _require(self, path: tree.TilePath) -> None:
        if path.width > tree.tile_width(self.size, path.level or 0, path.number):
            raise LookupError(str(path))


class PublishedLog(ProvedLog):
    """The log as the newest signed checkpoint states it. ``keys`` are the verifier keys of all its signatures, that of
    this checkpoint first.
    """

    def __init__(self, checkpoint: Checkpoint, keys: str) -> None:
        super().__init__(checkpoint.agreement_id, checkpoint.note)
        newest_first = reversed(keys.splitlines())
        self.keys = sorted(newest_first, key=lambda key: not tree.is_signed_with(self.note, key))

    @classmethod
    def of(cls, agreement: int, *, at: datetime | None = None) -> PublishedLog | None:
        """The log of the agreement with that primary key, as it was published at that instant (``None``: now);
        ``None`` if no checkpoint was signed by then. 1 query.
        """
        checkpoints = Checkpoint.objects.using(router.db_for_read(Checkpoint)).signed().filter(agreement=agreement)
        if at is not None:
            checkpoints = checkpoints.filter(at__lte=at)
        found = checkpoints.select_related("agreement__log").order_by("-size").first()
        return cls(found, found.agreement.log.keys) if found else None


@dataclass(frozen=True)
class LoggedEdition:
    """The place of an edition in the log of its agreement: the index of its entry, and ``note``, the first signed
    checkpoint of a tree with this entry. It never changes.
    """

    agreement: int
    index: int
    note: str

    @cached_property
    def size(self) -> int:
        """How many entries the log had at that checkpoint."""
        return tree.Checkpoint.parse(self.note).size

    @property
    def narrow_note(self) -> str:
        """The note for paper (:func:`narrow`)."""
        return narrow(self.note)

    def proof(self) -> str:
        """The proof that the entry is in the log that the checkpoint states. Raises ``LookupError`` and costs as many
        queries as :meth:`ProvedLog.proof`.
        """
        return ProvedLog(self.agreement, self.note).proof(self.index)


def narrow(note: str) -> str:
    """The note with the last word of each signature in a line of its own, because a page is too narrow for both."""
    return re.sub(r"^(— \S+) ", r"\1\n", note, flags=re.MULTILINE)


def logged_editions(editions: Collection[int], *, at: datetime | None = None) -> dict[int, LoggedEdition]:
    """The places of the editions with these primary keys in the logs of their agreements, by primary key. Editions that
    no signed checkpoint covers are left out. With ``at``, only checkpoints of that instant or earlier count. 1 query.
    """
    using = router.db_for_read(LogEntry)
    covering = Checkpoint.objects.using(using).signed().filter(agreement=OuterRef("agreement"))
    covering = covering.filter(size__gt=OuterRef("index"), **({"at__lte": at} if at else {})).order_by("size")
    entries = LogEntry.objects.using(using).filter(kind=LogKind.EDITION, row__in=editions)
    rows = entries.annotate(note=Subquery(covering.values("note")[:1])).filter(note__isnull=False).order_by()
    return {
        row: LoggedEdition(agreement, index, note)
        for row, agreement, index, note in rows.values_list("row", "agreement", "index", "note")
        if row is not None
    }


def _record(row: Acceptance | Withdrawal) -> bytes:
    return acceptance_record(row) if isinstance(row, Acceptance) else withdrawal_record(row)
