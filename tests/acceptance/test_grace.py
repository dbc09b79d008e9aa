"""Days to accept: an earlier acceptance is sufficient until the last day, and not a moment longer."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.template import Context, Template
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation
from django.utils.translation import gettext

from agreement.acceptance import known
from agreement.editions import timeline
from agreement.editions.timeline import Timeline, Timelines, current_timelines
from agreement.models import Acceptance, Agreement, Edition, Notice
from agreement.models.agreements import AcceptanceMode
from agreement.models.succession import EditionDates
from agreement.notices.letters import letter
from agreement.testing import open_seal
from agreement.text import dates
from tests.support import factories

DAY, MICROSECOND = timedelta(days=1), timedelta(microseconds=1)
START = datetime(2026, 12, 1, tzinfo=UTC)
HERE = "/ru/agreements/terms/accept/"
PAGE = {"headers": {"Accept": "text/html"}}


def dated(
    number: int, day: int, *, grace: int = 0, material: bool = True, cancelled: bool = False, ahead: int = 1
) -> EditionDates:
    """An edition that takes effect on that day, and was published so many days before."""
    effect = START + day * DAY
    return EditionDates(
        pk=number,
        number=number,
        published_at=effect - ahead * DAY,
        effective_from=effect,
        cancelled_at=effect - MICROSECOND if cancelled else None,
        digest=f"{number:064}",
        material=material,
        grace_days=grace,
    )


def of(*editions: EditionDates, mode: str = AcceptanceMode.BY_CONFIRMATION) -> Timeline:
    return Timeline(1, "terms", "Asia/Almaty", mode, editions)


def sufficient(terms: Timeline, at: datetime) -> list[int]:
    edition = terms.in_force(at)
    assert edition
    return [one.number for one in terms.sufficient_editions(edition, at)]


# The rule.


def test_an_earlier_acceptance_is_sufficient_until_the_exact_end_of_the_days():
    terms = of(dated(1, 0), dated(2, 30, grace=10))

    assert sufficient(terms, START + 30 * DAY) == [1, 2]
    assert sufficient(terms, START + 40 * DAY - MICROSECOND) == [1, 2]
    assert sufficient(terms, START + 40 * DAY) == [2]
    assert terms.grace_until({1}, START + 30 * DAY) == START + 40 * DAY
    assert terms.grace_until({2}, START + 30 * DAY) is None
    assert terms.grace_until(set(), START + 30 * DAY) is None
    assert terms.grace_until({1}, START + 40 * DAY) is None


@pytest.mark.parametrize("mode", [AcceptanceMode.BY_USE, AcceptanceMode.ELSEWHERE])
def test_only_an_agreement_that_is_accepted_by_confirmation_gives_days(mode):
    assert sufficient(of(dated(1, 0), dated(2, 30, grace=10), mode=mode), START + 31 * DAY) == [2]


def test_a_correction_gives_no_further_days_and_takes_none():
    terms = of(
        dated(1, 0), dated(2, 30, grace=10), dated(3, 35, material=False), dated(4, 39, grace=10, material=False)
    )

    assert sufficient(terms, START + 39 * DAY) == [1, 2, 3, 4]
    assert sufficient(terms, START + 40 * DAY) == [2, 3, 4]


def test_an_announced_edition_that_gives_less_time_ends_the_days():
    terms = of(dated(1, 0), dated(2, 30, grace=10), dated(3, 35))

    assert terms.grace_until({1}, START + 31 * DAY) == START + 35 * DAY


def test_the_correction_of_a_cancelled_edition_gives_its_own_days():
    terms = of(dated(1, 0), dated(2, 30, grace=10, cancelled=True), dated(3, 31, grace=4, material=False, ahead=2))

    assert terms.grace_until({1}, START + 31 * DAY) == START + 35 * DAY


def test_an_acceptance_is_sufficient_while_the_days_of_no_material_edition_after_it_are_over():
    chance = random.Random(17)  # noqa: S311 - not for secrets
    for _history in range(200):
        editions, day = [dated(1, 0)], 0
        for number in range(2, chance.randint(3, 7)):
            day += chance.randint(1, 6)
            material = chance.random() < 0.6
            editions.append(dated(number, day, grace=chance.choice((0, 3, 8)), material=material))
        terms = of(*editions)
        for at in (START + day * DAY + step for day in range(day + 9) for step in (-MICROSECOND, 0 * DAY)):
            if in_force := terms.in_force(at):
                after = {
                    one.number: [two for two in editions[one.number : in_force.number] if two.material]
                    for one in editions
                }
                expected = [
                    one.number
                    for one in editions[: in_force.number]
                    if all(at < two.effective_from + two.grace_days * DAY for two in after[one.number])
                ]
                assert sufficient(terms, at) == expected, (editions, at)


def test_what_is_known_of_a_user_ends_with_the_days():
    timelines = Timelines({"terms": of(dated(1, 0), dated(2, 30, grace=10))})
    end = START + 40 * DAY
    before, after = (known._requirements(timelines, at) for at in (end - MICROSECOND, end))

    assert before.key != after.key
    assert timelines.seconds_until_next(end - DAY) == DAY.total_seconds()
    assert timelines.version(end - MICROSECOND) != timelines.version(end)


def test_the_last_day_is_named_and_its_hour_only_if_it_does_not_end_at_midnight():
    midnight = datetime(2026, 12, 10, 19, tzinfo=UTC)

    assert dates.last_day(midnight, "ru", "Asia/Almaty") == "10\u00a0декабря 2026\u00a0г."
    assert dates.last_day(midnight, "kk", "Asia/Almaty") == "2026\u00a0жылғы 10\u00a0желтоқсан"
    assert dates.last_day(midnight + timedelta(hours=9, seconds=59), "en", "Asia/Almaty") == (
        "11\u00a0December 2026, 09:00 (Astana time, UTC+5)"
    )


# The gate and the pages.


@pytest.fixture
def user():
    return factories.users(1, languages=("ru",))[0]


@pytest.fixture(autouse=True)
def _fresh():
    timeline.clear()
    known.clear()
    yield
    known.clear()


def accept(user, edition: Edition) -> None:
    Acceptance.objects.record(user=user, edition=edition, digest=edition.digest, language="ru", kind="explicit")


def two_editions(user=None, *, grace_days: int = 10) -> Edition:
    """Two editions, of which the user has accepted the first; the second gives days to accept."""
    Agreement.objects.create(slug="terms", acceptance_mode=AcceptanceMode.BY_CONFIRMATION)
    first = factories.published()
    if user:
        accept(user, first)
    second = factories.published(grace_days=grace_days)
    timeline.clear()
    return second


def end_days(edition: Edition) -> None:
    """As if the last day were over."""
    begun = timezone.now() - 10 * DAY
    with open_seal():
        Edition.objects.exclude(pk=edition.pk).update(published_at=begun - DAY, effective_from=begun - DAY)
        Edition.objects.filter(pk=edition.pk).update(published_at=begun, effective_from=begun)
    timeline.clear()
    known._current = None


def banner(user) -> str:
    request = RequestFactory().get("/")
    request.user = user
    with translation.override("en"):
        return Template("{% load agreement %}{% agreement_grace %}").render(Context({"request": request}))


@pytest.mark.django_db(transaction=True)
def test_the_gate_lets_a_user_go_on_without_queries_until_the_days_end_and_then_asks(reader, user):
    second = two_editions(user)
    assert reader.get("/ru/mailbox/", **PAGE).status_code != 302

    with CaptureQueriesContext(connection) as captured:
        assert reader.get("/ru/mailbox/", **PAGE).status_code != 302
    assert not [query for query in captured if "agreement_acceptance" in query["sql"]]

    end_days(second)
    assert reader.get("/ru/mailbox/", **PAGE).url.startswith(HERE)
    accept(user, second)
    assert reader.get("/ru/mailbox/", **PAGE).status_code != 302


@pytest.mark.django_db
def test_a_user_who_accepted_nothing_or_withdrew_is_asked_from_the_first_moment(reader, user):
    second = two_editions()

    assert reader.get("/ru/mailbox/", **PAGE).url.startswith(HERE)
    assert banner(user) == ""
    assert second.grace_days == 10


@pytest.mark.django_db
def test_the_banner_names_the_last_day_until_the_user_accepts(user):
    second = two_editions(user)
    day = dates.last_day(second.effective_from + 10 * DAY, "en", "Asia/Almaty")

    shown = banner(user)
    accept(user, second)

    assert f"The time to accept ends: {day}." in shown
    assert 'href="/en/agreements/terms/accept/"' in shown
    assert banner(user) == ""


@pytest.mark.django_db
def test_the_banner_makes_no_query_and_reads_no_user_while_no_edition_gives_days(user, django_assert_num_queries):
    two_editions(user, grace_days=0)
    current_timelines()
    request = RequestFactory().get("/")  # It has no user at all.

    with django_assert_num_queries(0 if not connection.in_atomic_block else 1):
        shown = Template("{% load agreement %}{% agreement_grace %}").render(Context({"request": request}))

    assert shown == ""


@pytest.mark.django_db
def test_the_pages_of_the_user_say_until_when_the_earlier_acceptance_counts(reader, user):
    second = two_editions(user)
    day = dates.last_day(second.effective_from + 10 * DAY, "en", "Asia/Almaty")

    for address in ("/en/agreements/terms/accept/", "/en/agreements/record/"):
        assert f"The time to accept ends: {day}." in reader.get(address).content.decode()
    end_days(second)
    for address in ("/en/agreements/terms/accept/", "/en/agreements/record/"):
        assert "The time to accept ends" not in reader.get(address).content.decode()


@pytest.mark.django_db
def test_the_notice_names_the_last_day_if_the_edition_gives_days():
    second = two_editions()
    day = dates.last_day(second.effective_from + 10 * DAY, "ru", "Asia/Almaty")

    content = letter(Notice.objects.get(edition=second), "ru", since=1)

    assert day in content.text
    assert day in content.html
    with translation.override("ru"):
        asks = gettext("If you have not accepted this edition yet, the site asks you on your next visit.")
    assert asks not in content.text, "who accepted the first edition is not asked"
    Agreement.objects.update(acceptance_mode=AcceptanceMode.BY_USE)
    timeline.clear()
    assert day not in letter(Notice.objects.get(edition=second), "ru", since=1).text
