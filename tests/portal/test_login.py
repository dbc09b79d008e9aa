"""Logging in to the portal: how many attempts are possible, and the second factor of the people who may publish."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db.models import F
from django_otp.oath import TOTP
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from agreement.groups import AUTHORS, PUBLISHERS
from tests.support import factories

pytestmark = pytest.mark.django_db
LIMIT = 10
WRONG = "not the password"
PAGES = ["/en/accounts/login/", "/en/admin/login/"]


@pytest.fixture
def user(django_user_model):
    factories.published()
    return django_user_model.objects.create_superuser("publisher", password="right")


def log_in(client, *, name="publisher", password=WRONG, page=PAGES[0], ip="10.0.0.1"):
    return client.post(page, {"username": name, "password": password}, REMOTE_ADDR=ip)


def passed() -> None:
    """A quarter of an hour is over."""
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - timedelta(minutes=15))


@pytest.mark.parametrize("page", PAGES)
def test_a_name_is_locked_after_ten_failures_from_any_addresses_and_then_free_again(client, user, page):
    for number in range(LIMIT):
        answer = log_in(client, page=page, ip=f"10.0.0.{number}")
    assert answer.status_code == 429
    assert "locked for 15 minutes" in answer.content.decode()
    assert log_in(client, password="right", page=page, ip="10.0.1.1").status_code == 429
    assert "_auth_user_id" not in client.session

    passed()
    assert log_in(client, password="right", page=page).status_code == 302


def test_an_address_is_locked_after_ten_failures_with_any_names_and_others_are_not(client, user):
    for number in range(LIMIT):
        log_in(client, name=f"user{number}")
    assert log_in(client, password="right").status_code == 429
    assert log_in(client, password="right", ip="10.0.0.2").status_code == 302


def test_attempts_during_a_lock_do_not_prolong_it(client, user):
    for _number in range(LIMIT):
        log_in(client)
    before = AccessAttempt.objects.values_list("attempt_time", flat=True).get()
    log_in(client)
    assert AccessAttempt.objects.values_list("attempt_time", flat=True).get() == before


def test_behind_a_proxy_the_address_is_that_of_the_user(client, user, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "TRUSTED_PROXIES": 1}
    forged = {"username": "nobody", "password": "wrong"}
    client.post(PAGES[0], forged, headers={"X-Forwarded-For": "9.9.9.9, 10.0.0.7"}, REMOTE_ADDR="127.0.0.1")
    assert AccessAttempt.objects.get().ip_address == "10.0.0.7"


def test_a_success_with_another_name_resets_no_failure(client, user, django_user_model):
    django_user_model.objects.create_user("attacker", password="right")
    for _number in range(LIMIT - 1):
        log_in(client)
    assert log_in(client, name="attacker", password="right").status_code == 302
    log_in(client)
    assert log_in(client, password="right").status_code == 429


def test_no_record_of_a_failure_holds_the_password_or_outlives_the_lock(client, user):
    log_in(client, password="nearly-right")
    assert "nearly-right" not in str(AccessAttempt.objects.values().get())
    passed()
    log_in(client, password="right")
    assert not AccessAttempt.objects.exists()


# The second factor

FACTOR, ADMIN = "/en/accounts/second-factor/", "/en/admin/"


def first_code(name: str) -> str:
    out = StringIO()
    call_command("addstatictoken", name, stdout=out)
    return out.getvalue().strip()


def enter(client, device, code: str):
    return client.post(FACTOR, {"otp_device": device.persistent_id, "otp_token": code, "next": ADMIN})


@pytest.fixture
def required(settings):
    settings.SECOND_FACTOR = True


@pytest.fixture
def members(django_user_model):
    factories.published()

    def member(group: str):
        user = django_user_model.objects.create_user("member", password="right", is_staff=True)
        user.groups.add(Group.objects.get(name=group))
        return user

    return member


def test_a_superuser_with_the_password_alone_gets_no_page_of_the_admin(client, user, required):
    edition = factories.draft()
    answer = log_in(client, password="right", page="/en/admin/login/")
    for page in (ADMIN, f"{ADMIN}agreement/edition/{edition.pk}/publish/", f"{ADMIN}otp_totp/totpdevice/add/"):
        answer = client.get(page, follow=True)
        assert answer.request["PATH_INFO"] == FACTOR
        assert "Ask the operator of the portal for a first code" in answer.content.decode()
        assert client.post(page, {}).status_code == 302
    edition.refresh_from_db()
    assert edition.published_at is None


def test_a_publisher_needs_it_and_an_author_does_not(client, members, required):
    user = members(AUTHORS)
    client.force_login(user)
    assert client.get(ADMIN).status_code == 200
    user.groups.add(Group.objects.get(name=PUBLISHERS))
    assert client.get(ADMIN, follow=True).request["PATH_INFO"] == FACTOR


def test_with_a_first_code_a_device_is_added_whose_codes_open_the_admin(client, user, required):
    log_in(client, password="right")
    code = first_code("publisher")
    static = StaticDevice.objects.get()
    before = client.session.session_key
    assert enter(client, static, code).url == ADMIN
    assert client.session.session_key != before
    added = {"user": user.pk, "name": "Phone", "confirmed": "on", "key": "ab" * 20, "step": 30, "t0": 0, "digits": 6}
    added |= {"tolerance": 1, "drift": 0, "throttling_failure_count": 0}
    client.post(f"{ADMIN}otp_totp/totpdevice/add/", added)
    phone = TOTPDevice.objects.get()
    picture = client.get(f"{ADMIN}otp_totp/totpdevice/{phone.pk}/qrcode/")
    assert (picture.status_code, picture["Content-Type"]) == (200, "image/svg+xml")

    client.post("/en/accounts/logout/")
    log_in(client, password="right")
    assert client.get(ADMIN).status_code == 302
    assert enter(client, static, code).status_code == 200  # Used already.
    assert enter(client, phone, f"{TOTP(phone.bin_key).token():06}").url == ADMIN
    assert client.get(ADMIN).status_code == 200


def test_wrong_codes_are_refused_and_soon_not_even_tried(client, user, required):
    phone = TOTPDevice.objects.create(user=user, name="Phone")
    log_in(client, password="right")
    assert "This code is wrong" in enter(client, phone, "000000").content.decode()
    assert "too many wrong codes" in enter(client, phone, f"{TOTP(phone.bin_key).token():06}").content.decode()
    assert client.get(ADMIN).status_code == 302


def test_the_device_of_somebody_else_is_no_second_factor(client, user, required, django_user_model):
    other = TOTPDevice.objects.create(user=django_user_model.objects.create_user("other"), name="Phone")
    TOTPDevice.objects.create(user=user, name="Phone")
    log_in(client, password="right")
    enter(client, other, f"{TOTP(other.bin_key).token():06}")
    assert client.get(ADMIN).status_code == 302


def test_a_device_that_is_deleted_or_not_confirmed_counts_no_more(client, user, required):
    phone = TOTPDevice.objects.create(user=user, name="Phone")
    log_in(client, password="right")
    enter(client, phone, f"{TOTP(phone.bin_key).token():06}")
    assert client.get(ADMIN).status_code == 200
    TOTPDevice.objects.update(confirmed=False)
    assert client.get(ADMIN).status_code == 302
    TOTPDevice.objects.update(confirmed=True)
    assert client.get(ADMIN).status_code == 200
    TOTPDevice.objects.all().delete()
    assert client.get(ADMIN).status_code == 302


def test_after_it_the_reader_is_not_sent_to_another_site(client, user, required):
    log_in(client, password="right")
    code = first_code("publisher")
    form = {"otp_device": StaticDevice.objects.get().persistent_id, "otp_token": code, "next": "//evil.example/"}
    assert client.post(FACTOR, form).url == "/en/"


def test_nobody_is_asked_for_it_who_is_not_logged_in_or_in_the_demo(client, user):
    assert client.get(FACTOR).url.startswith("/en/accounts/login/")
    log_in(client, password="right")
    assert client.get(ADMIN).status_code == 200
