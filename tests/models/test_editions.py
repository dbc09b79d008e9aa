"""One edition's life: draft, publish, in force, superseded, cancelled; and every refusal on the way."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext, override_settings
from django.utils import timezone, translation

from agreement.editions.timeline import fresh_timelines
from agreement.models import AuditEntry, Edition, EditionError, LogEntry, Notice, verification
from agreement.models.audit import AuditAction
from agreement.models.hand_overs import HandOver
from agreement.models.notices import NoticeKind
from agreement.models.succession import State
from agreement.seal import manifest
from agreement.testing import open_seal
from agreement.text import dates
from tests.notices.test_cancellations import Killed, killed_after
from tests.support import factories
from tests.support.attacks import another
from tests.support.site import KK, RU

pytestmark = pytest.mark.django_db

MICROSECOND = timedelta(microseconds=1)


@pytest.fixture(autouse=True)
def english():
    with translation.override("en"):
        yield


def test_publish_takes_effect_at_the_microsecond_of_publication():
    edition = factories.published()

    assert edition.number == 1
    assert edition.effective_from == edition.published_at == edition.recorded_at
    assert edition.digest == manifest.sha256(edition.manifest())
    assert edition.state() == State.IN_FORCE
    assert Edition.objects.in_force().get() == edition


@pytest.mark.parametrize(("name", "most"), [("notice_days", 3650), ("retention_years", 1000)])
def test_an_edition_states_no_number_with_which_no_date_can_be_computed(name, most):
    factories.draft(**{name: most})
    with pytest.raises(ValidationError) as refused:
        factories.draft(**{name: most + 1})
    assert refused.value.message_dict == {name: [f"Ensure this value is less than or equal to {most}."]}


def test_a_scheduled_edition_binds_from_its_microsecond_on_and_not_before():
    first = factories.published()
    moment = timezone.now() + timedelta(days=10)
    second = factories.published(effective_from=moment)

    before, after = moment - MICROSECOND, moment
    assert Edition.objects.in_force(before).get() == first
    assert Edition.objects.in_force(after).get() == second
    assert (first.state(before), second.state(before)) == (State.IN_FORCE, State.SCHEDULED)
    assert (first.state(after), second.state(after)) == (State.SUPERSEDED, State.IN_FORCE)


@pytest.mark.parametrize("zone", ["Asia/Almaty", "America/New_York"])
def test_an_instant_means_the_same_in_every_zone(zone):
    first = factories.published()
    second = factories.published(effective_from=timezone.now() + timedelta(days=10))
    moment = second.effective_from.astimezone(ZoneInfo(zone))

    assert Edition.objects.in_force(moment - MICROSECOND).get() == first
    assert Edition.objects.in_force(moment).get() == second


#: The columns that decide the state of an edition: its agreement, its place among the editions, and its dates.
DECISIVE = {"id", "agreement", "number", "published_at", "effective_from", "cancelled_at"}


def test_no_column_but_the_dates_decides_which_edition_is_in_force():
    """A stored mark such as "active" would be such a column, and a late job could leave it at the wrong edition."""
    now = timezone.now()
    editions = [factories.published(), factories.published()]
    editions += [factories.published(effective_from=now + timedelta(days=days)) for days in (1, 2)]
    editions[2].cancel()

    def states() -> list[object]:
        rows = [Edition.objects.get(pk=edition.pk) for edition in editions]
        timeline = fresh_timelines().agreements["terms"]
        return [
            (row.state(at), timeline.state(dates, at), Edition.objects.in_force(at).get().pk, timeline.in_force(at).pk)
            for at in (timezone.now(), now + timedelta(days=3))
            for row, dates in zip(rows, timeline.editions, strict=True)
        ]

    before = states()
    with open_seal():
        for field in (field for field in Edition._meta.concrete_fields if field.name not in DECISIVE):
            for edition in editions:
                row = Edition.objects.with_real_columns().filter(pk=edition.pk)
                stored = row.values_list(field.name, flat=True).get()
                row.update(**{field.name: another(edition, field)})
                assert states() == before, f"{field.name} of edition {edition.number}"
                row.update(**{field.name: stored})
    assert {state for state, *_more in before} == {*State} - {State.DRAFT}


@pytest.mark.parametrize(
    ("same", "refusal"),
    [("effective_from", "one_in_force|agreement_edition.effective_from"), ("number", "agreement_edition.number")],
)
def test_the_table_refuses_two_editions_of_one_moment_or_one_number(same, refusal):
    """The triggers are off: the unique constraints alone refuse."""
    first = factories.published(effective_from=timezone.now() + timedelta(days=1))
    values = {field.attname: another(first, field) for field in Edition._meta.concrete_fields}
    values |= {"id": None, "agreement_id": first.agreement_id, "cancelled_at": None, "imported": False}
    values |= {"published_at": first.published_at, "recorded_at": first.recorded_at}
    with open_seal():
        Edition.objects.bulk_create([Edition(**values)])  # Nothing else in it is refused.
        Edition.objects.filter(digest=values["digest"]).delete()

    with pytest.raises(IntegrityError, match=refusal), open_seal():
        Edition.objects.bulk_create([Edition(**values | {same: getattr(first, same)})])


def test_editions_chain_and_number_without_gaps_through_a_cancelled_one():
    first = factories.published()
    second = factories.published(effective_from=timezone.now() + timedelta(days=1))
    second.cancel()
    third = factories.published()

    assert [first.number, second.number, third.number] == [1, 2, 3]
    assert (second.previous_digest, third.previous_digest) == (first.digest, second.digest)
    assert third.agreement.editions.published().last() == third
    assert list(verification.faults()) == []


def test_publish_under_ru_and_cancel_under_kk_change_neither_text_nor_the_mirror():
    edition = factories.draft()
    with translation.override("ru"):
        edition.publish(effective_from=timezone.now() + timedelta(days=1))
    with translation.override("kk"):
        edition.cancel()

    stored = Edition.objects.values("body_kk", "body_ru").get()
    mirror = Edition.objects.rewrite(False).values_list("body", flat=True).get()
    assert (stored["body_kk"], stored["body_ru"], mirror) == (factories.KK, factories.RU, factories.KK)
    assert edition.state() == State.CANCELLED
    assert list(verification.faults()) == []


def refusal(code: str, call) -> EditionError:
    with pytest.raises(EditionError) as caught:
        call()
    assert caught.value.code == code
    assert caught.value.hint
    return caught.value


def in_words(at: datetime) -> str:
    """The moment as a refusal names it: nobody has to read "2027-03-09T09:26:16+00:00"."""
    return dates.instant(at, "en", "Asia/Almaty")


@pytest.mark.parametrize("language", ["kk", "ru", "en"])
def test_no_refusal_names_a_column_or_a_moment_for_machines(language):
    soon = timezone.now() + timedelta(days=1)
    factories.published(effective_from=soon)
    early = lambda at: factories.draft().publish(effective_from=at)  # noqa: E731
    empty = factories.draft()
    Edition.objects.filter(pk=empty.pk).update(body_ru="", title_kk="")
    stale = lambda: factories.draft().publish(compared_with="f" * 64)  # noqa: E731
    with translation.override(language):
        said = [
            str(refusal("backdated", lambda: early(soon - timedelta(days=9)))),
            str(refusal("not_after_last", lambda: early(soon))),
            str(refusal("out_of_range", lambda: early(soon + timedelta(days=9999)))),
            str(refusal("missing_language", empty.publish)),
            str(refusal("stale_comparison", stale)),
        ]
    assert [words for words in said if re.search(r"\d{4}-\d\d-|T\d\d:|_(?:kk|ru)|[0-9a-f]{16}", words)] == []


def test_several_empty_fields_are_named_apart_from_each_other():
    edition = factories.draft()
    edition.title_ru = edition.body_ru = ""
    edition.save()
    names = {"en": "title in Russian; text in Russian", "kk": "орысша атауы; орысша мәтіні"}
    for language, expected in names.items():
        with translation.override(language):
            assert f": {expected}." in str(refusal("missing_language", edition.publish))


def test_publish_refuses_a_published_edition():
    edition = factories.published()
    error = refusal("already_published", edition.publish)
    assert "Edition 1 is already published" in str(error)


def test_publish_refuses_what_another_process_published():
    edition = factories.draft()
    Edition.objects.get(pk=edition.pk).publish()
    refusal("already_published", edition.publish)


def test_publish_refuses_a_deleted_draft():
    edition = factories.draft()
    Edition.objects.filter(pk=edition.pk).delete()
    refusal("no_draft", edition.publish)


@pytest.mark.parametrize("field", ["title_kk", "title_ru", "body_kk", "body_ru"])
@pytest.mark.parametrize("empty", ["", " \n", None])
def test_publish_refuses_a_missing_language(field, empty):
    edition = factories.draft()
    setattr(edition, field, empty)
    edition.save()
    refused = str(refusal("missing_language", edition.publish))
    labels = {
        "title_kk": "title in Kazakh",
        "title_ru": "title in Russian",
        "body_kk": "text in Kazakh",
        "body_ru": "text in Russian",
    }
    assert refused.endswith(f"these fields are empty: {labels[field]}.")
    assert not Edition.objects.published().exists()


def test_publish_refuses_unparallel_texts_and_names_the_clauses():
    edition = factories.draft(ru=factories.RU + "\n1.3. Лишний пункт.\n\n1.10. Ещё один.\n")
    assert str(refusal("unparallel", edition.publish)).endswith("different clauses: 1.3, 1.10.")


def test_publish_refuses_a_moment_before_now():
    edition = factories.draft()
    past = timezone.now() - MICROSECOND
    refused = str(refusal("backdated", lambda: edition.publish(effective_from=past)))
    assert refused.startswith(f"{in_words(past)} is in the past")


def test_publish_refuses_a_moment_not_after_the_last_edition():
    moment = timezone.now() + timedelta(days=1)
    factories.published(effective_from=moment)
    edition = factories.draft()
    for at in (moment, moment - MICROSECOND, None):
        refusal("not_after_last", lambda at=at: edition.publish(effective_from=at))
    edition.publish(effective_from=moment + MICROSECOND)


def test_a_cancelled_edition_leaves_its_moment_free():
    moment = timezone.now() + timedelta(days=1)
    factories.published(effective_from=moment).cancel()
    assert factories.published(effective_from=moment).effective_from == moment


def test_publish_refuses_a_naive_time():
    edition = factories.draft()
    error = refusal("naive_time", lambda: edition.publish(effective_from=datetime(2030, 1, 1, 9)))  # noqa: DTZ001
    assert "2030-01-01T09:00:00 has no time zone" in str(error)


@pytest.mark.parametrize("cancelled", [False, True])
def test_publish_refuses_a_clock_earlier_than_the_last_publication(cancelled):
    ahead = factories.published()
    future = timezone.now() + timedelta(hours=1)
    values = {field.attname: getattr(ahead, field.attname) for field in Edition._meta.concrete_fields}
    values |= {"id": None, "number": 2, "previous_digest": ahead.digest, "digest": "f" * 64}
    values |= dict.fromkeys(("published_at", "effective_from", "recorded_at"), future)
    if cancelled:
        values |= {"cancelled_at": future, "effective_from": future + timedelta(hours=1)}
    with open_seal():
        Edition.objects.bulk_create([Edition(**values)])

    error = refusal("clock_behind", factories.draft().publish)
    assert in_words(future) in str(error)


def test_history_is_refused_when_the_clock_is_earlier_than_the_last_record():
    past = timezone.now() - timedelta(days=9)
    draft = factories.draft()
    draft.record(effective_from=past)
    future = timezone.now() + timedelta(hours=1)
    with open_seal():
        Edition.objects.filter(pk=draft.pk).update(recorded_at=future)

    error = refusal("clock_behind", lambda: factories.draft().record(effective_from=past + timedelta(days=1)))
    assert in_words(future) in str(error)


def test_an_object_that_was_read_before_the_publication_cancels_the_edition():
    factories.published()
    as_draft = factories.draft()
    Edition.objects.get(pk=as_draft.pk).publish(effective_from=timezone.now() + timedelta(days=1))

    as_draft.cancel()

    entry = AuditEntry.objects.get(action=AuditAction.CANCELLED)
    assert (entry.digest, as_draft.number) == (as_draft.digest, 2)
    assert Notice.objects.filter(edition=as_draft, kind=NoticeKind.CANCELLED).exists()


@pytest.mark.parametrize("verb", ["publish", "record", "cancel"])
def test_the_clock_is_read_after_the_agreement_is_locked(verb):
    soon = timezone.now() + timedelta(days=1)
    edition = factories.published(effective_from=soon) if verb == "cancel" else factories.draft()
    locked_at = []

    def watch(execute, sql, *args):
        result = execute(sql, *args)
        if sql.startswith('UPDATE "agreement_agreement"'):
            locked_at.append(timezone.now())
        return result

    with connection.execute_wrapper(watch):
        getattr(edition, verb)(**({"effective_from": soon - timedelta(days=9)} if verb == "record" else {}))

    read_at = edition.cancelled_at if verb == "cancel" else edition.recorded_at
    assert read_at >= locked_at[0]


@pytest.mark.parametrize("year", [1, 1990, 2100, 9999])
def test_publish_refuses_a_moment_out_of_range(year):
    edition = factories.draft()
    far = datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC)
    for verb in (edition.publish, edition.record):
        refusal("out_of_range", lambda verb=verb: verb(effective_from=far))


def test_publish_refuses_a_title_that_is_not_the_title_line():
    edition = factories.draft(title_kk="Басқа тақырып")
    assert "“Басқа тақырып” differs from the title line" in str(refusal("title_differs", edition.publish))


@pytest.mark.parametrize("begin", ["\ufeff", "\ufeff\r", "\r\r", "\r\n"])
def test_a_draft_gets_the_title_of_its_normalised_text(begin):
    edition = factories.draft(kk=begin + KK.replace("\n", "\r"), ru=begin + RU)
    assert (edition.title_kk, edition.title_ru) == ("Пайдаланушы келісімі", "Пользовательское соглашение")
    edition.publish()


def test_publish_writes_to_the_database_of_the_router_wherever_the_draft_was_read():
    edition = factories.draft()
    edition._state.db = "replica"
    with override_settings(DATABASE_ROUTERS=["tests.models.test_editions.Primary"]):
        edition.publish(effective_from=timezone.now() + timedelta(days=1))
        edition._state.db = "replica"
        edition.cancel()
    assert edition.state() == State.CANCELLED


class Primary:
    """Rows may have been read anywhere; these are the databases that are asked now."""

    def db_for_write(self, model, **hints):
        return "default"

    db_for_read = db_for_write


def test_verify_is_not_disturbed_by_a_publication_meanwhile():
    factories.published()
    faults = verification.faults()
    original = verification.edition_faults

    def and_publish(edition, previous, last):
        if not previous:
            factories.published()
        return original(edition, previous, last)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verification, "edition_faults", and_publish)
        assert list(faults) == []


def test_publish_refuses_a_stale_comparison():
    draft = factories.draft()
    first = factories.published()
    assert refusal("stale_comparison", lambda: draft.publish(compared_with="")).params["last"] == first.digest
    draft.publish(compared_with=first.digest)


@pytest.mark.sqlite  # PostgreSQL refuses the character itself.
def test_publish_refuses_a_character_that_no_file_can_contain():
    edition = factories.draft()
    edition.summary_kk = "а\x00б"
    edition.save()
    refusal("unreadable", edition.publish)


def test_a_character_that_can_not_be_stored_is_refused_with_its_field_and_code():
    with pytest.raises(ValidationError) as refused:
        Edition(agreement=factories.agreement(), body_kk="а\x00").clean()
    assert {name: [error.code for error in errors] for name, errors in refused.value.error_dict.items()} == {
        "body_kk": ["unreadable"]
    }


def test_publish_seals_the_stored_draft_and_not_the_one_in_memory():
    edition = factories.draft()
    edition.body_kk = "unsaved"
    edition.publish()
    assert edition.body_kk == factories.KK


def test_history_is_recorded_in_ascending_order_before_the_first_ordinary_edition():
    start = datetime(2020, 1, 1, tzinfo=timezone.get_current_timezone())
    old = factories.draft()
    old.record(effective_from=start)
    assert (old.imported, old.published_at, old.effective_from) == (True, start, start)
    assert old.recorded_at > start
    assert old.state(start) == State.IN_FORCE
    assert not old.notices.exists()

    refusal("not_after_last", lambda: factories.draft().record(effective_from=start))
    refusal("not_history", lambda: factories.draft().record(effective_from=timezone.now() + timedelta(hours=1)))
    factories.published()
    refusal("not_history", lambda: factories.draft().record(effective_from=start + timedelta(days=1)))
    assert list(verification.faults()) == []


def test_cancel_refuses_what_is_in_force_a_draft_and_a_second_time():
    refusal("not_cancellable", factories.published().cancel)
    refusal("not_cancellable", factories.draft().cancel)
    scheduled = factories.published(effective_from=timezone.now() + timedelta(days=1))
    scheduled.cancel()
    refusal("not_cancellable", scheduled.cancel)


def test_every_agreement_has_its_own_numbers_chain_and_edition_in_force():
    terms, rules = factories.published(slug="terms"), factories.published(slug="rules")
    assert (terms.number, rules.number, rules.previous_digest) == (1, 1, "")
    assert set(Edition.objects.in_force()) == {terms, rules}
    assert Edition.objects.in_force().get(agreement__slug="rules") == rules


def test_in_force_is_one_query_and_state_none_with_successors(django_assert_num_queries):
    first = factories.published()
    factories.published()
    with django_assert_num_queries(1):
        Edition.objects.in_force().get()
    with django_assert_num_queries(1):
        edition = Edition.objects.with_successors().get(pk=first.pk)
        assert edition.state() == State.SUPERSEDED


def test_the_editions_that_are_not_in_force_are_all_the_others():
    first, second = factories.published(), factories.published()
    announced = factories.published(slug="rules", effective_from=timezone.now() + timedelta(days=1))
    draft = factories.draft(slug="library")
    others = Edition.objects.exclude(pk__in=Edition.objects.in_force())
    assert set(Edition.objects.exclude(effective_from__binds_at=timezone.now())) == {first, announced, draft}
    assert set(others) == {first, announced, draft}
    assert set(Edition.objects.in_force()) == {second}


def test_reading_a_text_that_was_left_out_does_not_forget_the_successor(django_assert_num_queries):
    factories.published()
    second = factories.published()
    edition = Edition.objects.with_successors().without_texts("body").get(number=1)
    assert edition.body_kk
    with django_assert_num_queries(0):
        assert edition.superseded_at == edition.successor_from() == second.effective_from
    edition.refresh_from_db(fields=["number"])
    assert edition.superseded_at == second.effective_from
    edition.refresh_from_db()
    assert not hasattr(edition, "superseded_at")


def test_publishing_costs_as_many_queries_for_many_users_as_for_none_and_reads_no_user(django_user_model):
    """One statement about all users would be one query too, so none may name a table with a row for each user."""
    publisher = django_user_model.objects.create_user("editor")
    per_user = {
        model._meta.db_table
        for model in apps.get_models()
        for field in model._meta.concrete_fields
        if model is django_user_model or field.related_model is django_user_model
    } - {AuditEntry._meta.db_table, HandOver._meta.db_table}  # One row is about the draft and the publisher.

    def cost() -> int:
        draft = factories.draft()
        with CaptureQueriesContext(connection) as captured:
            draft.publish(by=publisher, reason="Сот шешімі.")
        words = [set(re.findall(r"\w+", query["sql"])) for query in captured]
        assert [found & per_user for found in words if found & per_user] == []
        return len(captured)

    cost()
    few = cost()
    factories.users(500)
    assert cost() == few
    assert {"auth_user", "agreement_delivery", "agreement_acceptance"} <= per_user


def test_a_publication_that_is_killed_at_any_statement_is_complete_or_has_changed_nothing():
    """Seal, number, chain, log, notice and the hand-over to the task engine are in one transaction."""
    factories.published()
    draft = factories.draft()

    def stored() -> list[object]:
        models = apps.get_app_config("agreement").get_models()
        return [[*model._default_manager.order_by("pk").values_list()] for model in models]

    before, callbacks, statements = stored(), len(connection.run_on_commit), 0
    while not Edition.objects.published().filter(pk=draft.pk).exists():
        assert stored() == before, statements
        assert len(connection.run_on_commit) == callbacks, statements
        with suppress(Killed), killed_after(statements):
            draft.publish()
        statements += 1

    assert Notice.objects.filter(edition=draft).exists()
    assert AuditEntry.objects.filter(action=AuditAction.PUBLISHED, key=draft.pk).exists()
    assert LogEntry.objects.filter(kind="edition", row=draft.pk).exists()
    assert len(connection.run_on_commit) > callbacks
    assert list(verification.faults()) == []
    assert statements > 10


def test_the_publisher_is_sealed_as_a_name(django_user_model):
    user = django_user_model.objects.create_user("editor", first_name="Бірінші", last_name="Редактор")
    edition = factories.draft()
    edition.publish(by=user)
    user.delete()
    edition.refresh_from_db()
    assert edition.published_by == "Бірінші Редактор (editor)"
