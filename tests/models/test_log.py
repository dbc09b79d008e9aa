"""The log of an agreement: what is entered, how it is verified, and that each attack on the tables is found."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.utils import timezone, translation

from agreement.models import (
    Acceptance,
    AcceptanceKind,
    Checkpoint,
    Edition,
    LogEntry,
    LogTile,
    TimeStamp,
    TransparencyLog,
    Withdrawal,
    log_records,
)
from agreement.models.log import NewEntry, Tiles, append
from agreement.models.log_verification import LogCheck
from agreement.retention.erasure import erase
from agreement.seal import log as tree
from agreement.testing import open_seal
from tests.support import factories

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("english")]

SECRET = base64.b64encode(hashlib.sha256(b"a key for tests").digest()).decode()
DAY = timedelta(days=1)
#: The content of an entry that is about no row.
NOTHING_ERASED: dict[str, object] = {"erasure": [], "ground": "retention term", "term": "2026-01-01T00:00:00.000000Z"}


@pytest.fixture
def signed(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "LOG_KEY": SECRET, "BASE_URL": "https://portal.example"}


def accepted(edition, user, kind=AcceptanceKind.EXPLICIT):
    return Acceptance.objects.record(user=user, edition=edition, digest=edition.digest, language="kk", kind=kind)


def entries(edition):
    rows = LogEntry.objects.filter(agreement=edition.agreement).order_by("index")
    return [json.loads(bytes(entry)) for entry in rows.values_list("entry", flat=True)]


def faults(edition, notes=()):
    """What the check finds, in the words of the source."""
    with translation.override("en"):
        return list(LogCheck(edition.agreement, "default", notes=notes).faults())


def test_a_publication_and_a_cancellation_are_entered_at_their_commit(signed):
    edition = factories.published()
    later = factories.published(effective_from=timezone.now() + DAY)
    later.cancel()

    assert entries(edition) == [
        {"edition": edition.digest, "number": 1},
        {"edition": later.digest, "number": 2},
        {"cancelled": later.digest, "at": later.cancelled_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")},
    ]
    assert [one.size for one in Checkpoint.objects.all()] == [1, 2, 3]
    note = Checkpoint.objects.get(size=3).note
    assert tree.signed_by(note, tree.public_key_of(SECRET)) is True
    assert tree.Checkpoint.parse(note).origin == "portal.example/kk/agreements/terms/log"
    assert faults(edition) == []


def test_the_keys_of_a_log_are_kept_in_the_order_of_their_first_use(signed, settings):
    keys = []
    for secret in (SECRET, base64.b64encode(b"b" * 32).decode(), SECRET):
        settings.AGREEMENT = {**settings.AGREEMENT, "LOG_KEY": secret}
        edition = factories.published()
        keys.append(tree.verifier_key("portal.example/kk/agreements/terms/log", tree.public_key_of(secret)))

    assert TransparencyLog.objects.get().keys.splitlines() == keys[:2]
    assert faults(edition) == []


def test_a_signature_of_an_earlier_key_is_checked_too(signed, settings):
    edition = factories.published()
    another = base64.b64encode(b"b" * 32).decode()
    settings.AGREEMENT = {**settings.AGREEMENT, "LOG_KEY": another}
    factories.published()
    first = Checkpoint.objects.get(size=1)
    forged = tree.sign(tree.Checkpoint.parse(first.note), base64.b64encode(b"c" * 32).decode())
    with open_seal():
        Checkpoint.objects.filter(pk=first.pk).update(note=forged)

    assert faults(edition) == ["The signed checkpoint of 1 entries states something else."]


@pytest.mark.parametrize(("key", "base"), [("AAAA", "https://portal.example"), (SECRET, "")])
def test_a_key_that_can_not_sign_stops_no_publication_and_names_no_log(settings, caplog, key, base):
    settings.AGREEMENT = {**settings.AGREEMENT, "LOG_KEY": key, "BASE_URL": base}
    factories.published()

    assert "N119 the checkpoint of terms is not signed: ValueError" in caplog.text
    log = TransparencyLog.objects.get()
    assert (log.size, log.origin, log.keys) == (1, "", "")
    assert Checkpoint.objects.get().note == ""


def test_a_publication_that_is_rolled_back_leaves_no_entry():
    draft = factories.draft()
    with pytest.raises(RuntimeError), transaction.atomic():
        draft.publish()
        raise RuntimeError

    assert not LogEntry.objects.exists()
    assert not TransparencyLog.objects.exists()


def test_acceptances_and_withdrawals_are_entered_by_the_next_sweep(django_assert_num_queries):
    edition, users = factories.published(), factories.users(3)
    for user in users:
        accepted(edition, user)

    assert log_records.sweep() == 3

    stored = LogEntry.objects.filter(kind="acceptance")
    for entry in stored:
        acceptance = Acceptance.objects.get(pk=entry.row)
        digest = log_records.commitment(entry.salt, log_records.acceptance_record(acceptance))
        assert json.loads(bytes(entry.entry)) == {"acceptance": digest}
    assert len({entry.salt for entry in stored}) == 3
    assert faults(edition) == []
    # Nothing is due for five minutes, and then nothing is new.
    assert log_records.sweep() == 0
    with django_assert_num_queries(1 if connection.vendor == "sqlite" else 2):
        log_records.sweep()
    size = TransparencyLog.objects.get().size
    assert log_records.sweep(timezone.now() + timedelta(minutes=6)) == 0
    assert TransparencyLog.objects.get().size == size


@pytest.mark.parametrize("more", [1, 255, 256, 300, 1000])
def test_full_tiles_are_stored_once_and_the_root_is_that_of_all_entries(more):
    edition = factories.published()
    for start in range(0, more, 100):
        count = min(100, more - start)
        with transaction.atomic():
            append(
                edition.agreement,
                [NewEntry(kind="erasure", content=NOTHING_ERASED, row=None)] * count,
            )
    leaves = [tree.leaf_hash(bytes(one)) for one in LogEntry.objects.order_by("index").values_list("entry", flat=True)]

    assert len(leaves) == more + 1
    for one in Checkpoint.objects.all():
        assert one.root == tree.root_hash(leaves[: one.size]).hex()
    assert LogTile.objects.count() == (more + 1) // 256
    assert faults(edition) == []
    whole = tree.Tree(len(leaves), Tiles(edition.agreement_id, using="default"))
    for index in (0, more // 2, more):
        proof = whole.inclusion(index)
        assert tree.root_from_inclusion(leaves[index], index, len(leaves), proof) == whole.root()


def test_an_erasure_empties_the_salts_and_is_entered_and_the_tree_stays_valid(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "PSEUDONYM_KEYS": {"a": "b" * 64}}
    edition, (user,) = factories.published(retention_years=0), factories.users(1)
    accepted(edition, user)
    log_records.sweep(force=True)
    user.delete()

    assert erase(at=timezone.now() + DAY).acceptances == 1

    entry = LogEntry.objects.get(kind="acceptance")
    assert entry.salt == ""
    assert entries(edition)[-1]["erasure"] == [entry.index]
    assert faults(edition) == []


def with_rows(edition, count=3):
    for user in factories.users(count):
        accepted(edition, user)
    log_records.sweep(force=True)


ATTACKS = {
    "dropped": ("missing", lambda row: Acceptance.objects.filter(pk=row.pk).delete()),
    "moved to another edition": (
        "changed",
        lambda row: Acceptance.objects.filter(pk=row.pk).update(edition=Edition.objects.order_by("number").first()),
    ),
    "of another moment": (
        "changed",
        lambda row: Acceptance.objects.filter(pk=row.pk).update(at=F("at") - 30 * DAY, recorded_at=F("at") - 30 * DAY),
    ),
    "in another language": ("changed", lambda row: Acceptance.objects.filter(pk=row.pk).update(language="ru")),
    "erased without an entry": (
        "no entry records the erasure",
        lambda row: Acceptance.objects.filter(pk=row.pk).update(
            erased_at=timezone.now(), user=None, pseudonym="", pseudonym_key=""
        ),
    ),
    "salt removed": (
        "no entry records the erasure",
        lambda row: LogEntry.objects.filter(kind="acceptance", row=row.pk).update(salt=""),
    ),
    "entry removed": (
        "is missing",
        lambda row: LogEntry.objects.filter(kind="acceptance", row=row.pk).delete(),
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_change_behind_the_triggers_is_found(name):
    expected, attack = ATTACKS[name]
    factories.published()
    edition = factories.published()
    with_rows(edition)
    assert faults(edition) == []
    with open_seal():
        attack(Acceptance.objects.order_by("pk")[1])

    assert any(expected in fault for fault in faults(edition)), faults(edition)


def test_an_erasure_that_is_faked_is_found_by_its_term():
    edition = factories.published(retention_years=3)
    with_rows(edition)
    row = Acceptance.objects.order_by("pk")[1]
    with open_seal(), transaction.atomic():
        Acceptance.objects.filter(pk=row.pk).update(
            erased_at=timezone.now(), user=None, account_deleted_at=timezone.now(), pseudonym="", pseudonym_key=""
        )
        log_records.record_erasure(acceptances=[row.pk], withdrawals=[], ended_at=timezone.now(), using="default")

    assert any("before its retention term ended" in fault for fault in faults(edition))


def test_an_acceptance_that_is_added_with_an_earlier_moment_is_found():
    edition = factories.published()
    with_rows(edition)
    (user,) = factories.users(1)
    row = Acceptance.objects.order_by("pk").last()
    row.pk, row.user_id, row.at, row.recorded_at = None, user.pk, row.at - 30 * DAY, row.at - 30 * DAY
    with open_seal():
        row.save(force_insert=True)

    log_records.sweep(force=True)

    assert any("an earlier moment than rows that were already in the log" in fault for fault in faults(edition))


def test_an_acceptance_that_is_added_below_the_last_key_is_found():
    edition = factories.published()
    with_rows(edition)
    with open_seal():
        row = Acceptance.objects.order_by("pk").first()
        Acceptance.objects.filter(pk=row.pk).delete()
        LogEntry.objects.filter(kind="acceptance", row=row.pk).update(row=None)
        row.save(force_insert=True)

    assert any("has no entry" in fault for fault in faults(edition))


def test_a_cancellation_that_is_removed_is_found():
    factories.published()
    later = factories.published(effective_from=timezone.now() + DAY)
    later.cancel()
    with open_seal():
        Edition.objects.filter(pk=later.pk).update(cancelled_at=None)

    assert any("cancellation" in fault for fault in faults(later))


def test_a_log_that_is_cut_or_written_again_is_found_by_whoever_has_a_checkpoint(signed):
    edition = factories.published()
    with_rows(edition)
    note = Checkpoint.objects.order_by("size").last().note
    assert faults(edition, [note]) == []
    last = LogEntry.objects.order_by("index").last()

    with open_seal(), transaction.atomic():
        Acceptance.objects.filter(pk=last.row).delete()
        LogEntry.objects.filter(pk=last.pk).delete()
        Checkpoint.objects.filter(size__gt=last.index).delete()
        TransparencyLog.objects.update(size=last.index, accepted=last.row - 1)
        root = tree.Tree(last.index, Tiles(edition.agreement_id, using="default")).root()
        Checkpoint.objects.create(agreement=edition.agreement, size=last.index, root=root.hex(), at=timezone.now())

    assert faults(edition) == []
    assert any("not one of this log" in fault for fault in faults(edition, [note]))


@pytest.mark.parametrize(
    "change",
    [
        lambda: LogEntry.objects.update(entry=b"{}"),
        lambda: LogEntry.objects.update(row=None),
        lambda: LogEntry.objects.update(salt="a" * 32),
        lambda: LogEntry.objects.all().delete(),
        lambda: LogTile.objects.all().delete(),
        lambda: LogTile.objects.update(root=b""),
        lambda: Checkpoint.objects.update(note="x"),
        lambda: Checkpoint.objects.all().delete(),
        lambda: TransparencyLog.objects.update(size=0),
        lambda: TransparencyLog.objects.update(keys=""),
        lambda: TransparencyLog.objects.update(keys="x"),
        lambda: TransparencyLog.objects.update(accepted=0),
        lambda: TransparencyLog.objects.all().delete(),
    ],
)
def test_the_triggers_refuse_a_change_of_the_log(signed, change):
    edition = factories.published()
    with_rows(edition, 1)
    with transaction.atomic():
        append(edition.agreement, [NewEntry(kind="erasure", content=NOTHING_ERASED, row=None)] * 300)

    with pytest.raises(IntegrityError, match="sealed"), transaction.atomic():
        change()

    assert faults(edition) == []


def test_a_row_that_waits_longer_than_the_delay_is_named_and_is_no_fault(settings):
    edition = factories.published()
    (user,) = factories.users(1)
    accepted(edition, user)
    settings.AGREEMENT = {**settings.AGREEMENT, "LOG_DELAY": timedelta(0)}
    log_records.sweep(force=True)
    check = LogCheck(edition.agreement, "default")

    assert list(check.faults()) == []
    assert len(list(check.remarks())) == 1


def test_withdrawals_are_entered():
    edition, (user,) = factories.published(), factories.users(1)
    accepted(edition, user)
    Withdrawal.objects.register(
        agreement=edition.agreement, outcome="ended", received_on=timezone.now().date(), user=user, by="x"
    )
    log_records.sweep(force=True)
    entry = LogEntry.objects.get(kind="withdrawal")

    assert json.loads(bytes(entry.entry)) == {
        "withdrawal": log_records.commitment(entry.salt, log_records.withdrawal_record(Withdrawal.objects.get()))
    }
    assert faults(edition) == []
    with open_seal():
        Withdrawal.objects.update(outcome="suspended")
    assert any("changed" in fault for fault in faults(edition))


def stamped(edition, **stated):
    """A time stamp on the newest checkpoint, with a response that contains what one must."""
    checkpoint, at = Checkpoint.objects.filter(agreement=edition.agreement).latest("size"), timezone.now()
    response = hashlib.sha256(checkpoint.note.encode()).digest() + f"{at:%Y%m%d%H%M%SZ}".encode()
    return TimeStamp.objects.record(
        **{"checkpoint": checkpoint, "stamped_at": at, "response": response} | stated,
        authority="https://tsa.example.kz",
        certificates="PEM",
    )


def test_a_time_stamp_is_entered_with_its_digest_and_the_size_of_its_checkpoint(signed):
    edition = factories.published()

    row = stamped(edition)

    assert entries(edition)[1:] == [{"checkpoint": 1, "stamp": hashlib.sha256(row.response).hexdigest()}]
    assert LogEntry.objects.get(kind="stamp").row == row.pk
    assert Checkpoint.objects.latest("size").size == 2
    assert faults(edition) == []


STAMP_ATTACKS = {
    "moved to another checkpoint": (
        "Entry 1: its time stamp was changed.",
        lambda row: row.update(checkpoint=Checkpoint.objects.get(size=2)),
    ),
    "of another response": ("Entry 1: its time stamp was changed.", lambda row: row.update(response=b"other")),
    "of another moment": (
        "Entry 1: the response of the authority does not contain the moment of the time stamp.",
        lambda row: row.update(stamped_at=F("stamped_at") - timedelta(hours=1)),
    ),
    "before its checkpoint": (
        "Entry 1: the time stamp is older than its checkpoint.",
        lambda row: row.update(stamped_at=F("stamped_at") - 2 * DAY),
    ),
    "dropped": ("Entry 1: the row that it is about is missing.", lambda row: row.delete()),
    "without an entry": ("time stamp %s has no entry.", lambda row: LogEntry.objects.filter(index=1).update(row=None)),
}


@pytest.mark.parametrize("name", STAMP_ATTACKS)
def test_a_change_of_a_time_stamp_behind_the_triggers_is_found(signed, name):
    expected, attack = STAMP_ATTACKS[name]
    edition = factories.published()
    row = stamped(edition)
    with open_seal():
        attack(TimeStamp.objects.filter(pk=row.pk))

    assert expected.replace("%s", str(row.pk)) in faults(edition)


def test_a_response_without_the_digest_of_the_checkpoint_is_found(signed):
    edition = factories.published()
    stamped(edition, response=f"{timezone.now():%Y%m%d%H%M%SZ}".encode())

    assert [fault.partition(": ")[2] for fault in faults(edition)] == [
        "the response of the authority does not contain the digest of the checkpoint."
    ]


def test_a_time_stamp_on_a_checkpoint_of_another_log_is_found(signed):
    edition, other = factories.published(), factories.published(slug="other")
    row = stamped(edition)
    with open_seal():
        TimeStamp.objects.filter(pk=row.pk).update(checkpoint=Checkpoint.objects.get(agreement=other.agreement))

    assert "Entry 1: its time stamp was changed." in faults(edition)


def test_unstamped_entries_are_those_that_no_stamped_checkpoint_contains(signed):
    edition = factories.published()

    def indices():
        return [entry.index for entry in TimeStamp.objects.unstamped_entries(edition.agreement_id)]

    assert indices() == [0]
    stamped(edition)
    assert indices() == []
    with_rows(edition, 1)
    assert indices() == [2]
    stamped(edition)
    assert indices() == []
    first = TimeStamp.objects.order_by("pk").first()
    assert TimeStamp.objects.covering(agreement=edition.agreement_id, index=0).first() == first
    assert TimeStamp.objects.covering(agreement=edition.agreement_id, index=1).first() != first


def test_a_worker_takes_up_some_batches_and_continues_at_its_next_turn(monkeypatch):
    monkeypatch.setattr(log_records, "BATCH", 2)
    monkeypatch.setattr(log_records, "MOST_BATCHES", 2)
    edition = factories.published()
    for user in factories.users(5):
        accepted(edition, user)

    assert [log_records.sweep(), log_records.sweep(), log_records.sweep()] == [4, 1, 0]
    assert faults(edition) == []


def test_an_acceptance_that_is_erased_while_it_is_taken_up_is_entered_as_erased(monkeypatch):
    edition, (user,) = factories.published(retention_years=0), factories.users(1)
    accepted(edition, user)
    user.delete()
    compute, calls = log_records._entry, []

    def erase_in_between(row):
        calls.append(row.pk)
        if len(calls) == 1:
            with open_seal():
                Acceptance.objects.update(erased_at=timezone.now(), pseudonym="", pseudonym_key="")
        return compute(row)

    monkeypatch.setattr(log_records, "_entry", erase_in_between)
    log_records.sweep(force=True)

    assert len(calls) == 2
    assert LogEntry.objects.get(kind="acceptance").salt == ""
    assert entries(edition)[-1]["erasure"] == [1]
    assert faults(edition) == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
def test_entries_are_added_while_the_agreement_is_locked(signed):
    """A publication locks the agreement and then the log. Whoever adds entries has the log, and must not wait for the
    agreement.
    """
    edition, ended = factories.published(), threading.Event()

    def add():
        with transaction.atomic():
            append(edition.agreement, [NewEntry(kind="erasure", content=NOTHING_ERASED, row=None)])
        ended.set()
        connection.close()

    with transaction.atomic():
        edition.agreement.lock()
        thread = threading.Thread(target=add)
        thread.start()
        assert ended.wait(5)
    thread.join()
    assert LogEntry.objects.filter(agreement=edition.agreement).count() == 2
