"""What the lint says of which text, in which words; what publishing refuses; and the command."""

from __future__ import annotations

import json
import re
from string import Formatter
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given, settings
from hypothesis import strategies as st

from agreement import conf
from agreement.models import EditionError
from agreement.text.lint import CODES, Message, Texts, errors, lint
from agreement.text.lint_words import WORDS
from tests import factories
from tests.corpus.clean import ALL
from tests.corpus.defects import CASES, CLEAN, Case
from tests.site import KK, RU
from tests.test_clauses import ANY


def said(bodies: dict[str, str], **more: Any) -> set[tuple[str, str]]:
    return {(message.id, message.language) for message in lint(bodies, **more)}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_defect_is_named_and_nothing_else_is(case: Case):
    assert said(case.bodies, **case.more) == case.expected


@pytest.mark.parametrize("agreement", ALL, ids=lambda agreement: agreement.name)
def test_a_clean_agreement_has_no_messages(agreement):
    assert lint(agreement.texts()) == ()


def test_every_rule_has_a_defect_in_the_corpus():
    assert {id_ for case in CASES for id_, _ in case.expected} == set(WORDS)


def test_errors_alone_block_publishing_and_each_has_a_code():
    assert {id_ for id_, words in WORDS.items() if words.severity == "error"} == set(CODES)


@pytest.mark.parametrize("id_", WORDS)
def test_every_message_is_a_sentence_and_a_hint_in_three_languages(id_):
    words = WORDS[id_]
    for pair in (words.kk, words.ru, words.en):
        assert all(text.rstrip("»”")[-1] in ".»}”" for text in pair), pair
    fields = [
        {re.sub(r"_(kk|ru|en)$", "", name) for _, name, *_ in Formatter().parse(" ".join(pair)) if name}
        for pair in (words.kk, words.ru, words.en)
    ]
    assert fields[0] == fields[1] == fields[2]


def only(bodies: dict[str, str], **more: Any) -> Message:
    (message,) = lint(bodies, **more)
    return message


def test_a_message_says_where_and_in_the_readers_language():
    gap, _same_in_russian = lint({"kk": KK.replace("1.2.", "1.3."), "ru": RU.replace("1.2.", "1.3.")})
    assert (gap.id, gap.severity, gap.language, gap.clause, gap.line) == ("agreement.L010", "warning", "kk", "1.2", 7)
    assert gap.sentence("kk") == "1.2 жоқ: 1.1 нөмірінен кейін бірден 1.3 келеді."
    assert gap.sentence("ru") == "1.2 отсутствует: после 1.1 сразу идёт 1.3."
    assert gap.sentence("en") == "1.2 is missing: 1.3 follows 1.1."
    assert gap.hint("en") == "Check the numbering; leave it if it is meant."


def test_the_line_of_a_character_is_its_own_and_not_its_clauses():
    message = only({"kk": KK, "ru": RU.replace("Второй", "Второй\nабзац\u200b")})
    assert (message.id, message.clause, message.line) == ("agreement.L023", "1.2", 8)


@pytest.mark.parametrize(
    "word",
    [
        "IP-мекенжай",
        "HTTPSті",
        "IPті",
        "SMS-хабарлама",
        "Wi-Fi",
        "example.kz",
        "«cookies»",
        "TLS v1.2",
        "іс-әрекет",
        "№5а",
    ],
)
def test_a_word_that_rightly_holds_two_scripts_is_no_defect(word):
    assert lint({"kk": KK.replace("Бірінші", f"Бірінші {word}"), "ru": RU}) == ()


@pytest.mark.parametrize(
    "text", ["(1) бір; 2) екі (үш)", "«бір “екі” үш»", "“cookies”", "(бір (екі))", "2) тармақшада", ":)"]
)
def test_paired_marks_and_the_brackets_of_numbers_are_no_defect(text):
    found = said({"kk": KK.replace("Бірінші", text), "ru": RU})
    assert found == (set() if text != ":)" else {("agreement.L027", "kk")})


def test_both_defects_of_a_line_are_found_though_a_right_word_stands_first():
    found = said({"kk": KK.replace("Бірінші", "HTTPSті Cайт"), "ru": RU})
    assert found == {("agreement.L020", "kk")}


def test_a_tab_after_a_number_or_a_bullet_is_no_defect_and_one_between_words_is():
    body = "Т\n\n1.\tОБЩЕЕ\n\n1.1.\tТекст:\n•\tраз;\n1)\tдва;\nа)\tтри.\n\n1.2. Между\tслов."
    assert [(said.id, said.line) for said in lint({"ru": body})] == [("agreement.L025", 10)]


def test_a_text_whose_only_numbers_are_a_lists_has_no_numbers():
    said = lint({"ru": "Правила\n\n1. Понятия:\n1) портал;\n2) читатель.\n"})
    assert [message.id for message in said] == ["agreement.L018"]


@pytest.mark.parametrize(("line", "word"), [("З.1. Текст", "З.1"), ("2.З. Текст", "2.З"), ("2.l.1. Текст", "2.l")])
def test_a_letter_typed_for_a_digit_is_named(line, word):
    (said,) = [said for said in lint({"ru": f"Т\n\n1. ОБЩЕЕ\n\n1.1. а.\n\n{line}"}) if said.id == "agreement.L020"]
    assert word.rstrip("1") in said.sentence("ru")


def test_a_reference_that_follows_its_clause_is_no_defect():
    before = {
        "kk": KK + "\n1.3. Мәтін: 1.1 – 1.2 тармақтар.\n",
        "ru": RU + "\n1.3. Текст: пункты 1.1 – 1.2.\n",
    }
    new = {"kk": "Мүлде жаңа ереже.", "ru": "Совсем новое правило."}
    after = {}
    for language, text in before.items():
        text = text.replace("1.1 – 1.2", "1.2 – 1.3").replace("\n1.3. ", "\n1.4. ").replace("\n1.2. ", "\n1.3. ")
        after[language] = text.replace("\n1.1. ", f"\n1.1. {new[language]}\n\n1.2. ")
    assert said(after, previous=before) == set()
    left = {language: text.replace("1.2 – 1.3", "1.1 – 1.2") for language, text in after.items()}
    assert said(left, previous=before) == {("agreement.L013", "kk"), ("agreement.L013", "ru")}


@given(ANY, ANY, st.booleans())
@settings(max_examples=200)
def test_no_text_makes_the_lint_fail(kk, ru, compared):
    found = lint({"kk": kk, "ru": ru}, previous={"kk": ru, "ru": kk} if compared else None)
    for message in found:
        assert all(message.sentence(spoken) and message.hint(spoken) for spoken in ("kk", "ru", "en"))
    assert [message for message in found if message.severity == "error"] == sorted(
        errors({"kk": kk, "ru": ru}), key=lambda message: found.index(message)
    )


# A host's rules


def shouting(texts: Texts) -> list[Message]:
    return [
        Message(
            id="portal.L1",
            severity="warning",
            language=language,
            clause=unit.number,
            line=unit.line,
            words={"en": ("Shouts.", "Don't.")},
        )
        for language, document in texts.documents.items()
        for unit in document.clauses
        if "!" in unit.text
    ]


def test_a_host_adds_rules(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "LINT_RULES": ("tests.test_lint.shouting",)}
    message = only({"kk": KK.replace("Бірінші", "Бірінші!"), "ru": RU}, **conf.lint())
    assert (message.id, message.clause, message.sentence("kk")) == ("portal.L1", "1.1", "Shouts.")


def test_a_host_silences_warnings_but_no_error(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "LINT_SILENCED": ("agreement.L026", "agreement.L004")}
    bodies = {"kk": KK.replace("Бірінші ", "Бірінші  "), "ru": RU + "\n1.3. Третий.\n"}
    assert said(bodies, **conf.lint()) == {("agreement.L004", "ru")}


# Publishing


def storable(case: Case) -> bool:
    """Can a draft of it be stored? One without text or with NUL can't; tests/test_editions.py has those."""
    return "titles" not in case.more and not {message.id for message in errors(case.bodies)} & {
        "agreement.L001",
        "agreement.L007",
    }


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


# The command


def run(*arguments: str, code: int = 0, **options: Any) -> str:
    from io import StringIO

    out = StringIO()
    if code:
        with pytest.raises(SystemExit) as left:
            call_command("lint_edition", *arguments, stdout=out, **options)
        assert left.value.code == code
    else:
        call_command("lint_edition", *arguments, stdout=out, **options)
    return out.getvalue()


@pytest.fixture
def files(tmp_path):
    def write(kk: str, ru: str, prefix: str = "") -> list[str]:
        arguments = []
        for language, text in (("kk", kk), ("ru", ru)):
            path = tmp_path / f"{prefix}{language}.md"
            path.write_text(text, encoding="utf-8")
            arguments += [f"--{prefix}{language}", str(path)]
        return arguments

    return write


def test_the_command_reads_two_files_without_a_database(files):
    out = run(*files(KK.replace("Бірінші ", "Бірінші  "), RU), "--language", "en")
    assert out == "agreement.L026 · warning · kk · 1.1 · 5 · Doubled spaces: “  ”. · Leave one.\n0 errors, 1 warnings\n"


def test_the_command_exits_1_on_an_error_and_writes_json(files):
    rows = json.loads(run(*files(KK, RU + "\n1.3. Третий.\n"), "--format", "json", "--language", "ru", code=1))
    assert rows == [
        {
            "id": "agreement.L004",
            "severity": "error",
            "language": "ru",
            "clause": "1.3",
            "line": 9,
            "message": "1.3 есть только в тексте на русском языке.",
            "hint": "Добавьте тот же номер и его текст на другом языке или исключите его здесь.",
        }
    ]


def test_the_command_compares_with_the_previous_files(files):
    clean = CLEAN["clinic"]
    changed = clean["kk"].replace("үш жылдан", "бес жылдан")
    arguments = [*files(changed, clean["ru"]), *files(clean["kk"], clean["ru"], prefix="previous-")]
    assert "agreement.L014 · warning · ru · 3.3" in run(*arguments)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "Either an id, or both files."),
        (["--kk", "kk.md"], "Either an id, or both files."),
        (["1", "--kk", "kk.md", "--ru", "ru.md"], "Either an id, or both files."),
        (["--kk", "nowhere.md", "--ru", "nowhere.md"], "'nowhere.md' can't be read: no such file or directory."),
    ],
)
def test_the_command_refuses_in_a_sentence(arguments, says):
    with pytest.raises(CommandError, match=re.escape(says)):
        run(*arguments)


@pytest.mark.django_db
def test_the_command_reads_a_draft_against_the_last_edition():
    factories.published()
    draft = factories.draft(kk=KK.replace("Бірінші", "Алғашқы"))
    out = run(str(draft.pk))
    assert "agreement.L014 · warning · ru · 1.1" in out
    assert out.count("agreement.L017") == 2
    with pytest.raises(CommandError, match="There is no edition with id 0"):
        run("0")
