"""The signed checkpoint where readers and programs meet it: pages, data, feeds, PDF files, and the page that recognises
a text.
"""

from __future__ import annotations

import html
import re
from datetime import timedelta
from email.message import EmailMessage

import feedparser
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from agreement.editions import pdf, pdf_words
from agreement.models import Checkpoint, Notice
from agreement.notices import dispatch
from agreement.seal import log as tree
from tests.support import factories
from tests.support.signed_logs import BASE, ORIGIN, SECRET, Reader, fill, sign_with
from tests.views.test_data import read, schema  # noqa: F401 - a fixture
from tests.views.test_verify import HERE as VERIFY
from tests.views.test_verify import LONG_KK, LONG_RU, judged

pytestmark = pytest.mark.django_db

HERE = "/ru/agreements/terms/"


@pytest.fixture
def editions(settings):
    """Two editions, each with its entry, and later entries."""
    sign_with(settings)
    more = {"kk": f"{LONG_KK}\n1.4. Тағы.\n", "ru": f"{LONG_RU}\n1.4. Ещё.\n"}
    found = [factories.published(kk=LONG_KK, ru=LONG_RU), factories.published(**more)]
    fill(found[0], 5)
    return found


def first_note(index: int) -> str:
    return Checkpoint.objects.signed().order_by("size").filter(size__gt=index)[0].note


def test_the_data_of_an_edition_has_its_first_signed_checkpoint(client, editions, schema):  # noqa: F811
    found = read(client, schema, f"{HERE}editions/2.json")["log"]

    assert found == {
        "index": 1,
        "checkpoint": first_note(1),
        "proof": f"{BASE}/kk/agreements/terms/editions/2/manifest.json.tlog-proof",
        "newest": f"{BASE}/kk/agreements/terms/log/checkpoint",
        "key": f"{BASE}/kk/agreements/terms/log/key",
    }
    assert read(client, schema, f"{HERE}current.json")["log"] == found
    assert tree.signed_by(found["checkpoint"], tree.public_key_of(SECRET)) is True
    assert not any("log" in one for one in read(client, schema, f"{HERE}editions.json")["editions"])


def test_each_entry_of_the_feed_has_the_first_signed_checkpoint_and_keeps_it(client, editions):
    before = client.get(f"{HERE}feed/").content
    fill(editions[0], 3)

    entries = feedparser.parse(client.get(f"{HERE}feed/").content).entries

    assert client.get(f"{HERE}feed/").content == before
    for entry, index in zip(entries, (1, 0), strict=True):
        (shown,) = re.findall(r"<pre>(.*?)</pre>", entry.summary, re.DOTALL)
        assert html.unescape(shown) == first_note(index)
        assert tree.find_checkpoint(html.unescape(shown)) == first_note(index)


def test_the_page_of_an_edition_names_its_record_and_links_what_proves_it(client, editions):
    page = client.get(f"{HERE}editions/2/").content.decode()

    details = r'<details class="agreement-technical">(?:(?!</details>).)*tlog-proof.*?</details>'
    (folded,) = re.findall(details, page, re.DOTALL)
    assert html.unescape(re.search(r"<pre[^>]*>(.*?)</pre>", folded, re.DOTALL)[1]) == first_note(1)
    for address in ("editions/2/manifest.json.tlog-proof", "log/checkpoint", "log/key"):
        assert f'href="{HERE}{address}"' in folded
        assert client.get(HERE + address).status_code == 200


@pytest.mark.parametrize("address", ["", "editions/1/", "editions/1.json", "feed/"])
def test_without_a_signed_checkpoint_nothing_is_displayed(client, settings, address):
    sign_with(settings, "")
    factories.published()
    content = client.get(HERE + address).content.decode()
    for word in (ORIGIN, "tlog", "log/checkpoint", '"log"', "<pre"):
        assert word not in content


def test_an_edition_that_was_published_before_the_first_key_is_covered_later(client, settings):
    sign_with(settings, "")
    edition = factories.published()
    sign_with(settings)
    assert client.get(f"{HERE}editions/1/manifest.json.tlog-proof").status_code == 404
    fill(edition, 1)

    index, hashes, note = tree.parse_proof(client.get(f"{HERE}editions/1/manifest.json.tlog-proof").content.decode())

    assert (index, len(hashes), tree.Checkpoint.parse(note).size) == (0, 1, 2)


needs_pdf = pytest.mark.skipif(not pdf.is_installed() or bool(pdf.fault()), reason="WeasyPrint or a font is missing")


@needs_pdf
@pytest.mark.parametrize("language", ["kk", "ru"])
def test_a_pdf_ends_with_the_checkpoint_that_a_person_can_copy_and_does_not_change_with_the_log(
    client, editions, language
):
    address = f"{HERE}editions/1.{language}.pdf"
    content = client.get(address).content
    fill(editions[0], 3)

    words, _margins = pdf_words.split_margins(pdf_words.read_pages(content))

    assert tree.find_checkpoint(words) == first_note(0)
    assert client.get(address).content == content


@needs_pdf
def test_a_pdf_with_a_checkpoint_is_genuine(client, editions):
    content = client.get(f"{HERE}editions/1.ru.pdf").content
    response = client.post(VERIFY, {"file": SimpleUploadedFile("1.ru.pdf", content)})
    assert judged(response) == ("genuine", [])


def test_a_letter_with_a_checkpoint_is_genuine(client, editions):
    factories.users(1, languages=("ru",))
    dispatch.work()
    text = Notice.objects.get(edition=editions[1]).texts.get(language="ru", since=0)
    assert ORIGIN in text.text
    mail = EmailMessage()
    mail["Subject"], mail["From"] = text.subject, "noreply@example.kz"
    mail.set_content(text.text, cte="quoted-printable")
    mail.add_alternative(text.html, subtype="html", cte="quoted-printable")
    for given in ({"file": SimpleUploadedFile("x.eml", bytes(mail))}, {"text": text.text}):
        assert judged(client.post(VERIFY, given)) == ("genuine", [])


def test_an_announced_edition_that_is_hidden_has_no_proof(client, settings, editions):
    factories.published(effective_from=timezone.now() + timedelta(days=1))
    address = f"{HERE}editions/3/manifest.json.tlog-proof"
    assert client.get(address).status_code == 200
    settings.AGREEMENT = {**settings.AGREEMENT, "SHOW_SCHEDULED": False}
    assert client.get(address).status_code == 404
    # The log has its digest all the same, because it is only added to.
    assert Reader(client).tree(8).root() == tree.Checkpoint.parse(Reader(client).note()).root
