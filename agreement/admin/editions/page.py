"""Code that the pages about one edition share: finding and locking it, permissions, the page that refuses an action,
and the redirect to the edition.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext

from agreement.admin.base import AdminView, redirect_missing, render_page
from agreement.admin.editions.fields import label
from agreement.models import Edition
from agreement.models.errors import TEXT_FIELDS
from agreement.text import languages, source

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


class UnsavedText(NamedTuple):
    """A text that was not saved, as a page displays it: its language, its label, and the text."""

    code: str
    label: StrOrPromise
    text: str


class EditionView(AdminView):
    """The base class of the app's own views of editions and drafts. ``object_id`` in a URL is the primary key of the
    edition, quoted by the admin.
    """

    model_admin: admin.ModelAdmin[Edition]

    def find(self, object_id: str) -> Edition | None:
        """Return the edition or draft whose primary key, quoted by the admin, is ``object_id``; ``None`` if there is
        none, or if it is not a valid key. Nothing is locked, and no permission is checked. At most 1 query.
        """
        return self.model_admin.get_object(self.request, unquote(object_id))

    def render(self, template: str, *, status: int = 200, **context: Any) -> HttpResponse:
        return super().render(f"edition/{template}", status=status, **context)

    def refuse(self, edition: Edition | None, sentence: str, hint: str, **context: Any) -> HttpResponse:
        """Return a page that states what was not done (``sentence``), and what the user can do instead (``hint``). The
        page links to ``edition``, unless it is ``None``. Its status is 409, unless the context contains another
        ``status``.
        """
        return refuse(self.model_admin, self.request, edition, sentence, hint, **context)


def find_locked(model_admin: admin.ModelAdmin[Edition], request: HttpRequest, object_id: str) -> Edition | None:
    """Return the edition or draft whose primary key, quoted by the admin, is ``object_id``, and lock its agreement
    until the transaction of the caller ends. Return ``None`` if there is no such edition.

    The edition is read again after the lock. Until the lock ends, no other transaction can publish or cancel an edition
    of the agreement, and nobody else can save or delete one of its existing drafts in the admin. At most 3 queries.
    Without a transaction the lock ends at once.
    """
    edition = model_admin.get_object(request, unquote(object_id))
    if edition is None:
        return None
    edition.agreement.lock()
    return model_admin.get_object(request, unquote(object_id))


def may(model_admin: admin.ModelAdmin[Edition], request: HttpRequest, action: str) -> bool:
    """Return whether the user has the permission for the ``action`` (``publish``, ``cancel`` or ``sign``) on editions,
    and may view editions. The state of an edition is not checked.
    """
    return request.user.has_perm(f"agreement.{action}_edition") and model_admin.has_view_permission(request)


def refuse(
    model_admin: admin.ModelAdmin[Edition],
    request: HttpRequest,
    edition: Edition | None,
    sentence: str,
    hint: str,
    *,
    status: int = 409,
    **context: Any,
) -> HttpResponse:
    """Return a page that states what was not done (``sentence``), and what the user can do instead (``hint``).

    The page links to ``edition``, unless it is ``None``. If the context has ``unsaved_texts``, the page displays these
    texts, so that they are not lost.
    """
    context |= {"title": sentence, "hint": hint, "original": edition}
    return render_page(model_admin, request, "edition/refusal", status=status, **context)


def posted_texts(request: HttpRequest, edition: Edition | None = None) -> list[UnsavedText]:
    """Return the posted texts that are not empty and differ from those of the edition; with ``None``, all posted texts
    that are not empty. The posted texts are normalised like an import (:func:`source.normalise`).
    """
    return [
        UnsavedText(code, label(f"{name}_{code}"), text)
        for name in TEXT_FIELDS
        for code in languages.LANGUAGES
        if (text := source.normalise(request.POST.get(f"{name}_{code}", "")))
        and text != getattr(edition, f"{name}_{code}", None)
    ]


def refuse_edit(model_admin: admin.ModelAdmin[Edition], request: HttpRequest, edition: Edition | None) -> HttpResponse:
    """Return the page for a user who may not edit drafts, with the status 403. It displays the result of
    :func:`posted_texts`, and links to ``edition``, if it is not ``None`` and the user may view it.
    """
    sentence = gettext("You don't have permission to edit this draft. Nothing was saved.")
    hint = gettext(
        "Your permission was removed or was never given. Keep a copy of your text and ask for the permission."
    )
    displayed = edition if model_admin.has_view_permission(request) else None
    texts = posted_texts(request, edition)
    return refuse(model_admin, request, displayed, sentence, hint, status=403, unsaved_texts=texts)


def missing_draft(model_admin: admin.ModelAdmin[Edition], request: HttpRequest, object_id: str) -> HttpResponse:
    """Return the response for a draft that does not exist. If texts that are not empty were posted, it is a page with
    the status 409 that displays them. Otherwise it is a redirect to the start page of the admin, with a warning.
    """
    if texts := posted_texts(request):
        sentence = gettext("This draft was deleted: nothing was saved.")
        hint = gettext("Keep a copy of your text. Then recover the draft or create a new one.")
        return refuse(model_admin, request, None, sentence, hint, unsaved_texts=texts, recoverable=True)
    return redirect_missing(model_admin, request, object_id)


def redirect_to_edition(
    model_admin: admin.ModelAdmin[Edition], request: HttpRequest, edition: Edition, message: str
) -> HttpResponse:
    """Return a redirect to the page of the edition, with a message of success."""
    messages.success(request, message)
    return HttpResponseRedirect(
        reverse(f"{model_admin.admin_site.name}:agreement_edition_change", args=[quote(edition.pk)])
    )
