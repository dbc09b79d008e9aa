"""Bundles anyone can check without this software: a ZIP of sealed files, their digests, and pages for a court.

Files are called as in the public addresses, ``terms/editions/2/manifest.json``, and hold the same bytes. The same
question asked of the same database gives the same bytes again, whoever asks it and when, so two bundles for one
instant can be compared by their digests alone.
"""

from __future__ import annotations

import csv
import io
import json
import os
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import Case, Q, QuerySet, When
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from agreement import conf, dates, gate, lineage, pseudonyms
from agreement.lineage import DATED, Dated
from agreement.models import Acceptance, Act, Agreement, Consent, Delivery, Edition, Notice, NoticeText, Withdrawal
from agreement.models.acts import By
from agreement.models.withdrawals import until
from agreement.shown import Shown
from agreement.text import seal

#: Languages of the bundle's own instructions.
READERS = (*conf.LANGUAGES, "en")
#: A ZIP has no time zone, and its first moment says plainly that it is none.
_NO_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass
class Bundle:
    """A ZIP being written, and the digest of every file in it."""

    archive: zipfile.ZipFile
    digests: dict[str, str] = field(default_factory=dict)
    stamped: list[tuple[str, str]] = field(default_factory=list)
    """Manifests, each with the name, without its ending, of a time stamp on it."""

    def add(self, name: str, content: bytes | Iterable[bytes]) -> None:
        """Write a file, all at once or piece by piece; a name comes once."""
        info = zipfile.ZipInfo(name, _NO_DATE)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.create_system, info.external_attr = 3, 0o100644 << 16  # An ordinary file wherever it is unpacked.
        digest = sha256()
        with self.archive.open(info, "w", force_zip64=True) as file:
            for piece in [content] if isinstance(content, bytes) else content:
                digest.update(piece)
                file.write(piece)
        self.digests[name] = digest.hexdigest()

    def close(self, at: datetime) -> None:
        """Write what tells a stranger how to check the rest."""
        context = {"at": seal.rfc3339(at), "stamped": self.stamped}
        parts = []
        for language in READERS:
            with translation.override(language):
                parts.append(render_to_string("agreement/evidence/readme.txt", context).strip())
        self.add("README.txt", ("\n\n" + "-" * 72 + "\n\n").join(parts).encode() + b"\n")
        sums = "".join(f"{digest}  {name}\n" for name, digest in sorted(self.digests.items()))
        self.add("SHA256SUMS", sums.encode())


@contextmanager
def writing(output: Path) -> Iterator[Bundle]:
    """A bundle that is at ``output`` when it is whole, and nowhere before. ``FileExistsError`` if a file is there."""
    if output.exists():
        raise FileExistsError(output)
    handle, name = tempfile.mkstemp(prefix=f".{output.name}.", dir=output.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            with zipfile.ZipFile(file, "w") as archive:
                yield Bundle(archive)
            file.flush()
            os.fsync(file.fileno())
        # A link, and not a rename, which would replace a file made meanwhile.
        os.link(name, output)
    finally:
        Path(name).unlink()


def export_editions(editions: Sequence[Edition], *, at: datetime, output: Path, by: By = None) -> dict[str, str]:
    """Write the evidence of those sealed editions, of one agreement, as it stood at that instant.

    The texts and pages of each, every manifest from edition 1 to the last of them, what had been said about them, and
    who had joined them and been told of them by then. Gives the digest of each file. Raises ``FileExistsError``.
    That it was exported, and ``by`` whom, is in the log of acts.
    """
    timeline = _timeline(editions[0].agreement, at)
    with writing(output) as bundle:
        last = max(edition.number or 0 for edition in editions)
        _add_editions(bundle, timeline, whole={edition.pk for edition in editions}, last=last, at=at)
        for edition in editions:
            folder = _folder(edition)
            told = Delivery.objects.filter(notice__edition=edition, settled_at__lte=at)
            joined = Acceptance.objects.filter(edition=edition, recorded_at__lte=at).order_by("pk")
            _add_notices(bundle, told)
            bundle.add(f"{folder}/joinings.csv", _table(_JOINED_IT, joined))
            bundle.add(f"{folder}/deliveries.csv", _told(told.order_by("pk"), _TOLD_OF_IT))
        bundle.close(at)
    for edition in editions:
        Act.objects.log(Act.Kind.EXPORTED, on=edition, by=by, note=f"evidence, {seal.rfc3339(at)}")
    return bundle.digests


def _add_editions(bundle: Bundle, timeline: gate.Timeline, *, whole: set[int], last: int, at: datetime) -> None:
    """The chain of one agreement's manifests up to the last number, and the texts of what is wanted whole."""
    chain = Edition.objects.published().filter(agreement=timeline.key, number__lte=last).select_related("agreement")
    for edition in chain.iterator(chunk_size=10):
        bundle.add(f"{_folder(edition)}/manifest.json", edition.manifest())
        for place, stamp in enumerate(edition.time_stamps.filter(stamped_at__lte=at), 1):
            name = f"{_folder(edition)}/stamp-{place}"
            bundle.add(f"{name}.tsr", bytes(stamp.response))
            bundle.add(f"{name}.pem", stamp.certificates.encode())
            bundle.stamped.append((f"{_folder(edition)}/manifest.json", name))
        if edition.pk in whole:
            for language in conf.LANGUAGES:
                bundle.add(f"{_folder(edition)}.{language}.md", edition.text(language).body.encode())
                page = court_page(edition, timeline, at=at, language=language)
                bundle.add(f"{_folder(edition)}/court.{language}.html", page.encode())


def export_user(user_key: Any, *, at: datetime, output: Path, by: By = None) -> dict[str, str]:
    """Write what is known of that user, whose account may be gone, as it stood at that instant.

    What he joined, consented to and withdrew, the evidence of every edition that bound him by then, and what he had
    been told, word for word. Raises ``LookupError`` where nothing is known of such a user, ``ValidationError`` where
    nothing can be, and ``FileExistsError``. In the log of acts as an edition's.
    """
    get_user_model()._meta.pk.run_validators(user_key)  # No database is asked about a number longer than any key.
    # Of history what was recorded by then: an edition imported later is in no timeline of that instant.
    known = Acceptance.objects.of(user_key).filter(recorded_at__lte=at)
    acceptances = known.select_related("edition__agreement").order_by("at", "pk")
    withdrawals = Withdrawal.objects.of(user_key).filter(registered_at__lte=at).select_related("agreement")
    taken = Case(When(withdrawn_at__lte=at, then="withdrawn_at"))
    consents = Consent.objects.of(user_key).filter(given_at__lte=at).annotate(taken=taken)
    deliveries = Delivery.objects.of(user_key).filter(settled_at__lte=at)
    if not any(rows.exists() for rows in (acceptances, withdrawals, consents, deliveries)):
        raise LookupError(user_key)
    timelines = {agreement.pk: _timeline(agreement, at) for agreement in Agreement.objects.order_by("slug")}
    joinings = list(_joinings(acceptances, timelines, withdrawals.departures(at), at))
    bound = {dated.pk for joining in joinings for dated in (joining.own, *joining.holds)}
    said = deliveries.filter(outcome=Delivery.Outcome.SENT).values("notice__edition")
    concerned = Edition.objects.filter(Q(pk__in=bound) | Q(pk__in=said)).order_by("number")
    last = dict(concerned.values_list("agreement", "number"))
    with writing(output) as bundle:
        for agreement, timeline in timelines.items():
            _add_editions(bundle, timeline, whole=bound, last=last.get(agreement, 0), at=at)
        _add_notices(bundle, deliveries)
        for language in conf.LANGUAGES:
            with translation.override(language):
                rows = [joining.in_words(language) for joining in joinings]
                context = {"rows": rows, "style": _style(), "language": language}
                page = render_to_string("agreement/evidence/joinings.html", context)
            bundle.add(f"user/joinings.{language}.html", page.encode())
        bundle.add("user/joinings.csv", _table(_JOINED, acceptances))
        bundle.add("user/withdrawals.csv", _table(_WITHDREW, withdrawals.order_by("pk")))
        bundle.add("user/consents.csv", _table(_CONSENTED, consents.order_by("pk")))
        for consent in consents.order_by("pk"):
            bundle.add(f"user/consents/{consent.pk}.{consent.language}.txt", consent.text.encode())
        bundle.add("user/deliveries.csv", _told(deliveries.order_by("pk"), _TOLD))
        bundle.close(at)
    # The account may be gone: only its key is named.
    Act.objects.log(Act.Kind.EXPORTED, on=get_user_model()(pk=user_key), by=by, note=f"evidence, {seal.rfc3339(at)}")
    return bundle.digests


def key_of(named: str) -> Any:
    """The key of the user who is called that, or whose key, of a deleted account too, that is.

    ``name:…`` and ``key:…`` say which is meant. Raises ``ValidationError``: ``several`` users are called that;
    ``ambiguous``, one is called that, and of another it is the key; ``nobody``. 1 query, and up to 5 for a name that
    could be a key.
    """
    users: Any = get_user_model()
    how, _colon, rest = named.partition(":")
    how, text = (how, rest) if how in {"name", "key"} else ("", named)
    called = [] if how == "key" or "\x00" in text else _called(text)
    if len(called) > 1:
        raise ValidationError(
            _("Several users are called “%(name)s”: write key: and the key."), code="several", params={"name": text}
        )
    try:
        key = users._meta.pk.to_python(text) if how != "name" else None
        users._meta.pk.run_validators(key)
    except ValidationError:
        key = None
    if called and (key is None or key == called[0] or not _known(key)):
        return called[0]
    if called:
        says = _("“%(name)s” is one user's name and another's key: write name:%(name)s or key:%(name)s.")
        raise ValidationError(says, code="ambiguous", params={"name": text})
    if key is None:
        raise ValidationError(_("There is no user “%(name)s”."), code="nobody", params={"name": text})
    return key


def _called(name: str) -> list[Any]:
    users: Any = get_user_model()
    return list(users._default_manager.filter(**{users.USERNAME_FIELD: name}).values_list("pk", flat=True)[:2])


def _known(user_key: Any) -> bool:
    """Is there, or was there, a user of that key?"""
    users: Any = get_user_model()
    rows = (model.objects.of(user_key) for model in (Acceptance, Withdrawal, Consent, Delivery))
    return users._default_manager.filter(pk=user_key).exists() or any(found.exists() for found in rows)


@dataclass(frozen=True, slots=True)
class Joining:
    """A joining, and the editions by which it bound until the user left, or until the instant of the bundle."""

    row: Acceptance
    timeline: gate.Timeline
    own: Dated
    holds: tuple[Dated, ...]
    until: datetime | None
    """When the user left."""

    def in_words(self, language: str) -> dict[str, Any]:
        row, zone = self.row, self.timeline.time_zone
        moments = (row.at, row.recorded_at, self.until)
        at, recorded, ended = (dates.instant(moment, language, zone) if moment else "" for moment in moments)
        holds = ", ".join(str(dated.number) for dated in self.holds) or "—"
        return {"row": row, "edition": row.edition, "at": at, "recorded": recorded, "holds": holds, "until": ended}


def _joinings(
    acceptances: QuerySet[Any], timelines: dict[int, gate.Timeline], departures: QuerySet[Any], at: datetime
) -> Iterator[Joining]:
    """Each joining by its own edition and by those that took effect later and changed its wording alone."""
    left: dict[int, list[Withdrawal]] = defaultdict(list)
    for departure in departures:
        left[departure.agreement_id].append(departure)
    for row in acceptances:
        agreement = row.edition.agreement_id
        timeline = timelines[agreement]
        ended = until(row.at, row.recorded_at, left[agreement])
        own = next(dated for dated in timeline.editions if dated.pk == row.edition_id)
        yield Joining(row, timeline, own, tuple(lineage.bound_by(own, timeline.editions, ended or at)), ended)


_JOINED = {
    "record": "pk",
    "agreement": "edition__agreement__slug",
    "edition": "edition__number",
    "digest": "digest",
    "at": "at",
    "recorded_at": "recorded_at",
    "kind": "kind",
    "language": "language",
    "notice_sent": "notice_sent",
    "round": "round",
    "reason": "reason",
    "officer": "officer",
    "ip": "ip",
    "browser": "user_agent",
    "pseudonym": "pseudonym",
    "key": "pseudonym_key",
}
#: Of everybody at once no more than proves who joined: what else there is goes with the one person it is about.
_JOINED_IT = {
    name: column
    for name, column in _JOINED.items()
    if name not in {"agreement", "edition", "reason", "officer", "ip", "browser"}
}
_WITHDREW = {
    "record": "pk",
    "agreement": "agreement__slug",
    "year": "year",
    "number": "serial",
    "application": "application_number",
    "received": "received_on",
    "registered_at": "registered_at",
    "outcome": "outcome",
    "effective_at": "effective_at",
    "ground": "ground",
    "may_rejoin": "may_rejoin",
    "registered_by": "registered_by",
    "pseudonym": "pseudonym",
    "key": "pseudonym_key",
}
_CONSENTED = {
    "record": "pk",
    "purpose": "purpose",
    "language": "language",
    "digest": "digest",
    "given_at": "given_at",
    "withdrawn_at": "taken",
    "pseudonym": "pseudonym",
    "key": "pseudonym_key",
}
_TOLD = {
    "record": "pk",
    "agreement": "notice__edition__agreement__slug",
    "edition": "notice__edition__number",
    "notice": "notice__kind",
    "channel": "channel",
    "language": "language",
    "outcome": "outcome",
    "reason": "reason",
    "attempts": "attempts",
    "settled_at": "settled_at",
    "address": "address_digest",
}
_TOLD_OF_IT = {name: column for name, column in _TOLD.items() if name not in {"agreement", "edition"}}


def court_page(edition: Edition, timeline: gate.Timeline, *, at: datetime, language: str) -> str:
    """The edition on paper, in one language: its text, its moments as of that instant, how to check it, who signs."""
    with translation.override(language):
        if edition.cancelled_at and edition.cancelled_at > at:
            edition.cancelled_at = None
        shown = Shown.of(edition, timeline, at)
        context = {
            "shown": shown,
            "edition": edition,
            "language": language,
            "at": dates.instant(at, language, edition.agreement.time_zone),
            "style": _style(),
            "texts": {code: seal.sha256(edition.text(code).body) for code in conf.LANGUAGES},
            "reason": _reason(edition, at),
        }
        return render_to_string("agreement/evidence/court.html", context)


def _timeline(agreement: Agreement, at: datetime) -> gate.Timeline:
    """The agreement's dates as they were known at that instant: what was announced or taken back later is not there.

    1 query.
    """
    rows = Edition.objects.published().filter(agreement=agreement, recorded_at__lte=at).values_list(*DATED)
    dated = tuple(
        edition if edition.cancelled(at) else replace(edition, cancelled_at=None)
        for edition in (Dated(*row) for row in rows)
    )
    return gate.Timeline(agreement.pk, agreement.slug, agreement.time_zone, agreement.joining, dated)


def _folder(edition: Edition) -> str:
    return f"{edition.agreement.slug}/editions/{edition.number}"


def _add_notices(bundle: Bundle, deliveries: QuerySet[Any]) -> None:
    """What was said by those deliveries, word for word; the JSON is the bytes that the recorded digest is of."""
    sent = deliveries.filter(outcome=Delivery.Outcome.SENT).order_by()
    said = set(sent.values_list("notice", "channel", "language", "since").distinct())
    notices = Notice.objects.with_edition().in_bulk({notice for notice, *_ in said})
    texts = NoticeText.objects.filter(notice__in=notices)
    for text in texts.order_by("notice_id", "channel", "language", "since").iterator(chunk_size=10):
        # A ledger of earlier days does not say from where the changes were told.
        if said.isdisjoint((text.notice_id, text.channel, text.language, since) for since in (text.since, None)):
            continue
        notice = notices[text.notice_id]
        kind = f"{notice.kind}-since-{text.since}" if text.since else notice.kind
        name = f"{_folder(notice.edition)}/notices/{kind}.{text.channel}.{text.language}"
        words = [text.subject, text.text, text.html]
        bundle.add(f"{name}.json", json.dumps(words, ensure_ascii=False, separators=(",", ":")).encode())
        bundle.add(f"{name}.txt", f"{text.subject}\n\n{text.text}".encode())
        if text.html:
            bundle.add(f"{name}.html", text.html.encode())


def _told(deliveries: QuerySet[Any], columns: dict[str, str]) -> Iterator[bytes]:
    users = deliveries.values_list("user", "pseudonym", "pseudonym_key", *columns.values()).iterator(chunk_size=2000)
    rows = ((*cells, *_named(user, digest, key)) for user, digest, key, *cells in users)
    return _csv((*columns, "pseudonym", "key"), rows)


def _named(user_key: Any, digest: str, key: str) -> tuple[str, str]:
    """Who a delivery was to, for whoever has the key: while there is an account, under the key that writes now."""
    one = pseudonyms.write(user_key) if user_key is not None else pseudonyms.Pseudonym(key, digest)
    return one.digest, one.key


def _reason(edition: Edition, at: datetime) -> str:
    """What was written in the log, by then, as the reason for a moment earlier than was promised (1 query)."""
    published = Act.objects.about(edition).filter(kind=Act.Kind.PUBLISHED, at__lte=at)
    return str(published.values_list("note", flat=True).first() or "")


def _style() -> str:
    return (Path(__file__).parent / "static/agreement/paper.css").read_text(encoding="utf-8")


def _table(columns: dict[str, str], rows: QuerySet[Any]) -> Iterator[bytes]:
    return _csv(tuple(columns), rows.values_list(*columns.values()).iterator(chunk_size=2000))


def _csv(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[bytes]:
    """Lines of a CSV file (RFC 4180), some thousands at a time, whatever their number; instants as in manifests."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(head)
    for row in rows:
        writer.writerow([seal.rfc3339(value) if isinstance(value, datetime) else cell(value) for value in row])
        if buffer.tell() > 1 << 16:
            yield _emptied(buffer)
    yield _emptied(buffer)


_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def cell(value: object) -> str:
    """As text that no spreadsheet runs as a formula (OWASP, CSV injection)."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _emptied(buffer: IO[str]) -> bytes:
    buffer.seek(0)
    content = buffer.read().encode()
    buffer.seek(0)
    buffer.truncate()
    return content
