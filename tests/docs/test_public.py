"""``public.md`` lists what a site may rely on: each listed name exists, and each name of its kind is listed.

This module compares the names in Python and those of a site. ``test_public_pages`` compares templates and styles, and
``test_public_formats`` formats. Where the page refers to a list in another document, that list is compared here too, or
in ``test_documents`` and ``test_reference``.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import textwrap
import tomllib
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from enum import Enum
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.db.models import Model, QuerySet
from django.urls import reverse
from django.utils import timezone

from agreement import conf, groups, signals, tasks, urls
from agreement.editions.citations import Citation
from agreement.models import (
    Acceptance,
    AcceptanceKind,
    DisplayedText,
    Edition,
    Withdrawal,
)
from agreement.models.agreements import RESERVED_SLUGS
from agreement.notices.channels import Channel
from agreement.status import Level
from tests.docs.test_documents import DOCUMENTS, code_blocks, read, sections
from tests.docs.test_reference import COMMANDS, section, sources, table
from tests.support import factories
from tests.support.site import ROOT

PUBLIC = read("public.md")
HEADINGS = dict(sections(PUBLIC, 2)) | dict(sections(PUBLIC, 3))
APP = ROOT / "agreement"
#: The documents for people who build on the app.
FOR_SITES = {path.name: read(path.name) for path in sorted(DOCUMENTS.glob("*.md")) if path.name != "public.md"}
FOR_SITES["README.md"] = (ROOT / "README.md").read_text(encoding="utf-8")
PORTAL = sorted((ROOT / "portal_site").rglob("*.py"))


def in_backticks(text: str) -> list[str]:
    return [" ".join(name.split()) for name in re.findall(r"`([^`]+)`", text)]


def bullets(heading: str) -> dict[str, list[str]]:
    """The names of each bullet under that heading, by the words before the colon."""
    found = re.findall(r"^- (.+?): (.+(?:\n  .+)*)", HEADINGS[heading], re.MULTILINE)
    return {head.strip("`"): in_backticks(text) for head, text in found}


def name_of(call: str) -> str:
    return call.partition("(")[0]


def arguments(call: str) -> list[str]:
    return [name.strip() for name in call.partition("(")[2].rstrip(")").split(",") if name.strip()]


def require_arguments(function: Any, call: str) -> None:
    """The function takes the listed arguments, and needs no other. Arguments that it collects are listed as Python
    writes them: ``*args``, ``**stated``.
    """
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    known = {
        stars.get(one.kind, "") + name: one
        for name, one in inspect.signature(function).parameters.items()
        if name != "self"
    }
    needed = {name for name, one in known.items() if one.default is one.empty and one.kind not in stars}
    assert needed <= set(arguments(call)) <= set(known), call


# Imports


@cache
def exports() -> dict[str, list[str]]:
    """What each module of the app says in ``__all__``, by its dotted path. Nothing is imported."""
    found = {}
    for path in APP.rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                dotted = ".".join(path.relative_to(ROOT).with_suffix("").parts)
                found[dotted.removesuffix(".__init__")] = ast.literal_eval(node.value)
    return found


IMPORTS = bullets("Imports")
(PRIVATE_MODULE,) = re.findall(r"`([\w.]+)` exports functions for Django alone", HEADINGS["What is private"])
PRIVATE_TABLES = in_backticks(HEADINGS["What is private"].partition("for the app alone:")[2].partition(".\n")[0])
PUBLIC_PATHS = {f"{module}.{name_of(call)}" for module, calls in IMPORTS.items() for call in calls} | set(IMPORTS)
#: What a site names as text: apps, the URLconf, the Celery task, permissions, and ids.
AS_TEXT = {
    *in_backticks(HEADINGS["Imports"].partition("without importing them:")[2]),
    *(f"agreement.{codename}" for codenames in groups.GROUP_PERMISSIONS.values() for codename in codenames),
}
IDS = re.compile(r"agreement\.[EWLN]\d+")


def test_a_module_is_listed_if_it_says_what_it_exports():
    assert set(IMPORTS) | {PRIVATE_MODULE} == set(exports())
    assert PRIVATE_MODULE not in IMPORTS


@pytest.mark.parametrize("module", IMPORTS)
def test_the_names_of_a_module_are_those_that_it_exports(module: str):
    private = PRIVATE_TABLES if module == "agreement.models" else []
    assert Counter([*map(name_of, IMPORTS[module]), *private]) == Counter(exports()[module])


@pytest.mark.parametrize("module", [module for module in IMPORTS if not module.startswith("agreement.contrib")])
def test_a_function_is_listed_with_its_arguments(module: str):
    for call in IMPORTS[module]:
        if name_of(call) == "enqueue_celery" and tasks.celery is None:
            continue  # It exists only where Celery is installed.
        found = getattr(import_module(module), name_of(call))
        assert inspect.isfunction(found) == ("(" in call), call
        if inspect.isfunction(found):
            require_arguments(found, call)


def test_what_a_site_names_without_importing_it_exists():
    assert apps.is_installed("agreement")
    apps_of_plugins = {path.parent.name for path in (APP / "contrib").glob("*/apps.py")}
    in_code = {"agreement", urls.__name__, *(f"agreement.contrib.{name}" for name in apps_of_plugins)}
    in_code |= set(re.findall(r'name="(agreement\.\w+)"', sources("agreement")))
    assert set(in_backticks(HEADINGS["Imports"].partition("without importing them:")[2])) == in_code


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "agreement":
            yield from (f"{node.module}.{one.name}" for one in node.names)
        elif isinstance(node, ast.Import):
            yield from (one.name for one in node.names if one.name.partition(".")[0] == "agreement")


@pytest.mark.parametrize("path", PORTAL, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_portal_uses_public_names_alone(path: Path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    named = {one for one in constants if isinstance(one, str) and re.fullmatch(r"agreement(\.\w+)+", one)}
    assert {*imported(tree)} <= PUBLIC_PATHS
    assert {one for one in named if not IDS.fullmatch(one)} <= PUBLIC_PATHS | AS_TEXT


def python_blocks(document: str) -> list[str]:
    """The Python code of a document, also that in a list."""
    return [textwrap.dedent(code) for code in re.findall(r"^ *```python\n(.*?)^ *```$", document, re.M | re.S)]


@pytest.mark.parametrize("name", FOR_SITES)
def test_the_documents_name_public_names_alone(name: str):
    found = set(re.findall(r"`(agreement(?:\.\w+)+)(?:\(.*?\))?`", FOR_SITES[name]))
    for code in python_blocks(FOR_SITES[name]):
        for module, names in re.findall(r"^from (agreement[\w.]*) import (.+)$", code, re.MULTILINE):
            found |= {f"{module}.{one.strip()}" for one in names.split(",")}
        found |= set(re.findall(r'"(agreement(?:\.\w+)+)"', code))
    assert {one for one in found if not IDS.fullmatch(one)} <= PUBLIC_PATHS | AS_TEXT


# Objects, models and values


def public_object(name: str) -> Any:
    """The public class with that name."""
    (module,) = (module for module, calls in IMPORTS.items() if name in calls)
    return getattr(import_module(module), name)


def has_attribute(owner: type, name: str) -> bool:
    """Has an object of this class that attribute, also if only code of its module sets it?"""
    fields = {one.name for one in dataclasses.fields(owner)} if dataclasses.is_dataclass(owner) else set()
    source = inspect.getsource(import_module(owner.__module__))
    return name in fields or hasattr(owner, name) or f".{name} = " in source


def require_member(owner: type, call: str) -> None:
    if "(" in call:
        require_arguments(getattr(owner, name_of(call)), call)
    else:
        assert has_attribute(owner, call), call
        assert not inspect.isfunction(getattr(owner, call, None)), call


OBJECTS = bullets("Objects")
#: Their members are in the tables of other documents, which are compared below.
IN_OTHER_DOCUMENTS = {"DisplayedEdition", "Channel", "EmailChannel", "Refused", "Deferred", "Unavailable"}
#: What Django or another package calls, and a site does not.
CALLED_BY_OTHERS = {"AgreementMiddleware", "AgreementSitemap", "HasAccepted"}
#: Results, of which each field is promised.
RESULTS = {"Alternate", "ErasureCounts", "Forecast", "HistoricAcceptance", "NoticeContent", "Status"}


@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_has_the_listed_members(name: str):
    found = public_object(name)
    if name == "EditionError":
        found = type("EditionError", (), vars(found("…", code="no_draft")))
    for call in OBJECTS[name]:
        require_member(found, call)
    if name in RESULTS:
        assert {one.name for one in dataclasses.fields(found)} <= set(OBJECTS[name])


def test_each_public_class_is_described():
    for module in IMPORTS.keys() - {"agreement.contrib.wagtail.blocks"}:
        for name in filter(str.isidentifier, IMPORTS[module]):
            found = getattr(import_module(module), name)
            if not isinstance(found, type) or name in IN_OTHER_DOCUMENTS | CALLED_BY_OTHERS:
                continue
            described = OBJECTS
            if issubclass(found, Model | Enum):
                described = MODEL_FIELDS if issubclass(found, Model) else VALUES
            elif issubclass(found, Exception) and name != "EditionError":
                continue  # A subclass of ValidationError without anything of its own.
            assert name in described, name


MODEL_FIELDS, METHODS, QUERIES = (bullets(heading) for heading in ("Fields", "Methods", "Queries"))
VALUES = bullets("Values")


def test_only_public_models_are_described():
    models = {name for name in IMPORTS["agreement.models"] if issubclass(public_object(name), Model)}
    assert set(MODEL_FIELDS) == models
    assert METHODS.keys() | QUERIES.keys() <= models


@pytest.mark.parametrize("name", MODEL_FIELDS)
def test_a_model_has_the_listed_fields_methods_and_queries(name: str):
    model = public_object(name)
    for field in MODEL_FIELDS[name]:
        assert model._meta.get_field(field)
    for call in METHODS.get(name, []):
        require_member(model, call)
    for call in QUERIES.get(name, []):
        assert "(" in call
        manager = model._default_manager
        require_arguments(getattr(manager, name_of(call), None) or getattr(manager.all(), name_of(call)), call)


def test_the_portal_and_the_examples_use_the_listed_queries():
    code = [code for document in FOR_SITES.values() for code in python_blocks(document)]
    code += [path.read_text(encoding="utf-8") for path in PORTAL]
    used = re.findall(r"\b([A-Z]\w+)\.objects((?:\.\w+\([^()]*(?:\([^()]*\)[^()]*)*\))+)", "\n".join(code))
    assert len(used) > 15
    for name, calls in used:
        if name in MODEL_FIELDS:
            own = {call for call in re.findall(r"\.(\w+)\(", calls) if not hasattr(QuerySet, call)}
            own &= {*dir(public_object(name)._default_manager.all()), *dir(public_object(name)._default_manager)}
            assert own <= set(map(name_of, QUERIES.get(name, []))), name


#: Variables of the examples that are rows, by the names of the models.
ROWS = {name.lower(): name for name in MODEL_FIELDS} | {"hold": "LegalHold"}


def test_the_portal_and_the_examples_use_the_listed_fields_and_methods():
    texts = [path.read_text(encoding="utf-8") for path in PORTAL]
    texts += [code for document in FOR_SITES.values() for code in code_blocks(document, "python") if "…" not in code]
    used = Counter()
    for text in texts:
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value).rpartition(".")[2] in ROWS:
                name = ROWS[ast.unparse(node.value).rpartition(".")[2]]
                known = {*MODEL_FIELDS[name], *map(name_of, METHODS.get(name, []))}
                assert node.attr in known or hasattr(Model, node.attr) or node.attr in {"pk", "objects"}, node.attr
                used[name] += 1
    assert used["Edition"] > 5


@pytest.mark.parametrize("name", VALUES)
def test_the_values_are_those_of_the_code(name: str):
    assert VALUES[name] == [str(one.value) for one in public_object(name)]


def test_notices_lists_each_member_of_a_channel_and_each_argument_of_a_failure():
    text = dict(sections(read("notices.md"), 2))["A channel of your own"]
    listed = [name_of(call) for row in table(text, "name") for call in in_backticks(row[0])]
    members = {*vars(Channel), *Channel.__annotations__}
    assert Counter(listed) == Counter(name for name in members if not name.startswith("_"))
    for call in [call for row in table(text, "failure") for call in in_backticks(row[0])]:
        names = [one.partition("=")[0] for one in arguments(call)]
        known = list(inspect.signature(public_object(name_of(call))).parameters)
        assert set(names) <= set(known), call
    listed = {one for row in table(text, "failure") for one in re.findall(r"(\w+)=", row[0])}
    failures = [public_object(name) for name in ("Refused", "Deferred", "Unavailable")]
    assert listed == {name for one in failures for name in inspect.signature(one).parameters} - {"reason"}


def test_tags_lists_each_attribute_of_a_quoted_clause():
    text = dict(sections(read("tags.md"), 3))["`agreement_clause`"]
    listed = [name for row in table(text, "attribute of the clause") for name in in_backticks(row[0])]
    assert Counter(listed) == Counter(field.name for field in dataclasses.fields(Citation))


# Signals


@pytest.mark.django_db
def test_acceptance_lists_each_signal_with_its_sender_and_its_argument(django_capture_on_commit_callbacks):
    rows = table(dict(sections(read("acceptance.md"), 2))["Signals"], "signal")
    listed = {row[0].strip("`"): (row[1].strip("`"), {row[2].strip("`")}) for row in rows}
    assert listed.keys() == {name for name, one in vars(signals).items() if isinstance(one, signals.Signal)}
    sent: dict[str, tuple[str, set[str]]] = {}

    def receive(sender: type, signal: Any, **kwargs: object) -> None:
        (name,) = (name for name in signals.__all__ if getattr(signals, name) is signal)
        sent[name] = sender.__name__, set(kwargs)

    for name in signals.__all__:
        getattr(signals, name).connect(receive)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            edition = factories.published()
            accept(edition, *factories.users(1))
            factories.published(effective_from=timezone.now() + timedelta(days=1)).cancel()
            withdraw(edition, get_user_model().objects.get())
    finally:
        for name in signals.__all__:
            getattr(signals, name).disconnect(receive)
    assert sent == listed


def accept(edition: Edition, user: Any) -> Acceptance:
    displayed = DisplayedText.render(edition, "kk")
    return Acceptance.objects.record(
        user=user,
        edition=edition,
        digest=edition.digest,
        language="kk",
        kind=AcceptanceKind.EXPLICIT,
        displayed=displayed,
    )


def withdraw(edition: Edition, user: Any) -> Withdrawal:
    day = timezone.now().date()
    return Withdrawal.objects.register(agreement=edition.agreement, outcome="ended", received_on=day, user=user, by="x")


# Settings, commands, addresses


def test_the_dotted_paths_in_the_defaults_of_settings_are_public():
    defaults = (getattr(conf.Conf(), key) for key in conf.KEYS)
    values = [one for default in defaults for one in (default if isinstance(default, tuple) else [default])]
    paths = {one for one in values if isinstance(one, str) and one.startswith("agreement.")}
    assert len(paths) == 3
    assert paths <= PUBLIC_PATHS


def test_the_commands_of_the_plugins_are_named_with_their_options():
    modules = list((APP / "contrib").rglob("commands/[!_]*.py"))
    listed = in_backticks(HEADINGS["Commands"])
    assert modules
    for path in modules:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        options = {one.value for one in ast.walk(tree) if isinstance(one, ast.Constant) and str(one.value)[:2] == "--"}
        assert {path.stem, *options} <= set(listed)
    named = {one for one in listed if re.fullmatch(r"[a-z]+(_[a-z]+)+|demo", one)}
    assert named <= COMMANDS.keys() | {path.stem for path in modules}


def test_the_exit_codes_are_those_of_the_commands():
    codes = {int(row[0].strip("`")) for row in table(HEADINGS["Commands"], "exit code")}
    documented = {
        int(code)
        for name in COMMANDS
        for line in re.findall(r"^Exit codes: (.+(?:\n.+)*)", section(read("commands.md"), f"## {name}"), re.MULTILINE)
        for code in re.findall(r"\b(\d)(?=[,:]| if)", line)
    }
    assert codes == documented | {2} == {0, *(level.value for level in Level)}


def test_tags_lists_each_address_with_its_arguments():
    text = dict(sections(read("tags.md"), 2))["Addresses"]
    rows = [row for _heading, part in sections(text, 3) for row in table(part, "name")]
    samples = {"slug": "terms", "number": 2, "language": "kk", "anchor": "2.3", "when": "2026-03-01"}
    samples |= {"acceptance": 7, "place": 2, "path": "0/000"}
    written = {"<slug>": "terms", "<acceptance>": "7", "<kk or ru>": "kk", "<path>": "0/000", "the prefix itself": ""}
    prefix = reverse("agreement:index")
    for name, names, address, _content in rows:
        path = reverse(f"agreement:{name.strip('`')}", kwargs={one: samples[one] for one in in_backticks(names)})
        expected = address.strip("`")
        for placeholder, value in written.items():
            expected = expected.replace(placeholder, value)
        assert path == prefix + expected
    listed = Counter((name.strip("`"), frozenset(in_backticks(names))) for name, names, *_others in rows)
    assert listed == Counter((one.name, frozenset(one.pattern.converters)) for one in urls.urlpatterns)


def test_the_parameters_of_the_query_are_those_that_the_views_read():
    found = set()
    for path in (APP / "views").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"page", "json_view"}:
                given = [*node.args, *(one.value for one in node.keywords if one.arg == "unlimited")]
                found |= {one.value for arg in given for one in ast.walk(arg) if isinstance(one, ast.Constant)}
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("request.GET.get"):
                found.add(ast.literal_eval(node.args[0]))
    assert set(bullets("Addresses")["Parameters of the query"]) == found


def test_no_further_word_is_kept_from_the_slugs():
    assert set(bullets("Addresses")["Words that can't be the slug of an agreement"]) == RESERVED_SLUGS


def test_acceptance_lists_each_type_of_a_problem():
    headings = dict(sections(read("acceptance.md"), 2)) | dict(sections(read("acceptance.md"), 3))
    tables = headings["What it answers"] + headings["For programs"]
    code = sources("agreement/views") + sources("agreement/acceptance")
    assert set(re.findall(r"urn:agreement:[\w-]+", tables)) == set(re.findall(r'"(urn:agreement:[\w-]+)"', code))


# Permissions, ids, stored names, extras


def test_each_group_has_the_listed_permissions():
    listed = {name: set(codenames) for name, codenames in bullets("Permissions").items()}
    assert listed == {name: set(codenames) for name, codenames in groups.GROUP_PERMISSIONS.items()}


def test_each_permission_of_the_app_itself_is_in_a_group():
    own = {
        codename
        for model in apps.get_app_config("agreement").get_models()
        for codename, _name in model._meta.permissions
    }
    assert own <= {codename for codenames in bullets("Permissions").values() for codename in codenames}


def names_in(path: str) -> tuple[set[str], dict[str, object]]:
    """The classes and the constants at the top of a module, which is not imported."""
    body = ast.parse((APP / path).read_text(encoding="utf-8")).body
    constants = [one for one in body if isinstance(one, ast.Assign) and isinstance(one.value, ast.Constant)]
    return {one.name for one in body if isinstance(one, ast.ClassDef)}, {
        ast.unparse(one.targets[0]): ast.literal_eval(one.value) for one in constants
    }


def test_the_names_that_a_site_stores_are_those_of_the_plugins():
    listed = in_backticks(HEADINGS["Stored names"])
    classes, _constants = names_in("contrib/djangocms/cms_plugins.py")
    plugins = {name for name in classes if not name.endswith("Base")}
    assert {name for name in listed if name.endswith("Plugin")} == plugins
    assert {name for name in listed if name.endswith("Apphook")} == names_in("contrib/djangocms/cms_apps.py")[0]
    assert names_in("contrib/wagtail/links.py")[1]["FEATURE"] in listed
    assert names_in("word/original.py")[1]["NAMESPACE"] in listed
    assert public_object("EmailChannel").name in listed


def test_install_lists_each_extra_of_the_package():
    rows = table(dict(sections(read("install.md"), 2))["2. Make a project"], "extra")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    private = in_backticks(HEADINGS["Extras"])
    assert Counter([*(row[0].strip("`") for row in rows), *private]) == Counter(list(extras))
