"""Imports from django-termsandconditions and django-tos: the texts and acceptances of their tables become history, and
the tables stay as they were.

The tables are made as the migrations of the packages make them; ``tests/system/test_peers.py`` uses the packages.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection

from agreement.management import peer_import
from agreement.models import Acceptance, Agreement, AuditEntry, Edition, Withdrawal
from agreement.models.verification import faults
from tests.management.test_commands import refused, run
from tests.support import factories

pytestmark = pytest.mark.django_db

START = datetime(2024, 2, 1, 9, tzinfo=UTC)
KK, RU = "1.1. Бірінші тармақ.", "1.1. Первый пункт."


def day(number: float) -> datetime:
    return START + timedelta(days=number)


def make_table(name: str, columns: str) -> None:
    moment = "timestamp with time zone" if connection.vendor == "postgresql" else "datetime"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {name} ({columns.replace('moment', moment)})")


def insert(table: str, **values: Any) -> None:
    if connection.vendor == "sqlite":  # As Django stores a moment.
        values = {
            key: value.astimezone(UTC).replace(tzinfo=None).isoformat(" ") if isinstance(value, datetime) else value
            for key, value in values.items()
        }
    marks = ", ".join(["%s"] * len(values))
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", [*values.values()])  # noqa: S608 - written here


def everything(*tables: str) -> list[Any]:
    with connection.cursor() as cursor:
        rows = []
        for table in tables:
            cursor.execute(f"SELECT * FROM {table} ORDER BY id")  # noqa: S608 - written here
            rows += cursor.fetchall()
    return rows


TERMS = ("termsandconditions_termsandconditions", "termsandconditions_usertermsandconditions")
TOS = ("tos_termsofservice", "tos_useragreement")


def make_terms(translated: str = "") -> None:
    make_table(
        TERMS[0],
        "id integer PRIMARY KEY, slug varchar(50), name text, version_number decimal(6, 2), text text, info text,"
        f" date_active moment NULL, date_created moment{translated}",
    )
    make_table(
        TERMS[1],
        "id integer PRIMARY KEY, ip_address char(39) NULL, date_accepted moment, terms_id integer, user_id integer",
    )


def terms(number: int, version: str, at: datetime | None, text: str = RU, **values: Any) -> None:
    values = {"slug": "site-terms", "name": "Правила сайта", "info": "", **values}
    insert(TERMS[0], id=number, version_number=version, date_active=at, text=text, date_created=START, **values)


def accepted(number: int, text: int, user: int, at: datetime, ip: str | None = None) -> None:
    insert(TERMS[1], id=number, terms_id=text, user_id=user, date_accepted=at, ip_address=ip)


def make_tos() -> None:
    make_table(TOS[0], "id integer PRIMARY KEY, created moment, modified moment, active bool, content text")
    make_table(
        TOS[1], "id integer PRIMARY KEY, created moment, modified moment, terms_of_service_id integer, user_id integer"
    )


def tos(
    number: int, created: datetime, *, modified: datetime | None = None, active: bool = False, content: str = RU
) -> None:
    insert(TOS[0], id=number, created=created, modified=modified or created, active=active, content=content)


def agreed(number: int, text: int, user: int, at: datetime) -> None:
    insert(TOS[1], id=number, created=at, modified=at, terms_of_service_id=text, user_id=user)


@pytest.fixture
def users() -> list[int]:
    return [user.pk for user in factories.users(3)]


@pytest.fixture
def site_terms(users) -> None:
    """Two versions that were in force, with three acceptances."""
    make_terms()
    terms(1, "1.00", day(0))
    terms(2, "2.00", day(10), info="Изменён <b>срок</b>.")
    accepted(1, 1, users[0], day(1))
    accepted(2, 2, users[0], day(11))
    accepted(3, 2, users[1], day(12.5))


def import_terms(**options: Any) -> str:
    return run("import_from_termsandconditions", **{"language": "ru", "create": True, **options})


def import_tos(**options: Any) -> str:
    return run("import_from_tos", **{"language": "ru", "title_ru": "Правила", **options})


def bindings() -> list[tuple[Any, ...]]:
    rows = Acceptance.objects.order_by("at")
    return [(row.user_id, row.edition.number, row.at, row.language, row.kind) for row in rows]


def test_versions_become_editions_and_acceptances_keep_their_moments(site_terms, users):
    before = everything(*TERMS)

    printed = import_terms()

    assert printed == (
        f"Text 1.00 is edition 1, imported history: effective from {day(0).isoformat()}\n"
        f"Text 2.00 is edition 2, imported history: effective from {day(10).isoformat()}\n"
        "Imported 2 editions of 'site-terms' from django-termsandconditions.\n"
        "Imported 3 acceptances of 'site-terms'.\n"
    )
    editions = Edition.objects.published()
    assert [(one.effective_from, one.imported, one.title_ru, one.summary_ru) for one in editions] == [
        (day(0), True, "Правила сайта", ""),
        (day(10), True, "Правила сайта", "Изменён срок."),
    ]
    assert [one.body_ru for one in editions] == [f"# Правила сайта\n\n{RU}"] * 2
    assert bindings() == [
        (users[0], 1, day(1), "ru", "imported"),
        (users[0], 2, day(11), "ru", "imported"),
        (users[1], 2, day(12.5), "ru", "imported"),
    ]
    assert not list(faults())
    assert everything(*TERMS) == before


def test_a_second_run_imports_what_is_new_and_nothing_twice(site_terms, users):
    import_terms()
    accepted(4, 2, users[2], day(20))

    printed = import_terms()

    assert "Text 2.00 is edition 2, there already: effective from" in printed
    assert "Imported 0 editions of 'site-terms' from django-termsandconditions. 2 were there already.\n" in printed
    assert "Imported 1 acceptances of 'site-terms'. 3 were recorded already.\n" in printed
    assert len(bindings()) == 4


def test_a_text_that_was_changed_after_its_import_is_named(site_terms):
    import_terms()
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {TERMS[0]} SET text = 'Новые слова.' WHERE id = 1")  # noqa: S608 - written here
    printed = import_terms()
    assert "Text 1.00 is edition 1, there already, with other words than the text has now: effective" in printed
    assert Edition.objects.get(number=1).body_ru == f"# Правила сайта\n\n{RU}"


def test_a_dry_run_counts_the_same_and_writes_nothing(site_terms):
    printed = import_terms(dry_run=True)
    assert "Would import 2 editions of 'site-terms' from django-termsandconditions.\n" in printed
    assert "Would import 3 acceptances of 'site-terms'.\n" in printed
    assert not Agreement.objects.exists()
    assert not Edition.objects.exists()
    assert not Acceptance.objects.exists()
    assert not AuditEntry.objects.exists()


def test_the_audit_log_says_how_many_rows_were_read(site_terms):
    import_terms()
    entry = AuditEntry.objects.get(action="accepted")
    assert (entry.note, len(entry.digest)) == ("3 rows of termsandconditions_usertermsandconditions", 64)


@pytest.mark.parametrize("language", ["kk", "ru"])
def test_the_language_without_a_text_gets_a_copy_that_says_so(users, settings, language):
    settings.AGREEMENT = {**settings.AGREEMENT, "PREVAILING_LANGUAGE": "kk"}
    make_terms()
    terms(1, "1.00", day(0), KK if language == "kk" else RU)
    import_terms(language=language)

    edition, other = Edition.objects.get(), "ru" if language == "kk" else "kk"
    original = getattr(edition, f"body_{language}")
    sentence = peer_import.NO_TEXT[other]
    assert getattr(edition, f"body_{other}") == original.replace("сайта\n", f"сайта\n\n{sentence}\n", 1)
    assert (edition.title_kk, edition.title_ru, edition.prevailing_language) == ("Правила сайта", "Правила сайта", "")


def test_columns_of_both_languages_are_read_and_the_language_of_acceptances_is_unknown(users, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "PREVAILING_LANGUAGE": "kk"}
    make_terms(", text_kk text, text_ru text, name_kk text, name_ru text")
    terms(1, "1.00", day(0), "", text_kk=KK, text_ru=RU, name_kk="Ереже", name_ru="Правила")
    accepted(1, 1, users[0], day(1))

    import_terms(language=None)

    edition = Edition.objects.get()
    assert (edition.body_kk, edition.body_ru) == (f"# Ереже\n\n{KK}", f"# Правила\n\n{RU}")
    assert edition.prevailing_language == "kk"
    assert bindings() == [(users[0], 1, day(1), "", "imported")]


def test_one_of_two_columns_may_be_chosen(users):
    make_terms(", text_kk text, text_ru text")
    terms(1, "1.00", day(0), "", text_kk=KK, text_ru=None)
    assert refused("import_from_termsandconditions", create=True) == (
        "Text 1.00 is empty in the language 'ru'. Add --texts FOLDER with the file 1.00.ru.md, or --language with the"
        " other language."
    )
    import_terms(language="kk")
    assert Edition.objects.get().body_kk == f"# Правила сайта\n\n{KK}"


def test_files_take_the_place_of_texts(site_terms, tmp_path):
    (tmp_path / "1.00.kk.md").write_text(f"# Ереже\n\n{KK}\n", encoding="utf-8")
    (tmp_path / "2.00.ru.md").write_text("# Правила\n\n1.1. Иначе.\n", encoding="utf-8")

    import_terms(texts=str(tmp_path))

    first, second = Edition.objects.published()
    assert (first.body_kk, first.body_ru) == (f"# Ереже\n\n{KK}\n", f"# Правила сайта\n\n{RU}")
    assert (second.title_kk, second.body_ru) == ("Правила", "# Правила\n\n1.1. Иначе.\n")


@pytest.mark.parametrize("name", ["3.00.ru.md", "1.00.en.md", "ru.md", "1.00.ru"])
def test_a_file_that_belongs_to_no_text_is_refused(site_terms, tmp_path, name):
    (tmp_path / name).write_text("# Правила\n", encoding="utf-8")
    assert refused("import_from_termsandconditions", language="ru", create=True, texts=str(tmp_path)) == (
        f"The file '{name}' belongs to no text, or another file belongs to the same text. A name is made of the text,"
        " the language and the type, such as 1.kk.md. Texts: 1.00, 2.00."
    )


def test_a_folder_that_is_missing_is_refused(site_terms, tmp_path):
    refusal = refused("import_from_termsandconditions", language="ru", create=True, texts=str(tmp_path / "none"))
    assert "can't be read: no such file or directory." in refusal


def test_html_becomes_markdown_and_what_is_left_out_is_named(users):
    make_terms()
    terms(1, "1.00", day(0), "<h1>Правила сайта</h1><p>Раз <img src=a.png></p><p>{% url 'home' %}</p>")
    printed = import_terms()
    assert "Text 1.00: marks of Django's templates are imported as words\n" in printed
    assert "Text 1.00: 1 pictures are not imported\n" in printed
    assert Edition.objects.get().body_ru == "# Правила сайта\n\nРаз\n\n{% url 'home' %}"


def test_versions_that_were_never_in_force_are_named(users):
    make_terms()
    terms(1, "1.00", day(0))
    terms(2, "2.00", None)
    terms(3, "3.00", datetime(2100, 1, 1, tzinfo=UTC))
    terms(4, "4.00", day(0))
    terms(5, "1.00", day(5))
    accepted(1, 2, users[0], day(1))

    printed = import_terms()

    assert printed.startswith(
        "Version 2.00 is not imported: it has no date_active, so it was never in force. 1 acceptances of it are not"
        " imported.\n"
        "Version 4.00 is not imported: version 1.00 has the same date_active (2024-02-01T09:00:00+00:00).\n"
        "Version 1.00 is not imported: another version has the same number; give it another one in"
        " termsandconditions_termsandconditions.\n"
        "Version 3.00 is not imported: it takes effect in the future (2100-01-01T00:00:00+00:00). Publish it with"
        " publish_edition.\n"
    )
    assert Edition.objects.count() == 1


def test_acceptances_that_cannot_be_imported_are_named_and_the_others_are_recorded(site_terms, users):
    accepted(4, 1, users[1], day(11))
    accepted(5, 2, 987_654, day(12), ip="192.0.2.1")
    accepted(6, 2, users[2], datetime(2100, 1, 1, tzinfo=UTC))

    dry, printed = import_terms(dry_run=True), import_terms()

    for lines in (dry, printed):
        assert "The IP addresses of 1 acceptances are not imported. They stay in the table.\n" in lines
        assert (
            f"Acceptance 4: its moment, {day(11).isoformat()}, is not in the time in which edition 1 was in force.\n"
            "Acceptance 5: there is no user with the key 987654.\n"
            "Acceptance 6: its moment, 2100-01-01T00:00:00+00:00, is in the future.\n"
        ) in lines
        assert "3 acceptances of 'site-terms'. 3 can't be imported and stay in their table.\n" in lines
    assert len(bindings()) == 3


def test_twenty_acceptances_are_named_and_the_others_are_counted(site_terms, users):
    for number in range(30, 52):
        accepted(number, 2, 1_000_000 + number, day(12))
    lines = import_terms().splitlines()
    assert sum(line.startswith("Acceptance ") for line in lines) == 20
    assert "And 2 more." in lines


def test_an_acceptance_before_a_final_withdrawal_is_imported_and_one_after_it_is_refused(site_terms, users):
    import_terms()
    Withdrawal.objects.register(
        agreement=Agreement.objects.get(),
        outcome="ended",
        received_on=day(13).date(),
        user=get_user_model()(pk=users[2]),
    )
    accepted(4, 2, users[2], day(12))
    assert "Imported 1 acceptances of 'site-terms'. 3 were recorded already.\n" in import_terms()


def test_a_text_that_cannot_be_sealed_is_refused_and_nothing_is_imported(site_terms):
    terms(3, "3.00", day(20), "1.1. Раз.\n\n1.1. Два.")
    refusal = refused("import_from_termsandconditions", language="ru", create=True)
    assert refusal.startswith("Text 3.00 can't be imported: ")
    assert refusal.endswith("Give a corrected text: --texts FOLDER, with the files 3.00.kk.md and 3.00.ru.md.")
    assert not Agreement.objects.exists()
    assert not Edition.objects.exists()


def test_history_is_refused_after_an_ordinary_edition(site_terms):
    factories.published(slug="site-terms")
    refusal = refused("import_from_termsandconditions", language="ru")
    assert refusal.startswith("Text 1.00 can't be imported: Edition 1 was already published on this site.")


def test_terms_and_agreement_are_chosen(site_terms):
    terms(9, "1.00", day(0), slug="contrib-terms")
    assert refused("import_from_termsandconditions", language="ru", create=True) == (
        "The option --slug is missing. Terms of django-termsandconditions: contrib-terms, site-terms."
    )
    assert refused("import_from_termsandconditions", language="ru", slug="none") == (
        "There are no terms 'none'. Terms of django-termsandconditions: contrib-terms, site-terms."
    )
    assert refused("import_from_termsandconditions", language="ru", slug="site-terms") == (
        "There is no agreement 'site-terms' (known: none). Correct the slug, or add --create to create the agreement."
    )
    import_terms(slug="contrib-terms", agreement="authors")
    assert Edition.objects.get().agreement.slug == "authors"


def test_a_site_without_the_tables_or_the_language_is_told_what_to_do(users):
    assert refused("import_from_termsandconditions", language="ru") == (
        "There is no table 'termsandconditions_termsandconditions' in the database 'default'. Name the database that"
        " has it: --database ALIAS."
    )
    make_tos()
    assert refused("import_from_tos") == (
        "django-tos stores one text for each version here. Name its language: --language kk or --language ru."
    )


def test_texts_of_tos_begin_when_they_were_created(users):
    make_tos()
    tos(1, day(0), content="<p>1.1. Раз.</p>")
    tos(2, day(10), active=True)
    agreed(1, 1, users[0], day(1))
    agreed(2, 2, users[0], day(10.5))
    before = everything(*TOS)

    printed = import_tos()

    assert "Imported 2 editions of 'user-agreement' from django-tos.\n" in printed
    assert "Imported 2 acceptances of 'user-agreement'.\n" in printed
    editions = Edition.objects.published()
    assert [(one.effective_from, one.body_ru) for one in editions] == [
        (day(0), "# Правила\n\n1.1. Раз."),
        (day(10), f"# Правила\n\n{RU}"),
    ]
    assert bindings() == [(users[0], 1, day(1), "ru", "imported"), (users[0], 2, day(10.5), "ru", "imported")]
    assert not list(faults())
    assert everything(*TOS) == before


@pytest.mark.parametrize(("modified", "start"), [(7, 7), (10, 9), (2, 9)])
def test_a_text_of_tos_that_became_active_late_begins_when_that_is_known(users, modified, start):
    make_tos()
    tos(1, day(0))
    tos(2, day(1), modified=day(modified), active=True)
    agreed(1, 1, users[0], day(5))
    agreed(2, 2, users[0], day(9))
    import_tos()
    assert [one.effective_from for one in Edition.objects.published()] == [day(0), day(start)]
    assert len(bindings()) == 2


def test_texts_of_tos_that_were_active_in_another_order_keep_their_acceptances(users):
    make_tos()
    tos(1, day(0), modified=day(20), active=True)
    tos(2, day(1), modified=day(1))
    agreed(1, 2, users[0], day(5))
    agreed(2, 1, users[0], day(21))
    import_tos()
    assert [row[1:3] for row in bindings()] == [(1, day(5)), (2, day(21))]


def test_an_active_text_without_agreements_is_the_last_one(users):
    make_tos()
    tos(1, day(0), modified=day(8), active=True)
    tos(2, day(1))
    agreed(1, 2, users[0], day(5))
    import_tos()
    assert [one.effective_from for one in Edition.objects.published()] == [day(1), day(8)]


def test_what_tos_does_not_store_is_named(users):
    make_tos()
    tos(1, day(0), modified=day(6))
    tos(2, day(1))
    tos(3, day(2), active=True)
    agreed(1, 1, users[0], day(5))
    agreed(2, 1, users[0], day(5.5))
    lines = import_tos().splitlines()
    assert lines[0] == (
        f"Text 1 was saved at {day(6).isoformat()}, after a user had agreed to it at {day(5).isoformat()}. Its wording"
        " may have changed in between; django-tos does not store that."
    )
    assert lines[1] == "Text 2 is not imported: it is not active, and no user has agreed to it."
    assert lines[2] == "Text 3 is not imported: it is not known when it became active. Publish it."
    assert "Acceptance 2: acceptance 1 is of the same text by the same user, at another moment." in lines
    assert len(bindings()) == 1
    assert "1 were recorded already. 1 can't be imported" in import_tos()
