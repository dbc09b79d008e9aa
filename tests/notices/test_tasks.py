"""The task engines: every engine works the ledger off, and an unavailable broker never fails a publication."""

from __future__ import annotations

import inspect
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError
from django.utils import timezone

from agreement import tasks
from agreement.models import ChannelState, Delivery, Edition, Notice
from agreement.notices.channels import EmailChannel, Unavailable
from agreement.notices.worker import DeliveryCounts
from tests.support import factories, redis, smtp_server
from tests.support.site import ROOT, make_users, publish_to, site


def use_immediate(settings: Any) -> None:
    package = tasks.task.__module__.rpartition(".")[0]  # django.tasks, or its backport
    settings.TASKS = {"default": {"BACKEND": f"{package}.backends.immediate.ImmediateBackend"}}


@pytest.fixture
def celery_app(settings: Any) -> Iterator[Any]:
    """The Celery app of a site, whose broker is in this process."""
    celery = pytest.importorskip("celery", reason="needs Celery")
    before = celery.current_app._get_current_object()
    app = celery.Celery("site", broker="memory://", set_as_current=True)
    settings.AGREEMENT = {**settings.AGREEMENT, "ENQUEUE": "agreement.tasks.enqueue_celery"}
    app.set_default()
    yield app
    before.set_current()
    before.set_default()


@pytest.fixture(params=["django_tasks", "celery"])
def immediate(request: pytest.FixtureRequest, settings: Any) -> tasks.Engine:
    """Each of the engines, with what executes a task inside the call that enqueues it."""
    if request.param == "django_tasks":
        use_immediate(settings)
        return tasks.django_tasks_engine
    request.getfixturevalue("celery_app").conf.update(task_always_eager=True, task_eager_propagates=True)
    return tasks.celery_engine


@pytest.mark.django_db
def test_publishing_enqueues_on_commit_and_not_before(immediate, django_capture_on_commit_callbacks):
    factories.users(2)
    with django_capture_on_commit_callbacks(execute=True):
        factories.published()
        assert not Delivery.objects.exists()
    assert set(Delivery.objects.values_list("outcome", flat=True)) == {"sent"}


@pytest.mark.django_db
def test_what_a_slice_leaves_is_enqueued_again(immediate, monkeypatch):
    factories.users(3)
    factories.published()
    calls: list[int] = []
    work = tasks.dispatch.work

    def once_late(**options: Any) -> Any:
        calls.append(1)
        return work(**({"deadline": 0.0} if len(calls) == 1 else options))

    monkeypatch.setattr(tasks.dispatch, "work", once_late)
    immediate.enqueue()
    assert len(calls) == 2
    assert Delivery.objects.filter(outcome="sent").count() == 3


@pytest.mark.django_db
def test_an_engine_that_runs_a_task_where_it_is_enqueued_takes_one_slice_after_another(immediate, monkeypatch):
    factories.users(2)
    factories.published()
    depths: list[int] = []
    work = tasks.dispatch.work

    def slow(*, deadline: float) -> DeliveryCounts:
        depths.append(len(inspect.stack()))
        assert len(depths) < 20, "it runs in a loop"
        return DeliveryCounts(sent=1) if len(depths) < 10 else work()

    monkeypatch.setattr(tasks, "TASK_SECONDS", 0)
    monkeypatch.setattr(tasks.dispatch, "work", slow)
    immediate.enqueue()
    assert len(depths) == 10
    assert len(set(depths)) == 1
    assert Delivery.objects.filter(outcome="sent").count() == 2


@pytest.mark.django_db
def test_a_task_that_runs_where_it_is_enqueued_does_not_wait_for_a_mail_server(
    immediate, monkeypatch, django_capture_on_commit_callbacks
):
    def away(self: EmailChannel, *message: Any) -> None:
        raise Unavailable("The server does not answer.")

    monkeypatch.setattr(EmailChannel, "send", away)
    waited: list[float] = []
    monkeypatch.setattr(tasks.time, "sleep", waited.append)
    factories.users(1)
    with django_capture_on_commit_callbacks(execute=True):
        factories.published()
    assert Delivery.objects.get().outcome == "waiting"
    assert ChannelState.objects.get().outages == 1
    assert waited == []


@pytest.mark.django_db
@pytest.mark.parametrize("backend", ["immediate", "dummy"])
def test_a_notice_that_can_not_be_written_is_tried_again_later_and_not_at_once(settings, monkeypatch, backend):
    package = tasks.task.__module__.rpartition(".")[0]
    settings.TASKS = {"default": {"BACKEND": f"{package}.backends.{backend}.{backend.title()}Backend"}}
    factories.users(1)
    factories.published()
    tried: list[int] = []

    def compose(self: EmailChannel, *args: Any, **options: Any) -> Any:
        tried.append(1)
        if len(tried) > 5:
            pytest.fail("it runs in a loop")
        raise OverflowError("date")

    monkeypatch.setattr(EmailChannel, "compose", compose)
    tasks.deliver_notices.func()
    assert len(tried) == 3, "when the audience is written, and in each of two calls"
    if backend == "dummy":
        (again,) = tasks.deliver_notices.get_backend().results
        assert timedelta(seconds=50) < again.task.run_after - timezone.now() <= tasks.FAULT_DELAY


def test_no_task_is_put_further_ahead_than_brokers_leave_with_a_worker(settings):
    package = tasks.task.__module__.rpartition(".")[0]
    settings.TASKS = {"default": {"BACKEND": f"{package}.backends.dummy.DummyBackend"}}
    tasks.enqueue(timezone.now() + timedelta(days=20))
    (enqueued,) = tasks.deliver_notices.get_backend().results
    assert timedelta(minutes=14) < enqueued.task.run_after - timezone.now() <= tasks.MAX_DEFER < timedelta(minutes=30)


@pytest.mark.django_db
def test_an_engine_that_fails_never_fails_a_publication(settings, django_capture_on_commit_callbacks, caplog):
    settings.AGREEMENT = {**settings.AGREEMENT, "ENQUEUE": "tests.notices.test_tasks.broken"}
    with django_capture_on_commit_callbacks(execute=True):
        edition = factories.published()
    assert Edition.objects.in_force().get() == edition
    assert Notice.objects.unfinished().count() == 1


class Broker:
    """A task engine over a broker that answers when it is told to, by ``answers``, or fails at once."""

    supports_defer = False

    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.answers, self.threads = error, threading.Event(), []

    def get_backend(self) -> Broker:
        return self

    def enqueue(self) -> None:
        if self.error:
            raise self.error
        self.answers.wait(10)
        self.threads.append(threading.current_thread())


def test_nobody_waits_longer_than_a_moment_for_a_broker_that_does_not_answer(settings, monkeypatch, caplog):
    settings.AGREEMENT = {**settings.AGREEMENT, "SENDERS": 2}
    broker = Broker()
    monkeypatch.setattr(tasks, "deliver_notices", broker)
    assert tasks.BROKER_SECONDS < 1
    monkeypatch.setattr(tasks, "BROKER_SECONDS", 0.01)
    tasks.enqueue()
    assert broker.threads == []
    assert "N110" in caplog.text
    (waiting,) = (thread for thread in threading.enumerate() if thread.name == "agreement-enqueue")
    broker.answers.set()
    waiting.join(10)
    assert broker.threads == [waiting, waiting], "a broker that is slow gets the tasks"


def test_the_error_of_a_broker_that_is_away_is_raised(monkeypatch):
    monkeypatch.setattr(tasks, "deliver_notices", Broker(ConnectionRefusedError()))
    with pytest.raises(ConnectionRefusedError):
        tasks.enqueue()


def broken() -> None:
    raise ImproperlyConfigured("the broker is away")


@pytest.mark.system
def test_the_database_engine_delivers_through_its_worker(tmp_path):
    with smtp_server.server() as mailbox, site(tmp_path, email_url=mailbox.url) as portal:
        portal.python(publish_to(5))
        assert mailbox.messages == []
        portal.run("db_worker", "--batch", "--no-startup-delay")
    assert len(mailbox.by_address()) == len(mailbox.messages) == 5


@pytest.mark.django_db
def test_a_task_whose_time_is_over_enqueues_another_for_what_is_due(monkeypatch):
    factories.users(3)
    factories.published()
    deadlines, handed = [], []

    def nothing(*, deadline: float) -> DeliveryCounts:
        deadlines.append(deadline)
        assert len(deadlines) < 5, "it runs in a loop"
        return DeliveryCounts()

    monkeypatch.setattr(tasks, "TASK_SECONDS", 0)
    monkeypatch.setattr(tasks.dispatch, "work", nothing)
    monkeypatch.setattr(tasks.django_tasks_engine, "enqueue_one", handed.append)
    tasks.deliver_notices.func()
    assert (len(deadlines), len(handed)) == (1, 1)


@pytest.mark.django_db
def test_a_task_leaves_alone_for_a_while_what_somebody_must_mend(settings, monkeypatch):
    settings.AGREEMENT = {**settings.AGREEMENT, "BASE_URL": ""}
    factories.users(1)
    factories.published()
    handed: list[Any] = []
    monkeypatch.setattr(tasks, "TASK_SECONDS", 1)
    monkeypatch.setattr(tasks.django_tasks_engine, "enqueue_one", handed.append)

    tasks.deliver_notices.func()

    assert timezone.now() < handed[0] <= timezone.now() + tasks.FAULT_DELAY


@pytest.mark.parametrize("engine", ["takes it", "is away too"])
def test_a_task_the_database_fails_hands_on_if_it_can_and_fails(monkeypatch, engine):
    handed: list[Any] = []

    def away(*, deadline: float) -> DeliveryCounts:
        raise OperationalError("the database is away")

    def hand_on(at: Any) -> None:
        handed.append(at)
        if engine != "takes it":
            raise OperationalError("the same one")

    monkeypatch.setattr(tasks.dispatch, "work", away)
    monkeypatch.setattr(tasks.django_tasks_engine, "enqueue_one", hand_on)

    with pytest.raises(OperationalError, match="is away"):
        tasks.deliver_notices.func()

    assert timezone.now() < handed[0] <= timezone.now() + tasks.FAULT_DELAY


@pytest.mark.django_db
def test_a_nudge_starts_as_many_senders_as_the_site_has_workers_for(settings, monkeypatch):
    settings.AGREEMENT = {**settings.AGREEMENT, "SENDERS": 3}
    nudged = []
    monkeypatch.setattr(tasks.django_tasks_engine, "enqueue_one", nudged.append)
    tasks.enqueue()
    assert nudged == [None, None, None]


def queued(app: Any) -> list[Any]:
    """The messages in the queue of the app."""
    with app.connection() as connection, connection.SimpleQueue(app.conf.task_default_queue) as queue:
        return [queue.get(block=False) for _message in range(len(queue))]


@pytest.mark.django_db
def test_a_publication_enqueues_as_many_celery_tasks_as_there_are_senders(
    celery_app, settings, django_capture_on_commit_callbacks
):
    settings.AGREEMENT = {**settings.AGREEMENT, "SENDERS": 2}
    factories.users(1)
    with django_capture_on_commit_callbacks(execute=True):
        factories.published()
        assert queued(celery_app) == []
    messages = queued(celery_app)
    assert [message.headers["task"] for message in messages] == ["agreement.deliver_notices"] * 2
    assert {message.headers["eta"] for message in messages} == {None}
    assert {message.headers["ignore_result"] for message in messages} == {True}


def test_celery_gets_the_moment_of_a_later_task_within_the_limit(celery_app):
    tasks.enqueue_celery(timezone.now() + timedelta(days=20))
    (message,) = queued(celery_app)
    eta = datetime.fromisoformat(message.headers["eta"])
    assert timedelta(minutes=14) < eta - timezone.now() <= tasks.MAX_DEFER


def test_a_task_of_a_killed_celery_worker_is_executed_again(celery_app):
    assert celery_app.tasks["agreement.deliver_notices"].acks_late


def test_an_app_that_executes_tasks_immediately_is_given_no_later_ones(celery_app, monkeypatch):
    celery_app.conf.task_always_eager = True
    ran: list[str] = []
    monkeypatch.setattr(tasks.Engine, "run", lambda engine: ran.append("run"))
    tasks.enqueue_celery(timezone.now() + timedelta(minutes=1))
    assert ran == []
    tasks.enqueue_celery()
    assert ran == ["run"]


def test_a_celery_broker_that_is_away_is_an_error_at_once_and_fails_no_publication(
    celery_app, django_capture_on_commit_callbacks, caplog, db
):
    celery_app.conf.broker_url = "amqp://guest:guest@127.0.0.1:1//"
    with pytest.raises(Exception, match="refused") as raised:
        tasks.enqueue_celery()
    assert type(raised.value).__module__ == "kombu.exceptions"
    with django_capture_on_commit_callbacks(execute=True):
        edition = factories.published()
    assert Edition.objects.in_force().get() == edition
    assert "refused" in caplog.text


def test_nobody_waits_longer_than_a_moment_for_a_celery_broker_that_does_not_answer(celery_app, monkeypatch, caplog):
    monkeypatch.setattr(tasks, "BROKER_SECONDS", 0.05)
    celery_app.conf.broker_connection_timeout = 1
    with socket.create_server(("127.0.0.1", 0)) as silent:  # It takes the connection, and says nothing.
        celery_app.conf.broker_url = f"amqp://guest:guest@127.0.0.1:{silent.getsockname()[1]}//"
        tasks.enqueue_celery()
        assert "N110" in caplog.text
        (waiting,) = (thread for thread in threading.enumerate() if thread.name == "agreement-enqueue")
        waiting.join(10)
        assert not waiting.is_alive()


@pytest.mark.system
@pytest.mark.parametrize(
    "broker",
    [
        pytest.param("rabbitmq", marks=pytest.mark.rabbitmq),
        pytest.param("redis", marks=pytest.mark.skipif(not redis.SERVER, reason="needs redis-server")),
    ],
)
def test_celery_delivers_over_a_broker(tmp_path, broker):
    pytest.importorskip("celery", reason="needs Celery")
    with (
        smtp_server.server() as mailbox,
        site(tmp_path, email_url=mailbox.url) as portal,
        nullcontext(os.environ.get("AGREEMENT_TEST_RABBITMQ", ""))
        if broker == "rabbitmq"
        else redis.broker(tmp_path / "redis") as url,
    ):
        portal = replace(portal, broker_url=url)
        portal.python(make_users(5))
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "portal_site", "worker", "--concurrency=1"],
            cwd=ROOT,
            env=portal.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            portal.run("publish_edition", portal.draft(tmp_path))
            until = time.monotonic() + 60
            while len(mailbox.messages) < 5 and time.monotonic() < until:
                time.sleep(0.1)
        finally:
            worker.terminate()
            worker.wait(30)
    assert len(mailbox.by_address()) == len(mailbox.messages) == 5


@pytest.mark.system
@pytest.mark.rabbitmq
def test_a_broker_that_is_away_never_fails_a_publication(tmp_path):
    with smtp_server.server() as mailbox, site(tmp_path, email_url=mailbox.url) as portal:
        portal = replace(portal, broker_url="amqp://guest:guest@127.0.0.1:1//")
        portal.python(make_users(1))
        assert "Published edition 1" in portal.run("publish_edition", portal.draft(tmp_path))
        assert "Deliveries: 1 sent" in portal.run("deliver_notices", "--once")
