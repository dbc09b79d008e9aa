from __future__ import annotations

import signal
import threading
import time
from argparse import ArgumentParser
from datetime import datetime

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, no_translations
from django.db import Error, close_old_connections, connections

from agreement import conf
from agreement.management import command_error, quote
from agreement.models import Delivery, Progress
from agreement.models.deliveries import ledger_now
from agreement.notices import dispatch
from agreement.notices.worker import DeliveryCounts

#: In seconds: the pause between two calls of ``work()``, and for ``--watch`` the deadline of a call, and the pause
#: after an error that stops all work.
WATCH_PAUSE, WATCH_WORK, WATCH_FAULT_PAUSE = 1.0, 10.0, 10.0
SUSPENDED = (
    'AGREEMENT["SENDING_SUSPENDED"] is set: nothing is sent.',
    "Compare the ledger with the mail server's log, then remove the setting.",
)


class Command(BaseCommand):
    help = (
        "Send every notice that is due. --once (the default) also waits for the deliveries of killed workers, then"
        " ends; --watch runs until it is stopped."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        mode = parser.add_mutually_exclusive_group()
        mode.add_argument("--once", action="store_true", help="end when nothing is due (the default)")
        mode.add_argument("--watch", action="store_true", help="look for work until the process is stopped")
        mode.add_argument("--dry-run", action="store_true", help="print how much is due, and send nothing")
        mode.add_argument(
            "--drop", metavar="CHANNEL", help="skip the deliveries of a channel that is no longer in CHANNELS"
        )

    @no_translations
    def handle(self, *, watch: bool, dry_run: bool, drop: str | None, **options: object) -> None:
        if dry_run:
            self.dry_run()
            return
        if drop is not None:
            self.drop(drop)
            return
        self.total = self.handled = 0
        if watch:
            self.watch()
            return
        try:
            self.once()
        except Error as error:
            raise command_error(
                f"The database failed ({type(error).__name__}: {error}).",
                "Nothing is lost. Correct the problem and run this command again.",
            ) from None

    def dry_run(self) -> None:
        """Print how many deliveries would be sent now, how many wait, how many would be skipped, and how many notices
        have deliveries that are not all written yet, as :func:`agreement.notices.dispatch.pending` counts them. Print
        also how many deliveries wait for removed channels. Nothing is changed. Raises ``CommandError`` if sending is
        suspended.
        """
        if conf.get().SENDING_SUSPENDED:
            raise command_error(*SUSPENDED)
        found = dispatch.pending()
        self.stdout.write(f"Would send {found.due} deliveries. Notices without an audience so far: {found.unwritten}.")
        if found.later:
            now = ledger_now()
            at = dispatch.next_due_at(now)
            when = f"; the next may be sent at {at.isoformat(timespec='seconds')}" if at and at > now else ""
            self.stdout.write(
                f"{found.later} deliveries wait for their due time, their channel or its rate limits{when}."
            )
        if found.paused:
            self.stdout.write(f"{found.paused} deliveries wait until their notice is resumed.")
        if found.overtaken:
            self.stdout.write(f"Would skip {found.overtaken} deliveries of overtaken notices.")
        self.report_removed_channels()

    def report_removed_channels(self) -> None:
        """Print how many deliveries wait for each channel that the setting ``CHANNELS`` no longer names; nothing if
        there are none.
        """
        for channel, count in dispatch.removed_channels().items():
            self.stdout.write(
                f"{count} deliveries wait for {channel!r}, which is not in CHANNELS. Add it again, or skip them:"
                f" deliver_notices --drop {channel}"
            )

    def drop(self, channel: str) -> None:
        """Skip the deliveries that wait for a removed channel and have no lease or one that ran out, and print how
        many. Raises ``CommandError`` if none wait for it, or if the setting ``CHANNELS`` still names it.
        """
        waiting = dispatch.removed_channels()
        if channel not in waiting:
            raise command_error(
                f"No deliveries wait for a removed channel {quote(channel)}.",
                f"Removed channels with waiting deliveries: {', '.join(waiting) or 'none'}.",
            )
        self.stdout.write(f"Skipped {dispatch.drop_channel(channel)} deliveries.")

    def once(self) -> None:
        """Work until nothing is due and no delivery is claimed by another worker, or until a channel is unavailable;
        then print the counts. Deliveries that are due later, or wait for rate limits, are not waited for.

        Raises ``CommandError`` for suspended sending, for wrong settings (``ImproperlyConfigured``) and, after printing
        the counts, for an outage or for a fault of a notice. Errors of the database are raised.
        """
        total, leased = DeliveryCounts(), self.first_lease_end()
        while True:
            counts = self.work()
            total.add(counts)
            leased_before, leased = leased, self.first_lease_end()
            # One more call is needed if this call recorded anything, because other deliveries may have waited for it.
            if counts.suspended or counts.outage or (leased_before is leased is None and counts.idle):
                break
            if leased:
                # Another worker has claimed deliveries. It records their outcomes, or it was killed and its lease ends.
                time.sleep(min(WATCH_PAUSE, max(0.05, (leased - ledger_now()).total_seconds())))
        if counts.suspended:
            raise command_error(*SUSPENDED)
        self.report(total)
        self.report_removed_channels()
        if total.faults:
            raise command_error(
                " ".join(total.faults), "The other notices were sent. Correct this and run the command again."
            )
        waiting = Progress.objects.total()["waiting"]
        if total.outage:
            raise command_error(
                f"The channel is unavailable ({total.outage}). {waiting} deliveries wait.",
                "Nothing is lost. Correct the problem and run this command again.",
            )
        if waiting and (at := dispatch.next_due_at()):
            self.stdout.write(f"{waiting} deliveries wait; the next may be sent at {at.isoformat(timespec='seconds')}.")

    @staticmethod
    def first_lease_end() -> datetime | None:
        """Return when the first lease of any worker ends, which may be in the past; ``None`` if no delivery has a
        lease. 1 query.
        """
        return Delivery.objects.leased().order_by("due_at").values_list("due_at", flat=True).first()

    def watch(self) -> None:
        """Work until SIGTERM or SIGINT; the present call of ``work()`` is finished first. Errors of the database and
        ``ImproperlyConfigured`` are printed, and the work is tried again after ``WATCH_FAULT_PAUSE``. Outages, faults
        of notices and suspended sending do not end it either; each is printed when it begins or changes.
        """
        stopped = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopped.set())
        problem = ""
        while not stopped.is_set():
            pause = WATCH_PAUSE
            try:
                counts = self.work(seconds=WATCH_WORK)
                if not counts.idle:
                    self.report(counts)
                problems = [SUSPENDED[0]] if counts.suspended else [counts.outage, *counts.faults]
                previous, problem = problem, " ".join(filter(None, problems))
                if problem and problem != previous:  # A problem is written once, not every second.
                    self.stderr.write(problem)
                if counts.faults and counts.idle:
                    pause = WATCH_FAULT_PAUSE
            except (Error, ImproperlyConfigured) as error:
                self.stderr.write(f"{type(error).__name__}: {error}; trying again in {WATCH_FAULT_PAUSE:.0f} s")
                connections.close_all()
                pause = WATCH_FAULT_PAUSE
            close_old_connections()
            stopped.wait(pause)

    def work(self, *, seconds: float | None = None) -> DeliveryCounts:
        """Call ``dispatch.work()`` once, and return its counts. Its deadline is ``seconds`` from now (``None``: there
        is none). ``ImproperlyConfigured`` is raised as it is if ``seconds`` is given, otherwise as a ``CommandError``.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        try:
            return dispatch.work(deadline=deadline, on_outcome=self.show_progress)
        except ImproperlyConfigured as error:
            if seconds is not None:
                raise
            raise command_error(str(error)) from None

    def show_progress(self, delivery: Delivery) -> None:
        """Count the delivery as handled and, if the output is a terminal, draw a progress bar, at most ten times a
        second.
        """
        self.handled += 1
        if not self.stdout.isatty():
            return
        now = time.monotonic()
        if now < getattr(self, "redraw_at", 0.0):
            return
        if self.handled >= self.total:
            self.total = self.handled + Progress.objects.total()["waiting"]
        self.redraw_at = now + 0.1
        done = self.handled * 30 // max(self.total, 1)
        self.stdout.write(f"\r[{'#' * done}{'.' * (30 - done)}] {self.handled}/{self.total}", ending="")
        self.stdout.flush()

    def report(self, counts: DeliveryCounts) -> None:
        """Print how many deliveries were sent, failed, were skipped and were postponed, in place of the progress bar if
        there is one.
        """
        if self.stdout.isatty() and self.handled:
            self.stdout.write("\r" + " " * 60 + "\r", ending="")
        self.stdout.write(
            f"Deliveries: {counts.sent} sent, {counts.failed} failed, {counts.skipped} skipped,"
            f" {counts.postponed} postponed."
        )
