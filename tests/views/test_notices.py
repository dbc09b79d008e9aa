"""A user's notices on the site: what changed since the edition they know, and read once they opened the page."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.template import Context, Template
from django.test import RequestFactory
from django.utils import timezone

from agreement.editions.timeline import current_timelines
from agreement.models import Acceptance, AcceptanceKind, Breach, Notice
from agreement.models.notices import NoticeRead
from tests.support import factories
from tests.support.site import KK, RU

pytestmark = pytest.mark.django_db

HERE = "/ru/agreements/notices/"


@pytest.fixture
def user():
    (user,) = factories.users(1)
    type(user).objects.update(date_joined=timezone.now() - timedelta(days=1))
    user.refresh_from_db()
    return user


def published(word: str, **stated):
    return factories.published(
        kk=KK.replace("Екінші тармақ", f"Екінші {word} тармақ"),
        ru=RU.replace("Второй пункт", f"Второй {word} пункт"),
        **stated,
    )


def accept(user, edition) -> None:
    Acceptance.objects.record(
        user=user, edition=edition, digest=edition.digest, language="ru", kind=AcceptanceKind.EXPLICIT
    )


def test_the_page_displays_what_changed_since_the_edition_the_user_confirmed(reader, user):
    accept(user, published("первый"))
    published("промежуточный")
    published("последний")
    page = reader.get(HERE).content.decode()
    assert page.count("<details") == 1
    assert re.search(r"<del>.*первый.*</del>\s*<ins>.*последний.*</ins> пункт", " ".join(page.split()))
    assert "промежуточный" not in page
    assert page.count("/changes/?from=1") == 2


def test_the_notice_of_an_edition_states_that_its_change_is_material(reader):
    published("первый")
    published("второй", material=False)
    assert "существенное изменение" not in reader.get(HERE).content.decode()
    published("третий", material=True)
    assert reader.get(HERE).content.decode().count("существенное изменение") == 1


def test_a_user_without_acceptance_finds_the_editions_and_no_comparison(reader):
    published("первый")
    published("второй")
    page = reader.get(HERE).content.decode()
    assert "<details" not in page
    assert "/agreements/terms/editions/2/" in page
    assert "</span>, редакция №\u00a02</a>" in page


def test_looking_at_the_page_is_reading_it_and_fetching_it_beforehand_is_not(reader, user):
    published("первый")
    assert not reader.head(HERE).content
    reader.get(HERE, headers={"Sec-Purpose": "prefetch", "Accept": "text/html"})
    assert not NoticeRead.objects.exists()
    assert "data-new" in reader.get(HERE, headers={"Accept": "text/html"}).content.decode()
    assert NoticeRead.objects.get().user_id == user.pk
    assert "data-new" not in reader.get(HERE, headers={"Accept": "text/html"}).content.decode()
    assert not Notice.objects.for_user(user).unread().exists()


def test_the_page_is_its_users_alone(client, reader, user):
    published("первый")
    assert reader.get(HERE)["Cache-Control"] == "private, no-store"
    reader.logout()
    assert reader.get(HERE).status_code == 302
    assert reader.post(HERE).status_code == 405


def test_what_the_page_costs_does_not_grow_with_its_notices(reader, user, django_assert_max_num_queries):
    accept(user, published("первый"))
    for number in range(8):
        published(f"номер{number}")
    with django_assert_max_num_queries(12):
        reader.get(HERE, headers={"Accept": "text/html"})


def test_a_notice_paused_before_its_due_time_is_not_on_the_page_until_it_is_resumed(user, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "NOTICE_DELAY": timedelta(minutes=10)}
    now = timezone.now()
    edition = published("жаңа", effective_from=now + timedelta(days=5))
    notice, after = edition.notices.get(), now + timedelta(hours=1)

    def found() -> list[str]:
        return list(Notice.objects.for_user(user, at=after).values_list("kind", flat=True))

    notice.pause(at=now)
    assert found() == []
    notice.resume()
    assert found() == ["published"]
    notice.pause(at=now + timedelta(minutes=30))
    assert found() == ["published"], "a notice whose sending had begun stays"
    Notice.objects.update(due_at=now - timedelta(minutes=1), paused_at=now - timedelta(minutes=2))
    edition.cancel()
    assert found() == [], "nobody was notified of the cancelled edition"


def test_the_notice_of_a_breach_does_not_display_its_edition(reader, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "NOTICE_DELAY": timedelta(0)}
    older = published("ескі", summary_ru="Старое.")
    notice = older.notices.get()
    Notice.objects.filter(pk=notice.pk).update(paused_at=notice.due_at - timedelta(minutes=1))
    Breach.objects.create(agreement=older.agreement, text_kk="Не болды.", text_ru="Что случилось.").notify()
    published("жаңа")
    page = reader.get(HERE).text
    assert "Что случилось." in page
    assert "Старое." in page


def test_the_notice_of_a_cancelled_edition_stays_until_that_of_the_cancellation_is_due(reader, user, settings):
    published("первый")
    edition = published("будущий", effective_from=timezone.now() + timedelta(days=5), summary_ru="Теперь иначе.")
    settings.AGREEMENT = {**settings.AGREEMENT, "NOTICE_DELAY": timedelta(minutes=10)}
    edition.cancel()

    def found(**delta: float) -> list[str]:
        notices = Notice.objects.for_user(user, at=timezone.now() + timedelta(**delta))
        return list(notices.filter(edition=edition).values_list("kind", flat=True))

    assert found() == ["published"]
    assert found(minutes=11) == ["cancelled"]
    page = reader.get(HERE, headers={"Accept": "text/html"}).content.decode()
    assert "/editions/2/" in page
    assert "Теперь иначе." not in page
    edition.notices.get(kind="cancelled").pause()
    assert found(minutes=11) == ["published"], "a paused notice is not displayed, so the reader keeps the first one"


def test_the_notice_of_an_edition_that_is_cancelled_already_tells_its_reader_nothing(reader, user, settings):
    accept(user, published("первый"))
    hidden = published("скрытый", summary_ru="Скрытое.")
    hidden.notices.get().pause(at=timezone.now() - timedelta(minutes=1))
    edition = published("будущий", effective_from=timezone.now() + timedelta(days=5))
    settings.AGREEMENT = {**settings.AGREEMENT, "NOTICE_DELAY": timedelta(minutes=10)}
    edition.cancel()
    page = reader.get(HERE, headers={"Accept": "text/html"}).content.decode()
    assert "/editions/3/" in page
    assert "Скрытое." not in page
    settings.AGREEMENT = {**settings.AGREEMENT, "NOTICE_DELAY": timedelta()}
    published("последний")
    assert "Скрытое." in reader.get(HERE, headers={"Accept": "text/html"}).content.decode()


def test_where_coming_editions_are_hidden_their_notices_are_too(reader, settings):
    published("первый")
    published("будущий", effective_from=timezone.now() + timedelta(days=3))
    assert "/editions/2/" in reader.get(HERE).content.decode()
    settings.AGREEMENT = {**settings.AGREEMENT, "SHOW_SCHEDULED": False}
    page = reader.get(HERE).content.decode()
    assert "/editions/1/" in page
    assert "/editions/2/" not in page


def test_a_notice_that_another_process_published_a_moment_ago_waits_for_its_edition_to_be_known(reader, monkeypatch):
    published("первый")
    before = current_timelines()
    published("второй")
    monkeypatch.setattr("agreement.views.account.fresh_timelines", lambda: before)
    page = reader.get(HERE).content.decode()
    assert "/editions/1/" in page
    assert "/editions/2/" not in page


def banner(user) -> str:
    request = RequestFactory().get("/ru/")
    request.user = user
    return Template("{% load agreement %}{% agreement_unread %}").render(Context({"request": request}))


def test_a_banner_counts_what_is_new_and_is_silent_where_nothing_is(user, django_assert_num_queries):
    from django.contrib.auth.models import AnonymousUser

    published("первый")
    published("второй")
    with django_assert_num_queries(1):
        html = banner(user)
    assert "2" in html
    assert "/agreements/notices/" in html
    Notice.objects.mark_read(user, Notice.objects.for_user(user))
    assert not banner(user).strip()
    with django_assert_num_queries(0):
        assert not banner(AnonymousUser()).strip()


def test_a_banner_counts_no_more_than_the_page_shows(reader, user, monkeypatch):
    for module in ("agreement.views.notices", "agreement.templatetags.agreement"):
        monkeypatch.setattr(f"{module}.USER_PAGE_NOTICES", 2)
    for word in ("первый", "второй", "третий"):
        published(word)
    assert "2" in banner(user)
    reader.get(HERE, headers={"Accept": "text/html"})
    assert not banner(user).strip()


def test_several_new_notices_are_listed_above_them(reader, user):
    published("первый")
    factories.published(slug="privacy")
    places = re.findall(r'href="#(notice-\d+)"', reader.get(HERE).text)
    assert places == [f"notice-{pk}" for pk in Notice.objects.order_by("-pk").values_list("pk", flat=True)]
    Notice.objects.mark_read(user, Notice.objects.all())
    assert "#notice-" not in reader.get(HERE).text
