"""A cancellation: whoever was told of the edition is told of it, and nobody misses what the edition hid, though workers
are killed at any statement: with ``AGREEMENT_TEST_FULL=1`` at every one, otherwise at every seventh.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import connection, transaction
from django.utils import timezone

from agreement import dispatch, sending
from agreement.models import Delivery, Edition, Notice, Progress
from tests import factories

STEP = 1 if os.environ.get("AGREEMENT_TEST_FULL") else 7
TAKEN_BACK = "Пользовательское соглашение: редакция № 3 не вступит в силу"
HOUR = timedelta(hours=1)
HIDDEN = "Пользовательское соглашение: новая редакция № 2"


class Killed(BaseException):
    """As ``SIGKILL``: nothing of the process runs any more."""


@contextmanager
def killed_after(statements: int) -> Iterator[None]:
    left = statements

    def execute(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal left
        if not sql.startswith(("SAVEPOINT", "ROLLBACK", "RELEASE")):  # The test's own transaction lives on.
            left -= 1
            if left < 0:
                raise Killed
        return execute(sql, params, many, context)

    with connection.execute_wrapper(execute):
        yield
    sending._owed.clear()


def cancelled_half_way() -> Edition:
    """Of edition 3, which overtook 2 before anybody was told of it: one was told; one was being told when his worker
    died, and perhaps was.
    """
    factories.users(4, languages=("ru",))
    factories.published()
    dispatch.work()
    factories.published()
    dispatch.fan_out(Notice.objects.get(edition__number=2))
    third = factories.published(effective_from=timezone.now() + timedelta(days=5))
    notice = third.notices.get()
    dispatch.fan_out(notice)
    assert dispatch._skip_stale(timezone.now()) == 4
    (told,) = Delivery.objects.claim(notice=notice, channel="email", size=1)
    told.settle(Delivery.Outcome.SENT)
    Delivery.objects.claim(notice=notice, channel="email", size=1)
    third.cancel()
    mail.outbox.clear()
    return third


@pytest.mark.django_db
def test_wherever_a_worker_is_killed_the_told_hear_of_it_and_the_others_of_what_it_had_overtaken():
    cancelled_half_way()
    told = {f"user{number}@example.kz" for number in (0, 1)}, {f"user{number}@example.kz" for number in (1, 2, 3)}
    expected = {(address, subject) for subject, who in zip((TAKEN_BACK, HIDDEN), told, strict=True) for address in who}
    statements, alive = 0, False
    while not alive:
        with transaction.atomic():
            later = timezone.now() + timedelta(seconds=31)
            with killed_after(statements):
                try:
                    dispatch.work(clock=lambda at=later: at)
                    alive = True
                except Killed:
                    pass
            for seconds in (31, 62):  # The leases of whoever was killed are over.
                dispatch.work(clock=lambda at=later, more=seconds: at + timedelta(seconds=more))
            letters = Counter((message.to[0], message.subject) for message in mail.outbox)
            assert set(letters) == expected, statements
            assert letters.total() <= 6, "more than the message in flight was repeated"
            assert Progress.objects.total() == {"waiting": 0, "sent": 10, "failed": 0, "skipped": 4}, statements
            assert not Delivery.objects.leased().exists()
            transaction.set_rollback(True)
        mail.outbox.clear()
        statements += STEP
    assert statements > 50


@pytest.mark.django_db
@pytest.mark.parametrize("notify", [True, False])
def test_whoever_a_letter_about_a_later_edition_told_of_it_is_told_that_it_was_cancelled(notify):
    factories.users(3, languages=("ru",))
    factories.published()
    dispatch.work()
    second = factories.draft()
    second.publish(effective_from=timezone.now() + timedelta(days=5), reason="Сот шешімі.", notify=notify)
    third = factories.published(effective_from=timezone.now() + timedelta(days=9))
    dispatch.fan_out(third.notices.get())
    Delivery.objects.filter(pk__in=[third.notices.get().deliveries.first().pk]).update(due_at=timezone.now() + HOUR)
    dispatch.work()
    second.cancel()
    mail.outbox.clear()
    dispatch.work(clock=lambda: timezone.now() + 2 * HOUR)
    letters = Counter((message.to[0], message.subject) for message in mail.outbox)
    cancelled = {(f"user{number}@example.kz", TAKEN_BACK.replace("3", "2")) for number in range(3)}
    assert letters == Counter({*cancelled, ("user0@example.kz", HIDDEN.replace("2", "3"))}), "the last letter first"


@pytest.mark.django_db
def test_whoever_the_mail_log_says_was_told_by_a_later_letter_is_told_of_the_cancellation():
    factories.users(2, languages=("ru",))
    factories.published()
    dispatch.work()
    second = factories.draft()
    second.publish(effective_from=timezone.now() + timedelta(days=5), reason="Сот шешімі.", notify=False)
    third = factories.published(effective_from=timezone.now() + timedelta(days=9))
    dispatch.fan_out(third.notices.get())
    assert dispatch.reconcile(f"{one.identity}@127.0.0.1" for one in third.notices.get().deliveries.all()) == 2
    second.cancel()
    mail.outbox.clear()
    dispatch.work()
    assert [message.subject for message in mail.outbox] == [TAKEN_BACK.replace("3", "2")] * 2


@pytest.mark.django_db
def test_a_cancellation_is_no_news_to_whoever_knew_the_edition_by_no_letter():
    factories.users(2, languages=("ru",))
    factories.published()
    dispatch.work()
    second = factories.published(effective_from=timezone.now() + timedelta(days=5))
    dispatch.work()
    second.cancel()
    factories.published(effective_from=timezone.now() + timedelta(days=9))
    (late,) = factories.users(1)
    dispatch.work()
    assert Delivery.objects.filter(notice__kind=Notice.Kind.CANCELLED).count() == 2
    assert Delivery.objects.filter(user=late).count() == 1


@pytest.mark.django_db
def test_what_a_cancellation_makes_no_news_is_among_what_a_round_says_it_did():
    factories.users(3)
    scheduled = factories.published(effective_from=timezone.now() + timedelta(days=5))
    dispatch.fan_out(scheduled.notices.get())
    scheduled.cancel()
    assert dispatch.work().skipped == 3
    assert Progress.objects.total()["skipped"] == 3
