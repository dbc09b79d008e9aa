"""Differences between two wordings, as the desk shows them: in both languages, and in what the edition states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.decorators import method_decorator
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe
from reversion.errors import RevertError
from reversion.models import Version

from agreement import conf
from agreement.admin.tables import LONG, language, moment, yes_or_no
from agreement.compared import html
from agreement.models import Edition
from agreement.models.refusals import TEXTS
from agreement.text import clauses, redline, rendering, words

if TYPE_CHECKING:
    EditionModelAdmin = admin.ModelAdmin[Edition]
else:
    EditionModelAdmin = admin.ModelAdmin

#: What an edition states besides its texts.
STATED = ("prevailing_language", "notice_days", "retention_years", "material")
#: What an author writes: the title is the text's first line.
WRITTEN = tuple(f"{name}_{code}" for name in reversed(TEXTS) if name != "title" for code in conf.LANGUAGES)


def label(name: str) -> Any:
    """A column's name in words: "text in Kazakh", not the translation package's "text [kk]"."""
    base, _separator, code = name.rpartition("_")
    field: Any = Edition._meta.get_field(base if base in TEXTS else name)
    return format_lazy(_IN[code], field=field.verbose_name) if base in TEXTS else field.verbose_name


_IN = {"kk": _("{field} in Kazakh"), "ru": _("{field} in Russian")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One field that two wordings of a draft do not share."""

    name: str
    label: str
    code: str
    html: SafeString


def values(edition: Edition) -> dict[str, Any]:
    """Everything an author can change, by field."""
    return {name: getattr(edition, name) or "" for name in WRITTEN} | {name: getattr(edition, name) for name in STATED}


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Difference]:
    """From one wording to the other, field by field; empty where they are the same."""
    found = []
    for name in (*WRITTEN, *STATED):
        if old.get(name) != new.get(name):
            _head, _separator, code = name.rpartition("_") if name in WRITTEN else ("", "", "")
            shown = changed(name, old.get(name), new.get(name))
            found.append(Difference(name=name, label=str(label(name)), code=code, html=shown))
    return found


def redlines(old: Edition, new: Edition, *, whole: bool = False) -> list[tuple[str, str, SafeString]]:
    """(language, one sentence that sums it up, the redline) of the two texts, in each language."""
    found = []
    for code in conf.LANGUAGES:
        before, after = (clauses.parse(edition.text(code).body) for edition in (old, new))
        compared = redline.redline(before, after)
        found.append((code, rendering.summary(compared, spoken()), html(compared, code, whole=whole)))
    return found


def spoken() -> str:
    """The page's language if it is one that redlines and the lint speak, else English."""
    return language() if language() in rendering.WORDS else "en"


def said(name: str, value: object) -> object:
    """What an edition states, in words."""
    if isinstance(value, bool):
        return yes_or_no(value)
    if name == "prevailing_language":
        return {"kk": _("Kazakh"), "ru": _("Russian")}.get(str(value), _("none stated"))
    return value


def changed(name: str, old: Any, new: Any) -> SafeString:
    """One field of two wordings, struck out and underlined."""
    if name.startswith("body_"):
        return html(redline.redline(clauses.parse(old or ""), clauses.parse(new or "")), name.removeprefix("body_"))
    if name in STATED:
        return _safe(f"<del>{escape(said(name, old))}</del> <ins>{escape(said(name, new))}</ins>")
    tags = {"equal": ("", ""), "delete": ("<del>", "</del>"), "insert": ("<ins>", "</ins>")}
    runs = words.compare(old or "", new or "")
    return _safe("".join(tags[run.kind][0] + escape(run.text) + tags[run.kind][1] for run in runs))


def _safe(made: str) -> SafeString:
    return mark_safe(made)  # noqa: S308 - every piece of text in it is escaped


class Comparing(EditionModelAdmin):
    """``…/<id>/changes/``: what an edition changes against another; ``…/<id>/compare/``: two revisions of a draft."""

    def get_urls(self) -> list[URLPattern]:
        asked = [
            path(f"<path:object_id>/{name}/", self.admin_site.admin_view(view), name=f"agreement_edition_{name}")
            for name, view in (("changes", self.changes_view), ("compare", self.compare_view))
        ]
        return asked + super().get_urls()

    @method_decorator(require_safe)
    def changes_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Against the edition in force (``?from=`` names another); a published one against the one before it."""
        edition = self._compared(request, object_id)
        others: Any = Edition.objects.filter(agreement=edition.agreement_id).exclude(pk=edition.pk)
        listed = list(others.rewrite(False).defer(*LONG).select_related("agreement"))
        asked = request.GET.get("from", "")
        if asked:
            key = next((one.pk for one in listed if str(one.pk) == asked), None)
            other = others.filter(pk=key).first()
            if other is None:
                raise Http404
        elif edition.published_at:
            other = others.published().filter(number__lt=edition.number).last()
        else:
            other = others.in_force().first()
        whole = "whole" in request.GET
        return self._compare(
            request,
            "changes",
            edition,
            title=gettext("Changes: %(edition)s") % {"edition": edition},
            other=other,
            others=listed,
            whole=whole,
            redlines=redlines(other, edition, whole=whole) if other else [],
            differences=[
                difference
                for difference in (differences(values(other), values(edition)) if other else [])
                if not difference.name.startswith("body_")
            ],
        )

    @method_decorator(require_safe)
    def compare_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Two revisions, ``?old=`` and ``?new=``; without ``new`` the draft as it is stored."""
        edition = self._compared(request, object_id)
        versions = Version.objects.get_for_object_reference(Edition, edition.pk).select_related("revision")
        chosen: list[tuple[Any, dict[str, Any]]] = []
        for name in ("old", "new"):
            asked = request.GET.get(name, "")
            if not asked and name == "new":
                chosen.append((None, values(edition)))
                continue
            version = (
                versions.filter(pk=asked).first() if asked.isascii() and asked.isdecimal() and len(asked) < 19 else None
            )
            if version is None:
                raise Http404
            try:
                fields = version.field_dict
            except RevertError:
                raise Http404 from None
            kept = {name: fields.get(name) for name in (*WRITTEN, *STATED)}
            chosen.append((version, {name: kept[name] or "" if name in WRITTEN else kept[name] for name in kept}))
        (old, before), (new, after) = chosen
        zone = edition.agreement.time_zone
        return self._compare(
            request,
            "compare",
            edition,
            title=gettext("Revisions compared: %(edition)s") % {"edition": edition},
            old=old,
            old_at=moment(old.revision.date_created, zone) if old else "",
            new=new,
            new_at=moment(new.revision.date_created, zone) if new else "",
            restorable=self.has_change_permission(request, edition),
            differences=differences(before, after),
        )

    def _compared(self, request: HttpRequest, object_id: str) -> Edition:
        edition = EditionModelAdmin.get_object(self, request, unquote(object_id))
        if not self.has_view_or_change_permission(request, edition):
            raise PermissionDenied
        if edition is None:
            raise Http404
        return edition

    def _compare(self, request: HttpRequest, page: str, edition: Edition, **context: Any) -> HttpResponse:
        context |= {"opts": self.opts, "media": self.media, "original": edition, "has_view_permission": True}
        template = f"admin/agreement/edition/{page}.html"
        return TemplateResponse(request, template, self.admin_site.each_context(request) | context)
