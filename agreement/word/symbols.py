"""Converts characters of symbol fonts, and raised or lowered words, to characters of Unicode."""

from __future__ import annotations

#: The characters of the font Symbol from 0x21 and from 0xA0 on; a space stands for one that Unicode lacks.
_SYMBOL = dict(
    enumerate("!∀#∃%&∋()∗+,−./0123456789:;<=>?≅ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_ αβχδεφγηιϕκλμνοπθρστυϖωξψζ{|}∼", 0x21)
)
_SYMBOL |= dict(enumerate("€ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…⏐⎯↵ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓◊⟨®©™∑", 0xA0))
#: The characters of each font of symbols by their place in it, as far as there is no doubt about them.
_FONTS: dict[str, dict[int, str]] = {
    "symbol": {place: character for place, character in _SYMBOL.items() if character != " "},
    "wingdings": {
        **dict(zip((0x6C, 0x6E, 0x6F, 0x75, 0x76, 0x9F, 0xA1, 0xA7, 0xA8), "●■□◆❖•○▪◻", strict=True)),
        **dict(zip((0xD8, 0xDF, 0xE0, 0xE1, 0xE2, 0xE8, 0xF0, 0xFB, 0xFC, 0xFD, 0xFE), "➢←→↑↓➔⇨✗✓☒☑", strict=True)),
    },
    "wingdings 2": dict(zip((0x50, 0x52, 0xA3), "✓☑□", strict=True)),
}
_RAISED = str.maketrans(
    "0123456789+-−–=()abcdefghijklmnoprstuvwxyz",
    "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻ",
)
_LOWERED = str.maketrans("0123456789+-−–=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₋₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ")


def symbol(font: str, code: int) -> str:
    """The Unicode character at the place ``code`` of the font with this name; ``""`` if this module is not sure of it.
    The place in a known symbol font may be given with 0xF000 added. In any other font, it is the code point of the
    character; ``""`` if that is above 0xFFFF, not printable or for private use.
    """
    places = _FONTS.get(font.lower())
    if places is not None:
        return places.get(code - 0xF000 if 0xF000 <= code <= 0xF0FF else code, "")
    character = chr(code) if code <= 0xFFFF else ""
    return character if character.isprintable() and not "\ue000" <= character <= "\uf8ff" else ""


def unicode_symbols(words: str, font: str) -> str:
    """The words with the characters U+F000 to U+F0FF of a symbol font replaced by characters of Unicode. A character of
    which this module is not sure stays. ``font`` is the name of the font in small letters; words in a font that is no
    known symbol font are returned as they are.
    """
    if font not in _FONTS:
        return words
    return "".join(
        symbol(font, ord(character)) or character if "\uf000" <= character <= "\uf0ff" else character
        for character in words
    )


def raised_words(words: str, raised: str, before: str) -> str:
    """The words, which are raised (``superscript``) or lowered (``subscript``), as characters of Unicode: «¹».
    ``before`` are the words before them. Words are attached if ``before`` ends with a letter, a digit or a sign such as
    ``)`` or ``%``.

    Words without letters and digits are returned as they are. So are words with two or more letters that are not
    attached, such as a hint below a blank, even if Unicode has all their characters. If Unicode lacks a character of
    other words, they become ``^(…)`` or ``_(…)`` if they are attached; otherwise they are returned as they are.
    """
    table, mark = (_RAISED, "^") if raised == "superscript" else (_LOWERED, "_")
    attached = before[-1:].isalnum() or before[-1:] in {")", "]", "»", "”", "%", "°", "№"}
    letters = sum(character.isalpha() for character in words)
    if not any(map(str.isalnum, words)) or (letters > 1 and not attached):
        return words
    if all(ord(character) in table or not character.isalnum() for character in words):
        return words.translate(table)
    if not attached:
        return words
    bare = words.strip()
    return words.replace(bare, f"{mark}({bare})", 1)
