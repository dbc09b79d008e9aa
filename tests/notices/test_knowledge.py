"""What a user knows, and what a letter and the page of notices therefore tell them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from agreement.models import Acceptance, AcceptanceKind, Delivery, Edition, Notice, knowledge
from agreement.notices import dispatch
from agreement.notices.unreached import resend_reachable
from agreement.notices.worker import Worker
from tests.support import factories
from tests.support.site import KK, RU

DELAY = timedelta(minutes=10)
SOON = timedelta(days=5)


def published(number: int, **stated: Any) -> Edition:
    texts = {"kk": KK.replace("Екінші", f"{number}-екінші"), "ru": RU.replace("Второй", f"Второй {number}")}
    stated = {"summary_kk": f"Мәні {number}.", "summary_ru": f"Суть {number}.", **stated}
    return factories.published(**texts, **stated)


def accept(user: Any, edition: Edition, kind: str = AcceptanceKind.DEEMED) -> None:
    Acceptance.objects.record(user=user, edition=edition, digest=edition.digest, language="ru", kind=kind)


def base_number(notice: Notice) -> int:
    return knowledge.base_number(notice, knowledge.History.of(notice))


def page_of(user: Any) -> str:
    client = Client(headers={"accept": "text/html"})
    client.force_login(user)
    return " ".join(client.get("/ru/agreements/notices/").content.decode().split())


@pytest.mark.django_db
def test_a_correction_of_a_paused_material_edition_tells_everybody_the_material_change():
    visitor, _other = factories.users(2, languages=("ru",))
    published(1)
    dispatch.work()
    material = published(2)
    material.notices.get().pause(at=timezone.now() - DELAY)  # As in the notice delay: before it is due.
    accept(visitor, material)
    published(3, material=False)
    mail.outbox.clear()
    page = page_of(visitor)
    assert page.index("Суть 3.") < page.index("Суть 2.")
    assert "changes/?from=1" in page
    dispatch.work()
    assert len(mail.outbox) == 2
    for letter in mail.outbox:
        assert "Суть 2." in letter.body
        assert "ничьи права" not in letter.body
        assert "changes/?from=1" in letter.body


@pytest.mark.django_db
def test_a_letter_that_came_back_told_nothing():
    returned, _other = factories.users(2, languages=("ru",))
    published(1)
    dispatch.work()
    second = published(2)
    dispatch.work()
    delivery = Delivery.objects.get(notice__edition=second, user=returned)
    Delivery.objects.record_bounce(f"{delivery.message_id_local_part}@127.0.0.1")
    mail.outbox.clear()
    published(3, material=False)
    dispatch.work()
    bodies = {letter.to[0]: letter.body for letter in mail.outbox}
    assert "Суть 2." in bodies["user0@example.kz"]
    assert "Суть 2." not in bodies["user1@example.kz"]


@pytest.mark.django_db
def test_a_letter_that_was_sent_again_after_it_came_back_told(django_user_model, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "PSEUDONYM_KEYS": {"k": "s" * 50}}
    returned, other = factories.users(2, languages=("ru",))
    published(1)
    dispatch.work()
    second = published(2)
    dispatch.work()
    for user in (returned, other):
        delivery = Delivery.objects.get(notice__edition=second, user=user)
        Delivery.objects.record_bounce(f"{delivery.message_id_local_part}@127.0.0.1")
    django_user_model.objects.filter(pk=returned.pk).update(email="new@example.kz")
    assert resend_reachable(second.notices.get()) == 1
    dispatch.work()
    mail.outbox.clear()
    published(3, material=False)
    dispatch.work()
    bodies = {letter.to[0]: letter.body for letter in mail.outbox}
    assert "Суть 2." not in bodies["new@example.kz"]
    assert "Суть 2." in bodies["user1@example.kz"]


@pytest.mark.django_db
def test_opening_the_notice_on_the_site_is_knowledge():
    reader, _other = factories.users(2, languages=("ru",))
    published(1)
    dispatch.work()
    published(2)
    assert "Суть 2." in page_of(reader)
    mail.outbox.clear()
    published(3)
    dispatch.work()
    bodies = {letter.to[0]: letter.body for letter in mail.outbox}
    assert "changes/?from=2" in bodies["user0@example.kz"]
    assert "changes/?from=1" in bodies["user1@example.kz"]


@pytest.mark.django_db
def test_a_letter_that_compares_with_an_edition_cancelled_since_told_nothing_of_what_changed_before_it():
    factories.users(1, languages=("ru",))
    published(1)
    dispatch.work()
    second = published(2, effective_from=timezone.now() + SOON)
    dispatch.work()
    published(3, effective_from=timezone.now() + 2 * SOON, material=False)
    dispatch.work()
    second.cancel()
    mail.outbox.clear()
    published(4, effective_from=timezone.now() + 3 * SOON, material=False)
    dispatch.work()
    letter = mail.outbox[-1]
    assert "changes/?from=1" in letter.body, "edition 3 contains the changes of edition 2"
    assert "ничьи права" not in letter.body


@pytest.mark.django_db
def test_a_letter_sent_after_a_cancellation_states_nothing_of_the_cancelled_edition():
    factories.users(1, languages=("ru",))
    published(1)
    dispatch.work()
    second = published(2, effective_from=timezone.now() + SOON)
    third = published(3, effective_from=timezone.now() + 2 * SOON).notices.get()
    dispatch.fan_out(third)
    before = third.texts.get(language="ru")
    assert "Суть 2." in before.text
    second.cancel()
    mail.outbox.clear()
    dispatch.work()
    (letter,) = (one.body for one in mail.outbox)
    assert "Суть 3." in letter
    assert "Суть 2." not in letter
    delivery = Delivery.objects.get(notice=third)
    assert delivery.text.text == letter != before.text


@pytest.mark.django_db
@pytest.mark.parametrize("known_by", ["the page", "an acceptance"])
def test_a_user_who_learned_of_an_edition_on_the_site_gets_the_cancellation(settings, known_by):
    settings.AGREEMENT = {**settings.AGREEMENT, "ACCEPT_ANNOUNCED": True}
    knows, _other = factories.users(2, languages=("ru",))
    published(1)
    dispatch.work()
    second = published(2, effective_from=timezone.now() + SOON)
    if known_by == "the page":
        page_of(knows)
    else:
        accept(knows, second, AcceptanceKind.EXPLICIT)
    second.cancel()
    mail.outbox.clear()
    dispatch.work()
    assert [letter.to for letter in mail.outbox] == [[knows.email]]


@pytest.mark.django_db
def test_changes_begin_with_the_account_the_import_or_the_first_silent_edition():
    now = timezone.now()
    for days in (20, 10):
        factories.draft().record(effective_from=now - timedelta(days=days))
    factories.draft().publish(notify=False)
    notice = published(4, effective_from=timezone.now() + SOON).notices.get()
    history = knowledge.History.of(notice)
    assert base_number(notice) == 2
    assert history.since(before=4) == 2
    assert history.since(before=4, created_at=now - timedelta(days=15)) == 2
    assert history.since(before=4, created_at=timezone.now()) == 3
    assert history.since(before=6, created_at=timezone.now() + 2 * SOON) == 4
    factories.draft(slug="other").publish(notify=False)
    factories.draft(slug="other").publish(notify=False)
    other = published(3, slug="other").notices.get()
    assert base_number(other) == 1
    first = published(1, slug="third").notices.get()
    second = published(2, slug="third").notices.get()
    assert [base_number(one) for one in (first, second)] == [0, 0], "nobody was sent a letter"
    factories.users(1)
    dispatch.work()
    assert base_number(published(3, slug="third").notices.get()) == 2


@pytest.mark.django_db
def test_the_version_of_a_history_changes_with_every_event_that_changes_the_history():
    [user] = factories.users(1)
    first = published(1)
    dispatch.work()
    worker, notice = Worker(dispatch.DeliveryCounts(), timezone.now), first.notices.get()
    seen = [worker.history(notice)]

    def follows() -> None:
        seen.append(worker.history(notice))
        assert seen[-1] == knowledge.History.of(notice)
        assert seen[-1] != seen[-2]

    assert worker.history(notice) is seen[0], "nothing has changed"
    Delivery.objects.get(user=user).record_bounce(reason="550 5.1.1")
    follows()
    second = published(2, effective_from=timezone.now() + SOON)
    follows()
    second.cancel()
    follows()
    silent = factories.draft()
    silent.publish(notify=False)
    follows()
    assert worker.history(notice) is seen[-1]
