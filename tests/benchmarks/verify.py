"""The page that recognises a text, against one rendering of the page from which the text was copied.

A visitor can post any text, so an answer must cost no more than a few pages.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from django.test import Client

from agreement import memory
from tests.benchmarks.__main__ import Result
from tests.benchmarks.text import text
from tests.support import factories

HERE, EDITION, CHANGES = (
    f"/ru/agreements/{path}" for path in ("verify/", "terms/editions/2/", "terms/editions/2/changes/")
)


def verify(quick: bool) -> Iterator[Result]:
    """A page of an edition and a page of changes, copied, and the first one with changed words. No page is remembered:
    of an edition, the page is rendered that was copied. If that page lacks a word, the other pages and the files of the
    edition are rendered too, in each language.
    """
    runs = 2 if quick else 15
    for number in (1, 2):
        factories.published(kk=text(number, "kk"), ru=text(number, "ru"))
    client = Client(SERVER_NAME="localhost")
    edition, changes = (client.get(address).content.decode() for address in (EDITION, CHANGES))
    changed = edition.replace("Портал", "Сайт")
    assert changed != edition
    for name, address, posted, verdict, limit in (
        ("edition copied", EDITION, edition, "genuine", 3),
        ("edition changed", EDITION, changed, "differs", 12),
        ("changes copied", CHANGES, changes, "genuine", 4),
    ):
        theirs = _milliseconds(client.get, address, runs=runs)
        ours = _milliseconds(_post, client, posted, verdict, runs=runs)
        says = f"{ours:.0f} ms, against {theirs:.0f} ms for one rendering of the page"
        yield Result(f"verify: {name}, ratio", ours / theirs, limit, says)


def _post(client: Client, content: str, verdict: str) -> None:
    answer = client.post(HERE, {"text": content})
    assert f'data-verdict="{verdict}"' in answer.content.decode()


def _milliseconds(call: Callable[..., Any], *arguments: object, runs: int) -> float:
    """Milliseconds of processor time: the least disturbed of the runs, each of which begins with nothing remembered."""
    times = []
    for _run in range(runs):
        memory.clear()
        started = time.process_time()
        call(*arguments)
        times.append(time.process_time() - started)
    return min(times) * 1000
