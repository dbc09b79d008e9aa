"""What a process remembers: every cache is registered, listed, and emptied with the others."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import agreement
from agreement import conf, memory
from agreement.text import clauses

ROOT = Path(__file__).resolve().parent.parent
#: Modules with a lock or a ``global`` statement that remember nothing of a cache's kind.
NO_CACHES = {"editions.pdf", "editions.pdf_words", "notices.lease"}


def modules() -> list[ModuleType]:
    found = pkgutil.walk_packages(agreement.__path__, "agreement.")
    names = [one.name for one in found if ".migrations" not in one.name and ".contrib" not in one.name]
    return [importlib.import_module(name) for name in names]


def remembers(module: ModuleType) -> bool:
    """Does the module assign to a name of its own from a function, or make a lock, as what remembers does?"""
    assert module.__file__
    nodes = list(ast.walk(ast.parse(Path(module.__file__).read_text(encoding="utf-8"))))
    calls = {ast.unparse(node.func).rpartition(".")[2] for node in nodes if isinstance(node, ast.Call)}
    return bool({"Lock", "RLock", "OrderedDict"} & calls) or any(isinstance(node, ast.Global) for node in nodes)


def test_every_cache_is_registered_and_every_registered_cache_is_listed():
    found = set()
    for module in modules():
        name = module.__name__.removeprefix("agreement.")
        if remembers(module) and name not in NO_CACHES:
            found.add(name)
        for key, value in vars(module).items():
            if hasattr(value, "cache_info") and value.__module__ == module.__name__:
                found.add(f"{name}.{key}")

    assert found == memory.names(), "Register each cache of a module with agreement.memory."
    table = (ROOT / "agreement/README.md").read_text(encoding="utf-8").partition("## What a process remembers")[2]
    listed = {line.split("`")[1] for line in table.splitlines() if line.startswith("| `")}
    assert listed == memory.names(), "List each cache in the last table of agreement/README.md."


def test_clear_empties_every_cache():
    clauses.parse("# А\n")
    conf.get()
    memory.clear()
    assert clauses.parse.cache_info().currsize == 0
    assert conf._last is None


FORK = """
import os
from agreement.text import clauses
clauses.parse("# A")
child = os.fork()
if child == 0:
    os._exit(10 + clauses.parse.cache_info().currsize)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), clauses.parse.cache_info().currsize)
"""


def test_a_forked_process_begins_with_nothing_remembered():
    # In a process of its own: one that has threads, as a test worker has, should not be forked.
    done = subprocess.run([sys.executable, "-c", FORK], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["10", "1"]
