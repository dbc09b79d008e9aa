"""The list of the users whom a notice did not reach, as a page and as a file (CSV), for publishers and officers. Every
view of the page and every export is logged.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from typing import Any

from django.contrib.admin.utils import quote
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import reverse
from django.utils.translation import gettext, pgettext
from django.utils.translation import gettext_lazy as _

from agreement import conf
from agreement.admin.base import MissingRight, moment, redirect_missing
from agreement.admin.notices.progress import NoticeView
from agreement.evidence.bundle import csv_chunks
from agreement.models import AuditEntry
from agreement.models.audit import AuditAction, name_of
from agreement.models.ledger_labels import CHANNEL_LABELS, reason_in_words
from agreement.notices.unreached import (
    AddressNow,
    Cause,
    Unreached,
    all_unreached,
    count_by_cause,
    may_reach_again,
    unreached,
)

#: How many users one page lists.
PAGE_SIZE = 50
#: The columns of the file. Their names are not translated, because programs read them.
CSV_COLUMNS = ("key", "name", "channel", "cause", "reason", "at", "address_now")


class UnreachedView(NoticeView):
    """``…/<id>/unreached/``: how many deliveries of the notice reached nobody, by cause, and up to ``PAGE_SIZE``
    deliveries of one cause with their users. Those of deleted accounts are left out.

    ``?cause=`` selects the cause; without it, it is the first one in the order of ``Cause`` that occurs. ``?after=`` is
    the primary key of a delivery: the list begins after it. Raises ``MissingRight`` for users without the permission
    ``view_unreached``, and ``BadRequest`` if ``cause`` is not a value of ``Cause``, or ``after`` is not a number of at
    most 18 digits. If there is no notice with that key, the response is a redirect to the start page of the admin, with
    a warning.
    """

    def get(self, request: HttpRequest, object_id: str) -> HttpResponse:
        _require_permission(request)
        notice = self.find(object_id)
        if notice is None:
            return redirect_missing(self.model_admin, request, object_id)
        counts = count_by_cause(notice)
        cause = _cause(request) or next(iter(counts), None)
        after = request.GET.get("after", "0")
        if not after.isdecimal() or len(after) > 18:
            msg = "after must be the primary key of a delivery."
            raise BadRequest(msg)
        AuditEntry.objects.log(AuditAction.VIEWED, on=notice, by=request.user, note=f"not reached: {cause or 'none'}")
        may_resend = request.user.has_perm("agreement.resend_notice")
        rows = unreached(notice, cause, after=int(after), size=PAGE_SIZE + 1) if cause else []
        return self.render(
            "notice/unreached",
            title=gettext("Who was not reached: %(notice)s") % {"notice": notice},
            original=notice,
            counts=[(one, count) for one, count in counts.items()],
            cause=cause,
            rows=[{**_in_words(row), "url": self._account_url(row)} for row in rows[:PAGE_SIZE]],
            continued=int(after) > 0,
            following=rows[PAGE_SIZE - 1].delivery.pk if len(rows) > PAGE_SIZE else None,
            overtaken=reason_in_words(notice.skip_reason()),
            may_resend=may_resend,
            reachable=may_resend and may_reach_again(notice),
        )

    def _account_url(self, row: Unreached) -> str:
        """Return the path of the page of the account in this admin; ``""`` if there is no account or no such page, or
        if the reader may not view it.
        """
        user, site = row.delivery.user, self.model_admin.admin_site
        accounts = site.get_model_admin(type(user)) if user and site.is_registered(type(user)) else None
        if user is None or accounts is None or not accounts.has_view_permission(self.request, user):
            return ""
        return reverse(f"{site.name}:{user._meta.app_label}_{user._meta.model_name}_change", args=[quote(user.pk)])


class UnreachedCsvView(NoticeView):
    """``…/<id>/unreached/not-reached.csv``: the deliveries that reached nobody, with their users, as a streamed file;
    with ``?cause=`` those of one cause. Deleted accounts are left out. The export is logged before it begins. The
    permission, the error of a wrong ``cause`` and the redirect are those of :class:`UnreachedView`.
    """

    def get(self, request: HttpRequest, object_id: str) -> HttpResponse | StreamingHttpResponse:
        _require_permission(request)
        notice = self.find(object_id)
        if notice is None:
            return redirect_missing(self.model_admin, request, object_id)
        cause = _cause(request)
        name = f"not-reached-{cause}.csv" if cause else "not-reached.csv"
        AuditEntry.objects.log(AuditAction.EXPORTED, on=notice, by=request.user, note=name)
        found = map(_cells, all_unreached(notice, [cause] if cause else list(Cause)))

        def chunks() -> Any:
            # Without this mark, a spreadsheet program does not read the file as UTF-8.
            yield BOM_UTF8
            yield from csv_chunks(CSV_COLUMNS, found)

        response = StreamingHttpResponse(chunks(), content_type="text/csv; charset=utf-8")
        edition = notice.edition
        name = f"{edition.agreement.slug}-{edition.number}-{notice.kind}-{name}"
        response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        response.headers["Cache-Control"] = "private, no-store"
        return response


def _require_permission(request: HttpRequest) -> None:
    if not request.user.has_perm("agreement.view_unreached"):
        raise MissingRight("view_unreached", _("view who was not reached"))


def _cause(request: HttpRequest) -> Cause | None:
    """Return the cause that the parameter ``cause`` of the URL names; ``None`` if it is missing or empty. Raises
    ``BadRequest`` if it has any other value.
    """
    text = request.GET.get("cause", "")
    if text and text not in Cause.values:
        msg = f"cause must be one of {', '.join(Cause.values)}."
        raise BadRequest(msg)
    return Cause(text) if text else None


def _in_words(row: Unreached) -> dict[str, Any]:
    """Return the values of a row of the list by their names in the template, in the language of the page."""
    delivery, address = row.delivery, str(row.address.label)
    if row.cause == Cause.NO_ADDRESS and row.address == AddressNow.ANOTHER:  # There was no address before.
        address = pgettext("address", "entered")
    return {
        "name": name_of(delivery.user) if delivery.user else gettext("deleted account"),
        "key": delivery.user_id,
        "channel": CHANNEL_LABELS.get(delivery.channel, delivery.channel),
        "reason": reason_in_words(row.reason),
        "at": moment(row.at, conf.time_zone()),
        "address": address,
    }


def _cells(row: Unreached) -> tuple[object, ...]:
    """Return the cells of a line of the file, in the order of ``CSV_COLUMNS``."""
    delivery = row.delivery
    return (
        *(delivery.user_id, delivery.user.get_username() if delivery.user else "", delivery.channel),
        *(row.cause.value, row.reason, row.at, row.address.value),
    )
