"""PDF on machines with different fonts: real servers, each with a font configuration of its own."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from pathlib import Path

import pytest

from agreement.editions import pdf
from tests.support.site import Site, served, site

PAGE, FILE = "/kk/agreements/terms/", "/kk/agreements/terms/editions/1.kk.pdf"
CONFIGURATION = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{folder}/fonts</dir><cachedir>{folder}/cache</cachedir></fontconfig>"""

pytestmark = pytest.mark.skipif(not pdf.is_installed(), reason="needs the extra pdf: WeasyPrint")
PUBLISH = "from tests.support.factories import published; published()"


@pytest.fixture
def with_fonts(tmp_path, monkeypatch) -> Callable[[str], None]:
    """Lets the processes of the test see only the fonts of the system whose file names begin so; ``""``: none."""

    def see(prefix: str) -> None:
        (tmp_path / "fonts").mkdir()
        found = sorted(Path("/usr/share/fonts").rglob(f"{prefix}*.[ot]tf")) if prefix else []
        if prefix and not found:
            pytest.skip(f"needs the fonts {prefix}: see CONTRIBUTING.md")
        for name, file in {
            file.name: file for file in reversed(found)
        }.items():  # Two packages may have the same fonts.
            (tmp_path / "fonts" / name).symlink_to(file)
        (tmp_path / "fonts.conf").write_text(CONFIGURATION.format(folder=tmp_path), encoding="utf-8")
        monkeypatch.setenv("FONTCONFIG_FILE", str(tmp_path / "fonts.conf"))

    return see


def ask(port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, body


def answers(portal: Site, log: Path) -> tuple[int, bytes, bytes]:
    """Publish an edition, and ask a server of one worker three times for its PDF and once for its page: the status and
    the body of the last PDF, and the page.
    """
    portal.python(PUBLISH)
    with served(portal, log) as port:
        for _attempt in range(2):
            ask(port, FILE)
        status, file = ask(port, FILE)
        _status, page = ask(port, PAGE)
    assert log.read_text().count("Booting worker") == 1, log.read_text()
    return status, file, page


@pytest.mark.system
@pytest.mark.parametrize(
    ("fonts", "reason"),
    [
        ("", "WeasyPrint ended its process (SIGSEGV)"),
        ("Liberation", "no font has the letters"),
    ],
    ids=["no font", "Liberation"],
)
def test_without_a_font_for_every_kazakh_letter_there_is_no_pdf_and_the_worker_lives(
    tmp_path, with_fonts, fonts, reason
):
    with_fonts(fonts)
    with site(tmp_path) as portal:
        status, _file, page = answers(portal, tmp_path / "log")
        warned = portal.run("check", "--deploy")

    assert status == 404
    assert b".pdf" not in page
    assert (tmp_path / "log").read_text().count(f"editions have no PDF: {reason}") == 1
    assert "(agreement.W048) Editions have no PDF: " + reason in warned
    assert "apt install libpangoft2-1.0-0 fonts-noto-core" in warned


@pytest.mark.system
@pytest.mark.parametrize("fonts", ["NotoSerif-", "DejaVu"])
def test_with_a_font_for_every_kazakh_letter_there_is_a_pdf(tmp_path, with_fonts, fonts):
    with_fonts(fonts)
    with site(tmp_path) as portal:
        status, file, page = answers(portal, tmp_path / "log")
        warned = portal.run("check", "--deploy")

    assert (status, file[:5]) == (200, b"%PDF-")
    assert f'href="{FILE}"'.encode() in page
    assert "agreement.W048" not in warned
