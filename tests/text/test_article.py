"""The HTML that an acceptance names: it is the same for the same text, as long as its version is the same."""

from __future__ import annotations

import re
from hashlib import sha256

from hypothesis import given, settings

from agreement.text import article
from agreement.text.clauses import parse
from tests.support.scale import examples
from tests.text.test_clauses import ANY

TITLE = 'Правила «Портала» & "условия"'
#: Something of everything that a text may contain.
BODY = """\
УТВЕРЖДЕНО приказом № 5

# Правила «Портала» & "условия"

Вступление с **выделением**, *курсивом*, `кодом` и знаками < > & ".

## 1. ОБЩИЕ ПОЛОЖЕНИЯ

1.1. Первый пункт, [ссылка](https://example.kz/?a=1&b=2) и <info@example.kz>:

1) подпункт по пункту 1.2;

2) другой:

а) элемент;

б) ещё один.

- список
- ещё

1.1.1. Глубже: см. подпункт 1) пункта 1.1 и раздел 2.

1.2. Строка первая\\
строка вторая.

> Цитата.

| Слово | Число |
|:------|------:|
| Раз   | 1     |

Примечание. Это примечание.

***

## 2. ИНОЕ

2.1. Дважды.

2.1. Дважды.

<script>alert(1)</script> &copy; &lt;

    отступ

# ПРИЛОЖЕНИЕ 1

1. Первое.

2. Второе, к пункту 1.1.
"""
#: Version of the renderer → the digest of the HTML of this text. Entries are added and never changed.
DIGESTS = {
    1: "e0ed2dbfb887b1600479db684b1f5e035dec78b7418522d5947860e1d55ac6d3",
}


def sample(language: str = "ru") -> article.Article:
    return article.render(slug="terms", language=language, title=TITLE, body=BODY)


def test_another_html_of_the_same_text_has_another_version():
    found = sha256(sample().html.encode()).hexdigest()
    assert found == DIGESTS.get(article.RENDERER), (
        f"The HTML of the same text has changed: its digest is {found}. Acceptances name the version of the HTML, so"
        " raise RENDERER in agreement/text/article.py by 1, and add that version with this digest to DIGESTS here."
        " Leave the entries of earlier versions as they are."
    )
    assert list(DIGESTS) == list(range(1, article.RENDERER + 1))
    assert len(set(DIGESTS.values())) == len(DIGESTS)


def test_each_id_begins_with_the_agreement_and_each_link_leads_to_one():
    page = sample().html
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert {"title-terms", "terms-1", "terms-1.1", "terms-1.1-2", "terms-1.1-2a", "terms-a1-2"} <= set(ids)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)
    assert 'href="https://example.kz/?a=1&amp;b=2"' in page
    other = article.render(slug="other", language="ru", title=TITLE, body=BODY)
    assert other.html == page.replace("terms-", "other-").replace("-terms", "-other")


@given(ANY)
@settings(max_examples=examples(100), deadline=None)
def test_every_id_of_any_text_begins_with_the_agreement(body):
    found = article.render(slug="terms", language="ru", title="", body=body)
    tags = re.findall("<[^<>]+>", found.document.html)
    ids = [one for tag in tags for one in re.findall(r'\s(?:id="|href="#)([^"]*)', tag)]
    assert all(one.startswith("terms-") and not one.startswith("terms-terms-") for one in ids)
    assert article.letters(found.document.html) == article.letters(parse(body).html)


def test_the_title_is_text():
    assert sample().heading == ('<h2 id="title-terms" lang="ru">Правила «Портала» &amp; &quot;условия&quot;</h2>\n')


def test_the_language_is_that_of_both_elements():
    assert sample("kk").html == sample().html.replace('lang="ru"', 'lang="kk"')
    assert sample().html.count('lang="ru"') == 2


def test_letters_are_those_of_the_words_without_tags():
    assert article.letters('<p id="a">Бір &amp; <b>е</b>кі\n &lt;b&gt;</p>') == "Бір&екі<b>"
