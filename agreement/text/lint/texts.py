"""The texts that the rules of the lint check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from agreement.text import clauses
from agreement.text.clauses import Clause, Document
from agreement.text.redline import changes


@dataclass(frozen=True)
class Texts:
    """The texts of an edition and, if there is one, of the previous edition. The keys are the codes of languages."""

    bodies: Mapping[str, str]
    titles: Mapping[str, str] | None = None
    """``None``: the titles are unknown and are not checked."""
    summaries: Mapping[str, str] | None = None
    """``None``: the summaries are unknown and are not checked."""
    previous: Mapping[str, str] | None = None
    """The bodies of the previous edition; ``None`` or empty if there is none."""

    @cached_property
    def documents(self) -> dict[str, Document]:
        """The parsed bodies."""
        return {language: clauses.parse(body) for language, body in self.bodies.items()}

    @cached_property
    def previous_documents(self) -> dict[str, Document]:
        """The parsed bodies of the previous edition; empty if there is none."""
        return {language: clauses.parse(body) for language, body in (self.previous or {}).items()}

    @cached_property
    def pairs(self) -> dict[str, list[tuple[Clause, Clause]]]:
        """The pairs of units, previous and new, that are the same clause, by language; empty if there is no previous
        edition. A language that the previous edition does not have is left out.
        """
        found = {}
        for language, new in self.documents.items():
            if old := self.previous_documents.get(language):
                found[language] = [(old.units[a], new.units[b]) for a, b in changes.align(old.units, new.units)]
        return found
