from __future__ import annotations

import signal
import threading
import time
from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, no_translations
from django.db import Error, close_old_connections, connections
from django.utils import timezone

from agreement import conf, dispatch
from agreement.management import refusal
from agreement.models import Delivery, Progress
from agreement.runs import Tally

#: Seconds between two looks at the ledger, of work at a stretch, and after a fault that stops all there is to do.
PAUSE, SLICE, FAULT_PAUSE = 1.0, 10.0, 10.0
HELD = (
    'AGREEMENT["HOLD"] is set: nothing is sent.',
    "Compare the ledger with the mail server's log, then remove the setting.",
)


class Command(BaseCommand):
    help = (
        "Send every notice that is due. --once (the default) waits for what killed workers held, then ends;"
        " --watch never ends."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        how = parser.add_mutually_exclusive_group()
        how.add_argument("--once", action="store_true", help="return when nothing is due (the default)")
        how.add_argument("--watch", action="store_true", help="go on looking for work until stopped")
        how.add_argument("--dry-run", action="store_true", help="say how much is due, send nothing")
        how.add_argument("--drop", metavar="CHANNEL", help="skip what waits for a channel that CHANNELS names no more")

    @no_translations
    def handle(self, *, watch: bool, dry_run: bool, drop: str | None, **options: Any) -> None:
        if dry_run:
            self.dry_run()
            return
        if drop is not None:
            self.drop(drop)
            return
        self.total = self.settled = 0
        if watch:
            self.watch()
            return
        try:
            self.once()
        except Error as error:
            raise refusal(
                f"The database failed ({type(error).__name__}: {error}).",
                "Nothing is lost: mend it and run this command again.",
            ) from None

    def dry_run(self) -> None:
        if conf.get().HOLD:
            raise refusal(*HELD)
        found = dispatch.pending()
        self.stdout.write(
            f"Would send {found.due} notices; the audience of {found.unwritten} more is still to be written."
        )
        if found.later:
            at = dispatch.next_at()
            when = f"; the next may go out at {at.isoformat(timespec='seconds')}" if at and at > timezone.now() else ""
            self.stdout.write(f"{found.later} wait for their moment, for their channel or for its caps{when}.")
        if found.paused:
            self.stdout.write(f"{found.paused} wait until their notice is resumed.")
        if found.stale:
            self.stdout.write(f"Would skip {found.stale} that are no news any more.")
        self.removed()

    def removed(self) -> None:
        for channel, count in dispatch.removed().items():
            self.stdout.write(
                f"{count} wait for {channel!r}, which CHANNELS does not name. Put it back, or skip them:"
                f" deliver_notices --drop {channel}"
            )

    def drop(self, channel: str) -> None:
        waiting = dispatch.removed()
        if channel not in waiting:
            raise refusal(
                f"Nothing waits for a channel {channel!r} that was removed from CHANNELS.",
                f"Removed and waited for: {', '.join(waiting) or 'none'}.",
            )
        self.stdout.write(f"Skipped {dispatch.drop(channel)} notices.")

    def once(self) -> None:
        total, leased = Tally(), self.leased()
        while True:
            tally = self.work()
            for name in ("written", "sent", "failed", "skipped", "postponed"):
                setattr(total, name, getattr(total, name) + getattr(tally, name))
            total.outage, total.faults = tally.outage, tally.faults
            before, leased = leased, self.leased()
            # What was settled during this round may be what the next one was waiting for.
            if tally.held or tally.outage or (before is leased is None and tally.idle):
                break
            if leased:  # Another worker's deliveries: it settles them, or it is dead and its lease runs out.
                time.sleep(min(PAUSE, max(0.05, (leased - timezone.now()).total_seconds())))
        if tally.held:
            raise refusal(*HELD)
        self.report(total)
        self.removed()
        if total.faults:
            raise refusal(" ".join(total.faults), "The others were sent; mend this and run the command again.")
        if total.outage:
            raise refusal(
                f"The channel is away ({total.outage}); {Progress.objects.total()['waiting']} notices wait.",
                "Nothing is lost: mend it and run this command again.",
            )
        if (waiting := Progress.objects.total()["waiting"]) and (at := dispatch.next_at()):
            self.stdout.write(f"{waiting} notices wait; the next may go out at {at.isoformat(timespec='seconds')}.")

    @staticmethod
    def leased() -> datetime | None:
        """When the first lease ends that any worker holds."""
        return Delivery.objects.leased().order_by("due_at").values_list("due_at", flat=True).first()

    def watch(self) -> None:
        stopped = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopped.set())
        wrong = ""
        while not stopped.is_set():
            pause = PAUSE
            try:
                tally = self.work(seconds=SLICE)
                if not tally.idle:
                    self.report(tally)
                before, wrong = wrong, HELD[0] if tally.held else " ".join(filter(None, [tally.outage, *tally.faults]))
                if wrong and wrong != before:  # Said once, not every second.
                    self.stderr.write(wrong)
                if tally.faults and tally.idle:
                    pause = FAULT_PAUSE
            except (Error, ImproperlyConfigured) as error:
                self.stderr.write(f"{type(error).__name__}: {error}; trying again in {FAULT_PAUSE:.0f} s")
                connections.close_all()
                pause = FAULT_PAUSE
            close_old_connections()
            stopped.wait(pause)

    def work(self, *, seconds: float | None = None) -> Tally:
        deadline = None if seconds is None else time.monotonic() + seconds
        try:
            return dispatch.work(deadline=deadline, settled=self.progress)
        except ImproperlyConfigured as error:
            if seconds is not None:
                raise
            raise refusal(str(error)) from None

    def progress(self, delivery: Delivery) -> None:
        """A bar on a terminal, redrawn ten times a second at most; nothing in a log."""
        self.settled += 1
        if not self.stdout.isatty():
            return
        now = time.monotonic()
        if now < getattr(self, "redraw", 0.0):
            return
        if self.settled >= self.total:
            self.total = self.settled + Progress.objects.total()["waiting"]
        self.redraw = now + 0.1
        done = self.settled * 30 // max(self.total, 1)
        self.stdout.write(f"\r[{'#' * done}{'.' * (30 - done)}] {self.settled}/{self.total}", ending="")
        self.stdout.flush()

    def report(self, tally: Tally) -> None:
        if self.stdout.isatty() and self.settled:
            self.stdout.write("\r" + " " * 60 + "\r", ending="")
        self.stdout.write(
            f"Sent {tally.sent} notices, failed {tally.failed}, skipped {tally.skipped}, postponed {tally.postponed}."
        )
