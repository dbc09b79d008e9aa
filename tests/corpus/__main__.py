"""Precision and recall of the lint on the corpora; exit 1 if either is below 1.00 or a clean agreement is blamed."""

from __future__ import annotations

import sys
from collections import Counter

from agreement.text.lint.rules import lint
from tests.corpus.clean import ALL
from tests.corpus.defects import CASES


def main() -> int:
    right, wrong, lost = Counter[str](), Counter[str](), Counter[str]()
    for case in CASES:
        said = {(message.id, message.language) for message in lint(case.bodies, **case.more)}
        right.update(id_ for id_, _ in said & case.expected)
        wrong.update(id_ for id_, _ in said - case.expected)
        lost.update(id_ for id_, _ in case.expected - said)
        for kind, found in (("false alarm", said - case.expected), ("missed", case.expected - said)):
            for id_, language in sorted(found):
                print(f"{kind}: {case.name}: {id_} {language}")
    print(f"{'id':<16} right wrong missed")
    for id_ in sorted(right | wrong | lost):
        print(f"{id_:<16} {right[id_]:5} {wrong[id_]:5} {lost[id_]:6}")
    precision = right.total() / ((right.total() + wrong.total()) or 1)
    recall = right.total() / ((right.total() + lost.total()) or 1)
    print(f"{len(CASES)} defects: precision {precision:.2f}, recall {recall:.2f}")
    blamed = 0
    for agreement in ALL:
        for message in lint(agreement.texts()):
            blamed += 1
            print(f"clean {agreement.name}: {message.id} {message.language} {message.clause} {message.sentence('en')}")
    print(f"{len(ALL)} clean agreements: {blamed} messages")
    return 0 if precision == recall == 1 and not blamed else 1


if __name__ == "__main__":
    sys.exit(main())
