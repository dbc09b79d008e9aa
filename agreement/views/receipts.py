"""The receipt of an acceptance, for the user who accepted."""

from __future__ import annotations

from django.http import Http404, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from agreement.editions import pdf
from agreement.evidence import receipts
from agreement.models import Acceptance, log_records
from agreement.views.account import account_page
from agreement.views.base import Visit


@account_page("GET", of_user_alone=True)
def receipt(visit: Visit, acceptance: int, language: str) -> HttpResponse:
    """The receipt of this acceptance of the user as a PDF file in ``language``; ``acceptance`` is its primary key. If
    it is not in the log yet, it is entered now.

    The response is 404 if the user has no such acceptance, if its personal data is erased, or if the site makes no
    receipts; and 503 if other PDF files are being made for too long, or if no signed checkpoint covers it yet.
    """
    rows = Acceptance.objects.filter(pk=acceptance, user=visit.request.user.pk, erased_at=None)
    row = rows.select_related("edition__agreement", "user").first()
    timeline = visit.timelines.containing(row.edition_id) if row else None
    if row is None or timeline is None or not receipts.is_offered():
        raise Http404
    try:
        try:
            content = receipts.receipt(row, timeline, at=visit.at, language=language)
        except receipts.NoReceipt:
            log_records.sweep(force=True, agreement=row.edition.agreement_id)
            content = receipts.receipt(row, timeline, at=timezone.now(), language=language)
    except (receipts.NoReceipt, pdf.RendererBusy):
        sentence = _("The receipt can't be made at this moment. Try again in a minute.")
        response = visit.refuse(503, _("No receipt yet"), sentence, link=(visit.path("record"), _("My record")))
        response.headers["Retry-After"] = "60"
        return response
    name = f"{timeline.slug}-{row.edition.number}-receipt.{language}.pdf"
    headers = {"Content-Type": "application/pdf", "Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(content, headers=headers)
