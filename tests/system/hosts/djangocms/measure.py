"""How many queries a request made: all, and those about the tables of the app."""

import re
from contextlib import ExitStack

from django.db import connection

OURS = re.compile(r'(?:FROM|JOIN|INTO|UPDATE) "agreement_(?!djangocms)')


class QueryCount:
    """Puts both numbers into the headers of the response."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        made = []

        def count(execute, sql, params, many, context):
            made.append(sql)
            return execute(sql, params, many, context)

        with ExitStack() as stack:
            stack.enter_context(connection.execute_wrapper(count))
            response = self.get_response(request)
            if hasattr(response, "render") and not response.is_rendered:
                response.render()
        response.headers["X-Queries"] = str(len(made))
        response.headers["X-Our-Queries"] = str(sum(bool(OURS.search(sql)) for sql in made))
        return response
