"""Run benchmarks by name (all without one); exit 1 on a missed target, with ``--quick`` print and exit 0."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

NAMES = (
    "publish in_force parse redline lint page verify fan_out deliver whole admin key gate accepted import log".split()
)


@dataclass(frozen=True)
class Result:
    """One figure and the limit it is held to."""

    name: str
    value: float
    limit: float
    says: str

    @property
    def met(self) -> bool:
        return self.value <= self.limit

    def __str__(self) -> str:
        verdict = "ok    " if self.met else "MISSED"
        return f"{verdict} {self.name:<28} {self.value:8.2f}  (at most {self.limit:g})  {self.says}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(NAMES)}; all without one")
    parser.add_argument("--quick", action="store_true", help="small and fast; prints, never fails")
    parser.add_argument("--peers", action="store_true", help="also measure peers in a throw-away environment")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(NAMES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(NAMES)}")
    names = arguments.names or NAMES
    if len(names) > 1:  # Each on a database and in a process of its own: what one leaves behind slows the next.
        options = [option for option in sys.argv[1:] if option.startswith("--")]
        command = [sys.executable, "-m", "tests.benchmarks"]
        return max(subprocess.run([*command, name, *options], check=False).returncode for name in names)
    with django_site():
        results = []
        for result in benchmark(names[0], peers=arguments.peers)(arguments.quick):
            print(result, flush=True)
            results.append(result)
    return 0 if arguments.quick or all(result.met for result in results) else 1


def benchmark(name: str, *, peers: bool) -> Callable[[bool], Iterator[Result]]:
    from tests.benchmarks import accepted, admin, editions, gate, imports, key, log, notices, page, text, verify, whole

    known: dict[str, Callable[[bool], Iterator[Result]]] = {
        "publish": editions.publish,
        "in_force": editions.in_force,
        "parse": text.parse,
        "redline": text.redline,
        "lint": text.lint,
        "page": page.page,
        "fan_out": notices.fan_out,
        "deliver": partial(notices.deliver, peers=peers),
        "whole": whole.whole,
        "admin": admin.admin,
        "key": key.key,
        "gate": partial(gate.gate, peers=peers),
        "accepted": accepted.accepted,
        "import": imports.imports,
        "log": log.log,
        "verify": verify.verify,
    }
    return known[name]


@contextmanager
def django_site() -> Iterator[None]:
    """The portal on a test database of its own: SQLite, or the server of ``AGREEMENT_TEST_POSTGRESQL``."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DATABASE_URL"] = os.environ.get("AGREEMENT_TEST_POSTGRESQL") or f"sqlite:///{Path(folder) / 'db'}"
        os.environ["DJANGO_SETTINGS_MODULE"] = "portal_site.settings"
        os.environ["DEBUG"] = "0"
        os.environ["SECRET_KEY"] = "benchmarks"
        os.environ["LOG_LEVEL"] = "ERROR"
        os.environ["SECOND_FACTOR"] = "0"
        os.environ["AGREEMENT_NOTICE_DELAY"] = "0"
        import django

        django.setup()
        from django.db import connection, connections
        from django.test.utils import setup_databases, teardown_databases

        print(f"Django {django.__version__}, Python {sys.version.split()[0]}, {connection.vendor}", flush=True)
        if connection.vendor == "sqlite":  # On disk, as a site's is; Django's own would be in memory.
            connections["default"].settings_dict["TEST"]["NAME"] = str(Path(folder) / "benchmark.sqlite3")
        databases = setup_databases(verbosity=0, interactive=False)
        try:
            yield
        finally:
            teardown_databases(databases, verbosity=0)


if __name__ == "__main__":
    sys.exit(main())
