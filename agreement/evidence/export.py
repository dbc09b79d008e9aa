"""Exports evidence about editions or about one user.

The name of the file of a manifest or of a text is the end of its public address (``terms/editions/2/manifest.json``),
and the bytes are the same. No file contains the moment of the export, so that the digests of two exports of the same
data for the same instant can be compared.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import IO, Any
from urllib.parse import urljoin

from django.contrib.auth import get_user_model
from django.db import router
from django.db.models import Case, F, OuterRef, Q, QuerySet, Subquery, When
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils import translation
from django.utils.translation import gettext

from agreement import conf
from agreement.editions import pdf
from agreement.editions.display import DisplayedEdition
from agreement.editions.pdf import RendererBusy
from agreement.editions.timeline import Timeline
from agreement.evidence.bundle import CSV_ROWS, Bundle, csv_chunks, csv_table, open_bundle
from agreement.evidence.log_files import add_cancellations, add_earlier_proofs, add_log, notice_indices
from agreement.evidence.receipts import CHECKER, NoReceipt, receipt
from agreement.evidence.stamp_files import add_time_stamps
from agreement.evidence.tables import (
    ACCEPTANCE_COLUMNS,
    CONSENT_COLUMNS,
    DECLINE_COLUMNS,
    DELIVERY_COLUMNS,
    EDITION_ACCEPTANCE_COLUMNS,
    EDITION_DECLINE_COLUMNS,
    EDITION_DELIVERY_COLUMNS,
    WITHDRAWAL_COLUMNS,
)
from agreement.models import (
    Acceptance,
    Agreement,
    AuditEntry,
    Bounce,
    Consent,
    Decline,
    Delivery,
    DeliveryOutcome,
    DisplayedText,
    Edition,
    LogEntry,
    Notice,
    NoticeKind,
    NoticeText,
    Withdrawal,
    log_records,
    pseudonyms,
)
from agreement.models.audit import AuditAction, By
from agreement.models.clock import database_now
from agreement.models.fields import UserKey
from agreement.models.ledger_labels import CHANNEL_LABELS, reason_in_words
from agreement.models.membership import Binding, Membership
from agreement.models.published_log import Disclosure, PublishedLog, logged_editions
from agreement.models.succession import EDITION_DATES_FIELDS, EditionDates
from agreement.seal import manifest
from agreement.text import dates, languages

#: How many receipts a bundle contains. Each takes about a second.
MAX_RECEIPTS = 20


def export_editions(
    editions: Sequence[Edition], *, at: datetime | None = None, output: Path | IO[bytes], by: By = None
) -> dict[str, str]:
    """Write the evidence about these sealed editions of one agreement, as known at that instant (``None``: now), to
    ``output``: the path of a new file, or an open file. If it is now, texts of notices that are not in the log yet are
    entered first. Return the SHA-256 of each file in the bundle by its name. ``editions`` must
    not be empty, and each must have been recorded by that instant.

    The bundle contains the texts, the court pages and the archive copies (:func:`_add_archive_copies`) of these
    editions, and every manifest from edition 1 to the last of them with its signatures, its time stamps and its proof
    in the log of the agreement. If a checkpoint of the log was signed by then, it contains the newest one and the
    public keys of the log. For each of these editions it contains tables of the acceptances and of the declines
    recorded by then, the displayed HTML that these acceptances name, a table of the deliveries whose present outcome
    (sent, failed or skipped) was recorded by then, and the texts of the notices that those with the outcome "sent"
    delivered. If the site has ``PSEUDONYM_KEYS``, the tables identify users by pseudonym, and the table of deliveries
    also by the keyed digest of the address. Without these keys, nothing in the tables identifies a user.

    Raises ``FileExistsError`` if ``output`` is a path that exists. After the file is written, an audit entry is added
    for each edition; ``by`` is the person who exports, or ``None`` if no person is known.
    """
    if at is None:
        at = _enter_in_logs(Notice.objects.filter(edition__in=editions))
    timeline = _timeline(editions[0].agreement, at)
    with open_bundle(output) as bundle:
        last = max(edition.number or 0 for edition in editions)
        with_text = {edition.pk for edition in editions}
        log = PublishedLog.of(timeline.key, at=at)
        sent = Delivery.objects.filter(notice__edition__in=with_text, outcome_at__lte=at)
        texts = _add_notices(bundle, sent, {timeline.key: log})
        _add_editions(bundle, timeline, log=log, with_text=with_text, with_pdf=True, last=last, at=at)
        for edition in editions:
            folder = _folder(edition)
            deliveries = Delivery.objects.filter(notice__edition=edition, outcome_at__lte=at)
            acceptances = Acceptance.objects.filter(edition=edition, recorded_at__lte=at).order_by("pk")
            _add_displayed_texts(bundle, acceptances)
            bundle.add(f"{folder}/acceptances.csv", csv_table(EDITION_ACCEPTANCE_COLUMNS, acceptances))
            declines = Decline.objects.filter(edition=edition, at__lte=at).order_by("pk")
            bundle.add(f"{folder}/declines.csv", csv_table(EDITION_DECLINE_COLUMNS, declines))
            bundle.add(
                f"{folder}/deliveries.csv",
                _deliveries_csv(_with_returns(deliveries, at).order_by("pk"), EDITION_DELIVERY_COLUMNS, texts),
            )
        bundle.close(at)
    for edition in editions:
        AuditEntry.objects.log(AuditAction.EXPORTED, on=edition, by=by, note=f"evidence, {manifest.rfc3339(at)}")
    return bundle.digests


def _add_editions(
    bundle: Bundle,
    timeline: Timeline,
    *,
    log: PublishedLog | None,
    with_text: set[int],
    with_pdf: bool,
    last: int,
    at: datetime,
    people: Sequence[Acceptance | Withdrawal] = (),
) -> list[Disclosure]:
    """Add the manifests of one agreement up to edition number ``last`` (0: none), with the proofs signed by that
    instant, the time stamps made by then on the log, the signatures of officials stored by then, the entries about
    cancellations by then, and the name of the time zone. Of the editions up to ``last`` whose primary keys are in
    ``with_text``, add also the texts and court pages and, if ``with_pdf``, their archive copies. Add what shows that
    the rows ``people`` of this agreement are in its log. If any of this is added, and a checkpoint of the log was
    signed by that instant, add the newest one and the public keys of the log. ``log`` is the log as that checkpoint
    states it. Return those of ``people`` that the log contains.
    """
    chain = Edition.objects.published().filter(agreement=timeline.key, number__lte=last).select_related("agreement")
    logged = logged_editions(set(chain.values_list("pk", flat=True)), at=at)
    disclosed = add_log(bundle, timeline.slug, log, people) if log and (last or people) else []
    if last or people:
        bundle.add(f"{timeline.slug}/time-zone.txt", f"{timeline.time_zone}\n".encode())
    gone = {dated.pk: dated.number for dated in timeline.editions if dated.cancelled_at and dated.number <= last}
    editions: dict[int, int] = {}
    for edition in chain.iterator(chunk_size=10):
        editions[edition.pk] = edition.number or 0
        bundle.add(f"{_folder(edition)}/manifest.json", edition.manifest())
        if in_log := logged.get(edition.pk):
            with suppress(LookupError):  # The log contradicts the checkpoint. verify_editions says where.
                bundle.add(f"{_folder(edition)}/manifest.json.tlog-proof", in_log.proof().encode())
        for signature in edition.signatures.filter(recorded_at__lte=at):
            bundle.add(f"{_folder(edition)}/{signature.file_name}", bytes(signature.content))
            if signature.is_compared:  # openssl knows the algorithm too.
                bundle.signed.append((f"{_folder(edition)}/manifest.json", f"{_folder(edition)}/{signature.file_name}"))
        if edition.pk in with_text:
            for language in languages.LANGUAGES:
                bundle.add(f"{_folder(edition)}.{language}.md", edition.text(language).body.encode())
                page = court_page(edition, timeline, at=at, language=language)
                bundle.add(f"{_folder(edition)}/court.{language}.html", page.encode())
            if with_pdf:
                _add_archive_copies(bundle, edition, timeline, at=at)
    cancelled = add_cancellations(bundle, timeline.slug, log=log, editions=gone)
    if log:
        placed = [(number, logged[key]) for key, number in editions.items() if key in logged]
        add_earlier_proofs(bundle, timeline.slug, log=log, editions=placed, cancelled=cancelled, disclosed=disclosed)
    add_time_stamps(
        bundle, f"{timeline.slug}/log", agreement=timeline.key, editions=editions, disclosed=disclosed, at=at
    )
    return disclosed


def _add_archive_copies(bundle: Bundle, edition: Edition, timeline: Timeline, *, at: datetime) -> None:
    """Add the edition as PDF/A in each language, with its dates as known at that instant. :func:`court_page` must have
    been called for the same object and instant, because it removes a later cancellation. A language is left out if
    :func:`agreement.editions.pdf.is_available` is false for its text. There is none if the site does not include the
    app's URLs, because a PDF states its permanent address.

    The PDF of a long text takes seconds, so only bundles about editions have them, which officers export.
    """
    slug, number = edition.agreement.slug, edition.number
    for language in languages.LANGUAGES:
        if not pdf.is_available(edition.text(language).body):
            continue
        with translation.override(language):
            try:
                paths = reverse("agreement:edition", args=[slug, number]), reverse("agreement:current", args=[slug])
            except NoReverseMatch:
                return
            address, current = (urljoin(conf.get().BASE_URL, path) for path in paths)
            displayed = DisplayedEdition.from_timeline(edition, timeline, at)
            logged = logged_editions([edition.pk], at=at).get(edition.pk)
            content = pdf.edition_file(
                displayed, address=address, current=current, logged=logged, archive=True, unlimited_wait=True
            )
        bundle.add(f"{_folder(edition)}.{language}.archive.pdf", content)


def export_user(
    user_key: UserKey, *, at: datetime | None = None, output: Path | IO[bytes], by: By = None
) -> dict[str, str]:
    """Write the evidence about this user, as known at that instant (``None``: now), to ``output``: the path of a new
    file, or an open file. If it is now, what is not in the logs yet is entered first. Return the SHA-256 of each file
    in the bundle by its name. The account may be deleted; its records are then found only if the site still has the key
    of their pseudonym.

    The bundle contains what the user accepted, declined, consented to and withdrew by then, a table of the deliveries
    to them whose present outcome (sent, failed or skipped) was recorded by then, and the texts of the notices that
    those with the outcome "sent" delivered. A delivery that was made to wait again after that instant is left out. The
    bundle contains the texts and court pages of every edition that the user accepted or declined, or that bound them,
    and the displayed HTML that their acceptances name. Of each agreement with such an edition, or with an edition that
    one of these sent deliveries was about, it contains the manifests up to the last of these editions, with their time
    stamps, signatures and proofs, and the newest checkpoint of its log. For each acceptance and withdrawal that a
    signed checkpoint covers, it contains the record with its salt, the entry of the log, and its proof.

    Raises ``LookupError`` if no such record of this user is found (acceptances, withdrawals, consents, declines or
    deliveries), ``ValidationError`` if no user can have that key, and ``FileExistsError`` if ``output`` is a path that
    exists. After the file is written, an audit entry is added; ``by`` is the person who exports, or ``None`` if no
    person is known.
    """
    # Without this, the database could raise an error for a number that is too large.
    get_user_model()._meta.pk.run_validators(user_key)
    if at is None:
        sent = Delivery.objects.for_user_key(user_key).filter(outcome=DeliveryOutcome.SENT)
        at = _enter_in_logs(
            Notice.objects.filter(pk__in=sent.values("notice")),
            Acceptance.objects.for_user_key(user_key),
            Withdrawal.objects.for_user_key(user_key),
        )
    # Only rows recorded by then: the timeline of that instant does not contain editions that were imported later.
    recorded = Acceptance.objects.for_user_key(user_key).filter(recorded_at__lte=at)
    acceptances = recorded.select_related("edition__agreement").order_by("at", "pk")
    withdrawals = Withdrawal.objects.for_user_key(user_key).filter(registered_at__lte=at)
    withdrawals = withdrawals.select_related("agreement", "edition")
    withdrawals = withdrawals.annotate(reply_sent_by_then=Case(When(confirmed_at__lte=at, then="confirmed_at")))
    withdrawn_at = Case(When(withdrawn_at__lte=at, then="withdrawn_at"))
    consents = Consent.objects.for_user_key(user_key).filter(given_at__lte=at).annotate(withdrawn_by_then=withdrawn_at)
    declines = Decline.objects.for_user_key(user_key).filter(at__lte=at)
    deliveries = Delivery.objects.for_user_key(user_key).filter(outcome_at__lte=at)
    found = (rows.first() for rows in (recorded, withdrawals, consents, declines, deliveries))
    if (person := next((row for row in found if row is not None), None)) is None:
        raise LookupError(user_key)
    timelines = {agreement.pk: _timeline(agreement, at) for agreement in Agreement.objects.order_by("slug")}
    records = list(_acceptance_records(acceptances, timelines, withdrawals.in_effect(at), at))
    bound = {record.row.edition_id for record in records}
    bound |= {dated.pk for record in records for dated in record.binding.editions}
    notified = deliveries.filter(outcome=DeliveryOutcome.SENT).values("notice__edition")
    declined = set(declines.values_list("edition", flat=True))
    concerned = Edition.objects.filter(Q(pk__in=bound | declined) | Q(pk__in=notified)).order_by("number")
    last = dict(concerned.values_list("agreement", "number"))
    with open_bundle(output) as bundle:
        logs = {agreement: PublishedLog.of(agreement, at=at) for agreement in timelines}
        texts = _add_notices(bundle, deliveries, logs)
        disclosed: list[Disclosure] = []
        for agreement, timeline in timelines.items():
            people: list[Acceptance | Withdrawal] = []
            people += [row for row in acceptances if row.edition.agreement_id == agreement]
            people += [row for row in withdrawals if row.agreement_id == agreement]
            disclosed += _add_editions(
                bundle,
                timeline,
                log=logs[agreement],
                with_text=bound | declined,
                with_pdf=False,
                last=last.get(agreement) or 0,
                at=at,
                people=people,
            )
        _add_displayed_texts(bundle, acceptances)
        _add_acceptance_pages(
            bundle,
            records,
            declines.select_related("edition__agreement"),
            _with_returns(deliveries, at).order_by("pk"),
            user_key=user_key,
            at=at,
            texts=texts,
            entries={one.row.pk: one.index for one in disclosed if isinstance(one.row, Acceptance)},
        )
        _add_receipts(bundle, records, at)
        bundle.add("user/acceptances.csv", csv_table(ACCEPTANCE_COLUMNS, acceptances))
        bundle.add("user/declines.csv", csv_table(DECLINE_COLUMNS, declines))
        bundle.add("user/withdrawals.csv", csv_table(WITHDRAWAL_COLUMNS, withdrawals.order_by("pk")))
        bundle.add("user/consents.csv", csv_table(CONSENT_COLUMNS, consents.order_by("pk")))
        for consent in consents.order_by("pk"):
            bundle.add(f"user/consents/{consent.pk}.{consent.language}.txt", consent.text.encode())
        rows = _with_returns(deliveries, at).order_by("pk")
        bundle.add("user/deliveries.csv", _deliveries_csv(rows, DELIVERY_COLUMNS, texts))
        bundle.close(at)
    users, note = get_user_model(), f"evidence, {manifest.rfc3339(at)}"
    # If the account is deleted, the entry finds the person by one of these rows.
    exists = users._base_manager.filter(pk=user_key).exists()
    about = None if exists else person
    AuditEntry.objects.log(AuditAction.EXPORTED, on=users(pk=user_key), by=by, note=note, person=about)
    return bundle.digests


def _enter_in_logs(notices: QuerySet[Notice], *people: QuerySet[Acceptance] | QuerySet[Withdrawal]) -> datetime:
    """Enter the texts of these notices and the rows ``people`` in the logs, if they are missing there, with the other
    missing rows of these logs, but not more than a worker does at a time. Return the moment after that. 1 query for
    each argument.
    """
    texts = NoticeText.objects.filter(notice__in=notices)
    for agreement in sorted(set().union(*map(log_records.unlogged_agreements, (texts, *people)))):
        log_records.sweep(force=True, agreement=agreement, batches=log_records.MOST_BATCHES)
    return database_now(router.db_for_write(LogEntry))


@dataclass(frozen=True, slots=True)
class AcceptanceRecord:
    """An acceptance and its effect up to the instant of the export. ``binding`` contains the editions by which the
    acceptance bound the user, and the withdrawal that ended it, if one did. ``timeline`` is that of the agreement, as
    known at that instant, which is ``at``.
    """

    timeline: Timeline
    binding: Binding[Acceptance]
    at: datetime

    @property
    def row(self) -> Acceptance:
        """The acceptance itself."""
        return self.binding.acceptance

    def grace(self) -> tuple[int, datetime] | None:
        """The number of the next edition that this acceptance does not count for, and the moment until which it was
        nevertheless sufficient, because that edition gives days to accept. The moment is not after the end of the
        acceptance. ``None`` if there is no such edition, if it gives no days to accept, if it has not taken effect by
        ``at``, or if a withdrawal had ended the acceptance when that edition took effect.
        """
        accepted, timeline, ended_at = self.row.edition, self.timeline, self.binding.ended_at
        for edition in timeline.binding:
            counting = (one.pk for one in timeline.counting_editions(edition))
            if edition.number > (accepted.number or 0) and accepted.pk not in counting:
                if edition.effective_from > self.at or (ended_at and ended_at <= edition.effective_from):
                    return None
                until = timeline.grace_until({accepted.pk}, edition.effective_from)
                return (edition.number, min(until, ended_at or until)) if until else None
        return None

    def in_words(self, language: str) -> dict[str, Any]:
        """Return the template context for this acceptance, with its moments in words in ``language`` (``kk`` or
        ``ru``), which must be the active language, because ``bound_by`` names editions in that. ``ended_at`` is ``""``
        if the acceptance lasts, and ``bound_by`` is ``"—"`` if no edition bound the user by it. If :meth:`grace` gives
        nothing, ``grace_number`` is ``None`` and ``grace_until`` is ``""``. ``file`` is the name of the file with the
        displayed HTML, if the acceptance names one.
        """
        row, zone = self.row, self.timeline.time_zone
        grace_number, grace_until = self.grace() or (None, None)
        moments = (row.at, row.recorded_at, self.binding.ended_at, grace_until)
        words = [dates.instant(moment, language, zone) if moment else "" for moment in moments]
        at, recorded_at, ended_at, until = words
        return {
            "row": row,
            "edition": row.edition,
            "at": at,
            "recorded_at": recorded_at,
            "bound_by": ", ".join(_edition(dated.number) for dated in self.binding.editions) or "—",
            "ended_at": ended_at,
            "file": _displayed_name(row.edition, row.language, row.renderer, row.html_digest),
            "grace_number": grace_number,
            "grace_until": until,
        }


def _edition(number: int) -> str:
    """Return the name of an edition by its number, in the active language: "edition 3"."""
    return gettext("edition %(number)s") % {"number": number}


def _acceptance_records(
    acceptances: QuerySet[Acceptance], timelines: dict[int, Timeline], withdrawals: QuerySet[Withdrawal], at: datetime
) -> Iterator[AcceptanceRecord]:
    """Yield each acceptance, in their order, with its effect up to ``at``. The editions by which it bound the user are
    the accepted one, and later ones that changed only the wording. Editions that were cancelled, that did not take
    effect by ``at``, or that took effect when a withdrawal had ended the acceptance, are left out.

    ``acceptances`` must be those of one user that were recorded by ``at``, and ``withdrawals`` those of the same user
    that are in effect at ``at``. ``timelines`` are by the primary key of the agreement.
    """
    by_agreement: dict[int, list[Withdrawal]] = defaultdict(list)
    for withdrawal in withdrawals:
        by_agreement[withdrawal.agreement_id].append(withdrawal)
    for row in acceptances:
        timeline, withdrawn = timelines[row.edition.agreement_id], by_agreement[row.edition.agreement_id]
        membership = Membership(editions=timeline.editions, acceptances=[row], withdrawals=withdrawn)
        yield AcceptanceRecord(timeline, membership.binding(row, until=at), at)


def _add_acceptance_pages(
    bundle: Bundle,
    records: Sequence[AcceptanceRecord],
    declines: QuerySet[Decline],
    deliveries: QuerySet[Delivery],
    *,
    user_key: UserKey,
    at: datetime,
    texts: SentTexts,
    entries: Mapping[int, int],
) -> None:
    """Add the page for a court about one user in each language: what they accepted and declined, and the notices to
    them, with the words that were sent. ``entries`` are the indices of the acceptances in their logs, by primary key.
    """
    account = get_user_model()._base_manager.filter(pk=user_key).first()
    notified = list(deliveries.select_related("notice__edition__agreement"))
    for language in languages.LANGUAGES:
        with translation.override(language):
            rows = [record.in_words(language) for record in records]
            for row in rows:
                row["index"] = entries.get(row["row"].pk)
            declined = [(row, dates.instant(row.at, language, row.edition.agreement.time_zone)) for row in declines]
            context = {
                "records": rows,
                "declines": declined,
                "deliveries": [_delivery_in_words(row, texts, language) for row in notified],
                "account": account.get_username() if account else "",
                "user_key": str(user_key),
                "at": dates.instant(at, language, conf.time_zone()),
                "style": _style(),
                "language": language,
            }
            page = render_to_string("agreement/evidence/acceptances.html", context)
        bundle.add(f"user/acceptances.{language}.html", page.encode())


def _delivery_in_words(row: Delivery, texts: SentTexts, language: str) -> dict[str, Any]:
    """The variables of the page about this delivery, with its channel, reason and moments in words in the active
    language.
    """
    zone = row.notice.edition.agreement.time_zone
    returned_at = getattr(row, "returned_at", None)  # An annotation.
    return {
        "row": row,
        "channel": CHANNEL_LABELS.get(row.channel, row.channel),
        "reason": reason_in_words(row.reason),
        "at": dates.instant(row.outcome_at, language, zone) if row.outcome_at else "",
        "returned_at": dates.instant(returned_at, language, zone) if returned_at else "",
        "file": texts.file(row.outcome, row.notice_id, row.channel, row.language, row.since, row.cancelled),
    }


def _add_receipts(bundle: Bundle, records: Sequence[AcceptanceRecord], at: datetime) -> None:
    """Add the receipts of the latest ``MAX_RECEIPTS`` of these acceptances, each in the language of the acceptance, or
    in Kazakh, and the program that checks them. An acceptance that is not in the log of a checkpoint of that instant,
    and a site that makes no receipts, have none.
    """
    added = False
    for record in records[-MAX_RECEIPTS:]:
        row = record.row
        language = row.language if row.language in languages.LANGUAGES else languages.LANGUAGES[0]
        try:
            content = receipt(row, record.timeline, at=at, language=language)
        except (NoReceipt, RendererBusy):
            continue
        bundle.add(f"user/receipts/{row.pk}.{language}.pdf", content)
        added = True
    if added:
        bundle.add("user/receipts/check_receipt.py", CHECKER.read_bytes())


def court_page(edition: Edition, timeline: Timeline, *, at: datetime, language: str) -> str:
    """Return an HTML page of the edition for printing, in ``kk`` or ``ru``: its text in that language, its dates as
    known at that instant, how to check it, and a place for the signature of an officer. ``edition`` must be in the
    timeline. If it was cancelled after that instant, ``cancelled_at`` of the object ``edition`` is set to ``None``. 1
    query if the agreement of the edition is loaded.
    """
    with translation.override(language):
        if edition.cancelled_at and edition.cancelled_at > at:
            edition.cancelled_at = None
        displayed = DisplayedEdition.from_timeline(edition, timeline, at)
        context = {
            "displayed": displayed,
            "edition": edition,
            "language": language,
            "at": dates.instant(at, language, edition.agreement.time_zone),
            "style": _style(),
            "texts": {code: manifest.sha256(edition.text(code).body) for code in languages.LANGUAGES},
            "reason": _reason(edition, at),
        }
        return render_to_string("agreement/evidence/court.html", context)


def _timeline(agreement: Agreement, at: datetime) -> Timeline:
    """Return the dates of the agreement's editions as known at that instant: editions that were recorded later, and
    later cancellations, are left out. 1 query.
    """
    recorded = Edition.objects.published().filter(agreement=agreement, recorded_at__lte=at)
    dated = tuple(
        edition if edition.is_cancelled(at) else replace(edition, cancelled_at=None)
        for edition in (EditionDates(*row) for row in recorded.values_list(*EDITION_DATES_FIELDS))
    )
    return Timeline(agreement.pk, agreement.slug, agreement.time_zone, agreement.acceptance_mode, dated)


def _folder(edition: Edition) -> str:
    return f"{edition.agreement.slug}/editions/{edition.number}"


def _add_displayed_texts(bundle: Bundle, acceptances: QuerySet[Acceptance]) -> None:
    """Add the HTML of each displayed text that one of these acceptances names, byte for byte. 2 queries."""
    columns = ("edition", "language", "renderer")
    named = set(acceptances.exclude(html_digest="").order_by().values_list(*columns, "html_digest").distinct())
    texts = DisplayedText.objects.filter(edition__in={edition for edition, *_ in named})
    for text in texts.select_related("edition__agreement").order_by(*columns, "digest").iterator(chunk_size=10):
        if tuple(text.key.values()) in named:
            bundle.add(_displayed_name(text.edition, text.language, text.renderer, text.digest), text.html.encode())


def _displayed_name(edition: Edition, language: str, renderer: int | None, digest: str) -> str:
    return f"{_folder(edition)}/displayed/{language}-{renderer}-{digest[:8]}.html"


@dataclass(frozen=True, slots=True)
class SentTexts:
    """The texts of notices in a bundle. ``files`` are the names of their files, by what identifies the text: notice,
    channel, language, ``since`` and ``cancelled``.
    """

    files: dict[tuple[int, str, str, int, int], str] = field(default_factory=dict)

    def file(self, outcome: str, *which: Any) -> str:
        """The name of the file with the text that a delivery with this outcome sent; ``""`` if it sent none, or if it
        is not recorded which one.
        """
        return self.files.get(which, "") if outcome == DeliveryOutcome.SENT else ""


def _add_notices(bundle: Bundle, deliveries: QuerySet[Delivery], logs: Mapping[int, PublishedLog | None]) -> SentTexts:
    """Add the texts of the notices that were sent by these deliveries, each as JSON and as text, and as HTML if it has
    an HTML part. The bytes of the JSON file are those whose SHA-256 is the digest of the notice text. If it is not
    recorded which text of its notice a delivery sent, because the delivery was found in the log of the mail server
    after a restore, all texts that it may have sent are added.

    ``logs`` are by the primary key of the agreement. For each text that its log contains, add the proof.
    """
    deliveries = deliveries.filter(outcome=DeliveryOutcome.SENT).order_by()
    sent = set(deliveries.values_list("notice", "channel", "language", "since", "cancelled").distinct())
    notices = Notice.objects.with_edition().in_bulk({notice for notice, *_ in sent})
    columns = ("notice_id", "channel", "language", "since", "cancelled")
    texts = NoticeText.objects.filter(notice__in=notices).order_by(*columns)
    included: dict[int, tuple[Any, ...]] = {}
    for pk, notice_id, channel, language, *versions in texts.values_list("pk", *columns):
        # If a delivery has no "since", any text of its notice in its channel and language may have been sent. If it has
        # no language either, any text in its channel may have been.
        known = ((language, *versions), (language, None, None), ("", None, None))
        if not sent.isdisjoint((notice_id, channel, *which) for which in known):
            included[pk] = (notice_id, channel, language, versions[0])
    alike = Counter(included.values())
    indices = notice_indices(included)
    added = SentTexts()
    for text in texts.filter(pk__in=included).iterator(chunk_size=10):
        notice = notices[text.notice_id]
        parts = [notice.kind]
        if notice.kind == NoticeKind.BREACH:  # An edition may have several.
            parts.append(str(notice.uuid))
        if text.since:
            parts.append(f"since-{text.since}")
        if text.cancelled and alike[included[text.pk]] > 1:
            parts.append(f"with-{text.cancelled}-cancelled")
        name = f"{_folder(notice.edition)}/notices/{'-'.join(parts)}.{text.channel}.{text.language}"
        added.files[text.notice_id, text.channel, text.language, text.since, text.cancelled] = f"{name}.txt"
        words = [text.subject, text.text, text.html]
        bundle.add(f"{name}.json", json.dumps(words, ensure_ascii=False, separators=(",", ":")).encode())
        bundle.add(f"{name}.txt", f"{text.subject}\n\n{text.text}".encode())
        if text.html:
            bundle.add(f"{name}.html", text.html.encode())
        if (log := logs[notice.edition.agreement_id]) and indices.get(text.pk, log.size) < log.size:
            with suppress(LookupError):  # The log contradicts the checkpoint. verify_editions says where.
                bundle.add(f"{name}.json.tlog-proof", log.proof(indices[text.pk]).encode())
    return added


def _with_returns(deliveries: QuerySet[Delivery], at: datetime) -> QuerySet[Delivery]:
    """The same deliveries with ``returned_at``: when the message came back, if that was recorded by ``at``; and with
    ``failed_attempts``. The column ``attempts`` lacks the attempt after which the delivery failed.
    """
    bounces = Bounce.objects.filter(delivery=OuterRef("pk"), recorded_at__lte=at).order_by("-recorded_at", "-pk")
    last = Subquery(bounces.values("at")[:1])
    return deliveries.annotate(
        returned_at=Case(When(returns__gt=F("returns_before"), then=last)),
        failed_attempts=F("attempts") + Case(When(outcome=DeliveryOutcome.FAILED, then=1), default=0),
    )


def _deliveries_csv(deliveries: QuerySet[Delivery], columns: dict[str, str], texts: SentTexts) -> Iterator[bytes]:
    """Yield the table of these deliveries, which have the annotation of :func:`_with_returns`."""
    text = ("outcome", "notice", "channel", "language", "since", "cancelled")
    found = deliveries.values_list("user", "pseudonym", "pseudonym_key", *text, *columns.values())
    read = found.iterator(chunk_size=CSV_ROWS)
    rows = (
        (*cells[len(text) :], texts.file(*cells[: len(text)]), *_recipient(user, digest, key))
        for user, digest, key, *cells in read
    )
    return csv_chunks((*columns, "text", "pseudonym", "key"), rows)


def _recipient(user_key: UserKey, digest: str, key: str) -> tuple[str, str]:
    """Return the pseudonym of the recipient, and the id of the key with which it was made; ``""`` for both if there is
    none. If the account exists (``user_key`` is not ``None``), the pseudonym is made with the first key of the setting
    ``PSEUDONYM_KEYS``. Otherwise it is the stored one: ``digest`` and ``key``.
    """
    pseudonym = pseudonyms.primary(user_key) if user_key is not None else pseudonyms.Pseudonym(key, digest)
    return pseudonym.digest, pseudonym.key


def _reason(edition: Edition, at: datetime) -> str:
    """Return the note of the audit entry of the publication, if it was logged by that instant: the reason that the
    publisher gave. It is required if the edition takes effect earlier than the promised notice allows. ``""`` if there
    is none. 1 query.
    """
    published = AuditEntry.objects.about(edition).filter(action=AuditAction.PUBLISHED, at__lte=at)
    return str(published.values_list("note", flat=True).first() or "")


def _style() -> str:
    return (Path(__file__).parents[1] / "static/agreement/paper.css").read_text(encoding="utf-8")
