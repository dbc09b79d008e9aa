"""A draft's form: what was typed is never lost, and nobody's words are overwritten without being shown."""

from __future__ import annotations

import json
from typing import Any

from django import forms

from agreement import conf
from agreement.models import Edition
from agreement.models.refusals import TEXTS
from agreement.text import seal

#: What an edition states besides its texts.
STATED = ("prevailing_language", "notice_days", "retention_years", "material")


def fingerprint(edition: Edition) -> str:
    """A digest of everything an author can change: two pages with the same one showed the same draft."""
    texts = [getattr(edition, f"{name}_{code}") or "" for name in TEXTS for code in conf.LANGUAGES]
    return seal.sha256(json.dumps([*texts, *(getattr(edition, name) for name in STATED)]))


class EditionForm(forms.ModelForm):  # type: ignore[type-arg]
    """A draft in both languages."""

    #: The draft as stored, where the form does not begin with it: a revision is shown, and saved over it.
    over: str | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stored = fingerprint(self.instance) if self.over is None else self.over
