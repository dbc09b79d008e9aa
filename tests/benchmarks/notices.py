"""Writing the audience against the bare statement, and sending against a bare loop, in the same run."""

from __future__ import annotations

import os
import smtplib
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median
from tempfile import NamedTemporaryFile

from django.contrib.auth import get_user_model
from django.core import mail
from django.db import connection
from django.utils import timezone

from agreement.models import Delivery, Notice, Progress, knowledge
from agreement.notices import dispatch
from agreement.notices.letters import letter
from agreement.testing import open_seal
from tests.benchmarks import peer_mail
from tests.benchmarks.__main__ import Result
from tests.support import factories
from tests.support.mail_sink import sink


def audience(count: int) -> None:
    """Make it that many users, a third of whom never came back."""
    users = get_user_model()
    there = users.objects.count()
    now = "CURRENT_TIMESTAMP"
    table = users._meta.db_table
    idle = {
        "sqlite": "strftime('%%Y-%%m-%%d %%H:%%M:%%S', 'now', '-' || (n * 7919 %% 500000) || ' minutes')",
        "postgresql": f"{now} - (n::bigint * 7919 %% 500000) * interval '1 minute'",
    }[connection.vendor]
    series = {
        "sqlite": "WITH RECURSIVE s(n) AS (SELECT %s UNION ALL SELECT n + 1 FROM s WHERE n < %s) SELECT n FROM s",
        "postgresql": "SELECT generate_series(%s, %s) AS n",
    }[connection.vendor]
    false, true = ("FALSE", "TRUE") if connection.vendor == "postgresql" else ("0", "1")
    if there > count:  # Another benchmark had more.
        emptied()
    with connection.cursor() as cursor:
        if there > count:
            cursor.execute(
                f"DELETE FROM {table} WHERE id NOT IN (SELECT id FROM {table} ORDER BY id LIMIT %s)", [count]
            )
        if there < count:
            cursor.execute(
                f"INSERT INTO {table} (password, is_superuser, username, first_name, last_name, email, is_staff,"
                f" is_active, date_joined, last_login) SELECT '', {false}, 'user' || n, '', '',"
                f" 'user' || n || '@example.kz', {false}, {true}, {now}, CASE WHEN n %% 3 = 0 THEN NULL ELSE {idle} END"
                f" FROM ({series}) AS numbers",
                [there + 1, count],
            )
        cursor.execute("ANALYZE")


def emptied() -> None:
    with open_seal(), connection.cursor() as cursor:
        lite = connection.vendor == "sqlite"
        cursor.execute("DELETE FROM agreement_delivery" if lite else "TRUNCATE agreement_bounce, agreement_delivery")
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM agreement_delivery")
    Progress.objects.all().delete()


def bare(notice: Notice) -> float:
    """Seconds of one ``INSERT … SELECT`` that writes the same rows as the fan-out."""
    users = get_user_model()._meta.db_table
    now = Delivery._meta.get_field("due_at").get_db_prep_save(notice.due_at, connection)
    created = Delivery._meta.get_field("due_at").get_db_prep_save(notice.created_at, connection)
    hours = {
        "sqlite": "MAX(0, COALESCE(CAST((julianday(%s) - julianday(last_login)) * 24 AS INTEGER), 1000000))",
        "postgresql": "GREATEST(0, COALESCE(FLOOR(EXTRACT(EPOCH FROM (%s - last_login)) / 3600)::integer, 1000000))",
    }[connection.vendor]
    active = "is_active" if connection.vendor == "postgresql" else "is_active = 1"
    started = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO agreement_delivery (user_id, rank, notice_id, channel, language, outcome, reason, attempts,"
            f" due_at, lease, address_digest) SELECT id, {hours}, %s, 'email', '', 'waiting', '', 0, %s, '', ''"
            f" FROM {users} WHERE {active}",
            [created, notice.pk, now],
        )
    return time.perf_counter() - started


def fan_out(quick: bool) -> Iterator[Result]:
    """``fan_out()`` against one bare ``INSERT … SELECT`` of the same rows; its growth in time and memory."""
    sizes = (1_000, 5_000) if quick else (10_000, 100_000, 1_000_000)
    limit = 1.6 if connection.vendor == "sqlite" else 2.0
    notice = factories.published().notices.get()
    dispatch.compose_texts(notice)
    per_user: dict[int, tuple[float, float]] = {}
    peaks: dict[int, int] = {}
    for size in sizes:
        audience(size)
        ours, theirs = [], []
        for _repeat in range(3 if size <= 100_000 else 2):
            emptied()
            theirs.append(bare(notice))
            emptied()
            with open_seal():
                Notice.objects.filter(pk=notice.pk).update(fanned_out_at=None, fan_out_cursor="")
            notice.refresh_from_db()
            tracemalloc.start()
            started = time.perf_counter()
            assert dispatch.fan_out(notice) == size
            ours.append(time.perf_counter() - started)
            peaks[size] = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        per_user[size] = min(ours) / size, min(theirs) / size
        note = f"{min(ours):.2f} s against {min(theirs):.2f} s"
        yield Result(f"fan_out: {size:,}, ratio", min(ours) / min(theirs), limit if size >= 100_000 else 99, note)
    growth = (peaks[sizes[-1]] - peaks[sizes[-2]]) / 2**20
    yield Result("fan_out: memory growth, MB", growth, 32, f"{sizes[-2]:,} to {sizes[-1]:,} users")
    grown, bare_grown = (per_user[sizes[-1]][which] / per_user[sizes[-2]][which] for which in (0, 1))
    note = f"a user costs {grown:.2f} times as much at {sizes[-1]:,} as at {sizes[-2]:,}, bare {bare_grown:.2f} times"
    yield Result("fan_out: linear, ratio", grown / bare_grown, 1.3, note)


def deliver(quick: bool, *, peers: bool = False) -> Iterator[Result]:
    """The whole path to a mail server against a bare loop that sends prebuilt messages over one connection."""
    count, repeats = (200, 2) if quick else (1_000, 15)
    times: dict[str, list[float]] = {"ours": [], "bare": [], "mass": [], "post_office": []}
    with sink() as server, ExitStack() as stack:
        _mail_to(server.port)
        audience(count)
        messages = _messages(count)
        post_office = stack.enter_context(peer_mail.post_office(server.port, count)) if peers else None
        for _repeat in range(repeats):  # In turns, so that a busy moment of the machine falls on all.
            notice = _written(count)
            times["bare"].append(_bare_loop(server.port, messages))
            times["ours"].append(_delivered(count))
            times["mass"].append(_send_mass_mail(notice, count))
            if post_office:
                times["post_office"].append(post_office())
        assert server.taken() == sum(map(len, times.values())) * count
    speed = {name: count / median(taken) for name, taken in times.items() if taken}
    least = 0.65 if connection.vendor == "sqlite" else 0.5
    note = f"{speed['ours']:,.0f} a second against {speed['bare']:,.0f}: {speed['ours'] / speed['bare']:.2f}×"
    yield Result("deliver: bare loop, ratio", speed["bare"] / speed["ours"], 1 / least, note)
    note = f"send_mass_mail {speed['mass']:,.0f} a second, text alone, nothing recorded"
    yield Result("deliver: send_mass_mail", speed["mass"] / speed["ours"], 1, note)
    if peers:
        note = f"django-post_office {speed['post_office']:,.0f} a second by five threads, recorded by batch"
        yield Result("deliver: django-post_office", speed["post_office"] / speed["ours"], 1, note)
    yield from _workers(messages[0][1], 100 if quick else 2_500, rounds=1 if quick else 3)


#: What the workers must reach of as many bare loops, by their number.
LEAST = {"sqlite": {1: 0.9, 2: 0.9, 4: 0.9}, "postgresql": {1: 0.85, 2: 0.75, 4: 0.75}}


def _workers(message: bytes, each: int, *, rounds: int) -> Iterator[Result]:
    """One, two and four workers against as many bare loops, with a server that takes 5 ms for a message. One worker
    with a server whose replies all come 5 ms late: it does not wait for each of them, as the bare loop does.
    """
    with NamedTemporaryFile() as file:
        file.write(message)
        file.flush()
        runs = [(workers, least, False) for workers, least in LEAST[connection.vendor].items()]
        for workers, least, away in [(1, 1.3, True), *runs]:
            bare, ours, count = [], [], each * workers
            audience(count)
            with sink(milliseconds=5, away=away) as server:
                for _round in range(rounds):
                    loop = [str(server.port), str(each), file.name]
                    bare.append(_race([_process(BARE, *loop) for _number in range(workers)], count))
                    _written(count)
                    ours.append(_race([_process(WORKER, EMAIL_URL=server.url) for _number in range(workers)], count))
            ratio = median(mine / theirs for mine, theirs in zip(ours, bare, strict=True))
            note = f"{count / median(ours):,.0f} a second against {count / median(bare):,.0f}: {1 / ratio:.2f}×"
            name = f"deliver: {workers} worker{'s' * (workers > 1)}, 5 ms{' away' * away}"
            yield Result(name, ratio, 1 / least, note)


WORKER = """
import django, sys
django.setup()
from agreement.notices import dispatch
from django.db import connection
connection.ensure_connection()
print("ready", flush=True)
sys.stdin.readline()
print(dispatch.deliver().sent)
"""
BARE = """
import pathlib, smtplib, sys
port, count, file = sys.argv[1:]
message = pathlib.Path(file).read_bytes()
line = smtplib.SMTP("127.0.0.1", int(port))
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(count)):
    line.sendmail("noreply@portal.example.kz", [f"user{number}@example.kz"], message)
print(count)
"""


def _race(processes: list[subprocess.Popen[str]], count: int) -> float:
    """The seconds that these processes need to send so many messages, from the moment when all are ready."""
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    started = time.perf_counter()
    for process in processes:  # All at once: communicate() waits for one to end before the next begins.
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate()[0] for process in processes]
    took = time.perf_counter() - started
    assert sum(map(int, outputs)) == count, outputs
    return took


def _process(script: str, *arguments: str, **env: str) -> subprocess.Popen[str]:
    name = connection.settings_dict["NAME"]
    server = os.environ["DATABASE_URL"].rpartition("/")[0]
    env["DATABASE_URL"] = f"sqlite:///{name}" if connection.vendor == "sqlite" else f"{server}/{name}"
    env["DJANGO_SETTINGS_MODULE"] = "portal_site.settings"
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.Popen(command, env=os.environ | env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _written(count: int) -> Notice:
    """A notice to everybody, its audience written and nothing else waiting; no letter is the same twice."""
    more = f"\n1.3. {time.time()}.\n"
    notice = factories.published(slug="letters", kk=factories.KK + more, ru=factories.RU + more).notices.get()
    assert dispatch.fan_out(notice) == count
    return notice


def _delivered(count: int) -> float:
    started = time.perf_counter()
    counts = dispatch.deliver()
    took = time.perf_counter() - started
    assert (counts.sent, counts.failed, counts.outage) == (count, 0, ""), counts
    return took


def _messages(count: int) -> list[tuple[str, bytes]]:
    """What the bare loop sends: such a letter, made beforehand."""
    factories.published(slug="letters", kk=factories.KK, ru=factories.RU)
    more = "\n1.3. 0.\n"
    edition = factories.published(slug="letters", kk=factories.KK + more, ru=factories.RU + more)
    Notice.objects.filter(fanned_out_at=None).update(fanned_out_at=timezone.now())
    content = letter(edition.notices.get(), "mul", since=1)
    message = mail.EmailMultiAlternatives(content.subject, content.text, "noreply@portal.example.kz", ["x@example.kz"])
    message.attach_alternative(content.html, "text/html")
    built = message.message().as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return [(f"user{number}@example.kz", built) for number in range(count)]


def _bare_loop(port: int, messages: list[tuple[str, bytes]]) -> float:
    line = smtplib.SMTP("127.0.0.1", port)
    started = time.perf_counter()
    for address, built in messages:
        line.sendmail("noreply@portal.example.kz", [address], built)
    took = time.perf_counter() - started
    line.quit()
    return took


def _send_mass_mail(notice: Notice, count: int) -> float:
    """The seconds of Django's own way, whose messages are plain text and whose outcomes are not recorded."""
    content = letter(notice, "mul", since=knowledge.base_number(notice, knowledge.History.of(notice)))
    addresses = get_user_model().objects.order_by("pk").values_list("email", flat=True)[:count]
    started = time.perf_counter()
    mail.send_mass_mail(
        (content.subject, content.text, "noreply@portal.example.kz", [address]) for address in addresses
    )
    return time.perf_counter() - started


def _mail_to(port: int) -> None:
    from django.conf import settings

    backend = "django.core.mail.backends.smtp.EmailBackend"
    if hasattr(settings, "MAILERS"):
        settings.MAILERS = {"default": {"BACKEND": backend, "OPTIONS": {"host": "127.0.0.1", "port": port}}}
    else:
        settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = backend, "127.0.0.1", port
