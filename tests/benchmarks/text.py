"""Reading, comparing and linting against the plain tools on the same text, in the same run.

The text is the portal's sample, or with ``AGREEMENT_BENCHMARK_TEXTS`` another: a folder with ``edition-1.kk.md``,
``edition-1.ru.md`` and the same of edition 2.
"""

from __future__ import annotations

import gc
import os
import re
import time
from collections.abc import Callable, Iterator
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import markdown
import nh3

from agreement.text import clauses
from agreement.text.lint.rules import lint as check
from agreement.text.redline import changes
from tests.benchmarks.__main__ import Result
from tests.support.redlines import new_body
from tests.support.site import ROOT

FOLDER = Path(os.environ.get("AGREEMENT_BENCHMARK_TEXTS") or ROOT / "portal_site/samples")


def text(number: int, language: str, times: int = 1) -> str:
    """An edition, or one that many times as long, its sections numbered on."""
    once = (FOLDER / f"edition-{number}.{language}.md").read_text(encoding="utf-8")
    body = once.split("\n", 1)[1]
    sections = max(int(found) for found in re.findall(r"(?m)^(?:## )?(\d+)\.", body))

    def again(copy: int) -> str:
        return re.sub(r"(?m)^((?:## )?)(\d+)\.", lambda match: f"{match[1]}{int(match[2]) + sections * copy}.", body)

    return once + "\n".join(again(copy) for copy in range(1, times))


def best(call: Callable[[], Any], runs: int) -> float:
    """Milliseconds of processor time: the least disturbed run."""
    times = []
    gc.collect()
    gc.disable()  # As timeit does: another benchmark's garbage is not this one's time.
    for _ in range(runs):
        clauses.parse.cache_clear()
        started = time.process_time()
        call()
        times.append(time.process_time() - started)
    gc.enable()
    return min(times) * 1000


def parse(quick: bool) -> Iterator[Result]:
    """``clauses.parse`` (units, anchors, references, safe HTML) against ``markdown`` and ``nh3`` alone."""
    runs = 5 if quick else 40
    for language in ("kk", "ru"):
        body = text(1, language)
        plain = best(lambda: nh3.clean(markdown.markdown(body)), runs)  # noqa: B023
        ours = best(lambda: clauses.parse(body), runs)  # noqa: B023
        yield Result(f"parse: {language}, ratio", ours / plain, 2, f"{ours:.2f} ms against {plain:.2f} ms")


def redline(quick: bool) -> Iterator[Result]:
    """Aligning and comparing two editions, read already, against difflib over the whole text."""
    runs = 3 if quick else 20
    ours: dict[int, float] = {}
    for times, limit in ((1, 1.0), (10, 0.2)):
        old, new = text(1, "kk", times), text(2, "kk", times)
        whole = best(lambda: _whole(old, new), runs if times == 1 else 2)  # noqa: B023
        ours[times] = _redline(times, runs)
        says = f"{ours[times]:.2f} ms against {whole:.1f} ms, {len(new.split()):,} words"
        yield Result(f"redline: {times}×, ratio", ours[times] / whole, limit, says)
    # In turn, so that a busy moment of the machine falls on both.
    rounds = [(_redline(2, 3), _redline(20, 2)) for _ in range(1 if quick else 9)]
    short, long = sorted(rounds, key=lambda pair: pair[1] / pair[0])[len(rounds) // 2]
    yield Result("redline: growth 2× to 20×", long / short, 15, f"{short:.2f} ms to {long:.1f} ms")


def _whole(old: str, new: str) -> list[Any]:
    one, two = (re.findall(r"\S+\s*|\s+", body) for body in (old, new))
    return SequenceMatcher(None, one, two, autojunk=False).get_opcodes()


def _redline(times: int, runs: int) -> float:
    old, new = clauses.parse(text(1, "kk", times)), clauses.parse(text(2, "kk", times))

    def compared() -> changes.Redline:
        found = changes.redline(old, new)
        for change in found.changes:  # Both are computed when they are asked for.
            assert change.runs
            assert change.words
        return found

    assert new_body(compared()) == new.source
    return best(compared, runs)


def lint(quick: bool) -> Iterator[Result]:
    """The lint of an edition, reading included, against reading it; alone and with the edition before it."""
    runs = 5 if quick else 30
    new = {language: text(2, language) for language in ("kk", "ru")}
    old = {language: text(1, language) for language in ("kk", "ru")}
    for name, previous in (("alone", None), ("with the previous", old)):
        read = best(lambda: [clauses.parse(body) for body in (*new.values(), *(previous or {}).values())], runs)  # noqa: B023
        ours = best(lambda: check(new, previous=previous), runs)  # noqa: B023
        yield Result(f"lint: {name}, ratio", ours / read, 3, f"{ours:.2f} ms against {read:.2f} ms")
