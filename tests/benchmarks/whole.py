"""From a publication to the last letter: PostgreSQL, RabbitMQ, two Celery workers, a discarding mail server."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from django.db import connection
from django.db.models import Count

from agreement.models import Delivery, Progress
from tests.benchmarks.__main__ import Result
from tests.benchmarks.notices import audience
from tests.support.mail_sink import sink

ROOT = Path(__file__).resolve().parents[2]
WORKERS = 2
CELERY = ("-m", "celery", "-A", "portal_site", "worker", "--pool=solo", "--loglevel=WARNING")
PUBLISH = "import django; django.setup(); from tests.support import factories; factories.published()"


def whole(quick: bool) -> Iterator[Result]:
    """Nobody lost, nobody told twice, and workers that do not grow."""
    broker = os.environ.get("AGREEMENT_TEST_RABBITMQ")
    if connection.vendor != "postgresql" or not broker:
        print("whole: needs AGREEMENT_TEST_POSTGRESQL and AGREEMENT_TEST_RABBITMQ")
        return
    count = 2_000 if quick else 1_000_000
    audience(count)
    with ExitStack() as stack:
        server = stack.enter_context(sink())
        env = os.environ | {
            "DATABASE_URL": f"{os.environ['DATABASE_URL'].rpartition('/')[0]}/{connection.settings_dict['NAME']}",
            "DJANGO_SETTINGS_MODULE": "tests.benchmarks.whole_settings",
            "EMAIL_URL": server.url,
            "CELERY_BROKER_URL": broker,
            "AGREEMENT_SENDERS": str(WORKERS),
            "BENCHMARK_QUEUE": f"agreement-{uuid.uuid4().hex}",
        }
        workers = [stack.enter_context(_worker(env, number)) for number in range(WORKERS)]
        subprocess.run([sys.executable, "-c", PUBLISH], cwd=ROOT, env=env, check=True)
        started = time.monotonic()
        memory = _watched(workers, count, started)
        took = time.monotonic() - started
        outcomes = dict(Delivery.objects.order_by().values_list("outcome").annotate(Count("pk")))
        total = Progress.objects.total()
        assert {name: number for name, number in total.items() if number} == outcomes, (total, outcomes)
        says = f"{outcomes} of {count:,} in {took:,.0f} s: {outcomes['sent'] / took:,.0f} a second, {WORKERS} workers"
        yield Result("whole: not sent", count - outcomes["sent"], 0, says)
        yield Result("whole: sent again", server.taken() - outcomes["sent"], 0, f"{server.taken():,} letters taken")
        growth = max(last - first for first, last in zip(memory[0], memory[-1], strict=True))
        says = f"a worker's, from the first tenth to the last; {memory[-1]} MB at the end"
        yield Result("whole: memory growth, MB", growth, 32, says)


def _watched(workers: list[subprocess.Popen[bytes]], count: int, started: float) -> list[list[int]]:
    """Print a line for every tenth that is sent; the workers' resident megabytes at each."""
    found: list[list[int]] = []
    print(f"{'sent':>10} {'seconds':>8}   resident MB of each worker")
    while True:
        total = Progress.objects.total()
        done = sum(total.values()) == count and not total["waiting"]
        if total["sent"] >= count * (len(found) + 1) // 10 or done:
            found.append([_resident(worker.pid) for worker in workers])
            print(f"{total['sent']:>10,} {time.monotonic() - started:>8,.0f}   {found[-1]}", flush=True)
        if done:
            return found
        assert all(worker.poll() is None for worker in workers)
        time.sleep(1)


def _resident(pid: int) -> int:
    """Megabytes of memory a process has."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) // 1024


@contextmanager
def _worker(env: dict[str, str], number: int) -> Iterator[subprocess.Popen[bytes]]:
    name = f"--hostname=benchmark{number}-{uuid.uuid4().hex}"
    process = subprocess.Popen(
        [sys.executable, *CELERY, name], cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)
