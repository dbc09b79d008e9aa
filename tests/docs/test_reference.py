"""The reference pages in ``agreement/docs`` name what the code has: no more, no less."""

from __future__ import annotations

import ast
import re
from argparse import Action
from functools import cache
from importlib import import_module
from itertools import dropwhile, pairwise, takewhile
from pathlib import Path

import pytest
from django.core.management.base import BaseCommand
from django.utils import translation

from agreement.models import EditionError
from agreement.text import clauses
from agreement.text.lint import rules
from agreement.text.lint.messages import MESSAGES
from tests.support.site import ROOT

DOCS = ROOT / "agreement/docs"
COMMANDS = {
    path.stem: f"agreement.management.commands.{path.stem}"
    for path in (ROOT / "agreement/management/commands").glob("[!_]*.py")
} | {"demo": "portal_site.management.commands.demo"}
#: What Django gives every command. ``commands.md`` names it once for all.
SHARED = {action.dest for action in BaseCommand().create_parser("manage.py", "shared")._actions}


def page(name: str) -> str:
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def sources(folder: str) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / folder).rglob("*.py")))


def section(text: str, heading: str) -> str:
    """What stands under that heading, up to the next one of its level."""
    level = heading.partition(" ")[0]
    found = re.search(rf"^{re.escape(heading)}$(.*?)(?=^{level} |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"There is no {heading!r}."
    return found[1]


def table(text: str, head: str = "") -> list[list[str]]:
    """The cells of the first table in a text, or of the one whose first column has that head, without its head."""
    lines = dropwhile(lambda line: not line.startswith(f"| {head}".rstrip()), text.splitlines())
    rows = list(takewhile(lambda line: line.startswith("|"), lines))
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


# commands.md


def options(name: str) -> list[Action]:
    command = import_module(COMMANDS[name]).Command()
    return [one for one in command.create_parser("manage.py", name)._actions if one.dest not in SHARED]


def test_every_command_has_a_section():
    assert set(re.findall(r"^## (\w+)$", page("commands"), re.MULTILINE)) == set(COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_command_is_described_with_its_options_exit_codes_and_an_example(name):
    text = section(page("commands"), f"## {name}")
    cells = " ".join(row[0] for row in table(text))
    expected = {option for one in options(name) for option in one.option_strings}
    assert set(re.findall(r"`(--[\w-]+)", cells)) == expected
    for positional in [one for one in options(name) if not one.option_strings]:
        assert f"`{positional.metavar or positional.dest.upper()}`" in cells
    assert "Exit codes: " in text
    assert "```console\n$ python manage.py " + name in text


# checks.md


def test_every_system_check_has_a_section():
    ids = set(re.findall(r'id="(agreement\.[EW]\d+)"', sources("agreement/checks")))
    assert set(re.findall(r"^### (agreement\.[EW]\d+)$", page("checks"), re.MULTILINE)) == ids
    assert set(re.findall(r"agreement\.[EW]\d+", page("checks") + page("operate"))) == ids


def test_every_log_code_has_a_section_with_its_level():
    levels = {"info": "INFO", "warning": "WARNING", "exception": "ERROR", "error": "ERROR"}
    logged = re.findall(r'logger\.(\w+)\(\s*"(N1\d\d) ', sources("agreement"))
    expected = {code: levels[method] for method, code in logged}
    assert {code for _method, code in logged} == set(re.findall(r"\bN1\d\d\b", sources("agreement")))
    described = dict(re.findall(r"^### (N1\d\d)\n\nLevel (\w+)", page("checks"), re.MULTILINE))
    assert described == expected


def test_every_rule_of_the_lint_has_a_section_with_its_severity():
    described = re.findall(r"^### (agreement\.L\d+)\n\n(\w+):", page("checks"), re.MULTILINE)
    assert [(id_, severity.lower()) for id_, severity in described] == [
        (id_, text.severity) for id_, text in MESSAGES.items()
    ]


def test_every_code_of_a_refused_publication_is_in_the_table():
    raised = set(re.findall(r'code="(\w+)"', sources("agreement/models") + sources("agreement/evidence")))
    documented = set(re.findall(r"``(\w+)``", (EditionError.__doc__ or "").partition("Codes:")[2]))
    rows = {row[0].strip("`") for row in table(section(page("checks"), "### EditionError"))}
    assert rows == documented
    of_the_lint = set(rules.CODES.values())
    assert of_the_lint <= rows
    assert rows - of_the_lint <= raised


def test_every_code_of_another_error_is_in_a_table():
    codes = set(re.findall(r'code="(\w+)"', sources("agreement")))
    text = section(page("checks"), "## Error codes")
    assert codes <= set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))


# operate.md


def test_every_environment_variable_is_in_a_table():
    settings = (ROOT / "portal_site/settings.py").read_text(encoding="utf-8")
    read = set(re.findall(r'\benv\.\w+\(\s*"([A-Z_]+)"', settings))
    text = section(page("operate"), "## Environment variables")
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", text, re.MULTILINE)) == read


def test_the_log_codes_of_the_operator_exist():
    assert set(re.findall(r"\bN1\d\d\b", page("operate"))) <= set(re.findall(r"\bN1\d\d\b", page("checks")))


# text.md

#: An example: a block, then a table of what it contains.
EXAMPLE = re.compile(r"```text\n(.*?)```\n\n\| kind \| printed number \| address \|\n(.*?)\n\n", re.DOTALL)
EXAMPLES = EXAMPLE.findall(page("text"))


def test_the_examples_are_found():
    assert len(EXAMPLES) == page("text").count("| kind | printed number | address |") >= 9


@pytest.mark.parametrize(("body", "rows"), EXAMPLES, ids=[str(number) for number in range(1, len(EXAMPLES) + 1)])
def test_an_example_has_the_units_and_addresses_that_the_page_states(body, rows):
    expected = [tuple(cell.strip(" `") for cell in row.split("|")[1:4]) for row in rows.splitlines()[1:]]
    assert [(unit.kind, unit.label, unit.number) for unit in clauses.parse(body).units] == expected


def test_references_lead_where_the_page_says():
    text = section(page("text"), "## References")
    (body,) = re.findall(r"```text\n(.*?)```", text, re.DOTALL)
    rows = re.findall(r"^\| `([^|]+)` \| (.*?)\s*\|$", text, re.MULTILINE)
    assert len(rows) >= 15
    for words, addresses in rows:
        html = clauses.parse(body.replace("WORDS", words)).html
        found = re.findall(r'class="reference" href="#([^"]+)"', html)
        assert found == re.findall(r"`([^`]+)`", addresses), words


def test_the_lines_that_look_like_a_number_begin_nothing_and_are_reported():
    text = section(page("text"), "## What begins nothing")
    lines = [line for row in table(text, "line") for line in re.findall(r"`([^`]+)`", row[0])]
    assert len(lines) >= 8
    for line in lines:
        body = f"Т\n\n1. ОБЩИЕ\n\n1.1. Т.\n\n{line}\n"
        assert clauses.parse(body).numbers == ("1", "1.1"), line
        assert "agreement.L029" in {message.id for message in rules.lint({"ru": body})}, line


# glossary.md

GLOSSARY = page("glossary").replace("\n  ", " ")
TERMS = re.findall(r"^- \*\*(.+?)\*\* \(\*(.+?)\* · \*(.+?)\*\)\. [A-Z]", GLOSSARY, re.MULTILINE)


def test_every_entry_has_three_languages_and_a_meaning():
    assert len(TERMS) == GLOSSARY.count("\n- **") > 50


@pytest.mark.parametrize(("place", "language"), [(1, "kk"), (2, "ru")])
def test_the_terms_are_those_of_the_catalogue(place, language):
    with translation.override(language):
        known = {term[0]: translation.gettext(term[0]) for term in TERMS}
    differ = {term[0]: (term[place], known[term[0]]) for term in TERMS if known[term[0]] not in {term[0], term[place]}}
    assert not differ


# promises.md

#: The address of a test, as pytest takes it.
NODE = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@cache
def names_of_tests(path: str) -> set[str]:
    """The names of the tests in that file, read without importing it: of functions, and of none in a class."""
    if not (ROOT / path).is_file():
        return set()
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    functions = (one for one in tree.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))
    return {one.name for one in functions if one.name.startswith("test_")}


def test_each_promise_has_its_number_and_a_row_that_leads_to_it():
    headings = re.findall(r"^## (\d+)\. .+$", page("promises"), re.MULTILINE)
    assert headings == [str(number) for number in range(1, 19)]
    assert len(re.findall(r"^## ", page("promises"), re.MULTILINE)) == len(headings)
    assert re.findall(r"^\| \[(\d+)\]\(#\1-", page("promises"), re.MULTILINE) == headings


@pytest.mark.parametrize("number", range(1, 19))
def test_each_statement_of_a_promise_names_tests_that_exist(number):
    text = re.search(rf"^## {number}\. .+?$(.*?)(?=^## |\Z)", page("promises"), re.MULTILINE | re.DOTALL)[1]
    paragraphs = [one for one in text.strip().split("\n\n") if one]
    for statement, tests in pairwise([*paragraphs, ""]):
        if not statement.startswith(("- ", "**Limit:**")):
            assert tests.startswith("- ") or tests.endswith(":"), f"There is no test of: {statement}"
    for line in (line for one in paragraphs if one.startswith("- ") for line in one.splitlines()):
        named = NODE.fullmatch(line.removeprefix("- "))
        assert named, line
        assert named[2] in names_of_tests(named[1]), line


# All pages

PAGES = [*sorted(DOCS.glob("*.md")), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "agreement/README.md"))]
each_page = pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


@each_page
def test_links_between_the_pages_lead_somewhere(path: Path):
    text = path.read_text(encoding="utf-8")
    prose = re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)
    for name, anchor in re.findall(r"\]\((?!https?:)([\w./-]*)(?:#([\w-]+))?\)", prose):
        target = (path.parent / name) if name else path
        assert target.exists(), name
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in anchors, f"{name}#{anchor}"


@each_page
def test_lines_are_short(path: Path):
    lines = path.read_text(encoding="utf-8").splitlines()
    # The address of a test is one word.
    assert [line for line in lines if len(line) > 120 and not NODE.fullmatch(line.removeprefix("- "))] == []


def test_the_readme_is_short_and_leads_to_every_page():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(readme.splitlines()) <= 150
    assert {path.name for path in PAGES if path.name != "README.md"} == {
        Path(target).name for target in re.findall(r"\]\(([\w./-]+\.md)\)", readme)
    } - {"README.md", "CHANGELOG.md"}
