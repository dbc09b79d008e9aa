"""The revisions of a draft: listed, looked at, restored, and recovered after deletion; never on a published edition."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q
from django.http import Http404, HttpRequest
from django.shortcuts import get_object_or_404
from django.utils.decorators import method_decorator
from django.utils.translation import gettext
from django.views.decorators.http import require_safe
from reversion.admin import VersionAdmin
from reversion.errors import RevertError
from reversion.models import Version

from agreement import conf
from agreement.admin.tables import moment
from agreement.models import Agreement, Edition
from agreement.models.acts import edition_name


class Revisions(VersionAdmin):  # type: ignore[misc]
    """Django-reversion's pages; what may not come back, or over what, is refused."""

    @method_decorator(require_safe)
    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        edition = self.get_object(request, unquote(object_id))
        if edition is None:  # Its revisions, if any, are the list of deleted drafts; and not every address is a key.
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        zone = edition.agreement.time_zone
        versions = Version.objects.get_for_object_reference(Edition, edition.pk)
        revisions = [
            (version.pk, moment(version.revision.date_created, zone), version.revision)
            for version in versions.select_related("revision__user").defer("serialized_data")
        ]
        context = {"revisions": revisions, "restorable": self.has_change_permission(request, edition)}
        # Django's own: the one in between reads every revision whole for a list that is not shown.
        return super(VersionAdmin, self).history_view(request, object_id, context | (extra_context or {}))

    def recoverlist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        deleted = Version.objects.get_deleted(Edition).select_related("revision").order_by("-pk")
        slugs = dict(Agreement.objects.values_list("pk", "slug"))
        rows = [
            (version.pk, moment(version.revision.date_created, conf.time_zone()), _called(version, slugs))
            for version in deleted
        ]
        return super().recoverlist_view(request, {"rows": rows} | (extra_context or {}))

    def revision_view(self, request: HttpRequest, object_id: str, version_id: str, extra_context: Any = None) -> Any:
        if not unquote(object_id).isdecimal():
            raise Http404
        with transaction.atomic():
            if refusal := self._refuse_revision(request, version_id):
                return refusal
            over = Edition.objects.filter(pk=unquote(object_id)).first()
            if over is None:  # Deleted meanwhile: it comes back as what it is, a deleted draft.
                return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
            # The form begins with the revision, and is saved over what is stored by then.
            request.agreement_over = over  # type: ignore[attr-defined]
            title = {"title": gettext("An older revision: %(edition)s") % {"edition": over}}
            answer = super().revision_view(request, object_id, version_id, title | (extra_context or {}))
            # Set late: the view in between takes any other status than 200 for a revision it could not read.
            answer.status_code = conflicting(answer)
            return answer

    def recover_view(self, request: HttpRequest, version_id: str, extra_context: Any = None) -> Any:
        with transaction.atomic():
            if refusal := self._refuse_revision(request, version_id):
                return refusal
            version = Version.objects.get(pk=version_id)
            if back := Edition.objects.filter(pk=version.object_id).first():
                sentence = gettext("This draft is not deleted: nothing was restored.")
                hint = gettext("Somebody may have recovered it already; its history holds its older revisions.")
                return self.refuse(request, back, sentence, hint, typed=self.typed(request, back))
            called = _called(version, dict(Agreement.objects.values_list("pk", "slug")))
            title = {"title": gettext("A deleted draft: %(edition)s") % {"edition": called}}
            return super().recover_view(request, version_id, title | (extra_context or {}))

    def _refuse_revision(self, request: HttpRequest, version_id: str) -> Any:
        """Refuse a revision that holds, or would write to, a published edition, or that has no home any more."""
        every = Version.objects.get_for_model(Edition)
        try:
            version = get_object_or_404(every.select_related("revision"), pk=version_id)
        except ValueError:  # More digits than Python reads.
            raise Http404 from None
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        versions = every.filter(revision=version.revision_id)
        keys = [version.object_id for version in versions]
        stored = [_fields(version) for version in versions]
        homes = {fields["agreement_id"] for fields in stored if fields}
        # Those of what there is, and of what comes back: two people may recover one draft.
        touched = Agreement.objects.filter(Q(editions__in=keys) | Q(pk__in=homes))
        for agreement in touched.distinct().order_by("pk"):
            agreement.lock()
        sealed = Edition.objects.published().filter(pk__in=keys).first()
        if sealed or any(fields.get("published_at") for fields in stored):
            sentence = gettext("This revision belongs to a published edition: nothing was restored.")
            hint = gettext("A published edition never changes. Put the old words into a new draft.")
            return self.refuse(request, sealed, sentence, hint, status=403)
        if Agreement.objects.filter(pk__in=homes).count() < len(homes):
            sentence = gettext("The agreement of this draft was deleted: nothing was restored.")
            return self.refuse(request, None, sentence, gettext("Put the words into a draft of another agreement."))
        return None


def conflicting(answer: Any) -> int:
    """409 for a form that met another one's words; else what it is."""
    shown = getattr(answer, "context_data", None) or {}
    form = getattr(shown.get("adminform"), "form", None)
    return 409 if form and form.is_bound and form.has_error("__all__", "conflict") else int(answer.status_code)


def _called(version: Any, slugs: dict[int, str]) -> str:
    """The edition's name in the page's language; a revision keeps it in the language of who saved it."""
    agreement = _fields(version).get("agreement_id")
    return edition_name(slugs[agreement], None, version.object_id) if agreement in slugs else version.object_repr


def _fields(version: Any) -> dict[str, Any]:
    try:
        return dict(version.field_dict)
    except RevertError:  # Older than the model's fields: the view that restores it says so.
        return {}
