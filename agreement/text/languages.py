"""The languages of the texts of each edition: Kazakh and Russian, by design.

A third one would also need columns (``translation``, a migration), the words of clauses and references (``outline``,
``references``), pairs of clauses for more than two texts (``parallel``, ``lint.rules``), dates, and a catalogue.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

#: The codes of the languages. The base columns of an edition mirror the first one.
LANGUAGES = ("kk", "ru")

_KAZAKH = "әғқңөұүһіӘҒҚҢӨҰҮҺІ"
_RUSSIAN = re.compile("[а-яёА-ЯЁ]")
#: The first word of what sites store as the language of a user → its code: ISO 639-1 and 639-2, the code of the country
#: that is often written in place of ``kk``, and names ("қазақ тілі", "русский язык").
_NAMES = dict.fromkeys(
    "kk kaz kz kazakh qazaq qazaqsha қазақ қазақша қаз казахский казахша каз".split(), "kk"
) | dict.fromkeys("ru rus russian орыс орысша русский рус".split(), "ru")


def recognise(text: str) -> str:
    """The language of a text: ``kk`` or ``ru``. ``""`` for a text with fewer than 40 Kazakh and Russian letters, and
    for a mixture of both languages.

    What decides is the share of the letters that Kazakh has and Russian lacks among all Kazakh and Russian letters of
    the text: more than 0.12 gives ``kk``, less than 0.04 gives ``ru``, and a share between them gives ``""``. In Kazakh
    texts the share is about 0.25. A Russian text has few of these letters, for example in names and quotations.
    """
    kazakh = sum(map(text.count, _KAZAKH))
    cyrillic = kazakh + len(_RUSSIAN.findall(text))
    if cyrillic < 40:
        return ""
    share = kazakh / cyrillic
    return "kk" if share > 0.12 else "ru" if share < 0.04 else ""


def swapped(texts: Mapping[str, str]) -> bool:
    """Is the text under ``kk`` in Russian, and the text under ``ru`` in Kazakh? False if one of them is missing or its
    language is not recognised.
    """
    return {code: recognise(text) for code, text in texts.items()} == {"kk": "ru", "ru": "kk"}


def notice_language(value: object) -> str:
    """The language of a notice to a user whose language is stored as ``value``.

    The letters with which ``value`` begins decide. They may be a code of the language, also if a script or a region
    follows (``"kk"``, ``"kaz"``, ``"ru-RU"``, ``"kk_KZ"``, ``"kk-Cyrl-KZ"``), the code of Kazakhstan (``"kz"``), or a
    usual name of the language in Kazakh, Russian or English. The case of letters is ignored. Returns ``kk``, ``ru``, or
    ``mul`` (ISO 639-2: several languages) for any other value, also for ``None`` and ``""``.
    """
    first = re.match(r"\s*([^\W\d_]+)", str(value or ""))
    return _NAMES.get(first[1].casefold(), "mul") if first else "mul"
