"""The command ``lint_edition``: what it reads, writes and refuses."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.corpus.defects import CLEAN
from tests.support import factories
from tests.support.site import KK, RU


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
    assert out == (
        "agreement.L026 · warning · kk · 1.1 · 5 · There are several spaces between words. · Keep only one.\n"
        "0 errors, 1 warning\n"
    )


@pytest.mark.parametrize("nothing", ["", " \n", "\ufeff", "\ufeff\n", "\u00a0\n", "\u2003"])
def test_a_file_without_text_is_an_empty_text(files, nothing):
    out = run(*files(KK, nothing), "--language", "en", code=1)
    assert out == run(*files(KK, ""), "--language", "en", code=1)
    assert "agreement.L001" in out


def test_the_command_exits_1_on_an_error_and_writes_json(files):
    rows = json.loads(run(*files(KK, RU + "\n1.3. Третий.\n"), "--format", "json", "--language", "ru", code=1))
    assert rows == [
        {
            "id": "agreement.L004",
            "severity": "error",
            "language": "ru",
            "clause": "1.3",
            "line": 9,
            "count": 1,
            "message": "Есть только в тексте на русском языке: 1.3.",
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
        ([], "Give either an id or both files."),
        (["--kk", "kk.md"], "Give either an id or both files."),
        (["1", "--kk", "kk.md", "--ru", "ru.md"], "Give either an id or both files."),
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
