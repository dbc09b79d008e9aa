"""An edition on paper: its words, its letters, what the renderer may open, and what a site without it shows."""

from __future__ import annotations

import io
import re
import socket
import sys
import threading
from collections.abc import Iterator

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agreement import memory
from agreement.editions import pdf, timeline
from agreement.views import cache
from tests.support import factories
from tests.support.site import ROOT

pypdf = pytest.importorskip("pypdf")
HERE = "/kk/agreements/terms/"
LETTERS = "ӘҒҚҢӨҰҮҺІәғқңөұүһі"

with_renderer = pytest.mark.skipif(
    not pdf.is_available(""), reason="needs the extra pdf: WeasyPrint, and Pango and fonts of the system"
)


@pytest.fixture(autouse=True)
def _fresh():
    timeline.clear()
    cache.clear()
    pdf._rendered.cache_clear()


def read(content: bytes):
    return pypdf.PdfReader(io.BytesIO(content))


def words(content: bytes) -> str:
    return " ".join(" ".join(page.extract_text() for page in read(content).pages).split())


def sample(language: str) -> str:
    return (ROOT / f"portal_site/samples/edition-3.{language}.md").read_text(encoding="utf-8")


@with_renderer
@pytest.mark.django_db
@pytest.mark.parametrize("language", ["kk", "ru"])
def test_every_word_is_on_paper_with_what_it_takes_to_rely_on_it(client, language):
    edition = factories.published(
        kk=sample("kk"), ru=sample("ru"), approval_kk="№ 3 бұйрық", approval_ru="Приказ № 3", prevailing_language="kk"
    )

    response = client.get(f"/en/agreements/terms/editions/1.{language}.pdf")
    found = words(response.content)

    assert response["Content-Type"] == "application/pdf"
    assert response["Content-Disposition"] == f'inline; filename="terms-1.{language}.pdf"'
    assert response["Cache-Control"] == "public, no-cache"
    assert response["ETag"].startswith('"')
    # The running head stands between two pages' words, so they are looked for one by one.
    missing = [word for word in re.sub(r"(?m)^## |^# |&nbsp;", "", sample(language)).split() if word not in found]
    assert missing == []
    assert edition.digest in found
    assert edition.text(language).approval in found
    assert {"kk": "қазақ тіліндегі мәтін басым болады", "ru": "преимущество имеет текст на казахском"}[
        language
    ] in found
    assert f"/{language}/agreements/terms/editions/1/" in found
    assert read(response.content).metadata.title.startswith(edition.text(language).title)


@with_renderer
@pytest.mark.django_db
def test_every_sheet_has_its_edition_date_digest_and_page_number(client):
    edition = factories.published(kk=sample("kk"), ru=sample("ru"))
    sheets = read(client.get(f"{HERE}editions/1.ru.pdf").content).pages

    assert len(sheets) > 2
    for place, sheet in enumerate(sheets, start=1):
        found = " ".join(sheet.extract_text().split())
        assert f"{place} / {len(sheets)}" in found
        assert "Редакция № 1 · " in found
        assert f"{edition.effective_from:%Y} г." in found
        assert edition.digest[:16] in found


def structure(node: pypdf.generic.PdfObject) -> Iterator[pypdf.generic.DictionaryObject]:
    """The elements of the structure below that one."""
    below = node.get_object().get("/K", []).get_object()
    for one in below if isinstance(below, list) else [below]:
        if isinstance(element := one.get_object(), dict) and "/S" in element:
            yield element
            yield from structure(element)


@with_renderer
@pytest.mark.django_db
@pytest.mark.parametrize("language", ["kk", "ru"])
def test_the_archive_copy_is_pdf_a_2a_with_all_that_its_display_needs(client, language):
    edition = factories.published(kk=sample("kk"), ru=sample("ru"))

    response = client.get(f"/en/agreements/terms/editions/1.{language}.archive.pdf")
    found, reading = read(response.content), client.get(f"/en/agreements/terms/editions/1.{language}.pdf")
    root = found.trailer["/Root"]
    metadata = root["/Metadata"].get_data().decode()

    assert response["Content-Type"] == "application/pdf"
    assert response["Content-Disposition"] == f'attachment; filename="terms-1.{language}.archive.pdf"'
    assert 'pdfaid:part="2" pdfaid:conformance="A"' in metadata
    assert edition.digest in metadata
    assert words(response.content) == words(reading.content)
    assert b"pdfaid" not in read(reading.content).trailer["/Root"]["/Metadata"].get_data()
    # The colours, the language, the structure, and the identifier of the file.
    (intent,) = root["/OutputIntents"]
    assert intent["/S"] == "/GTS_PDFA1"
    assert intent["/DestOutputProfile"].get_data()[36:40] == b"acsp"  # An ICC profile.
    assert (root["/Lang"], root["/MarkInfo"]["/Marked"]) == (language, True)
    assert len(found.trailer["/ID"]) == 2
    elements = list(structure(root["/StructTreeRoot"]))
    assert {"/H1", "/H2", "/P", "/Link", "/Figure"} <= {element["/S"] for element in elements}
    assert all(element.get("/Alt") for element in elements if element["/S"] == "/Figure")
    # Every font is in the file, with the characters of its glyphs.
    fonts = [font.get_object() for sheet in found.pages for font in sheet["/Resources"]["/Font"].values()]
    assert fonts
    for font in fonts:
        described = font["/DescendantFonts"][0]["/FontDescriptor"]
        assert any(described[name].get_data() for name in ("/FontFile2", "/FontFile3") if name in described)
        assert font["/ToUnicode"].get_data()
    # Annotations are printed, nothing is run, attached or encrypted.
    links = [link.get_object() for sheet in found.pages for link in sheet.get("/Annots", [])]
    assert links
    assert {(link["/Subtype"], link["/F"]) for link in links} == {("/Link", 4)}
    assert not {"/OpenAction", "/AA", "/AcroForm"} & root.keys()
    assert not {"/JavaScript", "/EmbeddedFiles"} & root.get("/Names", {}).keys()
    assert not found.is_encrypted


@with_renderer
@pytest.mark.django_db
def test_the_foot_of_an_edition_leads_to_its_archive_copies(client):
    factories.published()
    page = client.get(f"{HERE}editions/1/").content.decode()
    for language in ("kk", "ru"):
        assert f'<a href="{HERE}editions/1.{language}.archive.pdf" hreflang="{language}"' in page
    assert client.get(f"{HERE}editions/2.kk.archive.pdf").status_code == 404
    assert client.get(f"{HERE}editions/1.en.archive.pdf").status_code == 404


@with_renderer
@pytest.mark.django_db
def test_no_letter_of_kazakh_is_borrowed_or_missing_in_any_weight(client):
    lines = f"{LETTERS} **{LETTERS}** *{LETTERS}* ***{LETTERS}***"
    texts = {
        language: f"# {LETTERS} {text.lstrip('# ')}\n\n## 2. {LETTERS}\n\n2.1. {lines}\n"
        for language, text in (("kk", factories.KK), ("ru", factories.RU))
    }
    factories.published(**texts, approval_kk=LETTERS, approval_ru=LETTERS)
    found = read(client.get(f"{HERE}editions/1.kk.pdf").content)

    families, weights = set(), set()
    for sheet in found.pages:
        for font in sheet["/Resources"]["/Font"].values():
            family, _, weight = font.get_object()["/BaseFont"].partition("+")[2].partition("Serif")
            families.add(family)
            weights.add(weight.strip("-"))
        # Glyph 0 is the empty box.
        shown = re.findall(rb"<([0-9a-fA-F]+)>", sheet.get_contents().get_data())
        assert shown
        assert not any(b"0000" in re.findall(b"....", glyphs) for glyphs in shown)
    assert len({family for family in families if "Mono" not in family}) == 1, families
    assert {"", "Bold", "Italic", "Bold-Italic"} <= weights, weights
    assert words(client.get(f"{HERE}editions/1.kk.pdf").content).count(LETTERS) == 8


@with_renderer
def test_the_renderer_opens_no_address_and_no_file(tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("ҚҰПИЯ")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        here = f"http://127.0.0.1:{server.getsockname()[1]}/"
        made = pdf.render(
            f'<html lang="kk"><head><title>т</title><link rel="stylesheet" href="{here}">'
            f'<link rel="attachment" href="{secret.as_uri()}"><style>@import "{here}";'
            f"@font-face {{ font-family: x; src: url({here}) }} p {{ font-family: x; background: url({here}) }}</style>"
            f'<body><p>Мәтін<img alt="" src="{here}"><object data="{secret.as_uri()}"></object>'
        )
        with pytest.raises(TimeoutError):
            server.accept()
    assert "Мәтін" in words(made)
    assert read(made).attachments == {}


@with_renderer
@pytest.mark.django_db(transaction=True)
def test_the_same_edition_is_the_same_bytes_and_is_rendered_once(client, monkeypatch):
    factories.published()
    # However slow the machine, the dates are read before and not between.
    monkeypatch.setattr(timeline, "MAX_AGE_SECONDS", 60)
    first = client.get(f"{HERE}editions/1.kk.pdf")
    with CaptureQueriesContext(connection) as captured:
        again = client.get(f"{HERE}editions/1.kk.pdf")
        unchanged = client.get(f"{HERE}editions/1.kk.pdf", headers={"If-None-Match": first["ETag"]})
        head = client.head(f"{HERE}editions/1.kk.pdf")
    assert len(captured) == 0
    assert again.content == first.content
    assert unchanged.status_code == 304
    assert (head.content, head["Content-Length"]) == (b"", str(len(first.content)))
    assert pdf._rendered.cache_info().misses == 1

    cache.clear()
    pdf._rendered.cache_clear()
    assert client.get("/ru/agreements/terms/editions/1.kk.pdf").content == first.content


@with_renderer
def test_requests_for_the_same_pdf_render_it_once():
    made: list[bytes] = []
    threads = [threading.Thread(target=lambda: made.append(pdf.render("<title>т</title><p>Мәтін"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 4
    assert pdf._rendered.cache_info().misses == 1


def test_a_pdf_is_made_when_no_other_one_is_being_made(monkeypatch):
    monkeypatch.setattr(pdf, "_rendered", lambda page, variant: page.encode())
    monkeypatch.setattr(pdf, "MAX_WAIT_SECONDS", 0.01)
    with pdf._one_at_a_time, pytest.raises(pdf.RendererBusy):
        pdf.render("page")
    assert pdf.render("page") == b"page"
    assert not pdf._one_at_a_time.locked()


def test_an_export_waits_for_the_renderer_as_long_as_it_takes(monkeypatch):
    monkeypatch.setattr(pdf, "_rendered", lambda page, variant: page.encode())
    monkeypatch.setattr(pdf, "MAX_WAIT_SECONDS", 0.01)
    made: list[bytes] = []
    thread = threading.Thread(target=lambda: made.append(pdf.render("page", unlimited_wait=True)))
    with pdf._one_at_a_time:
        thread.start()
        thread.join(0.1)
        assert thread.is_alive()
    thread.join()
    assert made == [b"page"]


@with_renderer
@pytest.mark.django_db
def test_a_long_wait_for_the_renderer_gives_503(client, monkeypatch):
    factories.published()
    monkeypatch.setattr(pdf, "MAX_WAIT_SECONDS", 0.01)
    with pdf._one_at_a_time:
        response = client.get(f"{HERE}editions/1.kk.pdf")
    assert (response.status_code, response["Retry-After"], response["Cache-Control"]) == (503, "10", "no-store")
    assert client.get(f"{HERE}editions/1.kk.pdf").status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize(
    "more", ["сөз " * 30_000, "- сөз\n" * 2_000, "ұ" * 2_000], ids=["long", "many lines", "an endless word"]
)
def test_a_text_too_long_to_render_has_no_pdf(client, more, monkeypatch):
    # Whether it is installed here or not.
    monkeypatch.setattr(pdf, "is_installed", lambda: True)
    monkeypatch.setattr(pdf, "fault", str)
    assert pdf.is_available(factories.KK)
    texts = {"kk": f"{factories.KK}\n\n{more}", "ru": f"{factories.RU}\n\n{more}"}
    factories.published(**texts)
    assert client.get(f"{HERE}editions/1.kk.pdf").status_code == 404
    assert ".pdf" not in client.get(HERE).content.decode()


@pytest.mark.django_db
def test_the_archive_offers_the_pdf_of_each_text_that_can_have_one(client, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr(pdf, "is_installed", lambda: True)
    monkeypatch.setattr(pdf, "fault", str)
    factories.published(prevailing_language="ru")
    factories.published(kk=f"{factories.KK}\n\n{'- сөз ' * 3}\n", ru=f"{factories.RU}\n\n{'ұ' * 2_000}\n")
    factories.published()
    for language, offered in {
        "kk": ["3.kk", "2.kk", "1.kk"],
        "ru": ["3.ru", "1.ru"],
        "en": ["3.kk", "2.kk", "1.ru"],
    }.items():
        with django_assert_num_queries(3):
            page = client.get(f"/{language}/agreements/terms/editions/").content.decode()
        assert re.findall(r'href="[^"]*/editions/([^"/]*)\.pdf"', page) == offered


@with_renderer
@pytest.mark.django_db
def test_the_page_offers_the_pdf_of_its_text(client):
    factories.published(prevailing_language="ru")
    assert f'href="{HERE}editions/1.kk.pdf"' in client.get(HERE).content.decode()
    english = client.get("/en/agreements/terms/").content.decode()
    assert 'href="/en/agreements/terms/editions/1.ru.pdf"' in english
    assert client.get(f"{HERE}editions/2.kk.pdf").status_code == 404
    assert client.get(f"{HERE}editions/1.en.pdf").status_code == 404


@pytest.fixture
def weasyprint(tmp_path, monkeypatch):
    """Puts a module with that source in the place of WeasyPrint, also in child processes."""

    def replace(source: str) -> None:
        (tmp_path / "weasyprint.py").write_text(source, encoding="utf-8")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "weasyprint", raising=False)

    pdf._fault.cache_clear()
    yield replace
    pdf._fault.cache_clear()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise ImportError('No module named cffi')", "WeasyPrint failed (ImportError: No module named cffi)"),
        ("raise OSError('cannot load libpango')", "WeasyPrint failed (OSError: cannot load libpango)"),
        ("import os; os.abort()", "WeasyPrint ended its process (SIGABRT), as it does without any font"),
        ("import time; time.sleep(60)", "WeasyPrint can't be tried"),
    ],
)
def test_with_a_renderer_that_fails_there_is_no_pdf_and_no_link(
    client, monkeypatch, caplog, weasyprint, source, reason
):
    monkeypatch.setattr(pdf, "MAX_TRIAL_SECONDS", 0.5 if "sleep" in source else pdf.MAX_TRIAL_SECONDS)
    weasyprint(source)
    factories.published()
    assert client.get(f"{HERE}editions/1.kk.pdf").status_code == 404
    assert ".pdf" not in client.get(HERE).content.decode()
    assert pdf.fault().startswith(reason)
    assert caplog.text.count("editions have no PDF: WeasyPrint") == 1


@pytest.mark.django_db
def test_without_the_renderer_there_is_no_pdf_and_no_link(client, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    factories.published()
    assert client.get(f"{HERE}editions/1.kk.pdf").status_code == 404
    assert ".pdf" not in client.get(HERE).content.decode()
    assert "PDF" not in caplog.text


@pytest.mark.django_db
def test_a_page_does_not_wait_for_the_trial_of_the_renderer(client, tmp_path, weasyprint):
    end = tmp_path / "end"
    weasyprint(f"import os\nwhile not os.path.exists({str(end)!r}): pass\nraise ImportError('no more')")
    factories.published()
    assert "editions/1.kk.pdf" in client.get(HERE).content.decode()
    assert "editions/1.kk.pdf" in client.get(f"{HERE}editions/1/").content.decode()
    end.touch()
    assert pdf.fault() == "WeasyPrint failed (ImportError: no more)"
    memory.clear()
    assert ".pdf" not in client.get(HERE).content.decode()
    assert pdf._fault.cache_info().misses == 1


def test_many_requests_at_once_try_the_renderer_once(tmp_path, weasyprint):
    weasyprint(f"open({str(tmp_path / 'trials')!r}, 'a').write('.')\nraise ImportError('no more')")
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(pdf.fault())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["WeasyPrint failed (ImportError: no more)"] * 4
    assert (tmp_path / "trials").read_text() == "."


def test_a_flushed_database_or_a_fork_does_not_make_the_trial_run_again(weasyprint):
    weasyprint("raise ImportError('no more')")
    found = pdf.fault()
    memory.clear()
    assert pdf.fault() == found
    assert pdf._fault.cache_info().misses == 1


@with_renderer
@pytest.mark.django_db
def test_without_a_base_url_there_is_no_pdf_whose_address_a_request_could_choose(client, settings):
    factories.published()
    assert client.get(f"{HERE}editions/1.kk.pdf").status_code == 200
    settings.AGREEMENT = {**settings.AGREEMENT, "BASE_URL": ""}
    assert client.get(f"{HERE}editions/1.kk.pdf").status_code == 404
    assert ".pdf" not in client.get(HERE).content.decode()
