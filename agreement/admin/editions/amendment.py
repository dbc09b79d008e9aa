"""The page with the instrument that amends an earlier edition to an edition or a draft."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext

from agreement.admin.editions.page import EditionView
from agreement.editions.instruments import DOCX, Instrument
from agreement.models import Edition
from agreement.text import languages


class AmendmentView(EditionView):
    """``…/<id>/amendment/``: the instrument of a draft or an edition, in both languages. That of a draft amends the
    edition in force to the draft. That of a published edition amends the last edition before it that was not cancelled.
    If there is no edition to amend, no instrument is displayed.

    With ``?file=kk`` or ``?file=ru`` the response is the instrument as a Word file. Raises ``PermissionDenied`` if the
    user may not view editions. Raises ``Http404`` if there is no such edition or draft. A file also raises it if its
    language is another one, if there is no edition to amend, if the instrument changes no words, or if python-docx is
    not installed.
    """

    def get(self, request: HttpRequest, object_id: str) -> HttpResponse:
        edition = self.find(object_id)
        if not self.model_admin.has_view_or_change_permission(request, edition):
            raise PermissionDenied
        if edition is None:
            raise Http404
        old = _amended(edition)
        instruments = [Instrument(old, edition, code) for code in languages.LANGUAGES] if old else []
        if code := request.GET.get("file", ""):
            found = next((one for one in instruments if one.language == code and one.has_docx), None)
            if found is None:
                raise Http404
            name = f'attachment; filename="{edition.agreement.slug}-amendment.{code}.docx"'
            return HttpResponse(found.docx(), headers={"Content-Type": DOCX, "Content-Disposition": name})
        return self.render(
            "amendment",
            original=edition,
            title=gettext("Instrument of amendment: %(edition)s") % {"edition": edition},
            old=old,
            instruments=instruments,
        )


def _amended(edition: Edition) -> Edition | None:
    """Return the edition that the instrument of this edition or draft amends: for a draft, the edition in force; for a
    published edition, the last one before it that was not cancelled. ``None`` if there is none. At most 1 query.
    """
    editions = Edition.objects.filter(agreement=edition.agreement_id).exclude(pk=edition.pk)
    if not edition.published_at:
        return editions.in_force().first()
    return editions.published().filter(number__lt=edition.number, cancelled_at=None).last()
