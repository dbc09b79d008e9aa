"""Decorators that check the request of a view, or exempt a view from the check of the middleware."""

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
    function. It is called without the view, so :func:`agreement.acceptance.gate.is_exempt` and the setting ``EXEMPT``
    have no effect here. The view may be asynchronous.

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
    """Return the class of a class-based view; or, if the view is a method that Django's ``method_decorator`` passes,
    the instance to which the method is bound; ``None`` for other views. If decorators surround the view, the views that
    they wrap (``__wrapped__``) are searched too.
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
    """Exempt the view from the check of the middleware: every user may open it, and its requests record no deemed
    acceptance. Use it for a health check or a page for everyone. Return the same view, which is only marked. The mark
    has no effect on ``acceptance_required`` and ``HasAccepted``.
    """
    view.agreement_exempt = True  # type: ignore[attr-defined]  # A function has no such attribute by type.
    return view
