"""Every stylesheet of the app and of the portal parses, down to the last declaration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

tinycss2 = pytest.importorskip("tinycss2", reason="tinycss2 comes with WeasyPrint: install the extra pdf")

ROOT = Path(__file__).resolve().parent.parent
STYLESHEETS = sorted([*ROOT.glob("agreement/static/**/*.css"), *ROOT.glob("portal_site/static/**/*.css")])


def errors(nodes: Iterable[Any]) -> Iterator[str]:
    """What the parser could not read, with its line: in the rules, and in all that is in their braces."""
    for node in nodes:
        if node.type == "error":
            yield f"line {node.source_line}: {node.message}"
        elif node.type in {"qualified-rule", "at-rule"} and node.content is not None:
            yield from errors(tinycss2.parse_blocks_contents(node.content, skip_comments=True, skip_whitespace=True))


@pytest.mark.parametrize("path", STYLESHEETS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_stylesheet_parses(path: Path):
    text = path.read_text(encoding="utf-8")
    assert list(errors(tinycss2.parse_stylesheet(text, skip_comments=True, skip_whitespace=True))) == []


@pytest.mark.parametrize("text", ["a { color }", "@media print { a { color red } }", "a { b: c; d }"])
def test_the_parser_finds_what_is_broken(text: str):
    assert list(errors(tinycss2.parse_stylesheet(text, skip_comments=True, skip_whitespace=True)))
