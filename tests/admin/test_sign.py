"""The page on which an edition is signed: who may, what it stores and refuses, and whom its browser may ask."""

from __future__ import annotations

import base64
import re

import django
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import RequestFactory

from agreement.admin.editions import sign
from agreement.evidence import cms
from agreement.models import AuditEntry, Signature
from tests.admin.test_editions import AUTHOR, at, desk
from tests.support import factories
from tests.support.officials import Official

pytest.importorskip("asn1crypto")
pytestmark = pytest.mark.django_db
COMPARED = "Only the signed digest was compared with that of the manifest: they agree."
SIGNER = ("view_edition", "sign_edition")


@pytest.fixture
def publisher(django_user_model):
    return desk(django_user_model, *SIGNER, name="publisher")


def upload(content: bytes) -> dict[str, object]:
    return {"file": SimpleUploadedFile("manifest.json.cms", content)}


def test_a_signature_from_a_file_is_stored_and_displayed_on_the_desk_and_the_page(publisher, client, official):
    edition = factories.published()
    there = at("edition_sign", edition.pk)
    assert f'href="{there}"' in publisher.get(at("edition_change", edition.pk)).content.decode()
    manifest = publisher.get(there, {"manifest": ""})
    assert manifest.content == edition.manifest()
    assert manifest["Content-Disposition"] == 'attachment; filename="manifest.json"'
    assert base64.b64encode(edition.manifest()).decode() in publisher.get(there).content.decode()

    done = publisher.post(there, upload(official.sign(manifest.content)), follow=True)
    assert [str(message) for message in done.context["messages"]] == [
        f"The signature was not verified here. {COMPARED}",
        "The signature was stored: СЫНАҚОВА СЫНАҚ.",
    ]
    row = Signature.objects.get(edition=edition)
    entry = AuditEntry.objects.about(edition).first()
    assert (entry.action, entry.by, entry.note) == ("signed", "publisher", "manifest.json.cms")

    path = "/en/agreements/terms/editions/1/manifest.json.cms"
    for page in (publisher.get(there), done, client.get("/en/agreements/terms/editions/1/")):
        text = page.content.decode()
        assert f'<strong>{row.signer}</strong>,\n«Сынақ» ЖШС · <a href="{path}">manifest.json.cms</a>' in text
        assert "Signed, by the clock of the signer:" in text
        assert "The signature was not verified here." in text
        assert "000000000000" not in text
    served = client.get(path)
    assert served.content == bytes(row.content)
    assert served["Content-Type"] == "application/pkcs7-signature"
    assert served["Cache-Control"] == "public, max-age=31536000, immutable"
    assert official.verify(edition.manifest(), served.content)


def test_the_signature_that_ncalayer_returns_is_stored_once(publisher, official):
    edition = factories.published()
    there, signed = at("edition_sign", edition.pk), base64.b64encode(official.sign(edition.manifest())).decode()
    publisher.post(there, {"signature": signed})
    again = publisher.post(there, {"signature": f"-----BEGIN CMS-----\n{signed}\n-----END CMS-----"}, follow=True)
    assert [str(message) for message in again.context["messages"]][-1] == (
        "This signature is stored already: СЫНАҚОВА СЫНАҚ. Nothing was stored again."
    )
    assert Signature.objects.count() == AuditEntry.objects.filter(action="signed").count() == 1


def test_the_second_signature_has_an_address_with_its_number(publisher, client, official, tmp_path):
    edition, scheduled = factories.published(), factories.published()
    for one in (official, Official(tmp_path, "/CN=Another Official")):
        publisher.post(at("edition_sign", edition.pk), upload(one.sign(edition.manifest())))
    page = client.get("/en/agreements/terms/editions/1/").content.decode()
    assert re.findall(r'href="[^"]*/(manifest[^"]*cms)"', page) == ["manifest.json.cms", "manifest.json.2.cms"]
    here = "/en/agreements/terms/editions/1/"
    assert b"Another Official" in client.get(f"{here}manifest.json.2.cms").content
    for missing in ("manifest.json.3.cms", "manifest.json.1.cms", "manifest.json.0.cms", "manifest.json.02.cms"):
        assert client.get(here + missing).status_code == 404
    assert client.get(f"/en/agreements/terms/editions/{scheduled.number}/manifest.json.cms").status_code == 404


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ({}, "Choose the file with the signature."),
        ({"file": ""}, "Choose the file with the signature."),
        (upload(b""), "This file is not a CMS signature."),
        (upload("Келісім".encode()), "This file is not a CMS signature."),
        (upload(b"0" * 5_000_000), "The file is too long to be a signature: it has more than 100000 bytes."),
        ({"signature": "Келісім"}, "This file is not a CMS signature."),
        ({"signature": "M" * 200_000}, "The file is too long to be a signature: it has more than 100000 bytes."),
        ({"signature": "\x00"}, "Null characters are not allowed."),
        ({**upload(b"0"), "signature": "MAA="}, "Choose the file with the signature."),
    ],
    ids=lambda value: value if isinstance(value, str) else repr(value)[:30],
)
def test_what_is_no_signature_is_refused_with_a_sentence(publisher, answer, sentence):
    edition = factories.published()
    response = publisher.post(at("edition_sign", edition.pk), answer)
    assert response.status_code == 400
    assert sentence in response.content.decode()
    assert "Nothing was stored." in response.content.decode()
    assert not Signature.objects.exists()


def test_the_signature_of_another_edition_is_refused_with_what_to_do(publisher, official):
    first, second = factories.published(), factories.published()
    response = publisher.post(at("edition_sign", second.pk), upload(official.sign(first.manifest())))
    assert response.status_code == 400
    assert (
        "This is the signature of another text, not of the manifest of terms, edition 2. Download manifest.json of this"
        " edition, sign exactly this file, and choose the new signature."
    ) in response.content.decode()


def test_a_draft_is_not_signed_and_a_missing_edition_is_named(publisher, official):
    draft = factories.draft()
    for response in (
        publisher.get(at("edition_sign", draft.pk)),
        publisher.get(at("edition_sign", draft.pk), {"manifest": ""}),
        publisher.post(at("edition_sign", draft.pk), upload(official.sign(b"{}"))),
    ):
        assert response.status_code == 409
        assert "A draft can&#x27;t be signed: it has no manifest." in response.content.decode()
    assert "edition_sign" not in publisher.get(at("edition_change", draft.pk)).content.decode()
    assert publisher.get(at("edition_sign", 4711)).status_code == 302


def test_only_who_has_the_permission_signs(django_user_model, official):
    edition = factories.published()
    for number, permissions in enumerate((AUTHOR, ("sign_edition",), ("publish_edition", "view_edition"))):
        client = desk(django_user_model, *permissions, name=f"other-{number}")
        there = at("edition_sign", edition.pk)
        assert client.get(there).status_code == 403
        assert client.post(there, upload(official.sign(edition.manifest()))).status_code == 403
        assert there not in client.get(at("edition_change", edition.pk)).content.decode()
    assert not Signature.objects.exists()


def test_without_the_extra_the_page_says_so(publisher, monkeypatch):
    edition = factories.published()
    monkeypatch.setattr(cms, "is_installed", lambda: False)
    page = publisher.get(at("edition_sign", edition.pk)).content.decode()
    assert "This site can't read signatures." in page
    assert "<form method" not in page.partition('id="content-main"')[2]


def verify(manifest: bytes, signature: bytes) -> None:
    """A verifier that accepts every signature."""


def test_a_verified_signature_is_said_to_be_verified(publisher, client, official, settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "SIGNATURE_VERIFIER": f"{__name__}.verify"}
    edition = factories.published()
    there = at("edition_sign", edition.pk)
    assert "This site verifies the signature before it is stored." in publisher.get(there).content.decode()
    done = publisher.post(there, upload(official.sign(edition.manifest())), follow=True)
    assert [str(message) for message in done.context["messages"]] == ["The signature was stored: СЫНАҚОВА СЫНАҚ."]
    page = client.get("/en/agreements/terms/editions/1/").content.decode()
    assert "This site verified the signature when it was stored." in page


# The content security policy


def policy(response: HttpResponse) -> dict[str, str]:
    parts = (part.strip().partition(" ") for part in response["Content-Security-Policy"].split(";"))
    return {name: sources for name, _space, sources in parts}


def test_only_this_page_may_connect_to_ncalayer(publisher, client):
    edition = factories.published()
    page = publisher.get(at("edition_sign", edition.pk))
    assert policy(page)["connect-src"] == "'self' wss://127.0.0.1:13579"
    other = policy(publisher.get(at("edition_change", edition.pk)))
    assert {**other, "connect-src": policy(page)["connect-src"]} == policy(page)
    for response in (other, policy(client.get("/en/agreements/terms/editions/1/"))):
        assert "13579" not in str(response)
    assert "script" not in re.sub(r"<script[^>]*src=[^>]*></script>", "", page.content.decode())
    refused = publisher.post(at("edition_sign", edition.pk), {})
    assert policy(refused) == policy(page)


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ({"default-src": ["'self'"]}, ["'self'", sign.NCA_LAYER]),
        ({"default-src": ("'none'",), "img-src": "'self'"}, [sign.NCA_LAYER]),
        ({"default-src": "'self'", "connect-src": ["'self'", "api"]}, ["'self'", "api", sign.NCA_LAYER]),
        ({"default-src": "'self'", "connect-src": "'none'"}, [sign.NCA_LAYER]),
        ({"img-src": "'self'"}, None),
        ({}, None),
        (None, None),
    ],
)
def test_the_policy_of_the_site_is_added_to_and_not_replaced(settings, stated, expected):
    settings.CONTENT_SECURITY_POLICY = {"DIRECTIVES": stated}
    settings.CONTENT_SECURITY_POLICY_REPORT_ONLY = {"DIRECTIVES": stated}
    settings.SECURE_CSP = settings.SECURE_CSP_REPORT_ONLY = stated if django.VERSION >= (6, 0) else None
    response = sign.allow_connection(lambda request: HttpResponse(), sign.NCA_LAYER)(RequestFactory().get("/"))
    for name in ("_csp_replace", "_csp_replace_ro"):
        assert getattr(response, name, None) == (expected and {"connect-src": expected})
    if django.VERSION >= (6, 0):
        for name in ("_csp_config", "_csp_ro_config"):
            assert getattr(response, name, None) == (expected and {**stated, "connect-src": expected})


def test_a_site_without_a_policy_gets_none(settings):
    for name in ("CONTENT_SECURITY_POLICY", "SECURE_CSP"):
        if hasattr(settings, name):
            delattr(settings, name)
    response = sign.allow_connection(lambda request: HttpResponse(), sign.NCA_LAYER)(RequestFactory().get("/"))
    assert not [name for name in vars(response) if name.startswith("_csp")]
