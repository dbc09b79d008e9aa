"""``AUDIENCES``: an agreement that binds some users only. One rule decides for the gate, the pages, the notices and the
reports.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser, Group
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import connection
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import path
from django.utils import timezone

from agreement import conf
from agreement.acceptance import grace, known
from agreement.checks.settings import check_settings
from agreement.editions import timeline
from agreement.models import (
    Acceptance,
    Agreement,
    Breach,
    Delivery,
    DeliveryOutcome,
    Edition,
    Notice,
    Progress,
    membership,
)
from agreement.models.agreements import AcceptanceMode
from agreement.notices import dispatch, forecast
from agreement.notices.channels import EmailChannel
from portal_site import urls
from tests.acceptance.test_forms import SignUp
from tests.support import factories

pytestmark = pytest.mark.django_db(transaction=True)

HERE = "/ru/agreements/"


def page(request):
    """A page of the site that ignores its user."""
    return HttpResponse("page")


urlpatterns = [path("page/", page), *urls.urlpatterns]
handler400 = urls.handler400
PAGE = {"headers": {"Accept": "text/html"}}


def partners():
    """The audience of the agreement ``partner-terms``."""
    return get_user_model().objects.filter(groups__name="partners").distinct().order_by("username")


def not_users():
    return Group.objects.all()


def some_users():
    return get_user_model().objects.all()[:3]


@pytest.fixture(autouse=True)
def _site(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "AUDIENCES": {"partner-terms": f"{__name__}.partners"}}
    settings.ROOT_URLCONF = __name__
    timeline.clear()
    known.clear()
    yield
    known.clear()


def published(slug: str = "partner-terms", mode: str = AcceptanceMode.BY_CONFIRMATION, **stated: Any) -> Edition:
    agreement = factories.agreement(slug)
    Agreement.objects.filter(pk=agreement.pk).update(acceptance_mode=mode)
    edition = factories.published(slug=slug, **stated)
    timeline.clear()
    known.clear()
    return edition


def join(user: Any) -> None:
    user.groups.add(Group.objects.get_or_create(name="partners")[0])


def leave(user: Any) -> None:
    user.groups.clear()


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def accept(user: Any, edition: Edition) -> Acceptance:
    return Acceptance.objects.record(user=user, edition=edition, digest=edition.digest, language="ru", kind="explicit")


# The gate


def test_a_user_outside_the_audience_is_not_asked_and_one_inside_is():
    published()
    partner, reader = factories.users(2)
    join(partner)
    assert signed_in(reader).get("/page/", **PAGE).status_code == 200
    answer = signed_in(partner).get("/page/", **PAGE)
    assert (answer.status_code, answer["Location"]) == (302, "/kk/agreements/partner-terms/accept/?next=%2Fpage%2F")


def test_a_use_of_the_site_by_a_user_outside_the_audience_records_no_acceptance():
    published(mode=AcceptanceMode.BY_USE)
    general = published("terms", mode=AcceptanceMode.BY_USE)
    partner, reader = factories.users(2)
    join(partner)
    for user in (partner, reader):
        assert signed_in(user).get("/page/", **PAGE).status_code == 200
    assert set(Acceptance.objects.values_list("user", "edition__agreement__slug")) == {
        (partner.pk, "partner-terms"),
        (partner.pk, "terms"),
        (reader.pk, "terms"),
    }
    assert Acceptance.objects.get(user=reader).edition == general


@pytest.mark.parametrize("mode", [AcceptanceMode.BY_USE, AcceptanceMode.BY_CONFIRMATION])
def test_warm_a_user_outside_the_audience_costs_no_query(mode):
    published(mode=mode)
    [reader] = factories.users(1)
    client = signed_in(reader)
    with CaptureQueriesContext(connection) as first:
        assert client.get("/page/", **PAGE).status_code == 200
    with CaptureQueriesContext(connection) as captured:
        assert client.get("/page/", **PAGE).status_code == 200
    assert len(captured) == 0
    assert len([query for query in first if "auth_user_groups" in query["sql"]]) == 1


@pytest.mark.parametrize("audiences", [{}, {"partner-terms": f"{__name__}.partners"}])
def test_an_audience_adds_no_query_to_the_check_of_a_user(settings, audiences):
    settings.AGREEMENT = {**settings.AGREEMENT, "AUDIENCES": audiences}
    edition = published(mode=AcceptanceMode.BY_USE)
    [user] = factories.users(1)
    join(user)
    accept(user, edition)
    client = signed_in(user)
    client.get("/page/", **PAGE)  # The dates are read now.
    known.cache.clear()
    with CaptureQueriesContext(connection) as captured:
        client.get("/page/", **PAGE)
    assert [query["sql"].split()[0] for query in captured if "agreement_acceptance" in query["sql"]] == ["SELECT"]
    assert len([query for query in captured if "agreement_" in query["sql"]]) == 1


def test_a_user_who_joins_the_audience_is_asked_after_a_minute_at_the_latest(monkeypatch):
    published()
    [user] = factories.users(1)
    client = signed_in(user)
    assert client.get("/page/", **PAGE).status_code == 200
    join(user)
    now = known.time.monotonic()
    monkeypatch.setattr(known.time, "monotonic", lambda: now + known.KNOWN_SECONDS_WITH_AUDIENCES - 1)
    assert client.get("/page/", **PAGE).status_code == 200
    monkeypatch.setattr(known.time, "monotonic", lambda: now + known.KNOWN_SECONDS_WITH_AUDIENCES + 1)
    assert client.get("/page/", **PAGE).status_code == 302
    assert known.KNOWN_SECONDS_WITH_AUDIENCES == 60


def test_without_an_agreement_for_some_users_the_process_knows_as_long_as_before():
    published("terms")
    assert known.requirements().known_seconds == known.KNOWN_SECONDS
    published()
    assert known.requirements().known_seconds == known.KNOWN_SECONDS_WITH_AUDIENCES


def test_a_user_who_leaves_the_audience_is_not_asked_any_more_and_keeps_their_acceptance():
    first = published()
    [user] = factories.users(1)
    join(user)
    accept(user, first)
    published(kk=factories.KK + "\n1.9. Жаңа.\n", ru=factories.RU + "\n1.9. Новое.\n")
    client = signed_in(user)
    assert client.get("/page/", **PAGE).status_code == 302
    leave(user)
    assert client.get("/page/", **PAGE).status_code == 200
    record = client.get(f"{HERE}record/").content.decode()
    assert "№\u00a01" in record
    assert f"{HERE}partner-terms/accept/" not in record
    assert Acceptance.objects.get(user=user).edition == first
    join(user)
    assert f"{HERE}partner-terms/accept/" in client.get(f"{HERE}record/").content.decode()


def test_a_user_who_withdrew_and_left_the_audience_goes_on():
    edition = published()
    [user] = factories.users(1)
    join(user)
    accept(user, edition)
    factories.Withdrawal.objects.register(
        agreement=edition.agreement, outcome="ended", received_on=timezone.now().date(), user=user
    )
    known.clear()
    client = signed_in(user)
    assert client.get("/page/", **PAGE).status_code == 302
    leave(user)
    assert client.get("/page/", **PAGE).status_code == 200


def test_a_visitor_is_asked_nothing():
    published()
    assert membership.unbound_agreements(AnonymousUser().pk) == {"partner-terms"}
    assert Client().get("/page/", **PAGE).status_code == 200


# Pages, the API, forms


def test_the_page_of_another_agreement_does_not_ask_about_one_that_does_not_bind_the_user():
    published()
    published("terms")
    partner, reader = factories.users(2)
    join(partner)
    pages = [signed_in(user).get(f"{HERE}terms/accept/").content.decode() for user in (partner, reader)]
    assert ["edition:partner-terms" in page for page in pages] == [True, False]


def test_the_api_lists_what_binds_the_user():
    published()
    published("terms")
    partner, reader = factories.users(2)
    join(partner)
    found = [
        [one["agreement"] for one in signed_in(user).get(f"{HERE}api/acceptances/").json()["agreements"]]
        for user in (partner, reader)
    ]
    assert found == [["partner-terms", "terms"], ["terms"]]


def test_who_declines_what_does_not_bind_them_need_not_accept_it():
    edition = published()
    partner, reader = factories.users(2)
    join(partner)
    posted = {"decision": "decline", "edition": edition.number, "digest": edition.digest, "language": "ru"}
    pages = [signed_in(user).post(f"{HERE}partner-terms/accept/", posted) for user in (partner, reader)]
    assert [page.context["must_accept"] for page in pages] == [True, False]


def test_the_grace_note_is_about_what_binds_the_user():
    first = published()
    [user] = factories.users(1)
    join(user)
    accept(user, first)
    published(kk=factories.KK + "\n1.9. Жаңа.\n", ru=factories.RU + "\n1.9. Новое.\n", grace_days=10)
    request = RequestFactory().get("/")
    request.user = user
    assert len(grace.of_request(request)) == 1
    leave(user)
    assert grace.of_request(request) == []


def test_a_sign_up_form_asks_about_an_agreement_for_some_users_only_if_it_is_named():
    published()
    published("terms")
    assert list(SignUp().editions) == ["terms"]
    named = type("PartnerSignUp", (SignUp,), {"agreements": ("terms", "partner-terms")})
    assert list(named().editions) == ["terms", "partner-terms"]


# Notices


def recipients(notice: Notice) -> set[str]:
    return set(Delivery.objects.filter(notice=notice).values_list("user__username", flat=True))


def test_only_the_audience_is_notified():
    partner, _reader = factories.users(2)
    join(partner)
    notice, general = published().notices.get(), published("terms").notices.get()
    for one in (notice, general):
        dispatch.fan_out(one)
    assert recipients(notice) == {"user0"}
    assert recipients(general) == {"user0", "user1"}


def test_who_left_before_the_letter_is_skipped_and_who_left_before_the_fan_out_is_not_listed():
    stays, leaves = factories.users(2)
    for user in (stays, leaves):
        join(user)
    notice = published().notices.get()
    dispatch.fan_out(notice)
    leave(leaves)
    dispatch.deliver()
    outcomes = dict(Delivery.objects.filter(notice=notice).values_list("user__username", "outcome"))
    assert outcomes == {"user0": DeliveryOutcome.SENT, "user1": DeliveryOutcome.SKIPPED}
    assert Delivery.objects.get(user=leaves).reason == "no longer in the audience"


def test_who_was_notified_and_left_is_notified_of_the_cancellation():
    stays, leaves, _stranger = factories.users(3)
    for user in (stays, leaves):
        join(user)
    edition = published(effective_from=timezone.now() + timedelta(days=9))
    dispatch.work()
    leave(leaves)
    edition.cancel()
    dispatch.work()
    cancelled = Notice.objects.get(kind="cancelled")
    sent = Delivery.objects.filter(notice=cancelled, outcome=DeliveryOutcome.SENT)
    assert set(sent.values_list("user__username", flat=True)) == {"user0", "user1"}


def test_a_breach_concerns_users_whom_the_agreement_does_not_bind():
    factories.users(2)
    edition = published()
    breach = Breach.objects.create(
        agreement=edition.agreement, known_at=timezone.now(), everyone=True, text_kk="Оқиға.", text_ru="Событие."
    )
    assert breach.users().count() == 2


def test_the_page_of_notices_has_those_of_agreements_that_bind_the_user():
    partner, reader = factories.users(2)
    join(partner)
    published()
    published("terms")
    dispatch.work()

    def slugs(user: Any) -> set[str]:
        return {notice.edition.agreement.slug for notice in Notice.objects.for_user(user)}

    assert slugs(partner) == {"partner-terms", "terms"}
    assert slugs(reader) == {"terms"}
    leave(partner)  # The letter was sent: its page stays.
    assert slugs(partner) == {"partner-terms", "terms"}
    join(reader)
    assert slugs(reader) == {"partner-terms", "terms"}


def test_the_forecast_counts_the_audience(monkeypatch):
    users = factories.users(5)
    for user in users[:2]:
        join(user)
    channel = EmailChannel()
    assert forecast.recipients(channel, agreement="partner-terms").total == 2
    assert forecast.recipients(channel, agreement="terms").total == 5
    assert forecast.recipients(channel).total == 5

    # Above the limit, the numbers are those of the last notice to the same users.
    monkeypatch.setattr(forecast, "COUNTED_UP_TO", 1)
    published("terms")
    dispatch.work()
    published()
    dispatch.work()
    assert Progress.objects.count() == 2
    assert forecast.recipients(channel, agreement="terms").total == 5
    assert forecast.recipients(channel, agreement="partner-terms").total == 2


def test_the_command_counts_the_audience(capsys):
    users = factories.users(3)
    join(users[0])
    draft = factories.draft(slug="partner-terms")
    call_command("publish_edition", draft.pk, dry_run=True)
    assert "recipients      1\n" in capsys.readouterr().out


# Reports


def test_the_report_counts_the_audience(admin_client):
    accepted, missing, outside = factories.users(3)
    for user in (accepted, missing):
        join(user)
    edition = published()
    accept(accepted, edition)
    accept(outside, edition)
    report = admin_client.get(f"/ru/admin/agreement/acceptance/report/{edition.pk}/").context
    assert (report["total"], report["accepted"], report["missing"]) == (2, 1, 1)
    file = admin_client.get(f"/ru/admin/agreement/acceptance/report/{edition.pk}/not-accepted.csv")
    rows = b"".join(file.streaming_content).decode("utf-8-sig").splitlines()
    assert [row.split(",")[1] for row in rows[1:]] == [missing.username]


# The setting


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"partner-terms": "nowhere.at_all"}, "can't be imported"),
        ({"partner terms": f"{__name__}.partners"}, 'must be like {"partner-terms": "portal.users.partners"}'),
        ({"partner-terms": partners}, 'must be like {"partner-terms": "portal.users.partners"}'),
        (["partner-terms"], 'must be like {"partner-terms": "portal.users.partners"}'),
    ],
)
def test_a_wrong_value_is_an_error_of_the_check(settings, value, problem):
    settings.AGREEMENT = {**settings.AGREEMENT, "AUDIENCES": value}
    [error] = check_settings(None)
    assert error.id == "agreement.E002"
    assert error.msg.startswith('AGREEMENT["AUDIENCES"] is ')
    assert problem in error.msg


@pytest.mark.parametrize(("name", "problem"), [("not_users", "not a queryset of users"), ("some_users", "a slice")])
def test_a_callable_that_returns_no_queryset_of_users_is_refused(settings, name, problem):
    settings.AGREEMENT = {**settings.AGREEMENT, "AUDIENCES": {"partner-terms": f"{__name__}.{name}"}}
    with pytest.raises(ImproperlyConfigured, match=rf'AGREEMENT\["AUDIENCES"\]\[\'partner-terms\'\].*{problem}'):
        conf.bound_users("partner-terms")
