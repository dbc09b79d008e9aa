"""The documents in ``agreement/docs`` describe the code as it is: settings, tags, addresses, examples."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import pytest

import agreement
from agreement import conf, urls
from agreement.editions import DisplayedEdition
from agreement.models.log import LogKind
from agreement.templatetags.agreement import register

DOCUMENTS = Path(agreement.__file__).parent / "docs"
#: The documents whose Python code is complete: a reader can copy each block.
WITH_PYTHON = ("djangocms.md", "install.md", "log.md", "settings.md", "tags.md")


def read(name: str) -> str:
    """The text of the document with that file name."""
    return (DOCUMENTS / name).read_text(encoding="utf-8")


def code_blocks(document: str, language: str) -> list[str]:
    """The code blocks of a document that are marked with that language."""
    return [code for marked, code in re.findall(r"^```(\w*)\n(.*?)^```$", document, re.M | re.S) if marked == language]


def without_code(document: str) -> str:
    """The document without its code blocks, in which a line can begin with ``#``."""
    return re.sub(r"^```.*?^```$", "", document, flags=re.M | re.S)


def sections(document: str, level: int) -> Iterator[tuple[str, str]]:
    """The headings of that level, without ``#``, each with the text up to the next heading of that level or above."""
    pattern = rf"^#{{{level}}} (.+?)\n(.*?)(?=^#{{1,{level}}} |\Z)"
    yield from re.findall(pattern, without_code(document), re.M | re.S)


def described_names(document: str) -> list[str]:
    """The names that have a heading of the third level in backticks: ``### `NAME```, or ``### `name(argument=1)```."""
    return [found[1] for heading, _text in sections(document, 3) if (found := re.fullmatch(r"`(\w+).*`", heading))]


def as_code(value: object) -> str:
    """A default value as the documents write it: strings in double quotes, and a duration in minutes."""
    if isinstance(value, timedelta):
        return f"timedelta(minutes={value // timedelta(minutes=1)})"
    return repr(value).replace("'", '"')


# settings.md


def test_settings_describes_each_key_once_and_no_other():
    assert Counter(described_names(read("settings.md"))) == Counter(conf.KEYS)


def test_settings_lists_each_key_under_its_subject():
    document = read("settings.md")
    listed = dict(re.findall(r"^- \[(.+?)\]\(.+?\): (.+(?:\n  .+)*)", document, re.M))
    described = {subject: described_names(f"{text}\n") for subject, text in sections(document, 2)}
    assert {subject: re.findall(r"`(\w+)`", keys) for subject, keys in listed.items()} == described


@pytest.mark.parametrize("key", conf.KEYS)
def test_settings_states_the_default_of_the_key(key):
    text = dict(sections(read("settings.md"), 3))[f"`{key}`"]
    assert re.findall(r"^Default: `(.+)`$", text, re.M) == [as_code(getattr(conf.Conf(), key))]


# tags.md


def test_tags_describes_each_tag_and_filter():
    described = described_names(read("tags.md"))
    assert set(described) >= {*register.tags, *register.filters}
    assert {name for name in described if name.startswith("agreement_")} == {*register.tags, *register.filters}


def test_tags_lists_each_address():
    text = dict(sections(read("tags.md"), 2))["Addresses"]
    listed = re.findall(r"^\| `(\w+)` \|", text, re.M)
    assert Counter(listed) == Counter(pattern.name for pattern in urls.urlpatterns)


def test_tags_lists_each_attribute_of_a_displayed_edition():
    text = dict(sections(read("tags.md"), 3))["`DisplayedEdition`"]
    listed = [name for row in re.findall(r"^\| (`.+?) \|", text, re.M) for name in re.findall(r"`(\w+)`", row)]
    properties = [name for name, value in vars(DisplayedEdition).items() if isinstance(value, property)]
    assert Counter(listed) == Counter([*(field.name for field in fields(DisplayedEdition)), *properties])


# log.md


def test_log_describes_each_kind_of_entry():
    text = dict(sections(read("log.md"), 2))["Entries"]
    assert re.findall(r"^\| (\w+) \| (?!entry)", text, re.M) == LogKind.values


# Code


@pytest.mark.parametrize("name", WITH_PYTHON)
def test_each_python_block_is_valid_and_its_settings_exist(name):
    blocks = code_blocks(read(name), "python")
    assert blocks
    for block in blocks:
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "AGREEMENT":
                assert set(ast.literal_eval(node.value)) <= set(conf.KEYS), block


def test_nothing_advises_to_install_the_package_of_another_project():
    folder = Path(agreement.__file__).parent
    for path in (*folder.rglob("*.py"), *folder.rglob("*.md"), *folder.rglob("*.po")):
        text = path.read_text(encoding="utf-8").replace('\\"', '"').replace("Do not run `pip install agreement`", "")
        assert not re.search(r'pip install "?agreement\b', text), path
