"""Acceptances from before the app: all lines of the file or none, and every bad one named by its number."""

from __future__ import annotations

import io
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.utils import timezone

from agreement.management.commands.import_acceptances import Command
from agreement.models import Acceptance, AuditEntry, Edition, Withdrawal
from tests.support import factories

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
START = timezone.now().replace(microsecond=0) - 30 * DAY


@pytest.fixture
def history() -> list[Edition]:
    """Two editions of the past, in force from the thirtieth and from the tenth day before today."""
    editions = [factories.draft() for _ in range(2)]
    for number, edition in enumerate(editions):
        edition.record(effective_from=START + number * 20 * DAY)
    factories.users(3)
    return editions


def run(folder: Path, lines: str, **options: object) -> str:
    file, out = folder / "acceptances.csv", io.StringIO()
    file.write_text(lines, encoding="utf-8")
    call_command("import_acceptances", str(file), stdout=out, **options)
    return out.getvalue()


def at(days: float) -> str:
    return (START + days * DAY).isoformat()


def test_history_is_recorded_as_it_happened_and_repeating_it_is_harmless(history, tmp_path):
    lines = f"user,edition,at,language\nuser0,1,{at(1)},kk\nuser1,1,{at(19.5)},\nuser0,2,{at(20)},ru\n"

    assert run(tmp_path, lines) == "Recorded 3 acceptances of 'terms'.\n"
    assert run(tmp_path, lines) == "Recorded 0 acceptances of 'terms'. 3 were recorded already and stay unchanged.\n"

    rows = Acceptance.objects.order_by("at")
    assert [(row.user.username, row.edition.number, row.language, row.kind) for row in rows] == [
        ("user0", 1, "kk", "imported"),
        ("user1", 1, "", "imported"),
        ("user0", 2, "ru", "imported"),
    ]
    assert [(row.at, row.digest, row.displayed) for row in rows] == [
        (START + days * DAY, history[number].digest, False) for days, number in ((1, 0), (19.5, 0), (20, 1))
    ]
    assert AuditEntry.objects.filter(action="accepted", model="agreement", note="acceptances.csv").count() == 2


@pytest.mark.parametrize(("dry_run", "verb"), [(False, "Recorded"), (True, "Would record")])
def test_earlier_acceptances_of_users_are_not_counted_as_recorded(history, tmp_path, dry_run, verb):
    user = get_user_model().objects.get(username="user0")
    Acceptance.objects.record(user=user, edition=history[1], digest=history[1].digest, language="kk", kind="deemed")

    printed = run(tmp_path, f"user,edition,at\nuser0,2,{at(21)}\nuser1,2,{at(21)}\n", dry_run=dry_run)

    assert printed == f"{verb} 1 acceptances of 'terms'. 1 were recorded already and stay unchanged.\n"
    assert Acceptance.objects.filter(kind="imported").count() == (0 if dry_run else 1)
    assert AuditEntry.objects.filter(action="accepted").exists() != dry_run


def test_a_dry_run_records_nothing(history, tmp_path):
    printed = run(tmp_path, f"user,edition,at\nuser0,1,{at(1)}\n", dry_run=True)
    assert printed == "Would record 1 acceptances of 'terms'.\n"
    assert not Acceptance.objects.exists()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        pytest.param(f"nobody,1,{at(1)}", "There is no user “nobody”.", id="an unknown user"),
        pytest.param(f"user0,3,{at(1)}", "'terms' has no edition '3'.", id="an unknown edition"),
        pytest.param(f"user0,2,{at(1)}", "edition 2 was not in force at", id="an edition to come then"),
        pytest.param(f"user0,1,{at(-1)}", "edition 1 was not in force at", id="before the first edition"),
        pytest.param("user0,1,2100-01-01T00:00:00Z", "is in the future.", id="to come"),
        pytest.param("user0,1,2026-01-01T00:00:00", "has no time zone.", id="without a zone"),
        pytest.param("user0,1,yesterday", "'yesterday' is not an instant.", id="no instant"),
        pytest.param("user0,1", "it has more or fewer cells", id="a cell too few"),
        pytest.param(f"user0,1,{at(1)},kk,x", "it has more or fewer cells", id="a cell too many"),
        pytest.param(f"user0,1,{at(1)},en", "'en' is not a language of the texts.", id="no language"),
        pytest.param(f"{'9' * 40},1,{at(1)}", "There is no user", id="a key beyond every number"),
        pytest.param(f"\x00,1,{at(1)}", "Line 3: There is no user", id="a character no database keeps"),
    ],
)
@pytest.mark.parametrize("dry_run", [False, True])
def test_a_bad_line_is_named_by_its_number_and_nothing_is_recorded(history, tmp_path, line, says, dry_run):
    with pytest.raises(CommandError) as caught:
        run(tmp_path, f"user,edition,at,language\nuser0,1,{at(1)},kk\n{line}\nuser1,1,{at(1)},kk\n", dry_run=dry_run)
    assert says in str(caught.value)
    assert "Line 3: " in str(caught.value)
    assert "Nothing was recorded" in str(caught.value)
    assert not Acceptance.objects.exists()


def test_an_acceptance_after_a_final_withdrawal_is_a_bad_line(history, tmp_path):
    withdrawal = Withdrawal.objects.register(
        agreement=history[0].agreement,
        user=get_user_model().objects.get(username="user0"),
        outcome="ended",
        received_on=(START + 2 * DAY).date(),
        effective_at=START + 3 * DAY,
        may_accept_again=False,
    )
    with pytest.raises(CommandError, match=f"Line 3: 'user0' had withdrawn their consent .{withdrawal.reference}"):
        run(tmp_path, f"user,edition,at\nuser0,1,{at(1)}\nuser0,1,{at(4)}\n")
    assert not Acceptance.objects.exists()


def test_of_many_bad_lines_some_are_named_and_the_rest_counted(history, tmp_path):
    with pytest.raises(CommandError, match="And 5 more"):
        run(tmp_path, "user,edition,at\n" + f"nobody,1,{at(1)}\n" * 25)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "It must name the columns: user,edition,at,language"),
        ("who,edition,at\n", "It must name the columns: user,edition,at,language"),
        ("user,edition,at,reason\n", "It must name the columns: user,edition,at,language"),
        ('user,edition,at\n"user0,1,x\n', "can't be read"),
    ],
)
def test_what_is_no_such_file_is_refused(history, tmp_path, content, says):
    with pytest.raises(CommandError, match=says):
        run(tmp_path, content)


def test_a_file_that_is_not_there_is_named():
    factories.published()
    with pytest.raises(CommandError, match="can't be read"):
        call_command("import_acceptances", "nowhere.csv")


def test_of_several_agreements_one_is_to_be_named(history, tmp_path):
    factories.published(slug="privacy")
    lines = f"user,edition,at\nuser0,1,{at(1)}\n"
    with pytest.raises(CommandError, match="Agreements with published editions: privacy, terms"):
        run(tmp_path, lines)
    assert "Recorded 1" in run(tmp_path, lines, agreement="terms")


def test_if_a_line_became_untrue_meanwhile_nothing_is_recorded(history, tmp_path, monkeypatch):
    asked: list[str] = []
    real = Command.line

    def line(self, row, timeline):
        asked.append(row["user"])
        return "it changed." if len(asked) == 4 else real(self, row, timeline)

    monkeypatch.setattr(Command, "line", line)
    with pytest.raises(CommandError, match="Line 3: it changed. Nothing was recorded"):
        run(tmp_path, f"user,edition,at\nuser0,1,{at(1)}\nuser1,1,{at(1)}\n")
    assert not Acceptance.objects.exists()
    assert not AuditEntry.objects.filter(action="accepted").exists()


def test_a_line_whose_user_is_not_one_user_is_named_with_what_to_write(history, tmp_path, monkeypatch):
    users = get_user_model()
    one, other, third = users.objects.order_by("pk")
    users.objects.filter(pk=one.pk).update(username=str(other.pk))
    with pytest.raises(CommandError) as caught:
        run(tmp_path, f"user,edition,at\n{other.pk},1,{at(1)}\n")
    ambiguous = f"Line 2: “{other.pk}” is the name of one user and the key of another user."
    assert f"{ambiguous} Write name:{other.pk} or key:" in str(caught.value)
    run(tmp_path, f"user,edition,at\nname:{other.pk},1,{at(1)}\nkey:{third.pk},1,{at(1)}\n")
    assert set(Acceptance.objects.values_list("user", flat=True)) == {one.pk, third.pk}

    monkeypatch.setattr(users, "USERNAME_FIELD", "email")
    users.objects.update(email="both@example.kz")
    with pytest.raises(CommandError) as caught:
        run(tmp_path, f"user,edition,at\nboth@example.kz,1,{at(1)}\n")
    assert "Line 2: Several users have the name “both@example.kz”. Write “key:” and then" in str(caught.value)
