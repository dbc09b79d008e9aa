"""What publishing refuses: what the lint calls an error, and nothing else."""

from __future__ import annotations

import pytest

from agreement.models import EditionError
from agreement.text.lint.rules import CODES, errors
from tests.corpus.defects import CASES, Case
from tests.support import factories
from tests.support.site import KK, RU


def storable(case: Case) -> bool:
    """Can a draft of it be stored? One without text or with NUL can't; tests/models/test_editions.py has those."""
    return "titles" not in case.more and not {id_ for id_, _ in case.expected} & {"agreement.L001", "agreement.L007"}


@pytest.mark.django_db
@pytest.mark.parametrize("case", [case for case in CASES if storable(case)], ids=lambda case: case.name)
def test_publishing_refuses_what_the_lint_calls_an_error_and_nothing_else(case: Case):
    found = errors(case.bodies)
    edition = factories.draft(slug="corpus", kk=case.bodies["kk"], ru=case.bodies["ru"])
    if not found:
        edition.publish()
        return
    with pytest.raises(EditionError) as refused:
        edition.publish()
    assert refused.value.code in {CODES[message.id] for message in found}


@pytest.mark.django_db
def test_publish_refuses_a_number_used_twice():
    twice = {"kk": KK.replace("1.2.", "1.1."), "ru": RU.replace("1.2.", "1.1.")}
    with pytest.raises(EditionError) as refused:
        factories.draft(**twice).publish()
    assert refused.value.code == "duplicate_number"
    assert "1.1" in str(refused.value)
    assert refused.value.hint
