"""Declines: each is recorded once, changes nothing else, and is stored as long as an acceptance."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone, translation

from agreement.evidence.export import export_editions, export_user
from agreement.models import Acceptance, AcceptanceMode, Agreement, AuditEntry, Decline, Edition, LegalHold, Withdrawal
from agreement.models.acceptances import RequestDetails
from agreement.retention import erasure
from agreement.text import dates
from tests.support import factories

pytestmark = pytest.mark.django_db

HERE = "/en/agreements/terms/accept/"
DAY = timedelta(days=1)


@pytest.fixture
def edition():
    Agreement.objects.create(slug="terms", acceptance_mode=AcceptanceMode.BY_CONFIRMATION)
    return factories.published()


def decline(client, *others: Edition, edition: Edition, **more):
    posted = factories.fields(edition) | {"decision": "decline"}
    for other in others:
        posted |= factories.fields(other, suffix=f":{other.agreement.slug}")
    return client.post(HERE, posted | more, headers={"User-Agent": "Mozilla/5.0"})


def declined(user, edition: Edition) -> Decline:
    details = RequestDetails(ip="203.0.113.7", user_agent="Mozilla/5.0")
    return Decline.objects.record(
        user=user, edition=edition, digest=edition.digest, language="kk", request_details=details
    )


def accept(user, edition: Edition) -> Acceptance:
    return Acceptance.objects.record(user=user, edition=edition, digest=edition.digest, language="kk", kind="explicit")


def words(response) -> str:
    return " ".join(re.sub("<[^>]*>", " ", response.content.decode()).split())


# The page.


def test_a_decline_is_recorded_once_with_what_was_displayed(reader, user, edition, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "RECORD_IP": True, "RECORD_USER_AGENT": True}

    answers = [decline(reader, edition=edition) for _click in range(2)]

    row = Decline.objects.get()
    assert (row.user, row.edition, row.digest, row.language) == (user, edition, edition.digest, "ru")
    assert (row.ip, row.user_agent) == ("127.0.0.1", "Mozilla/5.0")
    assert [answer.status_code for answer in answers] == [200, 200]
    assert all("You do not accept this edition. Your answer is recorded:" in words(answer) for answer in answers)
    assert "You can't use the pages that require the agreement until you accept it." in words(answers[0])


def test_a_user_who_declined_can_accept_and_their_record_states_both(reader, user, edition):
    decline(reader, edition=edition)
    assert reader.get("/en/mailbox/", headers={"Accept": "text/html"}).url.startswith(HERE)

    reader.post(HERE, factories.fields(edition) | {"decision": "accept"})

    assert reader.get("/en/mailbox/", headers={"Accept": "text/html"}).status_code != 302
    assert "You have accepted this edition too." in words(reader.get("/en/agreements/record/"))
    assert (Acceptance.objects.count(), Decline.objects.count()) == (1, 1)


@pytest.mark.parametrize("wrong", ["digest", "number"])
def test_what_was_not_displayed_is_not_declined(reader, edition, wrong):
    more = {"digest": "a" * 64} if wrong == "digest" else {"edition": 7}
    posted = factories.fields(edition) | {"decision": "decline"} | more
    assert reader.post(HERE, posted).status_code == 409
    assert not Decline.objects.exists()


def test_an_edition_that_is_not_in_force_any_more_is_not_declined(reader, edition):
    factories.published()
    assert decline(reader, edition=edition).status_code == 409
    assert not Decline.objects.exists()


def test_several_editions_are_declined_together_or_none_is(reader, edition):
    Agreement.objects.create(slug="privacy", acceptance_mode=AcceptanceMode.BY_CONFIRMATION)
    other = factories.published(slug="privacy")

    assert decline(reader, other, edition=edition, **{"digest:privacy": "a" * 64}).status_code == 409
    assert not Decline.objects.exists()
    assert decline(reader, other, edition=edition).status_code == 200
    assert set(Decline.objects.values_list("edition", flat=True)) == {edition.pk, other.pk}


def test_a_user_who_accepted_the_edition_declines_nothing(reader, user, edition):
    accept(user, edition)
    assert "You accepted this edition earlier, so nothing was recorded." in words(decline(reader, edition=edition))
    assert not Decline.objects.exists()


def test_a_person_who_acts_in_the_name_of_a_user_declines_nothing(reader, edition, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "ACTING_AS": "tests.acceptance.test_declines.acting"}
    assert decline(reader, edition=edition).status_code == 403
    assert not Decline.objects.exists()


def acting(request) -> bool:
    return True


def test_within_the_days_to_agree_a_user_who_declined_goes_on(reader, user, edition):
    accept(user, edition)
    second = factories.published(grace_days=10)

    page = words(decline(reader, edition=second))

    assert "The time to accept ends:" in page
    assert "You can't use the pages" not in page
    assert reader.get("/en/mailbox/", headers={"Accept": "text/html"}).status_code != 302


def test_the_page_of_an_agreement_by_use_says_that_use_is_acceptance(reader, edition):
    Agreement.objects.update(acceptance_mode=AcceptanceMode.BY_USE)
    page = words(decline(reader, edition=edition))
    assert "if you continue to use the site, an acceptance is recorded" in page
    assert "You can't use the pages" not in page


def test_an_announced_edition_can_be_declined_and_stops_nobody(reader, user, edition, settings):
    accept(user, edition)
    announced = factories.published(effective_from=timezone.now() + 10 * DAY)
    assert decline(reader, edition=announced).status_code == 409
    settings.AGREEMENT = {**settings.AGREEMENT, "ACCEPT_ANNOUNCED": True}

    page = words(decline(reader, edition=announced))

    assert Decline.objects.get().edition == announced
    assert "You can't use the pages" not in page


# Evidence.


def test_a_decline_outlives_the_account_and_is_in_both_bundles(user, edition):
    key = user.pk
    declined(user, edition)
    user.delete()
    row = Decline.objects.get()
    assert row.user_id is None
    assert row.account_deleted_at
    assert row.pseudonym

    at = timezone.now()
    of_user, of_edition = io.BytesIO(), io.BytesIO()
    names = export_user(key, at=at, output=of_user)
    export_editions([edition], at=at, output=of_edition)

    assert "terms/editions/1.kk.md" in names
    (line,) = table(of_user, "user/declines.csv")
    assert (line["edition"], line["digest"], line["ip"]) == ("1", edition.digest, "203.0.113.7")
    (line,) = table(of_edition, "terms/editions/1/declines.csv")
    assert "ip" not in line
    assert line["pseudonym"] == row.pseudonym
    page = zipfile.ZipFile(of_user).read("user/acceptances.ru.html").decode()
    assert edition.digest in page


def test_evidence_states_until_when_an_earlier_acceptance_was_sufficient(user, edition):
    accept(user, edition)
    second = factories.published(grace_days=10)
    bundle = io.BytesIO()

    export_user(user.pk, at=timezone.now(), output=bundle)

    until = dates.instant(second.effective_from + 10 * DAY, "ru", "Asia/Almaty")
    assert until in zipfile.ZipFile(bundle).read("user/acceptances.ru.html").decode()


def table(bundle: io.BytesIO, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(zipfile.ZipFile(bundle).read(name).decode())))


# Erasure.


def years(at, count: int):
    return at.replace(year=at.year + count)


def assert_erased(row: Decline) -> None:
    row.refresh_from_db()
    assert (row.user_id, row.ip, row.user_agent, row.pseudonym, row.pseudonym_key) == (None, None, "", "", "")
    assert row.erased_at
    assert row.digest


def erased_at(at) -> erasure.ErasureCounts:
    """Erase, after a dry run that counts the same and changes nothing."""
    tried = erasure.erase(at=at, dry_run=True)
    done = erasure.erase(at=at)
    assert tried == done
    return done


def test_a_decline_is_erased_with_the_acceptances_in_the_same_agreement(user, edition):
    accept(user, edition)
    second, other = factories.published(retention_years=3), factories.published(slug="privacy")
    row, kept = declined(user, second), declined(user, other)
    ended = Withdrawal.objects.register(
        agreement=edition.agreement, user=user, outcome="ended", received_on=timezone.now().date()
    )
    over = years(ended.effective_at, 3)

    assert erasure.erase(at=over - DAY).declines == 0
    assert erased_at(over).declines == 1

    assert_erased(row)
    kept.refresh_from_db()
    assert kept.user == user


def test_a_decline_of_a_deleted_account_is_erased_after_the_term_that_the_edition_states(user):
    edition, held = factories.published(retention_years=2), factories.published(slug="privacy", retention_years=2)
    row, kept = declined(user, edition), declined(user, held)
    LegalHold.objects.place(ground="№ 5", by="officer", edition=held)
    user.delete()
    row.refresh_from_db()
    over = years(row.account_deleted_at, 2)

    assert erasure.erase(at=over - DAY).declines == 0
    assert erased_at(over).declines == 1

    assert_erased(row)
    kept.refresh_from_db()
    assert kept.pseudonym


def test_a_decline_of_an_existing_account_is_erased_after_the_closing(user, settings):
    edition = factories.published(retention_years=2)
    row = declined(user, edition)
    closed = timezone.now() + DAY
    settings.AGREEMENT = {**settings.AGREEMENT, "CLOSED_AT": closed.isoformat()}

    assert erasure.erase(at=closed + DAY).declines == 0
    assert erased_at(years(closed, 2)).declines == 1
    assert_erased(row)


# The desk.


def address(name: str, *args: object) -> str:
    with translation.override("en"):
        return reverse(f"admin:agreement_decline_{name}", args=args)


@pytest.fixture
def officer(edition):
    Agreement.objects.update(acceptance_mode=AcceptanceMode.BY_USE)  # Officers are not asked to confirm anything.
    return factories.member("agreement privacy officers")


def test_officers_list_filter_and_export_declines(officer, edition):
    first, second = factories.users(2)
    rows = [declined(first, edition), declined(second, edition)]
    accept(second, edition)
    later = factories.published()
    rows.append(declined(first, later))

    def listed(**parameters) -> set[int]:
        return {row.pk for row in officer.get(address("changelist"), parameters).context["cl"].result_list}

    assert listed() == {row.pk for row in rows}
    assert listed(edition=edition.pk) == {rows[0].pk, rows[1].pk}
    assert listed(edition=edition.pk, accepted="0") == {rows[0].pk}
    assert listed(q=second.username) == {rows[1].pk}
    assert "203.0.113.7" in officer.get(address("change", rows[0].pk)).content.decode()
    content = b"".join(officer.get(address("csv"))).decode("utf-8-sig")
    lines = list(csv.DictReader(io.StringIO(content)))
    assert [(line["edition"], line["user"], line["accepted"]) for line in lines] == [
        ("1", str(first.pk), "False"),
        ("1", str(second.pk), "True"),
        ("2", str(first.pk), "False"),
    ]
    assert {("exported", "decline"), ("viewed", "decline")} <= set(AuditEntry.objects.values_list("action", "model"))
    report = officer.get(reverse("admin:agreement_acceptance_edition", args=[edition.pk])).content.decode()
    assert f"agreement/decline/?edition={edition.pk}" in report


def test_the_list_knows_of_a_deleted_account_that_it_accepted_too(edition):
    first, second = factories.users(2)
    for each in (first, second):
        declined(each, edition)
    accept(second, edition)

    for each in (first, second):
        each.delete()

    assert [row.accepted for row in Decline.objects.with_accepted().order_by("pk")] == [False, True]


def test_nobody_adds_changes_or_deletes_a_decline_at_the_desk(officer, user, edition):
    row = declined(user, edition)
    for name, args in (("add", ()), ("delete", (row.pk,))):
        assert officer.get(address(name, *args)).status_code == 403
    assert officer.post(address("change", row.pk), {"language": "ru"}).status_code == 403
