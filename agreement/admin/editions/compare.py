"""Compares two editions or drafts, or two revisions of a draft: their texts in both languages, and the other fields
that an author writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext
from reversion.errors import RevertError
from reversion.models import Version

from agreement.admin.base import moment
from agreement.admin.editions.fields import STATED_FIELDS, WRITTEN_FIELDS, label, stated_in_words, values
from agreement.admin.editions.page import EditionView
from agreement.editions.changes import message_language, redline_html
from agreement.models import Edition
from agreement.text import clauses, languages
from agreement.text.redline import sentences, words
from agreement.text.redline.changes import redline


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A field that differs between two wordings of an edition. ``code`` is the language of a text, ``""`` for other
    fields. ``html`` displays the change, as :func:`changes_html` describes.
    """

    name: str
    label: str
    code: str
    html: SafeString


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageRedline:
    """The changes between the bodies of two editions or drafts in one language: a sentence that counts them, and a
    redline. ``code`` is the language of the bodies. The sentence is in the language of the page or, if that is not
    Kazakh or Russian, in English.
    """

    code: str
    summary: str
    html: SafeString


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Difference]:
    """Return the fields that differ between two wordings, in the order of ``WRITTEN_FIELDS``, then of
    ``STATED_FIELDS``. Each wording maps the names of these fields to their values, as :func:`fields.values` does.
    """
    found = []
    for name in (*WRITTEN_FIELDS, *STATED_FIELDS):
        if old.get(name) != new.get(name):
            _head, _separator, code = name.rpartition("_") if name in WRITTEN_FIELDS else ("", "", "")
            changes = changes_html(name, old.get(name), new.get(name))
            found.append(Difference(name=name, label=str(label(name)), code=code, html=changes))
    return found


def redlines(old: Edition, new: Edition, *, whole: bool = False) -> list[LanguageRedline]:
    """Return the redline from the body of ``old`` to the body of ``new`` in each language. It contains the units that
    changed, and with ``whole`` the unchanged ones too; its HTML is ``""`` if it contains none. Either edition may be a
    draft.
    """
    bodies = [(code, old.text(code).body, new.text(code).body) for code in languages.LANGUAGES]
    return [language_redline(code, *pair, whole=whole) for code, *pair in bodies]


def language_redline(code: str, old: str, new: str, *, whole: bool = False) -> LanguageRedline:
    """Return the redline from the body ``old`` to the body ``new``, which are in the language ``code``. What it
    contains is described at :func:`redlines`.
    """
    changes = redline(clauses.parse(old), clauses.parse(new))
    summary = sentences.summary(changes, message_language())
    return LanguageRedline(code=code, summary=summary, html=redline_html(changes, code, whole=whole))


def changes_html(name: str, old: Any, new: Any) -> SafeString:
    """Return the HTML of the changes in one field. ``name`` is the name of its column; any other name stands for a text
    that is not a body.

    For a body, it is the redline of the units that changed; ``""`` if there are none. For another text, it is the whole
    text. In both, deleted words are in ``<del>``, and inserted words in ``<ins>``. For one of the ``STATED_FIELDS``, it
    is the old value in ``<del>`` and the new value in ``<ins>``, both as :func:`fields.stated_in_words` returns them.
    """
    if name.startswith("body_"):
        return redline_html(redline(clauses.parse(old or ""), clauses.parse(new or "")), name.removeprefix("body_"))
    if name in STATED_FIELDS:
        old, new = stated_in_words(name, old), stated_in_words(name, new)
        return _safe(f"<del>{escape(old)}</del> <ins>{escape(new)}</ins>")
    tags = {"equal": ("", ""), "delete": ("<del>", "</del>"), "insert": ("<ins>", "</ins>")}
    runs = words.separated(words.compare(old or "", new or ""))
    return _safe("".join(tags[run.kind][0] + escape(run.text) + tags[run.kind][1] for run in runs))


def _safe(escaped: str) -> SafeString:
    return mark_safe(escaped)  # noqa: S308 - all texts in it are escaped


class ChangesView(EditionView):
    """``…/<id>/changes/``: the changes of an edition or draft since another edition or draft of its agreement.

    ``?from=`` is the primary key of that other one. By default a draft is compared with the edition in force, and a
    published edition with the published edition before it, even if that was cancelled. If there is no such edition, no
    changes are displayed. With ``?whole`` the unchanged units of the bodies are displayed too. Raises
    ``PermissionDenied`` if the user may not view editions, and ``Http404`` if there is no such edition or draft, or if
    ``from`` is not the key of another one of the agreement.
    """

    def get(self, request: HttpRequest, object_id: str) -> HttpResponse:
        edition = _viewable(self, object_id)
        others = Edition.objects.filter(agreement=edition.agreement_id).exclude(pk=edition.pk)
        listed = list(others.without_texts("body", "summary").select_related("agreement"))
        if chosen := request.GET.get("from", ""):
            keys = [one.pk for one in listed if str(one.pk) == chosen]
            if not keys:
                raise Http404
            other = others.filter(pk=keys[0]).first()
        elif edition.published_at:
            other = others.published().filter(number__lt=edition.number).last()
        else:
            other = others.in_force().first()
        whole = "whole" in request.GET
        found = differences(values(other), values(edition)) if other else []
        return self.render(
            "changes",
            original=edition,
            title=gettext("Changes: %(edition)s") % {"edition": edition},
            other=other,
            others=listed,
            whole=whole,
            codes=languages.LANGUAGES,
            in_force=not edition.published_at and others.in_force().exists(),
            redlines=redlines(other, edition, whole=whole) if other else [],
            differences=[difference for difference in found if not difference.name.startswith("body_")],
        )


class CompareRevisionsView(EditionView):
    """``…/<id>/compare/``: the differences from one revision of a draft to another. ``?old=`` and ``?new=`` are the
    keys of their versions, in any order of time. Without ``new`` the revision ``old`` is compared with the stored row,
    which may be published. Raises ``PermissionDenied`` if the user may not view editions, and ``Http404`` if there is
    no such row, if ``old`` is missing, or if a key is not that of a readable version of it.
    """

    def get(self, request: HttpRequest, object_id: str) -> HttpResponse:
        edition = _viewable(self, object_id)
        old, old_values = _revision(edition, request.GET.get("old", ""))
        new, new_values = None, values(edition)
        if chosen := request.GET.get("new", ""):
            new, new_values = _revision(edition, chosen)
        zone = edition.agreement.time_zone
        return self.render(
            "compare",
            original=edition,
            title=gettext("Revisions compared: %(edition)s") % {"edition": edition},
            old=old,
            old_at=moment(old.revision.date_created, zone),
            new=new,
            new_at=moment(new.revision.date_created, zone) if new else "",
            restorable=self.model_admin.has_change_permission(request, edition),
            differences=differences(old_values, new_values),
        )


def _viewable(view: EditionView, object_id: str) -> Edition:
    """Return the edition or draft whose primary key, quoted by the admin, is ``object_id``. Raises ``PermissionDenied``
    if the user may not view editions. Otherwise raises ``Http404`` if there is no such edition.
    """
    edition = view.find(object_id)
    if not view.model_admin.has_view_or_change_permission(view.request, edition):
        raise PermissionDenied
    if edition is None:
        raise Http404
    return edition


def _revision(edition: Edition, key: str) -> tuple[Version, dict[str, Any]]:
    """Return the version of the edition with that primary key, and its values by the name of the field: the
    ``WRITTEN_FIELDS``, with ``""`` for an empty text, and the ``STATED_FIELDS``. Raises ``Http404`` if there is none,
    or if django-reversion can't read it.
    """
    if not (key.isascii() and key.isdecimal() and len(key) < 19):
        raise Http404
    versions = Version.objects.get_for_object_reference(Edition, edition.pk).select_related("revision")
    version = versions.filter(pk=key).first()
    if version is None:
        raise Http404
    try:
        fields = version.field_dict
    except RevertError:
        raise Http404 from None
    texts = {name: fields.get(name) or "" for name in WRITTEN_FIELDS}
    return version, texts | {name: fields.get(name) for name in STATED_FIELDS}
