from __future__ import annotations

import json
import logging
import os
import secrets
import socket
import threading
import time
from argparse import ArgumentParser
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import reversion
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.core.management.base import BaseCommand
from django.db import DatabaseError, connections, transaction
from django.test.utils import override_settings
from django.urls import reverse
from django.utils import timezone, translation

from agreement import dates, dispatch
from agreement.models import Agreement, Delivery, Edition, EditionError
from portal_site import mailbox
from portal_site.models import Profile

HOST, PORT = "127.0.0.1", 8000
SLUG = "user-agreement"
ZONE = "Asia/Almaty"
SAMPLES = Path(__file__).resolve().parents[2] / "samples"
#: When the editions from before this software took effect; the one without a moment is published by the demo.
HISTORY = {
    1: datetime(2024, 2, 12, 9, 0, tzinfo=ZoneInfo(ZONE)),
    2: datetime(2025, 2, 1, 9, 0, tzinfo=ZoneInfo(ZONE)),
}
#: Languages of letters; "" is a reader who never said.
READERS = ("kk", "ru", "", "kk", "ru", "kk", "ru", "kk", "")
ADMIN = "admin"

logger = logging.getLogger("agreement")


class Command(BaseCommand):
    help = "Fill the portal with sample editions and readers, deliver the notices, say where to look, and serve."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-serve", action="store_true", help="end after the report")
        parser.add_argument("--port", type=int, default=PORT, help=f"where to serve (default: {PORT})")

    def handle(self, *, no_serve: bool, port: int, **options: Any) -> None:
        if not no_serve:
            require_free(port)
        with links_to(port):
            call_command("migrate", verbosity=0, interactive=False)
            password = make_people()
            try:
                agreement = load_samples()
            except EditionError as error:
                raise CommandError(f"{error} {error.hint}") from None
            try:
                call_command("deliver_notices", once=True, stdout=self.stdout)
            except CommandError as error:  # A mail server that is away keeps nobody from the pages.
                self.stderr.write(self.style.WARNING(str(error)))
            self.report(agreement, password)
            if no_serve:
                again = "python manage.py demo" + (f" --port {port}" if port != PORT else "")
                self.say(f"\nNothing is served now. Serve it with: {again}")
            else:
                self.say("\nPublish an edition in the administration: its notices come to the mailbox.")
                self.say("Ctrl+C ends the demo.\n")
                threading.Thread(target=deliver_for_ever, daemon=True).start()
                call_command("runserver", f"{HOST}:{port}", use_reloader=False)

    def report(self, agreement: Agreement, password: str) -> None:
        now = timezone.now()
        edition = Edition.objects.in_force(now).get(agreement=agreement)
        editions = Edition.objects.published().filter(agreement=agreement).count()
        sent = Delivery.objects.filter(outcome=Delivery.Outcome.SENT).count()
        since = dates.instant(edition.effective_from, "en", agreement.time_zone)
        self.say(self.style.SUCCESS("\nThe demo is ready."))
        self.say(f"Edition {edition.number} is in force since {since}.")
        self.say(f"Editions in the archive: {editions}. Notices sent: {sent}.\n")
        self.row("Front page", address("ru", "home"))
        self.row("Келісім (kk)", address("kk", "agreement:current", SLUG))
        self.row("Соглашение (ru)", address("ru", "agreement:current", SLUG))
        self.row("Archive", address("ru", "agreement:editions", SLUG))
        if mailbox.folder() is None:
            self.row("Mailbox", "not kept here: EMAIL_URL names a mail server")
        elif settings.DEBUG:
            self.row("Mailbox", f"{address('ru', 'mailbox')}  ({mailbox.count()} letters)")
        else:
            self.row("Mailbox", f"{mailbox.folder()}  (shown in the browser with DEBUG=1)")
        self.row("Administration", address("ru", "admin:index"))
        self.row("  user", ADMIN)
        self.row(
            "  password",
            password or f"kept from the first run; another one: python manage.py changepassword {ADMIN}",
        )

    def row(self, name: str, value: str) -> None:
        self.say(f"  {name:<17}{value}")

    def say(self, line: str) -> None:
        self.stdout.write(line)


def require_free(port: int) -> None:
    """Raises ``CommandError`` before anything is written if nobody could be served at that port."""
    hint = f"Name another one: python manage.py demo --port {port + 1 if 0 < port < 65535 else 8001}"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port or -1))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or "not a port"
            raise CommandError(f"Port {port} can't be used ({reason.lower()}). {hint}") from None


def links_to(port: int) -> AbstractContextManager[Any]:
    """Mails and pages name the address this demo serves, unless ``AGREEMENT_BASE_URL`` names another."""
    if os.environ.get("AGREEMENT_BASE_URL"):
        return nullcontext()
    return override_settings(
        AGREEMENT={**settings.AGREEMENT, "BASE_URL": f"http://{HOST}:{port}"},
        SETTINGS_MODULE=settings.SETTINGS_MODULE,  # runserver prints it
    )


def address(language: str, view: str, *args: object) -> str:
    with translation.override(language):
        return f"{settings.AGREEMENT['BASE_URL'].rstrip('/')}{reverse(view, args=args)}"


def make_people() -> str:
    """Make the readers and the administrator who are missing; the administrator's password, if made now."""
    users = get_user_model()._default_manager
    with transaction.atomic():
        for number, language in enumerate(READERS, start=1):
            name = f"reader-{number}"
            user, made = users.get_or_create(username=name, defaults={"email": f"{name}@example.kz"})
            if made:
                user.set_unusable_password()
                user.save()
                Profile.objects.create(user=user, language=language)
        if users.filter(username=ADMIN).exists():
            return ""
        password = secrets.token_urlsafe(12)
        users.create_superuser(ADMIN, f"{ADMIN}@example.kz", password)
    return password


def load_samples() -> Agreement:
    """Record or publish the sample editions that are missing, each whole or not at all."""
    agreement, _made = Agreement.objects.get_or_create(slug=SLUG, defaults={"time_zone": ZONE})
    admin = get_user_model()._default_manager.get(username=ADMIN)
    for stated in json.loads((SAMPLES / "editions.json").read_text(encoding="utf-8")):
        number = stated.pop("number")
        with transaction.atomic():
            agreement.lock()
            last = Edition.objects.published().filter(agreement=agreement).last()
            if last and (last.number >= number or not last.imported):
                continue
            with reversion.create_revision():
                reversion.set_user(admin)
                reversion.set_comment(f"Sample edition {number}")
                edition = Edition.objects.draft(agreement=agreement, bodies=bodies(number), **stated)
            if moment := HISTORY.get(number):
                edition.record(effective_from=moment, by=admin)
            else:
                edition.publish(by=admin)
    return agreement


def bodies(number: int) -> dict[str, str]:
    return {
        language: (SAMPLES / f"edition-{number}.{language}.md").read_text(encoding="utf-8") for language in ("kk", "ru")
    }


def deliver_for_ever() -> None:
    """What ``deliver_notices --watch`` does in a deployment, in a thread that ends with the demo."""
    while True:
        time.sleep(1)
        try:
            dispatch.work()
        except DatabaseError as error:
            logger.warning("notices wait: %s", error)
        finally:
            connections.close_all()
