"""Permissions for Django REST framework."""

from __future__ import annotations

from typing import Any

from agreement.acceptance.answers import what_to_accept
from agreement.acceptance.gate import pending


class HasAccepted:
    """A permission for class-based views of APIs, in the form that Django REST framework's permissions have.

    With ``permission_classes = [HasAccepted]``, the answer to a user who has not accepted everything has status 403.
    ``message`` names what they must accept.
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
