"""Compares the logs with the tables, and with the checkpoints that left the site.

A log that was changed, cut or written again has another root than the checkpoint that somebody has. A row that was
added, dropped or changed does not match its entry, or has none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Exists, Min, OuterRef
from django.utils.translation import gettext

from agreement import conf
from agreement.models.acceptances import Acceptance
from agreement.models.agreements import Agreement
from agreement.models.editions import Edition
from agreement.models.log import Checkpoint, LogEntry, LogKind, LogTile, TransparencyLog
from agreement.models.log_records import content, with_editions
from agreement.models.notices import NoticeText
from agreement.models.time_stamps import TimeStamp
from agreement.models.withdrawals import Withdrawal
from agreement.seal import log as tree
from agreement.seal.manifest import rfc3339, sha256

#: So many entries are read at once.
CHUNK = 2000
_NOTE = r"^{origin}\n([0-9]+)\n([A-Za-z0-9+/]{{43}}=)$"

Row = Acceptance | Withdrawal


@dataclass(slots=True)
class Frontier:
    """The tree of the entries that were added: the hashes of its complete subtrees, the greatest first."""

    size: int = 0
    subtrees: list[tuple[int, bytes]] = field(default_factory=list)

    def add(self, leaf: bytes) -> None:
        """Add the hash of the next entry."""
        count, found = 1, leaf
        while self.subtrees and self.subtrees[-1][0] == count:
            found = tree.node_hash(self.subtrees.pop()[1], found)
            count *= 2
        self.subtrees.append((count, found))
        self.size += 1

    def root(self) -> bytes:
        """The root of the tree."""
        if not self.subtrees:
            return tree.root_hash([])
        *others, (_count, found) = self.subtrees
        for _count, left in reversed(others):
            found = tree.node_hash(left, found)
        return found


class LogCheck:
    """Checks the log of one agreement in the database with the alias ``using``. ``notes`` are checkpoints of this log
    that somebody has, as text. Call :meth:`faults` first; :meth:`remarks` uses what it read.
    """

    def __init__(self, agreement: Agreement, using: str, *, notes: Collection[str] = ()) -> None:
        self.agreement, self.using = agreement, using
        self.log = TransparencyLog.objects.using(using).filter(agreement=agreement).first()
        self.checkpoints = list(Checkpoint.objects.using(using).filter(agreement=agreement).order_by("size"))
        self.late: list[tuple[Checkpoint, int]] = []
        self._stated = [*self._stated_in_letters(), *map(_stated_in_note, notes)]
        self._sizes = {one.size for one in self.checkpoints} | {size for _where, size, _root in self._stated}
        self._roots: dict[int, bytes] = {0: tree.root_hash([])}
        self._level: list[bytes] = []
        self._erased: dict[int, datetime] = {}
        self._needs_erasure: list[tuple[int, str]] = []
        self._at: dict[int, datetime] = {}
        self._latest: dict[str, datetime] = {}

    def faults(self) -> Iterator[str]:
        """Yield each fault as a sentence in the active language, without the name of the log. All entries are read, in
        chunks. 8 queries, 1 for each chunk and for each level with a full tile, and 1 for the rows of each kind in a
        chunk; 2 for those of acceptances and of withdrawals, because their editions are read too.
        """
        if self.log is None:
            if Edition.objects.using(self.using).published().filter(agreement=self.agreement).exists():
                yield gettext("The log is missing.")
            return
        frontier = Frontier()
        for chunk in self._chunks():
            yield from self._add(frontier, chunk)
        if frontier.size != self.log.size:
            yield gettext("It has %(count)s entries, but %(size)s are recorded.") % {
                "count": frontier.size,
                "size": self.log.size,
            }
        yield from self._tile_faults()
        yield from self._checkpoint_faults(frontier.size)
        yield from self._erasure_faults()
        yield from self._missing()

    def remarks(self) -> Iterator[str]:
        """Yield a sentence for each checkpoint that was the first to contain acceptances or withdrawals which had been
        recorded longer than ``LOG_DELAY`` before. It is no fault if the site was away for that time.
        """
        by_checkpoint: dict[int, list[int]] = {}
        for checkpoint, index in self.late:
            by_checkpoint.setdefault(checkpoint.size, []).append(index)
        for size, indices in by_checkpoint.items():
            shown = ", ".join(map(str, indices[:10])) + ("…" if len(indices) > 10 else "")
            yield gettext("The checkpoint of %(size)s entries was late for %(count)s of them: %(indices)s.") % {
                "size": size,
                "count": len(indices),
                "indices": shown,
            }

    def _chunks(self) -> Iterator[list[LogEntry]]:
        first, entries = -1, LogEntry.objects.using(self.using).filter(agreement=self.agreement).order_by("index")
        while chunk := list(entries.filter(index__gt=first)[:CHUNK]):
            yield chunk
            first = chunk[-1].index

    def _add(self, frontier: Frontier, chunk: list[LogEntry]) -> Iterator[str]:
        rows = self._rows(chunk)
        for entry in chunk:
            if entry.index != frontier.size:
                yield gettext("Entry %(index)s is missing.") % {"index": frontier.size}
            leaf = tree.leaf_hash(bytes(entry.entry))
            self._level.append(leaf)
            frontier.add(leaf)
            if frontier.size in self._sizes:
                self._roots[frontier.size] = frontier.root()
            yield from (
                gettext("Entry %(index)s: %(fault)s") % {"index": entry.index, "fault": fault}
                for fault in self._entry_faults(entry, rows.get((entry.kind, entry.row)))
            )

    def _rows(self, chunk: list[LogEntry]) -> dict[tuple[str, int | None], Any]:
        """The rows that these entries are about, by kind and primary key."""
        keys: dict[str, list[int | None]] = {}
        for entry in chunk:
            keys.setdefault(entry.kind, []).append(entry.row)
        acceptances = Acceptance.objects.using(self.using)
        withdrawals = Withdrawal.objects.using(self.using).select_related("agreement")
        editions = Edition.objects.using(self.using).without_texts("title", "approval", "summary", "body")
        querysets: dict[str, Any] = {
            LogKind.ACCEPTANCE: with_editions(acceptances),
            LogKind.WITHDRAWAL: with_editions(withdrawals),
            LogKind.EDITION: editions,
            LogKind.CANCELLED: editions,
            LogKind.NOTICE: NoticeText.objects.using(self.using).only("digest"),
            LogKind.STAMP: TimeStamp.objects.using(self.using).select_related("checkpoint"),
        }
        found: dict[tuple[str, int | None], Any] = {}
        for kind, rows in keys.items():
            if kind in querysets:
                found |= {(kind, row.pk): row for row in querysets[kind].filter(pk__in=rows).order_by()}
        return found

    def _entry_faults(self, entry: LogEntry, row: Any) -> Iterator[str]:
        try:
            stated = json.loads(bytes(entry.entry))
        except ValueError:
            yield gettext("it can't be read.")
            return
        if entry.kind == LogKind.ERASURE:
            yield from self._read_erasure(entry, stated)
            return
        if row is None:
            yield gettext("the row that it is about is missing.")
            return
        if entry.kind in {LogKind.ACCEPTANCE, LogKind.WITHDRAWAL}:
            yield from self._person_faults(entry, stated, row)
        elif entry.kind == LogKind.EDITION and stated != {"edition": row.digest, "number": row.number}:
            yield gettext("its edition has another digest or number.")
        elif entry.kind == LogKind.CANCELLED and (
            row.cancelled_at is None or stated != {"at": rfc3339(row.cancelled_at), "cancelled": row.digest}
        ):
            yield gettext("the cancellation of its edition was changed or removed.")
        elif entry.kind == LogKind.NOTICE and stated != {"notice": row.digest}:
            yield gettext("the text of its notice was changed.")
        elif entry.kind == LogKind.STAMP:
            yield from self._stamp_faults(stated, row)

    def _person_faults(self, entry: LogEntry, stated: dict[str, Any], row: Row) -> Iterator[str]:
        recorded_at = row.recorded_at if isinstance(row, Acceptance) else row.registered_at
        if row.erased_at or not entry.salt:
            self._needs_erasure.append((entry.index, entry.kind))
            if row.erased_at and entry.salt:
                yield gettext("its row was erased, but its salt was not.")
        agreement = row.edition.agreement_id if isinstance(row, Acceptance) else row.agreement_id
        if not row.erased_at and entry.salt and (stated != content(row, entry.salt) or agreement != self.agreement.pk):
            yield gettext("its row was changed.")
        if not stated.get("earlier"):
            self._at[entry.index] = recorded_at
        covering = next((one for one in self.checkpoints if one.size > entry.index), None)
        delay = conf.get().LOG_DELAY
        latest = self._latest.get(entry.kind, recorded_at)
        if latest - recorded_at > delay:
            yield gettext("its row states an earlier moment than rows that were already in the log.")
        elif covering and covering.at - recorded_at > delay:
            self.late.append((covering, entry.index))
        self._latest[entry.kind] = max(latest, recorded_at)

    def _stamp_faults(self, stated: dict[str, Any], stamp: TimeStamp) -> Iterator[str]:
        checkpoint, response = stamp.checkpoint, bytes(stamp.response)
        named = {"checkpoint": checkpoint.size, "stamp": sha256(response)}
        if stated != named or checkpoint.agreement_id != self.agreement.pk:
            yield gettext("its time stamp was changed.")
        if bytes.fromhex(sha256(checkpoint.note)) not in response:
            yield gettext("the response of the authority does not contain the digest of the checkpoint.")
        # In a response a moment is a text: the digits of the date and time, then "Z" or a fraction of the second.
        if stamp.stamped_at.astimezone(UTC).strftime("%Y%m%d%H%M%S").encode() not in response:
            yield gettext("the response of the authority does not contain the moment of the time stamp.")
        # The clock of the site may have been wrong, but not by a day.
        if stamp.stamped_at < checkpoint.at - timedelta(days=1):
            yield gettext("the time stamp is older than its checkpoint.")

    def _read_erasure(self, entry: LogEntry, stated: dict[str, Any]) -> Iterator[str]:
        try:
            term, indices = datetime.fromisoformat(stated["term"]), list(stated["erasure"])
        except (KeyError, TypeError, ValueError):
            yield gettext("it can't be read.")
            return
        covering = next((one for one in self.checkpoints if one.size > entry.index), None)
        if covering and term > covering.at:
            yield gettext("it states a retention term that had not ended.")
        for index in indices:
            self._erased[index] = term

    def _erasure_faults(self) -> Iterator[str]:
        for index, _kind in self._needs_erasure:
            if index not in self._erased:
                yield gettext("Entry %(index)s: its row was erased, but no entry records the erasure.") % {
                    "index": index
                }
        years = Edition.objects.using(self.using).published().filter(agreement=self.agreement).order_by()
        shortest = years.aggregate(years=Min("retention_years"))["years"] or 0
        for index, term in self._erased.items():
            at = self._at.get(index)
            if at and term < _years_later(at, shortest):
                yield gettext("Entry %(index)s: it was erased before its retention term ended.") % {"index": index}

    def _tile_faults(self) -> Iterator[str]:
        hashes, level = self._level, 0
        while True:
            expected = {
                number: hashes[number * tree.TILE_WIDTH : (number + 1) * tree.TILE_WIDTH]
                for number in range(len(hashes) // tree.TILE_WIDTH)
            }
            stored = LogTile.objects.using(self.using).filter(agreement=self.agreement, level=level).order_by("number")
            roots, numbers = [], set()
            for tile in stored.iterator(chunk_size=500):
                numbers.add(tile.number)
                chunk = expected.get(tile.number, [])
                if bytes(tile.hashes) != b"".join(chunk) or not chunk or bytes(tile.root) != tree.root_hash(chunk):
                    yield gettext("Tile %(tile)s differs from the entries.") % {"tile": f"{level}/{tile.number}"}
            for number in sorted(expected.keys() - numbers):
                yield gettext("Tile %(tile)s is missing.") % {"tile": f"{level}/{number}"}
            if not expected:
                return
            roots = [tree.root_hash(chunk) for chunk in expected.values()]
            hashes, level = roots, level + 1

    def _checkpoint_faults(self, size: int) -> Iterator[str]:
        previous: Checkpoint | None = None
        for one in self.checkpoints:
            root = self._roots.get(one.size)
            if root is None or root.hex() != one.root:
                yield gettext("The checkpoint of %(size)s entries does not match them.") % {"size": one.size}
            elif one.note and not self._is_note_of(one, root):
                yield gettext("The signed checkpoint of %(size)s entries states something else.") % {"size": one.size}
            if previous and one.at < previous.at:
                yield gettext("The checkpoint of %(size)s entries is older than the one before it.") % {
                    "size": one.size
                }
            previous = one
        if size and (previous is None or previous.size != size):
            yield gettext("The last entries have no checkpoint.")
        for where, stated, root in self._stated:
            if self._roots.get(stated) != root:
                yield gettext("%(where)s contains a checkpoint of %(size)s entries, which is not one of this log.") % {
                    "where": where,
                    "size": stated,
                }

    def _is_note_of(self, checkpoint: Checkpoint, root: bytes) -> bool:
        """Does the note state the size and this root, with a signature of a key that the log has used?"""
        try:
            stated = tree.Checkpoint.parse(checkpoint.note)
        except ValueError:
            return False
        return (stated.size, stated.root) == (checkpoint.size, root) and self._is_signed(checkpoint.note)

    def _is_signed(self, note: str) -> bool:
        keys = [tree.public_key_in(line) for line in self.log.keys.splitlines()] if self.log else []
        try:
            return any(tree.signed_by(note, key) for key in keys)
        except ImportError:  # Without "cryptography" no signature can be checked.
            return True

    def _stated_in_letters(self) -> Iterator[tuple[str, int, bytes]]:
        """Yield the checkpoints that the sealed texts of notices contain: the name of the text, the size, the root."""
        if self.log is None or not self.log.origin:
            return
        pattern = re.compile(_NOTE.format(origin=re.escape(self.log.origin)), re.MULTILINE)
        texts = NoticeText.objects.using(self.using).filter(notice__edition__agreement=self.agreement).order_by("pk")
        texts = texts.filter(text__contains=self.log.origin)
        for pk, text in texts.values_list("pk", "text").iterator(chunk_size=50):
            for size, root in pattern.findall(text):
                yield f"{NoticeText._meta.verbose_name} {pk}", int(size), tree.decode_hash(root)

    def _missing(self) -> Iterator[str]:
        """Yield the rows that should have an entry and have none."""
        log, using = self.log, self.using
        if log is None:
            return

        def unlogged(kind: str, rows: Any) -> list[int]:  # A queryset of any model.
            logged = LogEntry.objects.using(using).filter(kind=kind, row=OuterRef("pk"))
            return list(rows.filter(~Exists(logged)).order_by("pk").values_list("pk", flat=True))

        editions = Edition.objects.using(using).published().filter(agreement=self.agreement)
        acceptances = Acceptance.objects.using(using).filter(edition__agreement=self.agreement, pk__lte=log.accepted)
        withdrawals = Withdrawal.objects.using(using).filter(agreement=self.agreement, pk__lte=log.withdrawn)
        kinds: Sequence[tuple[str, Any]] = (
            (LogKind.EDITION, editions),
            (LogKind.CANCELLED, editions.filter(cancelled_at__isnull=False)),
            (LogKind.ACCEPTANCE, acceptances),
            (LogKind.WITHDRAWAL, withdrawals),
            (LogKind.STAMP, TimeStamp.objects.using(using).filter(checkpoint__agreement=self.agreement)),
        )
        for kind, rows in kinds:
            for pk in unlogged(kind, rows):
                yield gettext("%(name)s %(key)s has no entry.") % {"name": LogKind(kind).label, "key": pk}


def _stated_in_note(note: str) -> tuple[str, int, bytes]:
    """Where this checkpoint is from, its size and its root."""
    stated = tree.Checkpoint.parse(note)
    return gettext("The given file"), stated.size, stated.root


def _years_later(at: datetime, years: int) -> datetime:
    try:
        return at.replace(year=at.year + years)
    except ValueError:
        return at.replace(year=at.year + years, day=28)
