"""The editions of an agreement as bars on a line, for a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Literal
from zoneinfo import ZoneInfo

from agreement.conf import active_language
from agreement.models.succession import EditionDates
from agreement.text import dates

#: The chart displays at most so many editions: the last ones.
MAX_BARS = 16
#: The width of the last bar, whose end is not known, and of the narrowest bar, in per cent.
OPEN_WIDTH, LEAST_WIDTH = 18.0, 4.0
#: Narrower bars have no date.
DATE_WIDTH = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One edition. ``x`` (the left end), ``width`` and ``middle`` are in per cent of the width of the chart, such as
    ``"18.00%"``. ``since`` is the day on which the edition takes or took effect, in words; in Kazakh it has the ending
    for "from". ``day`` is this day in digits, or ``""`` if the bar is too narrow.
    """

    number: int
    x: str
    width: str
    middle: str
    state: Literal["superseded", "in_force", "scheduled"]
    since: str
    day: str


def bars(editions: Sequence[EditionDates], at: datetime, zone: str) -> list[Bar]:
    """The bars of the last ``MAX_BARS`` of these editions that were not cancelled, with their states at that instant;
    empty if fewer than two were not cancelled. ``editions`` are in the order of their effect. The widths do not depend
    on ``at``, so that a page stays the same from one effect to the next.
    """
    shown = [edition for edition in editions if edition.cancelled_at is None][-MAX_BARS:]
    if len(shown) < 2:
        return []
    effects = [edition.effective_from for edition in shown]
    spans = [(later - earlier).total_seconds() for earlier, later in pairwise(effects)]
    room = 100 - OPEN_WIDTH - LEAST_WIDTH * len(spans)
    widths = [*(LEAST_WIDTH + room * span / (sum(spans) or 1) for span in spans), OPEN_WIDTH]
    binding = max((index for index, effect in enumerate(effects) if effect <= at), default=-1)
    found, x = [], 0.0
    for index, (edition, width) in enumerate(zip(shown, widths, strict=True)):
        local = edition.effective_from.astimezone(ZoneInfo(zone))
        found.append(
            Bar(
                number=edition.number,
                x=f"{x:.2f}%",
                width=f"{width:.2f}%",
                middle=f"{x + width / 2:.2f}%",
                state="in_force" if index == binding else "superseded" if index < binding else "scheduled",
                since=dates.day(edition.effective_from, active_language(), zone, "from"),
                day=f"{local:%d.%m.%Y}" if width >= DATE_WIDTH else "",
            )
        )
        x += width
    return found
