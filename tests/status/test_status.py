"""The level for monitors: 0 when all is well, 1 when a person must look, 2 when a person must act."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from io import StringIO
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django.utils import timezone

from agreement.models import (
    AuditEntry,
    ChannelState,
    Checkpoint,
    Delivery,
    Notice,
    Progress,
    TimeStamp,
    Withdrawal,
)
from agreement.notices import dispatch
from agreement.seal import triggers
from agreement.status import report
from agreement.testing import open_seal
from tests.support import factories


def verify() -> None:
    call_command("verify_editions", stdout=StringIO())


def run() -> tuple[int, dict[str, Any]]:
    """The exit code, and the JSON output."""
    out, code = StringIO(), 0
    try:
        call_command("agreement_status", format="json", stdout=out)
    except SystemExit as end:
        code = int(end.code or 0)
    output = json.loads(out.getvalue())
    assert output["level"] == code
    return code, output


@pytest.mark.django_db
def test_level_0_lists_the_editions_in_force_and_next():
    factories.users(2)
    factories.published()
    dispatch.work()
    factories.published(effective_from=timezone.now() + timedelta(days=5))
    dispatch.work()
    verify()
    code, output = run()
    assert (code, output["problems"]) == (0, [])
    assert output["deliveries"] == {"waiting": 0, "sent": 4, "failed": 0, "skipped": 0}
    (known,) = output["agreements"]
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
    found = report.status(at)
    assert found.level == level
    assert found.oldest_due is not None


@pytest.mark.django_db
def test_an_audience_that_was_never_written_is_noticed_too():
    factories.published()
    verify()
    (problem,) = report.status(timezone.now() + timedelta(minutes=20)).problems
    assert problem.startswith("nothing has been sent for 1")


@pytest.mark.django_db
def test_suspended_paused_away_or_failed_is_level_1(settings):
    factories.users(10)
    factories.published()
    notice = Notice.objects.get()
    dispatch.fan_out(notice)
    notice.pause()
    verify()
    Progress.objects.update(failed=1, waiting=9, latest_at=timezone.now())
    ChannelState.objects.mark_away("email", at=timezone.now(), reason="SMTP 421")
    settings.AGREEMENT = {**settings.AGREEMENT, "SENDING_SUSPENDED": True}
    code, output = run()
    assert code == 1
    assert output["problems"] == [
        "paused notices: 1",
        "SENDING_SUSPENDED is set: nothing is sent",
        f"notice {notice.pk}: 1 of 10 were not reached by email (failed 1, returned 0, skipped 0)",
        "email is unavailable (SMTP 421)",
    ]
    assert not Delivery.objects.exclude(outcome="waiting").exists()


@pytest.mark.django_db
def test_a_paused_notice_is_one_however_many_channels_it_waits_for(settings):
    sms = "tests.notices.test_channels.SmsChannel"
    settings.AGREEMENT = {**settings.AGREEMENT, "CHANNELS": ("agreement.notices.channels.EmailChannel", sms)}
    factories.users(1)
    factories.published()
    notice = Notice.objects.get()
    dispatch.fan_out(notice)
    notice.pause()
    verify()
    assert run()[1]["problems"] == ["paused notices: 1"]


@pytest.mark.django_db
def test_that_users_were_not_reached_is_a_problem_for_a_week_unless_a_newer_notice_is_for_them_too():
    factories.users(100)
    notice = factories.published().notices.get()
    dispatch.fan_out(notice)
    at = timezone.now()
    verify()
    row = Progress.objects.get()
    row.waiting, row.sent, row.failed, row.skipped, row.bounced, row.latest_at = 0, 95, 2, 3, 2, at
    row.reasons = {"failed": {"SMTP 550": 2}, "skipped": {"no address": 1, "inactive": 2}}
    row.save()

    (problem,) = report.status(at + timedelta(days=6)).problems
    assert problem == f"notice {notice.pk}: 5 of 100 were not reached by email (failed 2, returned 2, skipped 1)"
    assert report.status(at + timedelta(days=6)).level == 1
    assert "not reached" not in str(report.status(at + timedelta(days=8)).problems)
    factories.published()
    assert "not reached" not in str(report.status(at + timedelta(minutes=1)).problems)


@pytest.mark.django_db
def test_a_channel_that_was_away_when_it_was_last_tried_is_no_problem_once_nothing_waits_for_it():
    factories.users(1)
    notice = factories.published().notices.get()
    dispatch.fan_out(notice)
    verify()
    at = timezone.now()
    ChannelState.objects.mark_away("email", at=at, reason="SMTP 421")
    away = "email is unavailable (SMTP 421)"
    assert away in report.status(at).problems
    assert away in report.status(at + timedelta(minutes=1)).problems, "it is being tried"
    Delivery.objects.skip(notice=notice, reason="no longer in the audience")
    assert away in report.status(at).problems
    later = report.status(at + timedelta(minutes=1))
    assert (later.level, later.channels[0]["away_until"]) == (0, None)


@pytest.mark.django_db
def test_a_missing_trigger_is_to_act_on():
    factories.published()
    triggers.remove(connection, apps.get_model)
    found = report.status()
    triggers.install(connection, apps.get_model)
    assert found.level == 2
    assert "the trigger agreement_seal_" in found.problems[-1]


@pytest.mark.django_db
def test_the_last_verification_and_its_result_are_reported(monkeypatch):
    factories.published()
    dispatch.work()
    found = report.status()
    assert (found.level, found.problems) == (1, ["verify_editions has never run"])
    assert found.as_dict()["verified_at"] is None
    call_command("verify_editions", stdout=StringIO())
    found = report.status()
    assert (found.level, found.verified_at is None) == (0, False)
    assert report.status(timezone.now() + timedelta(days=8)).problems == ["verify_editions last ran 8 days ago"]

    triggers.remove(connection, apps.get_model)
    with pytest.raises(CommandError):
        call_command("verify_editions", stdout=StringIO(), stderr=StringIO())
    triggers.install(connection, apps.get_model)
    found = report.status()
    assert found.level == 2
    assert found.problems[-1].startswith("verify_editions found ")
    call_command("verify_editions", stdout=StringIO())
    assert report.status().level == 0


@pytest.mark.django_db
def test_a_false_entry_with_a_high_key_does_not_hide_a_later_fault():
    edition = factories.published()
    AuditEntry.objects.log("verified", on=edition)
    with open_seal():
        AuditEntry.objects.filter(action="verified").update(id=9223372036854775000)
    faulty = AuditEntry(at=timezone.now(), action="faulty", model="edition", key=str(edition.pk), note="1")
    faulty.pk = 900
    faulty.save(force_insert=True)

    assert report.status().problems[-1] == "verify_editions found 1 faults"


@pytest.mark.parametrize("error", [DatabaseError, OperationalError, InterfaceError])
def test_a_database_that_does_not_answer_is_reported_and_not_raised(error, db):
    def away(*_query: object) -> None:
        raise error("gone")

    with connection.execute_wrapper(away):
        found = report.status()
    assert (found.level, found.problems) == (2, [f"the database does not answer ({error.__name__})"])
    assert found.lines()[1:] == ["editions verified: unknown"]
    assert "editions verified: never" in report.status().lines()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("days", "level", "problem"),
    [
        (12, 0, ""),
        (13, 1, "replies to applications to withdraw that are due soon: 1, the first by 2026-03-16"),
        (15, 1, "replies to applications to withdraw that are due soon: 2, the first by 2026-03-16"),
        (16, 2, "replies to applications to withdraw that are late: 1, the first by 2026-03-16"),
    ],
)
def test_a_reply_to_an_application_to_withdraw_is_asked_for_before_its_last_day_is_over(days, level, problem):
    """One of 1 March, one of the day after, and one that was answered on paper. The days are those of the agreement."""
    agreement = factories.published().agreement
    for day in (1, 2, 1):
        Withdrawal.objects.register(
            agreement=agreement, applicant="А. Ахметов", outcome="ended", received_on=date(2026, 3, day)
        )
    Withdrawal.objects.filter(serial=3).record_reply(on=date(2026, 3, 5))
    at = datetime(2026, 3, 1, 1, tzinfo=ZoneInfo("Asia/Almaty")) + timedelta(days=days)

    found = report.Status(at)
    report._add_replies(found)

    assert found.level == level
    assert found.problems[:1] == ([problem] if problem else [])
    if days == 16:
        assert found.problems[1:] == [
            "replies to applications to withdraw that are due soon: 1, the first by 2026-03-17"
        ]
    assert run()[1]["problems"][0].startswith("replies to applications to withdraw that are late: 2")


@pytest.mark.django_db
def test_what_was_entered_a_day_ago_must_have_a_time_stamp_if_the_site_has_an_authority(settings):
    factories.published()
    entered = Checkpoint.objects.get().at
    settings.AGREEMENT = {**settings.AGREEMENT, "TIMESTAMP_AUTHORITY": "https://tsa.example.kz"}

    def problems(hours: float) -> list[str]:
        found = report.Status(entered + timedelta(hours=hours))
        report._add_time_stamps(found)
        assert found.level == (1 if found.problems else 0)
        return found.problems

    since = entered.isoformat(timespec="minutes")
    named = [f"the log of terms has entries without a time stamp since {since}: run stamp_log"]
    assert problems(23) == []
    assert problems(25) == named
    assert named[0] in report.status(entered + timedelta(hours=25)).problems

    # The entry about the stamp needs none.
    TimeStamp.objects.record(
        checkpoint=Checkpoint.objects.get(), authority="x", stamped_at=entered, response=b"x", certificates=""
    )
    assert problems(25) == []
    factories.published()
    assert problems(23) == []
    assert len(problems(25)) == 1

    settings.AGREEMENT = {**settings.AGREEMENT, "TIMESTAMP_AUTHORITY": ""}
    assert problems(25) == []
