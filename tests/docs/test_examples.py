"""The Python code in the documents runs: its imports exist, and the channel of the guide sends to a real gateway."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import import_module
from types import ModuleType
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings

from agreement.models import Delivery, Notice
from agreement.notices import dispatch
from tests.docs.test_documents import DOCUMENTS, code_blocks, read
from tests.docs.test_reference import table
from tests.support import factories
from tests.support.signed_logs import fill, sign_with

WITH_CODE = sorted(path.name for path in DOCUMENTS.glob("*.md") if "```python" in path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", WITH_CODE)
def test_every_name_that_an_example_imports_from_the_app_exists(name):
    if name == "wagtail.md":
        pytest.importorskip("wagtail", reason="needs Wagtail; tests/system/test_wagtail_site.py imports the same names")
    for code in code_blocks(read(name), "python"):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "agreement":
                module = import_module(node.module)
                for imported in node.names:
                    assert hasattr(module, imported.name) or import_module(f"{node.module}.{imported.name}")


@pytest.mark.parametrize("name", ["install.md", "operate.md"])
def test_the_task_engine_of_a_site_is_that_of_the_portal(name):
    document = read(name)
    (tasks,) = re.findall(r"^ *TASKS = (.*)$", document, re.MULTILINE)
    (installed,) = re.findall(r"^ *INSTALLED_APPS \+= (.*)$", document, re.MULTILINE)
    assert ast.literal_eval(tasks) == settings.TASKS
    assert set(ast.literal_eval(installed)) <= set(settings.INSTALLED_APPS)


class Gateway(BaseHTTPRequestHandler):
    """Answers 200, or the status that the last three digits of the number name, and stores what it accepted. With 000
    it closes the connection without an answer.
    """

    taken: list[dict[str, str]] = []

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status = int(message["to"][-3:])
        if status == 200:
            self.taken.append(message)
        if status:
            self.send_response(status)
            self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Print nothing."""


@pytest.fixture
def gateway() -> Iterator[str]:
    Gateway.taken.clear()
    server = HTTPServer(("127.0.0.1", 0), Gateway)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/send"
    server.shutdown()
    server.server_close()


@pytest.fixture
def sms(gateway, settings, monkeypatch) -> ModuleType:
    """The channel of the guide, word for word."""
    code = next(code for code in code_blocks(read("notices.md"), "python") if "class SmsChannel" in code)
    module = ModuleType("guide_channels")
    exec(code, module.__dict__)  # noqa: S102 - the code of the guide
    monkeypatch.setitem(sys.modules, "guide_channels", module)
    settings.SMS_GATEWAY = gateway
    settings.AGREEMENT = {
        **settings.AGREEMENT,
        "BASE_URL": "https://portal.example.kz",
        "CHANNELS": ("guide_channels.SmsChannel",),
        "USER_PHONE": "last_name",
    }
    return module


@pytest.mark.django_db
def test_the_channel_of_the_guide_sends_and_classifies_what_a_gateway_answers(sms):
    rows = [row for row in table(read("notices.md"), "user") if row[0].startswith("u")]
    digits = {"answered 200": "200", "answered 404": "404", "answered 429": "429", "was not asked": "12"}
    for user, row in zip(factories.users(len(rows)), rows, strict=True):
        phone = f"8 (700) 000-0{digits.get(row[5], '000')}"
        type(user).objects.filter(pk=user.pk).update(last_name=phone)
    edition = factories.published()

    dispatch.work()

    found = Delivery.objects.order_by("user").values_list("language", "outcome", "reason", "attempts")
    expected = [(row[1][:2], row[2], row[3].strip("`"), int(row[4])) for row in rows]
    assert list(found) == expected
    assert {message["to"] for message in Gateway.taken} == {"+77000000200"}
    assert len({message["id"] for message in Gateway.taken}) == 3
    address = "https://portal.example.kz/{}/agreements/terms/editions/1/"
    date = edition.effective_from.astimezone(ZoneInfo(edition.agreement.time_zone)).strftime("%d.%m.%Y")
    assert [message["text"] for message in Gateway.taken][:2] == [
        f"Пайдаланушы келісімі: {date} күнінен бастап жаңа редакция. {address.format('kk')}",
        f"Пользовательское соглашение: новая редакция с {date}. {address.format('ru')}",
    ]


@pytest.mark.django_db
def test_the_channel_of_the_guide_fits_each_kind_of_notice_into_two_messages(sms):
    edition = factories.published(slug="rules-of-the-portal")
    for kind in ("published", "reminder", "cancelled"):
        for language in ("kk", "ru"):
            notice = Notice(edition=edition, kind=kind)
            edition.title_kk = edition.title_ru = "Ә" * 200
            text = sms.SmsChannel().compose(notice, language, since=0).text
            assert len(text.encode("utf-16-be")) == 2 * sms.TWO_MESSAGES
            assert text.endswith(f"/{language}/agreements/rules-of-the-portal/editions/1/")


@pytest.mark.django_db
@pytest.mark.parametrize("status", ["401", "500"])
def test_the_channel_of_the_guide_blames_no_user_for_the_gateway(sms, settings, status):
    (user,) = factories.users(1)
    type(user).objects.update(last_name=f"+77000000{status}")
    factories.published()
    assert dispatch.work().outage == f"SMS {status}"
    assert Delivery.objects.get().attempts == 0
    settings.AGREEMENT = {**settings.AGREEMENT, "USER_PHONE": ""}
    assert sms.SmsChannel().faults() == ["USER_PHONE is empty."]


# log.md


@pytest.mark.django_db
def test_the_program_of_the_log_leads_from_a_manifest_to_the_signed_root_and_from_no_other(settings, client, tmp_path):
    sign_with(settings)
    editions = [factories.published() for _number in range(5)]
    fill(editions[0], 300)
    editions.append(factories.published())
    (code,) = code_blocks(read("log.md"), "python")
    (tmp_path / "check.py").write_text(code, encoding="utf-8")
    for edition in editions:
        here = f"/kk/agreements/terms/editions/{edition.number}/manifest.json"
        (tmp_path / "manifest.json").write_bytes(client.get(here).content)
        (tmp_path / "proof").write_bytes(client.get(f"{here}.tlog-proof").content)
        command = [sys.executable, "check.py", "manifest.json", "proof"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stdout == "in the log\n"
        changed = client.get(here).content.replace(b'"number":', b'"number": ')
        (tmp_path / "manifest.json").write_bytes(changed)
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stdout == "NOT in the log\n"


@pytest.mark.django_db
def test_the_commands_of_the_log_verify_the_signature_of_a_checkpoint(settings, client, tmp_path):
    sign_with(settings)
    factories.published()
    for name in ("checkpoint", "key.pem"):
        (tmp_path / name).write_bytes(client.get(f"/kk/agreements/terms/log/{name}").content)
    (commands, *_others) = code_blocks(read("log.md"), "console")
    lines = [line.removeprefix("$ ") for line in commands.splitlines() if line.startswith("$ ") and "site" not in line]
    done = subprocess.run(["sh", "-ec", "\n".join(lines)], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert len(lines) == 3
    assert done.stdout == "Signature Verified Successfully\n"
