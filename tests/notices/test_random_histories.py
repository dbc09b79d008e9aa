"""In random histories, what each user is told equals what changed for them, and nothing material is called wording."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.test import override_settings
from django.utils import timezone
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from agreement.models import (
    Acceptance,
    AcceptanceKind,
    Delivery,
    Edition,
    Notice,
    NoticeKind,
    NoticeText,
    knowledge,
)
from agreement.models.succession import EditionDates, covered_editions, only_wording_changed
from agreement.notices import dispatch
from agreement.notices.channels import Deferred, EmailChannel, Refused
from agreement.notices.letters import NoticeContent
from tests.support import factories
from tests.support.scale import examples
from tests.support.site import KK, RU

DELAY, SOON = timedelta(hours=1), timedelta(days=5)


@dataclass
class Event:
    """That a user was told of edition ``number``: by a letter, the page or an acceptance."""

    number: int
    covers: set[int]
    since: int = 0
    delivery: int = 0
    """The key of the delivery; 0: no letter."""


@dataclass
class World:
    """What happened, as the test knows it. It computes from this alone what must be told, to whom and how."""

    users: list[Any]
    editions: list[Edition] = field(default_factory=list)
    parents: dict[int, int] = field(default_factory=dict)
    """Number of an edition → that of the edition that it was written from: the last one at its publication."""
    announced: set[int] = field(default_factory=set)
    began: dict[int, int] = field(default_factory=dict)
    """Key of a user → number of the edition in force when the account was created."""
    events: dict[int, list[Event]] = field(default_factory=lambda: defaultdict(list))
    returned: set[int] = field(default_factory=set)
    answers: dict[tuple[str, str], str] = field(default_factory=dict)
    """Channel and address → what the channel answers to a letter."""
    faults: list[str] = field(default_factory=list)

    def binding(self, most: int) -> list[int]:
        return [one.number or 0 for one in self.editions if not one.cancelled_at and (one.number or 0) <= most]

    def beginning(self, user: int) -> int:
        silent = [number for number in self.binding(99)[:1] if number not in self.announced]
        return max([self.began.get(user, 0), *silent])

    def to_tell(self, user: int, number: int) -> set[int]:
        """The editions that a message about that edition must cover for this user."""
        told: set[int] = set()
        for event in self.events[user]:
            compared = self.editions[event.since - 1] if event.since else None
            if event.number < number and event.delivery not in self.returned:
                told |= set() if compared and compared.cancelled_at else event.covers
        untold = [one for one in self.binding(number) if one > self.beginning(user) and one not in told]
        return {one for one in self.binding(number) if one >= min([*untold, number])}

    def is_wording(self, since: int, number: int) -> bool:
        """Whether nothing but the wording changed between the two editions."""
        while number > since and not self.editions[number - 1].material:
            number = self.parents[number]
        return bool(since) and number == since

    def last(self, below: int) -> int:
        return max([0, *(one for one in self.binding(99) if one < below)])

    def run(self, steps: list[tuple[str, int, int]]) -> None:
        """Take the steps, then let the workers finish everything, and compare what every user was told with what
        changed for them.
        """
        for step, choice, other in steps:
            getattr(self, step)(choice, other)
            for edition in self.editions:
                edition.refresh_from_db(fields=["cancelled_at"])
        self.answers.clear()
        self.delay(0, 0)
        for notice in Notice.objects.all():
            notice.resume()
            notice.resend()
        for days in (1, 2):
            later = timezone.now() + timedelta(days=days, hours=3)
            self.work(clock=lambda at=later: at)
        last = max(self.announced & set(self.binding(99)), default=0)
        for delivery in Delivery.objects.filter(notice__edition__number=last, outcome="sent"):
            user = delivery.user_id
            told = set().union(*(event.covers for event in self.events[user]))
            if untold := {one for one in self.binding(last) if one > self.beginning(user)} - told:
                self.faults.append(f"{untold} were never told to {user}")

        for notice in Notice.objects.filter(kind=NoticeKind.CANCELLED):
            self.check_cancellation(notice.edition.number or 0, set(notice.deliveries.values_list("user", "channel")))

    def check_cancellation(self, number: int, notified: set[tuple[int, str]]) -> None:
        """Whoever was told of the cancelled edition is notified of the cancellation, and nobody else is."""
        for user, events in self.events.items():
            by_letter = {event.delivery for event in events if event.delivery and number in event.covers}
            channels = set(Delivery.objects.filter(pk__in=by_letter).values_list("channel", flat=True))
            if any(event.number == number and not event.delivery for event in events):
                channels |= {RecordingChannel.name, OtherChannel.name}
            if missing := {(user, channel) for channel in channels} - notified:
                self.faults.append(f"{missing} are not notified that {number} was cancelled")
        told = {user for user, events in self.events.items() if any(number in event.covers for event in events)}
        if others := {user for user, _channel in notified} - told:
            self.faults.append(f"{others} are notified that {number} was cancelled, of which they never knew")

    def check(self, user: int, number: int, *, since: int, covers: set[int], wording: bool, what: str) -> None:
        expected = self.to_tell(user, number)
        if covers != expected:
            self.faults.append(f"{what} of {number} to {user} covers {covers}, not {expected}")
        if wording != self.is_wording(since, number):
            self.faults.append(f"{what} of {number} since {since} to {user} states wording={wording}")

    def publish(self, choice: int, other: int) -> None:
        number, scheduled = len(self.editions) + 1, [one for one in self.editions if not one.cancelled_at]
        pending = bool(scheduled) and scheduled[-1].effective_from > timezone.now()
        coming = timezone.now() + number * SOON if pending or choice % 2 else None
        material, notify = choice % 3 == 0, choice % 5 != 1
        edition = factories.draft(
            kk=KK.replace("Екінші", f"{number}-екінші"),
            ru=RU.replace("Второй", f"Второй {number}"),
            summary_kk="-",
            summary_ru=f"Суть {number}.",
            material=material,
        )
        self.parents[number] = self.last(number)
        edition.publish(effective_from=coming, notify=notify, reason="Сот шешімі.")
        self.editions.append(edition)
        if notify:
            self.announced.add(number)

    def cancel(self, choice: int, other: int) -> None:
        coming = [one for one in self.editions if not one.cancelled_at and one.effective_from > timezone.now()]
        if coming:
            coming[choice % len(coming)].cancel()

    def pause(self, choice: int, other: int) -> None:
        for notice in Notice.objects.order_by("-pk")[choice % 3 : choice % 3 + 1]:
            notice.pause(at=notice.due_at - timedelta(seconds=1) if other % 2 else None)

    def resume(self, choice: int, other: int) -> None:
        for notice in Notice.objects.filter(paused_at__isnull=False)[:1]:
            notice.resume()

    def in_force(self) -> Edition | None:
        found = [one for one in self.editions if not one.cancelled_at and one.effective_from <= timezone.now()]
        return found[-1] if found else None

    def accept(self, user: Any, edition: Edition, kind: str) -> None:
        Acceptance.objects.record(user=user, edition=edition, digest=edition.digest, language="ru", kind=kind)

    def visit(self, choice: int, other: int) -> None:
        for user in self.users if choice % 2 else self.users[:2]:
            if edition := self.in_force():
                self.accept(user, edition, AcceptanceKind.DEEMED)

    def confirm(self, choice: int, other: int) -> None:
        coming = [one for one in self.editions if not one.cancelled_at and one.effective_from > timezone.now()]
        user, edition = self.users[choice % len(self.users)], (coming[0] if coming and other % 2 else self.in_force())
        if edition:
            self.accept(user, edition, AcceptanceKind.EXPLICIT)
            found = Acceptance.objects.filter(user=user, edition=edition, kind=AcceptanceKind.EXPLICIT)
            if found:
                self.events[user.pk].append(Event(edition.number or 0, set(range(1, (edition.number or 0) + 1))))

    def look(self, choice: int, other: int) -> None:
        """The user opens the page of notices."""
        user = self.users[choice % len(self.users)]
        notices = list(Notice.objects.for_user(user))
        since = knowledge.since_by_notice(user, notices)
        dated = [EditionDates.from_edition(one) for one in self.editions]
        described = [one for one in notices if one.kind != NoticeKind.CANCELLED and not one.edition.cancelled_at]
        for notice in described:
            edition, base = EditionDates.from_edition(notice.edition), since[notice.pk]
            self.check(
                user.pk,
                edition.number,
                since=base,
                covers={one.number for one in covered_editions(edition, dated, since=base)},
                wording=only_wording_changed(edition, dated, since=base),
                what="the page",
            )
        Notice.objects.mark_read(user, notices)
        for notice in described:
            number = notice.edition.number or 0
            self.events[user.pk].append(Event(number, set(range(1, number + 1))))

    def answer(self, choice: int, other: int) -> None:
        user = self.users[choice % len(self.users)]
        channel = (RecordingChannel.name, OtherChannel.name)[other % 2]
        self.answers[channel, str(user.pk)] = ("", "refuses", "away", "no address")[other // 2 % 4]

    def bounce(self, choice: int, other: int) -> None:
        for delivery in Delivery.objects.filter(outcome="sent", bounces=None).order_by("-pk")[
            choice % 4 : choice % 4 + 1
        ]:
            assert Delivery.objects.record_bounce(f"{delivery.message_id_local_part}@127.0.0.1")
            self.returned.add(delivery.pk)

    def resend(self, choice: int, other: int) -> None:
        for notice in Notice.objects.order_by("-pk")[:2]:
            notice.resend()

    def join(self, choice: int, other: int) -> None:
        if len(self.users) < 5:
            edition, (user,) = self.in_force(), factories.users(1, languages=("ru",))
            self.users.append(user)
            self.began[user.pk] = (edition.number or 0) if edition else 0

    def delay(self, choice: int, other: int) -> None:
        settings.AGREEMENT["NOTICE_DELAY"] = DELAY if choice % 2 else timedelta()

    def work(self, *_choices: int, clock: Any = None) -> None:
        self.faults += dispatch.work(clock=clock).faults

    def write(self, choice: int, other: int) -> None:
        """A worker writes the deliveries, and is stopped."""
        for notice in Notice.objects.unfinished()[:1]:
            dispatch.fan_out(notice)


world: World


class RecordingChannel(EmailChannel):
    """Sends to the key of the user, and compares each letter with what the world says."""

    name = "letters"
    bilingual = False

    def address(self) -> Any:
        return F("pk")

    def faults(self) -> list[str]:
        return []

    def compose(self, notice: Notice, language: str, *, since: int) -> NoticeContent:
        return (
            super().compose(notice, language, since=since) if language == "ru" else NoticeContent(subject="", text="-")
        )

    def unreachable(self, address: str) -> str:
        return world.answers.get((self.name, address), "") if "address" in self.answer(address) else ""

    def answer(self, address: str) -> str:
        return world.answers.get((self.name, address), "")

    def send(self, delivery: Delivery, address: str, text: NoticeText) -> None:
        if self.answer(address) == "refuses":
            raise Refused("550")
        if self.answer(address) == "away":
            raise Deferred("450", personal=True)
        if delivery.notice.kind == NoticeKind.CANCELLED:
            return
        user, number = int(address), delivery.notice.edition.number or 0
        covers = set(map(int, re.findall(r"Суть (\d+)\.", text.text)))
        wording = bool(text.since) and "{+" not in text.text
        world.check(user, number, since=text.since, covers=covers, wording=wording, what="the letter")
        world.events[user].append(Event(number, covers, text.since, delivery.pk))


class OtherChannel(RecordingChannel):
    name = "others"


STEPS = [
    *("publish", "publish", "publish", "cancel", "pause", "resume", "visit", "confirm", "look", "look"),
    *("answer", "bounce", "resend", "join", "delay", "work", "work", "work", "write"),
]


@pytest.mark.django_db
@hypothesis(max_examples=examples(200))
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 59), st.integers(0, 59)), min_size=4, max_size=25))
def test_everybody_is_told_exactly_what_changed_for_them(steps):
    global world
    channels = tuple(f"{__name__}.{channel.__name__}" for channel in (RecordingChannel, OtherChannel))
    site = {**settings.AGREEMENT, "CHANNELS": channels, "ACCEPT_ANNOUNCED": True, "REMINDER_DAYS": 4}
    with override_settings(AGREEMENT=site), transaction.atomic():
        world = World(factories.users(3, languages=("ru",)))
        world.run([("publish", 0, 0), *steps])
        transaction.set_rollback(True)
    assert not world.faults, world.faults
