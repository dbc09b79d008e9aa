"""The transparency log of an agreement: what was recorded, in the order in which it was recorded.

Each agreement has one log. An entry is a short JSON text that anybody may read. It contains digests and no personal
data. ``agreement.seal.log`` says how the entries form a tree, and ``agreement.models.log_records`` what an entry about
an acceptance or a withdrawal is computed from.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from django.db import models, router
from django.db.models import F, Q
from django.urls import NoReverseMatch, reverse
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from agreement import conf
from agreement.models.agreements import Agreement
from agreement.models.clock import database_now
from agreement.models.fields import InstantField
from agreement.seal import log as tree
from agreement.seal.manifest import rfc3339, sha256

logger = logging.getLogger("agreement")


class LogKind(models.TextChoices):
    """What an entry of a log is about."""

    EDITION = "edition", _("edition")
    CANCELLED = "cancelled", _("edition cancelled")
    NOTICE = "notice", _("text of a notice")
    ACCEPTANCE = "acceptance", _("acceptance")
    WITHDRAWAL = "withdrawal", _("withdrawal of consent")
    ERASURE = "erasure", _("erasure of personal data")
    STAMP = "stamp", _("time stamp")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEntry:
    """An entry that is to be added to a log. ``row`` is the primary key of the row that it is about; ``None`` for an
    erasure. ``salt`` is ``""`` for an entry that needs none.
    """

    kind: str
    content: dict[str, object]
    row: int | None
    salt: str = ""

    def encode(self) -> bytes:
        """The bytes of the entry: JSON with sorted keys, without white space, in UTF-8."""
        return json.dumps(self.content, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


class TransparencyLog(models.Model):
    """The state of the log of one agreement. ``origin`` is the name of the log in its checkpoints; ``""`` until the
    first one is signed. ``keys`` are the verifier keys (:func:`agreement.seal.log.verifier_key`) of all its signatures,
    each in a line of its own, in the order of their first use. ``accepted`` and ``withdrawn`` are the primary keys of
    the last acceptance and the last withdrawal of the agreement that are in the log; 0 if there is none. ``swept_at``
    is when the last ones were looked for.
    """

    agreement = models.OneToOneField(
        Agreement, on_delete=models.PROTECT, related_name="log", verbose_name=_("user agreement")
    )
    origin = models.CharField(_("origin"), max_length=255, blank=True, default="")
    keys = models.TextField(_("keys"), blank=True, default="")
    size = models.PositiveBigIntegerField(_("entries"), default=0)
    accepted = models.BigIntegerField(default=0)
    withdrawn = models.BigIntegerField(default=0)
    swept_at = InstantField(null=True)

    if TYPE_CHECKING:
        agreement_id: int

    class Meta:
        ordering = ["agreement_id"]
        verbose_name = _("log")
        verbose_name_plural = _("logs")

    def __str__(self) -> str:
        return self.origin or self.agreement.slug


class LogEntry(models.Model):
    """One entry of a log. ``row`` is the primary key of the row that it is about, in the table that ``kind`` names;
    ``None`` for an erasure. ``salt`` is the secret part of an entry about a person. An erasure empties it.
    """

    agreement = models.ForeignKey(Agreement, on_delete=models.PROTECT, related_name="+", db_index=False)
    index = models.PositiveBigIntegerField(_("index"))
    kind = models.CharField(_("kind"), max_length=10, choices=LogKind.choices)
    row = models.BigIntegerField(null=True)
    entry = models.BinaryField(_("entry"))
    salt = models.CharField(max_length=32, blank=True, default="")

    if TYPE_CHECKING:
        agreement_id: int

    class Meta:
        ordering = ["agreement_id", "index"]
        verbose_name = _("entry of a log")
        verbose_name_plural = _("entries of logs")
        constraints = [
            models.UniqueConstraint(fields=["agreement", "index"], name="agreement_logentry_index"),
            models.UniqueConstraint(fields=["row", "kind"], name="agreement_logentry_row"),
        ]

    def __str__(self) -> str:
        return f"{self.agreement.slug}, {self.index}"


class LogTile(models.Model):
    """A full tile of a log: 256 neighbouring hashes of one level of the tree, and the hash of the subtree above them.
    A tile that is not full has no row.
    """

    agreement = models.ForeignKey(Agreement, on_delete=models.PROTECT, related_name="+", db_index=False)
    level = models.PositiveSmallIntegerField()
    number = models.PositiveBigIntegerField()
    hashes = models.BinaryField()
    root = models.BinaryField()

    class Meta:
        verbose_name = _("tile of a log")
        verbose_name_plural = _("tiles of logs")
        constraints = [
            models.UniqueConstraint(fields=["agreement", "level", "number"], name="agreement_logtile_once"),
        ]

    def __str__(self) -> str:
        return f"{self.agreement.slug}, {self.level}/{self.number}"


class CheckpointQuerySet(models.QuerySet["Checkpoint"]):
    def signed(self) -> Self:
        """Those with the signature of the log."""
        return self.exclude(note="")

    def covering(self, *, agreement: int, index: int) -> Self:
        """The checkpoints of the agreement with that primary key whose tree contains that entry, the first one
        first.
        """
        return self.filter(agreement=agreement, size__gt=index).order_by("size")


class Checkpoint(models.Model):
    """The root of the tree of a log when it had ``size`` entries. ``note`` is the signed checkpoint; ``""`` if the site
    had no ``LOG_KEY``.
    """

    agreement = models.ForeignKey(
        Agreement,
        on_delete=models.PROTECT,
        related_name="checkpoints",
        db_index=False,
        verbose_name=_("user agreement"),
    )
    size = models.PositiveBigIntegerField(_("entries"))
    root = models.CharField(_("root hash"), max_length=64)
    note = models.TextField(_("signed checkpoint"), blank=True, default="")
    at = InstantField(_("when"))

    objects = models.Manager.from_queryset(CheckpointQuerySet)()

    if TYPE_CHECKING:
        agreement_id: int

    class Meta:
        ordering = ["agreement_id", "size"]
        verbose_name = _("checkpoint")
        verbose_name_plural = _("checkpoints")
        constraints = [models.UniqueConstraint(fields=["agreement", "size"], name="agreement_checkpoint_once")]
        indexes = [
            # A site may have had no key for a long time.
            models.Index(fields=["agreement", "size"], condition=~Q(note=""), name="agreement_checkpoint_signed")
        ]

    def __str__(self) -> str:
        return f"{self.agreement.slug}, {self.size}"


class Tiles:
    """Reads the tiles of the log of the agreement with that primary key, each once. An object is the ``tile`` of
    :class:`agreement.seal.log.Tree`. A full tile costs 1 query and one that is not full 1 query too.
    """

    def __init__(self, agreement: int, *, using: str) -> None:
        self.agreement, self.using = agreement, using
        self._tiles: dict[tuple[int, int], bytes] = {}

    def __call__(self, level: int, number: int, width: int) -> bytes:
        """The first ``width`` hashes of that tile, one after the other. Raises ``LookupError`` if the log has not that
        many there.
        """
        found = self._tiles.get((level, number), b"")
        if len(found) < 32 * width:
            found = self._read(level, number, width)
            self._tiles[level, number] = found
        if len(found) < 32 * width:
            raise LookupError(f"{level}/{number} has no {width} hashes.")
        return found[: 32 * width]

    def _read(self, level: int, number: int, width: int) -> bytes:
        if width == tree.TILE_WIDTH:
            stored = LogTile.objects.using(self.using).filter(agreement=self.agreement, level=level, number=number)
            return bytes(stored.values_list("hashes", flat=True).first() or b"")
        first = number * tree.TILE_WIDTH
        return b"".join(self.hashes(level, first, first + width))

    def hashes(self, level: int, first: int, end: int) -> list[bytes]:
        """The hashes of that level from ``first`` to before ``end``: those of entries, or those above full tiles. 1
        query.
        """
        if not level:
            entries = LogEntry.objects.using(self.using).filter(agreement=self.agreement)
            entries = entries.filter(index__gte=first, index__lt=end).order_by("index")
            return [tree.leaf_hash(bytes(entry)) for entry in entries.values_list("entry", flat=True)]
        tiles = LogTile.objects.using(self.using).filter(agreement=self.agreement, level=level - 1)
        tiles = tiles.filter(number__gte=first, number__lt=end).order_by("number")
        return [bytes(root) for root in tiles.values_list("root", flat=True)]


def append(agreement: Agreement, entries: Sequence[NewEntry], *, using: str | None = None) -> TransparencyLog:
    """Add these entries to the log of the agreement, make a checkpoint, and return the log as it is then. It belongs to
    the transaction of the caller, which must be open. The log is locked until that transaction ends.

    The cost depends on the number of these entries and not on the size of the log: 5 queries and 1 for each level of
    the tree, at most 3 in a log of less than 16,777,216 entries; 2 more for each level in which a tile becomes full.
    """
    using = using or router.db_for_write(LogEntry)
    log = lock(agreement, using=using)
    first = log.size
    log.size += len(entries)
    LogEntry.objects.using(using).bulk_create(
        [
            LogEntry(
                agreement=agreement,
                index=index,
                kind=new.kind,
                row=new.row,
                entry=new.encode(),
                salt=new.salt,
            )
            for index, new in enumerate(entries, first)
        ]
    )
    _store_full_tiles(log, first, using=using)
    root = tree.Tree(log.size, Tiles(log.agreement_id, using=using)).root()
    note = _sign(log, agreement, root)
    log.save(using=using, update_fields=["size", "origin", "keys"])
    Checkpoint.objects.using(using).create(
        agreement=agreement, size=log.size, root=root.hex(), note=note, at=database_now(using)
    )
    return log


def lock(agreement: Agreement, *, using: str) -> TransparencyLog:
    """The log of the agreement, locked until the transaction ends. It is made if it does not exist; the caller must
    then have locked the agreement. 2 queries, 1 more for a new one.
    """
    logs = TransparencyLog.objects.using(using).filter(agreement=agreement)
    if logs.update(size=F("size")):
        return logs.get()
    return TransparencyLog.objects.using(using).create(agreement=agreement)


def _store_full_tiles(log: TransparencyLog, before: int, *, using: str) -> None:
    """Store the tiles that became full since the log had ``before`` entries, level by level."""
    tiles, level = Tiles(log.agreement_id, using=using), 0
    while True:
        height = 8 * (level + 1)
        first, end = before >> height, log.size >> height
        if first == end:
            return
        hashes = tiles.hashes(level, first * tree.TILE_WIDTH, end * tree.TILE_WIDTH)
        rows = []
        for number in range(first, end):
            start = (number - first) * tree.TILE_WIDTH
            chunk = hashes[start : start + tree.TILE_WIDTH]
            rows.append(
                LogTile(
                    agreement_id=log.agreement_id,
                    level=level,
                    number=number,
                    hashes=b"".join(chunk),
                    root=tree.root_hash(chunk),
                )
            )
        LogTile.objects.using(using).bulk_create(rows)
        level += 1


def _sign(log: TransparencyLog, agreement: Agreement, root: bytes) -> str:
    """The signed checkpoint of the log; ``""`` if the site has no ``LOG_KEY``, or if it can't be used: then a line is
    logged, because a publication must not fail. Sets the origin of the log if it has none, and adds the key to those of
    the log if it is new.
    """
    secret = conf.get().LOG_KEY
    if not secret:
        return ""
    try:
        origin = log.origin or origin_of(agreement.slug)
        note = tree.sign(tree.Checkpoint(origin=origin, size=log.size, root=root), secret)
        key = tree.verifier_key(origin, tree.public_key_of(secret))
    except (ImportError, ValueError) as error:
        logger.error("N119 the checkpoint of %s is not signed: %s", agreement.slug, type(error).__name__)
        return ""
    log.origin = origin
    if key not in log.keys.splitlines():
        log.keys += f"{key}\n"
    return note


def origin_of(slug: str) -> str:
    """The name of the log of the agreement with that slug: the address of the log without the scheme; if the site has
    no such address, the host and the slug. Raises ``ValueError`` if ``BASE_URL`` names no host.
    """
    host = urlsplit(conf.get().BASE_URL).netloc
    if not host:
        raise ValueError("BASE_URL names no host.")
    try:
        with translation.override(conf.canonical_language()):
            path = reverse("agreement:checkpoint", args=[slug]).removesuffix("/checkpoint")
    except NoReverseMatch:
        path = f"/{slug}"
    return f"{host}{path}"


def edition_entry(*, pk: int, digest: str, number: int) -> NewEntry:
    """The entry about a sealed edition: its digest and its number."""
    return NewEntry(kind=LogKind.EDITION, content={"edition": digest, "number": number}, row=pk)


def cancelled_entry(*, pk: int, digest: str, at: datetime) -> NewEntry:
    """The entry about the cancellation of an edition: its digest, and the moment of the cancellation."""
    return NewEntry(kind=LogKind.CANCELLED, content={"at": rfc3339(at), "cancelled": digest}, row=pk)


def stamp_entry(*, pk: int, response: bytes, size: int) -> NewEntry:
    """The entry about a time stamp: the digest of the response of the authority, and the size of the stamped
    checkpoint.
    """
    return NewEntry(kind=LogKind.STAMP, content={"checkpoint": size, "stamp": sha256(response)}, row=pk)
