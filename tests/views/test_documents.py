"""The Word files of editions: whose they are, what they state, and that they are the same for everyone."""

from __future__ import annotations

import io
import zipfile
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agreement.editions import timeline
from agreement.models import Edition
from agreement.views import cache
from agreement.word import reader, writer
from tests.support import factories

pytest.importorskip("docx")
pytestmark = pytest.mark.django_db

HERE = "/kk/agreements/terms/"
MORE = {"kk": factories.KK + "\n1.3. Үшінші тармақ.\n", "ru": factories.RU + "\n1.3. Третий пункт.\n"}


def read(content: bytes) -> reader.Manuscript:
    return reader.read_manuscript(content, "a.docx")


def parts(content: bytes) -> str:
    """The XML of all parts with words."""
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        return "".join(package.read(name).decode() for name in package.namelist() if name.startswith("word/"))


@pytest.mark.parametrize("language", ["kk", "ru"])
def test_an_edition_is_a_word_file_that_is_read_as_its_text(client, language):
    edition = factories.published(approval_kk="№ 3 бұйрық", approval_ru="Приказ № 3", prevailing_language="kk")

    response = client.get(f"/en/agreements/terms/editions/1.{language}.docx")

    assert response["Content-Type"] == writer.CONTENT_TYPE
    assert response["Content-Disposition"] == f'attachment; filename="terms-1.{language}.docx"'
    assert response["Cache-Control"] == "public, no-cache"
    assert read(response.content).accepted == edition.text(language).body
    found = parts(response.content)
    assert edition.digest in found
    assert edition.text(language).approval in found
    assert f"http://127.0.0.1:8000/{language}/agreements/terms/editions/1/" in found
    assert {"kk": "1‑редакция", "ru": "Редакция №\u00a01"}[language] in found
    assert {"kk": "қазақ тіліндегі мәтін басым", "ru": "преимущество имеет текст на казахском"}[language] in found


@pytest.mark.parametrize("address", ["editions/1/", "editions/1.ru.docx"])
def test_an_approval_that_the_text_has_above_its_title_stands_there_alone(client, address):
    approval = "Утверждено приказом директора от 5 января 2026 года № 7"
    factories.published(ru=f"{approval}\n\n{factories.RU}", approval_ru=approval)
    response = client.get(f"/ru/agreements/terms/{address}")
    found = parts(response.content) if address.endswith("docx") else response.content.decode()
    assert found.count(approval) == 1


@pytest.mark.parametrize(
    ("above", "approval"),
    [
        ("БЕКІТІЛГЕН\n\nдиректордың\n\n№ 7 бұйрығымен", "Бекітілген директордың № 7 бұйрығымен"),
        ("БЕКІТІЛГЕН\n\nдиректордың\n\n№ 7 бұйрығымен", "ДИРЕКТОРДЫҢ № 7 БҰЙРЫҒЫМЕН БЕКІТІЛГЕН."),
        (
            "УТВЕРЖДЕНО\n\nприказом директора\n\nот 5 января 2026 г. № 7",
            "Приказом директора № 7 от 5 января 2026 г утверждено",
        ),
    ],
)
def test_an_approval_in_another_order_of_words_is_displayed_once(client, above, approval):
    factories.published(ru=f"{above}\n\n{factories.RU}", approval_ru=approval)
    page = client.get("/ru/agreements/terms/editions/1/").content.decode()
    assert "agreement-approval" not in page


def test_an_approval_with_another_word_stands_at_the_title(client):
    factories.published(ru=f"УТВЕРЖДЕНО\n\nприказом № 7\n\n{factories.RU}", approval_ru="Утверждено приказом № 8")
    page = client.get("/ru/agreements/terms/editions/1/").content.decode()
    assert "agreement-approval" in page
    assert "Утверждено приказом № 8" in page


def test_both_languages_are_one_word_file(client):
    factories.published()
    found = parts(client.get(f"{HERE}editions/1.docx").content)
    assert "Бірінші тармақ" in found
    assert "Первый пункт" in found
    assert f"{HERE}editions/1/bilingual/" in found


@pytest.mark.parametrize("language", ["kk", "ru"])
def test_the_changes_are_tracked_changes_from_the_edition_before(client, language):
    old, new = factories.published(), factories.published(**MORE)

    response = client.get(f"{HERE}editions/2/changes.{language}.docx")

    assert response["Content-Disposition"] == f'attachment; filename="terms-1-2.changes.{language}.docx"'
    found = read(response.content)
    assert found.tracked
    assert found.rejected.split() == old.text(language).body.split()
    assert found.accepted.split() == new.text(language).body.split()
    assert old.digest in parts(response.content)
    assert new.digest in parts(response.content)
    assert f'w:author="{new.text(language).title}"' in parts(response.content)
    state = {"kk": "1‑редакция · күшін жойған. ", "ru": "Редакция №\u00a01 · утратила силу. "}[language]
    assert f'<w:t xml:space="preserve">{state}' in parts(response.content)


def test_changes_may_be_from_any_public_edition_also_from_a_later_one(client):
    for body in (factories.RU, MORE["ru"], factories.RU.replace("Первый", "Другой")):
        factories.published(ru=body, kk=MORE["kk"] if body == MORE["ru"] else factories.KK)
    forward = client.get(f"{HERE}editions/3/changes.ru.docx?from=1")
    back = client.get(f"{HERE}editions/1/changes.ru.docx?from=3")
    assert read(forward.content).accepted.split() == read(back.content).rejected.split()
    assert "?from=1" in parts(forward.content)


def test_the_comparative_table_has_the_columns_of_the_page(client):
    factories.published()
    factories.published(ru=factories.RU.replace("Первый", "Другой"))

    response = client.get(f"{HERE}editions/2/table.ru.docx")

    found = parts(response.content)
    assert response["Content-Disposition"] == 'attachment; filename="terms-1-2.table.ru.docx"'
    for words in ("Структурный элемент", "Редакция №\u00a01", "Редакция №\u00a02", "Пункт 1.1", "изменён"):
        assert words in found
    assert "<w:strike/>" in found
    assert '<w:u w:val="single"/>' in found
    assert 'w:orient="landscape"' in found


@pytest.mark.parametrize(
    "address",
    ["editions/3.kk.docx", "editions/3.docx", "editions/1/changes.kk.docx", "editions/1/table.ru.docx"]
    + [f"editions/2/{kind}.kk.docx?from={number}" for kind in ("changes", "table") for number in (2, 9)],
)
def test_a_word_file_that_is_not_there_is_not_found(client, address):
    factories.published()
    factories.published(**MORE)
    factories.draft()
    assert client.get(HERE + address).status_code == 404


def test_a_number_that_is_none_is_a_bad_request(client):
    factories.published()
    assert client.get(f"{HERE}editions/1/changes.kk.docx?from=x").status_code == 400


def test_an_announced_edition_has_word_files_only_if_it_is_displayed(client, settings):
    factories.published()
    factories.published(effective_from=timezone.now() + timedelta(days=10), **MORE)
    assert client.get(f"{HERE}editions/2.kk.docx").status_code == 200
    settings.AGREEMENT = {**settings.AGREEMENT, "SHOW_SCHEDULED": False}
    for address in ("editions/2.kk.docx", "editions/2.docx", "editions/2/changes.kk.docx"):
        assert client.get(HERE + address).status_code == 404


@pytest.mark.parametrize("address", ["editions/2.kk.docx", "editions/2.docx", "editions/2/changes.kk.docx?from=1"])
@pytest.mark.django_db(transaction=True)  # Inside a test's transaction nothing is remembered.
def test_a_word_file_costs_one_query_then_none_and_is_revalidated_by_its_etag(client, address, monkeypatch):
    monkeypatch.setattr(timeline, "MAX_AGE_SECONDS", 60)
    factories.published()
    factories.published(**MORE)
    cache.clear()
    client.get(HERE)
    counts = []
    for _request in range(2):
        with CaptureQueriesContext(connection) as captured:
            response = client.get(HERE + address)
        counts.append(len(captured))
    assert counts == [1, 0]
    assert client.get(HERE + address, HTTP_IF_NONE_MATCH=response["ETag"]).status_code == 304


def test_the_pages_lead_to_their_word_files(client):
    factories.published()
    factories.published(**MORE)
    factories.published()
    for page, address in (
        ("editions/2/", "editions/2.kk.docx"),
        ("editions/2/bilingual/", "editions/2.docx"),
        ("editions/2/changes/", "editions/2/changes.kk.docx"),
        ("editions/2/changes/", "editions/2/table.kk.docx"),
        ("editions/3/changes/?from=1", "editions/3/changes.kk.docx?from=1"),
    ):
        assert f'href="{HERE}{address}"' in client.get(HERE + page).content.decode()


def test_a_sealed_text_with_characters_that_word_forbids_is_a_word_file(client):
    factories.published(kk=factories.KK.replace("Бірінші", "Бі\x01рінші"))
    assert Edition.objects.get().body_kk.count("\x01") == 1
    content = client.get(f"{HERE}editions/1.kk.docx").content
    assert "Бі\ufffdрінші" in parts(content) or "Бі рінші" in parts(content)
