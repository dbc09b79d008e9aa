"""The task of the task engine. The database records what is to be done; a task only works on it for a while.

There are two engines: Django's Tasks, with the backend that the site has chosen, and Celery. The setting ``ENQUEUE``
names the function that enqueues the task: :func:`enqueue`, or ``enqueue_celery()``, which exists if Celery is
installed. Nothing else depends on the engine.
"""

from __future__ import annotations

import logging
import threading
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from datetime import datetime, timedelta

from django.db import Error, connections
from django.utils import timezone

try:
    from django.tasks import task
except ImportError:
    # Django 5.2. The backport has the same API in a class of its own, which mypy takes for a second definition.
    from django_tasks import task  # type: ignore[no-redef]

from agreement import conf
from agreement.models.deliveries import ledger_now
from agreement.notices import dispatch

try:
    import celery
except ImportError:
    celery = None

__all__ = ["deliver_notices", "enqueue", "enqueue_celery"]

logger = logging.getLogger("agreement")

#: Seconds that one task works before it enqueues the next, so that no worker of the engine is busy for hours.
TASK_SECONDS = 20
#: How long to wait after a fault that stops all work, such as one of the database. A person must correct it.
FAULT_DELAY = timedelta(minutes=1)
#: How many seconds a publisher waits for a broker that does not answer.
BROKER_SECONDS = 0.8
#: The names of the backends of Django's Tasks that use nothing but this process and its database.
ENGINES_WITHOUT_BROKER = {"DatabaseBackend", "DummyBackend", "ImmediateBackend"}
#: How far in the future a task may be scheduled. RabbitMQ redelivers a task that a worker holds for more than half an
#: hour (``consumer_timeout``), and Redis after an hour (``visibility_timeout``).
MAX_DEFER = timedelta(minutes=15)
#: How Celery connects to its broker to enqueue a task, unless the site has options of its own. A broker that is away is
#: an error at once: the thread that enqueues ends before the process does, and a command should not wait for it.
BROKER_OPTIONS = {"max_retries": 0, "socket_connect_timeout": 2, "socket_timeout": 5}


class _ThreadState(threading.local):
    """The state of this thread: is it running the task (``running``), must it run the task once more (``enqueued``),
    and is it enqueuing a task that is to run at once (``enqueuing``)?
    """

    running = enqueued = enqueuing = False


_thread = _ThreadState()


class Engine(ABC):
    """What executes the task. A subclass says how a task is enqueued."""

    #: Does a broker have to answer before a task is enqueued?
    has_broker = True
    #: Can a task be scheduled for a later moment?
    can_defer = True

    @abstractmethod
    def submit(self, at: datetime | None) -> None:
        """Enqueue one task, to run now, or at that moment. ``at`` is ``None`` if ``can_defer`` is false."""

    def run(self) -> None:
        """Do what is due, for about ``TASK_SECONDS``: write audiences, mail replies to withdrawals, and send
        deliveries. If work remains, enqueue another task for the moment at which it is due, but at most ``MAX_DEFER``
        from now: at once, or later if the engine can defer tasks. If the database raises an error, the next task is
        enqueued for the moment after ``FAULT_DELAY``, if the engine can defer tasks, and the error is raised.

        If this thread runs the task already, as with an engine that runs tasks immediately, the call returns at once,
        and the running task does the work once more.

        If the engine can't defer tasks and the work is due later, or if a fault of the database prevents the next task,
        no task does the work. The command ``deliver_notices --watch`` finds it.
        """
        _thread.enqueued = True
        if _thread.running:  # An immediate engine runs a task inside the call that enqueues it: the outer call goes on.
            return
        _thread.running = True
        try:
            while _thread.enqueued:
                _thread.enqueued = False
                # With an immediate engine this is the request of a publisher, which must not wait for a later moment.
                if at := _work(time.monotonic() + TASK_SECONDS, wait=not _thread.enqueuing):
                    self.enqueue_one(at)
        except Error:
            with suppress(Exception):
                self.enqueue_one(timezone.now() + FAULT_DELAY)
            raise
        finally:
            _thread.running = False

    def enqueue(self, at: datetime | None = None) -> None:
        """Enqueue as many tasks as the setting ``SENDERS`` states. They run now or, with ``at``, at that moment, but at
        most ``MAX_DEFER`` from now. If ``at`` is in the future and the engine can't defer tasks, nothing is enqueued.

        An engine with a broker is called in another thread, because the caller, who may be a publisher, must not wait
        for it longer than ``BROKER_SECONDS``. If it has not answered by then, this is logged, and the call returns. The
        thread may still enqueue the tasks, and the process does not exit before it has ended. An engine without a
        broker is called directly, with no limit of time: if it runs tasks immediately, they run inside this call.

        Raises the error of the engine; with a broker, only if there is one by then. Nothing is lost in any case: the
        database contains the work, and ``deliver_notices --watch`` finds it.
        """
        if not self.has_broker:
            self._enqueue_all(at)
            return
        errors: list[Exception] = []

        def run() -> None:
            try:
                self._enqueue_all(at)
            except Exception as error:
                errors.append(error)
            finally:
                connections.close_all()

        thread = threading.Thread(target=run, name="agreement-enqueue")
        thread.start()
        thread.join(BROKER_SECONDS)
        if thread.is_alive():
            logger.warning("N110 the task engine did not answer within %s s", BROKER_SECONDS)
        for error in errors:
            raise error

    def enqueue_one(self, at: datetime | None) -> None:
        """Enqueue one task: to run now if ``at`` is ``None`` or past, else at that moment, but at most ``MAX_DEFER``
        from now. For a future moment nothing is enqueued if the engine can't defer tasks.
        """
        if at is None or at <= timezone.now():
            outer, _thread.enqueuing = _thread.enqueuing, True
            try:
                self.submit(None)
            finally:
                _thread.enqueuing = outer
        elif self.can_defer:
            self.submit(min(at, timezone.now() + MAX_DEFER))

    def _enqueue_all(self, at: datetime | None) -> None:
        for _sender in range(conf.get().SENDERS):
            self.enqueue_one(at)


def _work(deadline: float, *, wait: bool) -> datetime | None:
    """Do what is due, until the deadline or until nothing is due. ``deadline`` is a value of ``time.monotonic()``.
    Returns when the next work is due, now at the earliest; ``None`` if :func:`agreement.notices.dispatch.next_due_at`
    finds no work. If faults prevented all work, it is not before ``FAULT_DELAY`` from now. The moment is one of this
    machine's clock, which the engine uses; how long it is until then is judged by the clock of the database.

    With ``wait=True``, the function also waits for work that becomes due before the deadline, and does it.
    """
    while True:
        counts = dispatch.work(deadline=deadline)
        now = ledger_now()
        at = dispatch.next_due_at(now)
        if at is None:
            return None
        pause = max(timedelta(), at - now)
        if counts.faults and counts.idle:  # What is due can't be written. Trying again immediately does not help.
            pause = max(pause, FAULT_DELAY)
        if (pause and not wait) or time.monotonic() + pause.total_seconds() >= deadline:
            return timezone.now() + pause
        time.sleep(pause.total_seconds())


class _DjangoTasks(Engine):
    """Django's Tasks, with the backend that ``TASKS`` names."""

    @property
    def has_broker(self) -> bool:  # type: ignore[override]  # It depends on the settings.
        return not any(base.__name__ in ENGINES_WITHOUT_BROKER for base in type(deliver_notices.get_backend()).__mro__)

    @property
    def can_defer(self) -> bool:  # type: ignore[override]  # It depends on the settings.
        return deliver_notices.get_backend().supports_defer

    def submit(self, at: datetime | None) -> None:
        (deliver_notices.using(run_after=at) if at else deliver_notices).enqueue()


django_tasks_engine = _DjangoTasks()


@task()
def deliver_notices() -> None:
    """Do what is due: see :meth:`Engine.run`."""
    django_tasks_engine.run()


def enqueue(at: datetime | None = None) -> None:
    """Enqueue the task of Django's Tasks: see :meth:`Engine.enqueue`."""
    django_tasks_engine.enqueue(at)


if celery:

    class _Celery(Engine):
        """The Celery app of the site."""

        @property
        def can_defer(self) -> bool:  # type: ignore[override]  # It depends on the settings.
            # Such an app ignores the moment, and would run a task again and again until it has come.
            return not celery.current_app.conf.task_always_eager

        @property
        def has_broker(self) -> bool:  # type: ignore[override]  # It depends on the settings.
            return self.can_defer

        @property
        def is_configured(self) -> bool:
            """Does this process have the Celery app of the site, or another one that names a broker? Without one,
            Celery takes a broker on this machine.
            """
            return bool(celery.current_app.conf.broker_write_url)

        def submit(self, at: datetime | None) -> None:
            app = celery.current_app
            options = BROKER_OPTIONS | app.conf.broker_transport_options
            with app.connection_for_write(transport_options=options) as connection:
                celery_deliver_notices.apply_async(eta=at, retry=False, connection=connection)

    celery_engine = _Celery()

    # A task that a killed worker had is executed again. It finds what is left. Celery has no types.
    @celery.shared_task(name="agreement.deliver_notices", ignore_result=True, acks_late=True)  # type: ignore[untyped-decorator]
    def celery_deliver_notices() -> None:
        """Do what is due: see :meth:`Engine.run`."""
        celery_engine.run()

    def enqueue_celery(at: datetime | None = None) -> None:
        """Enqueue the task of Celery: see :meth:`Engine.enqueue`."""
        celery_engine.enqueue(at)
