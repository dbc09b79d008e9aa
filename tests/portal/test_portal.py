"""The portal around the app: front page, mailbox, demo; with ``DEBUG`` off as it is deployed."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from operator import attrgetter
from pathlib import Path
from smtplib import SMTPRecipientsRefused

import django
import environ
import pytest
from django.contrib.auth import get_user_model
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from agreement.models import (
    Acceptance,
    AcceptanceKind,
    Agreement,
    Delivery,
    DeliveryOutcome,
    Edition,
    Notice,
    NoticeKind,
    State,
    verification,
)
from agreement.notices.unreached import Cause, count_by_cause, resend_reachable
from agreement.text.lint import lint
from portal_site import mailbox
from portal_site.management.commands import demo
from portal_site.models import Profile
from tests.support import factories
from tests.support.site import served, site


@pytest.fixture
def post(settings, tmp_path) -> Iterator[Path]:
    """Mail goes to files in this folder, as it does in the demo."""
    where = tmp_path / "var" / "mailbox"
    if django.VERSION >= (6, 1):
        settings.MAILERS = {"default": {"BACKEND": mailbox.BACKEND, "OPTIONS": {"file_path": str(where)}}}
    else:
        settings.EMAIL_BACKEND, settings.EMAIL_FILE_PATH = mailbox.BACKEND, str(where)
    settings.DEBUG = True
    yield where
    Path(f"{connection.settings_dict['NAME']}-demo").unlink(missing_ok=True)


def letter(subject: str = "Жаңа редакция", to: str = "reader-1@example.kz", html: str = "") -> None:
    message = mail.EmailMultiAlternatives(
        subject, "Мәтін: http://127.0.0.1:8000/kk/", "noreply@example.kz", [to], headers={"Content-Language": "kk, ru"}
    )
    if html:
        message.attach_alternative(html, "text/html")
    assert message.send() == 1


# Mail


def test_each_message_is_one_whole_file(post):
    letter("Бір")
    letter("Екі")

    assert len(list((post / "new").iterdir())) == 2
    assert list((post / "tmp").iterdir()) == []
    assert mailbox.count() == 2
    assert [found.subject for found in mailbox.newest()] == ["Екі", "Бір"]


@pytest.mark.parametrize("names", [(), ("tmp",), ("new", "cur")])
def test_a_folder_that_exists_already_becomes_a_mailbox(post, names):
    """An empty volume is mounted there, or somebody deleted some of its folders."""
    post.mkdir(parents=True)
    for name in names:
        (post / name).mkdir()
    letter("Бір")
    assert [found.subject for found in mailbox.newest()] == ["Бір"]


def test_a_long_name_of_a_sender_is_displayed_in_one_piece(post):
    sender = "Ашық кітапхана / Открытая библиотека <noreply@example.kz>"
    mail.EmailMessage("Тақырып", "Мәтін", sender, ["reader-1@example.kz"]).send()
    assert mailbox.newest()[0].header("From") == sender
    assert mailbox.newest()[0].header("To") == "reader-1@example.kz"


def test_a_message_without_recipients_is_not_stored(post):
    assert mail.EmailMessage("x", "x", "a@example.kz", []).send() == 0
    assert mailbox.count() == 0


def test_an_address_in_a_domain_that_never_exists_is_refused_as_a_server_refuses_it(post):
    with pytest.raises(SMTPRecipientsRefused) as refused:
        letter(to="reader-9@example.invalid")
    assert refused.value.recipients == {"reader-9@example.invalid": (550, b"5.1.2 The domain does not exist")}
    assert mailbox.count() == 0


def test_the_mailbox_is_read_fifty_at_a_time_and_counted_without_reading(post):
    for number in range(mailbox.PAGE + 3):
        letter(str(number))
    oldest = min((post / "new").iterdir(), key=lambda file: mailbox._written_at(file.name))
    oldest.unlink()
    oldest.mkdir()  # Reading it would fail.

    assert mailbox.count() == mailbox.PAGE + 3
    assert [found.subject for found in mailbox.newest()] == [str(number) for number in range(52, 2, -1)]


def test_an_empty_mailbox_is_empty(client, post):
    assert mailbox.count() == 0
    assert client.get("/en/mailbox/").status_code == 200


def test_the_list_shows_who_what_and_when(client, post):
    letter("Өзгеріс туралы", to="оқырман@example.kz" if django.VERSION >= (6, 0) else "reader-2@example.kz")

    page = client.get("/ru/mailbox/").content.decode()

    assert "@example.kz" in page
    assert '<strong lang="kk">Өзгеріс туралы</strong>' in page
    assert timezone.localdate().isoformat() in page


def test_a_letter_shows_its_headers_its_text_and_its_html_in_a_frame_apart(client, post):
    letter(html='<p style="color:#123456">Сәлем</p><script>alert(1)</script>')
    key = mailbox.newest()[0].key

    page = client.get(f"/kk/mailbox/{key}/").content.decode()
    part = client.get(f"/kk/mailbox/{key}/html/")

    assert "<dt>Content-Language</dt><dd>kk, ru</dd>" in page
    assert '<a href="http://127.0.0.1:8000/kk/" rel="nofollow">' in page
    assert f'<iframe class="portal-frame" src="/kk/mailbox/{key}/html/" sandbox="' in " ".join(page.split())
    assert "#123456" not in page
    assert "#123456" in part.content.decode()
    policy = part["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline';")
    assert "sandbox" in policy
    assert "allow-scripts" not in policy + page
    assert "allow-same-origin" not in policy + page
    assert "'unsafe-inline'" not in client.get(f"/kk/mailbox/{key}/")["Content-Security-Policy"]


def test_hostile_headers_and_text_are_words(client, post):
    letter("<script>alert(1)</script>")
    key = mailbox.newest()[0].key
    for address in ("/kk/mailbox/", f"/kk/mailbox/{key}/"):
        page = client.get(address).content.decode()
        assert page.count("<script") == page.count(
            '<script type="module" src="/static/agreement/agreement.js"></script>'
        )
        assert "&lt;script&gt;" in page


def test_a_letter_without_html_has_no_frame(client, post):
    letter()
    key = mailbox.newest()[0].key
    assert "<iframe" not in client.get(f"/kk/mailbox/{key}/").content.decode()
    assert client.get(f"/kk/mailbox/{key}/html/").status_code == 404


@pytest.mark.parametrize("key", ["x", "..", "%2e%2e%2fsecret", "..%2f..%2fsettings.py", "%00", "1.M1P1Q1.host"])
def test_only_letters_are_letters(client, post, key):
    letter()
    (post / "secret").write_text("x")
    assert client.get(f"/kk/mailbox/{key}/").status_code == 404
    assert client.get(f"/kk/mailbox/{key}/html/").status_code == 404


@pytest.mark.parametrize("page", ["0", "2", "-1", "x", "1.0", "", "9" * 5000, "١"])
def test_a_page_of_letters_that_does_not_exist_is_not_found(client, post, page):
    letter()
    assert client.get("/kk/mailbox/", {"page": page}).status_code == 404


def test_without_debug_the_mailbox_is_hidden(client, post, settings):
    letter(html="<p>x</p>")
    key = mailbox.newest()[0].key
    settings.DEBUG = False
    for address in ("/kk/mailbox/", f"/kk/mailbox/{key}/", f"/kk/mailbox/{key}/html/"):
        assert client.get(address).status_code == 404


def test_where_mail_goes_to_a_server_there_is_no_mailbox(client, settings):
    settings.DEBUG = True
    assert mailbox.folder() is None
    assert client.get("/kk/mailbox/").status_code == 404


# Pages


@pytest.mark.django_db
def test_the_front_page_leads_to_everything(client, post):
    factories.published()
    page = client.get("/ru/").content.decode()
    for address in ("/ru/agreements/terms/", "/ru/agreements/terms/editions/", "/ru/mailbox/", "/ru/admin/"):
        assert f'href="{address}"' in page


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/ru/", "/ru/mailbox/", "/ru/mailbox/{letter}/"])
def test_pages_that_no_cache_shares_name_the_user_and_their_unread_notices(client, post, django_user_model, address):
    factories.published()
    letter()
    user = django_user_model.objects.create_user("reader", "reader@example.kz", first_name="Айгерім")
    address = address.format(letter=mailbox.newest()[0].key)
    response = client.get(address)
    assert 'class="agreement-account"' not in response.content.decode()
    client.force_login(user)
    factories.published()
    response = client.get(address)
    header = response.content.decode().partition("<header")[2].partition("</header>")[0]
    assert "Вы вошли как Айгерім" in header
    assert re.search(r'href="/ru/agreements/notices/">Мои уведомления\s*<span class="agreement-badge">', header)
    assert "Выйти" in header
    assert {"private", "no-cache"} <= set(response.headers["Cache-Control"].split(", "))
    assert "Cookie" in response.headers["Vary"]

    public = client.get("/ru/agreements/terms/")
    assert "Айгерім" not in public.content.decode()
    assert "Vary" not in public.headers or "Cookie" not in public.headers["Vary"]


@pytest.mark.django_db
def test_the_front_page_of_an_empty_portal_states_how_to_fill_it(client):
    page = client.get("/en/").content.decode()
    assert "manage.py demo" in page
    assert "/mailbox/" not in page


@pytest.mark.parametrize(("accepted", "language"), [("ru-KZ,ru;q=0.9", "ru"), ("kk", "kk"), ("fr", "kk"), ("", "kk")])
def test_an_address_without_a_language_leads_to_the_readers(client, accepted, language):
    response = client.get("/", headers={"Accept-Language": accepted})
    assert response.headers["Location"] == f"/{language}/"


FACES = {
    "kk": ("Бұл мекенжайда ештеңе жоқ", "Бұл сұрауды өңдеу мүмкін емес", "Форма қабылданбады"),
    "ru": ("По этому адресу ничего нет", "Этот запрос не удалось обработать", "Форма не принята"),
    "en": ("There is nothing at this address", "This request can", "The form was not accepted"),
}


@pytest.mark.django_db
@pytest.mark.parametrize("language", FACES)
def test_login_and_errors_have_the_portals_face_and_links_to_the_other_languages(client, language):
    strict = Client(enforce_csrf_checks=True)
    too_many = {f"field{number}": "" for number in range(1001)}
    pages = [
        (client.get(f"/{language}/nothing/"), 404, FACES[language][0]),
        (client.post(f"/{language}/accounts/login/", too_many), 400, FACES[language][1]),
        (strict.post(f"/{language}/accounts/login/", {}), 403, FACES[language][2]),
        (client.get(f"/{language}/accounts/login/"), 200, ""),
    ]
    for response, status, words in pages:
        page = response.content.decode()
        assert response.status_code == status
        assert words in page
        assert f'<html lang="{language}">' in page
        assert 'class="portal-bar"' in page
        path = response.request["PATH_INFO"]
        for other in FACES:
            assert f'href="{path.replace(f"/{language}/", f"/{other}/", 1)}" lang="{other}"' in page


@pytest.mark.django_db
@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("address", ["nothing/", "agreements/nothing/"])
def test_an_unknown_address_gets_the_portals_page_in_its_language_also_in_the_demo(client, settings, debug, address):
    settings.DEBUG = debug
    response = client.get(f"/ru/{address}")
    assert response.status_code == 404
    assert '<html lang="ru">' in response.content.decode()


@pytest.mark.parametrize("name", ["agreement/page.css", "portal/portal.css", "portal/mark.svg", "admin/css/base.css"])
def test_static_files_need_no_collectstatic_and_no_debug(client, settings, name):
    settings.WHITENOISE_AUTOREFRESH = False  # As DEBUG=0 has it.
    assert client.head(f"/static/{name}").status_code == 200


@pytest.mark.system
@pytest.mark.sqlite
def test_collected_static_files_are_compressed_named_by_their_content_and_kept(tmp_path):
    """And all that a reader needs before the first word weighs at most 60 kB."""
    with site(tmp_path) as made:
        made.python("from tests.support.factories import published; published()")
        environment = {"STATIC_ROOT": str(tmp_path / "static")}
        replace(made, environment=environment).run("collectstatic", "--noinput", "-v0")
        with served(made, tmp_path / "log", **environment) as port:

            def get(path: str) -> tuple[http.client.HTTPResponse, bytes]:
                with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=120)) as connection:
                    connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
                    response = connection.getresponse()
                    return response, response.read()

            page, body = get("/kk/agreements/terms/")
            assert page.headers["Content-Encoding"] == "gzip"
            weight = len(body)
            named = re.findall(
                r'<(?:link rel="stylesheet" href|script.* src)="([^"]+)"', gzip.decompress(body).decode()
            )
            assert len(named) > 4
            for path in named:
                assert re.fullmatch(r"/static/[a-z]+/[a-z]+\.[0-9a-f]{12}\.(css|js)", path)
                response, body = get(path)
                assert (response.status, response.headers["Content-Encoding"]) == (200, "gzip")
                assert response.headers["Cache-Control"] == "max-age=315360000, public, immutable"
                weight += len(body)
            assert weight < 60_000


@pytest.mark.django_db
def test_a_strict_policy_stands_on_every_page_and_nothing_on_it_is_inline(client):
    factories.published()
    for address in ("/kk/", "/kk/agreements/terms/", "/kk/agreements/terms/editions/"):
        response = client.get(address)
        assert "default-src 'self'" in response["Content-Security-Policy"]
        assert "unsafe" not in response["Content-Security-Policy"]
        page = response.content.decode()
        # JSON-LD is data, and never run; tests/browser shows that the policy lets it be.
        known = (
            '<script type="module" src="/static/agreement/agreement.js"></script>',
            '<script type="application/ld+json">',
        )
        assert page.count("<script") == sum(map(page.count, known))
        assert "<style" not in page
        assert " style=" not in page


# The settings


def test_the_documented_mail_addresses_are_understood():
    guide = (Path(__file__).parents[2] / "agreement/docs/operate.md").read_text(encoding="utf-8")
    urls = re.findall(r"`(smtp[\w+]*://[^`]*)`", guide.partition("`EMAIL_URL`")[2])
    found = [environ.Env.email_url_config(url.replace(":port", ":25")) for url in urls]
    assert [(one["EMAIL_PORT"], one.get("EMAIL_USE_TLS", False)) for one in found] == [(25, False), (587, True)]


# The demo


def run_demo(*, no_serve: bool = True, **options) -> str:
    out = StringIO()
    call_command("demo", no_serve=no_serve, stdout=out, stderr=out, **options)
    return out.getvalue()


@pytest.mark.django_db
def test_the_demo_fills_the_portal_with_two_agreements(client, post):
    run_demo()

    editions = Edition.objects.published().order_by("number")
    of_terms, of_policy = (editions.filter(agreement__slug=slug) for slug in (demo.SLUG, "privacy-policy"))
    assert list(of_terms.values_list("number", "imported")) == [(1, True), (2, True), (3, False)]
    assert list(of_policy.values_list("number", "imported")) == [(1, True), (2, False), (3, False)]
    assert list(Edition.objects.in_force().values_list("agreement__slug", "number")) == [
        ("privacy-policy", 1),
        (demo.SLUG, 3),
    ]
    assert list(verification.faults()) == []
    assert set(Profile.objects.values_list("language", flat=True)) == {"kk", "ru", ""}
    assert client.get("/ru/agreements/user-agreement/").status_code == 200


@pytest.mark.django_db
def test_the_demo_announces_an_edition_of_the_policy_and_delivers_its_notice(client, post):
    run_demo(port=8321)

    announced = Edition.objects.get(agreement__slug="privacy-policy", number=3)
    assert announced.state() == State.SCHEDULED
    assert timedelta(days=13) < announced.effective_from - timezone.now() < timedelta(days=14)
    assert [announced.text(code).body for code in ("kk", "ru")] == [*demo.bodies(3, demo.PRIVACY_POLICY).values()]
    outcomes = Delivery.objects.filter(notice__edition=announced).values_list("outcome", flat=True)
    assert sorted(outcomes) == ["failed"] + ["sent"] * len(demo.READERS)
    address = "http://127.0.0.1:8321/kk/agreements/privacy-policy/editions/3/"
    assert any(address in mailbox.get(letter.key).text for letter in mailbox.newest())
    banner = client.get("/ru/agreements/privacy-policy/").content.decode()
    assert '<a href="/ru/agreements/privacy-policy/editions/3/' in banner


@pytest.mark.django_db
def test_the_demo_corrects_an_edition_before_its_letters_are_sent(client, post, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "NOTICE_DELAY": timedelta(seconds=20)}
    run_demo()

    wrong, right = Edition.objects.filter(agreement__slug="privacy-policy", number__gt=1).order_by("number")
    assert wrong.state() == State.CANCELLED
    assert wrong.effective_from == right.effective_from
    notices = [(notice.edition.number, notice.kind) for notice in Notice.objects.filter(edition__in=[wrong, right])]
    assert sorted(notices) == [(2, NoticeKind.CANCELLED), (2, NoticeKind.PUBLISHED), (3, NoticeKind.PUBLISHED)]
    assert not Delivery.objects.filter(notice__edition=wrong).exists()
    changes = client.get("/ru/agreements/privacy-policy/editions/3/changes/?from=2").content.decode()
    assert set(re.findall(r"исключено: </span>([^<]*)<", changes)) == {"два месяца"}
    assert set(re.findall(r"добавлено: </span>([^<]*)<", changes)) == {"двенадцать месяцев"}
    client.force_login(get_user_model().objects.get(username="reader-2"))
    own = client.get("/ru/agreements/notices/").content.decode()
    assert "/privacy-policy/editions/3/" in own
    assert "/privacy-policy/editions/2/" not in own


@pytest.mark.django_db
def test_one_reader_of_the_demo_is_not_reached(client, post):
    run_demo()

    for notice in Notice.objects.filter(edition__number=3, kind=NoticeKind.PUBLISHED):
        assert count_by_cause(notice) == {Cause.REFUSED: 1}
    refused = Delivery.objects.filter(outcome=DeliveryOutcome.FAILED)
    assert set(refused.values_list("user__username", "reason")) == {("reader-9", "SMTP 550 5.1.2")}
    assert mailbox.count() == 2 * len(demo.READERS)  # The administrator is reached too.
    client.force_login(get_user_model().objects.get(username="admin"))
    cards = client.get("/en/admin/").content.decode()
    assert len(re.findall(r"Not reached: 1\b", cards)) == 2


@pytest.mark.django_db
def test_a_reader_of_the_demo_who_gets_another_address_is_reached(post):
    run_demo()
    get_user_model().objects.filter(username="reader-9").update(email="reader-9@example.kz")
    notice = Notice.objects.get(edition__agreement__slug=demo.SLUG)

    assert resend_reachable(notice) == 1
    demo.dispatch.work()

    assert count_by_cause(notice) == {}
    assert mailbox.newest()[0].to == "reader-9@example.kz"


@pytest.mark.django_db
def test_a_reader_of_the_demo_accepted_by_the_button_and_gets_a_receipt(client, post, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "LOG_KEY": b64encode(b"k" * 32).decode()}
    run_demo()

    accepted = Acceptance.objects.get()
    assert (accepted.user.username, accepted.kind, accepted.language) == ("reader-1", AcceptanceKind.EXPLICIT, "kk")
    assert (accepted.edition.agreement.slug, accepted.edition.number) == (demo.SLUG, 3)
    assert accepted.html_digest, "the page displayed the text"
    client.force_login(accepted.user)
    assert Acceptance.objects.count() == 1
    checkpoint = client.get(f"/kk/agreements/{demo.SLUG}/log/checkpoint").content.decode()
    assert checkpoint.splitlines()[-1].startswith(f"— 127.0.0.1:8000/kk/agreements/{demo.SLUG}/log ")
    pytest.importorskip("weasyprint")
    receipt = f"/kk/agreements/record/receipts/{accepted.pk}.kk.pdf"
    assert f'href="{receipt}"' in client.get("/kk/agreements/record/").content.decode()
    assert client.get(receipt).content.startswith(b"%PDF-")


@pytest.mark.django_db
@pytest.mark.parametrize("no_serve", [True, False])
def test_the_report_of_the_demo_fits_a_screen_and_says_where_to_look(post, monkeypatch, no_serve):
    monkeypatch.setattr(demo, "call_command", without_serving)
    monkeypatch.setattr(demo, "deliver_continuously", lambda: None)

    report = run_demo(port=8321, no_serve=no_serve)

    for address in (
        "agreements/user-agreement/",
        "agreements/privacy-policy/",
        "agreements/privacy-policy/editions/3/changes/?from=2",
        "agreements/user-agreement/log/checkpoint",
        "agreements/record/",
        "mailbox/",
        "admin/",
    ):
        assert re.search(rf"http://127\.0\.0\.1:8321/ru/{re.escape(address)}(\s|$)", report)
    for words in ("Edition 3: in force since", "Edition 3 is announced for", "cancelled", "18 letters"):
        assert words in report
    for words in ("reader-1", "Not reached: 1 (reader-9)", "admin"):
        assert words in report
    assert len(report.splitlines()) <= 24
    assert max(map(len, report.splitlines())) <= 100


def without_serving(name: str, *arguments: object, **options: object) -> object:
    """``call_command``, but the portal is not served."""
    return None if name == "runserver" else call_command(name, *arguments, **options)


@pytest.mark.django_db
def test_without_the_extra_pdf_the_report_says_what_a_receipt_needs(post, monkeypatch):
    monkeypatch.setattr(demo, "find_spec", lambda name: None)
    assert 'A receipt needs the extra "pdf".' in run_demo()


SAMPLES = [(demo.USER_AGREEMENT, 3, None), (demo.PRIVACY_POLICY, 1, None)]
ANNOUNCED = [(demo.PRIVACY_POLICY, number, 1) for number in (2, 3)]


@pytest.mark.parametrize(("sample", "number", "previous"), [*SAMPLES, *ANNOUNCED])
def test_the_lint_finds_nothing_in_the_samples_in_force_and_those_announced(sample, number, previous):
    index = json.loads((demo.SAMPLES / sample.index).read_text(encoding="utf-8"))
    editions = {stated["number"]: stated for stated in index}
    stated, before = editions[number], editions.get(previous)
    titles, summaries = ({code: stated[f"{name}_{code}"] for code in ("kk", "ru")} for name in ("title", "summary"))
    texts = {"titles": titles, "summaries": summaries, "stated": stated}
    if before:
        texts |= {"previous": demo.bodies(previous, sample), "previous_stated": before}
    assert lint(demo.bodies(number, sample), **texts) == ()


@pytest.mark.django_db
def test_the_pages_of_a_portal_with_two_agreements(client, post, settings):
    """``DEFAULT_AGREEMENT`` names the one that pages mean if they name none."""
    settings.AGREEMENT = {**settings.AGREEMENT, "DEFAULT_AGREEMENT": demo.SLUG}
    assert "privacy-policy" not in client.get("/ru/").content.decode()
    run_demo()

    policy = '<a href="/ru/agreements/privacy-policy/">Политика конфиденциальности</a>'
    home, materials = (client.get(address).content.decode() for address in ("/ru/", "/ru/materials/"))
    assert home.partition("portal-foot")[2].count(policy) == materials.partition("portal-foot")[2].count(policy) == 1
    titles = [home.index(f'<h2><a href="/ru/agreements/{slug}/"') for slug in (demo.SLUG, "privacy-policy")]
    assert titles == sorted(titles)
    assert f'href="/ru/agreements/{demo.SLUG}/editions/3/#2.1"' in materials
    assert f'<a href="/ru/agreements/{demo.SLUG}/">Читать соглашение целиком</a>' in materials


@pytest.mark.django_db
def test_the_demo_prints_a_password_that_works_and_never_changes_it(client, post):
    first = run_demo()
    password = first.split("Password")[1].split()[0]
    second = run_demo()

    answer = client.post("/en/accounts/login/", {"username": "admin", "password": password})
    assert (answer.status_code, answer.wsgi_request.user.get_username()) == (302, "admin")
    assert "set in the first run" in second
    assert "changepassword admin" in second
    assert password not in second


@pytest.mark.django_db
def test_a_second_demo_changes_nothing(post):
    run_demo()
    tables = Edition, Notice, Delivery, Profile, Acceptance
    before = [list(table.objects.values()) for table in tables], mailbox.count()
    run_demo()
    assert ([list(table.objects.values()) for table in tables], mailbox.count()) == before


@pytest.mark.django_db
@pytest.mark.parametrize(
    "step",
    [
        *("make_people", "load_samples", "announce", "call_command", "accept"),
        *("Edition.record", "Edition.publish", "Edition.cancel", "Acceptance.objects.record"),
    ],
)
def test_a_demo_that_was_stopped_is_finished_by_the_next(post, step, monkeypatch):
    owner, _, name = step.rpartition(".")
    target = attrgetter(owner)(demo) if owner else demo
    whole = getattr(target, name)

    def stop_after(*args, **kwargs):
        whole(*args, **kwargs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(target, name, stop_after)
        with pytest.raises(KeyboardInterrupt):
            run_demo()
    run_demo()

    editions = Edition.objects.order_by("agreement__slug", "number").values_list("agreement__slug", "number")
    assert list(editions) == [(slug, number) for slug in ("privacy-policy", demo.SLUG) for number in (1, 2, 3)]
    assert [edition.number for edition in Edition.objects.all() if edition.state() == State.CANCELLED] == [2]
    assert not Edition.objects.drafts().exists()
    assert get_user_model().objects.count() == len(demo.READERS) + 1
    assert mailbox.count() == 2 * len(demo.READERS)
    assert Acceptance.objects.count() == 1


@pytest.mark.django_db
def test_the_demo_leaves_editions_alone_that_were_published_after_it(post):
    run_demo()
    factories.published(slug=demo.SLUG)
    run_demo()
    assert Edition.objects.in_force().get(agreement__slug=demo.SLUG).text("kk").body == factories.KK
    assert Edition.objects.count() == 7


@pytest.mark.django_db
def test_the_demo_announces_nothing_in_a_policy_that_a_person_changed_before(post):
    """The database was filled by a demo that did not announce an edition yet."""
    demo.make_people()
    demo.load_samples()
    factories.published(slug="privacy-policy")
    run_demo()
    assert Edition.objects.filter(agreement__slug="privacy-policy").count() == 2


@pytest.mark.django_db
def test_the_demo_accepts_nothing_in_place_of_its_reader(post):
    run_demo()
    Acceptance.objects.get().user.delete()
    factories.published(slug=demo.SLUG)
    run_demo()
    assert Acceptance.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["admin", "reader-1", "editor"])
def test_the_demo_refuses_a_database_with_users_of_its_own_and_writes_nothing(post, name):
    get_user_model().objects.create_user(name, email=f"{name}@portal.kz")
    with pytest.raises(CommandError, match=f"contains the user '{name}', which the demo did not create. Nothing"):
        run_demo()
    assert get_user_model().objects.get().email == f"{name}@portal.kz"
    assert not Agreement.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("slug", ["terms", demo.SLUG])
def test_the_demo_refuses_a_database_with_agreements_of_its_own_and_writes_nothing(post, slug):
    factories.published(slug=slug)
    with pytest.raises(CommandError, match=f"contains the agreement '{slug}', which the demo did not create"):
        run_demo()
    assert not get_user_model().objects.exists()
    assert Edition.objects.count() == 1


@pytest.mark.django_db
def test_the_demo_goes_on_in_a_database_that_people_worked_in_since(post):
    run_demo()
    factories.users(1)
    factories.agreement("privacy")
    run_demo()
    assert Edition.objects.published().count() == 6
    assert get_user_model().objects.count() == len(demo.READERS) + 2


def test_the_demo_refuses_a_portal_that_is_deployed(post, settings):
    settings.DEBUG = False
    with pytest.raises(CommandError, match=r"^DEBUG=0 means that .* Run the demo without DEBUG=0"):
        run_demo()


def test_the_demo_refuses_where_its_letters_would_leave_the_machine(settings):
    settings.DEBUG = True  # Without the fixture mail goes elsewhere.
    with pytest.raises(CommandError, match=r"^EMAIL_URL names a mail server: .* Run the demo without EMAIL_URL"):
        run_demo()


@pytest.mark.django_db
@pytest.mark.sqlite
def test_a_demo_that_waited_in_vain_for_another_reports_it(post, monkeypatch):
    monkeypatch.setattr(demo, "WAIT_SECONDS", 0)
    with closing(sqlite3.connect(f"{connection.settings_dict['NAME']}-demo", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(CommandError, match="Another demo has been filling this database"):
            run_demo()
    assert not get_user_model().objects.exists()
    run_demo()


@pytest.mark.system
@pytest.mark.sqlite
def test_two_demos_at_once_on_a_fresh_database_fill_it_once(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name not in {"DEBUG", "EMAIL_URL"}}
    environment |= {
        "DJANGO_SETTINGS_MODULE": "portal_site.settings",
        "DATABASE_URL": f"sqlite:///{tmp_path / 'demo.sqlite3'}",
        "MAILBOX": str(tmp_path / "mailbox"),
        "PYTHONPATH": str(Path(demo.__file__).resolve().parents[3]),
    }
    command = [sys.executable, "-m", "django", "demo", "--no-serve"]
    demos = [
        subprocess.Popen(
            command, env=environment, cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        for _demo in range(2)
    ]

    reports = [one.communicate(timeout=120)[0] for one in demos]

    assert [one.returncode for one in demos] == [0, 0], reports
    assert sorted("set in the first run" in report for report in reports) == [False, True]
    assert all("(18 letters)" in report and "Not reached: 1 (reader-9)" in report for report in reports)
    with closing(sqlite3.connect(tmp_path / "demo.sqlite3")) as filled:
        counts = "SELECT (SELECT COUNT(*) FROM agreement_edition), (SELECT COUNT(*) FROM agreement_acceptance)"
        assert filled.execute(counts).fetchone() == (6, 1)


def test_a_port_that_is_taken_is_refused_before_anything_is_written(post):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(CommandError, match=rf"^Port {port} can't be used \(address already in use\)\. Use another"):
            call_command("demo", port=port)


@pytest.mark.parametrize("port", [0, -1, 70000])
def test_a_number_that_is_no_port_is_refused(post, port):
    with pytest.raises(CommandError, match=f"Port {port} can't be used"):
        call_command("demo", port=port)


@pytest.mark.system
@pytest.mark.sqlite
def test_head_has_the_headers_of_get_and_no_body_that_a_server_must_drop(tmp_path):
    log = tmp_path / "log"
    statuses = set()
    with site(tmp_path) as portal:
        portal.python("from tests.support.factories import published; published()")
        with served(portal, log) as port:
            for path in (
                *(
                    "/kk/",
                    "/kk/agreements/terms/",
                    "/kk/agreements/terms/editions/1.json",
                    "/kk/admin/login/",
                    "/kk/none/",
                ),
                *("/kk/agreements/none/", "/kk/agreements/none/current.json", "/kk/agreements/terms/at/none/"),
                *("/kk/agreements/terms/editions/1/changes/?view=none", "/static/agreement/page.css"),
            ):
                get, head = (respond(port, method, path) for method in ("GET", "HEAD"))
                assert head.status == get.status
                assert head.getheader("Content-Length") == get.getheader("Content-Length")
                statuses.add(head.status)
            statuses.add(respond(port, "HEAD", "/kk/agreements/terms/", {"Host": "evil.example"}).status)
    assert statuses == {200, 400, 404}
    assert "body bytes" not in log.read_text()


def respond(port: int, method: str, path: str, headers: dict[str, str] | None = None) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, headers=headers or {})
    response = connection.getresponse()
    response.read()
    connection.close()
    return response
