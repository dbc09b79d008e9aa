"""The site's own tests, run by its own runner: nothing in them prepares or cleans up for the app."""

import io
import tempfile
from urllib.request import urlopen

from django.apps import apps
from django.conf import settings
from django.core import mail
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.test import LiveServerTestCase, TestCase, TransactionTestCase
from django.utils import translation
from people.models import Person, Profile

from agreement.evidence import find_user_key
from agreement.models import Acceptance, Agreement, Edition, Notice, verification
from agreement.notices import dispatch

KK = "# Ережелер\n\n## 1. ЖАЛПЫ\n\n1.1. Бірінші тармақ.\n"
RU = "# Правила\n\n## 1. ОБЩИЕ\n\n1.1. Первый пункт.\n"


class Publishes:
    """Every test finds an empty database, publishes and leaves sealed rows for the runner to remove."""

    def setUp(self) -> None:
        super().setUp()
        assert not Agreement.objects.exists()
        assert not Person.objects.exists()
        self.person = Person.objects.create(phone="+70000000001")
        Profile.objects.create(person=self.person, address="reader@example.kz", language="kk")
        rules = Agreement.objects.create(slug="rules")
        self.edition = Edition.objects.create_draft(agreement=rules, bodies={"kk": KK, "ru": RU})
        self.edition.publish(by=self.person)

    def assert_published_and_sealed(self) -> None:
        assert Edition.objects.in_force().get().number == 1
        assert Edition.objects.get().published_by == "+70000000001"
        assert Notice.objects.get().edition == self.edition
        assert list(verification.faults()) == []
        with self.assertRaisesMessage(IntegrityError, "is sealed"), transaction.atomic():
            Edition.objects.update(body_kk="x")


class InATransaction(Publishes, TestCase):
    def test_one(self) -> None:
        self.assert_published_and_sealed()

    def test_another(self) -> None:
        self.assert_published_and_sealed()

    def test_the_agreement_is_written_in_two_languages_whatever_the_site_has(self) -> None:
        with connection.cursor() as cursor:
            columns = connection.introspection.get_table_description(cursor, Edition._meta.db_table)
        written = {column.name for column in columns if column.name.startswith(("title", "body"))}
        assert written == {"title", "title_kk", "title_ru", "body", "body_kk", "body_ru"}
        if settings.OWN_TRANSLATIONS:
            names = {field.name for field in apps.get_model("pages", "Page")._meta.fields}
            assert names == {"id", "title", "title_kk", "title_ru", "title_en"}

    def test_an_edition_is_drafted_and_published_under_every_language_of_the_site(self) -> None:
        for code, _name in settings.LANGUAGES:
            with translation.override(code):
                draft = Edition.objects.create_draft(
                    agreement=self.edition.agreement, bodies={"kk": KK, "ru": RU}, summary_ru=code
                )
                draft.publish()
                assert (draft.body_kk, draft.body_ru, draft.summary_ru) == (KK, RU, code)
                assert list(verification.faults()) == []

    def test_notices_reach_people_by_the_address_and_in_the_language_the_site_keeps_for_them(self) -> None:
        other = Person.objects.create(phone="+70000000009")
        Profile.objects.create(person=other, address="other@example.kz", language="ru")
        counts = dispatch.work()
        assert (counts.sent, counts.faults, counts.outage) == (2, [], ""), counts
        languages = {message.to[0]: message.extra_headers["Content-Language"] for message in mail.outbox}
        assert languages == {"reader@example.kz": "kk", "other@example.kz": "ru"}
        assert "https://host.example.kz/" in mail.outbox[0].body

    def test_earlier_acceptances_are_imported_by_name_and_by_key(self) -> None:
        others = [Person.objects.create(phone=f"+7000000001{number}") for number in range(3)]
        names = [self.person.phone, *(f"key:{others[0].pk}", f"key:{others[1].pk.hex}", str(others[2].pk).upper())]
        with tempfile.NamedTemporaryFile("w") as file:
            file.write("\n".join(["user,edition,at", *(f"{n},1,{self.edition.effective_from}" for n in names), ""]))
            file.flush()
            call_command("import_acceptances", file.name, verbosity=0, stdout=io.StringIO())
        assert set(Acceptance.objects.values_list("user", flat=True)) == {self.person.pk, *(one.pk for one in others)}
        with self.assertRaises(ValidationError) as caught:  # noqa: PT027 - Django's runner runs it, without pytest.
            find_user_key(f"key:{str(self.person.pk)[:8]}")
        assert caught.exception.code == "nobody"


class Committed(Publishes, TransactionTestCase):
    def test_one(self) -> None:
        self.assert_published_and_sealed()

    def test_another(self) -> None:
        self.assert_published_and_sealed()


class WithSomeAppsOnly(TransactionTestCase):
    """Its flush is of two apps; on PostgreSQL it cascades."""

    available_apps = ("people", "django.contrib.auth", "django.contrib.contenttypes")

    def test_one(self) -> None:
        Person.objects.create(phone="+70000000002")

    def test_another(self) -> None:
        assert not Person.objects.exists()


class Served(Publishes, LiveServerTestCase):
    def read(self) -> str:
        with urlopen(self.live_server_url) as answer:  # noqa: S310 - the server of this test
            return answer.read().decode()

    def test_one(self) -> None:
        assert self.read() == "rules 1"
        self.assert_published_and_sealed()

    def test_another(self) -> None:
        assert self.read() == "rules 1"
        self.assert_published_and_sealed()
