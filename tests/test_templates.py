"""Templates stay readable."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = sorted(
    path for folder in ("agreement/templates", "templates") for path in (ROOT / folder).rglob("*") if path.is_file()
)
LONGEST_LINE = 120


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_line_of_a_template_is_longer_than_120_characters(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    long = [str(number) for number, line in enumerate(lines, 1) if len(line) > LONGEST_LINE]
    assert not long, (
        f"{path.relative_to(ROOT)}: line {', '.join(long)} is longer than {LONGEST_LINE} characters. Break it at a"
        " space, between two attributes, or inside {% blocktranslate trimmed %}, which joins the lines of a message by"
        " a space. Where a space would be seen, break before the > of a tag. Name a long expression by {% with %}."
    )
