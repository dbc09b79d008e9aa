"""The page that asks, and the user's own record: what was shown is what is recorded, or nothing is."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.http import urlencode

from agreement.editions import timeline
from agreement.models import Acceptance, Agreement, Decline, Edition, Withdrawal
from agreement.models.agreements import AcceptanceMode
from agreement.notices import dispatch
from agreement.views import acceptance, record
from tests.support import factories
from tests.support.site import KK, RU

pytestmark = pytest.mark.django_db

HERE = "/ru/agreements/terms/accept/"
DAY = timedelta(days=1)


def answer(edition: Edition, /, **more) -> dict[str, object]:
    return factories.fields(edition) | {"decision": "accept"} | more


def by_confirmation(*slugs: str) -> None:
    for slug in slugs:
        factories.agreement(slug)
    Agreement.objects.filter(slug__in=slugs).update(acceptance_mode=AcceptanceMode.BY_CONFIRMATION)


def changed(words: str, **stated) -> Edition:
    return factories.published(
        kk=KK.replace("Екінші тармақ", f"Екінші {words} тармақ"),
        ru=RU.replace("Второй пункт", f"Второй {words} пункт"),
        **stated,
    )


def fields(page: str) -> dict[str, str]:
    """The hidden fields of the form, as a browser sends them."""
    form = page[page.index('id="question"') :]
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', form))


def test_the_page_displays_the_text_and_posts_what_it_displayed(reader, user):
    edition = factories.published()

    page = reader.get(f"{HERE}?next=/ru/").content.decode()
    shown = fields(page)
    response = reader.post(HERE, shown | {"decision": "accept"})

    assert "Второй пункт" in page
    assert shown["digest"] == edition.digest
    assert (response.status_code, response.url) == (302, "/ru/")
    row = Acceptance.objects.get()
    assert (row.user, row.edition, row.digest, row.language, row.kind) == (
        user,
        edition,
        edition.digest,
        "ru",
        "explicit",
    )
    assert 'id="question"' not in reader.get(HERE).content.decode()


def test_both_languages_are_at_hand_and_the_one_shown_is_recorded(reader):
    factories.published()
    page = reader.get(f"{HERE}?language=kk").content.decode()
    assert "Екінші тармақ" in page
    assert 'href="?language=ru"' in page
    reader.post(HERE, fields(page) | {"decision": "accept"})
    assert Acceptance.objects.get().language == "kk"


def test_accepting_twice_is_accepting_once(reader):
    edition = factories.published()
    for _time in range(2):
        assert reader.post(HERE, answer(edition)).status_code == 302
    assert Acceptance.objects.count() == 1


def test_declining_records_nothing_and_shows_the_ways_out(reader):
    edition = factories.published()
    response = reader.post(HERE, answer(edition, decision="decline"))
    assert response.status_code == 200
    assert 'action="/ru/accounts/logout/"' in response.content.decode()
    assert not Acceptance.objects.exists()


@pytest.mark.parametrize("digest", ["", "\x00", "f" * 64, "f" * 100_000])
def test_a_digest_that_is_none_is_another_text(reader, digest):
    edition = factories.published()
    assert reader.post(HERE, answer(edition, digest=digest)).status_code == 409
    assert not Acceptance.objects.exists()


def test_both_answers_look_alike(reader):
    factories.published()
    buttons = re.findall(r"<button([^>]*name=.decision[^>]*)>", reader.get(HERE).content.decode())
    assert [re.sub(r'value="\w+"', "", each) for each in buttons] == [' form="question" name="decision" '] * 2


def test_a_stale_form_is_answered_with_the_text_in_force_and_records_nothing(reader):
    old = factories.published()
    shown = fields(reader.get(HERE).content.decode())
    new = changed("новый")

    response = reader.post(HERE, shown | {"decision": "accept"})

    page = response.content.decode()
    assert response.status_code == 409
    assert not Acceptance.objects.exists()
    assert fields(page)["digest"] == new.digest != old.digest
    assert "новый" in page
    assert "Пока Вы читали, текст изменился" in page
    assert reader.post(HERE, fields(page) | {"decision": "accept"}).status_code == 302
    assert Acceptance.objects.get().edition == new


def test_a_stale_form_is_answered_with_what_changed_since_the_edition_that_was_read(reader, user):
    first = factories.published()
    reader.post(HERE, answer(first))
    by_confirmation("terms")
    changed("новый")
    shown = fields(reader.get(HERE).content.decode())
    factories.published(ru=RU.replace("Второй пункт", "Второй новый особый пункт"))

    page = reader.post(HERE, shown | {"decision": "accept"}).content.decode()

    assert "Что изменилось по сравнению с редакцией №\u00a02, которую Вы читали" in page
    assert re.search(r"</span>\s*особый", page)  # Marked as added.
    assert not re.search(r"</span>\s*новый", page)
    forged = shown | {"digest": "0" * 64, "decision": "accept"}
    page = reader.post(HERE, forged).content.decode()
    assert "Что изменилось по сравнению с редакцией, к которой Вы присоединились" in page


def test_changed_clauses_are_links_to_the_text_and_back(reader, user):
    first = factories.published()
    reader.post(HERE, answer(first))
    by_confirmation("terms")
    changed("новый")

    page = reader.get(HERE).content.decode()

    assert re.search(r'<li><a\s+href="#terms-1.2"', page)
    assert 'id="terms-change-1.2"' in page
    assert re.search(r'class="agreement-mark"><a\s+href="#terms-change-1.2"', page)
    assert "agreement-other" not in page  # A clause is one tab stop: its number.


def test_no_id_occurs_twice_if_the_page_asks_about_several_agreements(reader):
    by_confirmation("terms", "privacy")
    for slug in ("terms", "privacy"):
        factories.published(slug=slug)
    page = reader.get(HERE).content.decode()
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert sorted(ids) == sorted(set(ids))
    assert {"terms-1.1", "privacy-1.1"} <= set(ids)
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


def test_a_form_that_goes_stale_while_it_is_read_is_answered_with_the_newest_text(reader, monkeypatch):
    factories.published()
    shown = fields(reader.get(HERE).content.decode())
    read, new = acceptance._posted_answers, []

    def slowly(*of):
        new.append(changed("новый"))
        return read(*of)

    monkeypatch.setattr(acceptance, "_posted_answers", slowly)
    response = reader.post(HERE, shown | {"decision": "accept"})

    assert response.status_code == 409
    assert fields(response.content.decode())["digest"] == new[0].digest
    assert not Acceptance.objects.exists()


def _tampered(edition, scheduled, draft):
    return {
        "digest of another": (answer(edition, digest=scheduled.digest), 409),
        "no digest": (answer(edition, digest=""), 409),
        "scheduled": (answer(scheduled), 409),
        "draft's id": (answer(edition, edition=draft.pk + 1000), 409),
        "draft's id and no digest": (answer(edition, edition=draft.pk + 1000, digest=""), 409),
        "no number": (answer(edition, edition=""), 400),
        "words for a number": (answer(edition, edition="one"), 400),
        "too many digits": (answer(edition, edition="9" * 5000), 400),
        "ten digits": (answer(edition, edition="9999999999"), 409),
        "negative": (answer(edition, edition=-1), 400),
        "another script's digits": (answer(edition, edition="١"), 400),
        "no language": (answer(edition, language=""), 400),
        "another language": (answer(edition, language="en"), 400),
        "no decision": (answer(edition, decision=""), 400),
        "another decision": (answer(edition, decision="yes"), 400),
        "another agreement too": (answer(edition, **{"edition:nowhere": 1, "language:nowhere": "ru"}), 404),
    }


@pytest.mark.parametrize("which", _tampered(*(Edition(pk=0, agreement=Agreement()) for _ in range(3))))
def test_a_form_that_was_tampered_with_is_refused_whole(reader, which):
    edition = factories.published()
    scheduled = changed("грядущий", effective_from=timezone.now() + DAY)
    posted, status = _tampered(edition, scheduled, factories.draft())[which]
    assert reader.post(HERE, posted).status_code == status
    assert not Acceptance.objects.exists()


@pytest.mark.parametrize("globally", [True, False])
def test_another_users_token_is_refused_whether_or_not_the_site_checks_tokens_itself(user, settings, globally):
    if not globally:
        settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if not name.endswith("CsrfViewMiddleware")]
    edition = factories.published()
    strict, other = Client(enforce_csrf_checks=True), Client(enforce_csrf_checks=True)
    strict.force_login(user)
    other.force_login(factories.users(1)[0])
    token = re.search(r'csrfmiddlewaretoken" value="([^"]+)"', other.get(HERE).content.decode())[1]
    strict.get(HERE)

    assert strict.post(HERE, answer(edition, csrfmiddlewaretoken=token)).status_code == 403
    assert strict.post(HERE, answer(edition)).status_code == 403
    assert not Acceptance.objects.exists()


def test_nobody_accepts_without_logging_in(client):
    edition = factories.published()
    assert client.post(HERE, answer(edition)).status_code == 403
    response = client.get(HERE)
    assert (response.status_code, response.url) == (302, f"/ru/accounts/login/?next={HERE}")


@pytest.mark.parametrize(
    "evil",
    [
        "http://evil.example",
        "http:evil.example",
        "https:///evil.example",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        " //evil.example",
        "ftp://evil.example",
        "evil.example",
    ],
)
def test_the_way_back_never_leads_to_another_site(reader, evil):
    edition = factories.published()
    assert "evil" not in fields(reader.get(HERE, {"next": evil}).content.decode()).get("next", "")
    response = reader.post(HERE, answer(edition, next=evil))
    assert response.url == "/ru/agreements/record/"


def test_the_page_is_the_users_alone(reader):
    factories.published()
    for address in (HERE, "/ru/agreements/record/"):
        assert reader.get(address)["Cache-Control"] == "private, no-store"


def test_a_user_who_missed_editions_reads_their_summaries_in_order_and_one_redline(reader, user):
    first = factories.published()
    Acceptance.objects.record(user=user, edition=first, digest=first.digest, language="ru", kind="explicit")
    changed("первый раз", summary_ru="Сначала это.")
    changed("второй раз", summary_ru="Потом то.")
    changed("третий раз", summary_ru="И наконец.")

    page = reader.get(HERE).content.decode()

    places = [page.index(words) for words in ("Сначала это.", "Потом то.", "И наконец.")]
    assert places == sorted(places)
    assert page.count('class="agreement-redline"') == 1
    assert re.search(r"<ins>(<span[^>]*>[^<]*</span>)третий раз\s*<span", page)
    assert "первый раз" not in page


def test_several_pending_agreements_are_one_page_one_submit_and_one_record_each(reader):
    by_confirmation("terms", "privacy")
    editions = {slug: factories.published(slug=slug) for slug in ("terms", "privacy")}
    timeline.clear()

    shown = fields(reader.get(HERE).content.decode())
    assert shown["digest:privacy"] == editions["privacy"].digest
    assert reader.post(HERE, shown | {"decision": "accept"}).status_code == 302

    assert {row.edition for row in Acceptance.objects.all()} == set(editions.values())


@pytest.mark.parametrize(("decision", "status", "rows"), [("accept", 302, Acceptance), ("decline", 200, Decline)])
def test_after_the_agreement_of_the_page_was_accepted_another_one_is_answered_there(
    reader, user, decision, status, rows
):
    by_confirmation("terms", "privacy")
    accepted, other = (factories.published(slug=slug) for slug in ("terms", "privacy"))
    Acceptance.objects.record(user=user, edition=accepted, digest=accepted.digest, language="ru", kind="explicit")

    shown = fields(reader.get(HERE).content.decode())
    assert "edition" not in shown
    assert reader.post(HERE, shown | {"decision": decision}).status_code == status
    assert rows.objects.filter(edition=other).count() == 1


def test_an_agreement_the_user_may_not_accept_again_does_not_block_the_others(reader, user):
    by_confirmation("terms", "privacy")
    shut = factories.published(slug="privacy")
    Withdrawal.objects.register(
        agreement=shut.agreement, user=user, outcome="ended", received_on=timezone.now().date(), may_accept_again=False
    )
    edition = factories.published()
    page = reader.get(HERE).content.decode()
    assert "privacy" not in page
    assert reader.post(HERE, answer(edition)).status_code == 302
    assert Acceptance.objects.get().edition == edition


def test_a_user_who_may_not_accept_again_is_not_asked_and_the_page_says_so(reader, user):
    by_confirmation("terms")
    edition = factories.published()
    stated = {"user": user, "outcome": "ended", "received_on": date(2026, 1, 1)}
    row = Withdrawal.objects.register(agreement=edition.agreement, may_accept_again=False, **stated)

    for response in (reader.get(f"{HERE}?next=/ru/"), reader.post(HERE, answer(edition) | {"next": "/ru/"})):
        assert (response.status_code, response.headers["Location"]) == (302, "/ru/agreements/withdraw/?next=%2Fru%2F")
    assert row.reference in reader.get("/ru/agreements/withdraw/").content.decode()
    assert not Acceptance.objects.exists()


def test_a_user_who_withdrew_accepts_again_and_reads_that_they_had_withdrawn(reader, user):
    by_confirmation("terms")
    edition = factories.published()
    reader.post(HERE, answer(edition))
    Withdrawal.objects.register(
        agreement=edition.agreement, user=user, outcome="suspended", received_on=date(2026, 1, 1)
    )

    location = reader.get("/ru/materials/", headers={"accept": "text/html"}).headers["Location"]
    (link,) = re.findall(r'href="(/ru/agreements/terms/accept/[^"]*)"', reader.get(location).content.decode())
    record_path = "/ru/agreements/record/?next=%2Fru%2Fmaterials%2F"
    assert link == f"/ru/agreements/terms/accept/?{urlencode({'next': record_path})}"
    page = reader.get(link.replace("/ru/", "/en/", 1)).content.decode()
    assert "You accepted edition 1" in page
    assert "“Пайдаланушы келісімі” was suspended for you on" in page
    assert reader.post(HERE, fields(page) | {"decision": "accept"}).headers["Location"] == record_path
    assert "was suspended for you" not in reader.get(HERE.replace("/ru/", "/en/")).content.decode()


def test_of_several_agreements_one_stale_leaves_all_unrecorded(reader):
    by_confirmation("terms", "privacy")
    for slug in ("terms", "privacy"):
        factories.published(slug=slug)
    shown = fields(reader.get(HERE).content.decode())
    factories.published(slug="privacy")
    assert reader.post(HERE, shown | {"decision": "accept"}).status_code == 409
    assert not Acceptance.objects.exists()


def test_before_the_first_edition_there_is_nothing_to_accept(reader):
    factories.published(effective_from=timezone.now() + DAY)
    assert reader.get(HERE).status_code == 404
    assert reader.get("/ru/agreements/nowhere/accept/").status_code == 404


def test_a_site_with_accept_announced_displays_the_next_edition(reader, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "ACCEPT_ANNOUNCED": True}
    edition = factories.published()
    reader.post(HERE, answer(edition))
    following = changed("грядущий", effective_from=timezone.now() + DAY)
    shown = fields(reader.get(HERE).content.decode())
    assert shown["digest"] == following.digest
    reader.post(HERE, shown | {"decision": "accept"})
    assert set(Acceptance.objects.values_list("edition", flat=True)) == {edition.pk, following.pk}
    after = reader.get(HERE).content.decode()
    assert "decision" not in after  # Both are accepted: neither is asked about again.
    assert "Вы присоединились к редакции №\u00a02" in after


@pytest.mark.parametrize("page", ["terms/accept", "notices"])
def test_changes_are_measured_from_the_edition_that_bound_and_not_from_a_cancelled_one(reader, user, settings, page):
    settings.AGREEMENT = {**settings.AGREEMENT, "ACCEPT_ANNOUNCED": True, "NOTICE_DELAY": timedelta(0)}
    first, second = factories.published(), changed("новый", effective_from=timezone.now() + DAY)
    for edition in (first, second):
        Acceptance.objects.record(user=user, edition=edition, digest=edition.digest, language="ru", kind="explicit")
    second.cancel()
    changed("новый")

    page_html = reader.get(f"/ru/agreements/{page}/").content.decode()

    assert "Текст не изменился" not in page_html
    assert "<ins>" in page_html


def test_a_site_that_hides_what_is_scheduled_does_not_ask_about_it(reader, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "ACCEPT_ANNOUNCED": True, "SHOW_SCHEDULED": False}
    reader.post(HERE, answer(factories.published()))
    changed("грядущий", effective_from=timezone.now() + DAY)
    assert "грядущий" not in reader.get(HERE).content.decode()


def test_the_record_lists_acceptances_notices_and_the_users_redline(reader, user):
    first = factories.published()
    reader.post(HERE, answer(first))
    second = changed("новый")
    Acceptance.objects.record(user=user, edition=second, digest=second.digest, language="ru", kind="deemed")
    dispatch.work()

    page = reader.get("/ru/agreements/record/").content.decode()

    assert page.index(second.digest) < page.index(first.digest)
    assert "/ru/agreements/terms/editions/2/changes/?from=1" in page
    assert page.count('<tr><th scope="row">') == 2
    assert page.count("/ru/agreements/terms/editions/") >= 4
    listed = r'новая редакция, <a [^>]*><span lang="ru">Пользовательское соглашение</span>, ред'
    assert re.search(listed, " ".join(page.split()))
    assert factories.users(1)[0].username not in page


@pytest.mark.parametrize(("files", "words"), [("", "How to end the agreement"), ("ended", "End the agreement")])
def test_the_record_lists_withdrawals_and_links_to_the_form(reader, user, settings, files, words):
    settings.AGREEMENT = {**settings.AGREEMENT, "FILE_WITHDRAWALS": files}
    edition = factories.published()
    row = Withdrawal.objects.register(
        agreement=edition.agreement, user=user, outcome="suspended", received_on=date(2026, 1, 1)
    )
    (other,) = factories.users(1)
    others = Withdrawal.objects.register(
        agreement=edition.agreement, user=other, outcome="ended", received_on=date(2026, 1, 1)
    )

    page = reader.get("/en/agreements/record/").content.decode()
    assert "/withdraw/" not in page.partition("<footer")[0]
    reader.post(HERE, answer(edition))
    page = reader.get("/en/agreements/record/").content.decode()

    assert row.reference in page
    assert f'<time datetime="{timezone.localtime(row.effective_at):%Y-%m-%dT%H:%M:%S%z}">' in page
    assert others.reference not in page
    assert re.search(rf'href="/en/agreements/withdraw/">\s*{words}', page)


@pytest.mark.parametrize("latest", [1, 2])
def test_a_truncated_record_says_so(reader, user, monkeypatch, latest):
    monkeypatch.setattr(record, "MAX_ENTRIES", latest)
    for words in ("бұрынғы", "новый"):
        edition = changed(words)
        Acceptance.objects.record(user=user, edition=edition, digest=edition.digest, language="ru", kind="explicit")

    with CaptureQueriesContext(connection) as captured:
        page = reader.get("/en/agreements/record/").content.decode()

    assert page.count('<tr><th scope="row">') == latest
    assert len([query for query in captured if query["sql"].endswith(f"LIMIT {latest + 1}")]) == 5
    assert ("Only the latest entries of each kind" in page) is (latest == 1)


def states(page: str) -> list[str]:
    return re.findall(r'class="agreement-state" data-state="(\w+)"', page)


def test_the_record_states_which_acceptance_binds_and_what_a_withdrawal_did(reader, user):
    by_confirmation("terms")
    first = factories.published()
    reader.post(HERE, answer(first))
    second = changed("новый")
    page = reader.get("/en/agreements/record/").content.decode()
    assert states(page) == ["in_force"]
    assert "Read and accept edition 2" in page

    reader.post(HERE, answer(second))
    page = reader.get("/en/agreements/record/").content.decode()
    assert states(page) == ["in_force", "superseded"]
    assert "replaced by edition 2" in page
    assert "by confirmation, the Russian text" in page
    assert "Read and accept" not in page

    Withdrawal.objects.register(
        agreement=first.agreement, user=user, outcome="ended", received_on=date(2026, 1, 1), language="ru"
    )
    page = reader.get("/en/agreements/record/").content.decode()
    assert states(page) == ["ended", "ended"]
    assert "Read and accept edition 2" in page
    assert "/withdraw/" not in page.partition("<footer")[0]

    reader.post(HERE, answer(second))
    assert states(reader.get("/en/agreements/record/").content.decode()) == ["in_force", "ended", "ended"]


def test_the_record_states_that_an_acceptance_was_recorded_just_now(reader, user, monkeypatch):
    edition = factories.published()
    page = reader.post(HERE, answer(edition), follow=True).content.decode()
    assert "Ваше присоединение к редакции №\u00a01 записано." in page
    monkeypatch.setattr(record, "NEW_SECONDS", 0)
    assert "записано." not in reader.get("/ru/agreements/record/").content.decode()


def test_after_a_withdrawal_the_page_begins_with_what_ended_and_offers_nothing_to_withdraw(reader, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "FILE_WITHDRAWALS": "ended"}
    edition = factories.published()
    reader.post(HERE, answer(edition))
    offer = "I end “Пайдаланушы келісімі”."
    assert offer in reader.get("/en/agreements/withdraw/").content.decode()
    page = reader.post("/en/agreements/withdraw/", {"agreement": "terms", "confirm": "yes"}, follow=True)
    assert offer not in page.content.decode()
    assert "Accept “Пайдаланушы келісімі” again" in page.content.decode()


def test_a_user_with_nothing_to_withdraw_is_not_offered_it(reader, user, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "FILE_WITHDRAWALS": "ended"}
    edition = factories.published()
    assert 'name="confirm"' not in reader.get("/en/agreements/withdraw/").content.decode()
    reader.post(HERE, answer(edition))
    page = reader.get("/en/agreements/withdraw/").content.decode()
    assert 'name="confirm"' in page
    reader.post("/en/agreements/withdraw/", {"agreement": "terms", "confirm": "yes"})
    page = " ".join(reader.get("/en/agreements/withdraw/").content.decode().split())
    assert "“Пайдаланушы келісімі” ended for you on " in page
    assert f"Application: {Withdrawal.objects.get().reference}." in page
    assert "Accept “Пайдаланушы келісімі” again" in page
    assert 'name="confirm"' not in page


def test_a_record_is_of_its_user_alone(reader):
    edition = factories.published()
    (other,) = factories.users(1)
    Acceptance.objects.record(user=other, edition=edition, digest=edition.digest, language="ru", kind="explicit")
    assert edition.digest not in reader.get("/ru/agreements/record/").content.decode()


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_other_methods_are_not_allowed(reader, method):
    factories.published()
    assert getattr(reader, method)(HERE).status_code == 405


def test_there_is_no_evidence_about_a_new_user_and_the_record_says_so(reader):
    """As the page for those who decline leads to it."""
    by_confirmation("terms")
    factories.published()
    response = reader.get("/ru/agreements/record/evidence.zip", follow=True)
    assert response.redirect_chain == [("/ru/agreements/record/", 302)]
    assert response.status_code == 200
