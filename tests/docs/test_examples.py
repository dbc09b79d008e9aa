"""The Python code in the documents runs: its imports exist, and the channel of the guide sends to a real gateway."""

from __future__ import annotations

import ast
import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import import_module
from types import ModuleType

import pytest

from agreement.models import Delivery
from agreement.notices import dispatch
from tests.docs.test_documents import DOCUMENTS, code_blocks, read
from tests.support import factories

WITH_CODE = sorted(path.name for path in DOCUMENTS.glob("*.md") if "```python" in path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", WITH_CODE)
def test_every_name_that_an_example_imports_from_the_app_exists(name):
    for code in code_blocks(read(name), "python"):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "agreement":
                module = import_module(node.module)
                for imported in node.names:
                    assert hasattr(module, imported.name) or import_module(f"{node.module}.{imported.name}")


class Gateway(BaseHTTPRequestHandler):
    """Answers 200, or the status that the last three digits of the number name, and keeps what it accepted."""

    taken: list[dict[str, str]] = []

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status = {"404": 404, "429": 429}.get(message["to"][-3:], 200)
        if status == 200:
            self.taken.append(message)
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


@pytest.mark.django_db
def test_the_channel_of_the_guide_sends_and_classifies_what_a_gateway_answers(gateway, settings, monkeypatch):
    code = next(code for code in code_blocks(read("notices.md"), "python") if "class SmsChannel" in code)
    module = ModuleType("guide_channels")
    exec(code.replace('F("phone")', 'F("last_name")'), module.__dict__)  # noqa: S102 - the code of the guide
    monkeypatch.setitem(sys.modules, "guide_channels", module)
    settings.SMS_GATEWAY = gateway
    settings.AGREEMENT = {**settings.AGREEMENT, "CHANNELS": ("guide_channels.SmsChannel",)}
    for user, number in zip(factories.users(4), ("+77000000200", "+77000000404", "+77000000429", "200"), strict=True):
        type(user).objects.filter(pk=user.pk).update(last_name=number)
    edition = factories.published()

    dispatch.work()

    found = Delivery.objects.order_by("user").values_list("outcome", "reason")
    assert list(found) == [
        ("sent", ""),
        ("failed", "SMS 404"),
        ("waiting", "SMS 429"),
        ("skipped", "no telephone number"),
    ]
    (message,) = Gateway.taken
    assert message["text"].endswith(f"/agreements/{edition.agreement.slug}/editions/1/")
