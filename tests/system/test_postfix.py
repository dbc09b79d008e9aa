"""Notices through a real Postfix: who is reached, who is refused, and whose letter comes back later.

With ``AGREEMENT_TEST_FULL=1`` there are 1,000 letters, otherwise 50; ``-s`` prints the figures.
"""

from __future__ import annotations

import time
from collections import Counter
from email import message_from_bytes
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from agreement.models import Bounce, Delivery, Progress
from agreement.notices import dispatch
from agreement.status import status
from tests.management.test_commands import run
from tests.support import factories
from tests.support.postfix import needs_postfix, postfix
from tests.support.scale import FULL
from tests.support.smtp_server import mail_by

COUNT = 1_000 if FULL else 50
AMISS = COUNT // 50


@needs_postfix
@pytest.mark.django_db
@pytest.mark.parametrize("verp", ["", "bounces@portal.example.kz"], ids=["Message-ID", "VERP"])
def test_refused_and_returned_letters_are_recorded_and_all_others_arrive(settings: Any, verp: str) -> None:
    settings.AGREEMENT = {**settings.AGREEMENT, "VERP": verp}
    users = factories.users(COUNT)
    # They lie apart: Postfix delays and ends a session with ten or twenty refusals and no letter in between.
    refused, away = users[::50], users[25::50]
    for group, domain in ((refused, "refused"), (away, "away")):
        for user in group:
            user.email = f"{user.username}@{domain}.example.net"
    get_user_model().objects.bulk_update([*refused, *away], ["email"])
    reached = Counter(user.email for user in users if user.email.endswith("@example.kz"))
    factories.published()
    with postfix() as server:
        mail_by(settings, "django.core.mail.backends.smtp.EmailBackend", host="127.0.0.1", port=server.port)
        began = time.monotonic()
        counts = dispatch.work()
        sent = time.monotonic()
        server.wait(server.inbox, COUNT - 2 * AMISS)
        server.wait(server.bounces, AMISS)
        arrived = time.monotonic()
        first = run("record_bounces", str(server.bounces))
        recorded = time.monotonic()
        again = run("record_bounces", str(server.bounces))
        letters = [message_from_bytes(path.read_bytes()) for path in server.inbox.glob("new/*")]

    print(f"\n{COUNT} letters ({verp or 'Message-ID'}): sent in {sent - began:.1f} s, the last arrived")
    print(f"{arrived - sent:.1f} s later, {AMISS} bounces recorded in {recorded - arrived:.2f} s\n{first}")
    assert (counts.sent, counts.failed) == (COUNT - AMISS, AMISS)
    assert Counter(letter["To"] for letter in letters) == reached
    assert set(Delivery.objects.filter(outcome="failed").values_list("user", "reason")) == {
        (user.pk, "SMTP 550 5.1.1") for user in refused
    }
    bounces = Bounce.objects.values_list("delivery__user", "reason")
    assert set(bounces) == {(user.pk, "5.1.1") for user in away}
    assert Progress.objects.get().bounced == AMISS
    assert f"recorded as returned  {AMISS:>6}" in first
    assert again == "Processed 0 mails.\n"
    assert any(f"{2 * AMISS} of {COUNT} were not reached by email" in problem for problem in status().problems)
    if verp:
        assert len({letter["Return-Path"] for letter in letters}) == len(letters)
