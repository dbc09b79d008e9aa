"""The views of the pages, files, data and feeds in ``agreement.urls``.

The package provides :func:`page`, :class:`Visit` and :func:`alternates`, with which a site can serve its own public
pages in the same way as the app.
"""

from agreement.views.base import Visit, alternates, page

__all__ = ["Visit", "alternates", "page"]
