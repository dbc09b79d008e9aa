"""What programs read: JSON that matches its schema, JSON-LD, and the sealed bytes as plain text."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import jsonschema
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agreement.seal import manifest
from agreement.text.escaping import escaped
from portal_site.management.commands import demo
from tests.support import factories

pytestmark = pytest.mark.django_db

HERE = "/kk/agreements/terms/"
BASE = "http://127.0.0.1:8000"
ALMATY = ZoneInfo("Asia/Almaty")

formats = jsonschema.FormatChecker(formats=())
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
formats.checks("date-time")(lambda value: not isinstance(value, str) or bool(RFC3339.fullmatch(value)))
formats.checks("uri")(lambda value: not isinstance(value, str) or bool(re.fullmatch(r"https?://[!-~]+", value)))


@pytest.fixture
def schema(client) -> jsonschema.Draft202012Validator:
    served = client.get("/kk/agreements/schema.json")
    assert served["Content-Type"] == "application/schema+json"
    found = served.json()
    jsonschema.Draft202012Validator.check_schema(found)
    return jsonschema.Draft202012Validator(found, format_checker=formats)


def read(client, schema, address: str, status: int = 200, of: str = "") -> dict:
    """The answer at that address, which matches the whole schema and the definition ``of``."""
    response = client.get(address)
    assert response.status_code == status, address
    assert response["Content-Type"] == ("application/json" if status == 200 else "application/problem+json")
    assert response["Access-Control-Allow-Origin"] == "*"
    found = response.json()
    schema.validate(found)
    of = of or ("problem" if status == 404 else "editions" if address.endswith("editions.json") else "edition")
    schema.evolve(schema=schema.schema | {"oneOf": [{"$ref": f"#/$defs/{of}"}]}).validate(found)
    return found


def linked(page: str) -> dict:
    (content,) = re.findall(r'<script type="application/ld\+json">([^<>&]*)</script>', page)
    return json.loads(content)


# JSON


def test_every_answer_of_the_demo_matches_the_schema(client, schema):
    demo.make_people()
    slug = demo.load_samples().slug
    here = f"/ru/agreements/{slug}/"

    current, editions = read(client, schema, f"{here}current.json"), read(client, schema, f"{here}editions.json")

    assert [edition["number"] for edition in editions["editions"]] == [3, 2, 1]
    assert current == read(client, schema, f"{here}editions/3.json")
    for listed in editions["editions"]:
        whole = client.get(listed["data"]).json()
        for language in ("kk", "ru"):
            text = whole["texts"][language]
            body = client.get(text["markdown"])
            assert body.content == client.get(text["plain"]).content
            assert manifest.sha256(body.content) == text.pop("sha256")
            page = client.get(text["page"]).content.decode()
            numbers = [clause["number"] for clause in text.pop("clauses")]
            assert len(numbers) > 20
            assert all(f'id="{number}"' in page for number in numbers)
        assert whole == listed
        assert manifest.sha256(client.get(listed["manifest"]).content) == listed["digest"]


def test_each_state_and_absence_matches_the_schema(client, schema):
    read(client, schema, f"{HERE}current.json", 404)
    factories.published(effective_from=timezone.now() + timedelta(days=1)).cancel()
    read(client, schema, f"{HERE}current.json", 404)
    assert read(client, schema, f"{HERE}editions.json")["in_force"] is None
    factories.published(prevailing_language="ru")
    factories.published(approval_kk="№ 7", material=False)
    factories.published(effective_from=timezone.now() + timedelta(days=9, microseconds=1))
    factories.draft()

    found = [read(client, schema, f"{HERE}editions/{number}.json") for number in (1, 2, 3, 4)]

    assert [edition["state"] for edition in found] == ["cancelled", "superseded", "in_force", "scheduled"]
    assert found[2]["effective_until"] == found[3]["effective_from"]
    assert found[0]["effective_until"] is None
    assert found[2]["previous_digest"] == found[1]["digest"]
    assert read(client, schema, f"{HERE}current.json") == found[2]
    assert len(read(client, schema, f"{HERE}editions.json")["editions"]) == 4
    for address in (
        f"{HERE}editions/5.json",
        "/ru/agreements/other/current.json",
        "/ru/agreements/other/editions.json",
    ):
        assert read(client, schema, address, 404)["status"] == 404


def test_a_site_that_announces_nothing_has_no_trace_of_it_in_its_data(client, schema, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "SHOW_SCHEDULED": False}
    factories.published()
    factories.published(effective_from=timezone.now() + timedelta(days=9))

    assert read(client, schema, f"{HERE}current.json")["effective_until"] is None
    assert len(read(client, schema, f"{HERE}editions.json")["editions"]) == 1
    read(client, schema, f"{HERE}editions/2.json", 404)
    assert linked(client.get(HERE).content.decode())["temporalCoverage"].endswith("/..")


def test_dates_bear_the_offset_of_their_time(client, schema):
    for moment in (datetime(2024, 2, 12, 9, tzinfo=ALMATY), datetime(2025, 2, 1, 9, 0, 0, 5, tzinfo=ALMATY)):
        factories.draft().record(effective_from=moment)

    first, second = (read(client, schema, f"{HERE}editions/{number}.json") for number in (1, 2))

    assert first["effective_from"] == "2024-02-12T09:00:00+06:00"
    assert first["effective_until"] == second["effective_from"] == "2025-02-01T09:00:00.000005+05:00"


@pytest.mark.parametrize("name", ["current.json", "editions.json", "editions/1.json"])
def test_every_language_gives_the_same_bytes_and_the_kazakh_address_as_theirs(client, name):
    factories.published()
    answers = [client.get(f"/{language}/agreements/terms/{name}") for language in ("kk", "ru", "en")]
    assert len({answer.content for answer in answers}) == 1
    for answer in answers:
        assert answer["Content-Language"] == "kk, ru"
        assert answer["Link"] == (
            f'<{BASE}/kk/agreements/schema.json>; rel="describedby", <{BASE}{HERE}{name}>; rel="canonical"'
        )
        again = client.get(answer.request["PATH_INFO"], headers={"If-None-Match": answer["ETag"]})
        assert (again.status_code, again["Access-Control-Allow-Origin"]) == (304, "*")


def test_data_costs_three_queries_and_a_list_two_without_a_text(client):
    for _ in range(4):
        factories.published()
    for name in ("current.json", "editions.json", "editions/2.json"):
        with CaptureQueriesContext(connection) as captured:
            assert client.get(HERE + name).status_code == 200
        # The last one reads the place of an edition in the log.
        assert len(captured) == (2 if name == "editions.json" else 3)
        assert name != "editions.json" or "body" not in captured[1]["sql"]


def test_the_sealed_bytes_are_plain_text_too(client):
    factories.published()
    response = client.get(f"{HERE}editions/1.ru.txt")
    assert response.content == factories.RU.encode()
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response["Cache-Control"] == "public, max-age=31536000, immutable"
    assert (response["X-Content-Type-Options"], response["Access-Control-Allow-Origin"]) == ("nosniff", "*")


# JSON-LD


def test_the_page_describes_its_document_in_json_ld(client):
    factories.draft().record(effective_from=datetime(2024, 2, 12, 9, tzinfo=ALMATY))
    factories.draft(summary_ru="Коротко").record(effective_from=datetime(2025, 2, 1, 9, tzinfo=ALMATY))
    edition = factories.draft()
    edition.record(effective_from=datetime(2026, 1, 1, tzinfo=ALMATY))
    here = f"{BASE}/ru/agreements/terms/editions/"

    second = linked(client.get("/ru/agreements/terms/editions/2/").content.decode())
    current = linked(client.get("/ru/agreements/terms/").content.decode())

    assert second["@type"] == "DigitalDocument"
    assert second["@id"] == second["url"] == f"{here}2/"
    assert (second["name"], second["inLanguage"], second["version"]) == ("Пользовательское соглашение", "ru", "2")
    assert second["datePublished"] == "2025-02-01T09:00:00+05:00"
    assert second["temporalCoverage"] == "2025-02-01T09:00:00+05:00/2026-01-01T00:00:00+05:00"
    assert (second["isBasedOn"], second["abstract"]) == (f"{here}1/", "Коротко")
    assert second["encoding"]["sha256"] == manifest.sha256(factories.RU)
    assert current["identifier"]["value"] == edition.digest
    assert current["temporalCoverage"] == "2026-01-01T00:00:00+05:00/.."


def test_hostile_words_do_not_leave_the_block_they_stand_in(client):
    evil = "</script><script>alert(1)</script><!-- &amp; \u2028 \\u003C/script> \"'"
    title, summary = evil.replace("\u2028 ", ""), evil.replace("\u2028", "\n")  # A form reads it as a line end.
    body = factories.KK.replace("Пайдаланушы келісімі", escaped(title, start=False))
    edition = factories.published(kk=body, ru=body, summary_kk=evil, summary_ru=evil)

    page = client.get(HERE).content.decode()

    assert linked(page)["name"] == edition.title_kk == title
    assert linked(page)["abstract"] == summary
    assert page.count("</script>") == 2, "this block's, and the reading page's own file"
    assert client.get(f"{HERE}current.json").json()["texts"]["kk"]["summary"] == summary
