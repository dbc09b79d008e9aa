"""The public addresses, under any prefix: ``path("agreements/", include("agreement.urls"))``.

They are permanent: notices, manifests and other people's pages name them.
"""

from __future__ import annotations

from django.urls import path, register_converter

from agreement import conf, data, feeds, inbox, leaving, memento, personal, verify, views


class NumberConverter:
    """An edition's number, written in one way only; ten digits hold every number a database can."""

    regex = "[1-9][0-9]{0,9}"

    def to_python(self, value: str) -> int:
        return int(value)

    def to_url(self, value: int) -> str:
        return str(value)


class LanguageConverter:
    """A language editions are written in."""

    regex = "|".join(conf.LANGUAGES)

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(NumberConverter, "agreement_number")
register_converter(LanguageConverter, "agreement_language")

app_name = "agreement"
urlpatterns = [
    path("", views.index, name="index"),
    path("verify/", verify.verify, name="verify"),
    path("notices/", inbox.notices, name="notices"),
    path("record/", personal.record, name="record"),
    path("record/consent/", leaving.consent, name="consent"),
    path("record/evidence.zip", leaving.evidence_mine, name="evidence_mine"),
    path("withdraw/", leaving.withdraw, name="withdraw"),
    path("schema.json", data.schema, name="schema"),
    path("<slug:slug>/", views.current, name="current"),
    path("<slug:slug>/accept/", personal.accept, name="accept"),
    path("<slug:slug>/bilingual/", views.bilingual, name="bilingual"),
    path("<slug:slug>/current.json", data.current, name="current_data"),
    path("<slug:slug>/editions.json", data.editions, name="editions_data"),
    path("<slug:slug>/editions/<agreement_number:number>.json", data.edition, name="edition_data"),
    path("<slug:slug>/feed/", feeds.feed, name="feed"),
    path("<slug:slug>/at/<str:when>/", memento.at, name="at"),
    path("<slug:slug>/timemap/", memento.timemap, name="timemap"),
    path("<slug:slug>/editions/", views.editions, name="editions"),
    path("<slug:slug>/editions/<agreement_number:number>/", views.edition, name="edition"),
    path("<slug:slug>/editions/<agreement_number:number>/changes/", views.changes, name="changes"),
    path(
        "<slug:slug>/editions/<agreement_number:number>/bilingual/", views.edition_bilingual, name="edition_bilingual"
    ),
    path(
        "<slug:slug>/editions/<agreement_number:number>.<agreement_language:language>.md",
        views.body,
        {"media": "markdown"},
        name="markdown",
    ),
    path(
        "<slug:slug>/editions/<agreement_number:number>.<agreement_language:language>.txt",
        views.body,
        {"media": "plain"},
        name="text",
    ),
    path(
        "<slug:slug>/editions/<agreement_number:number>.<agreement_language:language>.pdf",
        views.portable,
        name="pdf",
    ),
    path(
        "<slug:slug>/editions/<agreement_number:number>/manifest.json",
        views.manifest,
        name="manifest",
    ),
]
