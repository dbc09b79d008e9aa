"""What another process records, the gate of a served portal knows within a second: a withdrawal and a cancellation."""

from __future__ import annotations

import http.client
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.support.site import served, site

#: Prints the sessions of two users who have accepted. The first line of its input lets one of them withdraw. The second
#: announces an edition, and the third cancels it. It prints a line after each commit.
OFFICER = """
import sys
from datetime import timedelta
from django.conf import settings
from django.test import Client
from django.utils import timezone
from agreement.models import Acceptance, Agreement, Withdrawal
from tests.support import factories
settings.SECRET_KEY = "served"  # The sessions are valid for the server too.
edition = factories.published()
Agreement.objects.update(acceptance_mode="by_confirmation")
leaving, staying = users = factories.users(2)
for user in users:
    Acceptance.objects.record(user=user, edition=edition, digest=edition.digest, language="ru", kind="explicit")
    client = Client(headers={"host": "localhost"})
    client.force_login(user)
    print(client.cookies["sessionid"].value, flush=True)
sys.stdin.readline()
today = timezone.localdate()
Withdrawal.objects.register(agreement=edition.agreement, user=leaving, outcome="ended", received_on=today)
print("withdrawn", flush=True)
sys.stdin.readline()
announced = factories.published(effective_from=timezone.now() + timedelta(seconds=4))
print(announced.effective_from.isoformat(), flush=True)
sys.stdin.readline()
announced.cancel()
print("cancelled", flush=True)
"""


def test_a_withdrawal_and_a_cancellation_in_another_process_are_known_within_a_second(tmp_path: Path):
    with site(tmp_path) as portal, served(portal, tmp_path / "log") as port:
        officer = portal.start("shell", "-v0", "-c", OFFICER)

        def read() -> str:
            line = officer.stdout.readline()
            assert line, officer.communicate()
            return line.strip()

        def answer(session: str) -> tuple[int, str]:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request("GET", "/ru/", headers={"Cookie": f"sessionid={session}", "Accept": "text/html"})
            response = connection.getresponse()
            response.read()
            connection.close()
            return response.status, response.headers.get("Location", "")

        leaving, staying = read(), read()
        assert {answer(session) for session in (leaving, staying)} == {(200, "")}

        go_on(officer)
        assert read() == "withdrawn"
        late = time.monotonic() + 1
        while (found := answer(leaving))[0] == 200:
            assert time.monotonic() < late + 0.5, "the user who withdrew still goes on"
        assert (found[0], found[1].partition("?")[0]) == (302, "/ru/agreements/withdraw/")
        assert answer(staying) == (200, "")

        go_on(officer)
        moment = datetime.fromisoformat(read())
        time.sleep(max(0, (moment - datetime.now(UTC)).total_seconds() - 0.9))
        assert answer(staying) == (200, "")  # The process knows the dates of this moment, for a second.
        go_on(officer)
        assert read() == "cancelled"
        assert datetime.now(UTC) < moment, "the machine is too slow for this test: the moment has passed"
        while datetime.now(UTC) < moment + timedelta(seconds=0.3):
            assert answer(staying) == (200, ""), "the cancelled edition is asked about"
        officer.communicate(timeout=30)


def go_on(process: subprocess.Popen[str]) -> None:
    process.stdin.write("\n")
    process.stdin.flush()
