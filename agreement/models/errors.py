"""The error of a refusal to publish, record or cancel an edition, the text fields of an edition, and the largest
numbers that it may state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

#: The fields that are written in each language.
TEXT_FIELDS = ("title", "approval", "summary", "body")


#: The largest number that each field may state. With a much larger one a date could not be computed, and a sealed
#: edition can't be corrected.
MAX_STATED = {"notice_days": 3650, "grace_days": 3650, "retention_years": 1000}


#: Each label is one message, so that a stored history of changes can name it in the language of its reader.
_LABELS = {
    "title_kk": _("title in Kazakh"),
    "title_ru": _("title in Russian"),
    "approval_kk": _("approval in Kazakh"),
    "approval_ru": _("approval in Russian"),
    "summary_kk": _("what changed in Kazakh"),
    "summary_ru": _("what changed in Russian"),
    "body_kk": _("text in Kazakh"),
    "body_ru": _("text in Russian"),
}


def field_label(column: str) -> StrOrPromise:
    """Return the label of a column of a text, such as "text in Kazakh" for ``body_kk``. That of modeltranslation would
    be "text [kk]". Raises ``KeyError`` for any other column.
    """
    return _LABELS[column]


class EditionError(ValidationError):
    """A refusal to publish, record or cancel an edition, or to store a signature of it.

    ``code`` names the rule, ``params`` contains the values of the message, and ``hint`` says what to do (``""`` if
    there is no hint). ``str()`` gives the message.

    Codes: ``already_published``, ``missing_language``, ``unparallel``, ``duplicate_number``, ``naive_time``,
    ``backdated``, ``out_of_range``, ``not_after_last``, ``clock_behind``, ``stale_comparison``, ``not_history``,
    ``not_cancellable``, ``no_draft``, ``short_notice``, ``unreadable``, ``title_differs``, ``four_eyes``. For
    signatures: ``not_sealed``, ``signature_too_long``, ``no_reader``, ``not_a_signature``, ``not_detached``,
    ``several_signatures``, ``no_certificate``, ``no_message_digest``, ``other_text``, ``signed_before``,
    ``signature_refused``.
    """

    def __init__(self, message: StrOrPromise, *, code: str, hint: StrOrPromise = "", **params: object) -> None:
        super().__init__(message, code=code, params=params)
        self.hint = hint % params if hint and params else str(hint)

    def __str__(self) -> str:
        return " ".join(self.messages)
