"""The seal in the database: every attack on what is published is refused, and what gets round it is found.

Each attack in SQL is also run with the seal open, where it must succeed: none is refused by accident.
"""

from __future__ import annotations

import io
import json
import sqlite3
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import reversion
from django.apps import apps
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, models, transaction
from django.db.models import ProtectedError
from django.utils import timezone, translation
from reversion.errors import RevertError
from reversion.models import Version

from agreement import dispatch
from agreement.models import Acceptance, Agreement, Edition, Notice, NoticeText, TimeStamp, Withdrawal, triggers
from agreement.models.editions import State
from agreement.models.refusals import TEXTS
from agreement.testing import open_seal
from tests import factories
from tests.attacks import (
    AS_DRAFT,
    DAY,
    MODELS,
    POSTGRESQL,
    SQL,
    SQLITE,
    Statements,
    World,
    another,
    make_world,
    sealed_rows,
    unique_keys,
)

pytestmark = pytest.mark.django_db

REFUSAL = "is sealed: published words, numbers and dates never change"
ATTACKS = SQL | SQLITE | POSTGRESQL


@pytest.fixture
def world() -> World:
    world = make_world()
    connection.check_constraints()  # PostgreSQL refuses TRUNCATE while a check is due, whatever the triggers say.
    return world


def _param(name: str) -> Any:
    marks = [pytest.mark.sqlite] * (name in SQLITE) + [pytest.mark.postgresql] * (name in POSTGRESQL)
    return pytest.param(name, marks=marks)


def run(statements: Statements) -> None:
    with connection.cursor() as cursor:
        for sql, parameters in statements:
            cursor.execute(sql, parameters)


@pytest.mark.parametrize("attack", [_param(name) for name in ATTACKS])
def test_the_database_refuses_what_sql_can_say(world, attack):
    before, statements = sealed_rows(), ATTACKS[attack](world)

    with pytest.raises(IntegrityError, match=REFUSAL), transaction.atomic():
        run(statements)

    assert sealed_rows() == before


class Undo(Exception):
    pass


@pytest.mark.parametrize("attack", [_param(name) for name in ATTACKS])
def test_every_attack_succeeds_where_the_seal_is_open(world, attack):
    before, statements = sealed_rows(), ATTACKS[attack](world)

    with pytest.raises(Undo), open_seal():
        run(statements)
        assert sealed_rows() != before
        raise Undo

    assert sealed_rows() == before


@pytest.mark.sqlite
@pytest.mark.parametrize("attack", SQL | SQLITE)
def test_a_bare_shell_on_the_file_is_refused_too(world, attack):
    """No function of Django's connection, foreign keys off, every statement committed by itself."""
    bare = sqlite3.connect(":memory:", isolation_level=None)
    image = bytearray(connection.connection.serialize())
    image[18:20] = b"\x01\x01"  # A copy in memory has no write-ahead log.
    bare.deserialize(bytes(image))
    assert bare.execute("PRAGMA foreign_keys").fetchone() == (0,)
    before, statements = list(bare.iterdump()), ATTACKS[attack](world)

    with pytest.raises(sqlite3.IntegrityError, match=REFUSAL):
        for sql, parameters in statements:
            bare.execute(sql.replace("%s", "?"), parameters)

    bare.execute("DELETE FROM agreement_agreement WHERE slug = 'neighbour'")
    assert [line for line in bare.iterdump() if "sqlite_sequence" not in line] == [
        line for line in before if "sqlite_sequence" not in line
    ]
    bare.close()


@pytest.mark.parametrize("seal", triggers.SEALS, ids=lambda seal: seal.model)
def test_the_seal_guards_exactly_the_unique_keys_of_the_model(seal):
    assert sorted(key for key, _also in seal.keys) == sorted(unique_keys(MODELS[seal.model]))


# Attacks through Django.


def _changed(edition: Edition, **values: Any) -> Edition:
    for name, value in values.items():
        setattr(edition, name, value)
    return edition


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
        [_changed(world.in_force, body_kk="x")],
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["body_kk"],
    )


DJANGO: dict[str, Callable[[World], Any]] = {
    "save": lambda world: _changed(world.in_force, body_kk="x").save(),
    "save of one field": lambda world: _changed(world.in_force, title_ru="x").save(update_fields=["title_ru"]),
    "save what was read before publication": _save_what_was_read_before_publication,
    "delete what was read before publication": _delete_what_was_read_before_publication,
    "update": lambda world: Edition.objects.filter(pk=world.in_force.pk).update(body_kk="x"),
    "update of the base column": lambda world: Edition.objects.rewrite(False).update(body="x"),
    "update through the agreement": lambda world: world.in_force.agreement.editions.published().update(number=7),
    "update of the key": lambda world: Edition.objects.filter(pk=world.in_force.pk).update(id=5000),
    "update or create": lambda world: Edition.objects.update_or_create(pk=world.in_force.pk, defaults={"body_ru": "x"}),
    "bulk update": lambda world: Edition.objects.bulk_update([_changed(world.in_force, body_kk="x")], ["body_kk"]),
    "bulk create with update": _upsert,
    "cancel what is in force": lambda world: Edition.objects.filter(pk=world.in_force.pk).update(
        cancelled_at=world.in_force.published_at
    ),
    "undo a cancellation": lambda world: Edition.objects.filter(pk=world.cancelled.pk).update(cancelled_at=None),
    "delete the rows themselves": lambda world: _raw_delete(Edition.objects.filter(pk=world.in_force.pk)),
    "delete through the queryset": lambda world: Edition.objects.filter(pk=world.scheduled.pk).delete(),
    "new slug": lambda world: _changed(world.in_force.agreement, slug="x").save(),
    "head emptied": lambda world: _changed(world.in_force.agreement, head="").save(),
    "delete the agreement's row itself": lambda world: _raw_delete(Agreement.objects.all()),
    "change what was said": lambda world: _changed(world.text, subject="x").save(),
    "unsay it": lambda world: world.text.delete(),
    "unsay everything": lambda world: NoticeText.objects.all().delete(),
}


@pytest.mark.parametrize("attack", DJANGO)
def test_the_database_refuses_what_django_can_say(world, attack):
    Notice.objects.exclude(pk=world.text.notice_id).delete()  # Its PROTECT would answer before the database.
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
    assert list(Edition.objects.verify()) == []


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
        _changed(world.draft, body_kk=factories.KK + "\n", summary_ru="Иначе").save()
    Edition.objects.drafts().update(notice_days=10)
    Edition.objects.bulk_update([_changed(second, title_kk="Басқа")], ["title_kk"])
    second.delete()

    world.draft.refresh_from_db()
    assert (world.draft.summary_ru, world.draft.notice_days) == ("Иначе", 10)
    assert Edition.objects.drafts().get() == world.draft
    assert sealed_rows() == before


def test_two_drafts_of_one_agreement_stand_beside_each_other_and_are_published_in_turn():
    first, second = factories.draft(), factories.draft()
    assert {first, second} == set(Edition.objects.drafts())

    second.publish()
    first.publish()

    assert (second.number, first.number) == (1, 2)
    assert list(Edition.objects.verify()) == []


def test_an_agreement_without_a_published_edition_is_renamed_and_deleted_freely():
    agreement = factories.agreement("draft-only")
    _changed(agreement, slug="renamed").save()
    agreement.delete()
    assert not Agreement.objects.exists()


def test_a_scheduled_edition_is_cancelled_and_its_moment_is_published_again(world):
    moment = world.scheduled.effective_from
    world.scheduled.cancel()

    world.draft.publish(effective_from=moment)

    assert world.scheduled.state() == State.CANCELLED
    assert (world.draft.number, world.draft.effective_from) == (4, moment)
    assert list(Edition.objects.verify()) == []


@pytest.mark.postgresql
def test_truncate_of_drafts_alone_is_allowed():
    factories.draft()
    connection.check_constraints()
    run([("TRUNCATE agreement_agreement CASCADE", [])])
    assert not Edition.objects.exists()


# Two connections.


class Elsewhere(threading.Thread):
    """Runs a call on a connection of its own and keeps how it ended."""

    def __init__(self, call: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self.call, self.error, self.pid = call, None, None
        self.connected = threading.Event()
        self.start()
        assert self.connected.wait(10)

    def run(self) -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                self.pid = cursor.fetchone()[0]
            self.connected.set()
            self.call()
        except Exception as error:
            self.error = error
        finally:
            connection.close()

    def wait_until_blocked(self) -> None:
        deadline = time.monotonic() + 10
        with connection.cursor() as cursor:
            while time.monotonic() < deadline:
                cursor.execute("SELECT cardinality(pg_blocking_pids(%s))", [self.pid])
                if cursor.fetchone()[0]:
                    return
        pytest.fail("the other connection was expected to wait")

    def finish(self) -> Exception | None:
        self.join(10)
        assert not self.is_alive()
        return self.error


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("verb", ["save", "delete"])
def test_what_another_connection_published_meanwhile_is_refused(verb):
    draft = factories.draft()
    read = Edition.objects.get(pk=draft.pk)

    assert Elsewhere(partial(draft.publish, notify=False)).finish() is None

    with pytest.raises(IntegrityError, match=REFUSAL):
        getattr(_changed(read, body_kk="x"), verb)()
    assert list(Edition.objects.verify()) == []


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("verb", ["save", "delete"])
def test_a_writer_that_waits_for_a_publication_is_refused_after_it(verb):
    draft = factories.draft()
    read = _changed(Edition.objects.get(pk=draft.pk), body_kk="x")

    with transaction.atomic():
        draft.publish(notify=False)
        writer = Elsewhere(getattr(read, verb))
        writer.wait_until_blocked()

    error = writer.finish()
    assert isinstance(error, IntegrityError)
    assert REFUSAL in str(error)
    assert list(Edition.objects.verify()) == []


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_publication_that_waits_for_a_writer_seals_what_he_wrote():
    draft = factories.draft()

    with transaction.atomic():
        Edition.objects.filter(pk=draft.pk).update(body_kk=factories.KK + "\nЖаңа сөз.\n")
        publisher = Elsewhere(draft.publish)
        publisher.wait_until_blocked()

    assert publisher.finish() is None
    assert Edition.objects.get().body_kk.endswith("Жаңа сөз.\n")
    assert list(Edition.objects.verify()) == []


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_truncate_with_a_snapshot_from_before_the_first_publication_is_refused():
    draft = factories.draft()

    with pytest.raises(IntegrityError, match=REFUSAL), transaction.atomic():
        run([("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", []), ("SELECT 1 FROM agreement_edition", [])])
        assert Elsewhere(draft.publish).finish() is None
        assert not Edition.objects.published().exists()
        run([("TRUNCATE agreement_agreement CASCADE", [])])

    assert Edition.objects.published().get() == draft


# What gets round the triggers is found by the chain.

#: published_by and cancelled_at are guarded by the triggers alone, as agreement.text.seal says.
COVERED = [
    field
    for field in Edition._meta.concrete_fields
    if field.name not in {"id", "published_by", "cancelled_at", "agreement"}
]


def tampered(edition: Edition, **columns: Any) -> None:
    with open_seal():
        Edition.objects.rewrite(False).filter(pk=edition.pk).update(**columns)


def faults(editions: Any = None, *, language: str = "en") -> dict[Any, list[str]]:
    """What verify() finds, in the words of the source."""
    found: dict[Any, list[str]] = {}
    with translation.override(language):
        for row, sentence in (Edition.objects if editions is None else editions).verify():
            found.setdefault(row, []).append(sentence)
    return found


@pytest.mark.parametrize("language", ["kk", "ru", "en"])
def test_verify_finds_nothing_in_what_was_published(world, language):
    assert faults(language=language) == {}


@pytest.mark.parametrize("field", COVERED, ids=lambda field: field.name)
def test_verify_names_the_edition_in_which_a_column_was_changed(world, field):
    tampered(world.scheduled, **{field.name: another(world.scheduled, field)})

    found = faults()[world.scheduled]

    sentence = "Its base columns are not" if field.name in TEXTS else "The text, dates or number are not"
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
        for rows in (Acceptance, TimeStamp, Withdrawal):
            rows.objects.all().delete()
        NoticeText.objects.all().delete()
        Notice.objects.all().delete()
        Edition.objects.filter(pk__in=[edition.pk for edition in editions]).delete()


def test_verify_finds_an_edition_removed_in_the_middle_and_names_the_next(world):
    _gone(world.scheduled)
    assert faults() == {
        world.cancelled: [
            "It does not name the edition before it: the chain is broken.",
            "An edition before it is missing.",
        ]
    }


def test_verify_finds_the_last_edition_removed_and_names_the_one_before(world):
    _gone(world.cancelled)
    assert faults() == {world.scheduled: ["Editions after it are missing: the agreement's head names another digest."]}


@pytest.mark.parametrize("queryset", [Edition.objects.all, Edition.objects.published])
def test_verify_finds_every_edition_removed_and_names_the_agreement(world, queryset):
    world.draft.delete()
    _gone(world.in_force, world.scheduled, world.cancelled)
    assert faults(queryset()) == {
        world.in_force.agreement: ["Every edition is missing, but the agreement's head names a digest."]
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


# The triggers themselves.

NAMES = [
    f"agreement_seal_{model}_{event}"
    for model in MODELS
    for event in (
        ("row", "written", "truncate")
        if connection.vendor == "postgresql"
        else ("update", "delete", "insert", "collide")
    )
]


def missing() -> list[str]:
    return triggers.missing(connection, apps.get_model)


def _table(name: str) -> str:
    return f"agreement_{name.split('_')[2]}"


def test_no_trigger_is_missing_after_migrate():
    assert triggers.expected(connection)
    assert missing() == []


@pytest.mark.parametrize("name", NAMES)
def test_missing_names_a_dropped_trigger_and_install_returns_it(name):
    on = f" ON {_table(name)}" if connection.vendor == "postgresql" else ""
    run([(f"DROP TRIGGER {name}{on}", [])])
    assert missing() == [name]

    triggers.install(connection, apps.get_model)
    assert missing() == []


@pytest.mark.sqlite
@pytest.mark.parametrize("name", NAMES)
def test_missing_names_a_trigger_that_was_made_harmless(name):
    run(
        [
            (f"DROP TRIGGER {name}", []),
            (f"CREATE TRIGGER {name} BEFORE UPDATE ON {_table(name)} BEGIN SELECT 1; END", []),
        ]
    )
    assert missing() == [name]


_ROW = "CREATE TRIGGER agreement_seal_edition_row BEFORE UPDATE OR DELETE ON"
_CALL = "EXECUTE FUNCTION agreement_seal_edition()"
_HARMLESS = "CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
_DROP = "DROP TRIGGER agreement_seal_edition_row ON agreement_edition"


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("change", "named"),
    [
        (["ALTER TABLE agreement_edition DISABLE TRIGGER ALL"], ["row", "written", "truncate"]),
        (["ALTER TABLE agreement_edition DISABLE TRIGGER agreement_seal_edition_row"], ["row"]),
        (["ALTER TABLE agreement_edition ENABLE REPLICA TRIGGER agreement_seal_edition_row"], ["row"]),
        ([_DROP, f"{_ROW} agreement_edition FOR EACH ROW WHEN (FALSE) {_CALL}"], ["row"]),
        ([_DROP, f"{_ROW.replace(' OR DELETE', '')} agreement_edition FOR EACH ROW {_CALL}"], ["row"]),
        (
            [_DROP, f"{_ROW.replace('UPDATE', 'UPDATE OF number')} agreement_edition FOR EACH ROW {_CALL}"],
            ["row"],
        ),
        ([_DROP, f"{_ROW} agreement_delivery FOR EACH ROW {_CALL}"], ["row"]),
        (
            [
                _DROP,
                _HARMLESS.format(name="harmless"),
                f"{_ROW} agreement_edition FOR EACH ROW EXECUTE FUNCTION harmless()",
            ],
            ["row"],
        ),
        (["ALTER FUNCTION agreement_seal_edition() RESET ALL"], ["row", "written", "truncate"]),
        ([_HARMLESS.format(name="agreement_seal_edition")], ["row", "written", "truncate"]),
    ],
)
def test_missing_names_a_trigger_that_was_disabled_or_altered(change, named):
    run([(sql, []) for sql in change])
    assert missing() == [f"agreement_seal_edition_{event}" for event in named]

    triggers.install(connection, apps.get_model)
    assert missing() == []


class KeepsAway:
    """A router that has our tables on no database."""

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return False if app_label == "agreement" else None


def test_the_triggers_are_not_expected_where_a_router_keeps_the_tables_away(settings):
    settings.DATABASE_ROUTERS = [KeepsAway()]
    assert not triggers.expected(connection)


@pytest.mark.postgresql
@pytest.mark.django_db
def test_a_trigger_that_fires_after_ours_can_not_rewrite_the_row():
    edition = factories.published(effective_from=timezone.now() + timedelta(days=1))
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION forge() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN NEW.body_kk := 'forged'; RETURN NEW; END $$;"
            "CREATE TRIGGER zzz BEFORE UPDATE ON agreement_edition FOR EACH ROW EXECUTE FUNCTION forge()"
        )
    with pytest.raises(IntegrityError, match="is sealed"), transaction.atomic():
        Edition.objects.filter(pk=edition.pk).update(cancelled_at=timezone.now())
    edition.refresh_from_db()
    assert edition.body_kk == factories.KK


@pytest.mark.django_db
def test_a_draft_is_not_sealed_without_a_number():
    draft, now = factories.draft(), timezone.now()
    seal = {"published_at": now, "effective_from": now, "recorded_at": now, "digest": "a" * 64}
    with pytest.raises(IntegrityError, match="agreement_edition_sealed_whole"), transaction.atomic():
        Edition.objects.filter(pk=draft.pk).update(**seal)


@pytest.mark.django_db
def test_the_words_of_a_notice_are_verified():
    factories.users(1)
    dispatch.fan_out(factories.published().notices.get())
    call_command("verify_editions", stdout=io.StringIO())
    with open_seal():
        NoticeText.objects.filter(language="kk").update(text="forged")
    out = io.StringIO()
    with pytest.raises(CommandError, match="1 faults"):
        call_command("verify_editions", stdout=out, stderr=out)
    assert "(email, kk): these are not the words sent." in out.getvalue()


@pytest.mark.django_db
@pytest.mark.parametrize("language", ["kk", "ru", "en"])
def test_an_unchanged_save_and_a_reload_are_harmless_in_every_language(language, tmp_path):
    edition = factories.published()
    dump = tmp_path / "editions.json"
    with translation.override(language):
        call_command("dumpdata", "agreement.agreement", "agreement.edition", output=str(dump))
        call_command("loaddata", str(dump), verbosity=0)
        edition.save()
        Edition.objects.get(pk=edition.pk).save()
    mirror = Edition.objects.rewrite(False).values_list("body", "title").get()
    assert mirror == (edition.body_kk, edition.title_kk)
    assert list(Edition.objects.verify()) == []
