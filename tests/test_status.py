"""What a monitor is told: 0 when all is well, 1 when a person is to look, 2 when one is to act."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection
from django.utils import timezone

from agreement import dispatch, status
from agreement.models import Delivery, Notice, Pace, Progress, triggers
from tests import factories


def verify() -> None:
    call_command("verify_editions", stdout=StringIO())


def run() -> tuple[int, dict[str, Any]]:
    """The exit code, and what was said in JSON."""
    out, code = StringIO(), 0
    try:
        call_command("agreement_status", format="json", stdout=out)
    except SystemExit as end:
        code = int(end.code or 0)
    said = json.loads(out.getvalue())
    assert said["level"] == code
    return code, said


@pytest.mark.django_db
def test_well_is_0_and_tells_what_is_in_force_and_next():
    factories.users(2)
    factories.published()
    dispatch.work()
    factories.published(effective_from=timezone.now() + timedelta(days=5))
    dispatch.work()
    verify()
    code, said = run()
    assert (code, said["problems"]) == (0, [])
    assert said["deliveries"] == {"waiting": 0, "sent": 4, "failed": 0, "skipped": 0}
    (known,) = said["agreements"]
    assert (known["agreement"], known["in_force"], known["next"]) == ("terms", 1, 2)
    out = StringIO()
    call_command("agreement_status", stdout=out)
    assert out.getvalue().startswith("well: nothing is wrong\nterms: edition 1 in force, next 2 from 20")


@pytest.mark.django_db
@pytest.mark.parametrize(("minutes", "level"), [(5, 0), (20, 1), (300, 2)])
def test_a_delivery_nobody_sends_is_noticed_in_time(minutes, level):
    factories.users(1)
    factories.published()
    dispatch.fan_out(Notice.objects.get())
    verify()
    at = timezone.now() + timedelta(minutes=minutes)
    found = status.status(at)
    assert found.level == level
    assert found.oldest_due is not None


@pytest.mark.django_db
def test_an_audience_that_was_never_written_is_noticed_too():
    factories.published()
    verify()
    (problem,) = status.status(timezone.now() + timedelta(minutes=20)).problems
    assert problem.startswith("nothing has been sent for 1")


@pytest.mark.django_db
def test_a_person_is_to_look_at_what_is_held_paused_away_or_failed(settings):
    factories.users(10)
    factories.published()
    notice = Notice.objects.get()
    dispatch.fan_out(notice)
    notice.pause()
    Progress.objects.update(failed=1, waiting=9, latest_at=timezone.now())
    verify()
    Pace.objects.away("email", at=timezone.now(), reason="SMTP 421")
    settings.AGREEMENT = {**settings.AGREEMENT, "HOLD": True}
    code, said = run()
    assert code == 1
    assert said["problems"] == [
        "paused notices: 1",
        "HOLD is set: nothing is sent",
        f"notice {notice.pk}: 1 of 10 failed by email",
        "email is away (SMTP 421)",
    ]
    assert not Delivery.objects.exclude(outcome="waiting").exists()


@pytest.mark.django_db
def test_a_paused_notice_is_one_however_many_channels_it_waits_for(settings):
    sms = "tests.test_channels.SmsChannel"
    settings.AGREEMENT = {**settings.AGREEMENT, "CHANNELS": ("agreement.channels.EmailChannel", sms)}
    factories.users(1)
    factories.published()
    notice = Notice.objects.get()
    dispatch.fan_out(notice)
    notice.pause()
    verify()
    assert run()[1]["problems"] == ["paused notices: 1"]


@pytest.mark.django_db
def test_what_failed_is_to_be_looked_at_for_a_week():
    factories.users(10)
    notice = factories.published().notices.get()
    dispatch.fan_out(notice)
    at = timezone.now()
    verify()
    Progress.objects.update(failed=10, waiting=0, latest_at=at)
    assert status.status(at + timedelta(days=6)).problems == [f"notice {notice.pk}: 10 of 10 failed by email"]
    assert "failed by" not in str(status.status(at + timedelta(days=8)).problems)


@pytest.mark.django_db
def test_a_channel_that_was_away_when_it_was_last_tried_is_no_problem_once_nothing_waits_for_it():
    factories.users(1)
    notice = factories.published().notices.get()
    dispatch.fan_out(notice)
    verify()
    at = timezone.now()
    Pace.objects.away("email", at=at, reason="SMTP 421")
    away = "email is away (SMTP 421)"
    assert away in status.status(at).problems
    assert away in status.status(at + timedelta(minutes=1)).problems, "it is being tried"
    Delivery.objects.skip(notice=notice, reason="left the audience")
    assert away in status.status(at).problems
    later = status.status(at + timedelta(minutes=1))
    assert (later.level, later.channels[0]["away_until"]) == (0, None)


@pytest.mark.django_db
def test_a_missing_trigger_is_to_act_on():
    factories.published()
    triggers.remove(connection, apps.get_model)
    found = status.status()
    triggers.install(connection, apps.get_model)
    assert found.level == 2
    assert "the trigger agreement_seal_" in found.problems[-1]


@pytest.mark.django_db
def test_when_the_editions_were_last_verified_and_what_was_found_is_said(monkeypatch):
    factories.published()
    dispatch.work()
    found = status.status()
    assert (found.level, found.problems) == (1, ["verify_editions has never run"])
    assert found.as_dict()["verified_at"] is None
    call_command("verify_editions", stdout=StringIO())
    found = status.status()
    assert (found.level, found.verified_at is None) == (0, False)
    assert status.status(timezone.now() + timedelta(days=8)).problems == ["verify_editions last ran 8 days ago"]

    triggers.remove(connection, apps.get_model)
    with pytest.raises(CommandError):
        call_command("verify_editions", stdout=StringIO(), stderr=StringIO())
    triggers.install(connection, apps.get_model)
    found = status.status()
    assert found.level == 2
    assert found.problems[-1].startswith("verify_editions found ")
    call_command("verify_editions", stdout=StringIO())
    assert status.status().level == 0


def test_a_database_that_is_away_is_said_and_not_raised(monkeypatch):
    def away(found: Any) -> None:
        raise DatabaseError("gone")

    monkeypatch.setattr(status, "_agreements", away)
    found = status.status()
    assert (found.level, found.problems) == (2, ["the database does not answer (DatabaseError)"])
