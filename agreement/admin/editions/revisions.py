"""The revisions of a draft: they are listed, viewed and restored, and a deleted draft is recovered from them.

The pages that restore a revision or recover a draft are those of django-reversion; ``change`` calls them. The functions
here refuse revisions that must not be restored, such as those of a published edition.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import reversion
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext
from reversion.errors import RevertError
from reversion.models import Version

from agreement import conf
from agreement.admin.base import moment
from agreement.admin.editions import comments
from agreement.admin.editions.conflict import conflict_page
from agreement.admin.editions.page import missing_draft, posted_texts, refuse, refuse_edit
from agreement.models import Agreement, Edition
from agreement.models.audit import edition_name

EditionModelAdmin = admin.ModelAdmin[Edition]
#: Calls a page of django-reversion. The argument is the additional template context.
RevisionPage = Callable[[dict[str, Any]], HttpResponse]


def store_first(edition: Edition) -> None:
    """Store the draft as a revision if it has none, because a command created it. Without this revision, the text with
    which two authors began would be unknown when both save. 1 query, if it has one.
    """
    if not Version.objects.get_for_object_reference(Edition, edition.pk).exists():
        with reversion.create_revision():
            reversion.add_to_revision(edition)
            reversion.set_comment(comments.before_the_first_save())


def revision_rows(edition: Edition) -> list[tuple[int, str, Any, str]]:
    """Return four values for each revision of that edition, the latest first: the key of the version, the moment as a
    phrase, the revision, and its comment in words. The texts are not read, and the number of queries does not depend on
    the number of revisions.
    """
    zone = edition.agreement.time_zone
    versions = Version.objects.get_for_object_reference(Edition, edition.pk)
    return [
        (
            version.pk,
            moment(version.revision.date_created, zone),
            version.revision,
            comments.in_words(version.revision, edition.agreement),
        )
        for version in versions.select_related("revision__user").defer("serialized_data")
    ]


def deleted_rows() -> list[tuple[int, str, str]]:
    """Return three values for each deleted draft that has revisions: the key of its last version, the moment of that
    version as a phrase in the time zone of the site, and the name of the draft. The draft with the latest version comes
    first.
    """
    deleted = Version.objects.get_deleted(Edition).select_related("revision").order_by("-pk")
    agreements = Agreement.objects.in_bulk()
    return [
        (version.pk, moment(version.revision.date_created, conf.time_zone()), _name(version, agreements))
        for version in deleted
    ]


def stored_draft(request: HttpRequest) -> Edition | None:
    """Return the draft as it is stored, if this request displays or restores an older revision of it; otherwise
    ``None``. :func:`show_revision` remembers the draft in the request. It makes no query.
    """
    return getattr(request, "agreement_stored_draft", None)


def restored_at(request: HttpRequest) -> datetime | None:
    """Return the moment of the revision that this request displays, restores or recovers; ``None`` if it does none of
    these. It makes no query.
    """
    return getattr(request, "agreement_restored_at", None)


def show_revision(
    model_admin: EditionModelAdmin, request: HttpRequest, object_id: str, version_id: str, page: RevisionPage
) -> HttpResponse:
    """Return the page with the form of a draft, filled in with an older revision. If the form is posted and valid, its
    contents replace the stored draft. ``page`` calls the page of django-reversion with an additional template context.

    If the draft is published or its agreement was deleted, the response is a page that refuses. If the draft was
    deleted, it is that of :func:`missing_draft`. If the form is posted by a user who may not edit drafts, it is that of
    :func:`refuse_edit`, because django-reversion would only say that the revision was not found. If the stored draft
    was changed after the form was opened, and differs from what is posted, nothing is saved, and the response is that
    of :func:`conflict_page`. If django-reversion can't read the revision, the response is a redirect to the list, with
    an error. Raises ``Http404`` if there is no such revision, and ``PermissionDenied`` if the user may not view
    editions.
    """
    if not unquote(object_id).isdecimal():
        raise Http404
    with transaction.atomic():
        if refusal := _refuse_revision(model_admin, request, version_id):
            return refusal
        draft = Edition.objects.filter(pk=unquote(object_id)).first()
        if draft is None:  # It was deleted in the meantime, and can be recovered as a deleted draft.
            return missing_draft(model_admin, request, object_id)
        if request.method == "POST" and not model_admin.has_change_permission(request, draft):
            return refuse_edit(model_admin, request, draft)
        # django-reversion writes the old values into the row before it opens the form, so the stored draft is
        # remembered.
        request.agreement_stored_draft = draft  # type: ignore[attr-defined]
        response = page({"title": gettext("An older revision: %(edition)s") % {"edition": draft}})
        # This is done here, because django-reversion treats any other status than 200 as an unreadable revision.
        return conflict_page(model_admin, request, response)


def recover(model_admin: EditionModelAdmin, request: HttpRequest, version_id: str, page: RevisionPage) -> HttpResponse:
    """Return the page with the form of a deleted draft. If the form is posted and valid, the draft exists again.
    ``page`` calls the page of django-reversion with an additional template context.

    If the draft exists or is published, or its agreement was deleted, the response is a page that refuses. If the form
    is posted by a user who may not add and edit drafts, it is that of :func:`refuse_edit`. If django-reversion can't
    read the revision, it is a redirect to the list, with an error. Raises ``Http404`` if there is no such revision, and
    ``PermissionDenied`` if the user may not view editions, or if they may not add any and the form is not posted.
    """
    with transaction.atomic():
        if refusal := _refuse_revision(model_admin, request, version_id):
            return refusal
        version = Version.objects.get(pk=version_id)
        if existing := Edition.objects.filter(pk=version.object_id).first():
            sentence = gettext("This draft is not deleted: nothing was restored.")
            hint = gettext("Somebody may have recovered it already. Its older revisions are in its history.")
            texts = posted_texts(request, existing)
            return refuse(model_admin, request, existing, sentence, hint, unsaved_texts=texts)
        permitted = model_admin.has_add_permission(request) and model_admin.has_change_permission(request)
        if request.method == "POST" and not permitted:
            return refuse_edit(model_admin, request, None)
        return page(
            {
                "title": gettext("A deleted draft: %(edition)s")
                % {"edition": _name(version, Agreement.objects.in_bulk())}
            }
        )


def _refuse_revision(model_admin: EditionModelAdmin, request: HttpRequest, version_id: str) -> HttpResponse | None:
    """Return a page that refuses the revision; ``None`` if nothing is to be refused. Its status is 403 if an edition in
    the revision is published, now or in the revision itself, and 409 if the agreement of one was deleted.

    The agreements of the editions in the revision are locked until the transaction of the caller ends. The moment of
    the revision is remembered in the request (:func:`restored_at`). Raises ``Http404`` if there is no such revision,
    and ``PermissionDenied`` if the user may not view editions.
    """
    every = Version.objects.get_for_model(Edition)
    try:
        version = get_object_or_404(every.select_related("revision"), pk=version_id)
    except ValueError:  # The number has too many digits for Python.
        raise Http404 from None
    if not model_admin.has_view_or_change_permission(request):
        raise PermissionDenied
    request.agreement_restored_at = version.revision.date_created  # type: ignore[attr-defined]
    versions = every.filter(revision=version.revision_id)
    keys = [version.object_id for version in versions]
    stored = [_fields(version) for version in versions]
    agreements = {fields["agreement_id"] for fields in stored if fields}
    # Lock the agreements of existing drafts and of those to be recovered, because two people may recover one draft.
    for agreement in Agreement.objects.filter(Q(editions__in=keys) | Q(pk__in=agreements)).distinct().order_by("pk"):
        agreement.lock()
    published = Edition.objects.published().filter(pk__in=keys).first()
    if published or any(fields.get("published_at") for fields in stored):
        sentence = gettext("This revision belongs to a published edition: nothing was restored.")
        hint = gettext("A published edition never changes. Copy the old text into a new draft.")
        return refuse(model_admin, request, published, sentence, hint, status=403)
    if Agreement.objects.filter(pk__in=agreements).count() < len(agreements):
        sentence = gettext("The agreement of this draft was deleted: nothing was restored.")
        hint = gettext("Copy the text into a draft of another agreement.")
        return refuse(model_admin, request, None, sentence, hint)
    return None


def _name(version: Version, agreements: dict[int, Agreement]) -> str:
    """Return the name of the draft of that version, in the language of the page. ``agreements`` maps primary keys to
    agreements. If the agreement of the draft is not among them, or the version can't be read, return the stored name,
    which is in the language of its author.
    """
    fields = _fields(version)
    agreement = agreements.get(fields.get("agreement_id", 0))
    if agreement is None:
        return str(version.object_repr)
    return edition_name(agreement.name, None, fields.get("begun_at"), agreement.time_zone)


def _fields(version: Version) -> dict[str, Any]:
    try:
        return dict(version.field_dict)
    except RevertError:  # It is older than the fields of the model. The page that restores it states this.
        return {}
