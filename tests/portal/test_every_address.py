"""What must be true of every address of the URL configuration, whatever page it gives."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import LazySettings, settings
from django.contrib.messages import INFO
from django.contrib.messages.storage.base import Message
from django.contrib.messages.storage.cookie import CookieStorage
from django.core import mail
from django.http import HttpRequest
from django.test import RequestFactory

from agreement import memory
from agreement.models import Edition, Notice
from agreement.models.errors import TEXT_FIELDS
from agreement.notices import dispatch
from agreement.notices.letters import letter
from agreement.testing import open_seal
from tests.portal.test_authorization import CONSENTS, RULES
from tests.portal.world import NOBODY, ROOT, USER, Address, World
from tests.support.signed_logs import SECRET

#: How long a cache may store what these addresses give: sealed bytes for ever, and what the log grows by for seconds.
#: It asks again each time about every other page.
IMMUTABLE = dict.fromkeys(
    ("markdown", "text", "manifest", "edition_proof", "signature", "log_tile"), "public, max-age=31536000, immutable"
)
STORED = IMMUTABLE | dict.fromkeys(("checkpoint", "log_key", "log_key_pem"), "public, max-age=5")
#: A word that is only in the columns without a language.
FORGED = "forged-by-nobody"


@pytest.fixture
def world(transactional_db: None, settings: LazySettings, tmp_path: Any) -> World:
    own = {"PRIVATE_ROOT": str(tmp_path), "CONSENTS": CONSENTS, "FILE_WITHDRAWALS": "ended", "ENQUEUE": None}
    settings.AGREEMENT = {**settings.AGREEMENT, **own, "LOG_KEY": SECRET}
    return World()


def public(world: World) -> Iterator[Address]:
    for address in world.addresses():
        rule = RULES[address.name]
        if rule.kind == "public" and (not address.row or address.row in rule.states):
            yield address


def test_every_public_page_is_the_same_for_a_visitor_and_for_a_user_with_a_message(world: World):
    """Each page is rendered anew, so that no reader gets the page of another from the memory of the process."""
    cookie = CookieStorage(HttpRequest())._encode([Message(INFO, "For one reader alone")])
    wrong, seen = [], 0
    for address in public(world):
        answers = []
        for person in (NOBODY, USER):
            memory.clear()
            request = RequestFactory().get(address.path)
            if person == USER:
                request.COOKIES["messages"] = cookie
                request.META["HTTP_COOKIE"] = (
                    f"{settings.SESSION_COOKIE_NAME}={world.sessions[USER]}; messages={cookie}"
                )
            response = world.handler(request.environ)
            answers.append(b"".join(response) if response.streaming else response.content)
            wrong += [f"{person}: {address}: {fault}" for fault in personal(response)]
            stored = STORED.get(address.name.removeprefix("agreement:"), "public, no-cache")
            if response.status_code == 200 and response.headers.get("Cache-Control") != stored:
                wrong.append(f"{person}: {address}: {response.headers.get('Cache-Control')}, and not {stored}")
        if answers[0] != answers[1]:
            wrong.append(f"{address}: it differs")
        if b"csrfmiddlewaretoken" in answers[0]:
            wrong.append(f"{address}: it has a form with a token")
        seen += 1
    assert not wrong, "\n".join(wrong)
    assert seen > 60


def personal(response: Any) -> Iterator[str]:
    """Yield what makes the response personal: what a cache in front of the site must not store for all."""
    if response.cookies:
        yield f"it sets {list(response.cookies)}"
    if "cookie" in response.headers.get("Vary", "").lower():
        yield "it varies on the cookie"


def contained(content: bytes) -> str:
    """The words of a response; those of the parts of a file that is a ZIP archive."""
    if content.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return "\n".join(contained(archive.read(name)) for name in archive.namelist())
    return content.decode("utf-8", errors="replace")


def test_no_page_file_or_letter_reads_the_columns_without_a_language(world: World):
    """They copy the Kazakh text for the translation package alone. Here they contain another text."""
    with open_seal():
        Edition.objects.with_real_columns().update(**dict.fromkeys(TEXT_FIELDS, f"# {FORGED}\n\n1.1. {FORGED}."))
    assert {one.__dict__["body"] for one in Edition.objects.all()} == {f"# {FORGED}\n\n1.1. {FORGED}."}

    found, words = [], []
    for address in world.addresses():
        memory.clear()
        answer = world.request(ROOT, "GET", address, None, undo=True)
        text = contained(answer.content)
        found += [str(address)] if FORGED in text else []
        words += [address.name] if "Бірінші тармақ" in text else []
    dispatch.work()
    letters = [message.body for message in mail.outbox]
    letters += [letter(notice, "mul", since=1).html for notice in Notice.objects.all()]

    assert found == []
    assert len(set(words)) > 10, "the texts were not displayed at all"
    assert letters
    assert [text for text in letters if FORGED in text] == []
