"""The names of agreements, editions and drafts, as the pages of the desk display them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from agreement import memory
from agreement.models import Agreement, AuditEntry, Edition, Notice
from tests.support import factories

pytestmark = pytest.mark.django_db


def unnamed(**stated: object) -> Edition:
    """A published edition of an agreement without a name."""
    Agreement.objects.get_or_create(slug="terms")
    return Edition.objects.get(pk=factories.published(**stated).pk)


def test_the_name_is_that_in_the_language_of_the_reader():
    agreement = Agreement.objects.create(slug="terms", name_kk="Шарттар", name_ru="Условия")
    for language, name in {"kk": "Шарттар", "ru": "Условия", "en": "Шарттар"}.items():
        with translation.override(language):
            assert str(agreement) == agreement.name == name


def test_an_empty_name_is_the_title_of_the_edition_in_force():
    edition = unnamed()
    for language, name in {"kk": edition.title_kk, "ru": edition.title_ru}.items():
        with translation.override(language):
            assert str(edition.agreement) == name
            assert str(edition).startswith(f"{name}, ")
    ru = edition.text("ru").body.replace(edition.title_ru, "Иначе", 1)
    later = unnamed(effective_from=timezone.now() + timedelta(days=1), ru=ru)
    assert later.title_ru == "Иначе"
    with translation.override("ru"):
        assert later.agreement.name == edition.title_ru


def test_an_empty_name_without_an_edition_in_force_is_the_slug():
    agreement = Agreement.objects.create(slug="terms")
    assert str(agreement) == "terms"
    factories.draft()
    assert str(agreement) == "terms"


def test_a_command_names_an_agreement_by_its_slug():
    Agreement.objects.create(slug="terms", name_kk="Шарттар", name_ru="Условия")
    edition = factories.published()
    with translation.override(None):
        assert str(edition) == "terms, edition 1"


def test_the_title_that_replaces_a_name_is_read_once_for_many_editions():
    edition, _other = unnamed(), unnamed()
    memory.clear()
    with CaptureQueriesContext(connection) as captured:
        for one in Edition.objects.select_related("agreement"):
            str(one)
    assert len(captured) == 2
    assert edition.agreement.head  # Without an edition nothing is read.


def test_a_draft_is_named_by_the_day_on_which_it_was_begun_and_not_by_its_key():
    draft = factories.draft()
    draft.begun_at = datetime(2026, 11, 29, 10, 20, tzinfo=UTC)
    for language, name in {
        "kk": "terms, 29\u00a0қарашада (сағат\u00a015:20) басталған жоба",
        "ru": "terms, проект от 29\u00a0ноября, 15:20",
        "en": "terms, draft of 29\u00a0November, 15:20",
    }.items():
        with translation.override(language):
            assert str(draft) == name


def test_the_audit_log_names_agreements_editions_and_drafts_and_reads_the_names_once():
    agreement = Agreement.objects.create(slug="terms", name_kk="Шарттар", name_ru="Условия")
    edition, draft = factories.published(), factories.draft()
    AuditEntry.objects.log("changed", on=agreement)
    AuditEntry.objects.log("viewed", on=edition.notices.get())
    AuditEntry.objects.log("viewed", on=Notice(pk=""))
    entries = list(AuditEntry.objects.all())
    with translation.override("ru"):
        names = {"Условия", str(edition), str(draft), "Условия, редакция №\u00a01 (новая редакция)", "уведомление"}
        with CaptureQueriesContext(connection) as captured:
            AuditEntry.objects.name_subjects(entries)
            subjects = {entry.subject for entry in entries}
    assert len(captured) == 3
    assert names <= subjects
    assert not any(str(draft.pk) in subject.split() for subject in subjects)
