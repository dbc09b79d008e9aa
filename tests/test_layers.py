"""A module imports only from floors below its own (design §5)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "agreement"
# From the ground up; a module may import from any line above its own, and packages from their own floor.
FLOORS = [
    {"text.source", "text.seal", "text.clauses", "text", "pace", "smtp"},
    {"dates", "conf", "signals", "roles", "word", "lineage"},
    {"pseudonyms", "identities"},
    {
        *("models.triggers", "models.notices", "models.fields", "models.refusals", "models.acts"),
        *("models.autosave", "models.timestamps"),
    },
    {"models.agreements"},
    {"models.verification", "models.progress"},
    {"models.editions", "models.deliveries", "models.paces"},
    {"models.withdrawals"},
    {"models.acceptances"},
    {"models.holds"},
    {"models"},
    {
        *("translation", "audience", "bounces", "forecast", "gate", "comparison", "pdf", "retention", "stamping"),
        *("consents", "heartbeat"),
    },
    {"letters"},
    {"channels"},
    {"runs"},
    {"sending"},
    {"withdrawing"},
    {"dispatch", "standing", "origin"},
    {"tasks", "testing", "shown", "status"},
    {"pages", "citing", "evidence"},
    {"memento", "data", "compared", "access"},
    {"management", "admin", "views", "verify", "personal", "feeds", "sitemaps", "forms", "middleware", "templatetags"},
    {"leaving", "inbox"},
    {"urls", "checks", "deployment"},
    {"apps"},
]
MODULES = sorted(
    path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
    if "migrations" not in path.parts and (path.parent != PACKAGE or path.name != "__init__.py")
)


def floor(module: str) -> int:
    for number, names in enumerate(FLOORS):
        if module in names or (module.partition(".")[0] in names and module not in names):
            return number
    raise AssertionError(f"agreement.{module} has no floor: name one in tests/test_layers.py")


def imports(module: str) -> set[str]:
    path = PACKAGE / module.replace(".", "/")
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    found: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "agreement":
            base = (node.module or "").removeprefix("agreement").lstrip(".")
            for alias in node.names:
                name = f"{base}.{alias.name}".lstrip(".")
                found.add(name if _is_module(name) else base)
        elif isinstance(node, ast.Import):
            found |= {name.name.removeprefix("agreement.") for name in node.names if name.name.startswith("agreement.")}
    return found - {""}


def _is_module(name: str) -> bool:
    path = PACKAGE / name.replace(".", "/")
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_floors_below(module):
    own = floor(module)
    above = {
        name for name in imports(module) if floor(name) >= own and name.partition(".")[0] != module.partition(".")[0]
    }
    assert above == set()


def test_no_module_has_grown_past_its_size():
    long = {
        path.relative_to(PACKAGE).as_posix(): lines
        for path in PACKAGE.rglob("*.py")
        if "migrations" not in path.parts and (lines := len(path.read_text(encoding="utf-8").splitlines())) > 450
    }
    assert long == {}
