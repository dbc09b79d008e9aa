"""Processes that are killed, cut off from their database or their broker, and many at once: nobody is lost, and
a user who is notified twice gets the same message.

With ``AGREEMENT_TEST_FULL=1`` each has 5,000 recipients, and there are 50 kills; ``-s`` prints the figures.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.support import moved_clock, rabbitmq, redis, smtp_server
from tests.support.scale import FULL
from tests.support.site import ROOT, Site, make_users, publish_to, site

LEDGER = """
import json
from agreement.models import Delivery, Progress
from django.db.models import Count
outcomes = dict(Delivery.objects.values_list("outcome").annotate(Count("pk")))
print(json.dumps({"outcomes": outcomes, "progress": Progress.objects.total()}))
"""
HOUR = 3600
NUDGE = """
from django.utils.module_loading import import_string
from agreement import conf
import_string(conf.get().ENQUEUE)()
"""
#: The notice is due in two minutes. How many seconds later the next task is enqueued.
LATER = """
from datetime import timedelta
from django.utils import timezone
from agreement.models import Notice
Notice.objects.update(due_at=timezone.now() + timedelta(seconds=120))
"""
DEFERRED_FOR = """
import time
from django.utils import timezone
from agreement import tasks
print((tasks._work(time.monotonic(), wait=False) - timezone.now()).total_seconds())
"""
#: ``deliver_notices --once`` with leases of so many seconds: whoever waits for a dead worker's waits as long.
DELIVER = """
import sys
from datetime import timedelta
from django.core.management import call_command
from agreement.models import deliveries
modules = [module for module in sys.modules.values() if getattr(module, "LEASE", None) is deliveries.LEASE]
for module in modules:
    module.LEASE = timedelta(seconds={lease})
call_command("deliver_notices", "--once")
"""
# Two workers on one machine need names of their own.
CELERY = ("-m", "celery", "-A", "portal_site", "worker", "--pool=solo", "--loglevel=INFO")


def adds_up(portal: Site, *mailboxes: smtp_server.Mailbox, count: int, repeats: int, what: str) -> None:
    """Every user is in the ledger as sent, got a message, and only so many got one twice, the same one."""
    messages = [message for mailbox in mailboxes for message in mailbox.messages]
    identities = {(str(message["To"]), str(message["Message-ID"])) for message in messages}
    recipients = Counter(str(message["To"]) for message in messages)
    ledger = json.loads(portal.python(LEDGER))
    sent, failed, skipped = (ledger["progress"][name] for name in ("sent", "failed", "skipped"))
    print(
        f"\n{what}: {count} recipients; sent {sent}, failed {failed}, skipped {skipped},"
        f" lost {count - len(recipients)}, repeats {len(messages) - len(recipients)}"
    )
    assert ledger == {
        "outcomes": {"sent": count},
        "progress": {"waiting": 0, "sent": count, "failed": 0, "skipped": 0},
    }
    assert len(recipients) == count
    assert len(messages) - count <= repeats
    assert len(identities) == count, "a repeat must carry the Message-ID of the first"


@dataclass
class Supervised:
    """A command that is started again whenever it ends, as systemd would."""

    made: Site
    log: Path
    command: tuple[str, ...]
    starts: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)
    process: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        env = self.made.env | {"DJANGO_SETTINGS_MODULE": "portal_site.settings", "PGAPPNAME": "worker"}
        with self.log.open("a") as out:
            while not self.stopped.is_set():
                command = [sys.executable, *self.command]
                self.process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=out, stderr=out)
                self.starts += 1
                self.process.wait()
                self.stopped.wait(0.5)

    def stop(self, thread: threading.Thread) -> None:
        self.stopped.set()
        until = time.monotonic() + 40
        while thread.is_alive():
            if self.process and self.process.poll() is None:
                (self.process.terminate if time.monotonic() < until else self.process.kill)()
            thread.join(1)


@contextmanager
def supervised(made: Site, log: Path, *command: str) -> Iterator[Supervised]:
    it = Supervised(made, log, command)
    thread = threading.Thread(target=it.run)
    thread.start()
    try:
        yield it
    finally:
        it.stop(thread)


def until(condition: Callable[[], Any], *, seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        threading.Event().wait(0.2)


def asked(url: str, sql: str) -> int:
    """The number that query gives, on PostgreSQL."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(sql).fetchone()
        assert row
        return int(row[0])


def finished(portal: Site) -> int:
    return asked(portal.database_url, "SELECT count(*) FROM agreement_delivery WHERE outcome <> 'waiting'")


def test_killed_at_random_moments_it_loses_nobody_and_repeats_one_message_a_kill_at_most(tmp_path):
    kills, count, lease = (50, 5_000, 30) if FULL else (2, 80, 3)
    deliver = ("shell", "-v0", "-c", DELIVER.format(lease=lease))
    mailbox, chance = smtp_server.Mailbox(), random.Random(2026)  # noqa: S311 - the seed repeats the test
    share = count // (2 * kills)
    #: What the running process is killed by: after so many messages, at once or so many seconds later.
    aim: list[tuple[int, float, subprocess.Popen[str]]] = []

    def kill(taken: int) -> None:
        if aim and taken >= aim[0][0]:
            _at, later, process = aim.pop()
            if later:
                threading.Timer(later, process.kill).start()
            else:  # The server has taken a message the worker has not heard of: the worst moment there is.
                process.kill()

    mailbox.on_data = kill
    with smtp_server.server(mailbox), site(tmp_path, email_url=mailbox.url) as portal:
        portal.python(publish_to(count))
        for number in range(kills):
            process = portal.start(*deliver)
            after = len(mailbox.messages) + chance.randrange(1, share)
            if number % 3 == 0:
                aim[:] = [(after, 0, process)]
            elif number % 3 == 1:
                aim[:] = [(after, chance.uniform(0.001, 0.05), process)]
            else:  # Before it sends anything, or when it has just begun.
                threading.Timer(chance.uniform(0.2, 2), process.kill).start()
            process.communicate(timeout=180)
            assert process.returncode == -signal.SIGKILL
        mailbox.on_data = None
        portal.run(*deliver)
        adds_up(portal, mailbox, count=count, repeats=kills, what=f"{kills} kills")


@pytest.mark.postgresql
@pytest.mark.parametrize("engine", ["watch", "db_worker", pytest.param("celery", marks=pytest.mark.rabbitmq)])
def test_cut_off_from_the_database_a_worker_goes_on_or_is_started_again(tmp_path, engine):
    cuts, count = (12, 5_000) if FULL else (4, 250)
    mailbox, chance = smtp_server.Mailbox(), random.Random(2026)  # noqa: S311 - the seed repeats the test
    moments = sorted(chance.sample(range(1, count - count // 10), cuts))
    done: list[int] = []

    def cut() -> None:
        ends = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        found = asked(portal.database_url, f"{ends} WHERE application_name = 'worker' AND datname = current_database()")
        done.append(found)

    def on_data(taken: int) -> None:
        if moments and taken >= moments[0]:
            moments.pop(0)
            if len(moments) % 2:
                cut()  # When it hears that its message is taken, it has nowhere to write that down.
            else:
                threading.Timer(chance.uniform(0.001, 0.05), cut).start()

    mailbox.on_data = on_data
    command = {
        "watch": ("manage.py", "deliver_notices", "--watch"),
        "db_worker": ("manage.py", "db_worker", "--no-startup-delay", "--no-reload"),
        "celery": CELERY,
    }[engine]
    broker_url = os.environ["AGREEMENT_TEST_RABBITMQ"] if engine == "celery" else ""
    with smtp_server.server(mailbox), site(tmp_path, email_url=mailbox.url) as portal:
        portal = replace(portal, broker_url=broker_url)
        portal.python(publish_to(count))
        with supervised(portal, tmp_path / "log", *command) as worker:

            def all_notified() -> bool:
                if engine != "watch" and finished(portal) < count:
                    portal.python(NUDGE)  # A task that could not hand on nudges nobody.
                return finished(portal) == count

            until(all_notified, seconds=600, what="not all are notified")
        portal.run("deliver_notices", "--once")  # Counts the outcomes that were not counted yet.
        assert len(done) == cuts
        assert all(done), "there was nothing to cut"
        what = f"{cuts} cuts of the database, {engine} started {worker.starts} times"
        adds_up(portal, mailbox, count=count, repeats=cuts, what=what)


@pytest.mark.postgresql
@pytest.mark.parametrize(
    "broker",
    [
        pytest.param("rabbitmq", marks=pytest.mark.rabbitmq),
        pytest.param("redis", marks=pytest.mark.skipif(not redis.SERVER, reason="needs redis-server")),
    ],
)
def test_killed_celery_workers_lose_nobody(tmp_path, broker):
    kills, count = (20, 5_000) if FULL else (2, 120)
    mailbox = smtp_server.Mailbox(delay=0.005)
    moments = [count * number // (kills + 1) for number in range(1, kills + 1)]

    def kill(taken: int) -> None:
        if moments and taken >= moments[0]:
            moments.pop(0)
            for worker in workers:
                if worker.process:
                    worker.process.kill()

    mailbox.on_data = kill
    with smtp_server.server(mailbox), site(tmp_path, email_url=mailbox.url) as portal, ExitStack() as stack:
        url = os.environ["AGREEMENT_TEST_RABBITMQ"] if broker == "rabbitmq" else ""
        portal = replace(portal, broker_url=url or stack.enter_context(redis.broker(tmp_path / "redis")))
        portal.python(publish_to(count))
        logs = [tmp_path / f"log{number}" for number in range(2)]
        workers = [stack.enter_context(supervised(portal, log, *CELERY, f"--hostname={log.name}")) for log in logs]

        def all_notified() -> bool:
            # RabbitMQ executes the task of a killed worker again at once, and Redis after an hour.
            if broker == "redis" and finished(portal) < count:
                portal.python(NUDGE)
            return finished(portal) == count

        until(all_notified, seconds=120 + 40 * kills, what="not all are notified")
        stack.close()
        portal.run("deliver_notices", "--once")  # Counts the outcomes that were not counted yet.
        assert not moments
        what = f"{kills} kills of two Celery workers, {broker}"
        adds_up(portal, mailbox, count=count, repeats=2 * kills, what=what)


@pytest.mark.postgresql
@pytest.mark.rabbitmq
@pytest.mark.skipif(not rabbitmq.SERVER, reason="needs rabbitmq-server, to stop and start a node of its own")
def test_without_its_broker_publishing_goes_on_and_the_sweep_finds_the_rest(tmp_path):
    count = 2_500 if FULL else 250  # Two notices to each.
    mailbox = smtp_server.Mailbox(delay=0.005)
    with smtp_server.server(mailbox), site(tmp_path, email_url=mailbox.url) as portal, ExitStack() as stack:
        node = stack.enter_context(rabbitmq.broker(tmp_path / "broker"))
        portal = replace(portal, broker_url=node.url)
        portal.python(make_users(count))
        logs = [tmp_path / f"log{number}" for number in range(2)]
        workers = [stack.enter_context(supervised(portal, log, *CELERY, f"--hostname={log.name}")) for log in logs]
        until(lambda: all("ready" in log.read_text() for log in logs if log.exists()), seconds=60, what="no worker")
        portal.run("publish_edition", portal.draft(tmp_path))
        until(lambda: len(mailbox.messages) > count // 4, seconds=60, what="nothing is sent")

        node.stop()
        begun = time.monotonic()
        second = portal.run("import_edition", *_files(tmp_path), "--agreement=second", "--create").split()[1]
        assert "Published edition 1" in portal.run("publish_edition", second)
        took = time.monotonic() - begun
        assert took < 60, "a publisher waits for no broker"
        node.start()
        mailbox.delay = 0
        # A task that was under way could not hand on to the next, and the second notice was never in the broker.
        portal.run("deliver_notices", "--once")
        until(lambda: finished(portal) == 2 * count, seconds=120, what="the sweep left something")
        portal.python(NUDGE)
        for worker in workers:
            assert worker.starts == 1, worker.log.read_text()
        recipients = Counter(str(message["Message-ID"]) for message in mailbox.messages)
        ledger = json.loads(portal.python(LEDGER))
    print(
        f"\nbroker away: {2 * count} deliveries; {ledger['progress']},"
        f" repeats {sum(recipients.values()) - len(recipients)}"
    )
    assert ledger["outcomes"] == {"sent": 2 * count}
    assert ledger["progress"] == {"waiting": 0, "sent": 2 * count, "failed": 0, "skipped": 0}
    assert len(mailbox.messages) == len(recipients) == 2 * count


def _files(folder: Path) -> tuple[str, ...]:
    return ("--kk", str(folder / "kk.md"), "--ru", str(folder / "ru.md"))


@pytest.mark.postgresql
@pytest.mark.rabbitmq
def test_workers_of_every_kind_at_once_tell_each_user_once(tmp_path):
    count = 5_000 if FULL else 1_000
    watch = ("manage.py", "deliver_notices", "--watch")
    kinds = [watch, watch, ("manage.py", "db_worker", "--no-startup-delay", "--no-reload"), CELERY, CELERY]
    # Each sends to a mail server of its own, so that it is known who sent what; slowly, so that all get to it.
    mailboxes = [smtp_server.Mailbox(delay=0.02) for _worker in kinds]
    with site(tmp_path) as portal, ExitStack() as stack:
        for mailbox in mailboxes:
            stack.enter_context(smtp_server.server(mailbox))
        celery = replace(portal, broker_url=os.environ["AGREEMENT_TEST_RABBITMQ"])
        portal.python(make_users(count))
        logs = []
        for number, (kind, mailbox) in enumerate(zip(kinds, mailboxes, strict=True)):
            made = replace(celery if kind is CELERY else portal, email_url=mailbox.url)
            logs.append(tmp_path / f"log{number}")
            name = (f"--hostname={logs[-1].name}",) if kind is CELERY else ()
            stack.enter_context(supervised(made, logs[-1], *kind, *name))
        until(lambda: all(log.exists() and "ready" in log.read_text() for log in logs[3:]), seconds=60, what="celery")
        portal.run("publish_edition", portal.draft(tmp_path))
        celery.python("from agreement import tasks\nfor _task in range(10): tasks.enqueue_celery()")
        portal.python(NUDGE)
        until(lambda: finished(portal) == count, seconds=300, what="not all are notified")
        stack.close()
        portal.run("deliver_notices", "--once")
        each = [len(mailbox.messages) for mailbox in mailboxes]
        what = f"two deliver_notices, one db_worker and two Celery workers at once, {each} messages"
        adds_up(portal, *mailboxes, count=count, repeats=0, what=what)
        assert all(each), each


@pytest.mark.postgresql
@pytest.mark.skipif(not moved_clock.AVAILABLE, reason="needs a C compiler")
def test_workers_whose_clocks_differ_by_minutes_notify_each_user_once(tmp_path):
    """The leases are judged by the clock of the database alone: nobody is killed, so no message is repeated."""
    count = 2_000 if FULL else 400
    # The last worker is the slowest: the others find its deliveries leased when nothing else is left.
    mailboxes = {ahead: smtp_server.Mailbox(delay=delay) for ahead, delay in ((90, 0.002), (-90, 0.005), (0, 0.02))}
    with site(tmp_path) as portal, ExitStack() as stack:
        portal.python(publish_to(count))
        workers = []
        for ahead, mailbox in mailboxes.items():
            clock = moved_clock.MovedClock(tmp_path / f"clock{ahead}")
            clock.put(ahead)
            stack.enter_context(smtp_server.server(mailbox))
            made = replace(portal, email_url=mailbox.url, environment=clock.env)
            workers.append(made.start("deliver_notices", "--once"))
        for worker in workers:
            out, err = worker.communicate(timeout=300)
            assert worker.returncode == 0, out + err
        each = [len(mailbox.messages) for mailbox in mailboxes.values()]
        what = f"workers 90 s ahead, 90 s behind and on time, {each} messages"
        adds_up(portal, *mailboxes.values(), count=count, repeats=0, what=what)
        assert all(each), each


@pytest.mark.postgresql
@pytest.mark.skipif(not moved_clock.AVAILABLE, reason="needs a C compiler")
@pytest.mark.parametrize("ahead", [90, -90])
def test_a_task_on_a_machine_with_a_wrong_clock_is_deferred_for_as_long_as_the_database_says(tmp_path, ahead):
    clock = moved_clock.MovedClock(tmp_path / "clock")
    clock.put(ahead)
    with site(tmp_path) as portal:
        portal.python(publish_to(1) + LATER)
        pause = float(replace(portal, environment=clock.env).python(DEFERRED_FOR))
    assert 60 < pause < 120


@pytest.mark.skipif(not FULL or not moved_clock.AVAILABLE, reason="needs AGREEMENT_TEST_FULL and a C compiler")
def test_a_clock_that_is_put_back_an_hour_twice_delays_by_a_lease_at_most(tmp_path):
    count, clock = 5_000, moved_clock.MovedClock(tmp_path / "clock")

    def on_data(taken: int) -> None:
        if taken == count // 4:  # Under a worker that lives.
            clock.put(2 * HOUR)
        if taken == count // 2:  # The leases of the dead are written by the clock as it was.
            process.kill()
            clock.put(HOUR)

    mailbox = smtp_server.Mailbox(on_data=on_data)
    clock.put(0)
    with smtp_server.server(mailbox), site(tmp_path, email_url=mailbox.url) as portal:
        portal = replace(portal, environment=clock.env)
        portal.python(publish_to(count))
        clock.put(3 * HOUR)
        process = portal.start("deliver_notices", "--once")
        process.communicate(timeout=180)
        assert process.returncode == -signal.SIGKILL
        begun = time.monotonic()
        portal.run("deliver_notices", "--once")
        what = f"a clock put back twice by an hour, the rest took {time.monotonic() - begun:.0f} s"
        adds_up(portal, mailbox, count=count, repeats=1, what=what)
