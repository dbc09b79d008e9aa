"""Permissions for Django REST framework."""

from __future__ import annotations

from typing import Any

from agreement.acceptance.answers import what_to_accept
from agreement.acceptance.gate import pending


class HasAccepted:
    """A permission for class-based views of APIs, in the form that Django REST framework's permissions have.

    ``permission_classes = [HasAccepted]``: a request of a user who has not accepted everything is answered 403, and
    ``message`` names what they must accept.
    """

    message = ""
    code = "not_accepted"

    # ``request`` is of a class of the framework, which this app does not need.
    def has_permission(self, request: Any, view: object) -> bool:
        to_accept = pending(request)
        self.message = what_to_accept(to_accept) if to_accept else ""
        return not to_accept

    def has_object_permission(self, request: Any, view: object, obj: object) -> bool:
        return True
