"""HTML as Markdown: the words, headings, lists and tables that a browser displays, and what is left out by its kind."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agreement.text.hypertext import is_html, plain, to_markdown


@pytest.mark.parametrize(
    ("written", "markdown"),
    [
        ("<h1>Правила &amp; <b>сроки</b></h1><p>Раз<br>два.</p>три", "# Правила & сроки\n\nРаз\nдва.\n\nтри"),
        ("<h2>1. Общие\n положения</h2><div>1.1. Слово.</div>", "## 1. Общие положения\n\n1.1. Слово."),
        ("<ol start=3><li>три<li>четыре</ol>", "3. три\n\n4. четыре"),
        ("<ol type=a><li>а<li value=4>г</ol>", "a. а\n\nd. г"),
        ("<ul><li>раз<ul><li>один</ul><li>два</ul>", "- раз\n    - один\n- два"),
        (
            "<table><tr><th>A<th>B</tr><tr><td>1|2<p>3</p></td></tr></table>",
            "| A | B |\n| --- | --- |\n| 1\\|2<br>3 |  |",
        ),
        ("<table><tr><td><table><tr><td>p<td>q</table><td>k</table>", "| p q | k |\n| --- | --- |"),
        ("<table><tr><td>Рамка.</table>", "Рамка."),
        ("<table><tr><td>Не закрыта", "Не закрыта"),
        ("м<sup>2</sup>, 3<sup>а</sup>", "м², 3^(а)"),
        ("<p>5 &lt; 6, *не* &amp;lt; метка</p>", "5 < 6, \\*не* &amp;lt; метка"),
        ("<pre>раз\n  два</pre>", "раз\nдва"),
        ("слово <b>слово", "слово слово"),
    ],
)
def test_words_are_displayed_as_a_browser_displays_them(written, markdown):
    reading = to_markdown(written)
    assert (reading.text, +reading.left_out) == (markdown, {})


def test_what_is_left_out_is_counted_by_its_kind():
    reading = to_markdown(
        "<style>p {}</style><script>'<p>'</script><!-- x -->Раз <a href='https://a.kz'>здесь</a><a name=x></a>"
        "<img src=x><svg><text>x</text></svg><del>два</del><p style='display: none'>три</p> четыре"
    )
    assert reading.text == "Раз здесь четыре"
    assert reading.left_out == {
        "addresses of links": 1,
        "pictures": 2,
        "struck-out passages": 1,
        "hidden passages": 1,
    }


def test_a_text_with_a_tag_is_html_and_one_with_a_sign_is_not():
    assert [is_html(text) for text in ("<p>a", "a<br/>b", "</div>", "<!-- a -->")] == [True] * 4
    assert [is_html(text) for text in ("a < b > c", "<https://a.kz>", "<18 лет>", "a &amp; b")] == [False] * 4


def test_plain_words_are_in_one_line_without_markdown():
    assert plain("<b>Правила</b>\n *сайта* &amp; чата<br>2") == "Правила *сайта* & чата 2"


@given(
    st.lists(
        st.sampled_from("<p> </p> <table> <tr> <td> </table> <ol> <li> </ol> <b> </b> <h2> </h2>".split())
        | st.just("слово"),
        max_size=30,
    )
)
@example(["<p>", "<table>", "слово", "</p>"])
def test_no_word_is_lost(parts):
    text = "".join(parts)
    assert to_markdown(text).text.count("слово") == text.count("слово")


def test_a_superscript_ends_with_its_cell():
    assert to_markdown("<table><tr><td>a<sup>2<td>слово</sup></table>").text == "| a² | слово |\n| --- | --- |"
