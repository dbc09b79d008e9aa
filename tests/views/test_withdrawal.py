"""The page on which users end an agreement: for which agreements it has a form, what it states, and the way back."""

from __future__ import annotations

import re
from datetime import date

import pytest

from agreement.acceptance import consents
from agreement.models import Acceptance, Agreement, Consent, Withdrawal
from agreement.models.agreements import AcceptanceMode
from agreement.notices.withdrawal_letters import withdrawal_reply
from tests.support import factories
from tests.support.site import KK, RU
from tests.views.test_acceptance import fields

pytestmark = pytest.mark.django_db

PAGE, RECORD = "/en/agreements/withdraw/", "/en/agreements/record/"
WORDS = {"kk": "Жаңалықтарды алуға келісемін.", "ru": "Согласен получать новости."}


@pytest.fixture
def editions(settings):
    """The user agreement, and a privacy policy that is accepted elsewhere and that the user has not accepted."""
    settings.AGREEMENT = {
        **settings.AGREEMENT,
        "CONSENTS": {"news": WORDS},
        "DEFAULT_AGREEMENT": "terms",
        "FILE_WITHDRAWALS": "ended",
    }
    factories.agreement("privacy")
    Agreement.objects.update(acceptance_mode=AcceptanceMode.ELSEWHERE)
    factories.agreement("terms")
    return {
        slug: factories.published(
            slug=slug,
            kk=KK.replace("Пайдаланушы келісімі", title),
            ru=RU.replace("Пользовательское соглашение", title),
            retention_years=years,
        )
        for slug, title, years in (("privacy", "Политика", 2), ("terms", "Соглашение", 3))
    }


def accept(user, edition) -> None:
    Acceptance.objects.record(user=user, edition=edition, digest=edition.digest, language="ru", kind="explicit")


def consent(user) -> None:
    consents.give(user, [(one.name, one.digest) for one in consents.purposes("ru")])


def show(reader, path: str = PAGE) -> str:
    page = reader.get(path).content.decode().partition("<main")[2].partition("</main>")[0]
    return " ".join(page.split())


def forms(page: str) -> list[str]:
    return re.findall(r'name="agreement" value="([a-z]+)"', page)


def withdraw(reader, slug: str = "terms", path: str = PAGE) -> str:
    reader.post(path, {"agreement": slug, "confirm": "yes"})
    return show(reader, path)


def test_a_consent_adds_no_form_for_an_agreement_that_does_not_bind_the_user(reader, user, editions):
    accept(user, editions["terms"])
    consent(user)
    page = show(reader)
    assert forms(page) == ["terms"]
    assert "Политика" not in page
    withdraw(reader, "privacy")
    assert not Withdrawal.objects.exists()
    assert Consent.objects.get().withdrawn_at is None


def test_the_form_of_the_default_agreement_is_the_first(reader, user, editions):
    for edition in editions.values():
        accept(user, edition)
    assert forms(show(reader)) == ["terms", "privacy"]


def test_a_consent_without_an_agreement_is_withdrawn_by_the_form_of_the_default_agreement(reader, user, editions):
    consent(user)
    page = show(reader)
    assert forms(page) == ["terms"]
    assert "I withdraw all my consents to data processing. I understand" in page
    withdraw(reader)
    assert Consent.objects.get().withdrawn_at


@pytest.mark.parametrize(
    ("outcome", "has_consents", "tick", "button"),
    [
        ("ended", False, "I end “Соглашение”.", "End “Соглашение”"),
        ("suspended", False, "I suspend “Соглашение”.", "Suspend “Соглашение”"),
        (
            "ended",
            True,
            "I withdraw all my consents to data processing and end “Соглашение”.",
            "Withdraw all consents and end “Соглашение”",
        ),
        (
            "suspended",
            True,
            "I withdraw all my consents to data processing and suspend “Соглашение”.",
            "Withdraw all consents and suspend “Соглашение”",
        ),
    ],
)
def test_the_form_names_the_document_and_only_what_the_user_gave(
    reader, user, editions, settings, outcome, has_consents, tick, button
):
    settings.AGREEMENT = {**settings.AGREEMENT, "FILE_WITHDRAWALS": outcome}
    accept(user, editions["terms"])
    if has_consents:
        consent(user)
    page = show(reader)
    assert f"{tick} I understand that I will not be able to use the pages that require “Соглашение”." in page
    assert re.search(rf"<button>\s*{button}\s*</button>", page)
    assert ("consent" in page) is has_consents


@pytest.mark.parametrize(
    ("has_accepted", "has_consent", "title", "sentences"),
    [
        (
            True,
            False,
            "Ответ на заявление",
            ["Действие документа «Соглашение»", "Ваши персональные", "На сайте можно снова"],
        ),
        (
            True,
            True,
            "Ответ на заявление об отзыве согласия",
            ["С ", "Действие документа «Соглашение»", "Ваши персональные", "На сайте можно снова"],
        ),
        (
            False,
            True,
            "Ответ на заявление об отзыве согласия",
            ["С ", "Документ «Соглашение» в отношении Вас не действует"],
        ),
    ],
)
def test_the_reply_names_what_was_withdrawn(reader, user, editions, has_accepted, has_consent, title, sentences):
    if has_accepted:
        accept(user, editions["terms"])
    if has_consent:
        consent(user)
    page = withdraw(reader, path=PAGE.replace("/en/", "/ru/")).replace("\u00a0", " ")
    row = Withdrawal.objects.get()
    reply = withdrawal_reply(row, "ru")
    assert reply.title.replace("\u00a0", " ") == f"{title} № {row.reference}"
    assert f"<h3>{title} № {row.reference}</h3>" in page
    begin = [next((one for one in sentences if said.startswith(one)), said) for said in reply.sentences[1:]]
    assert begin == sentences
    assert ("прекращено" in page) is has_accepted

    user.delete()
    row.refresh_from_db()
    assert withdrawal_reply(row, "ru") == reply


@pytest.mark.parametrize(("slug", "is_blocked"), [("terms", True), ("privacy", False)])
def test_only_an_agreement_that_the_site_asks_for_blocks_pages(reader, user, editions, slug, is_blocked):
    for edition in editions.values():
        accept(user, edition)
    form = show(reader).partition(f'id="of-{slug}"')[2].partition("</section>")[0]
    assert ("I understand that I will not be able" in form) is is_blocked

    page = withdraw(reader, slug).partition(f'id="of-{slug}"')[2].partition("</section>")[0]

    assert f"“{editions[slug].text('ru').title}” ended for you on" in page
    assert ("You can't use the pages" in page.replace("&#x27;", "'")) is is_blocked
    assert ("No page of the site becomes unavailable" in page) is not is_blocked
    assert reader.get("/ru/materials/", headers={"accept": "text/html"}).status_code == (302 if is_blocked else 200)


def test_the_page_in_place_of_another_one_states_why_it_is_displayed_and_what_the_user_can_do(reader, user, editions):
    why = "The page that you opened requires a document that is not in force for you."
    for edition in editions.values():
        accept(user, edition)
    withdraw(reader, "privacy")  # No page requires it.
    assert why not in show(reader, f"{PAGE}?next=/en/")

    withdraw(reader, "terms")

    assert why not in show(reader)
    refused = reader.get("/en/", headers={"accept": "text/html"})
    assert refused.headers["Location"] == f"{PAGE}?next=%2Fen%2F"
    page = show(reader, refused.headers["Location"])
    reason = page.partition(why)[2].partition("</div>")[0]
    assert "To open that page, accept the document again." in reason
    assert "If you log out, you can use the pages that are open to every visitor." in reason
    for path in re.findall('href="([^"]+)"', reason):
        assert reader.get(path, headers={"accept": "text/html"}).status_code == 200

    (link,) = re.findall(r'href="(/en/agreements/terms/accept/[^"]*)"', page)
    assert "The page that you opened is displayed after you accept." in show(reader, link)


def test_the_record_states_the_way_back_to_a_document_that_the_user_never_accepted(reader, user, editions):
    accept(user, editions["terms"])
    Withdrawal.objects.register(
        agreement=editions["privacy"].agreement, user=user, outcome="ended", received_on=date(2026, 1, 1)
    )
    page = show(reader, RECORD)
    assert "The pages of the site do not require this document." in page
    (link,) = re.findall(r'href="([^"]*/accept/)">\s*Accept “Политика” again', page)
    shown = fields(reader.get(link).content.decode())
    assert reader.post(link, shown | {"decision": "accept"}).status_code == 302
    page = show(reader, RECORD)
    assert "Accept “Политика” again" not in page
    assert page.count('data-state="in_force"') == 2


def test_moments_in_the_record_are_in_words_without_seconds_and_exact_in_their_elements(reader, user, editions):
    accept(user, editions["terms"])
    consent(user)
    withdraw(reader)
    page = show(reader, RECORD)
    moments = re.findall(r'<time datetime="([^"]+)"[^>]*>([^<]+)</time>', page)
    assert len(moments) >= 4
    assert all(re.search(r"T\d\d:\d\d:\d\d", exact) for exact, _words in moments)
    assert not [words for _exact, words in moments if re.search(r"\d\d:\d\d:\d\d", words)]


def test_a_document_that_is_not_in_force_is_named_or_left_out(reader, user, editions):
    sentence = "No acceptance of “Политика” is in effect for you, so there is nothing to end."
    assert sentence in show(reader)
    accept(user, editions["terms"])
    assert "nothing to end" not in show(reader)


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (PAGE, "If you withdraw one consent on the page “My record”, the agreement stays in force. On this page"),
        (RECORD, "You can also withdraw your consent to data processing altogether"),
    ],
)
def test_one_consent_and_the_consent_altogether_are_told_apart_to_those_who_gave_one(
    reader, user, editions, page, words
):
    accept(user, editions["terms"])
    assert words not in show(reader, page)
    consent(user)
    assert words in show(reader, page)


@pytest.mark.parametrize(("outcome", "is_stated"), [("ended", True), ("suspended", False)])
def test_the_form_states_how_long_the_data_is_stored_afterwards(reader, user, editions, settings, outcome, is_stated):
    settings.AGREEMENT = {**settings.AGREEMENT, "FILE_WITHDRAWALS": outcome}
    accept(user, editions["terms"])
    factories.published(slug="terms", retention_years=7)
    page = show(reader)
    assert ("your personal data is stored for 3 years. Then it is erased." in page) is is_stated
    if is_stated:
        assert "3 жыл" in withdraw(reader)  # The reply, in the language of the text.


def test_the_record_confirms_an_acceptance_after_a_withdrawal_and_leads_on_to_the_page(reader, user, editions):
    accept(user, editions["terms"])
    page = withdraw(reader, path=f"{PAGE}?next=/ru/materials/")
    (link,) = re.findall(r'href="(/en/agreements/terms/accept/[^"]*)"', page)
    shown = fields(reader.get(link).content.decode())
    (record,) = [reader.post(link, shown | {"decision": "accept"}).headers["Location"]]
    page = show(reader, record)
    assert "Your acceptance of edition 1 is recorded." in page.replace("\u00a0", " ")
    assert 'href="/ru/materials/">Continue to the page that you opened' in page
