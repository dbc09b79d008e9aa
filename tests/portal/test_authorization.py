"""The authorization matrix: every kind of person asks for every address of the URL configuration, by every method.

``RULES`` says who may what. An address without a rule fails a test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from django.conf import LazySettings

from agreement import memory
from agreement.acceptance import consents
from agreement.admin.editions.fields import fingerprint
from agreement.editions import pdf
from agreement.models import Breach, Withdrawal
from tests.admin.test_editions import written
from tests.portal.world import (
    APPLICANT,
    AUTHOR,
    CANCELLED,
    DRAFT,
    DRAFT_WORD,
    EMAIL,
    IN_FORCE,
    INACTIVE,
    NOBODY,
    OFFICER,
    OTHER,
    PUBLISHER,
    ROOT,
    SCAN,
    SCHEDULED,
    STAFF,
    SUPERSEDED,
    UNDECIDED,
    USER,
    Address,
    Answer,
    World,
)
from tests.support import factories
from tests.support.signed_logs import SECRET

People = frozenset[str]
Body = Callable[[World, str], dict[str, Any]]

NONE: People = frozenset()
VISITORS = frozenset({NOBODY, INACTIVE})
USERS = frozenset({USER, OTHER})
DESK = frozenset({STAFF, AUTHOR, PUBLISHER, OFFICER, ROOT})
ACCEPTED = USERS | DESK
SIGNED_IN = ACCEPTED | {UNDECIDED}
EVERYONE = VISITORS | SIGNED_IN
AUTHORS, PUBLISHERS, OFFICERS = (frozenset({person, ROOT}) for person in (AUTHOR, PUBLISHER, OFFICER))
EDITORS = AUTHORS | PUBLISHERS
#: Who reads notices and whom they did not reach.
TELLERS = PUBLISHERS | OFFICERS
ROOTS = frozenset({ROOT})

PUBLISHED = (SUPERSEDED, IN_FORCE, CANCELLED, SCHEDULED)
EVERY_STATE = (*PUBLISHED, DRAFT)

#: What may be read only by these people, wherever it is.
SECRETS = {DRAFT_WORD: EDITORS, APPLICANT: OFFICERS, SCAN: OFFICERS, EMAIL: frozenset({USER, ROOT})}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Who may what at an address. Everyone else is refused, in the way of the ``kind``:

    - ``site``: a page of the portal, for visitors and for users who have accepted;
    - ``public``: a page of the app for everyone, which sets no cookie;
    - ``login``: a page of Django for everyone; if not for visitors, it redirects them to the login page;
    - ``account``: a page of the app for signed-in users, whether they have accepted or not;
    - ``program``: an address of the app for the programs of signed-in users, which takes JSON;
    - ``desk``: a page of the admin;
    - ``desk exempt``: the same for staff who have not accepted.
    """

    kind: str
    read: People = NONE
    """Who gets the page by GET."""
    status: tuple[int, ...] = (200,)
    """What they get. 405 means that there is no page to read."""
    states: tuple[str, ...] = EVERY_STATE
    """The states of an edition that has such a page. There is none for another state."""
    logs: str = ""
    """The table to which a GET writes."""
    logs_for: People | None = None
    """Whose GET writes there; ``None``: that of all who read the page, or are ``watched``."""
    watched: People = NONE
    """Whose request is written there too, although they are refused."""
    refusal: str = "/kk/admin/login/?"
    """Where the desk redirects people who are not staff."""
    stored: bool = False
    """Whether Django lets the browser store the page."""
    write: People = NONE
    """Whose POST with ``body`` changes something."""
    body: Body = lambda world, row: {}
    write_states: tuple[str, ...] = EVERY_STATE
    """The states of an edition that the POST changes."""


def public(*states: str, status: tuple[int, ...] = (200,)) -> Rule:
    return Rule(kind="public", read=EVERYONE, status=status, states=states or (IN_FORCE,))


def register(
    app: str,
    model: str,
    *,
    view: People,
    add: People = NONE,
    change: People = NONE,
    delete: People = NONE,
    logs: str = "",
    bodies: dict[str, Body] | None = None,
    states: tuple[str, ...] = EVERY_STATE,
) -> dict[str, Rule]:
    """Return the rules for Django's pages of a model: who may view, add, change and delete its rows. ``states`` are
    those in which an edition may be changed and deleted. ``bodies`` are what is posted, by the name of the page.
    """
    name, bodies = f"admin:{app}_{model}", {"delete": lambda world, row: {"post": "yes"}} | (bodies or {})

    def post(page: str, people: People) -> dict[str, Any]:
        return {"write": people, "body": bodies[page], "write_states": states} if page in bodies else {}

    return {
        f"{name}_changelist": Rule(kind="desk", read=view, logs=logs),
        f"{name}_add": Rule(kind="desk", read=add, **post("add", add)),
        f"{name}_change": Rule(kind="desk", read=view, logs=logs, **post("change", change)),
        f"{name}_history": Rule(kind="desk", read=view, logs=logs),
        f"{name}_delete": Rule(
            kind="desk", read=delete, states=states, logs=logs, watched=view, **post("delete", delete)
        ),
        # Django redirects to the page of the row, which asks for the permission.
        f"kk/admin/{app}/{model}/<path:object_id>/": Rule(kind="desk", read=DESK, status=(302,)),
    }


def edition_page(page: str, **rule: Any) -> dict[str, Rule]:
    return {f"admin:agreement_edition_{page}": Rule(kind="desk", **rule)}


def paper(world: World, row: str) -> dict[str, Any]:
    """An application or a statement on paper, as an officer enters it."""
    edition, user = world.editions[IN_FORCE], world.users[UNDECIDED].pk
    fields = {"agreement": edition.agreement_id, "outcome": "ended", "received_on": "2026-01-15", "language": "kk"}
    return fields | {
        "user": f"key:{user}",
        "user_confirmed": user,
        "edition": edition.pk,
        "reason": "№ 5",
        "applicant": "",
        "may_accept_again": "on",
    }


def hold(world: World, row: str) -> dict[str, Any]:
    moment = {"held_from_0": "2026-01-01", "held_from_1": "09:00"}
    return {
        "user": f"key:{world.users[OTHER].pk}",
        "user_confirmed": world.users[OTHER].pk,
        "ground": "№ 7",
        "held_until_0": "2030-01-01",
        "held_until_1": "09:00",
    } | moment


def breach(world: World, row: str) -> dict[str, Any]:
    moment = {"known_at_0": "2026-01-15", "known_at_1": "10:00"}
    words = {"text_kk": "Не болды: жаңа.", "text_ru": "Что произошло: новое."}
    return {"agreement": world.terms.pk, "everyone": "on", "users": ""} | moment | words


RULES: dict[str, Rule] = {
    # The portal.
    "home": Rule(kind="site", read=EVERYONE - {UNDECIDED}),
    "materials": Rule(kind="site", read=EVERYONE - {UNDECIDED}),
    "robots": Rule(kind="site", read=EVERYONE - {UNDECIDED}),
    "sitemap": Rule(kind="site", read=EVERYONE - {UNDECIDED}),
    # The mailbox of the demo is not there with DEBUG=0.
    "mailbox": Rule(kind="site"),
    "letter": Rule(kind="site"),
    "letter_html": Rule(kind="site"),
    "login": Rule(kind="login", read=EVERYONE),
    "logout": Rule(kind="login", read=EVERYONE, status=(405,)),
    "second_factor": Rule(kind="login", read=SIGNED_IN),
    # The public pages. No address displays a draft.
    "agreement:index": public(),
    "agreement:verify": public(),
    "agreement:schema": public(),
    "agreement:current": public(),
    "agreement:bilingual": public(),
    "agreement:current_data": public(),
    "agreement:editions_data": public(),
    "agreement:editions": public(),
    "agreement:feed": public(),
    "agreement:timemap": public(),
    "agreement:at": public(status=(302,)),
    "agreement:when": public(),
    "agreement:edition": public(*PUBLISHED),
    "agreement:edition_data": public(*PUBLISHED),
    "agreement:edition_bilingual": public(*PUBLISHED),
    "agreement:changes": public(*PUBLISHED),
    "agreement:clause": public(),
    "agreement:clause_data": public(),
    "agreement:markdown": public(*PUBLISHED),
    "agreement:text": public(*PUBLISHED),
    # Without WeasyPrint or a font for every letter there is no PDF.
    "agreement:pdf": public(*PUBLISHED, status=(200 if pdf.is_installed() and not pdf.fault() else 404,)),
    "agreement:archive_pdf": public(*PUBLISHED, status=(200 if pdf.is_installed() and not pdf.fault() else 404,)),
    "agreement:docx": public(*PUBLISHED),
    "agreement:bilingual_docx": public(*PUBLISHED),
    # The first edition has no changes.
    "agreement:changes_docx": public(IN_FORCE, CANCELLED, SCHEDULED),
    "agreement:table_docx": public(IN_FORCE, CANCELLED, SCHEDULED),
    "agreement:amendment": public(IN_FORCE, CANCELLED, SCHEDULED),  # The first edition amends none.
    "agreement:amendment_data": public(IN_FORCE, CANCELLED, SCHEDULED),
    "agreement:amendment_docx": public(IN_FORCE, CANCELLED, SCHEDULED),
    "agreement:amendment_pdf": public(
        *(IN_FORCE, CANCELLED, SCHEDULED), status=(200 if pdf.is_installed() and not pdf.fault() else 404,)
    ),
    "agreement:manifest": public(*PUBLISHED),
    "agreement:edition_proof": public(*PUBLISHED),
    "agreement:checkpoint": public(),
    "agreement:log_key": public(),
    "agreement:log_key_pem": public(),
    "agreement:log_tile": public(),
    "agreement:signature": public(IN_FORCE),  # The other editions are not signed.
    # A user's own pages.
    "agreement:notices": Rule(kind="account", read=SIGNED_IN, logs="agreement_noticeread"),
    "agreement:record": Rule(kind="account", read=SIGNED_IN),
    "agreement:evidence_mine": Rule(kind="account", read=SIGNED_IN, logs="agreement_auditentry"),
    # Without a LOG_KEY the site makes no receipts. tests/evidence/test_receipts.py says who gets one.
    "agreement:receipt": Rule(kind="account", read=SIGNED_IN, status=(404,)),
    "agreement:accept": Rule(
        kind="account",
        read=SIGNED_IN,
        states=(IN_FORCE,),
        write=frozenset({UNDECIDED}),  # The others have accepted.
        body=lambda world, row: {
            "decision": "accept",
            **factories.fields(world.editions[IN_FORCE], "kk"),
        },
        write_states=(IN_FORCE,),
    ),
    "agreement:accept_due": Rule(kind="account", read=SIGNED_IN, status=(302,)),
    "agreement:openapi": public(),
    "agreement:api_acceptances": Rule(
        kind="program",
        read=SIGNED_IN,
        write=frozenset({UNDECIDED}),  # The others have accepted.
        body=lambda world, row: {
            "decision": "accept",
            "answers": [
                {"agreement": "terms", "edition": 2, "digest": world.editions[IN_FORCE].digest, "language": "kk"}
            ],
        },
    ),
    "agreement:consent": Rule(
        kind="account",
        read=SIGNED_IN,
        status=(405,),
        write=SIGNED_IN,
        body=lambda world, row: {
            "decision": "give",
            "purpose": "registration",
            "digest": consents.purposes("kk")[0].digest,
        },
    ),
    "agreement:withdraw": Rule(
        kind="account",
        read=SIGNED_IN,
        write=ACCEPTED,  # Nothing binds the others, so nothing is registered.
        body=lambda world, row: {"agreement": "terms", "confirm": "yes"},
    ),
    # The frame of the desk.
    "admin:index": Rule(kind="desk", read=DESK),
    "admin:app_list agreement": Rule(kind="desk", read=DESK - {STAFF}),
    "admin:app_list auth": Rule(kind="desk", read=ROOTS),
    "admin:app_list django_tasks_database": Rule(kind="desk", read=ROOTS),
    "admin:app_list otp_static": Rule(kind="desk", read=ROOTS),
    "admin:app_list otp_totp": Rule(kind="desk", read=ROOTS),
    "admin:login": Rule(kind="login", read=EVERYONE, status=(200, 302)),  # Staff are redirected to the desk.
    "admin:logout": Rule(kind="desk exempt", read=DESK | {UNDECIDED}, status=(405,), refusal="/kk/admin/"),
    "admin:jsi18n": Rule(kind="desk exempt", read=DESK | {UNDECIDED}),
    "admin:password_change": Rule(kind="desk", read=DESK, stored=True),
    "admin:password_change_done": Rule(kind="desk", read=DESK, stored=True),
    "admin:autocomplete": Rule(kind="desk", read=EDITORS),  # It is asked for editions.
    "admin:view_on_site": Rule(kind="desk", read=DESK, status=(404,)),  # No model of the app has such an address.
    "kk/admin/(?P<url>.*)$": Rule(kind="desk", read=DESK, status=(404,)),
    # Editions.
    **register(
        "agreement",
        "edition",
        view=EDITORS,
        add=AUTHORS,
        change=AUTHORS,
        delete=AUTHORS,
        states=(DRAFT,),
        bodies={
            "add": lambda world, row: {"agreement": world.terms.pk, "begin": "empty"},
            "change": lambda world, row: written(world.editions[row], summary_kk="Жаңа."),
        },
    ),
    **edition_page("changes", read=EDITORS),
    **edition_page("amendment", read=EDITORS),
    **edition_page("compare", read=EDITORS, states=(DRAFT,)),
    **edition_page("preview", read=EDITORS, states=(DRAFT,)),
    **edition_page("check", read=AUTHORS, status=(405,)),
    **edition_page(
        "autosave",
        read=AUTHORS,
        status=(405,),
        write=AUTHORS,
        body=lambda world, row: {"summary_kk": "Жаңа."},
        write_states=(DRAFT,),
    ),
    **edition_page(
        "hand_over",
        read=AUTHORS,
        states=(DRAFT,),
        write=AUTHORS,
        body=lambda world, row: {"draft": fingerprint(world.editions[row]), "note": "Дайын."},
        write_states=(DRAFT,),
    ),
    **edition_page("send_back", read=PUBLISHERS, status=(409,)),  # No draft is marked as ready.
    **edition_page(
        "publish",
        read=PUBLISHERS,
        states=(DRAFT,),
        write=PUBLISHERS,
        body=lambda world, row: world.publication,
        write_states=(DRAFT,),
    ),
    **edition_page(
        "test_mail",
        read=PUBLISHERS,
        status=(405,),
        write=PUBLISHERS,
        body=lambda world, row: (
            (world.publication if row == DRAFT else {"digest": world.editions[row].digest})
            | {"test_to": [world.users[PUBLISHER].pk]}
        ),
        write_states=(DRAFT, SCHEDULED),
    ),
    **edition_page(
        "cancel",
        read=PUBLISHERS,
        states=(SCHEDULED,),
        write=PUBLISHERS,
        body=lambda world, row: {"reason": "Қате.", "confirm": "on", "digest": world.editions[row].digest},
        write_states=(SCHEDULED,),
    ),
    **edition_page(
        "sign",
        read=PUBLISHERS,
        states=PUBLISHED,
        write=PUBLISHERS,
        body=lambda world, row: {"signature": world.signatures.get(row, "")},
        write_states=PUBLISHED,
    ),
    **edition_page("recoverlist", read=AUTHORS),
    **edition_page("recover", read=AUTHORS, write=AUTHORS, body=lambda world, row: world.recovered),
    **edition_page("revision", read=EDITORS, write=AUTHORS, body=lambda world, row: written(world.editions[DRAFT])),
    # Agreements, notices and the log.
    **register(
        "agreement",
        "agreement",
        view=EDITORS,
        add=ROOTS,
        change=ROOTS,
        bodies={
            "add": lambda world, row: {"slug": "new", "time_zone": "Asia/Almaty", "acceptance_mode": "by_use"},
            "change": lambda world, row: {"time_zone": "Asia/Aqtau", "acceptance_mode": "by_use"},
        },
    ),
    **register("agreement", "notice", view=TELLERS),
    "admin:agreement_notice_sending": Rule(kind="desk", read=TELLERS),
    "admin:agreement_notice_unreached": Rule(kind="desk", read=TELLERS, logs="agreement_auditentry"),
    "admin:agreement_notice_unreached_csv": Rule(kind="desk", read=TELLERS, logs="agreement_auditentry"),
    **{
        f"admin:agreement_notice_{action}": Rule(kind="desk", read=read, status=(405,), write=write)
        # The notice is not paused, and no delivery of it failed.
        for action, read, write in (
            ("pause", TELLERS, TELLERS),
            ("resume", TELLERS, NONE),
            ("resend", PUBLISHERS, NONE),
            ("resend_reachable", PUBLISHERS, NONE),
        )
    },
    **{
        # The list, and an entry about a user, show them to those who may see personal data.
        name: rule
        if not name.endswith(("_changelist", "_change", "_history", "_delete"))
        else replace(rule, logs="agreement_auditentry", logs_for=ROOTS)
        for name, rule in register("agreement", "auditentry", view=EDITORS).items()
    },
    # What is about users.
    **register("agreement", "delivery", view=OFFICERS, logs="agreement_auditentry"),
    **register("agreement", "consent", view=OFFICERS, logs="agreement_auditentry"),
    **register(
        "agreement",
        "acceptance",
        view=OFFICERS,
        add=OFFICERS,
        logs="agreement_auditentry",
        bodies={"add": paper},
    ),
    "admin:agreement_acceptance_evidence": Rule(
        kind="desk",
        read=OFFICERS,
        write=OFFICERS,
        body=lambda world, row: {"user": world.users[USER].pk},
    ),
    "admin:agreement_acceptance_people": Rule(kind="desk", read=OFFICERS),
    "admin:agreement_withdrawal_people": Rule(kind="desk", read=OFFICERS),
    "admin:agreement_legalhold_people": Rule(kind="desk", read=OFFICERS),
    "admin:agreement_breach_people": Rule(kind="desk", read=OFFICERS),
    "admin:agreement_acceptance_report": Rule(kind="desk", read=OFFICERS),
    "admin:agreement_acceptance_edition": Rule(
        kind="desk", read=OFFICERS, logs="agreement_auditentry", states=(SUPERSEDED, IN_FORCE, SCHEDULED)
    ),
    "admin:agreement_acceptance_csv": Rule(
        kind="desk", read=OFFICERS, logs="agreement_auditentry", states=(SUPERSEDED, IN_FORCE, SCHEDULED)
    ),
    **register(
        "agreement",
        "breach",
        view=OFFICERS,
        add=OFFICERS,
        change=OFFICERS,
        delete=OFFICERS,
        bodies={"add": breach, "change": breach},
    ),
    "admin:agreement_breach_notify": Rule(
        kind="desk",
        read=OFFICERS,
        write=OFFICERS,
        body=lambda world, row: {"digest": Breach.objects.get().digest},
    ),
    **register("agreement", "decline", view=OFFICERS, logs="agreement_auditentry"),
    "admin:agreement_decline_csv": Rule(kind="desk", read=OFFICERS, logs="agreement_auditentry"),
    **register(
        "agreement",
        "withdrawal",
        view=OFFICERS,
        add=OFFICERS,
        change=OFFICERS,
        logs="agreement_auditentry",
        bodies={"add": paper, "change": lambda world, row: {"replied_on": str(Withdrawal.objects.get().received_on)}},
    ),
    "admin:agreement_withdrawal_reply": Rule(kind="desk", read=OFFICERS, logs="agreement_auditentry"),
    "admin:agreement_withdrawal_scan": Rule(kind="desk", read=OFFICERS, logs="agreement_auditentry"),
    **register(
        "agreement",
        "legalhold",
        view=OFFICERS,
        add=OFFICERS,
        change=OFFICERS,
        logs="agreement_auditentry",
        bodies={"add": hold, "change": hold},
    ),
    # What is not the app's.
    **register("auth", "user", view=ROOTS, add=ROOTS, change=ROOTS, delete=ROOTS),
    "admin:auth_user_password_change": Rule(kind="desk", read=ROOTS),
    **register("auth", "group", view=ROOTS, add=ROOTS, change=ROOTS, delete=ROOTS),
    **register("django_tasks_database", "dbtaskresult", view=ROOTS),
    **register("otp_static", "staticdevice", view=ROOTS, add=ROOTS, change=ROOTS, delete=ROOTS),
    **register("otp_totp", "totpdevice", view=ROOTS, add=ROOTS, change=ROOTS, delete=ROOTS),
    "admin:otp_totp_totpdevice_config": Rule(kind="desk", read=ROOTS),
    "admin:otp_totp_totpdevice_qrcode": Rule(kind="desk", read=ROOTS),
}


#: A POST to these ends the session, so it is undone.
LOGOUTS = {"logout", "admin:logout"}
CONSENTS = {"registration": {"kk": "Келісемін.", "ru": "Согласен."}}


@pytest.fixture
def world(transactional_db: None, settings: LazySettings, tmp_path: Any) -> World:
    # The rows are committed, so the pages and the answers of the gate are remembered as on a real site.
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"  # It is faster.
    own = {"PRIVATE_ROOT": str(tmp_path), "CONSENTS": CONSENTS, "FILE_WITHDRAWALS": "ended", "ENQUEUE": None}
    settings.AGREEMENT = {**settings.AGREEMENT, **own, "LOG_KEY": SECRET}
    memory.clear()
    return World()


def test_every_address_has_a_rule(world: World):
    names = {address.name for address in world.addresses()}
    missing = sorted(names - RULES.keys())
    assert not missing, f"Add to RULES who may open these addresses, and who may post what there: {missing}"
    gone = sorted(RULES.keys() - names)
    assert not gone, f"Remove the rules of these addresses, which do not exist: {gone}"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "PUT"])
def test_everyone_gets_what_the_rules_say_and_nothing_else(world: World, method: str):
    wrong = []
    for address in world.addresses():
        # By the methods that do nothing of their own, two of the five states of an edition are enough.
        if method not in {"GET", "POST"} and address.row not in {"", IN_FORCE, DRAFT}:
            continue
        rule = RULES[address.name]
        body = rule.body(world, address.row) if method == "POST" else None
        for person in sorted(EVERYONE):
            undo = method == "POST" and (person in rule.write or address.name in LOGOUTS)
            answer = world.request(person, method, address, body, undo=undo, json=rule.kind == "program")
            found = faults(rule, person, method, address, answer)
            wrong += [f"{person}: {method} {address}: {fault}" for fault in found]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_without_their_second_factor_publishers_and_superusers_get_no_page_of_the_admin(
    world: World, settings: LazySettings, method: str
):
    settings.SECOND_FACTOR = True
    # They log out of the admin, and its scripts are translated for everyone.
    pages = [one for one in world.addresses() if one.path.startswith("/kk/admin/")]
    pages = [one for one in pages if one.name not in {"admin:login", "admin:logout", "admin:jsi18n"}]
    for address in pages:
        body = RULES[address.name].body(world, address.row) if method == "POST" else None
        for person in PUBLISHERS:
            answer = world.request(person, method, address, body, undo=True)
            assert (answer.response.status_code, answer.written) == (302, frozenset()), address
            assert answer.response["Location"].startswith("/kk/admin/login/?"), address
    assert len(pages) > 80


def faults(rule: Rule, person: str, method: str, address: Address, answer: Answer) -> Iterator[str]:
    """Yield what is wrong with an answer."""
    status, headers = answer.response.status_code, answer.response.headers
    reads = person in rule.read and (not address.row or address.row in rule.states)
    writes = method == "POST" and person in rule.write and (not address.row or address.row in rule.write_states)
    expected = statuses(rule, person, method, reads=reads, writes=writes)
    # Django's own answer to OPTIONS names the methods and nothing else.
    if status not in expected and not (method == "OPTIONS" and status == 200 and not answer.content):
        yield f"{status}, and not one of {sorted(expected)}"
    if status == 302 and not reads and not (place := headers["Location"]).startswith(refused_to(rule, person)):
        yield f"redirected to {place}"
    if writes and not answer.written:
        yield "changed nothing"
    logged = rule.read | rule.watched if rule.logs_for is None else rule.logs_for
    if not writes and (unexpected := answer.written - ({rule.logs} if person in logged else NONE)):
        yield f"wrote to {sorted(unexpected)}"
    if method == "GET" and reads and person in logged and rule.logs and rule.logs not in answer.written:
        yield f"wrote nothing to {rule.logs}"
    cache = headers.get("Cache-Control", "")
    if (
        rule.kind in {"account", "program", "desk"}
        and not rule.stored
        and status < 400
        and not ("private" in cache and "no-store" in cache)
    ):
        yield f"may be stored by a cache: {cache!r}"
    listed = "noindex" not in headers.get("X-Robots-Tag", "") and b'name="robots" content="NONE' not in answer.content
    if rule.kind in {"account", "login", "desk"} and listed and b"<html" in answer.content and status < 400:
        yield "may be listed by a search engine"
    if rule.kind == "public" and answer.response.cookies:
        yield "sets a cookie"
    for secret, people in SECRETS.items():
        if secret.encode() in answer.content and person not in people:
            yield f"contains {secret!r}"


def statuses(rule: Rule, person: str, method: str, *, reads: bool, writes: bool) -> set[int]:
    """Return the statuses that this person may get."""
    if person == UNDECIDED and rule.kind in {"site", "desk"}:
        return {302} if method == "GET" else {403}
    if rule.kind in {"desk", "desk exempt"} and person in VISITORS | USERS:
        return {302}
    if rule.kind == "login" and person not in rule.read:
        return {302}
    if rule.kind == "account" and person in VISITORS:
        return {302, 405} if method in {"GET", "HEAD"} else {403, 405}
    if rule.kind == "program" and person in VISITORS:
        return {403, 405}
    if writes:
        return {200, 302}
    if not reads:
        return {403, 404, 405} | ({409} if person in rule.read else set())
    if method == "GET":
        return {*rule.status}
    if method == "HEAD":
        return {*rule.status, 405}
    # They may read the page. Django answers other methods like GET, or displays the form again.
    return {*rule.status, 200, 302, 400, 403, 404, 405, 409}


def refused_to(rule: Rule, person: str) -> str:
    """Return the path to which that person is redirected."""
    if person == UNDECIDED:
        return "/kk/agreements/terms/accept/?"
    return "/kk/accounts/login/?" if rule.kind in {"account", "login"} else rule.refusal
