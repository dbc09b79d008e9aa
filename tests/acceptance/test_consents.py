"""Consent to data: bound to the words displayed, given and withdrawn independently of any acceptance."""

from __future__ import annotations

import io
import zipfile
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.forms import UserCreationForm
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone, translation

from agreement.acceptance import consents
from agreement.checks import check_settings
from agreement.evidence import export
from agreement.forms import AcceptanceFormMixin
from agreement.models import Acceptance, Consent, Withdrawal
from agreement.retention import erasure, terms
from agreement.seal import manifest
from agreement.text import consent
from tests.support import factories
from tests.text.test_consent import STATED as PARTS

pytestmark = pytest.mark.django_db

WORDS = {"kk": "Хабарлар алуға келісемін.", "ru": "Согласен получать новости."}
RECORD, GIVE, ACCEPT = "/ru/agreements/record/", "/ru/agreements/record/consent/", "/ru/agreements/terms/accept/"


@pytest.fixture(autouse=True)
def _asked(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "CONSENTS": {"news": WORDS}}
    with translation.override("kk"):
        yield


def reword(settings: Any) -> dict[str, str]:
    words = {language: f"{text} *" for language, text in WORDS.items()}
    settings.AGREEMENT = {**settings.AGREEMENT, "CONSENTS": {"news": words}}
    return words


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def answer(edition: Any, **more: str) -> dict[str, object]:
    return factories.fields(edition) | {"decision": "accept"} | more


def digest(language: str = "ru") -> str:
    return manifest.sha256(WORDS[language])


def test_the_accept_page_has_an_unticked_box_and_acceptance_needs_no_consent():
    edition, (user,) = factories.published(), factories.users(1)
    client = signed_in(user)
    page = client.get(ACCEPT).content.decode()
    assert WORDS["ru"] in page
    assert f'name="consent:news" value="{digest()}"> ' in page

    assert client.post(ACCEPT, answer(edition)).status_code == 302

    assert (Acceptance.objects.count(), Consent.objects.count()) == (1, 0)


def test_a_consent_is_bound_to_the_words_and_the_language_shown():
    edition, (user,) = factories.published(), factories.users(1)
    client = signed_in(user)
    client.post(ACCEPT, answer(edition, **{"consent:news": digest("kk")}))

    (row,) = Consent.objects.all()
    assert (row.user, row.purpose, row.language, row.text, row.digest) == (
        user,
        "news",
        "kk",
        WORDS["kk"],
        digest("kk"),
    )
    assert "Даю согласие" not in client.get(RECORD).content.decode(), "given in one language is given"


def test_words_changed_meanwhile_are_409_and_nothing_is_recorded(settings):
    edition, (user,) = factories.published(), factories.users(1)
    client = signed_in(user)
    words = reword(settings)

    refused = client.post(ACCEPT, answer(edition, **{"consent:news": digest()}))
    own = client.post(GIVE, {"purpose": "news", "digest": digest(), "decision": "give"})

    assert (refused.status_code, own.status_code) == (409, 409)
    assert words["ru"] in refused.content.decode()
    assert words["ru"] in own.content.decode()
    assert (Acceptance.objects.count(), Consent.objects.count()) == (0, 0)


def test_other_words_need_another_consent_and_both_records_stay(settings):
    (user,) = factories.users(1)
    factories.published()
    client = signed_in(user)
    client.post(GIVE, {"purpose": "news", "digest": digest(), "decision": "give"})
    words = reword(settings)
    assert [one.text for one in consents.open_purposes(user.pk, "ru")] == [words["ru"]]
    client.post(GIVE, {"purpose": "news", "digest": manifest.sha256(words["ru"]), "decision": "give"})
    assert sorted(Consent.objects.values_list("text", flat=True)) == sorted([WORDS["ru"], words["ru"]])


def test_after_a_future_withdrawal_a_consent_can_be_withdrawn_sooner_or_given_again():
    edition, (user,) = factories.published(), factories.users(1)
    client = signed_in(user)
    client.post(GIVE, {"purpose": "news", "digest": digest(), "decision": "give"})
    moment = timezone.now() + timedelta(days=30)
    Withdrawal.objects.register(
        agreement=edition.agreement, user=user, outcome="ended", received_on=timezone.now().date(), effective_at=moment
    )
    assert Consent.objects.get().withdrawn_at == moment
    with pytest.raises(IntegrityError, match="agreement_consent is sealed"), transaction.atomic():
        Consent.objects.update(withdrawn_at=moment + timedelta(days=1))
    page = client.get(RECORD).content.decode()
    assert 'value="withdraw"' in page
    assert 'value="give"' in page

    assert client.post(GIVE, {"purpose": "news", "decision": "withdraw"}).status_code == 302
    taken = Consent.objects.get()
    assert taken.withdrawn_at <= timezone.now()
    assert 'value="withdraw"' not in client.get(RECORD).content.decode()
    with pytest.raises(IntegrityError, match="agreement_consent is sealed"), transaction.atomic():
        Consent.objects.update(withdrawn_at=taken.given_at)

    client.post(GIVE, {"purpose": "news", "digest": digest(), "decision": "give"})
    assert Consent.objects.given(moment).count() == 1
    with pytest.raises(IntegrityError, match="agreement_consent is sealed"), transaction.atomic():
        Consent.objects.filter(pk=taken.pk).update(withdrawn_at=moment)


def test_in_my_record_a_consent_is_given_and_withdrawn_and_the_agreement_stays():
    edition, (user,) = factories.published(), factories.users(1)
    client = signed_in(user)
    client.post(ACCEPT, answer(edition))
    for _twice in range(2):
        assert client.post(GIVE, {"purpose": "news", "digest": digest(), "decision": "give"}).status_code == 302
    assert digest() in client.get(RECORD).content.decode()

    assert client.post(GIVE, {"purpose": "news", "decision": "withdraw"}).status_code == 302

    row = Consent.objects.get()
    assert row.given_at <= row.withdrawn_at <= timezone.now()
    assert "Отозвано" in client.get(RECORD).content.decode()
    assert Acceptance.objects.withdrawal_in_effect(user_key=user.pk, agreement=edition.agreement_id) is None
    assert not Withdrawal.objects.exists()


def test_an_answer_is_the_users_own_and_needs_a_token():
    factories.published()
    one, other = factories.users(2)
    consents.give(one, [("news", digest())])
    signed_in(other).post(GIVE, {"purpose": "news", "decision": "withdraw"})
    assert Consent.objects.given().count() == 1
    assert Client().post(GIVE, {"purpose": "news", "decision": "withdraw"}).status_code == 403
    careful = Client(enforce_csrf_checks=True)
    careful.force_login(one)
    assert careful.post(GIVE, {"purpose": "news", "decision": "withdraw"}).status_code == 403
    assert Consent.objects.given().count() == 1


@pytest.mark.parametrize(
    ("posted", "status"),
    [
        ({}, 400),
        ({"purpose": "news"}, 400),
        ({"purpose": "other", "decision": "give", "digest": "f" * 64}, 409),
        ({"purpose": "news\x00", "decision": "give"}, 409),
        ({"purpose": "other", "decision": "withdraw"}, 302),
        ({"purpose": "news\x00", "decision": "withdraw"}, 400),
    ],
)
def test_what_is_no_answer_is_refused_and_nothing_recorded(posted, status):
    factories.published()
    (user,) = factories.users(1)
    assert signed_in(user).post(GIVE, posted).status_code == status
    assert not Consent.objects.exists()


class SignUp(AcceptanceFormMixin, UserCreationForm):
    class Meta(UserCreationForm.Meta):
        model = User


def filled(**more: object) -> dict[str, object]:
    form = SignUp()
    hidden = {name: field.initial for name, field in form.fields.items() if field.initial is not None}
    who = {"username": "somebody", "password1": "correct-horse-1", "password2": "correct-horse-1"}
    return hidden | who | {"accept_terms": "on"} | more


@pytest.mark.parametrize(("box", "given"), [({}, 0), ({"consent_news": "on"}, 1), ({"consent_news": "false"}, 0)])
def test_signing_up_has_a_box_for_each_consent_and_records_what_was_ticked(box, given):
    """By a program's ``false`` as little as by an empty box."""
    factories.published()
    form = SignUp(filled(**box))
    assert form.is_valid(), form.errors
    user = form.save()
    assert [row.text for row in Consent.objects.filter(user=user)] == [WORDS["kk"]] * given


def test_signing_up_with_words_of_yesterday_shows_those_of_today_unticked(settings):
    factories.published()
    posted = filled(consent_news="on")
    words = reword(settings)
    form = SignUp(posted)
    assert not form.is_valid()
    assert form.errors.as_data()["consent_news"][-1].code == "stale_wording"
    page = form.as_p()
    assert words["kk"] in page
    assert manifest.sha256(words["kk"]) in page
    assert "checked" not in page.partition('name="consent_news"')[2]


def test_evidence_has_the_words_and_their_digest():
    factories.published()
    (user,) = factories.users(1)
    consents.give(user, [("news", digest())])
    (row,) = Consent.objects.all()
    response = signed_in(user).get("/ru/agreements/record/evidence.zip")
    with zipfile.ZipFile(io.BytesIO(b"".join(response.streaming_content))) as archive:
        assert manifest.sha256(archive.read(f"user/consents/{row.pk}.ru.txt")) == digest()
        assert digest() in archive.read("user/consents.csv").decode()


def test_the_consent_of_a_deleted_account_without_acceptance_is_erased_after_the_longest_term():
    factories.published(retention_years=5)
    factories.published(retention_years=1)
    (user,) = factories.users(1)
    key = user.pk
    consents.give(user, [("news", digest())])
    user.delete()
    (row,) = Consent.objects.for_user_key(key)
    over = terms.years_later(row.account_deleted_at, 5)

    assert erasure.erase(at=over - timedelta(microseconds=1)) == erasure.ErasureCounts()
    assert erasure.erase(at=over, dry_run=True) == erasure.erase(at=over) == erasure.ErasureCounts(consents=1)
    assert not Consent.objects.for_user_key(key).exists()
    assert Consent.objects.get().digest == digest()


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ([], "must be like"),
        ({"news": {"kk": "x"}}, "must have one text in kk, one text in ru"),
        ({"news": {"kk": "x", "ru": " "}}, "must have one text in kk, one text in ru"),
        ({"news": "x"}, "must have one text in kk, one text in ru"),
        ({"no news": WORDS}, "must be a name"),
    ],
)
def test_E002_names_words_that_are_none(settings, written, says):  # noqa: N802
    settings.AGREEMENT = {"CONSENTS": written}
    (message,) = check_settings(None)
    assert message.id == "agreement.E002"
    assert says in message.msg


def test_a_consent_with_parts_is_displayed_and_recorded_with_all_of_them(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "CONSENTS": {"news": PARTS}}
    edition, (user,) = factories.published(), factories.users(1)
    client = signed_in(user)
    asked = client.get(ACCEPT).content.decode()
    own = client.get(RECORD).content.decode()
    (purpose,) = consents.purposes("ru")

    client.post(ACCEPT, answer(edition, **{"consent:news": purpose.digest}))

    row = Consent.objects.get()
    assert (row.text, row.digest) == (consent.render(PARTS, "ru"), manifest.sha256(consent.render(PARTS, "ru")))
    for page in (asked, own, client.get(RECORD).content.decode()):
        assert "<dt>Оператор</dt><dd>«Портал», БИН 000000000000.</dd>" in page
        assert "<dt>Трансграничная передача</dt><dd>данные в другие государства не передаются.</dd>" in page
        assert page.count("Цель: регистрация на портале.") == 1
    with translation.override("kk"):
        form = SignUp().as_p()
    assert "Мақсаты: порталда тіркелу." in form
    assert "<dt>Оператор</dt><dd>«Портал», БСН 000000000000.</dd>" in form


def test_another_part_is_another_wording(settings):
    (user,) = factories.users(1)
    settings.AGREEMENT = {**settings.AGREEMENT, "CONSENTS": {"news": PARTS}}
    (purpose,) = consents.purposes("ru")
    consents.give(user, [("news", purpose.digest)])
    assert consents.open_purposes(user.pk, "ru") == []

    settings.AGREEMENT = {
        **settings.AGREEMENT,
        "CONSENTS": {"news": {**PARTS, "cross_border": {"kk": "Қырғызстанға", "ru": "в Кыргызстан"}}},
    }

    assert [one.name for one in consents.open_purposes(user.pk, "ru")] == ["news"]
    with pytest.raises(consents.StaleWording):
        consents.give(user, [("news", purpose.digest)])


def test_E024_names_the_consent_the_part_and_the_next_step(settings):  # noqa: N802
    operator = {"name": PARTS["operator"]["name"], "bin": "000000000001"}
    settings.AGREEMENT = {"CONSENTS": {"news": {**PARTS, "operator": operator}}}
    (message,) = check_settings(None)
    assert message.id == "agreement.E024"
    where = "AGREEMENT[\"CONSENTS\"]['news']"
    assert message.msg == f"{where}: 'operator.bin' is '000000000001', whose last digit must be 0."
    assert message.hint == "Copy it from the certificate of registration, as a text."

    settings.AGREEMENT = {"CONSENTS": {"no news": PARTS}}
    assert [message.id for message in check_settings(None)] == ["agreement.E002"]
    settings.AGREEMENT = {"CONSENTS": {"news": PARTS}}
    assert list(check_settings(None)) == []


def test_evidence_of_an_instant_does_not_know_that_a_consent_was_withdrawn_later(tmp_path):
    factories.published()
    (user,) = factories.users(1)
    consents.give(user, [("news", digest())])
    then = timezone.now()
    before = export.export_user(user.pk, at=then, output=tmp_path / "before.zip")
    consents.withdraw(user, "news")
    assert export.export_user(user.pk, at=then, output=tmp_path / "after.zip") == before
    assert export.export_user(user.pk, at=timezone.now(), output=tmp_path / "now.zip") != before
