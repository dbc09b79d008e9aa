"""A cancellation reaches every user who was notified of the edition, and the others get the notices that the edition
had overtaken, though workers are killed at any statement: with ``AGREEMENT_TEST_FULL=1`` at every one, otherwise at
every seventh.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.mail import EmailMessage
from django.db import connection, transaction
from django.utils import timezone

from agreement.models import Delivery, DeliveryOutcome, Edition, Notice, NoticeKind, Progress
from agreement.notices import batch, dispatch
from tests.support import factories
from tests.support.scale import FULL

STEP = 1 if FULL else 7
CANCELLED_SUBJECT = "Условия не изменятся"
HOUR = timedelta(hours=1)
OVERTAKEN_SUBJECT = "Условия изменились"
ANNOUNCED_SUBJECT = "Условия изменятся"


def first_words(message: EmailMessage) -> str:
    """The first words of the subject, which state what happened to the edition, without the day."""
    return re.sub(r" \d+\s\w+", "", message.subject.partition(":")[0])


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
    batch._unrecorded.clear()


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
    assert dispatch._skip_overtaken(timezone.now()) == 4
    (notified,) = Delivery.objects.claim(notice=notice, channel="email", size=1)
    notified.record_outcome(DeliveryOutcome.SENT)
    Delivery.objects.claim(notice=notice, channel="email", size=1)
    third.cancel()
    mail.outbox.clear()
    return third


@pytest.mark.django_db
def test_after_any_kill_notified_users_get_the_cancellation_and_the_others_the_overtaken_notices():
    cancelled_half_way()
    recipients = {f"user{number}@example.kz" for number in (0, 1)}, {f"user{number}@example.kz" for number in (1, 2, 3)}
    expected = {
        (address, subject)
        for subject, who in zip((CANCELLED_SUBJECT, OVERTAKEN_SUBJECT), recipients, strict=True)
        for address in who
    }
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
            letters = Counter((message.to[0], first_words(message)) for message in mail.outbox)
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
def test_a_user_notified_by_the_letter_about_a_later_edition_gets_the_cancellation(notify):
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
    letters = Counter((message.to[0], first_words(message)) for message in mail.outbox)
    cancelled = {(f"user{number}@example.kz", CANCELLED_SUBJECT) for number in (1, 2)}
    assert letters == Counter({*cancelled, ("user0@example.kz", ANNOUNCED_SUBJECT)}), (
        "the last letter does not mention the cancelled edition"
    )


@pytest.mark.django_db
def test_a_user_found_in_the_mail_log_for_a_later_letter_gets_the_cancellation():
    factories.users(2, languages=("ru",))
    factories.published()
    dispatch.work()
    second = factories.draft()
    second.publish(effective_from=timezone.now() + timedelta(days=5), reason="Сот шешімі.", notify=False)
    third = factories.published(effective_from=timezone.now() + timedelta(days=9))
    dispatch.fan_out(third.notices.get())
    assert (
        dispatch.reconcile(f"{one.message_id_local_part}@127.0.0.1" for one in third.notices.get().deliveries.all())
        == 2
    )
    second.cancel()
    mail.outbox.clear()
    dispatch.work()
    assert [first_words(message) for message in mail.outbox] == [CANCELLED_SUBJECT] * 2


@pytest.mark.django_db
def test_a_user_who_got_no_letter_about_the_edition_gets_no_cancellation():
    factories.users(2, languages=("ru",))
    factories.published()
    dispatch.work()
    second = factories.published(effective_from=timezone.now() + timedelta(days=5))
    dispatch.work()
    second.cancel()
    factories.published(effective_from=timezone.now() + timedelta(days=9))
    (late,) = factories.users(1)
    dispatch.work()
    assert Delivery.objects.filter(notice__kind=NoticeKind.CANCELLED).count() == 2
    assert Delivery.objects.filter(user=late).count() == 1


@pytest.mark.django_db
def test_deliveries_that_a_cancellation_skips_are_counted():
    factories.users(3)
    scheduled = factories.published(effective_from=timezone.now() + timedelta(days=5))
    dispatch.fan_out(scheduled.notices.get())
    scheduled.cancel()
    assert dispatch.work().skipped == 3
    assert Progress.objects.total()["skipped"] == 3
