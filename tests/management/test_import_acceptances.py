"""Acceptances from before the app: all lines of the file or none, and every bad one named by its number."""

from __future__ import annotations

import hashlib
import io
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.utils import timezone

from agreement.models import Acceptance, AuditEntry, Edition, Withdrawal
from agreement.signals import acceptance_recorded
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
    digest = hashlib.sha256(lines.encode()).hexdigest()
    assert AuditEntry.objects.filter(action="accepted", model="agreement", note="3 lines", digest=digest).count() == 2


def test_the_log_has_the_digest_of_the_file_and_not_its_name(history, tmp_path):
    file = tmp_path / "Асан Серік asan@example.kz.csv"
    file.write_bytes(f"\ufeffuser,edition,at\r\nuser0,1,{at(1)}\r\n\r\nuser1,1,{at(2)}".encode())

    call_command("import_acceptances", str(file), stdout=io.StringIO())

    entry = AuditEntry.objects.get(action="accepted")
    assert (entry.note, entry.digest) == ("2 lines", hashlib.sha256(file.read_bytes()).hexdigest())
    assert not any("asan" in str(value) for row in AuditEntry.objects.values_list() for value in row)


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
    with pytest.raises(CommandError, match=f"Line 3: the user had withdrawn their consent .{withdrawal.reference}"):
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


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("change", ["withdraw", "delete the account"])
def test_a_line_that_became_wrong_after_the_check_ends_the_import_there(history, tmp_path, monkeypatch, change):
    monkeypatch.setattr("agreement.management.acceptance_file.BATCH", 1)
    user = get_user_model().objects.get(username="user1")

    def change_second_user(**_event: object) -> None:
        if change == "withdraw":
            Withdrawal.objects.register(
                agreement=history[0].agreement,
                user=user,
                outcome="ended",
                received_on=START.date(),
                effective_at=START + DAY,
                may_accept_again=False,
            )
        else:
            get_user_model().objects.filter(pk=user.pk).delete()

    acceptance_recorded.connect(change_second_user)
    try:
        with pytest.raises(CommandError) as caught:
            run(tmp_path, f"user,edition,at\nuser0,1,{at(1)}\nuser1,1,{at(2)}\nuser2,1,{at(2)}\n")
    finally:
        acceptance_recorded.disconnect(change_second_user)

    says = {
        "withdraw": "Line 3: the user had withdrawn",
        "delete the account": "An account was deleted in the meantime",
    }
    assert says[change] in str(caught.value)
    assert "1 acceptances were recorded before this and stay." in str(caught.value)
    assert [row.user.username for row in Acceptance.objects.all()] == ["user0"]


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
    several = "Line 2: Several users have the name or address “both@example.kz”. Write “key:” and then"
    assert several in str(caught.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param("user,user,edition,at\nx,user0,1,{at}\n", "'user,user,edition,at'", id="a column twice"),
        pytest.param("user,edition,at\n", "has no line after the first", id="no acceptance"),
        pytest.param("user;edition,at\nuser0;1,{at}\n", "'user;edition,at'", id="two delimiters"),
        pytest.param("user,edition,at\n\nuser0,1,{at}\n'user0,1,\"{at}\n", "Line 4: ", id="a quote inside a cell"),
        pytest.param('user,edition,at\nuser0,1,{at}\n"user0,1,x\nuser1,1,y\n', "Line 3: ", id="an open quote"),
        pytest.param("user,edition,at\n" + "x" * 200_000, "Line 2: it is longer than", id="a line without end"),
        pytest.param('user,edition,at\n"' + "x\n" * 200_000, "Line 2: field larger", id="a cell without end"),
    ],
)
def test_a_file_of_another_form_is_refused_with_its_place(history, tmp_path, content, says):
    with pytest.raises(CommandError) as caught:
        run(tmp_path, content.format(at=at(1)))
    assert says in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert not Acceptance.objects.exists()


@pytest.mark.parametrize("encoding", ["utf-16", "cp1251", "utf-32"])
def test_another_encoding_is_refused_with_what_to_choose_in_excel(history, tmp_path, encoding):
    file = tmp_path / "acceptances.csv"
    file.write_bytes(f"user,edition,at\nАйгүл,1,{at(1)}\n".replace("ү", "у").encode(encoding))
    with pytest.raises(CommandError, match="is not UTF-8.*CSV UTF-8"):
        call_command("import_acceptances", str(file))


def test_a_file_of_excel_with_semicolons_a_mark_and_crlf_is_read(history, tmp_path):
    lines = f"\ufeffuser;edition;at;language\r\nuser0;1;{at(1)};kk\r\n\r\nuser1;1;{at(2)};\r\n"
    assert run(tmp_path, lines) == "Recorded 2 acceptances of 'terms'.\n"
    assert Acceptance.objects.get(at=START + DAY).language == "kk"


def test_a_file_that_is_no_file_is_named(history, tmp_path):
    for name in (str(tmp_path), "a\x00b"):
        with pytest.raises(CommandError, match="can't be read"):
            call_command("import_acceptances", name)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(f"{at(2)},kk", id="another moment"),
        pytest.param(f"{at(1)},ru", id="another language"),
        pytest.param(f"{at(1)},", id="no language"),
    ],
)
@pytest.mark.parametrize("accepted", [False, True])
def test_two_lines_that_contradict_each_other_are_refused_and_both_named(history, tmp_path, other, accepted):
    user = get_user_model().objects.get(username="user0")
    if accepted:  # The first line then says what is recorded already.
        run(tmp_path, f"user,edition,at,language\nuser0,1,{at(1)},kk\n")
    with pytest.raises(CommandError) as caught:
        run(tmp_path, f"user,edition,at,language\nuser0,1,{at(1)},kk\nuser1,1,{at(1)},\nkey:{user.pk},1,{other}\n")
    assert "Line 4: line 2 gives another moment or language" in str(caught.value)
    assert Acceptance.objects.count() == accepted


def test_a_line_that_repeats_another_is_recorded_once(history, tmp_path):
    user = get_user_model().objects.get(username="user0")
    same = (START + DAY).astimezone(timezone.get_fixed_timezone(360)).isoformat()
    lines = f"user,edition,at,language\nuser0,1,{at(1)},kk\nkey:{user.pk},1,{same},kk\n"
    for dry_run in (True, False):
        assert "1 acceptances of 'terms'. 1 were recorded already" in run(tmp_path, lines, dry_run=dry_run)
    assert Acceptance.objects.count() == 1


@pytest.mark.parametrize(
    "written",
    [
        pytest.param("2026-03-01T09:00:00+05:00\x00", id="NUL"),
        pytest.param("٢٠٢٦-03-01T09:00:00+05:00", id="Arabic digits"),
        pytest.param("2026-03-01T09:00:00+٠٥:00", id="Arabic digits of the offset"),
        pytest.param("2026-W09-7T09:00:00+05:00", id="a week date"),
        pytest.param("20260301T090000+0500", id="no hyphens"),
        pytest.param("2026-03-01_09:00:00+05:00", id="another separator"),
        pytest.param("2026-03-01T09:00:00.1234567+05:00", id="more than microseconds"),
        pytest.param("2026-03-01T24:00:00+05:00", id="hour 24"),
        pytest.param("2026-02-30T09:00:00+05:00", id="no such day"),
        pytest.param("2026-03-01T09:00:60+05:00", id="a leap second"),
        pytest.param("2026-03-01T09:00:00+05:99", id="no such offset"),
        pytest.param("0001-01-01T00:00:00+05:00", id="before the calendar"),
        pytest.param("1772337600", id="seconds"),
    ],
)
def test_an_instant_is_written_strictly_as_rfc_3339(history, tmp_path, written):
    with pytest.raises(CommandError, match=r"Line 2: .* is not an instant\. Write it as 2026-03-01T09:00:00\+05:00"):
        run(tmp_path, f"user,edition,at\nuser0,1,{written}\n")


@pytest.mark.parametrize("form", ["{:%Y-%m-%dT%H:%M:%SZ}", "{:%Y-%m-%d %H:%M:%S+00}", "{:%Y-%m-%dt%H:%M+0000}"])
def test_an_instant_may_be_written_as_databases_write_it(history, tmp_path, form):
    moment = START + DAY
    moment = moment.replace(second=0) if "%S" not in form else moment
    run(tmp_path, f"user,edition,at\nuser0,1,{form.format(moment)}\n")
    assert Acceptance.objects.get().at == moment


@pytest.mark.parametrize("form", ["key:{arabic}", "key:+{key}", "key:0{key}", "key: {key}", "key:{key}_0", "{arabic}"])
def test_a_key_is_written_in_one_form(history, tmp_path, form):
    key = get_user_model().objects.get(username="user0").pk
    arabic = str(key).translate({ord("0") + digit: chr(0x660 + digit) for digit in range(10)})
    with pytest.raises(CommandError, match="Line 2: There is no user"):
        run(tmp_path, f"user,edition,at\n{form.format(key=key, arabic=arabic)},1,{at(1)}\n")


@pytest.mark.parametrize("cell", range(4))
@pytest.mark.parametrize("bad", ["\x1b[2J", "\x00", "\u202e", "\x9b", "\x7f", "y" * 90_000])
def test_what_a_bad_line_contains_is_escaped_and_cut(history, tmp_path, cell, bad):
    cells = ["user0", "1", at(1), "kk"]
    cells[cell] = f"x{bad}"
    with pytest.raises(CommandError) as caught:
        run(tmp_path, f"user,edition,at,language\n{','.join(cells)}\n")
    assert bad not in str(caught.value)
    assert "Line 2: " in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_withdrawal_that_was_registered_later_does_not_make_a_repeated_line_new(history, tmp_path):
    user = get_user_model().objects.get(username="user0")
    lines = f"user,edition,at\nuser0,1,{at(5)}\n"
    run(tmp_path, lines)
    Withdrawal.objects.register(
        agreement=history[0].agreement,
        user=user,
        outcome="ended",
        received_on=(START + 2 * DAY).date(),
        effective_at=START + 3 * DAY,
    )
    assert "Recorded 0 acceptances" in run(tmp_path, lines)
    assert Acceptance.objects.withdrawal_in_effect(user_key=user.pk, agreement=history[0].agreement_id)


def test_an_acceptance_after_a_withdrawal_may_be_of_the_same_edition(history, tmp_path):
    Withdrawal.objects.register(
        agreement=history[0].agreement,
        user=get_user_model().objects.get(username="user0"),
        outcome="ended",
        received_on=(START + 2 * DAY).date(),
        effective_at=START + 3 * DAY,
    )
    run(tmp_path, f"user,edition,at\nuser0,1,{at(1)}\nuser0,1,{at(4)}\n")
    assert [*Acceptance.objects.order_by("round").values_list("round", "at")] == [
        (1, START + DAY),
        (2, START + 4 * DAY),
    ]
