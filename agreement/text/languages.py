"""The languages of the texts of each edition: Kazakh and Russian, by design.

A third one would also need columns (``translation``, a migration), the words of clauses and references (``outline``,
``references``), pairs of clauses for more than two texts (``parallel``, ``lint.rules``), dates, and a catalogue.
"""

from __future__ import annotations

#: The codes of the languages. The base columns of an edition mirror the first one.
LANGUAGES = ("kk", "ru")


def notice_language(value: object) -> str:
    """The language of a notice to a user whose language is stored as ``value``, such as ``"kk"``, ``"ru-RU"`` or
    ``"ru_RU"``.

    Returns ``kk``, ``ru``, or ``mul`` (ISO 639-2: several languages) for any other value, also for ``None`` and ``""``.
    """
    code = str(value or "").replace("_", "-").partition("-")[0].lower()
    return code if code in LANGUAGES else "mul"
