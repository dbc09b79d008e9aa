"""Decorators that require an acceptance for a view, or exempt a view from the check."""

from __future__ import annotations

from functools import wraps
from typing import Any

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse

from agreement.acceptance.gate import SiteView, check


def acceptance_required(view: SiteView) -> SiteView:
    """Run the view only if the request may pass, which :func:`agreement.acceptance.gate.check` decides: above all, if
    the user has accepted everything that is required, or nobody is signed in. Otherwise return the response of that
    function. The view may be asynchronous.

    For a class-based view, write ``@method_decorator(acceptance_required, name="dispatch")``.

    A view of Django REST framework determines its user after this decorator has run. Therefore a request to a decorated
    view of that framework raises ``ImproperlyConfigured``. Instead, put the decorator below ``@api_view`` or on a
    handler method, or give the class the permission :class:`agreement.permissions.HasAccepted`.
    """
    view_class = _view_class(view)

    # Any: below ``@api_view`` the request is an object of Django REST framework.
    def refusal(request: Any) -> HttpResponse | None:
        if isinstance(request, HttpRequest) and hasattr(view_class, "permission_classes"):
            msg = f"{view} determines its user by itself. Give it permission_classes = [HasAccepted] instead."
            raise ImproperlyConfigured(msg)
        return check(request)

    @wraps(view)
    def checked(request: HttpRequest, *args: object, **kwargs: object) -> Any:
        return refusal(request) or view(request, *args, **kwargs)

    @wraps(view)
    async def checked_async(request: HttpRequest, *args: object, **kwargs: object) -> Any:
        return await sync_to_async(refusal)(request) or await view(request, *args, **kwargs)

    return checked_async if iscoroutinefunction(view) or getattr(view_class, "view_is_async", False) else checked


def _view_class(view: SiteView) -> object:
    """Return the class of a class-based view, or the instance to which the view is bound if it is a method; ``None``
    for other views. Decorators around the view are removed first.
    """
    wrapped: object = view
    while wrapped is not None:
        bound_to = getattr(getattr(wrapped, "func", None), "__self__", None)
        found: object = getattr(wrapped, "view_class", None) or bound_to
        if found is not None:
            return found
        wrapped = getattr(wrapped, "__wrapped__", None)
    return None


def acceptance_not_required(view: SiteView) -> SiteView:
    """Exempt the view from the check of the middleware. Use it for a health check or a page for everyone."""
    view.agreement_exempt = True  # type: ignore[attr-defined]  # A function has no such attribute by type.
    return view
