"""What an author writes in an edition: the names of the fields, their labels, their values, and a digest of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.contrib.admin.utils import label_for_field
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from agreement.admin.base import yes_or_no
from agreement.models import Edition
from agreement.models.errors import TEXT_FIELDS
from agreement.seal import manifest
from agreement.text import languages

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

#: What an edition states besides its texts.
STATED_FIELDS = ("prevailing_language", "notice_days", "retention_years", "material")
#: The columns of its texts, in each language.
TEXT_FIELDS_BY_LANGUAGE = tuple(f"{name}_{code}" for name in TEXT_FIELDS for code in languages.LANGUAGES)
#: The texts an author writes. A title is not among them: it is the first line of its text.
WRITTEN_FIELDS = tuple(
    f"{name}_{code}" for name in reversed(TEXT_FIELDS) if name != "title" for code in languages.LANGUAGES
)

_IN_LANGUAGE = {"kk": _("{field} in Kazakh"), "ru": _("{field} in Russian")}


def label(name: str) -> StrOrPromise:
    """The name of a column in words: "text in Kazakh", where modeltranslation has "text [kk]"."""
    base, _separator, code = name.rpartition("_")
    if base not in TEXT_FIELDS:
        return label_for_field(name, Edition, return_attr=False)
    return format_lazy(_IN_LANGUAGE[code], field=label_for_field(base, Edition, return_attr=False))


def values(edition: Edition) -> dict[str, Any]:
    """Everything an author can change, by field."""
    texts = {name: getattr(edition, name) or "" for name in WRITTEN_FIELDS}
    return texts | {name: getattr(edition, name) for name in STATED_FIELDS}


def stated_in_words(name: str, value: object) -> object:
    """What an edition states in that field, in words; a number is left as it is."""
    if isinstance(value, bool):
        return yes_or_no(value)
    if name == "prevailing_language":
        return {"kk": _("Kazakh"), "ru": _("Russian")}.get(str(value), _("none stated"))
    return value


def fingerprint(edition: Edition) -> str:
    """A digest of everything an author can change: two pages with the same one displayed the same draft."""
    texts = [getattr(edition, name) or "" for name in TEXT_FIELDS_BY_LANGUAGE]
    return manifest.sha256(json.dumps([*texts, *(getattr(edition, name) for name in STATED_FIELDS)]))
