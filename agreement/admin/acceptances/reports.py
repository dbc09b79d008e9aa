"""The reports on how many users have accepted an edition, and who has not. Every view of a report and every export is
logged; a view of the list of reports is not.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterator
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import BadRequest
from django.db.models import Count
from django.db.models.functions import TruncMonth
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agreement import conf
from agreement.admin.base import AdminView, MissingRight
from agreement.editions.timeline import current_timelines
from agreement.evidence.bundle import csv_chunks
from agreement.models import Acceptance, AcceptanceKind, AuditEntry, Decline, Edition, membership
from agreement.models.audit import AuditAction
from agreement.models.fields import LANGUAGE_CHOICES
from agreement.notices.audience import count_by_language
from agreement.text import languages

#: How many users the export reads at once, so that a large file does not fill the memory.
USERS_PER_CHUNK = 10_000
#: The languages by which the users who have not accepted are counted. They are the languages of their notices.
AUDIENCE_LANGUAGES = [("kk", _("Kazakh")), ("ru", _("Russian")), ("mul", _("not known"))]


class OfficerView(AdminView):
    """The base class of the pages of the reports. Each request raises ``MissingRight`` for users who may not view
    acceptances.
    """

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not self.model_admin.has_view_permission(request):
            raise MissingRight("view_acceptance")
        return super().dispatch(request, *args, **kwargs)


class ReportIndexView(OfficerView):
    """``…/report/``: the list of the editions that have a report. These are all published editions that were not
    cancelled, also those that have not taken effect.
    """

    def get(self, request: HttpRequest) -> HttpResponse:
        editions = Edition.objects.published().binding().select_related("agreement").without_texts("body", "summary")
        return self.render("acceptance/report_index", title=gettext("Who has not accepted"), editions=list(editions))


class ReportView(OfficerView):
    """``…/report/<id>/``: how many users accepted an edition, and how many did not.

    An acceptance of an earlier edition that differs from it only in wording counts too. The users are those of the
    audience; a user who withdrew after they accepted counts as one who has not accepted. A table counts the acceptances
    of these editions by month, kind and language. It leaves out those that are not linked to an account any more, but
    contains those of users outside the audience and those before a withdrawal. The declines of the edition are counted
    too, also those of users who have accepted it.
    """

    def get(self, request: HttpRequest, key: int) -> HttpResponse:
        """Return the report, and log the view. Raises ``Http404`` for a draft, for a cancelled edition, and for an
        unknown key. The number of queries does not depend on the number of users.
        """
        edition, counting = _edition(key)
        AuditEntry.objects.log(AuditAction.VIEWED, on=edition, by=request.user, note="report")
        users = membership.audience(edition.agreement.slug)
        accepted = Acceptance.objects.filter(edition__in=counting, user__isnull=False)
        by_month = accepted.annotate(month=TruncMonth("at")).order_by("month", "kind", "language")
        labels = dict(LANGUAGE_CHOICES)
        total, missing = users.count(), count_by_language(Acceptance.objects.users_without(users, counting))
        return self.render(
            "acceptance/report",
            title=gettext("Who has not accepted: %(edition)s") % {"edition": edition},
            edition=edition,
            total=total,
            accepted=total - sum(missing.values()),
            missing=sum(missing.values()),
            declined=Decline.objects.filter(edition=edition).count(),
            missing_by_language=[(code, label, missing[code]) for code, label in AUDIENCE_LANGUAGES if missing[code]],
            rows=[
                {**row, "language": labels.get(row["language"], row["language"])}
                for row in by_month.values("month", "kind", "language").annotate(count=Count("pk"))
            ],
            kinds=dict(AcceptanceKind.choices),
        )


class CsvView(OfficerView):
    """``…/report/<id>/not-accepted.csv``: the users whom the report counts as not having accepted an edition, as a
    streamed file. The export is logged before it begins.

    ``?language=`` selects those of them with one language of notices (``kk``, ``ru``, or ``mul``: not known); without
    it, or if it is empty, all of them are exported. Raises ``BadRequest`` for any other value, and ``Http404`` for a
    draft, for a cancelled edition, and for an unknown key.
    """

    def get(self, request: HttpRequest, key: int) -> StreamingHttpResponse:
        edition, counting = _edition(key)
        language = request.GET.get("language", "")
        if language not in dict(AUDIENCE_LANGUAGES) | {"": ""}:
            raise BadRequest("language must be kk, ru or mul.")
        name = f"not-accepted-{language}.csv" if language else "not-accepted.csv"
        AuditEntry.objects.log(AuditAction.EXPORTED, on=edition, by=request.user, note=name)
        response = StreamingHttpResponse(
            csv_lines(edition.agreement.slug, counting, language), content_type="text/csv; charset=utf-8"
        )
        name = f"{edition.agreement.slug}-{edition.number}-{name}"
        response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        response.headers["Cache-Control"] = "private, no-store"
        return response


def _edition(key: int) -> tuple[Edition, list[int]]:
    """Return the edition with that key, and the keys of the editions whose acceptance counts for it: itself, and
    earlier ones that differ from it only in wording.

    Raises ``Http404`` for a draft, for a cancelled edition, and for an unknown key. At most 1 query, besides those of
    ``current_timelines()``.
    """
    for timeline in current_timelines().agreements.values():
        for dated in timeline.binding:
            if dated.pk == key:
                edition: Edition = (
                    Edition.objects.select_related("agreement").without_texts("body", "summary").get(pk=key)
                )
                return edition, [counting.pk for counting in timeline.counting_editions(dated)]
    raise Http404


def csv_lines(slug: str, counting: list[int], only: str = "") -> Iterator[bytes]:
    """Yield the bytes, in chunks, of the CSV file of the users of the audience of that agreement who accepted none of
    the editions with these keys, or withdrew after they last did, in the order of their primary keys.

    The first row always has the three headings ``key``, ``name`` and ``language`` (the stored language of the user). If
    the site stores no language, the other rows have only the first two cells. ``only`` selects the users with one
    language of notices (``kk``, ``ru``, or ``mul``: not known); ``""`` selects all. Nothing is logged here.
    """
    users = get_user_model()
    language = conf.user_language()
    names = ["pk", users.USERNAME_FIELD] + ["agreement_language"] * (language is not None)
    rows = Acceptance.objects.users_without(membership.audience(slug), counting).order_by("pk")
    rows = rows.annotate(agreement_language=language) if language is not None else rows
    # Without this mark, a spreadsheet program does not read the file as UTF-8.
    yield BOM_UTF8
    # One query, which is read while the file is written. A query for each chunk would join all acceptances each time.
    found: Iterator[Any] = rows.values_list(*names).iterator(chunk_size=USERS_PER_CHUNK)
    if only:
        found = (row for row in found if languages.notice_language(row[2] if len(row) > 2 else "") == only)
    yield from csv_chunks(("key", "name", "language"), found)
