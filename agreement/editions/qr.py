"""QR codes of URLs, as SVG."""

from __future__ import annotations

from importlib.util import find_spec

from django.utils.safestring import SafeString, mark_safe


def svg(address: str, *, title: str = "") -> SafeString:
    """The QR code of a URL, given as ``address``, as an ``svg`` element, dark on white with its margin, without a size.
    ``title`` becomes the element ``title`` in it, which is the alternative text in a PDF; ``""``: it has none. ``""``
    if the package segno, which the extra ``pdf`` installs, is missing. It has no style and no script, so that any
    content security policy allows it.
    """
    if find_spec("segno") is None:
        return SafeString("")
    import segno

    code = segno.make(address, error="m")
    look = {"border": 4, "light": "#fff", "svgclass": None, "lineclass": None, "omitsize": True}
    return mark_safe(code.svg_inline(**look, title=title or None))  # noqa: S308 - made by segno, which escapes the title
