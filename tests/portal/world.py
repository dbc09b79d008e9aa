"""What the authorization matrix is made of: the people who ask, the rows they ask for, and every address of the URL
configuration with each of these rows.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode

import reversion
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, transaction
from django.test import Client, RequestFactory
from django.test.client import ClientHandler
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone, translation
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice
from django_tasks_db.models import DBTaskResult
from reversion.models import Version

from agreement import tasks
from agreement.acceptance import consents
from agreement.evidence import signatures
from agreement.groups import AUTHORS, PRIVACY_OFFICERS, PUBLISHERS
from agreement.models import (
    Acceptance,
    Agreement,
    AuditEntry,
    Breach,
    Consent,
    Decline,
    Delivery,
    Edition,
    LegalHold,
    Notice,
    Withdrawal,
)
from agreement.models.agreements import AcceptanceMode
from agreement.notices import dispatch
from tests.admin.test_editions import question, written
from tests.support import factories
from tests.support.officials import Official

NOBODY, INACTIVE = "nobody", "inactive"
UNDECIDED, USER, OTHER = "undecided", "user", "other"
STAFF, AUTHOR, PUBLISHER, OFFICER, ROOT = "staff", "author", "publisher", "officer", "superuser"
#: The groups of each person who has any.
GROUPS = {AUTHOR: [AUTHORS], PUBLISHER: [PUBLISHERS], OFFICER: [PRIVACY_OFFICERS]}

DRAFT, SUPERSEDED, IN_FORCE, CANCELLED, SCHEDULED = "draft", "superseded", "in force", "cancelled", "scheduled"

#: A word that is only in drafts, the name of an applicant, the text of their application, and an address of a user.
DRAFT_WORD, APPLICANT, SCAN, EMAIL = (
    "жарияланбаған",
    "Өтініш Берушіұлы",
    "%PDF-1.7 application",
    f"is-{USER}@example.kz",
)

WRITES = re.compile(r'\s*(?:INSERT\s+(?:OR \w+ )?INTO|REPLACE INTO|UPDATE|DELETE FROM)\s+"?(\w+)', re.IGNORECASE)


@dataclass(frozen=True)
class Address:
    """A path with the name of its URL pattern; a pattern without a name has its route instead. ``row`` says which row
    of several the path is about.
    """

    name: str
    path: str
    row: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.row})" if self.row else self.name


@dataclass(frozen=True)
class Answer:
    """A response with its whole content, and the tables that the request changed; ``mail`` if it sent a letter."""

    response: Any
    content: bytes
    written: frozenset[str]


class World:
    """The people and the rows, made once for many requests."""

    def __init__(self) -> None:
        # Django's test client does more for each request, which would take a third of the time.
        self.handler = ClientHandler(enforce_csrf_checks=False)
        self.sessions = dict(self._people())
        self._editions()
        self._rows_about_users()
        client = Client()
        client.force_login(self.users[ROOT])
        day = (timezone.now() + timedelta(days=60)).date().isoformat()
        answer = {"when": "at", "date": day, "time": "09:00", "confirmation": "жариялау"}
        self.publication = question(client, self.editions[DRAFT], **answer)
        # Signing in and out is not what the rules are about.
        tables = {*connection.introspection.table_names()} - {Session._meta.db_table}
        self.contents = {table: _contents(table) for table in tables}

    def _people(self) -> Iterator[tuple[str, str]]:
        """Make the people, and yield the key of the session of each who has one."""
        users = get_user_model()
        self.users: dict[str, Any] = {}
        for person in (INACTIVE, UNDECIDED, USER, OTHER, STAFF, AUTHOR, PUBLISHER, OFFICER, ROOT):
            user = users.objects.create_user(person, f"is-{person}@example.kz")
            user.is_staff = person not in {USER, OTHER}
            # Only their inactive account, or the acceptance that they have not given, keeps the other two out.
            user.is_superuser = person in {ROOT, INACTIVE, UNDECIDED}
            user.is_active = person != INACTIVE
            user.save()
            user.groups.set(Group.objects.filter(name__in=GROUPS.get(person, [])))
            self.users[person] = user
            client = Client()
            client.force_login(user)
            yield person, client.cookies[settings.SESSION_COOKIE_NAME].value

    def _editions(self) -> None:
        """Make an edition in each state except the scheduled one, and a deleted draft."""
        terms = factories.agreement()
        Agreement.objects.update(acceptance_mode=AcceptanceMode.BY_CONFIRMATION)
        later = timezone.now() + timedelta(days=30)
        secret = {"kk": f"{factories.KK}\n1.3. {DRAFT_WORD}\n", "ru": f"{factories.RU}\n1.3. {DRAFT_WORD}\n"}
        self.editions = {
            SUPERSEDED: factories.published(),
            IN_FORCE: factories.published(**_wording("A")),
            CANCELLED: factories.published(effective_from=later, **_wording("B")),
        }
        self.editions[CANCELLED].cancel()
        # An agreement that has only a draft.
        factories.draft(slug="unpublished", **secret)
        with reversion.create_revision():
            self.editions[DRAFT] = factories.draft(**secret)
        with reversion.create_revision():
            deleted = factories.draft(**secret)
        self.recovered = written(deleted)
        deleted.delete()
        (self.deleted,) = Version.objects.get_deleted(Edition)
        self.revision = Version.objects.get_for_object(self.editions[DRAFT]).get()
        self.terms = terms
        field = urlencode({"app_label": "agreement", "model_name": "notice", "field_name": "edition"})
        self.queries = {
            "admin:agreement_edition_compare": f"?old={self.revision.pk}",
            "admin:autocomplete": f"?{field}",
        }

    def _rows_about_users(self) -> None:
        """Let everyone but the undecided accept, make the scheduled edition, and a row of each kind for the desk."""
        edition = self.editions[IN_FORCE]
        for person, user in self.users.items():
            if person != UNDECIDED:
                given = {"digest": edition.digest, "language": "kk", "kind": "explicit"}
                Acceptance.objects.record(user=user, edition=edition, **given)
        dispatch.work()
        # The notice about this edition is not sent yet.
        later = timezone.now() + timedelta(days=30)
        self.editions[SCHEDULED] = factories.published(effective_from=later, **_wording("C"))
        self._sign()
        user = self.users[USER]
        purpose = consents.purposes("kk")[0]
        received = timezone.now().date() - timedelta(days=1)
        application = {"agreement": self.terms, "outcome": "ended", "received_on": received, "applicant": APPLICANT}
        scan = SimpleUploadedFile("scan.pdf", SCAN.encode())
        self.rows: dict[str, Any] = {
            "agreement": self.terms,
            "acceptance": Acceptance.objects.get(user=user),
            "consent": Consent.objects.give(
                user=self.users[INACTIVE], purpose=purpose.name, language="kk", text=purpose.text
            ),
            "decline": Decline.objects.record(user=user, edition=edition, digest=edition.digest, language="kk"),
            "withdrawal": Withdrawal.objects.register(**application, scan=scan),
            "breach": Breach.objects.create(agreement=self.terms, text_kk="Не болды.", text_ru="Что произошло."),
            "legalhold": LegalHold.objects.place(ground="№ 5", by="officer", user=user),
            "notice": Notice.objects.get(edition=self.editions[SCHEDULED]),
            "delivery": Delivery.objects.filter(user=user).first(),
            "auditentry": AuditEntry.objects.log("viewed", on=user, by="officer"),
            "user": user,
            "group": Group.objects.first(),
            "dbtaskresult": DBTaskResult.objects.get(pk=tasks.deliver_notices.enqueue().id),
            "staticdevice": StaticDevice.objects.create(user=self.users[ROOT], name="Paper"),
            "totpdevice": TOTPDevice.objects.create(user=self.users[ROOT], name="Phone"),
        }

    def _sign(self) -> None:
        """Store the signatures of two officials over the edition in force, and make those of a third over each sealed
        edition, in base64, for the page that stores them.
        """
        with TemporaryDirectory() as folder:
            *stored, third = (Official(Path(folder) / name, f"/CN={name}") for name in ("A", "B", "C"))
            edition = self.editions[IN_FORCE]
            for official in stored:
                signatures.store(edition, official.sign(edition.manifest()))
            sealed = {state: edition for state, edition in self.editions.items() if edition.published_at}
            made = {state: third.sign(edition.manifest()) for state, edition in sealed.items()}
        self.signatures = {state: b64encode(signature).decode() for state, signature in made.items()}

    def request(
        self, person: str, method: str, address: Address, body: dict[str, Any] | None, *, undo: bool, json: bool = False
    ) -> Answer:
        """Ask for an address as that person. With ``undo``, what the request writes is rolled back, and nothing that
        the process remembers is used. With ``json``, the body is sent as JSON, otherwise as a form.
        """
        headers = {"Accept": "text/html"}
        if key := self.sessions.get(person):
            headers["Cookie"] = f"{settings.SESSION_COOKIE_NAME}={key}"
        make: Any = getattr(RequestFactory(), method.lower())
        content = {} if body is None else {"data": body} | ({"content_type": "application/json"} if json else {})
        request = make(address.path, **content, headers=headers)
        mails, named = len(mail.outbox), set()

        def watch(execute: Any, sql: str, *arguments: Any) -> Any:
            if found := WRITES.match(sql):
                named.add(found[1])
            return execute(sql, *arguments)

        with transaction.atomic() if undo else nullcontext():
            with connection.execute_wrapper(watch):
                response = self.handler(request.environ)
                content = b"".join(response) if response.streaming else response.content
            # A statement may have written nothing, or what was rolled back.
            now = {table: _contents(table) for table in named & self.contents.keys()}
            written = {table for table, rows in now.items() if rows != self.contents[table]}
            if undo:
                transaction.set_rollback(True)
            else:
                self.contents |= now
        if len(mail.outbox) > mails:
            written.add("mail")
            del mail.outbox[mails:]
        return Answer(response, content, frozenset(written))

    # Addresses.

    def addresses(self) -> Iterator[Address]:
        """Yield every address of the URL configuration, with each row that it can be about."""
        with translation.override("kk"):
            for name, route in patterns(get_resolver()):
                if name == "admin:app_list":
                    for label in ("agreement", "auth", "django_tasks_database", "otp_static", "otp_totp"):
                        yield Address(f"{name} {label}", _path(route, {"app_label": label}))
                    continue
                for row in self._rows(route):
                    path = _path(route, self._arguments(name, route, row))
                    yield Address(name, path + self.queries.get(name, ""), row)

    def _rows(self, route: str) -> tuple[str, ...]:
        """Return the states of the editions that the route can be about; one empty word if it is about one row."""
        if "number>" in route or "/edition/<" in route or "/report/<" in route:
            return tuple(self.editions)
        return (IN_FORCE, DRAFT) if "<slug:slug>" in route else ("",)

    def _arguments(self, name: str, route: str, row: str) -> dict[str, object]:
        """Return the values of the parameters of a route."""
        edition = self.editions[row or IN_FORCE]
        # A draft has no number, and an agreement that has only a draft has no public page.
        known: dict[str, object] = {"slug": "unpublished" if row == DRAFT and "number>" not in route else "terms"}
        known |= {
            "number": edition.number or 5,
            "anchor": "1.1",
            "acceptance": 1,
            "language": "kk",
            "code": "kk",
            "kind": "page",
            "url": "nowhere",
            "path": "entries/000.p/1",
        }
        known["place"] = 2
        known |= {"when": (timezone.now() + timedelta(days=2)).date().isoformat()}
        if name.startswith("admin:agreement_edition_re"):
            known[""] = (
                f"{self.editions[DRAFT].pk}/history/{self.revision.pk}"
                if name.endswith("revision")
                else self.deleted.pk
            )
        elif name == "admin:view_on_site":
            known |= {"content_type_id": ContentType.objects.get_for_model(Edition).pk, "object_id": edition.pk}
        elif model := re.search(r"/admin/\w+/(\w+)/", route):
            one = edition if row else self.rows.get(model[1])
            if one is None and "<" in route:
                raise LookupError(f"Add a row of the model {model[1]!r} to World.rows, for the address {route!r}.")
            known |= dict.fromkeys(("object_id", "key", "id", "pk"), one and one.pk)
        else:
            known["key"] = "letter"
        return known


def _wording(word: str) -> dict[str, str]:
    """Return texts that differ from those of the other editions, so that one edition amends another."""
    return {"kk": f"{factories.KK}\n1.3. {word}.\n", "ru": f"{factories.RU}\n1.3. {word}.\n"}


def patterns(resolver: URLResolver, prefix: str = "", namespaces: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Yield the name and the whole route of every URL pattern below that resolver. A pattern without a name has its
    route as its name.
    """
    for pattern in resolver.url_patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield ":".join((*namespaces, pattern.name)) if pattern.name else route, route
        else:
            yield from patterns(pattern, route, (*namespaces, pattern.namespace) if pattern.namespace else namespaces)


def _path(route: str, arguments: dict[str, object]) -> str:
    """Return the path of a route with these arguments in place of its parameters. A parameter of a regular expression
    that has no name is the argument ``""``.
    """

    def argument(found: re.Match[str]) -> str:
        name = found[1] or found[2] or ""
        if name not in arguments:
            raise LookupError(f"Add a value of {name!r} to World._arguments(), for the address {route!r}.")
        return str(arguments[name])

    path = re.sub(r"<(?:\w+:)?(\w+)>|\(\?P<(\w+)>[^)]*\)|\([^?].*\)", argument, route)
    return "/" + path.replace("^", "").replace("$", "")


def _contents(table: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608 - only names of tables and columns
        return sorted(map(repr, cursor.fetchall()))
