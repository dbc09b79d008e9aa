"""The triggers that hold the seal: which stand, which are missing, and what stays possible beside them."""

from __future__ import annotations

import io
import re
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, models, transaction
from django.utils import timezone, translation

from agreement.models import Agreement, AuditAction, AuditEntry, Consent, Edition, NoticeText, verification
from agreement.notices import dispatch
from agreement.seal import inspection, triggers
from agreement.testing import open_seal
from tests.support import factories
from tests.support.attacks import MODELS, REFUSAL, changed, run, unique_keys

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("seal", triggers.SEALS, ids=lambda seal: seal.model)
def test_the_seal_guards_exactly_the_unique_keys_of_the_model(seal):
    keys = [] if seal.deletable else sorted(unique_keys(MODELS[seal.model]))
    assert sorted(key for key, _also in seal.keys) == keys


@pytest.mark.parametrize("seal", triggers.SEALS, ids=lambda seal: seal.model)
def test_both_databases_seal_the_same_columns(seal):
    """Neither needs the other's server: this reads the statements."""
    model = MODELS[seal.model]
    columns = {str(field.column) for field in model._meta.concrete_fields}
    update = next(sql for name, sql in triggers.sqlite_triggers(seal, model).items() if name.endswith("_update"))
    frozen = {column for column in columns if f'OLD."{column}" IS NOT NEW."{column}"' in update}
    function = triggers.postgresql_function(seal)
    if seal.frozen:
        assert frozen == {name for name in columns if f'NEW."{name}" IS DISTINCT FROM OLD."{name}"' in function}
    else:
        assert "to_jsonb(NEW)" in function
        assert columns - frozen == {name for name in columns if f" - '{name}'" in function}
    for now, sql in (("'now'", update), ("clock_timestamp()", function.partition("INSERT")[0])):
        clock = any(name in seal.forbidden for name in ("{now}", "{earliest}", "{latest}"))
        assert (now in sql) == (clock or (now != "'now'" and bool(seal.forbidden_new)))

    created = triggers._create("postgresql", seal, model)
    for name in triggers.postgresql_events(seal):
        assert any(f"CREATE TRIGGER {name} " in sql for sql in created)
        assert any(f"DROP TRIGGER IF EXISTS {name} " in sql for sql in triggers._drop("postgresql", seal, model))


@pytest.mark.parametrize("seal", [seal for seal in triggers.SEALS if seal.forbidden], ids=lambda seal: seal.model)
def test_the_seal_guards_every_moment_of_the_model(seal):
    fields = MODELS[seal.model]._meta.concrete_fields
    assert sorted(seal.moments) == sorted(field.column for field in fields if isinstance(field, models.DateTimeField))


# The triggers themselves.

NAMES = [
    name
    for seal in triggers.SEALS
    for name in (
        triggers.postgresql_events(seal)
        if connection.vendor == "postgresql"
        else triggers.sqlite_triggers(seal, MODELS[seal.model])
    )
]


def missing() -> list[str]:
    """The names of the triggers that the inspection says are missing. It must find nothing else."""
    found = [NAMED.fullmatch(sentence) for sentence in inspection.differences(connection, apps.get_model)]
    return [match[1] for match in found if match] if all(found) else ["something else"]


NAMED = re.compile(r"The trigger (\w+) is missing, disabled or altered\.")


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
        (["ALTER TABLE agreement_edition DISABLE TRIGGER USER"], ["row", "written", "truncate"]),
        (["ALTER TABLE agreement_edition DISABLE TRIGGER agreement_seal_edition_row"], ["row"]),
        (["ALTER TABLE agreement_edition ENABLE REPLICA TRIGGER agreement_seal_edition_row"], ["row"]),
        ([_DROP, f"{_ROW} agreement_edition FOR EACH ROW WHEN (FALSE) {_CALL}"], ["row"]),
        ([_DROP, f"{_ROW.replace(' OR DELETE', '')} agreement_edition FOR EACH ROW {_CALL}"], ["row"]),
        (
            [_DROP, f"{_ROW.replace('UPDATE', 'UPDATE OF number')} agreement_edition FOR EACH ROW {_CALL}"],
            ["row"],
        ),
        ([_DROP, f"{_ROW} agreement_progress FOR EACH ROW {_CALL}"], ["row"]),
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


def test_a_draft_is_not_sealed_without_a_number():
    draft, now = factories.draft(), timezone.now()
    seal = {"published_at": now, "effective_from": now, "recorded_at": now, "digest": "a" * 64}
    with pytest.raises(IntegrityError, match="agreement_edition_sealed_complete"), transaction.atomic():
        Edition.objects.filter(pk=draft.pk).update(**seal)


def test_the_text_of_a_notice_is_verified():
    factories.users(1)
    dispatch.fan_out(factories.published().notices.get())
    call_command("verify_editions", stdout=io.StringIO())
    with open_seal():
        NoticeText.objects.filter(language="kk").update(text="forged")
    out = io.StringIO()
    with pytest.raises(CommandError, match="1 faults"):
        call_command("verify_editions", stdout=out, stderr=out)
    assert "(email, kk): this is not the text that was sent." in out.getvalue()


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
    assert list(verification.faults()) == []


@pytest.mark.sqlite
def test_no_moment_is_that_of_a_clock_that_fails():
    """SQLite does not know this space, and the clock with it is NULL."""
    [seal] = [seal for seal in triggers.SEALS if seal.model == "auditentry"]
    for name, sql in triggers.sqlite_triggers(seal, AuditEntry).items():
        run([(f"DROP TRIGGER {name}", [])])
        with connection.cursor() as cursor:
            cursor.execute(sql.replace(" seconds'", "\N{NO-BREAK SPACE}seconds'"))
    for at in (timezone.now(), timezone.now() - timedelta(days=300)):
        with pytest.raises(IntegrityError, match=REFUSAL), transaction.atomic():
            AuditEntry.objects.create(action=AuditAction.PUBLISHED, by="Редактор", at=at)


@pytest.mark.parametrize("microsecond", [0, 1, 999_499, 999_500, 999_999])
def test_every_microsecond_is_a_moment(microsecond):
    """SQLite rounds to the millisecond."""
    [user] = factories.users(1)
    consent = Consent.objects.give(user=user, purpose="news", language="kk", text="Келісемін.")
    at = (timezone.now() + timedelta(days=1)).replace(microsecond=microsecond)
    Consent.objects.filter(pk=consent.pk).update(withdrawn_at=at)
    assert Consent.objects.get().withdrawn_at == at


# Drafts.


def test_two_drafts_of_one_agreement_are_published_in_turn():
    first, second = factories.draft(), factories.draft()
    assert {first, second} == set(Edition.objects.drafts())

    second.publish()
    first.publish()

    assert (second.number, first.number) == (1, 2)
    assert list(verification.faults()) == []


def test_an_agreement_without_a_published_edition_is_renamed_and_deleted_freely():
    agreement = factories.agreement("draft-only")
    changed(agreement, slug="renamed").save()
    agreement.delete()
    assert not Agreement.objects.exists()


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
        getattr(changed(read, body_kk="x"), verb)()
    assert list(verification.faults()) == []


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("verb", ["save", "delete"])
def test_a_writer_that_waits_for_a_publication_is_refused_after_it(verb):
    draft = factories.draft()
    read = changed(Edition.objects.get(pk=draft.pk), body_kk="x")

    with transaction.atomic():
        draft.publish(notify=False)
        writer = Elsewhere(getattr(read, verb))
        writer.wait_until_blocked()

    error = writer.finish()
    assert isinstance(error, IntegrityError)
    assert re.search(REFUSAL, str(error))
    assert list(verification.faults()) == []


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_publication_that_waits_for_a_writer_seals_what_was_written():
    draft = factories.draft()

    with transaction.atomic():
        Edition.objects.filter(pk=draft.pk).update(body_kk=factories.KK + "\nЖаңа сөз.\n")
        publisher = Elsewhere(draft.publish)
        publisher.wait_until_blocked()

    assert publisher.finish() is None
    assert Edition.objects.get().body_kk.endswith("Жаңа сөз.\n")
    assert list(verification.faults()) == []


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
