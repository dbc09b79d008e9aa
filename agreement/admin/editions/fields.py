"""The fields of an edition that an author writes: their names, their labels, their values, and a digest of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.contrib.admin.utils import label_for_field
from django.utils.translation import gettext_lazy as _

from agreement.admin.base import yes_or_no
from agreement.models import Edition
from agreement.models.errors import TEXT_FIELDS, field_label
from agreement.seal import manifest
from agreement.text import languages

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

#: The fields that an author writes and that are not texts.
STATED_FIELDS = ("prevailing_language", "notice_days", "grace_days", "retention_years", "material")
#: The columns of the texts in both languages.
TEXT_FIELDS_BY_LANGUAGE = tuple(f"{name}_{code}" for name in TEXT_FIELDS for code in languages.LANGUAGES)
#: The columns of the texts that an author writes. The title is not one of them, because it is a line of the text.
WRITTEN_FIELDS = tuple(
    f"{name}_{code}" for name in reversed(TEXT_FIELDS) if name != "title" for code in languages.LANGUAGES
)


def label(name: str) -> StrOrPromise:
    """Return the label of a column: of a text that of :func:`field_label`, of any other column, such as
    ``notice_days``, its ordinary one.
    """
    return field_label(name) if name in TEXT_FIELDS_BY_LANGUAGE else label_for_field(name, Edition, return_attr=False)


def values(edition: Edition) -> dict[str, Any]:
    """Return the values of the fields that an author can change, by the name of the field: the ``WRITTEN_FIELDS``, with
    ``""`` for an empty text, and the ``STATED_FIELDS``. The titles are left out, because the texts contain them.
    """
    texts = {name: getattr(edition, name) or "" for name in WRITTEN_FIELDS}
    return texts | {name: getattr(edition, name) for name in STATED_FIELDS}


def stated_in_words(name: str, value: object) -> object:
    """Return a value as a page displays it. A boolean becomes the translated "yes" or "no". The prevailing language
    (``name`` is ``prevailing_language``) becomes its translated name, or "none stated". Any other value, such as a
    number, is returned unchanged.
    """
    if isinstance(value, bool):
        return yes_or_no(value)
    if name == "prevailing_language":
        return {"kk": _("Kazakh"), "ru": _("Russian")}.get(str(value), _("none stated"))
    return value


def fingerprint(edition: Edition) -> str:
    """Return a digest of everything that an author can change: all texts with their titles, and the ``STATED_FIELDS``.
    Drafts with the same digest have the same contents. They may belong to different agreements.
    """
    texts = [getattr(edition, name) or "" for name in TEXT_FIELDS_BY_LANGUAGE]
    return manifest.sha256(json.dumps([*texts, *(getattr(edition, name) for name in STATED_FIELDS)]))
