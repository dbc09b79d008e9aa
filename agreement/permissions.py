"""Permissions for Django REST framework."""

from __future__ import annotations

from typing import Any

from agreement.acceptance.answers import what_to_accept
from agreement.acceptance.gate import pending


class HasAccepted:
    """A permission for the views of Django REST framework: ``permission_classes = [HasAccepted]``. It has the methods
    and attributes that the framework expects of a permission, without importing the framework.

    If the request is a use of the site, and nobody acts in the name of its user, deemed acceptances are recorded. If
    the user must still accept an edition by confirmation, or withdrew from an agreement and has not accepted it again,
    the view does not run, and the response has the status 403. Its ``message`` names what they must accept, or the
    agreements from which they withdrew. A visitor who is not signed in may use the view, and so may staff if the
    setting ``EXEMPT_STAFF`` is true. The setting ``EXEMPT`` has no effect. The permission makes no difference between
    objects.
    """

    message = ""
    code = "not_accepted"

    # The class of ``request`` is in the framework, which this app does not import.
    def has_permission(self, request: Any, view: object) -> bool:
        to_accept = pending(request)
        self.message = what_to_accept(to_accept) if to_accept else ""
        return not to_accept

    def has_object_permission(self, request: Any, view: object, obj: object) -> bool:
        return True
