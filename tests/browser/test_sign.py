"""An official signs an edition in a real browser. A stand-in answers in the place of NCALayer."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from agreement.evidence.signatures import store
from agreement.models import Edition, Signature
from tests.browser.conftest import overflow
from tests.browser.conftest import violations as public_violations
from tests.browser.test_admin import Person, person, site, violations
from tests.support.officials import Official

if TYPE_CHECKING:
    from playwright.sync_api import WebSocketRoute

__all__ = ["person", "site"]

pytest.importorskip("asn1crypto")
pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

languages = pytest.mark.parametrize("language", ["kk", "ru"])
russian = pytest.mark.parametrize("language", ["ru"])
NCA_LAYER = "wss://127.0.0.1:13579/"
ABSENT = "NCALayer не отвечает. Запустите его на этом компьютере и повторите попытку или выберите файл."


class NCALayer:
    """The stand-in. ``asked`` are the requests, and ``answer`` says how a request is answered."""

    def __init__(self, person: Person, answer: Callable[[dict[str, Any]], object]) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answer = answer
        person.page.route_web_socket(NCA_LAYER, self._connect)

    def _connect(self, socket: WebSocketRoute) -> None:
        socket.on_message(lambda message: self._take(socket, json.loads(message)))
        socket.send(json.dumps({"result": {"version": "1.4"}}))

    def _take(self, socket: WebSocketRoute, request: dict[str, Any]) -> None:
        self.asked.append(request)
        socket.send("--heartbeat--")
        socket.send("{}")
        if (answer := self.answer(request)) is None:
            socket.close()
        else:
            socket.send(json.dumps(answer))


def open_page(person: Person) -> Edition:
    person.log_in("publisher")
    edition = Edition.objects.get()
    assert person.open(f"agreement/edition/{edition.pk}/change/") == 200
    person.submit(f"a[href$='/{edition.pk}/sign/']")
    return edition


def status(person: Person) -> str:
    """What the page says after the button was clicked."""
    person.click("[data-nca] button")
    place = person.page.locator("[data-nca] [role=status]")
    # The content security policy of the page forbids what wait_for_function() does.
    person.page.locator("[data-nca] button:enabled").wait_for()
    return place.inner_text()


@languages
def test_an_official_signs_with_ncalayer(person, language, official: Official, complaints):
    edition = open_page(person)

    def sign(request: dict[str, Any]) -> object:
        signed = official.sign(base64.b64decode(request["args"]["data"]))
        return {"status": True, "body": {"result": [base64.encodebytes(signed).decode()]}}

    nca_layer = NCALayer(person, sign)
    person.submit("[data-nca] button")

    row = Signature.objects.get()
    assert official.verify(edition.manifest(), bytes(row.content))
    said = {"kk": "Қолтаңба сақталды: СЫНАҚОВА СЫНАҚ.", "ru": "Подпись сохранена: СЫНАҚОВА СЫНАҚ."}
    assert said[language] in person.page.locator(".messagelist").inner_text()
    assert person.page.locator(".agreement-signatures a").inner_text() == "manifest.json.cms"
    (request,) = nca_layer.asked
    assert (request["module"], request["method"]) == ("kz.gov.pki.knca.basics", "sign")
    assert base64.b64decode(request["args"].pop("data")) == edition.manifest()
    assert request["args"] == {
        "format": "cms",
        "signingParams": {"decode": "true", "encapsulate": "false", "digested": "false", "tsaProfile": None},
        "signerParams": {"extKeyUsageOids": ["1.3.6.1.5.5.7.3.4"]},
        "locale": language,
    }
    assert complaints == []


@languages
@pytest.mark.parametrize("page", [360, 1280], indirect=True)
def test_the_page_fits_the_window_and_is_readable_by_all(person, language, official: Official):
    edition = open_page(person)
    for is_signed in (False, True):
        if is_signed:
            store(edition, official.sign(edition.manifest()))
            person.page.reload()
        assert person.page.locator(".agreement-signatures").count() == is_signed
        assert overflow(person.page) <= 0
        assert violations(person.page) == []


@languages
@pytest.mark.parametrize("page", [360, 1280], indirect=True)
def test_the_page_of_a_signed_edition_fits_the_window_and_is_readable_by_all(person, language, official: Official):
    edition = Edition.objects.get()
    store(edition, official.sign(edition.manifest()))
    person.page.goto(f"{person.site}/{language}/agreements/terms/editions/1/")
    assert person.page.locator(".agreement-signatures strong").inner_text() == "СЫНАҚОВА СЫНАҚ"
    assert overflow(person.page) <= 0
    assert public_violations(person.page) == []


@russian
def test_an_older_ncalayer_is_asked_in_its_own_way(person, language, official: Official):
    edition = open_page(person)

    def sign(request: dict[str, Any]) -> object:
        if request["module"] != "kz.gov.pki.knca.commonUtils":
            return {"success": False, "errorCode": "MODULE_NOT_FOUND"}
        storage, purpose, manifest, attached = request["args"]
        assert (storage, purpose, attached) == ("PKCS12", "SIGNATURE", False)
        assert request["method"] == "createCMSSignatureFromBase64"
        return {"code": "200", "responseObject": base64.b64encode(official.sign(base64.b64decode(manifest))).decode()}

    NCALayer(person, sign)
    person.submit("[data-nca] button")
    assert official.verify(edition.manifest(), bytes(Signature.objects.get().content))


@russian
@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ([{"status": True, "body": {}}], "Вы отменили подписание. Ничего не сохранено."),
        ([{"status": False, "code": "SIGNING_FAILURE", "message": "Ключ"}], "NCALayer не подписал: Ключ"),
        ([{"status": False, "code": "SIGNING_FAILURE"}], "NCALayer не подписал: SIGNING_FAILURE"),
        ([{"errorCode": "X"}, {"code": "500", "message": "action.canceled"}], "Вы отменили подписание. Ничего"),
        ([{"errorCode": "X"}, {"code": "500", "message": "Ключ"}], "NCALayer не подписал: Ключ"),
        ([{"errorCode": "X"}, {"errorCode": "Y"}], "NCALayer не подписал: Y"),
        ([None], ABSENT),
    ],
    ids=repr,
)
def test_what_ncalayer_does_not_sign_is_said_and_not_posted(person, language, answers, sentence):
    open_page(person)
    rest = iter(answers)
    NCALayer(person, lambda request: next(rest))
    assert status(person).startswith(sentence)
    assert not Signature.objects.exists()
    assert person.page.url.endswith("/sign/")


@russian
def test_the_signature_of_something_else_is_refused(person, language, official: Official):
    open_page(person)
    wrong = base64.b64encode(official.sign(b"{}")).decode()
    NCALayer(person, lambda request: {"status": True, "body": {"result": wrong}})
    person.submit("[data-nca] button")
    assert "Это подпись другого текста, а не манифеста" in person.page.locator(".errornote").inner_text()
    assert not Signature.objects.exists()


@russian
def test_the_browser_may_connect_here_and_nowhere_else(person, language):
    """Nothing listens at the port, and nothing answers in its place: the browser itself decides."""
    edition = open_page(person)
    refusals: list[str] = []
    person.page.on("console", lambda message: refusals.append(message.text) if "Security" in message.text else None)
    assert status(person) == ABSENT
    assert refusals == []

    person.open(f"agreement/edition/{edition.pk}/change/")
    person.page.evaluate("address => { try { new WebSocket(address) } catch {} }", NCA_LAYER)
    person.page.wait_for_timeout(200)
    assert len(refusals) == 1


@russian
def test_without_scripts_the_signature_is_a_file(browser, site, language, official: Official):
    context = browser.new_context(java_script_enabled=False)
    person = Person(context.new_page(), site, language)
    edition = open_page(person)
    assert not person.page.locator("[data-nca]").is_visible()
    with person.page.expect_download() as download:
        person.page.locator("a[href$='?manifest']").click()
    manifest = download.value.path().read_bytes()
    assert manifest == edition.manifest()
    file = {"name": "manifest.json.cms", "mimeType": "application/pkcs7-signature", "buffer": official.sign(manifest)}
    person.page.locator("#id_file").set_input_files(file)
    person.submit("input[type=submit].default")
    assert official.verify(manifest, bytes(Signature.objects.get().content))
    context.close()
