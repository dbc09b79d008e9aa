"""Finds out whether a person acts in the name of another user: an officer who "logs in as" a user to help them.

What such a person does is not an act of the user. Therefore the gate, the sign-up form, the account pages and the desk
ask :func:`current_impersonation`.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth import SESSION_KEY, get_user_model
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.contrib.sessions.backends.base import SessionBase
from django.core.exceptions import ValidationError
from django.core.signing import BadSignature, TimestampSigner
from django.http import HttpRequest
from django.utils.module_loading import import_string

from agreement import conf
from agreement.models import AuditEntry
from agreement.models.audit import AuditAction, By
from agreement.models.fields import SiteUser

#: Session keys of this module: whose impersonation by whom is in the audit log, and who acts since before a login.
LOGGED, CARRIED = "agreement_impersonation_logged", "agreement_impersonation_officer"
#: The name of the request attribute that stores the impersonation which :func:`current_impersonation` found.
FOUND = "_agreement_impersonation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Impersonation:
    """A request in the name of a user, made by another person."""

    user: SiteUser
    """The user in whose name the request is made: ``request.user``."""
    officer: By
    """The account of the person who makes the request, or their name, or the primary key of an account that does not
    exist any more; ``None`` if nothing is known of them."""

    @property
    def officer_key(self) -> str:
        """The primary key of the officer's account as text, also if that account was deleted; the officer's name if
        only a name is known; ``""`` if nothing is known of them.
        """
        return str(getattr(self.officer, "pk", self.officer or ""))

    def log(self, request: HttpRequest, refused: str = "") -> None:
        """Add an entry to the audit log, which states that the officer acted in the name of the user. ``refused`` is
        the name of the page that was refused to them; ``""`` if none was. If none was, and the last entry of this
        session is about the same user and officer, no entry is added.
        """
        session, pair = getattr(request, "session", None), [str(self.user.pk), self.officer_key]
        if session is not None and not refused and session.get(LOGGED) == pair:
            return
        AuditEntry.objects.log(AuditAction.IMPERSONATED, on=self.user, by=self.officer, note=refused)
        if session is not None:
            session[LOGGED] = pair


def current_impersonation(request: HttpRequest) -> Impersonation | None:
    """Return who acts in the name of the user of this request; ``None`` if users act for themselves, or if nobody is
    signed in.

    The setting ``ACTING_AS`` is asked first. If it names nobody, the session is read: first the officer whom
    :func:`carry_officer` stored there, then what django-hijack, django-loginas and django-impersonate store. If
    somebody acts, the result is also stored in the request, for :func:`carry_officer`. It is no cache: each call asks
    again. At most 1 query of the app's own, for the account of the officer.
    """
    user: SiteUser = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return None
    path = conf.get().ACTING_AS
    # The callable returns an account, a name, or ``True`` if it does not know who it is.
    acting = import_string(path)(request) if path else None
    if not acting:
        key = _officer_key(request, user)
        if key is None:
            return None
        acting = _account(key) or key
    found = Impersonation(user=user, officer=None if acting is True else acting or None)
    if isinstance(found.officer, type(user)) and found.officer.pk == user.pk:
        return None  # Users who act for themselves.
    setattr(request, FOUND, found)
    return found


def _officer_key(request: HttpRequest, user: SiteUser) -> str | None:
    """Return the primary key, as text, of the person who acts in the name of this user, or their name if only that was
    stored at a login; ``""`` if it can't be read; ``None`` if the session does not say that somebody else does.

    Only a session that belongs to this user, or in which this user is impersonated, counts. The session of another user
    does not: if a token in the request determines its user, they act for themselves, whatever session the same browser
    has with another user.
    """
    session = getattr(request, "session", None)
    if session is None or session.session_key is None:
        return None
    own_key, owner = user._meta.pk.value_to_string(user), session.get(SESSION_KEY)
    impersonated = str(session.get("_impersonate", "")) == str(user.pk)  # django-impersonate
    if owner != own_key and not impersonated:
        return None
    first = _first_officer(session)
    if first is None and impersonated:
        first = owner
    return None if first == own_key else first


def _first_officer(session: SessionBase) -> str | None:
    """Return the primary key, as text, of the person who was signed in before they became the owner of this session, or
    their name if ``ACTING_AS`` gave one; ``""`` if it can't be read; ``None`` if the session stores no such person. Of
    several persons in a row, it is the first. What django-impersonate stores is not read here.
    """
    if carried := session.get(CARRIED):
        return str(carried)
    if history := session.get("hijack_history"):  # django-hijack. The last one may be a user.
        return str(history[0]) if isinstance(history, list) else ""
    if signed := session.get(getattr(settings, "LOGINAS_FROM_USER_SESSION_FLAG", "loginas_from_user")):
        try:
            return TimestampSigner().unsign(str(signed))
        except BadSignature:
            return ""
    return None


def _account(key: str) -> SiteUser:
    """Return the account with that primary key, which is given as text; ``None`` if there is none, or if the text can't
    be a primary key. At most 1 query.
    """
    model = get_user_model()
    try:
        return model._base_manager.filter(pk=model._meta.pk.to_python(key)).first()
    except (ValueError, TypeError, ValidationError, OverflowError):
        return None


def carry_officer(sender: object, request: HttpRequest | None, user: SiteUser, **kwargs: object) -> None:
    """Receiver of ``user_logged_in``: if :func:`current_impersonation` found during this request who acts, that person
    acts in the new session too, unless nothing is known of them or they are its user. This is necessary because a login
    can empty the session. Then the data of django-hijack and the other packages is lost when the officer changes to a
    second user, or back to the first one.
    """
    found: Impersonation | None = getattr(request, FOUND, None)
    if request is not None and found is not None and found.officer_key not in {"", str(user.pk)}:
        request.session[CARRIED] = found.officer_key


def note_officer(sender: object, request: HttpRequest | None, **kwargs: object) -> None:
    """Receiver of ``user_logged_out``, which Django sends before it empties the session. It lets
    :func:`current_impersonation` store in the request who acts, so that :func:`carry_officer` knows it if another user
    is logged in by the same request.
    """
    if request is not None:
        current_impersonation(request)


user_logged_in.connect(carry_officer, dispatch_uid="agreement.impersonation")
user_logged_out.connect(note_officer, dispatch_uid="agreement.impersonation")
