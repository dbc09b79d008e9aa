"""Which edition was in force then: ``…/at/…`` to the microsecond, and RFC 7089 to the second."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone
from django.utils.http import http_date

from agreement.models import Agreement
from tests.support import factories

pytestmark = pytest.mark.django_db

HERE = "/kk/agreements/terms/"
ALMATY = ZoneInfo("Asia/Almaty")
#: The clocks of Almaty went from 24:00 on 29 February 2024 back to 23:00: what is written so happened twice.
FIRST_PASS = datetime(2024, 2, 29, 23, 30, 0, 1, tzinfo=ALMATY)
SECOND_PASS = FIRST_PASS.replace(fold=1)


def recorded(*moments: datetime) -> None:
    for moment in moments:
        factories.draft().record(effective_from=moment)


@pytest.fixture
def across() -> None:
    """History imported across the repeated hour: editions 2 and 3 took effect at the same clock time of one day."""
    recorded(datetime(2024, 2, 12, 9, tzinfo=ALMATY), FIRST_PASS, SECOND_PASS)


def lead(client, when: str, status: int = 302, **headers: str) -> str:
    """Where ``at/`` leads, from the edition's number on; or the page it refuses with."""
    response = client.get(f"{HERE}at/{quote(when, safe='+:')}/", headers=headers)
    assert response.status_code == status, when
    return response["Location"].removeprefix(f"{HERE}editions/") if status == 302 else response.content.decode()


def negotiate(client, accepted: str) -> str:
    response = client.get(HERE, headers={"Accept-Datetime": accepted})
    assert response.status_code == 302, accepted
    return response["Location"].removeprefix(f"{HERE}editions/")


# at/


@pytest.mark.usefixtures("across")
@pytest.mark.parametrize(
    ("when", "number"),
    [
        ("2024-02-29T23:30:00+06:00", 1),
        ("2024-02-29T23:30:00.000000+06:00", 1),
        ("2024-02-29T23:30:00.000000999999+06:00", 1),
        ("2024-02-29T23:30:00.000001+06:00", 2),
        ("2024-02-29T23:59:59.999999+06:00", 2),
        ("2024-02-29T23:00:00+05:00", 2),
        ("2024-02-29T23:30:00.000000+05:00", 2),
        ("2024-02-29T23:30:00.000001+05:00", 3),
        ("2024-02-29T18:30:00.000000Z", 2),
        ("2024-02-29T18:30:00.000001Z", 3),
        ("20240229T183000,000001Z", 3),
        ("20240229T1830Z", 2),
        ("2024-02-29 18:31z", 3),
        ("2024-W09-4T18:31:00-00:00", 3),
        ("2024-02-29T17:30:00.000001+00", 2),
        ("2024-02-12T09:00:00+06:00", 1),
        ("9999-12-31T23:59:59.999999Z", 3),
    ],
)
def test_a_moment_leads_to_the_edition_in_force_at_that_microsecond(client, when, number):
    assert lead(client, when) == f"{number}/"


@pytest.mark.usefixtures("across")
def test_an_encoded_plus_is_a_plus_and_a_missing_slash_is_added(client):
    assert client.get(f"{HERE}at/2024-02-29T23:31:00%2B05:00/")["Location"] == f"{HERE}editions/3/"
    assert client.get(f"{HERE}at/2024-02-29")["Location"] == f"{HERE}at/2024-02-29/"


@pytest.mark.usefixtures("across")
@pytest.mark.parametrize(
    ("when", "target"),
    [
        ("2024-02-13", "1/?on=2024-02-13"),
        ("2024-02-29", "1/?on=2024-02-29"),
        ("20240301", "3/?on=2024-03-01"),
        ("2024-W09-5", "3/?on=2024-03-01"),
        ("9999-12-31", "3/?on=9999-12-31"),
    ],
)
def test_a_date_is_its_first_instant_in_the_agreements_zone(client, when, target):
    assert lead(client, when) == target
    assert client.get(f"{HERE}editions/{target}").status_code == 200


@pytest.mark.parametrize(
    ("zone", "day", "begins"),
    [
        ("America/Sao_Paulo", "2018-11-04", datetime(2018, 11, 4, 3, tzinfo=UTC)),  # There was no midnight.
        ("America/Havana", "2018-11-04", datetime(2018, 11, 4, 4, tzinfo=UTC)),  # There were two.
    ],
)
def test_a_date_begins_where_its_midnight_is_missing_or_twice(client, zone, day, begins):
    Agreement.objects.create(slug="terms", time_zone=zone)
    recorded(begins - timedelta(days=9), begins, begins + timedelta(microseconds=1))
    assert lead(client, day) == f"2/?on={day}"


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        (
            "kk",
            ("Сол күні, 2025 жылғы 1 ақпанда (сағат 09:00, Астана уақыты, UTC+5), 2‑редакция күшіне енеді."),
        ),
        (
            "ru",
            "В этот день, 1 февраля 2025 г., с 09:00 (время Астаны, UTC+5) действует редакция № 2.",
        ),
        ("en", "On that day, 1 February 2025, edition 2 is in force from 09:00 (Astana time, UTC+5)."),
    ],
)
def test_the_page_of_a_date_names_a_later_change_of_that_day(client, language, sentence):
    recorded(datetime(2024, 2, 12, 9, tzinfo=ALMATY), datetime(2025, 2, 1, 9, tzinfo=ALMATY))
    here = f"/{language}/agreements/terms/"

    page = client.get(f"{here}at/2025-02-01/", follow=True)

    assert page.redirect_chain == [(f"{here}editions/1/?on=2025-02-01", 302)]
    html = " ".join(page.content.decode().split()).replace(" >", ">")
    assert f'{sentence} <a href="{here}editions/2/">' in html
    for other in ("editions/1/", "editions/1/?on=2025-01-31", "editions/2/?on=2025-02-01", "editions/1/?on="):
        assert sentence[-40:] not in client.get(here + other).content.decode()


def test_the_page_of_a_date_states_that_its_edition_was_in_force_then(client):
    recorded(datetime(2024, 2, 12, 9, tzinfo=ALMATY), datetime(2025, 2, 1, 9, tzinfo=ALMATY))

    page = client.get("/ru/agreements/terms/at/2024-03-01/", follow=True).content.decode()

    assert "В этот день (1\u00a0марта 2024\u00a0г.) действовала эта редакция." in page
    assert 'name="date" value="2024-03-01"' in page
    other = client.get("/ru/agreements/terms/editions/2/?on=2024-03-01").content.decode()
    assert "В этот день" not in other
    assert "2024-03-01" not in other.partition("</h1>")[2]


def test_the_page_of_a_date_names_every_change_of_that_day(client):
    day = datetime(2025, 2, 1, 9, tzinfo=ALMATY)
    recorded(day - timedelta(days=1), day, day + timedelta(seconds=1), day + timedelta(days=1))
    page = client.get("/en/agreements/terms/editions/1/?on=2025-02-01").content.decode()
    assert re.findall(r"edition (\d) is in force from ([\d:]+)", page) == [("2", "09:00"), ("3", "09:00:01")]


@pytest.mark.usefixtures("across")
@pytest.mark.parametrize("when", ["2024-02-12", "2024-02-12T08:59:59.999999+06:00", "0001-01-01", "0001-01-01T00Z"])
def test_an_instant_before_the_first_edition_gives_404_with_its_date(client, when):
    page = lead(client, when, 404)
    assert "Ол кезде бірде-бір редакция күшінде болмаған" in page
    since = "2024\u00a0жылғы 12\u00a0ақпаннан бастап (сағат\u00a009:00"
    assert f"Алғашқысы — 1‑редакция. Бұл редакция {since}" in page
    assert f'href="{HERE}editions/1/"' in page


@pytest.mark.usefixtures("across")
@pytest.mark.parametrize("when", ["2024-02-29T23:30:00", "2024-02-29T23:30", "20240229T23", "2024-02-29 23:30:00.5"])
def test_a_moment_without_offset_is_refused_with_how_to_write_it(client, when):
    page = lead(client, when, 400)
    assert "уақытпен бірге оның UTC уақытынан айырмасын да жазу керек" in page
    assert "2026-03-01T09:00:00+05:00" in page


BAD = [
    *(
        "now",
        "1987",
        "2024-02",
        "2024-02-30",
        "2024-13-01",
        "2024-2-1",
        "24-02-01",
        "2024-W09",
        "2024-W60-1",
        "0000-01-01",
    ),
    *("10000-01-01", "-2024-01-01", "+2024-01-01", "2024-02-29T", "2024-02-29T24:00Z", "2024-02-29T23:60Z"),
    # Offsets that do not exist, and instants outside the calendar.
    *("2024-02-29T23:30:00+05:75", "2024-02-29T23:30:00+05:30:60", "2024-02-29T23:30:00+0560"),
    *("9999-12-31T23:59:59.999999-23:59", "0001-01-01T00+23:59"),
    *("2024-02-29T23:30:60Z", "2024-02-29T23:30:00 05:00", "2024-02-29T23:30:00+25:00", "2024-02-29T23:30:00−05:00"),
    *(
        "2024-02-29x23:30Z",
        "2024-02-29T2330:00Z",
        "２０２４-02-29",
        "1709231400",
        "<b>2024",
        "2024-02-29\n",
        "a" * 3000,
    ),
    "2024-02-29T23:30:00." + "1" * 100 + "Z",
]


@pytest.mark.usefixtures("across")
@pytest.mark.parametrize("when", BAD)
def test_what_is_no_moment_is_refused_and_not_repeated(client, when):
    page = lead(client, when, 400)
    assert "Күн немесе уақыт қате көрсетілген" in page
    assert when not in page
    assert quote(when) not in page
    for asked in (when, "2024-02-29T18:30Z"):
        response = client.get(f"{HERE}editions/1/", {"on": asked})
        assert response.status_code == 400
        assert response["Cache-Control"] == "no-store"


def test_an_unknown_agreement_has_no_moments(client):
    factories.draft()
    for slug in ("terms", "other"):
        assert client.get(f"/kk/agreements/{slug}/at/2024-02-29/").status_code == 404
        assert client.get(f"/kk/agreements/{slug}/timemap/").status_code == 404


def test_a_moment_to_come_leads_to_what_is_announced_for_it(client, settings):
    factories.published()
    soon = timezone.now() + timedelta(days=10)
    factories.published(effective_from=soon)
    factories.published(effective_from=soon + timedelta(days=1)).cancel()
    later = (soon + timedelta(days=9)).isoformat()

    assert lead(client, (soon - timedelta(microseconds=1)).isoformat()) == "1/"
    assert lead(client, later) == "2/"
    settings.AGREEMENT = {**settings.AGREEMENT, "SHOW_SCHEDULED": False}
    assert lead(client, later) == "1/"


def test_a_redirect_is_revalidated(client):
    factories.published()
    response = client.get(f"{HERE}at/9999-01-01/")
    assert response["Cache-Control"] == "public, no-cache"
    assert not response.cookies


# RFC 7089


def relations(header: str) -> dict[str, str]:
    """From each relation to where it leads, and when that was."""
    found = {}
    for address, rest in re.findall(r"<([^>]*)>;([^<]*)", header):
        (names,) = re.findall(r'rel="([^"]*)"', rest)
        when = re.findall(r'datetime="([^"]*)"', rest)
        for name in names.removesuffix(" memento").split():
            found[name] = address.rpartition("/terms/")[2] + (f" {when[0]}" if when else "")
    return found


EFFECT = datetime(2025, 2, 1, 9, 0, 0, 250_000, tzinfo=ALMATY)
MOMENTS = (datetime(2024, 2, 12, 9, tzinfo=ALMATY), EFFECT, datetime(2026, 1, 1, tzinfo=ALMATY))


@pytest.mark.parametrize(
    ("accepted", "number"),
    [
        ("Mon, 01 Jan 1900 00:00:00 GMT", 1),
        ("Mon, 12 Feb 2024 02:59:59 GMT", 1),
        ("Mon, 12 Feb 2024 03:00:00 GMT", 1),
        ("Sat, 01 Feb 2025 04:00:00 GMT", 1),
        ("Sat, 01 Feb 2025 04:00:01 GMT", 2),
        ("Wed, 31 Dec 2025 18:59:59 GMT", 2),
        ("Wed, 31 Dec 2025 19:00:00 GMT", 3),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3),
    ],
)
def test_the_timegate_leads_to_the_edition_in_force_at_that_second(client, accepted, number):
    recorded(*MOMENTS)
    assert negotiate(client, accepted) == f"{number}/"


def test_a_moment_to_come_is_negotiated_to_what_is_in_force_now(client):
    factories.published()
    factories.published(effective_from=timezone.now() + timedelta(days=1))
    assert negotiate(client, http_date((timezone.now() + timedelta(days=9)).timestamp())) == "1/"


def test_the_timegate_has_vary_and_its_links(client):
    recorded(*MOMENTS)

    plain, led = client.get(HERE), client.get(HERE, headers={"Accept-Datetime": "Sat, 01 Feb 2025 04:00:01 GMT"})

    assert plain.status_code == 200
    for response in (plain, led):
        assert "Accept-Datetime" in response["Vary"]
        assert "Memento-Datetime" not in response
        assert '<http://127.0.0.1:8000/kk/agreements/terms/>; rel="original timegate"' in response["Link"]
        assert relations(response["Link"])["timemap"] == "timemap/"
    assert relations(led["Link"])["prev"] == "editions/1/ Mon, 12 Feb 2024 03:00:00 GMT"
    assert (
        client.head(HERE, headers={"Accept-Datetime": "Sat, 01 Feb 2025 04:00:01 GMT"})["Location"] == led["Location"]
    )


def test_a_memento_has_its_datetime_and_its_neighbours(client):
    recorded(*MOMENTS)

    first, middle, last = (client.get(f"{HERE}editions/{number}/") for number in (1, 2, 3))

    assert middle["Memento-Datetime"] == "Sat, 01 Feb 2025 04:00:01 GMT"  # Never before the effect.
    found = relations(middle["Link"])
    assert found["original"] == found["timegate"] == ""
    assert found["first"] == found["prev"] == "editions/1/ Mon, 12 Feb 2024 03:00:00 GMT"
    assert found["last"] == found["next"] == "editions/3/ Wed, 31 Dec 2025 19:00:00 GMT"
    assert "prev" not in relations(first["Link"])
    assert "next" not in relations(last["Link"])
    for page in (first, middle, last):
        # Whoever asks for a memento's own moment gets that memento.
        assert negotiate(client, page["Memento-Datetime"]) == page.request["PATH_INFO"].removeprefix(f"{HERE}editions/")
        again = client.get(page.request["PATH_INFO"], headers={"If-None-Match": page["ETag"]})
        assert (again.status_code, again["Memento-Datetime"]) == (304, page["Memento-Datetime"])
        assert again["Link"] == page["Link"]


def test_an_edition_that_never_took_effect_is_no_memento(client):
    factories.published()
    factories.published(effective_from=timezone.now() + timedelta(days=1)).cancel()
    factories.published(effective_from=timezone.now() + timedelta(days=2))

    for number in (2, 3):
        assert "Memento-Datetime" not in client.get(f"{HERE}editions/{number}/")
    for address in (HERE, f"{HERE}editions/1/"):
        assert relations(client.get(address)["Link"])["last"].startswith("editions/1/ ")
    assert client.get(f"{HERE}timemap/").content.count(b"memento") == 1


def test_before_the_first_takes_effect_there_is_nothing_to_negotiate(client):
    factories.published(effective_from=timezone.now() + timedelta(days=1))
    assert client.get(HERE, headers={"Accept-Datetime": "Sat, 01 Feb 2025 04:00:01 GMT"}).status_code == 200
    assert b"memento" not in client.get(f"{HERE}timemap/").content


@pytest.mark.parametrize(
    "accepted",
    [
        *("", "now", "2025-02-01T09:00:00+05:00", "Sat, 01 Feb 2025 04:00:01", "Sat, 01 Feb 2025 04:00:01 +0500"),
        *("Saturday, 01-Feb-25 04:00:01 GMT", "Sat, 32 Feb 2025 04:00:01 GMT", "Sat, 01 Foo 2025 04:00:01 GMT"),
        *("Sat, 01 Feb 2025 24:00:01 GMT", "Sat, 01 Feb 0000 00:00:00 GMT", "<b>x</b>", "x" * 8000, "\u0667"),
    ],
)
def test_a_header_that_is_no_http_date_is_refused(client, accepted):
    factories.published()
    response = client.get(HERE, headers={"Accept-Datetime": accepted.encode().decode("latin-1")})
    assert response.status_code == 400
    assert "Accept-Datetime" in response["Vary"]
    assert "<b>" not in response.content.decode()


def test_the_timemap_lists_every_memento_in_order(client):
    recorded(*MOMENTS)

    response = client.get("/ru/agreements/terms/timemap/")

    here = "http://127.0.0.1:8000/ru/agreements/terms/"
    span = 'from="Mon, 12 Feb 2024 03:00:00 GMT"; until="Wed, 31 Dec 2025 19:00:00 GMT"'
    assert response["Content-Type"] == "application/link-format"
    assert response["Access-Control-Allow-Origin"] == "*"
    assert response.content.decode().splitlines() == [
        f'<{here}>; rel="original timegate",',
        f'<{here}timemap/>; rel="self"; type="application/link-format"; {span},',
        f'<{here}editions/1/>; rel="first memento"; datetime="Mon, 12 Feb 2024 03:00:00 GMT",',
        f'<{here}editions/2/>; rel="memento"; datetime="Sat, 01 Feb 2025 04:00:01 GMT",',
        f'<{here}editions/3/>; rel="last memento"; datetime="Wed, 31 Dec 2025 19:00:00 GMT"',
    ]


@pytest.mark.usefixtures("across")
def test_the_form_for_a_day_leads_to_the_edition_in_force_then(client):
    assert client.get(f"{HERE}at/", {"date": "2024-02-29"})["Location"] == f"{HERE}at/2024-02-29/"
    assert client.get(f"{HERE}at/").status_code == 200
    for wrong in ("", "2024-02-30", "2024-02-29T10:00Z", "<b>"):
        refused = client.get(f"{HERE}at/", {"date": wrong})
        assert refused.status_code == 400
        assert f'action="{HERE}at/"' in refused.text


@pytest.mark.usefixtures("across")
@pytest.mark.parametrize("address", ["editions/", "editions/2/", "at/", "at/now/", "at/2001-01-01/"])
def test_the_line_of_editions_is_drawn_where_people_look_for_a_day(client, address):
    page = client.get(HERE + address).text
    assert page.count("<rect ") == 3
    assert page.count('class="agreement-bar-in_force"') == 1
    assert bool(re.search(r'aria-current="page">\s*<title>', page)) == (address == "editions/2/")


def test_the_form_proposes_a_comparison_that_says_something(client):
    factories.published()
    factories.published()
    factories.published(effective_from=timezone.now() + timedelta(days=1)).cancel()
    chosen = {
        address: re.findall(r'<option value="(\d)" selected', client.get(f"/en/agreements/terms/{address}").text)
        for address in ("editions/", "editions/1/", "editions/2/", "editions/3/", "at/")
    }
    assert chosen == {
        "editions/": ["1", "2"],
        "editions/1/": ["1", "2"],
        "editions/2/": ["1", "2"],
        "editions/3/": ["2", "3"],
        "at/": ["1", "2"],
    }


def test_a_cancelled_edition_is_marked_in_the_chart_and_named(client):
    factories.published()
    factories.published()
    factories.published(effective_from=timezone.now() + timedelta(days=1)).cancel()
    page = " ".join(client.get("/en/agreements/terms/at/").text.split())
    assert page.count("agreement-bar-cancelled") == 1
    assert '× Cancelled before it took effect:</span> <a href="/en/agreements/terms/editions/3/"' in page
    assert page.count("agreement-bar-today") == 1


def test_a_day_without_an_edition_stays_in_the_form_and_the_page_in_each_language(client):
    factories.published()
    page = client.get("/en/agreements/terms/at/1999-12-31/", follow=True)
    assert page.status_code == 404
    assert 'value="1999-12-31"' in page.text
    assert 'href="/kk/agreements/terms/at/1999-12-31/" lang="kk"' in page.text
    bad = client.get("/en/agreements/terms/at/1999-13-31/")
    assert bad.status_code == 400
    assert '<code class="agreement-unbroken">2026-03-01</code>' in bad.text
    assert 'href="/kk/agreements/terms/at/" lang="kk"' in bad.text
