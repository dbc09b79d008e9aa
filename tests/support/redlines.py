"""The two texts that a redline was made of, restored from its runs alone."""

from __future__ import annotations

from collections.abc import Iterable

from agreement.text.redline.changes import Redline
from agreement.text.redline.words import Run


def new_body(redline: Redline) -> str:
    """The body of the new edition."""
    return "".join(run.text for change in redline.changes if change.new for run in change.runs if run.kind != "delete")


def old_body(redline: Redline) -> str:
    """The body of the old edition."""
    old = [(change.old.start, change) for change in redline.changes if change.old]
    ordered = [change for _start, change in sorted(old, key=lambda pair: pair[0])]
    return "".join(run.text for change in ordered for run in change.runs if run.kind != "insert")


def new_text(runs: Iterable[Run]) -> str:
    return "".join(run.text for run in runs if run.kind != "delete")


def old_text(runs: Iterable[Run]) -> str:
    return "".join(run.text for run in runs if run.kind != "insert")
