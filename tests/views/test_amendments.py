"""The instrument of amendment on the site: its page, its files, and the data with which anyone makes the new text."""

from __future__ import annotations

import io
import json
import re
from datetime import timedelta

import docx
import jsonschema
import pytest
from django.utils import timezone

from agreement.editions import pdf
from agreement.seal import manifest
from tests.support import factories
from tests.views.test_changes import KK, KK_2, RU, RU_2, plain, text
from tests.views.test_editions import OURS_ALONE

pytestmark = pytest.mark.django_db

HERE = "/{}/agreements/terms/editions/{}/amendment"


@pytest.fixture
def three():
    """Two editions with different words, and a third whose words are the second's."""
    stated = {"approval_kk": "№ 7 бұйрық", "approval_ru": "Приказ № 7"}
    return [factories.published(kk=kk, ru=ru, **stated) for kk, ru in ((KK, RU), (KK_2, RU_2), (KK_2, RU_2))]


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("language", "lines"),
    [
        (
            "kk",
            [
                "№ 7 бұйрық",
                "«Келісім» құжатына өзгерістер мен толықтыру енгізу туралы",
                "мынадай өзгерістер мен толықтыру енгізілсін:",
                "1) 1.2-тармақтағы «үш» деген сөз «бес» деген сөзбен ауыстырылсын;",
                "2) 1.3-тармақ алып тасталсын;",
                "3) 1.4-тармақ 1.3-тармақ болып саналсын;",
                "4) 1-бөлім мынадай мазмұндағы 1.4-тармақпен толықтырылсын:",
                "«1.4. Кіру журналын портал әкімшісі жүргізеді.».",
                "2. 2-редакция",
            ],
        ),
        (
            "ru",
            [
                "Приказ № 7",
                "О внесении изменений и дополнения в документ «Соглашение»",
                "следующие изменения и дополнение:",
                "1) в пункте 1.2 слова «три года» заменить словами «пять лет»;",
                "2) пункт 1.3 исключить;",
                "3) пункт 1.4 считать пунктом 1.3;",
                "4) раздел 1 дополнить пунктом 1.4 следующего содержания:",
                "«1.4. Журнал доступа ведёт администратор портала.».",
                "2. Редакция № 2 вступает в силу ",
            ],
        ),
    ],
)
def test_the_page_is_the_instrument_that_a_lawyer_writes(client, language, lines):
    page = plain(text(client, f"{HERE.format(language, 2)}/"))
    for line in lines:
        assert line in page, line
    assert "Applied to the text of edition 1" in plain(text(client, f"{HERE.format('en', 2)}/"))


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize("language", ["kk", "ru"])
def test_the_word_file_and_the_pdf_have_the_lines_of_the_page(client, language):
    page = plain(text(client, f"{HERE.format(language, 2)}/"))
    response = client.get(f"{HERE.format('en', 2)}.{language}.docx")
    assert response["Content-Disposition"] == f'attachment; filename="terms-1-2.{language}.docx"'
    document = docx.Document(io.BytesIO(response.content))
    paragraphs = [paragraph.text for paragraph in document.paragraphs]
    assert len(paragraphs) == 10
    assert all(" ".join(line.split()) in page for line in paragraphs)
    assert document.core_properties.language == {"kk": "kk-KZ", "ru": "ru-RU"}[language]
    if pdf.is_available(""):
        pypdf = pytest.importorskip("pypdf")
        response = client.get(f"{HERE.format('en', 2)}.{language}.pdf")
        assert response["Content-Type"] == "application/pdf"
        words = "".join(part.extract_text() for part in pypdf.PdfReader(io.BytesIO(response.content)).pages)
        assert all("".join(line.split()) in "".join(words.split()) for line in paragraphs)


def test_anyone_makes_the_new_text_with_the_data_alone(client, three):
    found = client.get(f"{HERE.format('kk', 2)}.json")
    schema = json.loads(client.get("/kk/agreements/schema.json").content)
    jsonschema.Draft202012Validator(schema | {"oneOf": [{"$ref": "#/$defs/amendment"}]}).validate(found.json())
    assert (found.json()["from_digest"], found.json()["digest"]) == (three[0].digest, three[1].digest)
    for language in ("kk", "ru"):
        amendment = found.json()["amendments"][language]
        body = client.get(f"/kk/agreements/terms/editions/1.{language}.md").content.decode()
        assert manifest.sha256(body) == amendment["from_sha256"]
        edits = [edit for operation in amendment["operations"] for edit in operation["edits"]]
        for edit in sorted(edits, key=lambda edit: edit["order"], reverse=True):
            end = edit["at"] + len(edit["deleted"])
            assert body[edit["at"] : end] == edit["deleted"]
            body = body[: edit["at"]] + edit["inserted"] + body[end:]
        assert manifest.sha256(body) == amendment["sha256"]
        assert all(operation["sentence"] for operation in amendment["operations"])


@pytest.mark.usefixtures("three")
def test_any_earlier_edition_is_amended(client):
    page = text(client, f"{HERE.format('ru', 3)}/?from=1")
    assert "2) пункт 1.3 исключить;" in page
    assert "(редакция № 1 от" in page
    assert '<meta name="robots" content="noindex">' in page
    assert f'href="{HERE.format("ru", 3)}.ru.docx?from=1"' in page
    assert client.get(f"{HERE.format('ru', 3)}.json?from=1").json()["from"] == 1
    assert "noindex" not in text(client, f"{HERE.format('ru', 3)}/")


def test_the_only_point_has_no_number(client):
    factories.published(kk=KK, ru=RU)
    factories.published(kk=KK.replace("үш жылды", "бес жылды"), ru=RU.replace("три года", "пять лет"))
    assert ">в пункте 1.2 слова «три года» заменить словами «пять лет».<" in text(client, f"{HERE.format('ru', 2)}/")
    assert ">1.2-тармақтағы «үш» деген сөз" in text(client, f"{HERE.format('kk', 2)}/")


@pytest.mark.usefixtures("three")
def test_where_no_word_changed_there_is_no_instrument(client):
    page = text(client, f"{HERE.format('en', 3)}/")
    assert "No word changed from edition 2 to edition 3" in page
    assert ".docx" not in page
    assert client.get(f"{HERE.format('kk', 3)}.kk.docx").status_code == 404
    assert client.get(f"{HERE.format('kk', 3)}.kk.pdf").status_code == 404
    assert client.get(f"{HERE.format('kk', 3)}.json").json()["amendments"]["kk"]["operations"] == []


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize("end", ["/", ".json", ".kk.docx", ".ru.pdf"])
@pytest.mark.parametrize(
    ("number", "query", "status"),
    [
        (1, "", 404),
        (2, "?from=2", 404),
        (1, "?from=2", 404),
        (2, "?from=9", 404),
        (9, "", 404),
        *((2, f"?from={bad}", 400) for bad in ("", "0", "x", "<script>", "9" * 40)),
    ],
)
def test_without_an_earlier_edition_there_is_nothing_to_amend(client, end, number, query, status):
    response = client.get(f"{HERE.format('kk', number)}{end}{query}")
    assert response.status_code == status
    assert b"script>" not in response.content


def test_drafts_are_amended_on_the_desk_alone(client):
    factories.published(kk=KK, ru=RU)
    factories.draft(kk=KK_2, ru=RU_2)
    assert client.get(f"{HERE.format('kk', 2)}/").status_code == 404


def test_a_cancelled_edition_takes_no_effect(client):
    factories.published(kk=KK, ru=RU)
    factories.published(kk=KK_2, ru=RU_2, effective_from=timezone.now() + timedelta(days=3)).cancel()
    assert "2. Редакция № 2 отменена до вступления в силу." in text(client, f"{HERE.format('ru', 2)}/")
    assert "2. 2-редакция күшіне енгізілмеген." in text(client, f"{HERE.format('kk', 2)}/")


@pytest.mark.usefixtures("three")
def test_the_editions_and_the_changes_lead_to_the_instrument(client):
    assert f'href="{HERE.format("ru", 2)}/"' in text(client, "/ru/agreements/terms/editions/2/")
    assert "amendment/" not in text(client, "/ru/agreements/terms/editions/1/")
    assert f'href="{HERE.format("ru", 3)}/?from=1"' in text(client, "/ru/agreements/terms/editions/3/changes/?from=1")
    assert "amendment/" not in text(client, "/ru/agreements/terms/editions/1/changes/?from=3")


def test_hostile_words_are_words_in_an_instrument_too(client):
    for evil in ("<script>alert(1)</script>", '"><img src=x onerror=alert(2)>'):
        body = f"# Т {evil}\n\n1.1. Бір екі үш төрт бес {evil} алты жеті.\n\n1.2. {evil} сегіз тоғыз он.\n"
        factories.published(kk=body, ru=body)
    page = text(client, f"{HERE.format('kk', 2)}/")
    assert not re.search(OURS_ALONE, page, re.IGNORECASE)
    assert "&lt;img src=x" in page
    assert client.get(f"{HERE.format('kk', 2)}.kk.docx").status_code == 200
