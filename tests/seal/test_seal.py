"""The seal in the database: every attack on what is published is refused, and what gets round it is found.

Each attack in SQL is also run with the seal open, where it must succeed: none is refused by accident.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import reversion
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import DatabaseError, IntegrityError, connection, models, transaction
from django.db.models import ProtectedError
from django.utils import timezone, translation
from reversion.errors import RevertError
from reversion.models import Version

from agreement.management.commands import verify_editions
from agreement.models import (
    Acceptance,
    Agreement,
    Bounce,
    Breach,
    Decline,
    Delivery,
    DisplayedText,
    Edition,
    LegalHold,
    Notice,
    NoticeRead,
    NoticeText,
    Progress,
    Signature,
    TimeStamp,
    Withdrawal,
    verification,
)
from agreement.models.errors import TEXT_FIELDS
from agreement.models.succession import State
from agreement.testing import open_seal
from tests.support import factories
from tests.support.attacks import (
    AS_DRAFT,
    BARE,
    DAY,
    POSTGRESQL,
    REFUSAL,
    SILENT,
    SQL,
    SQLITE,
    World,
    another,
    changed,
    make_world,
    run,
    sealed_rows,
)

pytestmark = pytest.mark.django_db

ATTACKS = SQL | SQLITE | POSTGRESQL


@pytest.fixture(scope="module")
def made(django_db_setup: None, django_db_blocker: Any) -> Iterator[World]:
    """The world, made once in a transaction, within which each test of this module has a transaction of its own."""
    with django_db_blocker.unblock(), transaction.atomic():
        world = make_world()
        connection.check_constraints()  # PostgreSQL refuses TRUNCATE while a check is due, whatever the triggers say.
        yield world
        transaction.set_rollback(True)


@pytest.fixture
def world(made: World) -> World:
    """Sealed rows of every kind, which the test may try to change."""
    return deepcopy(made)


def _param(name: str, *, at_scale: bool = False) -> Any:
    marks = [pytest.mark.sqlite] * (name in SQLITE) + [pytest.mark.postgresql] * (name in POSTGRESQL)
    return pytest.param(name, marks=marks + [pytest.mark.scale] * at_scale)


def _sampled(names: Iterable[str]) -> list[Any]:
    """Every tenth of the attacks in the short run, and all of them at scale."""
    return [_param(name, at_scale=number % 10 != 0) for number, name in enumerate(names)]


@pytest.mark.parametrize("attack", [_param(name) for name in ATTACKS])
def test_the_database_refuses_every_attack_in_sql(world, attack):
    before, statements = sealed_rows(), ATTACKS[attack](world)

    with pytest.raises(IntegrityError, match=REFUSAL), transaction.atomic():
        run(statements)

    assert sealed_rows() == before


#: The grants of agreement/docs/operate.md, "A database role of its own".
APPLICATION = """
CREATE ROLE agreement_test_application;
GRANT USAGE ON SCHEMA public TO agreement_test_application;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO agreement_test_application;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO agreement_test_application;
SET LOCAL ROLE agreement_test_application
"""


@pytest.mark.postgresql
@pytest.mark.parametrize("attack", SQL | POSTGRESQL)
def test_the_role_of_the_application_is_refused_too(world, attack):
    before, statements = sealed_rows(), ATTACKS[attack](world)

    with pytest.raises(DatabaseError, match=f"{REFUSAL}|permission denied|must be owner"), transaction.atomic():
        run([(sql, []) for sql in APPLICATION.split(";")])
        run(statements)

    assert sealed_rows() == before


@pytest.mark.sqlite
@pytest.mark.parametrize("attack", SILENT)
def test_sqlite_ignores_a_delivery_that_is_written_over_another(world, attack):
    """The fan-out may write a delivery again, so this is no error; the stored row stays."""
    before = sealed_rows()

    run(SILENT[attack](world))

    assert sealed_rows() == before


class Undo(Exception):
    pass


@pytest.mark.parametrize("attack", _sampled(ATTACKS))
def test_every_attack_succeeds_where_the_seal_is_open(world, attack):
    before, statements = sealed_rows(), ATTACKS[attack](world)

    with pytest.raises(Undo), open_seal():
        run(statements)
        assert sealed_rows() != before
        raise Undo

    assert sealed_rows() == before


@pytest.fixture(scope="module")
def image(made: World) -> tuple[bytes, dict[str, list[Any]]]:
    """The world's file, and what is in it."""
    file = bytearray(connection.connection.serialize())
    file[18:20] = b"\x01\x01"  # A copy in memory has no write-ahead log.
    with bare_shell(bytes(file)) as shell:
        return bytes(file), contents(shell)


@contextmanager
def bare_shell(file: bytes) -> Iterator[sqlite3.Connection]:
    shell = sqlite3.connect(":memory:", isolation_level=None)
    shell.deserialize(file)
    try:
        yield shell
    finally:
        shell.close()


def contents(shell: sqlite3.Connection) -> dict[str, list[Any]]:
    """Every table's rows, and what the tables and triggers are."""
    schema = shell.execute("SELECT name, type, sql FROM sqlite_master ORDER BY name").fetchall()
    tables = [name for name, type_, _sql in schema if type_ == "table" and name != "sqlite_sequence"]
    return {"": schema} | {name: shell.execute(f'SELECT * FROM "{name}"').fetchall() for name in tables}


def bare(sql: str) -> str:
    """A statement for Django's cursor as one for the shell."""
    return sql.replace("%s", "?").replace("%%", "%")


@pytest.mark.sqlite
@pytest.mark.parametrize("attack", _sampled(SQL | SQLITE))
def test_a_bare_shell_on_the_file_is_refused_too(world, image, attack):
    """No function of Django's connection, foreign keys off, every statement committed by itself."""
    file, before = image
    statements = ATTACKS[attack](world)
    with bare_shell(file) as shell:
        assert shell.execute("PRAGMA foreign_keys").fetchone() == (0,)

        with pytest.raises(sqlite3.IntegrityError, match=REFUSAL):
            for sql, parameters in statements:
                shell.execute(bare(sql), parameters)

        shell.execute("DELETE FROM agreement_agreement WHERE slug = 'neighbour'")
        assert contents(shell) == before


@pytest.mark.sqlite
@pytest.mark.parametrize("seal", ["closed", "open"])
@pytest.mark.parametrize("attack", BARE)
def test_the_triggers_refuse_what_the_table_would_refuse_if_it_were_not_altered(world, image, attack, seal):
    file, before = image
    statements = BARE[attack](world)
    with bare_shell(file) as shell:
        if seal == "open":
            for name in [name for name, type_, _sql in before[""] if type_ == "trigger"]:
                shell.execute(f"DROP TRIGGER {name}")
        *prepare, (forge, parameters) = [(bare(sql), values) for sql, values in statements]
        for sql, values in prepare:
            shell.execute(sql, values)

        if seal == "open":
            assert shell.execute(forge, parameters).rowcount == 1
        else:
            with pytest.raises(sqlite3.IntegrityError, match=REFUSAL):
                shell.execute(forge, parameters)
            assert contents(shell) | {"": []} == before | {"": []}


# Attacks through Django.


def _save_what_was_read_before_publication(world: World) -> None:
    stale = Edition.objects.get(pk=world.draft.pk)
    world.draft.publish(effective_from=timezone.now() + 30 * DAY)
    stale.save()


def _delete_what_was_read_before_publication(world: World) -> None:
    stale = Edition.objects.get(pk=world.draft.pk)
    world.draft.publish(effective_from=timezone.now() + 30 * DAY, notify=False)
    stale.delete()


def _raw_delete(rows: models.QuerySet[Any]) -> None:
    rows._raw_delete(rows.db)


def _upsert(world: World) -> None:
    Edition.objects.bulk_create(
        [changed(world.in_force, body_kk="x")],
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["body_kk"],
    )


DJANGO: dict[str, Callable[[World], Any]] = {
    "save": lambda world: changed(world.in_force, body_kk="x").save(),
    "save of one field": lambda world: changed(world.in_force, title_ru="x").save(update_fields=["title_ru"]),
    "save what was read before publication": _save_what_was_read_before_publication,
    "delete what was read before publication": _delete_what_was_read_before_publication,
    "update": lambda world: Edition.objects.filter(pk=world.in_force.pk).update(body_kk="x"),
    "update of the base column": lambda world: Edition.objects.rewrite(False).update(body="x"),
    "update through the agreement": lambda world: world.in_force.agreement.editions.published().update(number=7),
    "update of the key": lambda world: Edition.objects.filter(pk=world.in_force.pk).update(id=5000),
    "update or create": lambda world: Edition.objects.update_or_create(pk=world.in_force.pk, defaults={"body_ru": "x"}),
    "bulk update": lambda world: Edition.objects.bulk_update([changed(world.in_force, body_kk="x")], ["body_kk"]),
    "bulk create with update": _upsert,
    "cancel what is in force": lambda world: Edition.objects.filter(pk=world.in_force.pk).update(
        cancelled_at=world.in_force.published_at
    ),
    "undo a cancellation": lambda world: Edition.objects.filter(pk=world.cancelled.pk).update(cancelled_at=None),
    "delete the rows themselves": lambda world: _raw_delete(Edition.objects.filter(pk=world.in_force.pk)),
    "delete through the queryset": lambda world: Edition.objects.filter(pk=world.scheduled.pk).delete(),
    "new slug": lambda world: changed(world.in_force.agreement, slug="x").save(),
    "head emptied": lambda world: changed(world.in_force.agreement, head="").save(),
    "delete the agreement's row itself": lambda world: _raw_delete(Agreement.objects.all()),
    "change the text of a notice": lambda world: changed(world.text, subject="x").save(),
    "unsay it": lambda world: world.text.delete(),
    "unsay everything": lambda world: NoticeText.objects.all().delete(),
}


@pytest.mark.parametrize("attack", DJANGO)
def test_the_database_refuses_every_attack_by_django(world, attack):
    with open_seal():  # Its PROTECT would answer before the database.
        Breach.objects.all().delete()
        Notice.objects.exclude(pk=world.text.notice_id).delete()
    before = sealed_rows()

    with pytest.raises(IntegrityError, match=REFUSAL), transaction.atomic():
        DJANGO[attack](world)

    assert sealed_rows() == before


def test_the_database_refuses_a_post_to_an_admin_that_forgot_to_be_read_only(world, rf):
    class Careless(admin.ModelAdmin):
        fields = ("notice_days",)

    request = rf.post("/", {"notice_days": "99"})
    request.user = get_user_model().objects.create_superuser("careless")
    request._dont_enforce_csrf_checks = True
    before = sealed_rows()

    with pytest.raises(IntegrityError, match=REFUSAL), transaction.atomic():
        Careless(Edition, admin.AdminSite()).changeform_view(request, str(world.in_force.pk))

    assert sealed_rows() == before


@pytest.mark.parametrize("row", ["in_force", "agreement"])
def test_deletion_by_cascade_stops_at_the_first_protected_row(world, row):
    before = sealed_rows()

    with pytest.raises(ProtectedError):
        (world.in_force.agreement if row == "agreement" else world.in_force).delete()

    assert sealed_rows() == before


@pytest.mark.parametrize("delete", [False, True])
def test_a_draft_s_revision_cannot_be_reverted_to_once_it_is_published(world, delete):
    with reversion.create_revision():
        world.draft.save()
    world.draft.publish(effective_from=timezone.now() + 30 * DAY)
    version = Version.objects.get_for_object(world.draft).get()
    before = sealed_rows()

    with pytest.raises(RevertError, match="Could not save"):
        version.revision.revert(delete=delete)
    with pytest.raises(IntegrityError, match=REFUSAL), transaction.atomic():
        version.revert()

    assert sealed_rows() == before


def test_a_deleted_draft_is_not_recovered_over_a_sealed_row_with_its_key(world):
    with reversion.create_revision():
        world.draft.save()
    key, columns = world.draft.pk, _columns(world.scheduled)
    world.draft.delete()
    version = Version.objects.get_deleted(Edition).get()
    columns |= {"id": key, "number": 4, "digest": "f" * 64, "previous_digest": world.cancelled.digest}
    columns["effective_from"] += 30 * DAY
    columns["published_at"] = columns["recorded_at"] = timezone.now()
    Edition.objects.bulk_create([Edition(**columns)])
    before = sealed_rows()

    with pytest.raises(IntegrityError, match=REFUSAL), transaction.atomic():
        version.revert()

    assert sealed_rows() == before
    assert not Version.objects.get_deleted(Edition).exists()


def _columns(row: models.Model) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def _dump(path: Path) -> list[dict[str, Any]]:
    call_command("dumpdata", "agreement", output=str(path), verbosity=0)
    return json.loads(path.read_text())


@pytest.mark.parametrize(
    ("model", "field"),
    [("edition", "body_ru"), ("edition", "cancelled_at"), ("agreement", "slug"), ("noticetext", "subject")],
)
def test_loaddata_of_other_content_over_sealed_rows_is_refused(world, tmp_path, model, field):
    fixture = tmp_path / "changed.json"
    rows = _dump(fixture)
    for row in rows:
        if row["model"] == f"agreement.{model}":
            row["fields"][field] = None if field == "cancelled_at" else "other"
    fixture.write_text(json.dumps(rows))
    before = sealed_rows()

    with pytest.raises(IntegrityError, match=REFUSAL), transaction.atomic():
        call_command("loaddata", str(fixture), verbosity=0)

    assert sealed_rows() == before


@pytest.mark.parametrize("language", ["kk"])
def test_loaddata_of_the_same_content_over_sealed_rows_is_harmless(world, tmp_path, language):
    before = sealed_rows()

    with translation.override(language):
        _dump(tmp_path / "same.json")
        call_command("loaddata", str(tmp_path / "same.json"), verbosity=0)

    assert sealed_rows() == before
    assert list(verification.faults()) == []


def test_an_unchanged_save_in_kazakh_is_harmless(world):
    before = sealed_rows()

    with translation.override("kk"):
        world.in_force.save()

    assert sealed_rows() == before


# What must stay possible.


def test_drafts_beside_sealed_editions_are_edited_and_deleted_freely(world):
    second = factories.draft()
    before = sealed_rows()
    with translation.override("ru"):
        changed(world.draft, body_kk=factories.KK + "\n", summary_ru="Иначе").save()
    Edition.objects.drafts().update(notice_days=10)
    Edition.objects.bulk_update([changed(second, title_kk="Басқа")], ["title_kk"])
    second.delete()

    world.draft.refresh_from_db()
    assert (world.draft.summary_ru, world.draft.notice_days) == ("Иначе", 10)
    assert Edition.objects.drafts().get() == world.draft
    assert sealed_rows() == before


def test_a_scheduled_edition_is_cancelled_and_its_moment_is_published_again(world):
    moment = world.scheduled.effective_from
    world.scheduled.cancel()

    world.draft.publish(effective_from=moment)

    assert world.scheduled.state() == State.CANCELLED
    assert (world.draft.number, world.draft.effective_from) == (4, moment)
    assert list(verification.faults()) == []


# What gets round the triggers is found by the chain, and by the audit log.

#: What the owner of the tables can do to editions and heads of chains, by the names of the attacks. A foreign key
#: refuses another primary key, and another agreement.
BY_OWNER = [
    *(name for name in SQL if name.startswith("update edition.") and not name.endswith(("id", "begun_at"))),
    *("update agreement.slug", "make it a draft", "make all drafts", "update from another row", "empty the head"),
    *("upsert an edition", "upsert the agreement", "cancel what is in force", "undo a cancellation"),
    *("add a published edition of 2024", "publish a draft in 2024", "publish a draft now, as of 2024"),
    *("record history after an edition was published", "add an acceptance of 2024", "unlink every acceptance"),
    *("add an acceptance that says it is of 2024", "add imported history recorded in 2024", "unlink every delivery"),
    *("unlink every consent", "unlink every decline", "add a decline of 2024"),
]


@pytest.mark.parametrize("attack", BY_OWNER)
def test_verification_finds_what_an_owner_did_who_put_the_triggers_back(world, attack):
    rows = Counter(Delivery.objects.values_list("outcome", flat=True))
    Progress.objects.create(notice=world.notice, channel="email", bounced=1, **rows)
    assert list(verify_editions._faults("default")) == []
    statements = ATTACKS[attack](world)

    with open_seal():
        run(statements)

    assert list(verify_editions._faults("default")) != []


#: begun_at, published_by and cancelled_at are guarded by the triggers alone, as agreement.seal.manifest says.
COVERED = [
    field
    for field in Edition._meta.concrete_fields
    if field.name not in {"id", "begun_at", "published_by", "cancelled_at", "agreement"}
]


def tampered(edition: Edition, **columns: Any) -> None:
    with open_seal():
        Edition.objects.rewrite(False).filter(pk=edition.pk).update(**columns)


def faults(editions: Any = None, *, language: str = "en") -> dict[Any, list[str]]:
    """What verify() finds, in the words of the source."""
    found: dict[Any, list[str]] = {}
    with translation.override(language):
        for row, sentence in verification.faults(editions):
            found.setdefault(row, []).append(sentence)
    return found


@pytest.mark.parametrize("language", ["kk", "ru", "en"])
def test_verify_finds_nothing_in_what_was_published(world, language):
    assert faults(language=language) == {}


@pytest.mark.parametrize("field", COVERED, ids=lambda field: field.name)
def test_verify_names_the_edition_in_which_a_column_was_changed(world, field):
    tampered(world.scheduled, **{field.name: another(world.scheduled, field)})

    found = faults()[world.scheduled]

    sentence = (
        "Its columns without a language suffix differ from"
        if field.name in TEXT_FIELDS
        else "Its text, dates or number do not match"
    )
    assert any(text.startswith(sentence) for text in found)


@pytest.mark.parametrize("edition", ["in_force", "cancelled"])
def test_verify_names_the_first_and_a_cancelled_edition_too(world, edition):
    tampered(getattr(world, edition), summary_ru="x")
    assert list(faults()) == [getattr(world, edition)]


def test_verify_finds_an_edition_moved_to_another_agreement(world):
    tampered(world.scheduled, agreement=factories.agreement("other"))
    assert world.scheduled in faults()


def test_verify_finds_a_renamed_agreement(world):
    with open_seal():
        Agreement.objects.update(slug="renamed")
    assert set(faults()) == {world.in_force, world.scheduled, world.cancelled}


def _gone(*editions: Edition) -> None:
    with open_seal():
        for rows in (
            Acceptance,
            Decline,
            DisplayedText,
            Signature,
            TimeStamp,
            Withdrawal,
            LegalHold,
            NoticeRead,
            Bounce,
            Delivery,
            NoticeText,
            Breach,
            Notice,
        ):
            rows.objects.all().delete()
        Edition.objects.filter(pk__in=[edition.pk for edition in editions]).delete()


def test_verify_finds_an_edition_removed_in_the_middle_and_names_the_next(world):
    _gone(world.scheduled)
    assert faults() == {
        world.cancelled: [
            "It does not contain the digest of the previous edition: the chain is broken.",
            "An edition before it is missing.",
        ]
    }


def test_verify_finds_the_last_edition_removed_and_names_the_one_before(world):
    _gone(world.cancelled)
    assert faults() == {
        world.scheduled: ["Editions after it are missing: the head of the chain contains another digest."]
    }


@pytest.mark.parametrize("queryset", [Edition.objects.all, Edition.objects.published])
def test_verify_finds_every_edition_removed_and_names_the_agreement(world, queryset):
    world.draft.delete()
    _gone(world.in_force, world.scheduled, world.cancelled)
    assert faults(queryset()) == {
        world.in_force.agreement: ["All editions are missing, but the head of the chain contains a digest."]
    }


def test_verify_finds_the_last_edition_made_a_draft_again(world):
    with open_seal():
        run([(f"UPDATE agreement_edition SET {AS_DRAFT} WHERE id = %s", [world.cancelled.pk])])
    assert list(faults()) == [world.scheduled]


def test_verify_finds_an_emptied_head(world):
    with open_seal():
        Agreement.objects.update(head="")
    assert list(faults()) == [world.cancelled]


def test_verify_finds_two_editions_whose_texts_were_swapped(world):
    tampered(world.in_force, body_kk="x" + factories.KK, body="x" + factories.KK)
    tampered(world.scheduled, body_kk=factories.KK, title_ru="x")
    assert set(faults()) == {world.in_force, world.scheduled}


def test_verify_finds_two_editions_whose_places_were_swapped(world):
    places = [(row.pk, row.number, row.previous_digest) for row in (world.in_force, world.scheduled)]
    (first, number, previous), (second, other_number, other_previous) = places
    tampered(world.in_force, number=500, previous_digest="f" * 64)
    with open_seal():
        Edition.objects.filter(pk=second).update(number=number, previous_digest=previous)
        Edition.objects.filter(pk=first).update(number=other_number, previous_digest=other_previous)
    assert {world.in_force, world.scheduled} <= set(faults())


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "change",
    [
        "number = 0",
        "effective_from = NULL",
        "recorded_at = 'yesterday'",
        "title_kk = x'ff00'",
        "notice_days = 'x'",
    ],
)
def test_verify_names_the_edition_whose_values_make_no_manifest(world, change):
    with open_seal():
        run([("PRAGMA ignore_check_constraints = ON", [])])
        run([(f"UPDATE agreement_edition SET {change} WHERE id = %s", [world.scheduled.pk])])
        run([("PRAGMA ignore_check_constraints = OFF", [])])
    assert world.scheduled in faults()
