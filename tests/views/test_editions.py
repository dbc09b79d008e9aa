"""The public pages: what a visitor may see, in which language, at what cost, and for how long it may be kept."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import include, path
from django.utils import timezone

from agreement.editions import pdf, qr
from agreement.editions.display import DisplayedEdition
from agreement.editions.timeline import current_timelines
from agreement.seal import manifest
from agreement.text import dates
from agreement.views import cache
from tests.support import factories

pytestmark = pytest.mark.django_db

# A site whose addresses hold no language; see test_a_site_without_languages_in_its_addresses.
urlpatterns = [path("legal/", include("agreement.urls"))]

HERE = "/kk/agreements/terms/"
LATER = timedelta(days=10)


@pytest.fixture
def no_announcements(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "SHOW_SCHEDULED": False}


def text(client: Client, address: str, status: int = 200) -> str:
    response = client.get(address)
    assert response.status_code == status, address
    return response.content.decode()


def queries(client: Client, address: str) -> int:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert client.get(address).status_code == 200
    return len(captured)


def scheduled(**stated):
    return factories.published(effective_from=timezone.now() + LATER, **stated)


# Languages


@pytest.mark.parametrize(("language", "words"), [("kk", "Бірінші тармақ"), ("ru", "Первый пункт")])
def test_the_edition_in_force_is_displayed_in_the_language_of_the_address(client, language, words):
    edition = factories.published()

    page = text(client, f"/{language}/agreements/terms/")

    assert f'<html lang="{language}">' in page
    assert f'<h1 lang="{language}">{edition.text(language).title}</h1>' in page
    assert words in page
    assert page.count("<h1") == 1


@pytest.mark.parametrize(
    ("prevailing", "shown", "sentence"),
    [
        ("", "kk", "this is the Kazakh text."),
        ("kk", "kk", "this is the Kazakh text."),
        ("ru", "ru", "this is the Russian text."),
    ],
)
def test_an_english_page_displays_the_prevailing_text_with_a_note(client, prevailing, shown, sentence):
    edition = factories.published(prevailing_language=prevailing)

    page = text(client, "/en/agreements/terms/")

    assert '<html lang="en">' in page
    assert f'<h1 lang="{shown}">{edition.text(shown).title}</h1>' in page
    assert f'<div class="agreement-text" lang="{shown}">' in page
    assert sentence in page
    assert "Edition 1" in page


def test_each_page_names_its_counterparts_and_itself(client):
    factories.published()

    page = text(client, f"{HERE}editions/1/")

    for language in ("kk", "ru", "en"):
        address = f"/{language}/agreements/terms/editions/1/"
        assert f'hreflang="{language}" href="http://127.0.0.1:8000{address}"' in page
        assert f'<a href="{address}" lang="{language}"' in page
    assert '<link rel="canonical" href="http://127.0.0.1:8000/kk/agreements/terms/editions/1/">' in page


def test_without_a_base_url_addresses_have_the_host_of_the_request(client, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "BASE_URL": ""}
    factories.published()
    assert '<link rel="canonical" href="http://testserver/kk/agreements/terms/">' in text(client, HERE)


def test_a_site_without_languages_in_its_addresses(client, settings):
    """Neither a link nor an alternate that leads nowhere new; and the app's own complete page."""
    settings.ROOT_URLCONF = __name__
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": []}]
    factories.published()

    page = text(client, "/legal/terms/")

    assert "Бірінші тармақ" in page
    assert "hreflang" not in re.sub(r"<a [^>]*(\.md|\.pdf|\.docx|/bilingual/#?)[^>]*>", "", page)
    assert '<a href="/legal/terms/editions/1/bilingual/#1.1"' in page
    assert 'class="agreement-page"' in page
    assert "Open library" not in page


# What is public


def test_a_draft_is_never_public(client):
    factories.draft()
    for address in (HERE, f"{HERE}editions/", f"{HERE}editions/1/", f"{HERE}editions/1.kk.md"):
        text(client, address, 404)
    assert "terms" not in text(client, "/kk/agreements/")


def test_a_draft_beside_a_published_edition_stays_out_of_the_archive(client):
    factories.published()
    factories.draft(kk=factories.KK + "\n1.3. Құпия.\n", ru=factories.RU + "\n1.3. Тайна.\n")

    assert text(client, f"{HERE}editions/").count('<li class="agreement-item"') == 1
    assert "Құпия" not in text(client, HERE)


def test_a_scheduled_edition_is_announced_and_the_one_before_it_binds(client):
    factories.published()
    scheduled()

    current, announced = text(client, "/en/agreements/terms/"), text(client, "/en/agreements/terms/editions/2/")

    assert 'data-state="in_force"' in current
    assert re.search(
        r"Edition 2 is announced.</strong> It takes effect on .* Until then, edition 1 is in force. <a ",
        " ".join(current.split()),
    )
    assert 'data-state="scheduled"' in announced
    assert "Until then, edition 1 is in force." in announced
    assert 'data-state="scheduled"' in text(client, f"{HERE}editions/")


@pytest.mark.usefixtures("no_announcements")
def test_a_site_that_announces_nothing_shows_no_trace_of_a_scheduled_edition(client):
    factories.published()
    second = scheduled()

    for address in ("editions/2/", "editions/2.kk.md", "editions/2.ru.md", "editions/2/manifest.json"):
        text(client, HERE + address, 404)
    for page in (HERE, f"{HERE}editions/", f"{HERE}editions/1/", "/kk/agreements/"):
        shown = text(client, page)
        assert second.digest not in shown
        assert "editions/2" not in shown
        assert "until" not in shown


def test_before_the_first_edition_the_announcement_is_the_page(client):
    scheduled()

    page = text(client, "/en/agreements/terms/")

    assert "No edition is in force yet. It takes effect on" in page
    assert 'href="/en/agreements/terms/editions/1/"' in page
    assert "1.1." not in page
    assert 'href="/en/agreements/terms/"' in text(client, "/en/agreements/")


@pytest.mark.usefixtures("no_announcements")
def test_before_the_first_edition_a_site_that_announces_nothing_has_no_page(client):
    scheduled()
    text(client, HERE, 404)
    text(client, f"{HERE}editions/", 404)


def test_no_page_states_the_summary_of_a_cancelled_edition(client):
    factories.published()
    summaries = {"summary_kk": "Енді басқаша.", "summary_ru": "Теперь иначе."}
    edition = factories.published(effective_from=timezone.now() + timedelta(days=5), **summaries)
    addresses = [f"{HERE}{path}" for path in ("editions/2/", "editions/", "feed/", "editions/2/changes/")]
    assert all("Енді басқаша." in client.get(address).content.decode() for address in addresses)
    edition.cancel()
    for address in addresses:
        page = client.get(address).content.decode()
        assert "Енді басқаша." not in page
        assert "Теперь иначе." not in page


def test_a_cancelled_edition_stays_public_under_its_number(client):
    factories.published()
    scheduled().cancel()

    page = text(client, "/en/agreements/terms/editions/2/")

    assert 'data-state="cancelled"' in page
    assert re.search(r"It was to take effect on .*, but it was cancelled\.", page)
    assert "Edition 1 is in force now." in page
    assert 'data-state="cancelled"' in text(client, f"{HERE}editions/")
    assert "is announced" not in text(client, "/en/agreements/terms/")


def test_the_page_of_a_cancelled_edition_does_not_claim_that_it_took_effect_or_changed_anything(client):
    factories.published()
    scheduled(kk=factories.KK + "\n1.3. Үш.\n", ru=factories.RU + "\n1.3. Три.\n").cancel()
    page = text(client, "/en/agreements/terms/editions/2/")
    assert "What was to change" in page
    assert "<dt>Was to take effect</dt>" in page
    for claim in ("What changed", "Effective from", "effective from", "What will change"):
        assert claim not in page


def test_a_superseded_edition_has_its_interval(client):
    almaty = ZoneInfo("Asia/Almaty")
    factories.draft().record(effective_from=datetime(2024, 2, 12, 9, tzinfo=almaty))
    factories.draft().record(effective_from=datetime(2025, 2, 1, 9, tzinfo=almaty))

    page = text(client, "/en/agreements/terms/editions/1/")

    assert 'data-state="superseded"' in page
    assert (
        "It was in force from 12\u00a0February 2024, 09:00 (Astana time, UTC+6),"
        " until 1\u00a0February 2025, 09:00 (Astana time, UTC+5)" in page
    )
    assert "Edition 2 is in force now." in page
    assert "Recorded as history" in page


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        (
            "kk",
            (
                "Бұл редакция 2025 жылғы 1 ақпаннан бастап (сағат 09:00) 2026 жылғы 1 наурызға дейін"
                " (сағат 18:30, Астана уақыты, UTC+5) қолданыста болды, содан кейін күшін жойды."
            ),
        ),
        (
            "ru",
            (
                "Эта редакция действовала с 09:00 1 февраля 2025 г. до 18:30 1 марта 2026 г. (время Астаны, UTC+5)"
                " и утратила силу."
            ),
        ),
        (
            "en",
            (
                "It was in force from 1 February 2025, 09:00, until 1 March 2026, 18:30 (Astana time, UTC+5),"
                " when it was superseded."
            ),
        ),
    ],
)
def test_the_sentence_of_validity_has_no_seconds_and_its_zone_once(client, language, sentence):
    almaty = ZoneInfo("Asia/Almaty")
    factories.draft().record(effective_from=datetime(2025, 2, 1, 9, 0, 59, tzinfo=almaty))
    factories.draft().record(effective_from=datetime(2026, 3, 1, 18, 30, 27, tzinfo=almaty))
    page = text(client, f"/{language}/agreements/terms/editions/1/").replace("\N{NO-BREAK SPACE}", " ")
    assert sentence in page
    assert "2025-02-01T09:00:59" in page, "the exact moment is in the element «time»"


@pytest.mark.parametrize(
    ("language", "bent"),
    [("kk", "2025\u00a0жылғы 1\u00a0ақпаннан"), ("ru", "1\u00a0февраля 2025\u00a0г."), ("en", "1\u00a0February 2025")],
)
def test_the_sentence_of_validity_bends_the_date(client, language, bent):
    factories.draft().record(effective_from=datetime(2025, 2, 1, 9, tzinfo=ZoneInfo("Asia/Almaty")))
    assert bent in text(client, f"/{language}/agreements/terms/")


def test_the_page_displays_what_the_edition_states_and_its_digest(client):
    edition = factories.published(
        approval_kk="№ 7 бұйрықпен бекітілген", approval_ru="Утверждено приказом № 7", prevailing_language="kk"
    )

    page = text(client, "/ru/agreements/terms/")

    assert "Утверждено приказом № 7" in page
    head, _text, foot = re.split('<div class="agreement-(?:text|proof)"|<section class="agreement-proof"', page)
    assert edition.digest in foot
    for name in ("1/manifest.json", "1.kk.md", "1.ru.md", "1.json"):
        assert f'href="/ru/agreements/terms/editions/{name}"' in foot
        assert name not in head.partition("</head>")[2]
    assert 'href="/ru/agreements/verify/"' in foot
    assert "the Kazakh text prevails" in text(client, "/en/agreements/terms/")


def test_the_archive_lists_every_edition_newest_first(client):
    for _ in range(3):
        factories.published()
    numbers = re.findall(r'id="edition-(\d)"', text(client, f"{HERE}editions/"))
    assert numbers == ["3", "2", "1"]


def test_the_index_lists_what_binds_or_is_announced(client):
    factories.published(slug="terms")
    factories.published(slug="rules", effective_from=timezone.now() + LATER)
    factories.draft(slug="secret")

    page = text(client, "/ru/agreements/")

    assert 'href="/ru/agreements/terms/"' in page
    assert 'href="/ru/agreements/rules/"' in page
    assert "secret" not in page


# Sealed bytes


@pytest.mark.parametrize("language", ["kk", "ru"])
def test_the_text_is_given_back_byte_for_byte(client, language):
    body = {"kk": factories.KK, "ru": factories.RU}[language] + "\u00a0Е\u0308 \n\n"
    edition = factories.published(**{language: body})

    response = client.get(f"{HERE}editions/1.{language}.md")

    assert response.content == body.encode()
    assert response["Content-Type"] == "text/markdown; charset=utf-8"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["ETag"] == f'"{manifest.sha256(body)}"'
    assert manifest.sha256(body).encode() in edition.manifest()


def test_the_sha256_of_the_manifest_is_the_digest(client):
    edition = factories.published()

    response = client.get(f"{HERE}editions/1/manifest.json")

    assert response.content == edition.manifest()
    assert manifest.sha256(response.content) == edition.digest
    assert response["Content-Type"] == "application/json"
    assert response["ETag"] == f'"{edition.digest}"'


@pytest.mark.parametrize("name", ["1.kk.md", "1.ru.md", "1/manifest.json"])
def test_sealed_bytes_are_immutable_to_caches(client, name):
    factories.published()
    first = client.get(f"{HERE}editions/{name}")
    again = client.get(f"{HERE}editions/{name}", headers={"If-None-Match": first["ETag"]})

    assert first["Cache-Control"] == "public, max-age=31536000, immutable"
    assert (again.status_code, again.content) == (304, b"")


# Caches


PAGES = [
    *("/kk/agreements/", HERE, f"{HERE}editions/", f"{HERE}editions/1/", f"{HERE}editions/1/changes/"),
    *(f"{HERE}bilingual/", f"{HERE}editions/1/bilingual/"),
]
BYTES = [f"{HERE}editions/1.kk.md", f"{HERE}editions/1/manifest.json"]


@pytest.mark.parametrize("address", PAGES + BYTES)
def test_no_page_sets_a_cookie_or_varies_on_one_even_for_a_signed_in_user(client, address):
    factories.published()
    client.force_login(factories.users(1)[0])

    response = client.get(address)

    assert response.status_code == 200
    assert not response.cookies
    assert set(response.get("Vary", "Accept-Encoding").split(", ")) <= {"Accept-Encoding", "Accept-Datetime"}


@pytest.mark.parametrize("address", PAGES)
def test_a_page_is_revalidated_by_its_etag(client, address):
    factories.published()
    first = client.get(address)
    again = client.get(address, headers={"If-None-Match": first["ETag"]})
    factories.published()
    after = client.get(address, headers={"If-None-Match": first["ETag"]})

    assert first["Cache-Control"] == "public, no-cache"
    assert re.fullmatch(r'"[0-9a-f]{64}"', first["ETag"])
    assert (again.status_code, again.content) == (304, b"")
    assert after.status_code == 200


# Cost


# Of them one reads the dates, and one the place of an edition in the log; tests/views/test_cache.py counts none for a
# page that is kept.


def test_the_edition_in_force_costs_four_queries_and_five_while_another_is_announced(client):
    factories.published()
    factories.published()
    assert queries(client, HERE) == 4
    scheduled()
    assert queries(client, HERE) == 5


def test_a_permanent_page_costs_four_queries_in_force_or_not(client):
    factories.published()
    factories.published()
    assert queries(client, f"{HERE}editions/2/") == 4
    assert queries(client, f"{HERE}editions/1/") == 4


def test_the_archive_costs_two_queries_and_reads_no_text_where_there_is_no_pdf(client, monkeypatch):
    monkeypatch.setattr(pdf, "is_installed", lambda: False)
    for _ in range(4):
        factories.published()
    with CaptureQueriesContext(connection) as captured:
        text(client, f"{HERE}editions/")
    assert len(captured) == 2
    assert not any("body" in query["sql"] for query in captured)


def test_the_index_costs_two_queries(client):
    for slug in ("a", "b", "c"):
        factories.published(slug=slug)
        factories.published(slug=f"{slug}-later", effective_from=timezone.now() + LATER)
    assert queries(client, "/kk/agreements/") == 2


@pytest.mark.parametrize("address", BYTES)
def test_sealed_bytes_cost_two_queries(client, address):
    factories.published()
    factories.published()
    assert queries(client, address) == 2


# What nobody asked for kindly


@pytest.mark.parametrize("address", PAGES + BYTES)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_only_get_and_head_are_answered(address, method):
    factories.published()
    client = Client(enforce_csrf_checks=True)

    response = client.generic(method, address)

    assert response.status_code == 405
    assert response["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("address", PAGES + BYTES)
def test_head_gives_the_headers_of_get(client, address):
    factories.published()
    head, get = client.head(address), client.get(address)
    assert head.content == b""
    assert (head.status_code, head["ETag"]) == (200, get["ETag"])


@pytest.mark.parametrize(
    "address",
    [
        "other/",
        "other/editions/",
        "other/editions/1/",
        "terms%00/",
        "te%0arms/",
        "%ff%fe/",
        "тест/",
        "'; drop table agreement_edition; --/",
        f"{'a' * 5000}/",
        "terms/editions/0/",
        "terms/editions/01/",
        "terms/editions/-1/",
        "terms/editions/2/",
        "terms/editions/9999999999/",
        "terms/editions/99999999999999999999/",
        f"terms/editions/{'9' * 6000}/",
        "terms/editions/١/",
        "terms/editions/1%00/",
        "terms/editions/1.en.md",
        "terms/editions/1.kk.MD",
        "terms/editions/2.kk.md",
        "terms/editions/99999999999999999999.kk.md",
        "terms/editions/9999999999/manifest.json",
        "terms/editions/1/manifest.json/",
    ],
)
def test_what_does_not_exist_is_not_found(client, address):
    factories.published()
    text(client, f"/ru/agreements/{address}", 404)


HOSTILE = """# <script>alert(1)</script>

## 1. <IMG SRC=x onerror=alert(1)>

1.1. <script src="//evil.example/x.js"></script> [go](javascript:alert(1)) [go](data:text/html,x) \
![p](http://evil.example/p.png) <iframe src="//evil.example"></iframe> <p style="color:red" onclick="x()">

1.2. <a href="http://evil.example" onmouseover=x()>a</a> "><svg/onload=alert(1)> </article></main><form action=/x>
"""


# Elements that do something, other than our own.
OURS_ALONE = (
    r"<(script(?! type=\"module\" src=\"/static/agreement/(?:agreement|changes).js\"></script>)"
    r"|img(?! src=\"/static/)"
    r"|iframe|svg(?! class=\"agreement-bars\"| viewBox=\"0 0 \d+ \d+\"><path fill=\"#fff\")"
    r"|form(?! class=\"agreement-)|style)\b"
)


@pytest.mark.parametrize("address", [*PAGES, "/kk/"])
def test_hostile_words_are_words_on_every_page(client, address):
    evil = "<script>alert(1)</script>"
    edition = factories.published(
        kk=HOSTILE, ru=HOSTILE, summary_kk=evil, summary_ru=evil, approval_kk=evil, approval_ru=evil
    )
    assert edition.title_kk == evil

    page = re.sub(r'<script type="application/ld\+json">[^<]*</script>', "", text(client, address))

    assert not re.search(OURS_ALONE, page, re.IGNORECASE)
    assert not re.search(r"<[^>]*\s(on\w+|style)\s*=", page, re.IGNORECASE)
    assert not re.search(r'(href|src)="(?!/|#|http://127\.0\.0\.1:8000/|https?://evil\.example)', page)
    assert page.count("</main>") == 1
    assert "&lt;script&gt;" in page


def test_hostile_text_is_given_back_as_text_and_never_as_a_page(client):
    factories.published(kk=HOSTILE, ru=HOSTILE)
    response = client.get(f"{HERE}editions/1.kk.md")
    assert response.content == HOSTILE.encode()
    assert (response["Content-Type"], response["X-Content-Type-Options"]) == (
        "text/markdown; charset=utf-8",
        "nosniff",
    )


# The head, the clauses and the page data


NEW = "# Келісім\n\n## 1. Жалпы\n\n1.1. Бірінші тармақ.\n\n1.2. Екінші тармақ.\n"
NEW_RU = "# Соглашение\n\n## 1. Общее\n\n1.1. Первый пункт.\n\n1.2. Второй пункт.\n"


def summary_block(page: str) -> str:
    return page.partition('<details class="agreement-changed"')[2].partition("</details>")[0]


def test_the_summary_of_a_new_edition_is_open_with_links_to_the_changed_clauses(client):
    factories.published(kk=NEW.partition("1.2.")[0], ru=NEW_RU.partition("1.2.")[0])
    factories.published(kk=NEW, ru=NEW_RU, summary_kk="Жаңа тармақ.", summary_ru="Новый пункт.")
    block = summary_block(text(client, "/ru/agreements/terms/"))
    assert block.startswith(" open>")
    assert "<summary>Что изменилось</summary>" in block
    assert "Новый пункт." in block
    assert '<a href="#1.2"\n>1.2 <span>новый</span></a>' in block


def test_the_summary_is_folded_after_thirty_days(client):
    past = timezone.now() - timedelta(days=29)
    first = factories.draft(summary_kk="Бәрі жаңа.", summary_ru="Всё новое.")
    first.record(effective_from=past)
    assert "<summary>In short</summary>" in summary_block(text(client, "/en/agreements/terms/"))
    assert summary_block(text(client, "/en/agreements/terms/")).startswith(" open>")
    displayed = DisplayedEdition.from_timeline(
        first, current_timelines().agreements["terms"], past + timedelta(days=30)
    )
    assert not displayed.is_news


def test_an_announced_edition_says_what_will_change_and_has_one_banner(client):
    factories.published()
    factories.published(kk=NEW, ru=NEW_RU, effective_from=timezone.now() + LATER)
    current, announced = text(client, "/ru/agreements/terms/"), text(client, "/ru/agreements/terms/editions/2/")
    assert "<summary>Что изменится</summary>" in summary_block(announced)
    assert summary_block(announced).startswith(" open>")
    assert not summary_block(current).startswith(" open>")
    assert current.count("agreement-banner") == announced.count("agreement-banner") == 1


def test_a_clause_has_one_control_with_its_links_and_citations(client):
    factories.published()
    edition = factories.published(kk=NEW, ru=NEW_RU)
    page = text(client, "/ru/agreements/terms/")
    unit = page.partition('id="1.2"')[2].partition("</details>")[0]
    assert '<span class="number">1.2.</span>' in unit
    assert re.findall(r'href="([^"]*)"', unit) == [
        "/ru/agreements/terms/editions/2/#1.2",
        "/ru/agreements/terms/#1.2",
        "/kk/agreements/terms/#1.2",
        "/ru/agreements/terms/clauses/1.2/?edition=2",
    ]
    base = "http://127.0.0.1:8000"
    day = {
        language: dates.day(edition.effective_from, language, edition.agreement.time_zone, "from")
        for language in ("kk", "ru")
    }
    assert (
        f'lang="ru">Соглашение, редакция №\u00a02 (действует с {day["ru"]}), пункт 1.2.'
        f" {base}/ru/agreements/terms/editions/2/#1.2</p>"
    ) in unit
    assert (
        f'lang="kk">Келісім, 2‑редакция ({day["kk"]} бастап күшінде), 1.2‑тармақ.'
        f" {base}/kk/agreements/terms/editions/2/#1.2</p>"
    ) in unit


@pytest.mark.parametrize(
    "address", ["", "editions/", "editions/2/", "editions/2/changes/", "bilingual/", "clauses/1.2/"]
)
def test_each_page_states_its_content_for_search_engines_and_messengers(client, address):
    factories.published()
    factories.published(kk=NEW, ru=NEW_RU)
    page = text(client, f"/ru/agreements/terms/{address}")
    found = dict(re.findall(r'<meta (?:name|property)="([^"]*)" content="([^"]*)">', page))
    assert ": действует с " in found["description"]
    assert found["og:description"] == found["description"]
    assert "Соглашение" in found["og:title"]
    assert found["og:url"] == f"http://127.0.0.1:8000/ru/agreements/terms/{address}"
    assert found["og:locale"] == "ru_RU"
    assert re.findall(r'"og:locale:alternate" content="([^"]*)"', page) == ["kk_KZ", "en_US"]


def test_a_page_has_the_qr_code_of_its_permanent_address_if_segno_is_installed(client, monkeypatch):
    factories.published()
    code = pytest.importorskip("segno").make("http://127.0.0.1:8000/kk/agreements/terms/editions/1/", error="m")
    path = re.search(r'stroke="#000" d="([^"]*)"', code.svg_inline(border=4, light="#fff"))[1]
    assert path in text(client, HERE)
    monkeypatch.setattr(qr, "find_spec", lambda name: None)
    cache.clear()
    assert "agreement-qr" not in text(client, HERE)


def test_pages_of_a_user_are_not_for_search_engines(client, django_user_model):
    client.force_login(django_user_model.objects.create_user("aigerim"))
    for address in ("record", "notices", "withdraw"):
        assert client.get(f"/ru/agreements/{address}/")["X-Robots-Tag"] == "noindex"
