"""The page that exports evidence about a user, whose account may be deleted, or about an edition. Every export is
logged.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any, cast

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agreement.admin.base import AdminView, LabelledDateTime, MissingRight
from agreement.admin.people import PersonInput, PersonPicker
from agreement.evidence import export_editions, export_user, find_user_key
from agreement.evidence.bundle import bundle_response
from agreement.models import Edition


class EvidenceForm(forms.Form):
    """The form that asks for a user or a published edition (cancelled ones too), and for the instant whose state is
    exported.

    Exactly one of ``user`` and ``edition`` must be given. ``at`` must not be in the future, and the edition must have
    been published, or imported as history, by then (``recorded_at``). If ``at`` is left empty (``None``), it is the
    present moment. Whether the user exists is not checked here.
    """

    user = forms.CharField(
        label=capfirst(_("user")),
        required=False,
        max_length=255,
        help_text=_("Name, e-mail address or key of a user. A deleted user is found by the key."),
    )
    edition = forms.ModelChoiceField(Edition.objects.none(), label=capfirst(_("edition")), required=False)
    at = forms.SplitDateTimeField(
        label=capfirst(_("state as of")),
        required=False,
        widget=LabelledDateTime,
        help_text=_(
            "Leave this field empty, also for a question about an earlier day: the files state all moments. With a "
            "moment, what was recorded later is left out."
        ),
    )

    def __init__(self, *args: Any, person: PersonInput, **kwargs: Any) -> None:
        """``person`` is the widget of the field ``user``."""
        super().__init__(*args, **kwargs)
        self.fields["user"].widget = person
        edition = cast("forms.ModelChoiceField[Edition]", self.fields["edition"])
        edition.queryset = Edition.objects.published().select_related("agreement").without_texts("body", "summary")

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        now = timezone.now()
        at: datetime = cleaned.get("at") or now
        if at > now:
            self.add_error("at", _("This moment is in the future."))
        edition = cleaned.get("edition")
        if bool(cleaned.get("user")) == bool(edition):
            raise ValidationError(_("Enter either a user or an edition."), code="one_of_two")
        if edition and edition.recorded_at > at:
            self.add_error("edition", _("This edition was not yet recorded at that moment."))
        return cleaned


class EvidenceView(AdminView):
    """``…/evidence/``: the form, and on POST the ZIP file. If the form is not valid, or :func:`_export` returns
    ``None``, the response to POST is the form with the errors. ``?user=`` fills in the user. Raises ``MissingRight``
    for users without the permission ``export_evidence``.
    """

    model_admin: PersonPicker[Any]

    def get(self, request: HttpRequest) -> HttpResponseBase:
        _require_permission(request)
        return self._ask(self._form(initial={"user": request.GET.get("user", "")}))

    def post(self, request: HttpRequest) -> HttpResponseBase:
        _require_permission(request)
        form = self._form(request.POST)
        if form.is_valid() and (response := _export(request, form)):
            return response
        return self._ask(form)

    def _form(self, *args: Any, **kwargs: Any) -> EvidenceForm:
        return EvidenceForm(*args, person=PersonInput(picker=self.model_admin, request=self.request), **kwargs)

    def _ask(self, form: EvidenceForm) -> HttpResponse:
        media = self.model_admin.media + form.media
        may_view = self.model_admin.has_view_permission(self.request)
        title = gettext("Export evidence")
        return self.render("acceptance/evidence", title=title, form=form, media=media, may_view=may_view)


def _require_permission(request: HttpRequest) -> None:
    if not request.user.has_perm("agreement.export_evidence"):
        raise MissingRight("export_evidence", _("export evidence"))


def _export(request: HttpRequest, form: EvidenceForm) -> HttpResponseBase | None:
    """Return the ZIP file about the user or the edition of a valid form, as a download, and log the export. If the form
    has a user, and the user is not found, the text could mean several users, or there was no record about the user at
    the instant ``at``, return ``None`` and add an error to the form; nothing is logged then.
    """
    user, edition, at = (form.cleaned_data[name] for name in ("user", "edition", "at"))
    try:
        if edition:
            complete = Edition.objects.select_related("agreement").get(pk=edition.pk)
            export = partial(export_editions, [complete], at=at, by=request.user)
            return bundle_response(export, filename=f"{edition.agreement.slug}-{edition.number}.zip")
        # A name or a key would be in the lists of downloads of the officer's computer. The moment names nobody.
        filename = f"user-{timezone.now():%Y%m%d-%H%M%S}.zip"
        return bundle_response(partial(export_user, find_user_key(user), at=at, by=request.user), filename=filename)
    except ValidationError as error:
        form.add_error("user", error)
    except LookupError:
        form.add_error("user", gettext("There were no records about this user at that moment."))
    return None
