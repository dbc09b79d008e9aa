"""Evidence by a button: a user's, deleted or not, or an edition's, as a ZIP; and every export is logged."""

from __future__ import annotations

import tempfile
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import FileResponse, HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agreement import evidence
from agreement.admin.tables import LONG, SpokenDateTime
from agreement.models import Edition

if TYPE_CHECKING:
    EditionChoiceField = forms.ModelChoiceField[Edition]
else:
    EditionChoiceField = forms.ModelChoiceField


class EvidenceForm(forms.Form):
    """About whom or what, and as of when."""

    user = forms.CharField(
        label=_("user"),
        required=False,
        max_length=255,
        help_text=_("The name or the key of a user, also of a deleted one."),
    )
    edition = EditionChoiceField(Edition.objects.none(), label=_("edition"), required=False)
    at = forms.SplitDateTimeField(
        label=_("as it stood then"), required=False, widget=SpokenDateTime, help_text=_("Now, if left empty.")
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        chosen: Any = self.fields["edition"]
        chosen.queryset = Edition.objects.published().select_related("agreement").defer(*LONG)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        at: datetime = cleaned.get("at") or timezone.now()
        cleaned["at"] = at
        if at > timezone.now():
            self.add_error("at", _("That moment is still to come."))
        edition = cleaned.get("edition")
        if bool(cleaned.get("user")) == bool(edition):
            raise ValidationError(_("Name either a user or an edition."), code="one_of_two")
        if edition and edition.recorded_at > at:
            self.add_error("edition", _("It was not yet recorded then."))
        return cleaned


def require(request: HttpRequest) -> None:
    if not request.user.has_perm("agreement.export_evidence"):
        raise PermissionDenied


def bundle(request: HttpRequest, form: EvidenceForm) -> HttpResponseBase | None:
    """The ZIP asked for; ``None`` where nothing is known, which the form then says."""
    named, edition, at = (form.cleaned_data[name] for name in ("user", "edition", "at"))
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "evidence.zip"
        try:
            if edition:
                whole = Edition.objects.select_related("agreement").get(pk=edition.pk)
                evidence.export_editions([whole], at=at, output=output, by=request.user)
                name = f"{edition.agreement.slug}-{edition.number}.zip"
            else:
                evidence.export_user(evidence.key_of(named), at=at, output=output, by=request.user)
                name = "user.zip"
        except ValidationError as error:
            form.add_error("user", error)
            return None
        except LookupError:
            form.add_error("user", gettext("Nothing is known of such a user by then."))
            return None
        # Open before the folder goes: the file lives until it is sent.
        response = FileResponse(output.open("rb"), as_attachment=True, filename=name)
    response.headers["Cache-Control"] = "private, no-store"
    return response
