"""Each rule is implemented in one place: the state of an edition, and whether a user is bound."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import agreement
from agreement.models.succession import EditionDates, State
from tests.support import factories

ROOT = Path(agreement.__file__).parent
HERE = "/en/agreements/terms/"


@pytest.mark.django_db
def test_every_state_that_is_displayed_is_that_of_one_function(monkeypatch, client, admin_client):
    """The function is replaced by one that calls both editions scheduled; no page may know better."""
    factories.published()
    edition = factories.published()
    monkeypatch.setattr(EditionDates, "state", lambda self, at, successor_from: State.SCHEDULED)

    pages = {
        path: client.get(HERE + path).content.decode()
        for path in ("", "editions/", "editions/1/", "editions/2/", "at/")
    }
    pages["desk"] = admin_client.get("/en/admin/agreement/edition/").content.decode()
    pages["row"] = admin_client.get(f"/en/admin/agreement/edition/{edition.pk}/change/").content.decode()
    pages["agreement"] = admin_client.get(
        f"/en/admin/agreement/agreement/{edition.agreement_id}/change/"
    ).content.decode()
    data = [client.get(HERE + path).json() for path in ("current.json", "editions/1.json")]
    data += client.get(f"{HERE}editions.json").json()["editions"]

    for word in ("in_force", "superseded"):
        assert [name for name, page in pages.items() if f'"{word}"' in page or f"agreement-bar-{word}" in page] == []
    assert [name for name, page in pages.items() if "scheduled" in page.lower() or "not yet" in page] == [*pages]
    assert [one["state"] for one in data] == ["scheduled"] * 4
    assert edition.state() == State.SCHEDULED


#: The moments of a withdrawal and of an acceptance. The moment of the request and that of a question are called "at".
WITHDRAWAL, ACCEPTANCE, INSTANTS = {"effective_at", "registered_at"}, {"at", "recorded_at"}, {"visit", "self", "found"}


def comparisons() -> Iterator[tuple[str, str]]:
    """Yield the module and the words of each comparison of a withdrawal with an acceptance, in Python or in a query."""
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Compare) and any(
                isinstance(one, ast.Lt | ast.LtE | ast.Gt | ast.GtE) for one in node.ops
            ):
                named = {
                    one.attr
                    for one in ast.walk(node)
                    if isinstance(one, ast.Attribute)
                    and not (isinstance(one.value, ast.Name) and one.value.id in INSTANTS)
                }
                related = named & WITHDRAWAL and named & ACCEPTANCE
            elif isinstance(node, ast.keyword) and (node.arg or "").partition("__")[0] in WITHDRAWAL:
                texts = {one.value for one in ast.walk(node.value) if isinstance(one, ast.Constant)}
                related = {str(text).rpartition("__")[2] for text in texts} & ACCEPTANCE
            else:
                continue
            if related:
                yield str(path.relative_to(ROOT)), ast.unparse(node)


def test_membership_alone_compares_a_withdrawal_with_an_acceptance():
    """``test_membership.py`` proves that the two forms of the rule there, in Python and in SQL, are the same rule."""
    found = [*comparisons()]
    assert {module for module, _words in found} == {"models/membership.py"}, found
    assert len(found) == 4
