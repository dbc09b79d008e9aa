"""The edition in force through the whole portal: requests a second, queries, bytes, and what users cost it."""

from __future__ import annotations

import gzip
import http.client
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tests.benchmarks.__main__ import Result
from tests.benchmarks.text import FOLDER
from tests.support.site import Site, make_users, served, site

PAGE = "/kk/agreements/terms/"
CONNECTIONS = 4


class Answer(NamedTuple):
    headers: dict[str, str]
    body: bytes


class Server(NamedTuple):
    """A running portal."""

    port: int

    def get(self, path: str, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", path, headers={"Accept-Encoding": "gzip", **headers})
        response = connection.getresponse()
        found = Answer({name.lower(): value for name, value in response.getheaders()}, response.read())
        connection.close()
        assert response.status == 200, f"{path}: {response.status}"
        return found

    def seconds(
        self, path: str, count: int, *, status: int = 200, connections: int = CONNECTIONS, tag: str = ""
    ) -> float:
        """How long so many requests took another process."""
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", "Accept-Encoding: gzip, deflate, br"]
        lines += [f"If-None-Match: {tag}"] if tag else []
        done = subprocess.run(
            [sys.executable, Path(__file__).parent / "load.py", str(self.port), str(connections), str(count)],
            input="\r\n".join([*lines, "", ""]).encode(),
            capture_output=True,
            check=False,
            timeout=600,
        )
        assert done.returncode == 0, done.stderr.decode()
        taken, answered, _length = done.stdout.split()
        assert int(answered) == status, f"{path}: {int(answered)}"
        return float(taken)


def page(quick: bool) -> Iterator[Result]:
    """Against views of the same portal that return the same bytes, or 304, at once; and with ever more users."""
    with tempfile.TemporaryDirectory() as folder:
        yield from _speed(Path(folder), 100 if quick else 500, 1 if quick else 41)
        yield from _users(Path(folder), 200 if quick else 100_000, 20 if quick else 200, 1 if quick else 7)


def _speed(folder: Path, count: int, rounds: int) -> Iterator[Result]:
    kept = folder / "page.gz"
    with site(folder) as made:
        _publish(made)
        with _served(made, folder / "log", BENCHMARK_BYTES=str(kept)) as server:
            answer = server.get(PAGE)
            kept.write_bytes(answer.body)
            assert server.get("/kk/trivial/").body == answer.body

            queries, started = int(server.get("/kk/queries/").body), time.monotonic()
            ratio, rate = _ratio(server, count, rounds, PAGE, "/kk/trivial/")
            seconds = time.monotonic() - started
            queries = int(server.get("/kk/queries/").body) - queries
            yield Result(
                "page: time, ratio", ratio, 1 / 0.9, f"{rate:,.0f} pages/s, {1 / ratio:.2f}× of a trivial view"
            )
            # The dates are read once a second, whoever asks.
            asked = count * rounds
            says = f"{queries} in {seconds:.0f} s and {asked:,} pages: the dates, once a second at most"
            yield Result("page: queries of its own", max(0, queries - seconds - 1), 0, says)

            tag = answer.headers["etag"]
            ratio, rate = _ratio(server, count, rounds, PAGE, "/kk/unmodified/", tag=tag)
            yield Result(
                "page: 304, time, ratio", ratio, 1 / 0.9, f"{rate:,.0f} 304s/s, {1 / ratio:.2f}× of a bare one"
            )

            sizes = _sizes(server, answer)
            says = ", ".join(f"{name} {size / 1000:.1f}" for name, size in sizes.items()) + ", compressed"
            yield Result("page: kB to the first reading", sum(sizes.values()) / 1000, 60, says)


def _users(folder: Path, many: int, count: int, rounds: int) -> Iterator[Result]:
    """Two portals alike but for their users, their pages rendered for each request, measured in turns."""
    few = 10
    with site(folder) as small, site(folder) as large:
        for made, users in ((small, few), (large, many)):
            _publish(made)
            made.python(make_users(users))
        anew = {"BENCHMARK_PAGE_SECONDS": "0"}
        with _served(small, folder / "small", **anew) as one, _served(large, folder / "large", **anew) as other:
            ratios = []
            for _round in range(rounds):
                base = one.seconds(PAGE, count, connections=1)
                taken = other.seconds(PAGE, count, connections=1)
                ratios.append(taken / base)
    says = f"{many:,} users against {few}, rendered each time, {base / count * 1000:.1f} ms"
    yield Result("page: time by users, ratio", median(ratios), 1.2, says)


def _ratio(server: Server, count: int, rounds: int, ours: str, theirs: str, *, tag: str = "") -> tuple[float, float]:
    """Median of ours over theirs, measured in turns; how many of ours a second."""
    ratios, rates, status = [], [], 304 if tag else 200
    for turn in range(rounds):
        taken = {}
        for path in (ours, theirs) if turn % 2 else (theirs, ours):
            taken[path] = server.seconds(path, count, status=status, tag=tag)
        ratios.append(taken[ours] / taken[theirs])
        rates.append(count / taken[ours])
    return median(ratios), median(rates)


def _sizes(server: Server, page: Answer) -> dict[str, int]:
    """Bytes of the page, its styles and its scripts as a compressing server sends them."""
    html = gzip.decompress(page.body).decode()
    files = re.findall(r'<link[^>]+rel="stylesheet"[^>]+href="([^"]+)"|<script[^>]+src="([^"]+)"', html)
    sizes = {"page": len(page.body)}
    for style, script in files:
        path = style or script
        answer = server.get(path)
        whole = gzip.decompress(answer.body) if "content-encoding" in answer.headers else answer.body
        sizes[path.rpartition("/")[2]] = len(gzip.compress(whole, 6))
    return sizes


def _publish(made: Site) -> None:
    """Two editions of the text, so that the page says what it replaced and what changed."""
    for number in (1, 2):
        files = (FOLDER / f"edition-{number}.{language}.md" for language in ("kk", "ru"))
        kk, ru = (str(file.resolve()) for file in files)
        draft = made.run(
            "import_edition", "--kk", kk, "--ru", ru, "--agreement", "terms", *["--create"] * (number == 1)
        )
        made.run("publish_edition", draft.split()[1], "--no-notice")


@contextmanager
def _served(made: Site, log: Path, **environment: str) -> Iterator[Server]:
    with served(made, log, "tests.benchmarks.served", **environment) as port:
        yield Server(port)
