from __future__ import annotations

import json
import logging
import os
import re
import secrets
import socket
import sqlite3
import threading
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import reversion
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.hashers import make_password
from django.core.management import CommandError, call_command
from django.core.management.base import BaseCommand
from django.db import DatabaseError, connection, connections, transaction
from django.test import Client
from django.test.utils import override_settings
from django.urls import reverse
from django.utils import translation
from django.utils.formats import date_format
from django.utils.timezone import localtime

from agreement.editions import editions_in_force
from agreement.models import (
    Acceptance,
    AcceptanceMode,
    Agreement,
    Delivery,
    DeliveryOutcome,
    Edition,
    EditionError,
)
from agreement.notices import dispatch
from portal_site import mailbox
from portal_site.context_processors import PRIVACY_POLICY_SLUG
from portal_site.models import Profile

HOST, PORT = "127.0.0.1", 8000
ZONE = "Asia/Almaty"
#: The languages of the sample texts.
LANGUAGES = ("kk", "ru")
SAMPLES = Path(__file__).resolve().parents[2] / "samples"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A sample agreement, with its name in both languages. The demo finds it by ``slug``."""

    slug: str
    name_kk: str
    name_ru: str
    acceptance_mode: AcceptanceMode
    index: str
    """The name of the file that describes the editions."""
    texts: str
    """What the names of the files with the texts begin with."""
    history: dict[int, datetime]
    """When the editions took effect that are recorded as history. The demo publishes an edition that is not listed, and
    notifies the readers of it."""
    announced: tuple[int, ...] = ()
    """The editions that :func:`announce` publishes for a later day."""


USER_AGREEMENT = Sample(
    slug="user-agreement",
    name_kk="Пайдаланушы келісімі",
    name_ru="Пользовательское соглашение",
    acceptance_mode=AcceptanceMode.BY_USE,
    index="editions.json",
    texts="edition",
    history={
        1: datetime(2024, 2, 12, 9, 0, tzinfo=ZoneInfo(ZONE)),
        2: datetime(2025, 2, 1, 9, 0, tzinfo=ZoneInfo(ZONE)),
    },
)
#: The policy informs readers. They are not asked to accept it. Its first edition was recorded without a notice. Its
#: second edition has a mistake in clause 2.5, which the third one corrects.
PRIVACY_POLICY = Sample(
    slug=PRIVACY_POLICY_SLUG,
    name_kk="Құпиялылық саясаты",
    name_ru="Политика конфиденциальности",
    acceptance_mode=AcceptanceMode.ELSEWHERE,
    index="policy.json",
    texts="policy",
    history={1: datetime(2024, 2, 12, 9, 0, tzinfo=ZoneInfo(ZONE))},
    announced=(2, 3),
)
#: The announced editions take effect at the beginning of the day that is this far ahead.
AHEAD = timedelta(days=14)
SLUG = USER_AGREEMENT.slug
#: The names of the readers, and the language of their letters (``""`` if it is unknown).
READERS = {
    f"reader-{number}": language
    for number, language in enumerate(("kk", "ru", "", "kk", "ru", "kk", "ru", "kk", ""), start=1)
}
#: The reason for which the second edition of the policy is cancelled.
MISTAKE = (
    "2.5-тармақта «он екі ай» орнына «екі ай» деп жазылған. "
    "В пункте 2.5 сказано «два месяца» вместо «двенадцать месяцев»."
)
#: The reader who accepts the user agreement, and the one whose mail server refuses every letter.
ACCEPTING, UNREACHED = "reader-1", "reader-9"
ADMIN = "admin"
#: Seconds to wait for another demo that is filling the same database.
WAIT_SECONDS = 60
#: The key of the PostgreSQL advisory lock. Only one demo at a time can hold it.
ADVISORY_LOCK = 7_346_921

logger = logging.getLogger("agreement")


class Command(BaseCommand):
    help = "Fill the portal with sample editions and readers, deliver the notices, print the addresses, then serve."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-serve", action="store_true", help="end after printing the addresses")
        parser.add_argument("--port", type=int, default=PORT, help=f"the port to serve on (default: {PORT})")

    def handle(self, *, no_serve: bool, port: int, **options: Any) -> None:
        require_demo_settings()
        if not no_serve:
            require_free(port)
        with links_to(port):
            with exclusive():
                if not no_serve:  # Another demo may have taken the port while this one waited.
                    require_free(port)
                agreement, password = self.fill()
            self.report(agreement, password)
            if no_serve:
                again = "python manage.py demo" + (f" --port {port}" if port != PORT else "")
                self.print(f"\nThe site is not served now. Serve it with: {again}")
            else:
                delay = settings.AGREEMENT["NOTICE_DELAY"].total_seconds()
                self.print("\nPublish an edition in the administration. Its notices arrive in the mailbox")
                self.print(f"{delay:.0f} seconds later, so that you can pause them first (AGREEMENT_NOTICE_DELAY).")
                self.print("Ctrl+C ends the demo.\n")
                threading.Thread(target=deliver_continuously, daemon=True).start()
                # The report says what runserver would print below it. Requests and errors are printed nevertheless.
                call_command("runserver", f"{HOST}:{port}", use_reloader=False, stdout=StringIO())

    def fill(self) -> tuple[Agreement, str]:
        """Migrate the database, create the sample data that is missing, and deliver the notices. Return the agreement,
        and the password if the administrator was created now, else ``""``. Raises ``CommandError`` if the database is
        not that of a demo (:func:`require_own_database`), or if a sample edition is refused. If the notices can't be
        delivered, it prints a warning, and no reader accepts an edition yet.
        """
        require_own_database()
        call_command("migrate", verbosity=0, interactive=False)
        password = make_people()
        try:
            with without_notice_delay():
                agreement = load_samples()
            announce(PRIVACY_POLICY)
        except EditionError as error:
            raise CommandError(f"{error} {error.hint}") from None
        try:
            call_command("deliver_notices", once=True, stdout=StringIO())
        except CommandError as error:  # The pages work even if the mailbox can't be written.
            self.stderr.write(self.style.WARNING(str(error)))
        else:  # Not before: a letter quotes the changes since the last edition that its reader accepted.
            accept(agreement)
        return agreement, password

    def report(self, agreement: Agreement, password: str) -> None:
        """Print what there is to see, and where. With what ``handle()`` prints, it fits a screen of 24 lines."""
        self.print(self.style.SUCCESS("\nThe demo is ready. With /kk/ in place of /ru/ the pages are in Kazakh."))
        self.print("")
        self.row("Front page", address("ru", "home"))
        for name, sample in (("User agreement", USER_AGREEMENT), ("Privacy policy", PRIVACY_POLICY)):
            self.row(name, address("ru", "agreement:current", sample.slug), validity(sample))
        wrong, right = PRIVACY_POLICY.announced
        policy = Edition.objects.filter(agreement__slug=PRIVACY_POLICY.slug, number=wrong)
        if policy.filter(cancelled_at__isnull=False).exists():
            page = address("ru", "agreement:changes", PRIVACY_POLICY.slug, right)
            words = f"Edition {wrong} had a mistake. It was cancelled before its letters were sent."
            self.row("Correction", f"{page}?from={wrong}", words)
        self.row("Mailbox", f"{address('ru', 'mailbox')}  ({mailbox.count()} letters)")
        accepted = Acceptance.objects.filter(edition__agreement=agreement, user__username=ACCEPTING).exists()
        receipt = "The page has the receipt (PDF)." if find_spec("weasyprint") else 'A receipt needs the extra "pdf".'
        words = f"{ACCEPTING} accepted the agreement by its button. {receipt}" if accepted else ""
        self.row("My record", address("ru", "agreement:record"), words)
        self.row("Log", address("ru", "agreement:checkpoint", SLUG))
        self.row("Administration", address("ru", "admin:index"), unreached())
        first, *_others, last = READERS
        self.row("Log in as", f"{ADMIN}, or one of the readers from {first} to {last}")
        known = f"set in the first run; to change it: python manage.py changepassword {ADMIN}"
        self.row("Password", password or known)

    def row(self, name: str, value: str, words: str = "") -> None:
        """Print a line with its name, and below it a line with these words, if there are any."""
        self.print(f"  {name:<17}{value}")
        if words:
            self.print(f"{'':<19}{words}")

    def print(self, line: str) -> None:
        self.stdout.write(line)


def require_demo_settings() -> None:
    """Raise ``CommandError`` if this is a real portal: if ``DEBUG`` is off, or if letters would be sent to a mail
    server.
    """
    if not settings.DEBUG:
        raise CommandError(
            "DEBUG=0 means that this portal is a real one, and the demo would add sample readers and editions to it. "
            "Run the demo without DEBUG=0, on a separate database."
        )
    if mailbox.folder() is None:
        raise CommandError(
            "EMAIL_URL names a mail server: the demo's letters would leave this machine. "
            "Run the demo without EMAIL_URL."
        )


def require_own_database() -> None:
    """Raise ``CommandError`` if the database contains users or agreements, but was not filled by a demo. Nothing is
    written.

    A database that was filled by a demo contains at least one of the sample users in ``READERS``, with the name and the
    mail address that the demo gives them. It may contain other users and agreements too.
    """
    users = get_user_model()._default_manager.order_by("pk")
    # The tables may be missing, if the database was never migrated completely.
    tables = connection.introspection.table_names()
    has_users, has_agreements = (model._meta.db_table in tables for model in (users.model, Agreement))
    mails = [mail(name) for name in READERS]
    # The demo creates the readers together with the administrator. An "admin" without readers is not from a demo.
    if not has_users or users.filter(username__in=READERS, email__in=mails).exists():
        return
    if (name := users.values_list("username", flat=True).first()) is not None:
        found = f"the user {name!r}"
    elif has_agreements and (slug := Agreement.objects.values_list("slug", flat=True).first()) is not None:
        found = f"the agreement {slug!r}"
    else:
        return
    raise CommandError(
        f"This database contains {found}, which the demo did not create. Nothing was written. Serve it with: "
        "python manage.py runserver. Or use a separate database for the demo: DATABASE_URL=sqlite:///demo.sqlite3"
    )


@contextmanager
def exclusive() -> Iterator[None]:
    """Context manager: prevent other demos from filling this database. Raises ``CommandError`` after waiting
    ``WAIT_SECONDS`` for another demo, and if the file of the lock can't be written.

    On PostgreSQL this is an advisory lock, which ends with the connection. On SQLite it is a lock on an empty file
    beside the database, because a lock on the database itself would stop this demo too. On other databases, and on an
    SQLite database in memory, nothing is locked.
    """
    busy = f"Another demo has been filling this database for {WAIT_SECONDS} s. Run this one again after it has ended."
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            for _attempt in range(WAIT_SECONDS):
                cursor.execute("SELECT pg_try_advisory_lock(%s)", [ADVISORY_LOCK])
                if cursor.fetchone()[0]:
                    break
                time.sleep(1)
            else:
                raise CommandError(busy)
        try:
            yield
        finally:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [ADVISORY_LOCK])
        return
    # mypy does not know this method, which only the connection to SQLite has.
    if connection.vendor != "sqlite" or connection.is_in_memory_db():  # type: ignore[attr-defined]
        yield
        return
    beside = f"{connection.settings_dict['NAME']}-demo"
    try:
        lock = sqlite3.connect(beside, timeout=WAIT_SECONDS, isolation_level=None)
    except sqlite3.OperationalError as error:
        raise CommandError(f"{beside!r} can't be written ({error}). Use a folder in which you may write.") from None
    with closing(lock):
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            raise CommandError(busy) from None
        yield


def require_free(port: int) -> None:
    """Raise ``CommandError`` if the demo can't serve on this port, for example because another program uses it, or
    because it is not a port.
    """
    hint = f"Use another port: python manage.py demo --port {port + 1 if 0 < port < 65535 else 8001}"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port or -1))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or "not a port"
            raise CommandError(f"Port {port} can't be used ({reason.lower()}). {hint}") from None


def links_to(port: int) -> AbstractContextManager[object]:
    """Return a context manager in which mails and pages link to this port. If ``AGREEMENT_BASE_URL`` is set, they link
    to that address instead.
    """
    if os.environ.get("AGREEMENT_BASE_URL"):
        return nullcontext()
    return override_settings(
        AGREEMENT={**settings.AGREEMENT, "BASE_URL": f"http://{HOST}:{port}"},
        SETTINGS_MODULE=settings.SETTINGS_MODULE,  # runserver prints it
    )


def address(language: str, view: str, *args: object) -> str:
    """Return the absolute URL of a view in that language. ``args`` are the arguments of the view."""
    with translation.override(language):
        return f"{settings.AGREEMENT['BASE_URL'].rstrip('/')}{reverse(view, args=args)}"


def validity(sample: Sample) -> str:
    """Return which edition of the sample agreement is in force, and which one is announced, in English."""
    with translation.override("en"):
        (displayed,) = (one for one in editions_in_force() if one.edition.agreement.slug == sample.slug)
        if announced := displayed.successor:
            day = date_format(localtime(announced.effective_from, ZoneInfo(ZONE)), "j F Y")
            number = displayed.edition.number
            return f"Edition {announced.number} is announced for {day}. Until then edition {number} is in force."
        return f"{displayed.headline}."


def unreached() -> str:
    """Return which users did not get a letter because it was refused; ``""`` if every user got all letters."""
    failed = Delivery.objects.filter(outcome=DeliveryOutcome.FAILED, user__isnull=False)
    names = sorted(set(failed.values_list("user__username", flat=True)))
    return f"Not reached: {len(names)} ({', '.join(names)}). The mail server refuses the address." if names else ""


def mail(name: str) -> str:
    """Return the mail address of a sample user. The mailbox refuses letters to that of ``UNREACHED``."""
    return f"{name}@example{mailbox.REFUSED_DOMAIN if name == UNREACHED else '.kz'}"


def without_notice_delay() -> AbstractContextManager[object]:
    """Return a context manager in which the notice of a published edition is due immediately."""
    return override_settings(AGREEMENT=settings.AGREEMENT | {"NOTICE_DELAY": timedelta()})


def make_people() -> str:
    """Create the sample users in ``READERS`` and the administrator, as far as they are missing. If the administrator is
    created now, all created users get the same password, which is returned. Otherwise return ``""``; then the users
    that were created have no password and can't log in.
    """
    users = get_user_model()._default_manager
    with transaction.atomic():
        first = not users.filter(username=ADMIN).exists()
        password = secrets.token_urlsafe(12) if first else ""
        hashed = make_password(password or None)  # One hash for all users: hashing is slow. None: no login.
        for name, language in READERS.items():
            user, created = users.get_or_create(username=name, defaults={"email": mail(name), "password": hashed})
            if created:
                Profile.objects.create(user=user, language=language)
        if first:
            users.create_superuser(ADMIN, mail(ADMIN), password)
    return password


def load_samples() -> Agreement:
    """Load the sample agreements without the editions that are announced, and return the user agreement. The
    administrator must exist.
    """
    load(PRIVACY_POLICY)
    return load(USER_AGREEMENT)


def load(sample: Sample) -> Agreement:
    """Record or publish the editions of this sample with a higher number than the last sealed edition, each in one
    transaction; all of them if no edition is sealed. Those in ``sample.history`` are recorded as history, and the
    others published, except those in ``sample.announced``. None is added after an edition that was published, by the
    demo or by a person.

    Return the agreement, which is created if it is missing. Raises ``EditionError`` if an edition is refused; those
    before it remain. The administrator must exist.
    """
    agreement, _created = Agreement.objects.get_or_create(
        slug=sample.slug,
        defaults={
            "name_kk": sample.name_kk,
            "name_ru": sample.name_ru,
            "time_zone": ZONE,
            "acceptance_mode": sample.acceptance_mode,
        },
    )
    admin = administrator()
    for number, stated in stated_editions(sample).items():
        if number in sample.announced:
            continue
        with transaction.atomic():
            agreement.lock()
            last = Edition.objects.published().filter(agreement=agreement).last()
            if last and ((last.number or 0) >= number or not last.imported):
                continue
            edition = draft(agreement, sample, number, stated)
            if moment := sample.history.get(number):
                edition.record(effective_from=moment, by=admin)
            else:
                edition.publish(by=admin, reason="Портал жұмысын көрсету. Показ работы портала.")
    return agreement


def announce(sample: Sample) -> None:
    """Announce the editions in ``sample.announced``, of which there are two, and correct a mistake: publish the first
    one, cancel it within the notice delay, so that no user is notified of it, and publish the second one, whose notice
    is due immediately. Both are to take effect at the same moment.

    This is one transaction. Nothing is done if an edition was published before, by the demo or by a person. Raises
    ``EditionError`` if an edition is refused. The agreement must have its history, and the administrator must exist.
    """
    agreement, admin, stated = Agreement.objects.get(slug=sample.slug), administrator(), stated_editions(sample)
    today = localtime(timezone=ZoneInfo(ZONE)).replace(hour=0, minute=0, second=0, microsecond=0)
    with transaction.atomic():
        agreement.lock()
        last = Edition.objects.published().filter(agreement=agreement).last()
        if last is None or not last.imported:
            return
        wrong, right = sample.announced
        edition = draft(agreement, sample, wrong, stated[wrong])
        edition.publish(effective_from=today + AHEAD, by=admin)
        edition.cancel(by=admin, reason=MISTAKE)
        with without_notice_delay():
            draft(agreement, sample, right, stated[right]).publish(effective_from=today + AHEAD, by=admin)


def accept(agreement: Agreement) -> None:
    """Let the reader ``ACCEPTING`` accept the user agreement by its button, on the page that displays the text. Nothing
    is done if they accepted an edition before, or if another edition than the last one of the samples is in force.
    """
    reader = get_user_model()._default_manager.get(username=ACCEPTING)
    last = max(stated_editions(USER_AGREEMENT))
    in_force = Edition.objects.in_force().filter(agreement=agreement, number=last).exists()
    if not in_force or Acceptance.objects.for_user_key(reader.pk).exists():
        return
    page = urlsplit(address(READERS[ACCEPTING], "agreement:accept", agreement.slug))
    browser = Client(SERVER_NAME=page.hostname, SERVER_PORT=str(page.port or 80))
    browser.force_login(reader)
    question = browser.get(page.path).content.decode()
    stated = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', question))
    browser.post(page.path, {**stated, "decision": "accept"})
    browser.logout()


def administrator() -> AbstractBaseUser:
    return get_user_model()._default_manager.get(username=ADMIN)


def draft(agreement: Agreement, sample: Sample, number: int, stated: dict[str, Any]) -> Edition:
    """Create a draft of the sample edition with this number, as the administrator. Its comment names the files."""
    with reversion.create_revision():
        reversion.set_user(administrator())
        names = [file(number, language, sample).name for language in LANGUAGES]
        reversion.set_comment(", ".join(names))
        return Edition.objects.create_draft(agreement=agreement, bodies=bodies(number, sample), **stated)


def stated_editions(sample: Sample) -> dict[int, dict[str, Any]]:
    """Return the fields of the sample editions without their texts, by number, the lowest number first."""
    found = json.loads((SAMPLES / sample.index).read_text(encoding="utf-8"))
    return {stated.pop("number"): stated for stated in found}


def bodies(number: int, sample: Sample = USER_AGREEMENT) -> dict[str, str]:
    """Return the texts of a sample edition by language."""
    return {language: file(number, language, sample).read_text(encoding="utf-8") for language in LANGUAGES}


def file(number: int, language: str, sample: Sample = USER_AGREEMENT) -> Path:
    """Return the file with the text of a sample edition in ``kk`` or ``ru``."""
    return SAMPLES / f"{sample.texts}-{number}.{language}.md"


def deliver_continuously() -> None:
    """Send notices for ever, as ``deliver_notices --watch`` does in a deployment. It runs in a daemon thread. An error
    of the database is logged, and the function tries again after a second.
    """
    while True:
        time.sleep(1)
        try:
            dispatch.work()
        except DatabaseError as error:
            logger.warning("notices wait: %s", error)
        finally:
            connections.close_all()
