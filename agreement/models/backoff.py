"""How long to wait before the next attempt: after a failed attempt at a delivery or at the reply to a withdrawal, and
during an outage of a channel.
"""

from __future__ import annotations

import random
from datetime import timedelta

#: After this many failed attempts, a delivery fails and the reply to a withdrawal is given up. With the pauses below,
#: the last attempt is about a day and a third after the first, so that neither a daily quota nor a mistake that a
#: person must correct makes a delivery fail.
MAX_ATTEMPTS = 16
#: The pauses before a delivery, or the reply to a withdrawal, is tried again double from the first to the longest.
FIRST_RETRY, LONGEST_RETRY = timedelta(minutes=1), timedelta(hours=4)
#: How long a channel in an outage is not used: the pauses double from the first to the longest.
FIRST_OUTAGE_PAUSE, LONGEST_OUTAGE_PAUSE = timedelta(seconds=15), timedelta(minutes=10)


def retry_pause(attempts: int) -> timedelta:
    """How long to wait before a delivery, or the reply to a withdrawal, is tried again. ``attempts`` is the number of
    failed attempts before the one that failed now. The pause is one minute after 0, doubles with each further one, and
    is four hours at most. It is then made up to a quarter shorter or longer, at random.
    """
    return _pause(attempts, first=FIRST_RETRY, longest=LONGEST_RETRY)


def outage_pause(outages: int) -> timedelta:
    """How long not to use a channel. ``outages`` is the number of outages in a row before the present one. The pause is
    15 seconds after 0, doubles with each further one, and is ten minutes at most. It is then made up to a quarter
    shorter or longer, at random.
    """
    return _pause(outages, first=FIRST_OUTAGE_PAUSE, longest=LONGEST_OUTAGE_PAUSE)


def _pause(attempts: int, *, first: timedelta, longest: timedelta) -> timedelta:
    """``first``, doubled for each of the ``attempts``, but not longer than ``longest``.

    The result is that pause made up to a quarter shorter or longer at random, so that several workers do not try at the
    same moment. It may therefore be longer than ``longest``.
    """
    pause: timedelta = min(first * 2.0 ** min(attempts, 20), longest)
    return pause * random.uniform(0.75, 1.25)  # noqa: S311 - no secret
