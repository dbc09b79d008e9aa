"""A cancellation that is killed at any statement: whoever was told is told of it, and nobody misses what it hid.

With ``AGREEMENT_TEST_FULL=1`` at every one, otherwise at every seventh.
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
    """Of edition 3, which overtook 2 before anybody was told of it: one was told, one was in a dead worker's hands."""
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
    expected = {"user0@example.kz": TAKEN_BACK, **{f"user{number}@example.kz": HIDDEN for number in (1, 2, 3)}}
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
            assert dict(letters.keys()) == expected, statements
            assert letters.total() <= 5, "more than the message in flight was repeated"
            assert Progress.objects.total() == {"waiting": 0, "sent": 9, "failed": 0, "skipped": 4}, statements
            assert not Delivery.objects.leased().exists()
            transaction.set_rollback(True)
        mail.outbox.clear()
        statements += STEP
    assert statements > 50
