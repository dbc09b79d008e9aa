"""Names of elements of a Word file, and how to read an attribute of one."""

from __future__ import annotations

from typing import Any  # For the elements of lxml, which python-docx gives without types.

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"


def value(element: Any, place: str) -> str:
    """The attribute ``w:val`` of the element at the path ``place`` below ``element``; ``""`` if there is none, or if
    ``element`` is ``None``.
    """
    found = element.find(place) if element is not None else None
    return (found.get(f"{W}val") or "") if found is not None else ""


def is_on(switch: Any) -> bool:
    """Does this element exist, and does its ``w:val`` not switch its property off (``0``, ``false`` or ``off``)? An
    element without a value switches it on. ``None`` is an element that does not exist.
    """
    return switch is not None and switch.get(f"{W}val") not in {"0", "false", "off"}


def integer(digits: str | None, most: int) -> int | None:
    """The number that these ASCII digits write, or ``most`` if it is larger; ``None`` if they write none.

    Python limits how many digits it converts, and a Word file may contain any number of them.
    """
    if not digits or not digits.isascii() or not digits.isdecimal():
        return None
    digits = digits.lstrip("0") or "0"
    return min(int(digits), most) if len(digits) <= len(str(most)) else most
