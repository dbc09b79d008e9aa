"""The notice of a breach of personal data: its letter, whom it reaches, and where they find it on the site."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone, translation
from django.utils.translation import gettext

from agreement.models import (
    Acceptance,
    AcceptanceKind,
    Breach,
    Delivery,
    Edition,
    Notice,
    NoticeKind,
    Progress,
    Withdrawal,
    WithdrawalOutcome,
)
from agreement.notices import audience, dispatch, forecast
from agreement.notices.letters import letter
from agreement.text import dates
from tests.support import factories

pytestmark = pytest.mark.django_db

KK, RU = "Не болды: тіркелгілер көшірілді.\n\nБіз не істедік: <b>жаптық</b>.", "Что произошло: копия учётных записей."


@pytest.fixture(autouse=True)
def at_once(settings) -> None:
    settings.AGREEMENT = {**settings.AGREEMENT, "NOTICE_DELAY": timedelta(0), "SITE_NAME": "Кітапхана"}


def announced(*affected) -> Notice:
    if not Edition.objects.published().exists():
        factories.published()
        dispatch.work()
        mail.outbox.clear()
    row = Breach.objects.create(agreement=factories.agreement(), text_kk=KK, text_ru=RU, everyone=not affected)
    row.set_affected(user.pk for user in affected)
    return row.notify()


def test_the_letter_has_the_words_of_the_breach_in_the_language_of_the_reader():
    notice = announced()
    kazakh, both = (letter(notice, language, since=0) for language in ("kk", "mul"))
    assert "Не болды: тіркелгілер көшірілді." in kazakh.text
    assert "Что произошло" not in kazakh.text
    assert KK.partition("\n")[0] in both.text
    assert RU in both.text
    assert "&lt;b&gt;жаптық&lt;/b&gt;" in kazakh.html
    assert "Кітапхана" in kazakh.subject
    assert notice.edition.digest in kazakh.text
    with translation.override("ru"):
        below = gettext("The English text is below.")
    assert both.text.count(below) == both.html.count(below) == 1
    assert below not in kazakh.text


def test_the_letter_states_the_day_on_which_the_breach_became_known():
    factories.published()
    known_at = datetime(2026, 11, 28, 20, tzinfo=UTC)  # In Astana it is the next day.
    row = Breach.objects.create(agreement=factories.agreement(), text_kk=KK, text_ru=RU, known_at=known_at)
    both = letter(row.notify(), "mul", since=0)
    for content in (both.text, both.html):
        assert "2026\u00a0жылғы 29\u00a0қараша" in content
        assert "29\u00a0ноября 2026" in content


def test_a_hidden_edition_is_not_named_in_the_letter_about_a_breach(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "SHOW_SCHEDULED": False}
    (user,) = factories.users(1)
    edition, _publication = scheduled()
    notice = announced()
    russian = letter(notice, "ru", since=0)
    address = f"/{edition.agreement.slug}/{edition.number}/"
    for content in (russian.text, russian.html):
        assert address not in content
        assert edition.digest not in content
    assert notice in Notice.objects.for_user(user)
    client = Client()
    client.force_login(user)
    page = client.get("/kk/agreements/notices/").text
    assert "тіркелгілер көшірілді" in page
    assert address not in page


def test_the_letter_goes_to_each_affected_user_once():
    one, two, other = factories.users(3)
    announced(one, two)
    dispatch.work()
    dispatch.work()
    assert sorted(message.to[0] for message in mail.outbox) == sorted([one.email, two.email])
    assert other.email not in {message.to[0] for message in mail.outbox}


def test_a_user_with_whom_the_agreement_has_ended_is_notified_too():
    (user,) = factories.users(1)
    edition = factories.published()
    dispatch.work()
    Acceptance.objects.record(
        user=user, edition=edition, digest=edition.digest, language="kk", kind=AcceptanceKind.EXPLICIT
    )
    Withdrawal.objects.register(
        agreement=edition.agreement,
        user=user,
        applicant="",
        application_number="1",
        ground="",
        outcome=WithdrawalOutcome.ENDED,
        received_on=timezone.now().date(),
    )
    mail.outbox.clear()
    notice = announced(user)
    dispatch.work()
    assert Delivery.objects.get(notice=notice).outcome == "sent"


def test_a_new_edition_does_not_overtake_the_notice_of_a_breach():
    factories.users(1)
    notice = announced()
    factories.published()
    assert notice.skip_reason() == ""
    dispatch.work()
    assert Delivery.objects.get(notice=notice).outcome == "sent"


def test_only_the_affected_users_find_the_notice_on_their_page():
    one, other = factories.users(2)
    notice = announced(one)
    assert notice in Notice.objects.for_user(one)
    assert notice not in Notice.objects.for_user(other)
    client = Client()
    client.force_login(one)
    page = client.get("/kk/agreements/notices/").text
    assert "тіркелгілер көшірілді" in page
    assert "<b>жаптық" not in page
    known_on = dates.day(notice.breach.known_at, "kk", notice.breach.agreement.time_zone)
    assert known_on in page


def test_a_breach_announced_before_the_account_is_not_on_its_page():
    announced()
    (later,) = factories.users(1)
    type(later).objects.filter(pk=later.pk).update(date_joined=timezone.now() + timedelta(seconds=1))
    later.refresh_from_db()
    assert not Notice.objects.for_user(later).filter(kind=NoticeKind.BREACH).exists()


def scheduled(**stated) -> tuple[Edition, Notice]:
    edition = factories.published(effective_from=timezone.now() + timedelta(days=9), **stated)
    return edition, edition.notices.get(kind=NoticeKind.PUBLISHED)


def outcomes(notice: Notice) -> list[str]:
    return list(Delivery.objects.filter(notice=notice).order_by("user").values_list("outcome", flat=True))


def test_a_breach_before_the_first_effect_does_not_stand_for_the_notice_of_the_edition():
    factories.users(2)
    edition, publication = scheduled()
    publication.pause()
    breach = announced()
    dispatch.work()
    assert outcomes(breach) == ["sent", "sent"]
    edition.cancel()
    dispatch.work()
    assert outcomes(edition.notices.get(kind=NoticeKind.CANCELLED)) == []


def test_after_a_cancellation_the_earlier_notice_goes_also_to_those_whom_a_breach_concerned():
    one, _two = factories.users(2)
    _first, notice = scheduled()
    notice.pause()
    second = factories.published(effective_from=timezone.now() + timedelta(days=10))
    second.notices.get(kind=NoticeKind.PUBLISHED).pause()
    announced(one)
    dispatch.work()
    assert outcomes(notice) == ["skipped", "skipped"]
    second.cancel()
    notice.resume()
    dispatch.work()
    assert outcomes(notice) == ["sent", "sent"]


def test_a_paused_breach_delays_no_cancellation():
    factories.users(1)
    edition, _publication = scheduled()
    dispatch.work()
    breach = announced()
    breach.pause()
    dispatch.work()
    edition.cancel()
    dispatch.work()
    assert outcomes(edition.notices.get(kind=NoticeKind.CANCELLED)) == ["sent"]
    assert outcomes(breach) == ["waiting"]
    assert dispatch.next_due_at() is None


def test_the_letters_about_a_breach_go_before_those_of_older_notices(settings):
    users = factories.users(2)
    settings.AGREEMENT = {**settings.AGREEMENT, "RATE_LIMITS": {"email": ("2/h",)}}
    _edition, older = scheduled()
    breach = announced()
    dispatch.work()
    assert outcomes(breach) == ["sent"] * len(users)
    assert outcomes(older) == ["waiting"] * len(users)


def test_the_expected_end_of_a_breach_counts_only_breaches(settings):
    users = factories.users(2)
    settings.AGREEMENT = {**settings.AGREEMENT, "RATE_LIMITS": {"email": ("1/h",)}}
    at = timezone.now()
    _edition, older = scheduled()
    breach = announced()
    for notice in (older, breach):
        audience.write_deliveries(notice, channels=["email"])
    ends = {row.notice: forecast.expected_end(row, at=at) for row in Progress.objects.select_related("notice")}
    assert ends[breach] < ends[older]
    # One more breach for as many users waits for the first one, and not for the older notice.
    end = forecast.breach_end(channel="email", recipients=len(users), at=at)
    assert abs(end - ends[older]) < timedelta(minutes=1)
