"""The catalogues as they are, read without gettext; ``python -m tests.catalogues`` makes them anew and compares."""

from __future__ import annotations

import ast
import gettext
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import django
import pytest
from django.utils.translation.template import templatize

from tests.catalogues import MEND

ROOT = Path(__file__).resolve().parent.parent
#: Whose catalogue it is → where its strings stand.
SOURCES = {"agreement": ["agreement"], "portal_site": ["portal_site", "templates"]}
FORMS = {"kk": 2, "ru": 4}
PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|\{\w*\}|</?\w+[^>]*>")
MARKERS = {"_", "gettext", "gettext_lazy", "ngettext", "ngettext_lazy"}
#: Their first argument says where the message stands.
CONTEXTUAL = {"pgettext", "pgettext_lazy"}
QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
MARKED = re.compile(rf"\b(?:n?gettext\(|pgettext\(u?({QUOTED}), *)u?({QUOTED})")

catalogues = pytest.mark.parametrize(
    "path",
    [
        pytest.param(ROOT / package / "locale" / language / "LC_MESSAGES" / "django.po", id=f"{package}-{language}")
        for package in SOURCES
        for language in FORMS
    ],
)


@dataclass
class Entry:
    """One message: ``msgid``, perhaps ``msgctxt`` and ``msgid_plural``, and its translations by ``msgstr``."""

    comments: list[str] = field(default_factory=list)
    strings: dict[str, str] = field(default_factory=dict)

    @property
    def msgid(self) -> str:
        return self.strings["msgid"]

    @property
    def key(self) -> str:
        """What the compiled catalogue calls the message."""
        return keyed(self.strings.get("msgctxt", ""), self.msgid)

    @property
    def translations(self) -> list[str]:
        return [text for key, text in self.strings.items() if key.startswith("msgstr")]


def keyed(context: str, msgid: str) -> str:
    return f"{context}\x04{msgid}" if context else msgid


def parse(path: Path) -> list[Entry]:
    """The entries of a .po file without its header."""
    entries = []
    for block in path.read_text(encoding="utf-8").strip().split("\n\n"):
        entry, key = Entry(), ""
        for line in block.splitlines():
            if line.startswith("#"):
                entry.comments.append(line)
                continue
            name, text = line.split(" ", 1) if not line.startswith('"') else (key, line)
            key = name
            entry.strings[key] = entry.strings.get(key, "") + ast.literal_eval(text)
        entries.append(entry)
    return entries[1:]


def language(path: Path) -> str:
    return path.parent.parent.name


def compiled(path: Path) -> gettext.GNUTranslations:
    with path.with_suffix(".mo").open("rb") as file:
        return gettext.GNUTranslations(file)


def marked(folder: Path) -> Iterator[str]:
    """The key of every message under that folder."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            if said := {**dict.fromkeys(MARKERS, 1), **dict.fromkeys(CONTEXTUAL, 2)}.get(node.func.id):
                texts = [text.value for text in node.args[:said] if isinstance(text, ast.Constant)]
                assert len(texts) == said, f"{path}:{node.lineno}: makemessages can't read this string"
                yield keyed(texts[0] if said == 2 else "", texts[-1])
    for path in folder.rglob("*"):
        if "templates" in path.parts and path.suffix in {".html", ".txt"}:
            for context, text in MARKED.findall(templatize(path.read_text(encoding="utf-8"))):
                yield keyed(ast.literal_eval(context or "''"), ast.literal_eval(text))


@catalogues
def test_every_message_is_translated_in_every_form(path):
    entries = parse(path)
    assert entries
    for entry in entries:
        where = f"{path.relative_to(ROOT)}: {entry.msgid!r}. {MEND}"
        assert not [line for line in entry.comments if line.startswith("#~") or "fuzzy" in line], where
        assert len(entry.translations) == (FORMS[language(path)] if "msgid_plural" in entry.strings else 1), where
        assert all(text.strip() for text in entry.translations), where


@catalogues
def test_translations_keep_placeholders_and_tags(path):
    for entry in parse(path):
        expected = sorted(PLACEHOLDER.findall(entry.strings.get("msgid_plural", entry.msgid)))
        for text in entry.translations:
            assert sorted(PLACEHOLDER.findall(text)) == expected, entry.msgid


@catalogues
def test_the_compiled_catalogue_says_what_the_text_says(path):
    written: dict[str | tuple[str, int], str] = {}
    for entry in parse(path):
        plural = "msgid_plural" in entry.strings
        written |= {
            (entry.key, number) if plural else entry.key: text for number, text in enumerate(entry.translations)
        }
    stored = dict(compiled(path)._catalog)
    del stored[""]
    assert stored == written, f"{path.relative_to(ROOT)} is not compiled. {MEND}"


@catalogues
def test_plural_forms_are_those_of_djangos_own_catalogue(path):
    theirs = Path(django.__file__).parent / "conf" / "locale" / language(path) / "LC_MESSAGES" / "django.po"
    ours, expected = (compiled(one).info()["plural-forms"].replace(" ", "") for one in (path, theirs))
    assert ours == expected


@catalogues
def test_the_catalogue_holds_the_strings_of_its_sources_and_no_others(path):
    package = path.relative_to(ROOT).parts[0]
    sources = {text for folder in SOURCES[package] for text in marked(ROOT / folder)}
    catalogue = {entry.key for entry in parse(path)}
    assert not sources - catalogue, f"{path.relative_to(ROOT)} lacks messages of the sources. {MEND}"
    assert not catalogue - sources, f"{path.relative_to(ROOT)} has messages that no source has. {MEND}"
