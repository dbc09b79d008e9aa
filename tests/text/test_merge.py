"""The texts of two authors, merged clause by clause."""

from __future__ import annotations

import random
import re
from pathlib import Path
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agreement.text.merge import Merge, merge
from tests.support.scale import examples

SAMPLES = Path(__file__).parents[2] / "portal_site/samples"
BASE = """# Agreement

## 1. Terms

1.1. The portal belongs to its operator.

1.2. A user reads the agreement before the first use.

1.3. The operator answers a question within three days:

1) by mail;
2) on the page of the user.

## 2. Data

2.1. Personal data is stored in the country.

| term | years |
| --- | --- |
| log | 3 |

ПРИЛОЖЕНИЕ 1

1. The form of an application is free.
"""


def merged(theirs: dict[str, str], mine: dict[str, str]) -> Merge:
    """The merge of two copies of ``BASE``, in each of which some words were replaced."""
    texts = []
    for edits in (theirs, mine):
        text = BASE
        for old, new in edits.items():
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        texts.append(text)
    return merge(BASE, *texts)


def test_clauses_that_one_author_changed_are_taken_without_a_question():
    theirs, mine = {"three days": "five days", "| log | 3 |": "| log | 5 |"}, {"its operator": "the ministry"}
    found = merged(theirs, mine)
    assert found.questions == ()
    expected = BASE
    for old, new in (theirs | mine).items():
        expected = expected.replace(old, new)
    assert found.text() == expected
    assert [(taken.unit.number, taken.author) for taken in found.taken] == [
        ("1.1", "mine"),
        ("1.3", "theirs"),
        ("2.1", "theirs"),
    ]


def test_only_the_clause_that_both_changed_is_a_question():
    found = merged(
        {"before the first use": "before each use", "by mail": "by letter"},
        {"A user reads": "Every user reads", "is free": "is fixed"},
    )
    (question,) = found.questions
    assert (question.base, question.theirs, question.mine) == (
        "1.2. A user reads the agreement before the first use.",
        "1.2. A user reads the agreement before each use.",
        "1.2. Every user reads the agreement before the first use.",
    )
    mine = found.text()
    assert "1) by letter;" in mine
    assert "is fixed" in mine
    assert question.mine in mine
    assert found.text([question.theirs]) == mine.replace(question.mine, question.theirs)
    assert found.text(["1.2. Both.\n\n"]) == mine.replace(question.mine, "1.2. Both.")
    assert found.text([""]) == mine.replace(f"{question.mine}\n\n", "")


def test_a_deletion_and_a_change_of_one_clause_are_a_question():
    found = merged({"1.2. A user reads the agreement before the first use.\n\n": ""}, {"A user reads": "They read"})
    (question,) = found.questions
    assert (question.theirs, question.mine) == ("", "1.2. They read the agreement before the first use.")
    assert "1.2." not in found.text([""])


def test_an_insertion_that_renumbers_does_not_collide_with_new_words():
    added = "1.2. Nobody else may use the name of the portal.\n\n1.3. A user reads"
    found = merged({"within three days": "within five days"}, {"1.2. A user reads": added, "1.3. The": "1.4. The"})
    assert found.questions == ()
    assert "1.4. The operator answers a question within five days:" in found.text()
    assert found.taken[-1].author == "both"


def test_two_new_clauses_with_one_number_are_a_question_and_others_are_both_taken():
    end = "| log | 3 |\n"
    one = {end: f"{end}\n2.2. It is erased on time.\n"}
    found = merged(one, {end: f"{end}\n2.2. It may be corrected.\n"})
    (question,) = found.questions
    assert (question.base, question.theirs, question.mine) == (
        "",
        "2.2. It is erased on time.",
        "2.2. It may be corrected.",
    )
    found = merged(one, {end: f"{end}\n2.3. It may be corrected.\n"})
    assert found.questions == ()
    assert "| 3 |\n\n2.2. It is erased on time.\n\n2.3. It may be corrected.\n\nПРИЛОЖЕНИЕ" in found.text()
    found = merged(one, one)
    assert (found.questions, found.text()) == ((), BASE.replace(end, one[end]))


def test_a_moved_clause_takes_the_new_words_of_the_other_author():
    clause = "2.1. Personal data is stored in the country.\n\n| term | years |\n| --- | --- |\n| log | 3 |\n\n"
    found = merged(
        {"is stored in the country": "never leaves the country"},
        {clause: "", "## 1. Terms\n\n": f"## 1. Terms\n\n{clause}"},
    )
    assert found.questions == ()
    assert found.text().index("never leaves") < found.text().index("1.1.")
    assert [taken.moved for taken in found.taken if taken.unit.number == "2.1"] == [True]


def test_a_clause_that_both_moved_stays_where_mine_has_it_and_is_named():
    clause = "1.1. The portal belongs to its operator.\n\n"
    found = merged(
        {clause: "", "## 2. Data\n\n": f"## 2. Data\n\n{clause}"},
        {clause: "", "ПРИЛОЖЕНИЕ 1\n\n": f"{clause}ПРИЛОЖЕНИЕ 1\n\n"},
    )
    (taken,) = found.taken
    assert (taken.author, taken.disputed) == ("both", True)
    assert found.text().index("1.1.") > found.text().index("2.1.")


def test_without_the_common_text_every_difference_is_a_question():
    theirs = BASE.replace("three days", "five days")
    mine = BASE.replace("its operator", "the ministry") + "\n2. A new clause of the appendix.\n"
    found = merge(None, theirs, mine)
    assert [(question.unit.number, bool(question.theirs)) for question in found.questions] == [
        ("1.1", True),
        ("1.3", True),
        ("a1-2", False),
    ]
    assert found.text() == mine.rstrip("\n") + "\n"
    assert found.text([question.theirs for question in found.questions]) == theirs


@pytest.mark.parametrize("text", ["", "\n\n", "words", "\n# A\n\n1.1. B.\n\n\n", "1.1. A.\n1.1. A.\n1.1. A."])
def test_texts_of_any_form_are_merged_exactly(text):
    assert merge(text, text, text).text() == text
    assert merge(text, BASE, text).text() == BASE
    assert merge(text, text, BASE).text() == BASE
    assert merge(BASE, text, BASE).text() == text
    assert merge(BASE, BASE, text).text() == text


def test_three_hundred_clauses_are_merged_in_time():
    clauses = [f"{1 + n // 30}.{1 + n % 30}. {words(random.Random(n), 60)}" for n in range(300)]  # noqa: S311 - no secret
    base = "\n\n".join(["# Long", *clauses])
    theirs, mine = base.replace("a", "b", 400), base.replace("e", "i", 700)
    merge(base, base, base)
    start = perf_counter()
    merge(base, theirs, mine)
    assert perf_counter() - start < 10  # 1 s on a slow machine; the limit only finds quadratic time.


# Random edits of random agreements

LETTERS = "abdeghiklmnoprstuvyz"


def words(chance: random.Random, count: int) -> str:
    return " ".join("".join(chance.choices(LETTERS, k=chance.randint(3, 9))) for _ in range(count))


class Copy:
    """The copy of an agreement that one author edits at random: a list of units, each with its key and its text."""

    def __init__(self, units: list[tuple[int, str]], name: str, chance: random.Random) -> None:
        self.units, self.name, self.chance = list(units), name, chance
        self.touched: set[int] = set()
        self.added: list[str] = []

    def word(self) -> str:
        self.added.append(f"{self.name}{len(self.added)}")
        return self.added[-1]

    def edit(self) -> None:
        place = self.chance.randrange(len(self.units))
        key, text = self.units[place]
        self.touched.add(key)
        match self.chance.choice(["word", "word", "words", "delete", "insert", "insert", "move", "number"]):
            case "word":
                parts = text.split(" ")
                parts[self.chance.randrange(1, len(parts))] = self.word()
                self.units[place] = key, " ".join(parts)
            case "words":
                self.units[place] = key, f"{text} {self.word()} {self.word()}"
            case "delete" if len(self.units) > 1:
                del self.units[place]
            case "insert":
                label = self.chance.choice([f"{self.chance.randint(1, 3)}.{self.chance.randint(1, 30)}.", "а)", "##"])
                self.units.insert(place, (-1, f"{label} {self.word()} {words(self.chance, 8)}".strip()))
            case "move":
                self.units.insert(self.chance.randrange(len(self.units)), self.units.pop(place))
            case "number":
                self.units[place] = key, re.sub(r"\A(\d)\.(\d+)\.", lambda m: f"{m[1]}.{int(m[2]) + 1}.", text)

    @property
    def text(self) -> str:
        return "\n\n".join(text for _, text in self.units) + "\n"


@st.composite
def edited(draw: st.DrawFn) -> tuple[str, Copy, Copy]:
    chance = random.Random(draw(st.integers(0, 2**32)))  # noqa: S311 - a random agreement is no secret
    units = ["# " + words(chance, 3)]
    for section in range(1, draw(st.integers(1, 4))):
        units.append(f"## {section}. {words(chance, 3)}")
        for clause in range(1, chance.randint(1, 5)):
            units.append(f"{section}.{clause}. {words(chance, 10)}")
            units += [f"{label}) {words(chance, 8)}" for label in "абв"[: chance.randint(0, 3)]]
            if chance.random() < 0.2:
                units[-1] += "\n\n| a | b |\n| --- | --- |\n" + f"| {words(chance, 1)} | {words(chance, 1)} |"
    keyed = list(enumerate(units))
    authors = Copy(keyed, "theirs", chance), Copy(keyed, "mine", chance)
    for author in authors:
        for _ in range(draw(st.integers(0, 6))):
            author.edit()
    return "\n\n".join(units) + "\n", *authors


@settings(max_examples=examples(1000), deadline=None)
@given(edited())
def test_no_word_of_either_author_is_lost(agreement):
    base, theirs, mine = agreement

    found = merge(base, theirs.text, mine.text)

    asked = " ".join(f"{question.theirs} {question.mine}" for question in found.questions)
    everything = set(re.findall(r"\w+", f"{found.text()} {asked}"))
    for author in (theirs, mine):
        present = set(re.findall(r"\w+", author.text))
        assert set(author.added) & present <= everything
    # With the answers of one author, everything of the other that is no question stays.
    for answers in ([one.theirs for one in found.questions], [one.mine for one in found.questions]):
        result = found.text(answers)
        for author, other in ((theirs, mine), (mine, theirs)):
            for key, text in author.units:
                if key >= 0 and key in author.touched - other.touched:
                    assert text in result, key


@settings(max_examples=examples(200), deadline=None)
@given(edited())
def test_one_author_alone_is_merged_exactly_and_equal_edits_ask_nothing(agreement):
    base, theirs, mine = agreement
    for one, other, expected in (
        (base, mine.text, mine.text),
        (theirs.text, base, theirs.text),
        (mine.text, mine.text, mine.text),
    ):
        found = merge(base, one, other)
        assert found.questions == ()
        assert found.text() == expected


@settings(max_examples=examples(500), deadline=None)
@given(st.text("1.2)а# \n|-x", max_size=60), st.text("1.2)а# \n|-x", max_size=60), st.text("1.2)а# \n|-x", max_size=60))
def test_any_texts_are_merged(base, theirs, mine):
    found = merge(base, theirs, mine)
    asked = "".join(question.theirs + question.mine for question in found.questions)
    for text, other in ((theirs, mine), (mine, theirs)):
        if base == other:
            assert found.text() == text
        if "x" in text and "x" not in base:
            assert "x" in found.text() + asked


@pytest.mark.parametrize("language", ["kk", "ru"])
def test_real_editions_are_merged_as_if_two_authors_had_made_each(language):
    first, second, third = ((SAMPLES / f"edition-{n}.{language}.md").read_text() for n in (1, 2, 3))
    assert merge(first, second, first).text() == second
    assert merge(second, second, third).text() == third
    found = merge(first, second, third)
    assert found.text([question.theirs for question in found.questions])
