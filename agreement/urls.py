"""The URLs of the app's pages, under any prefix: ``path("agreements/", include("agreement.urls"))``.

The paths must never change, because notices and pages of other sites contain them.
"""

from __future__ import annotations

from django.urls import path, register_converter

from agreement.text import languages
from agreement.views import (
    acceptance,
    amendments,
    api,
    clauses,
    data,
    documents,
    editions,
    feeds,
    log,
    memento,
    notices,
    receipts,
    record,
    verify,
    withdrawal,
)


class NumberConverter:
    """The URL converter of the number of an edition, without leading zeros. Ten digits are enough for every number in
    the database.
    """

    regex = "[1-9][0-9]{0,9}"

    def to_python(self, value: str) -> int:
        return int(value)

    def to_url(self, value: int) -> str:
        return str(value)


class PlaceConverter(NumberConverter):
    """The URL converter of the place of a signature among those of an edition, from 2. The first one has a URL without
    a number.
    """

    regex = "[2-9]|[1-9][0-9]{1,8}"


class LanguageConverter:
    """The URL converter of the code of a language that editions are written in: ``kk`` or ``ru``."""

    regex = "|".join(languages.LANGUAGES)

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


class ClauseConverter:
    """The URL converter of the number of a clause, as it is in the URL of an edition after ``#``: ``2.3``,
    ``a1.2-1b``.
    """

    regex = r"[0-9a-z][0-9a-z._\-]{0,47}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(NumberConverter, "agreement_number")
register_converter(PlaceConverter, "agreement_place")
register_converter(ClauseConverter, "agreement_clause")
register_converter(LanguageConverter, "agreement_language")

app_name = "agreement"
urlpatterns = [
    path("", editions.index, name="index"),
    path("verify/", verify.verify, name="verify"),
    path("notices/", notices.notices, name="notices"),
    path("record/", record.record, name="record"),
    path("record/consent/", withdrawal.consent, name="consent"),
    path("record/receipts/<int:acceptance>.<agreement_language:language>.pdf", receipts.receipt, name="receipt"),
    path("record/evidence.zip", withdrawal.evidence_mine, name="evidence_mine"),
    path("withdraw/", withdrawal.withdraw, name="withdraw"),
    path("accept/", acceptance.accept_due, name="accept_due"),
    path("api/acceptances/", api.acceptances, name="api_acceptances"),
    path("api/openapi.json", api.openapi, name="openapi"),
    path("schema.json", data.schema, name="schema"),
    path("<slug:slug>/", editions.current, name="current"),
    path("<slug:slug>/accept/", acceptance.accept, name="accept"),
    path("<slug:slug>/bilingual/", editions.bilingual, name="bilingual"),
    path("<slug:slug>/current.json", data.current, name="current_data"),
    path("<slug:slug>/editions.json", data.editions, name="editions_data"),
    path("<slug:slug>/editions/<agreement_number:number>.json", data.edition, name="edition_data"),
    path("<slug:slug>/clauses/<agreement_clause:anchor>/", clauses.clause, name="clause"),
    path("<slug:slug>/clauses/<agreement_clause:anchor>.json", clauses.clause_data, name="clause_data"),
    path("<slug:slug>/feed/", feeds.feed, name="feed"),
    path("<slug:slug>/at/", memento.when, name="when"),
    path("<slug:slug>/at/<str:when>/", memento.at, name="at"),
    path("<slug:slug>/timemap/", memento.timemap, name="timemap"),
    path("<slug:slug>/editions/", editions.editions, name="editions"),
    path("<slug:slug>/editions/<agreement_number:number>/", editions.edition, name="edition"),
    path("<slug:slug>/editions/<agreement_number:number>/changes/", editions.changes, name="changes"),
    path("<slug:slug>/editions/<agreement_number:number>/amendment/", amendments.amendment, name="amendment"),
    path(
        "<slug:slug>/editions/<agreement_number:number>/amendment.json",
        amendments.amendment_data,
        name="amendment_data",
    ),
    path(
        "<slug:slug>/editions/<agreement_number:number>/amendment.<agreement_language:language>.docx",
        amendments.amendment_docx,
        name="amendment_docx",
    ),
    path(
        "<slug:slug>/editions/<agreement_number:number>/amendment.<agreement_language:language>.pdf",
        amendments.amendment_pdf,
        name="amendment_pdf",
    ),
    path(
        "<slug:slug>/editions/<agreement_number:number>/bilingual/",
        editions.edition_bilingual,
        name="edition_bilingual",
    ),
    path(
        "<slug:slug>/editions/<agreement_number:number>.<agreement_language:language>.md",
        editions.body,
        {"media": "markdown"},
        name="markdown",
    ),
    path(
        "<slug:slug>/editions/<agreement_number:number>.<agreement_language:language>.txt",
        editions.body,
        {"media": "plain"},
        name="text",
    ),
    path(
        "<slug:slug>/editions/<agreement_number:number>.<agreement_language:language>.pdf",
        editions.edition_pdf,
        name="pdf",
    ),
    path(
        "<slug:slug>/editions/<agreement_number:number>.<agreement_language:language>.archive.pdf",
        editions.edition_pdf,
        {"archive": True},
        name="archive_pdf",
    ),
    path(
        "<slug:slug>/editions/<agreement_number:number>.<agreement_language:language>.docx",
        documents.edition,
        name="docx",
    ),
    path("<slug:slug>/editions/<agreement_number:number>.docx", documents.bilingual, name="bilingual_docx"),
    path(
        "<slug:slug>/editions/<agreement_number:number>/changes.<agreement_language:language>.docx",
        documents.changes,
        name="changes_docx",
    ),
    path(
        "<slug:slug>/editions/<agreement_number:number>/table.<agreement_language:language>.docx",
        documents.table,
        name="table_docx",
    ),
    path(
        "<slug:slug>/editions/<agreement_number:number>/manifest.json",
        editions.manifest,
        name="manifest",
    ),
    path(
        "<slug:slug>/editions/<agreement_number:number>/manifest.json.tlog-proof",
        log.edition_proof,
        name="edition_proof",
    ),
    path("<slug:slug>/log/checkpoint", log.checkpoint, name="checkpoint"),
    path("<slug:slug>/log/key", log.key, name="log_key"),
    path("<slug:slug>/log/key.pem", log.key_pem, name="log_key_pem"),
    path("<slug:slug>/log/tile/<path:path>", log.tile, name="log_tile"),
    path(
        "<slug:slug>/editions/<agreement_number:number>/manifest.json.cms",
        editions.signature,
        name="signature",
    ),
    path(
        "<slug:slug>/editions/<agreement_number:number>/manifest.json.<agreement_place:place>.cms",
        editions.signature,
        name="signature",
    ),
]
