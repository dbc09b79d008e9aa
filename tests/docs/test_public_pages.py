"""The names of ``public.md`` that pages and stylesheets of a site use: template tags, templates, styles."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from pathlib import Path

import pytest
from django.template import Template, engines
from django.template.base import FilterExpression, Node, Variable
from django.template.defaulttags import ForNode, WithNode
from django.template.loader_tags import IncludeNode
from django.template.smartif import TokenBase
from django.templatetags.i18n import BlockTranslateNode

from agreement.templatetags import agreement as tags
from agreement.templatetags import agreement_desk
from tests.docs.test_documents import read, sections
from tests.docs.test_public import APP, FOR_SITES, HEADINGS, bullets, in_backticks
from tests.docs.test_reference import table
from tests.support.site import ROOT

#: What a developer of a site reads or copies: the documents, and the templates of the portal.
FOR_SITES_AND_PORTAL = [
    *FOR_SITES.values(),
    *(path.read_text(encoding="utf-8") for path in sorted((ROOT / "templates").rglob("*.html"))),
]
PORTAL_STYLES = "".join(
    path.read_text(encoding="utf-8") for path in sorted((ROOT / "portal_site/static").rglob("*.css"))
)

# Template tags and templates


@pytest.mark.parametrize("name", tags.register.tags)
def test_tags_lists_each_argument_of_a_tag_with_its_default(name: str):
    text = dict(sections(read("tags.md"), 3))[f"`{name}`"]
    rows = table(text, "argument")
    known = [one for one in inspect.signature(getattr(tags, name)).parameters.values() if one.name != "context"]
    assert [row[0].strip("`") for row in rows] == [one.name for one in known]
    for row, one in zip(rows, known, strict=True):
        assert (one.default is one.empty) == (row[2] == "required")
        if one.default and one.default is not one.empty:
            assert row[2] == f"`{one.default}`"


def test_the_public_tags_of_the_desk_are_those_that_install_names():
    listed = set(in_backticks(HEADINGS["Template tags"])) & set(agreement_desk.register.tags)
    named = set(re.findall(r"{% (agreement_\w+) %}", read("install.md"))) & set(agreement_desk.register.tags)
    assert listed == named
    assert len(listed) == 2


FOLDER = APP / "templates"
FOLDERS = (FOLDER, *(APP / "contrib").glob("*/templates"))
VARIABLES, BLOCKS = bullets("Variables"), bullets("Blocks")


def blocks(path: Path) -> list[str]:
    return re.findall(r"{% block (\w+) %}", path.read_text(encoding="utf-8"))


def test_the_frame_has_the_listed_blocks_and_the_pages_fill_no_others():
    assert {name: Counter(names) for name, names in BLOCKS.items()} == {
        name: Counter(blocks(FOLDER / name)) for name in BLOCKS
    }
    pages = [path for folder in ("pages", "account") for path in (FOLDER / "agreement" / folder).glob("*.html")]
    framed = [path for path in pages if "{% extends " in path.read_text(encoding="utf-8")]
    assert len(framed) > 15
    assert {name for path in framed for name in blocks(path)} == set(BLOCKS["agreement/base.html"])
    for path in set(pages) - set(framed):
        assert blocks(path) == [], path


def source(name: str) -> str:
    (path,) = (folder / name for folder in FOLDERS if (folder / name).exists())
    return path.read_text(encoding="utf-8")


def variables(name: str) -> set[str]:
    """The variables that a template reads, and those of what it includes."""
    found: set[str] = set()

    def walk(value: object, bound: frozenset[str]) -> None:
        """Add the variables of a part of a template. ``bound`` are those that the template itself defines there."""
        if isinstance(value, Variable):
            found.update({name for name in (value.lookups or ())[:1] if name not in bound})
        elif isinstance(value, FilterExpression):
            walk([value.var, [one for _function, given in value.filters for _is_variable, one in given]], bound)
        elif isinstance(value, TokenBase):  # A part of the condition of {% if %}.
            walk([value.first, value.second, value.value], bound)
        elif isinstance(value, IncludeNode):
            found.update(variables(str(value.template.var)) - bound)
        elif isinstance(value, ForNode):
            walk(value.sequence, bound)
            walk([value.nodelist_loop, value.nodelist_empty], bound | {*value.loopvars, "forloop"})
        elif isinstance(value, WithNode):
            walk(value.extra_context, bound)
            walk(value.nodelist, bound | {*value.extra_context})
        elif isinstance(value, BlockTranslateNode):
            words = [token.contents for token in (*value.singular, *value.plural) if token.token_type.name == "VAR"]
            found.update({*words} - {*value.extra_context, value.countervar} - bound)
            walk([value.extra_context, value.counter], bound)
        elif isinstance(value, Node):
            walk(vars(value), bound)
        elif isinstance(value, dict):
            walk(list(value.values()), bound)
        elif isinstance(value, list | tuple):
            for one in value:
                walk(one, bound)
                bound |= {name for key in ("asvar", "variable") if isinstance(name := getattr(one, key, None), str)}

    walk(list(Template(source(name), engine=engines["django"].engine).nodelist), frozenset())
    return found


@pytest.mark.parametrize("name", VARIABLES)
def test_a_template_reads_the_listed_variables(name: str):
    assert Counter(VARIABLES[name]) == Counter(variables(name))


def test_the_template_of_each_tag_is_listed():
    of_tags = re.findall(r'inclusion_tag\("(.+?)"', inspect.getsource(tags))
    assert of_tags
    assert set(of_tags) <= VARIABLES.keys()


def test_the_documents_and_the_portal_name_public_templates_alone():
    path = re.compile(r"\b(?:admin/)?agreement(?:_wagtail|_djangocms)?/[\w/]+\.html")
    named = {name for text in FOR_SITES_AND_PORTAL for name in path.findall(text)}
    public = {*VARIABLES, *BLOCKS, *re.findall(r"may also replace `(.+?)`", HEADINGS["Variables"])}
    for name in public:
        assert source(name)
    assert named <= public


# Styles

STATIC = APP / "static/agreement"
STYLES = {path.name: path.read_text(encoding="utf-8") for path in STATIC.glob("*.css")}


def test_the_stylesheets_that_a_site_links_are_listed():
    listed = {name for name in in_backticks(HEADINGS["Stylesheets"]) if name.endswith(".css")}
    assert listed <= STYLES.keys()
    texts = [*FOR_SITES_AND_PORTAL, source("agreement/partials/page_head.html"), source("agreement/account/base.html")]
    linked = {name for text in texts for name in re.findall(r'static "agreement/(\w+\.css)"', text)}
    assert linked == listed


def test_each_custom_property_is_listed():
    listed = [name for row in table(HEADINGS["Custom properties"]) for name in in_backticks(row[0])]
    assert Counter(listed) == Counter(set(re.findall(r"^ +(--[\w-]+):", STYLES["properties.css"], re.MULTILINE)))
    used = set(re.findall(r"--agreement-[\w-]+", PORTAL_STYLES + "".join(STYLES.values())))
    assert used == set(listed)


def classes(html: str) -> set[str]:
    found = {name for value in re.findall(r'class="([^"]*)"', html) for name in value.split()}
    return {name for name in found if re.fullmatch(r"agreement(-[a-z-]+)?", name)}


def test_each_class_of_what_is_on_pages_of_a_site_is_listed():
    form = ("acceptance_field", "acceptance_field_help", "consent_parts", "edition_label", "log_out_form")
    templates = {*VARIABLES, *(f"agreement/partials/{name}.html" for name in form)}
    texts = [*map(source, templates), *FOR_SITES_AND_PORTAL]
    used = {name for text in texts for name in classes(text)} | set(re.findall(r"\.(agreement[a-z-]*)", PORTAL_STYLES))
    listed = Counter(name for names in bullets("Classes").values() for name in names)
    assert listed == Counter(used - {"agreement-page"})
