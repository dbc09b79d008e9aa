"""The editions of an agreement as bars on a line, for a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate, pairwise
from zoneinfo import ZoneInfo

from agreement.conf import active_language
from agreement.models.succession import EditionDates, State
from agreement.text import dates

#: The chart displays at most so many editions: the last ones.
MAX_BARS = 16
#: The width of the last bar, whose end is not known, and of the narrowest bar, in per cent.
OPEN_WIDTH, LEAST_WIDTH = 23.0, 4.0
#: Narrower bars have no date, and no number if they are narrower than this for each of its digits. With these widths no
#: text reaches the next bar in a window of 320 pixels.
DATE_WIDTH, DIGIT_WIDTH = 23.0, 3.2
#: A text in the middle of a bar would begin outside the chart if the middle is left of this.
LEAST_MIDDLE = 9.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One edition. ``x`` (the left end), ``width`` and ``middle`` are in per cent of the width of the chart, such as
    ``"18.00%"``. ``since`` is the day on which the edition takes or took effect, in words; in Kazakh it has the ending
    for "from". ``day`` is this day in digits, and ``label`` the number; each is ``""`` if the bar is too narrow.
    ``at_left``: the middle is too near to the left end of the chart for a text.
    """

    number: int
    label: str
    x: str
    width: str
    middle: str
    state: State
    since: str
    day: str
    at_left: bool


@dataclass(frozen=True, slots=True)
class Cancellation:
    """A cancelled edition, and where it would have begun, in per cent of the width of the chart: in the last bar, which
    has no scale, its middle. ``""`` if the chart does not contain that moment.
    """

    number: int
    x: str


def bars(editions: Sequence[EditionDates], at: datetime, zone: str) -> list[Bar]:
    """The bars of the last ``MAX_BARS`` of these editions that were not cancelled, with their states at that instant;
    empty if fewer than two were not cancelled. ``editions`` are in the order of their effect, and ``zone`` is the name
    of the time zone of the days. The widths do not depend on ``at``, so that a page stays the same from one effect to
    the next.
    """
    shown = _shown(editions)
    effects = [edition.effective_from for edition in shown]
    found = []
    for place, (edition, (x, width)) in enumerate(zip(shown, _layout(shown), strict=True)):
        successor = next(iter(effects[place + 1 :]), None)
        local = edition.effective_from.astimezone(ZoneInfo(zone))
        label = str(edition.number)
        found.append(
            Bar(
                number=edition.number,
                label=label if width >= DIGIT_WIDTH * len(label) else "",
                x=f"{x:.2f}%",
                width=f"{width:.2f}%",
                middle=f"{x + width / 2:.2f}%",
                state=_state(edition, successor, at),
                since=dates.day(edition.effective_from, active_language(), zone, "from"),
                day=f"{local:%d.%m.%Y}" if width >= DATE_WIDTH else "",
                at_left=x + width / 2 < LEAST_MIDDLE,
            )
        )
    return found


def _state(edition: EditionDates, successor_from: datetime | None, at: datetime) -> State:
    """The state of the edition at that instant, if the next one takes effect at ``successor_from`` (``None``: there is
    none).
    """
    return edition.state(at, lambda: successor_from)


def cancellations(editions: Sequence[EditionDates]) -> list[Cancellation]:
    """The cancelled ones of these editions, with their places in the chart of :func:`bars` for the same editions."""
    shown = _shown(editions)
    layout = _layout(shown)
    found = []
    for edition in editions:
        if edition.cancelled_at is None:
            continue
        x, moment = "", edition.effective_from
        index = max((index for index, one in enumerate(shown) if one.effective_from <= moment), default=-1)
        if index >= 0:
            left, width = layout[index]
            share = 0.5  # The last bar has no scale.
            if index + 1 < len(shown):
                begin, end = (one.effective_from for one in shown[index : index + 2])
                share = (moment - begin) / (end - begin)
            x = f"{left + width * share:.2f}%"
        found.append(Cancellation(edition.number, x))
    return found


def _shown(editions: Sequence[EditionDates]) -> list[EditionDates]:
    """The editions that the chart displays: the last ``MAX_BARS`` of those that were not cancelled, in the order of
    their effect. Empty if these are fewer than two.
    """
    shown = [edition for edition in editions if edition.cancelled_at is None][-MAX_BARS:]
    return shown if len(shown) > 1 else []


def _layout(shown: Sequence[EditionDates]) -> list[tuple[float, float]]:
    """The left end and the width of the bar of each of these editions, in per cent of the width of the chart. The last
    bar is ``OPEN_WIDTH`` wide. The others are at least ``LEAST_WIDTH`` wide and share the rest in proportion to the
    time from the effect of their edition to that of the next one.
    """
    effects = [edition.effective_from for edition in shown]
    spans = [(later - earlier).total_seconds() for earlier, later in pairwise(effects)]
    room = 100 - OPEN_WIDTH - LEAST_WIDTH * len(spans)
    widths = [*(LEAST_WIDTH + room * span / (sum(spans) or 1) for span in spans), OPEN_WIDTH]
    return list(zip(accumulate(widths, initial=0.0), widths[: len(shown)], strict=False))
