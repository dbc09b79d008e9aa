"""The exact Markdown of an edition in the Word file that this app wrote for its text in one language.

Word has no place for some details of Markdown: ``**`` or ``__``, empty lines, a wrapped paragraph. The file therefore
contains the body of the edition in a part of its own, beside the text that Word displays. :mod:`agreement.word.reader`
uses this part only if Word displays exactly the text that the app wrote for this body. As soon as a person changes a
word of the file, the part is ignored.
"""

from __future__ import annotations

import base64
import binascii
from hashlib import sha256
from typing import Any  # For the parts of python-docx, which has no types.

from agreement.text import source

NAMESPACE = "urn:agreement:markdown"
_TAG = f"{{{NAMESPACE}}}markdown"


def part(body: str) -> bytes:
    """The part that contains this body, as XML."""
    content = body.encode("utf-8", "surrogatepass")
    digest, coded = sha256(content).hexdigest(), base64.b64encode(content).decode()
    return f'<markdown xmlns="{NAMESPACE}" sha256="{digest}">{coded}</markdown>'.encode()


def stored_body(main: Any) -> str:
    """The body that :func:`part` stored in the file whose main part this is; ``""`` if there is none, if it is damaged,
    or if it can't be the body of an edition.
    """
    from docx.oxml import parse_xml

    for relation in main.rels.values():
        if relation.is_external or not relation.reltype.endswith("/customXml"):
            continue
        blob = relation.target_part.blob
        if len(blob) > 2 * source.MAX_BYTES or NAMESPACE.encode() not in blob[:500]:
            continue
        try:
            root = parse_xml(blob)
            content = base64.b64decode(root.text or "", validate=True)
            if root.tag == _TAG and root.get("sha256") == sha256(content).hexdigest():
                return source.decode(content, "")
        except (SyntaxError, ValueError, binascii.Error):  # ``SourceError`` is a ``ValueError``.
            continue
    return ""
