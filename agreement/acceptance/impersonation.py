"""Finds out whether a person acts in the name of another user: an officer who "logs in as" a user to help them.

The record names the person who acts. While an officer acts in the name of a user, nothing is recorded for the user: no
acceptance, no consent, no withdrawal, and no notice counts as read. The audit log names the officer.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth import SESSION_KEY, get_user_model
from django.core.exceptions import ValidationError
from django.core.signing import BadSignature, TimestampSigner
from django.http import HttpRequest
from django.utils.module_loading import import_string

from agreement import conf
from agreement.models import AuditEntry
from agreement.models.audit import AuditAction, By
from agreement.models.fields import SiteUser

#: The session key under which the primary key of the user is stored whose impersonation is in the audit log.
LOGGED = "agreement_impersonated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Impersonation:
    """A request in the name of a user, made by another person."""

    user: SiteUser
    """The user in whose name the request is made: ``request.user``."""
    officer: By
    """The account or the name of the person who makes the request; ``None`` if it is not known."""

    def log(self, request: HttpRequest, refused: str = "") -> None:
        """Add an entry to the audit log: once for each session and user, and once for each request that was refused.

        ``refused`` is the name of the page that was refused; ``""`` if none was.
        """
        session, key = getattr(request, "session", None), str(self.user.pk)
        if session is not None and not refused and session.get(LOGGED) == key:
            return
        AuditEntry.objects.log(AuditAction.IMPERSONATED, on=self.user, by=self.officer, note=refused)
        if session is not None:
            session[LOGGED] = key


def current_impersonation(request: HttpRequest) -> Impersonation | None:
    """Return who acts in the name of the user of this request; ``None`` if users act for themselves, or if nobody is
    signed in.

    The setting ``ACTING_AS`` is asked first. Then django-impersonate, django-hijack and django-loginas are recognised
    by what they store in the user object or in the session. 1 query if an officer is found by the key in the session.
    """
    user: SiteUser = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return None
    path = conf.get().ACTING_AS
    # The callable returns an account, a name, or ``True`` if it does not know who it is.
    if path and (acting := import_string(path)(request)):
        return Impersonation(user=user, officer=None if acting is True else acting)
    if officer := getattr(user, "impersonator", None):  # django-impersonate
        return Impersonation(user=user, officer=officer)
    found, key = _officer_key(request, user)
    return Impersonation(user=user, officer=_account(key)) if found else None


def _officer_key(request: HttpRequest, user: SiteUser) -> tuple[bool, str]:
    """Return whether the session says that another person logged in as this user, and the primary key of that person as
    text; ``""`` if it can't be read.

    Only a session that belongs to this user counts. A user who is determined by a token acts for themselves, whatever
    session the same browser has.
    """
    session = getattr(request, "session", None)
    if session is None or settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return False, ""
    if session.get(SESSION_KEY) != user._meta.pk.value_to_string(user):
        return False, ""
    if history := session.get("hijack_history"):  # django-hijack. The first is the person, the last may be a user.
        return True, str(history[0])
    flag = getattr(settings, "LOGINAS_FROM_USER_SESSION_FLAG", "loginas_from_user")
    if signed := session.get(flag):
        try:
            return True, TimestampSigner().unsign(str(signed))
        except BadSignature:
            return True, ""
    return False, ""


def _account(key: str) -> SiteUser:
    """Return the account with that primary key, which is given as text; ``None`` if there is none. 1 query."""
    model = get_user_model()
    try:
        return model._default_manager.filter(pk=model._meta.pk.to_python(key)).first()
    except (ValueError, TypeError, ValidationError):
        return None
