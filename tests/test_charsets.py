"""Which values of ``Content-Type`` are refused: those with which Django can't make a request object, and no others."""

from __future__ import annotations

import io
from contextlib import suppress

import pytest
from django.core.exceptions import TooManyFieldsSent
from django.core.handlers.wsgi import WSGIRequest
from hypothesis import example, given
from hypothesis import strategies as st

from agreement import charsets
from tests.support.codecs import CODECS

#: What a hostile header is made of.
PARTS = [
    *("text/html", "charset", "boundary", ";", "=", "*", "*0", "*0*", "''", '"', " ", ",", "\\", "%00", "%d2", "\xd2"),
    *("base64", "idna", "undefined", "zip", "utf-8", "windows-1251", "nothing"),
]


QUERIES = ["", "x=1", "x=%D2%93", "x=%98%FF", "x=\xd2\x93", "&".join(["x=1"] * 2000)]


def read_by_django(content_type: str, query: str) -> None:
    environ = {"REQUEST_METHOD": "GET", "CONTENT_TYPE": content_type, "QUERY_STRING": query, "wsgi.input": io.BytesIO()}
    request = WSGIRequest(environ)
    with suppress(TooManyFieldsSent):  # Outside the constructor, Django answers it with the status 400.
        request.GET.urlencode()


@pytest.mark.parametrize("query", QUERIES, ids=len)
def test_django_reads_a_query_in_every_charset_that_is_not_refused(query):
    for codec in CODECS:
        header = f"text/html; charset={codec}"
        if charsets.is_readable(header, query.encode("latin1")):
            read_by_django(header, query)


@pytest.mark.parametrize("codec", ["base64", "hex", "rot13", "bz2", "uu", "quopri", "idna", "undefined", "zip"])
def test_a_codec_that_decodes_no_text_is_refused(codec):
    assert not charsets.is_readable(f"text/html; charset={codec}", b"")


@given(st.lists(st.sampled_from(PARTS), max_size=12).map("".join), st.sampled_from(QUERIES[:-1]))
@example("text/html; charset*=nothing''x", "")
@example("text/html; charset*=undefined''%d2", "")
@example("text/html; charset*=utf-8''%00", "")
def test_django_reads_every_header_that_is_not_refused(header, query):
    if charsets.is_readable(header, query.encode("latin1")):
        read_by_django(header, query)


@pytest.mark.parametrize("header", ["", "text/html", "text/html; charset=utf-8", "multipart/form-data; boundary=x"])
@pytest.mark.parametrize("charset", ["", "; charset=windows-1251", "; charset=nobody-knows-it", '; charset="UTF-8"'])
def test_what_browsers_send_is_readable(header, charset):
    assert charsets.is_readable(header + charset, b"x=%D2%93")
