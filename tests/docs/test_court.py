"""The guides for a lawyer whom a court asks: each page that they name opens for the officer, under that name."""

from __future__ import annotations

import html
import re

import pytest
from django.urls import reverse
from django.utils import translation

from agreement.groups import PRIVACY_OFFICERS
from agreement.models import Delivery
from agreement.notices import dispatch
from tests.admin.test_editions import at
from tests.admin.test_groups import staff
from tests.docs.test_documents import read, sections
from tests.support import factories
from tests.test_language import translations

both_languages = pytest.mark.parametrize("language", ["kk", "ru"])


def guide(language: str) -> str:
    """The text of the guide, with a space for each line break."""
    return " ".join(read(f"court.{language}.md").split())


@pytest.mark.django_db
@both_languages
def test_an_officer_opens_each_page_that_the_guide_names(language, django_user_model):
    factories.users(1)
    factories.published()
    dispatch.work()
    delivery = Delivery.objects.get()
    officer = staff(django_user_model, "officer", PRIVACY_OFFICERS)
    lists = ("acceptance", "decline", "consent", "withdrawal", "delivery", "legalhold")
    pages = [at(f"{name}_changelist", language=language) for name in lists]
    pages += [at(name, language=language) for name in ("acceptance_evidence", "legalhold_add")]
    pages.append(at("delivery_change", delivery.pk, language=language))
    pages.append(at("notice_change", delivery.notice_id, language=language))
    with translation.override(language):
        pages.append(reverse("agreement:current", args=["terms"]))

    answers = {page: officer.get(page) for page in pages}

    assert {page: answer.status_code for page, answer in answers.items()} == dict.fromkeys(pages, 200)
    words = html.unescape(" ".join(answer.content.decode() for answer in answers.values())).casefold()
    # A bold text that ends with a full stop is the beginning of a paragraph.
    names = [name for name in re.findall(r"\*\*(.+?)\*\*", guide(language)) if not name.endswith(".")]
    assert len(names) > 8
    assert [name for name in names if name.casefold() not in words] == []


@both_languages
def test_each_quotation_of_the_guide_is_in_the_catalogue(language):
    words = "\n".join(text for _english, text in translations(language)).casefold()
    quotations = re.findall("«(.+?)»", guide(language))
    assert len(quotations) > 10
    assert [text for text in quotations if text.casefold() not in words] == []


def test_the_guides_of_both_languages_have_the_same_parts():
    def parts(language: str) -> list[tuple[int, ...]]:
        marks = ("\n- ", "\n1. ", "\n2. ", "\n3. ", "\n4. ", "\n5. ", "\n6. ", "\n7. ", "\n|", "\n\n")
        return [
            tuple(text.count(mark) for mark in marks) for _heading, text in sections(read(f"court.{language}.md"), 2)
        ]

    assert parts("kk") == parts("ru")
