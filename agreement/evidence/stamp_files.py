"""Adds to a bundle the time stamps that show when its editions and the records of its user existed.

A time stamp is about a checkpoint of the log, and a proof shows that the entry about an edition, an acceptance or a
withdrawal is in the tree of that checkpoint. A bundle has two stamps for each of them: the first one after it, which
states the earliest moment, and the last one of the log, which shows that the first one existed before the certificate
of its authority ended.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime

from django.db.models import Q

from agreement.evidence.bundle import Bundle, StampFiles
from agreement.models import Checkpoint, LogEntry, TimeStamp
from agreement.models.log import LogKind, Tiles
from agreement.models.published_log import Disclosure
from agreement.seal import log as tree


def add_time_stamps(
    bundle: Bundle,
    folder: str,
    *,
    agreement: int,
    editions: dict[int, int],
    disclosed: Sequence[Disclosure] = (),
    at: datetime,
) -> None:
    """Add the time stamps on the log of the agreement with that primary key that were made by that instant: for each
    edition, acceptance and withdrawal the first one on a checkpoint that contains it, and the last one. ``editions``
    are numbers of editions by primary key, ``disclosed`` are the rows about a user that the bundle shows to be in the
    log, and ``folder`` is the folder of the log in the bundle.

    The names of the files begin with the size of the checkpoint. The proofs show that the editions and these rows are
    in it, and for the last checkpoint also that the entries about the earlier stamps are. What has no stamp gets no
    file. 4 queries, 1 for each edition and row, and 1 for each tile that the proofs need; no query without any.
    """
    if not editions and not disclosed:
        return
    stamps = TimeStamp.objects.filter(checkpoint__agreement=agreement, stamped_at__lte=at)
    last = stamps.stamped_size(agreement)
    entries = LogEntry.objects.filter(index__lt=last).order_by("index")
    proved: dict[int, dict[str, LogEntry]] = defaultdict(dict)
    names_by_index = {one.index: f"{one.row._meta.model_name}-{one.row.pk}" for one in disclosed}
    about = Q(kind=LogKind.EDITION, row__in=editions) | Q(agreement=agreement, index__in=names_by_index)
    for entry in entries.filter(about):
        first = stamps.covering(agreement=agreement, index=entry.index).values_list("checkpoint__size", flat=True)[0]
        name = names_by_index.get(entry.index) or f"edition-{editions[entry.row or 0]}"
        for size in (first, last):
            proved[size][name] = entry
    included = stamps.filter(checkpoint__size__in=list(proved)).select_related("checkpoint")
    checkpoints: dict[int, Checkpoint] = {}
    names: dict[int, str] = {}
    alike: Counter[int] = Counter()
    for stamp in included.order_by("checkpoint__size", "pk"):
        size = stamp.checkpoint.size
        alike[size] += 1  # Two authorities may have stamped one checkpoint.
        names[stamp.pk] = f"{size}" if alike[size] == 1 else f"{size}-{alike[size]}"
        checkpoints[size] = stamp.checkpoint
        _add_stamp(bundle, f"{folder}/{size}.checkpoint", f"{folder}/{names[stamp.pk]}", stamp)
    for entry in entries.filter(kind=LogKind.STAMP, row__in=names):
        proved[last][f"stamp-{names[entry.row or 0]}"] = entry
    tiles = Tiles(agreement, using=stamps.db)
    for size, checkpoint in checkpoints.items():
        bundle.add(f"{folder}/{size}.checkpoint", checkpoint.note.encode())
        for name, entry in proved[size].items():
            file = f"{folder}/{size}.{name}.tlog-proof"  # A letter may have the same checkpoint.
            if file not in bundle.digests and (proof := _proof(checkpoint, entry, tiles)):
                bundle.add(file, proof.encode())


def _add_stamp(bundle: Bundle, checkpoint: str, name: str, stamp: TimeStamp) -> None:
    """Add the response and the certificates. ``checkpoint`` is the name of the file of the checkpoint, and ``name`` the
    name of these files without the extension.
    """
    bundle.add(f"{name}.tsr", bytes(stamp.response))
    bundle.add(f"{name}.pem", stamp.certificates.encode())
    chain = stamp.certificates.count("BEGIN CERTIFICATE") > 1
    bundle.stamped.append(StampFiles(checkpoint, name, seconds=int(stamp.stamped_at.timestamp()), chain=chain))


def _proof(checkpoint: Checkpoint, entry: LogEntry, tiles: Tiles) -> str:
    """The proof that the entry is in the tree of the checkpoint (C2SP tlog-proof); ``""`` if the database contradicts
    the checkpoint, so that an export of damaged records is possible.
    """
    try:
        hashes = tree.Tree(checkpoint.size, tiles).inclusion(entry.index)
    except LookupError:
        return ""
    leaf = tree.leaf_hash(bytes(entry.entry))
    if tree.root_from_inclusion(leaf, entry.index, checkpoint.size, hashes).hex() != checkpoint.root:
        return ""
    return tree.proof_text(entry.index, hashes, checkpoint.note)
