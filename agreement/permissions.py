"""Permissions for Django REST framework."""

from __future__ import annotations

from typing import Any

from agreement.acceptance.answers import addresses, what_to_accept
from agreement.acceptance.gate import pending

__all__ = ["HasAccepted"]


class HasAccepted:
    """A permission for the views of Django REST framework: ``permission_classes = [HasAccepted]``. It has the methods
    and attributes that the framework expects of a permission, without importing the framework.

    It calls :func:`agreement.acceptance.gate.pending`, which records deemed acceptances, and refuses a request for
    which the result is not empty. The ``message`` of the refusal is the content of the response: the sentence of
    :func:`agreement.acceptance.answers.what_to_accept` as ``detail``, and ``agreements`` with the slug and the
    addresses of each edition. It makes no difference between objects.
    """

    message: dict[str, Any] = {}
    code = "not_accepted"

    # The class of ``request`` is in the framework, which this app does not import.
    def has_permission(self, request: Any, view: object) -> bool:
        to_accept = pending(request)
        if not to_accept:
            return True
        listed = [{"agreement": one.slug} | addresses(request, one) for one in to_accept]
        self.message = {"detail": what_to_accept(to_accept), "agreements": listed}
        return False

    def has_object_permission(self, request: Any, view: object, obj: object) -> bool:
        return True
