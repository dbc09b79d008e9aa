"""The views of the pages, files, data and feeds in ``agreement.urls``.

The package provides :func:`page`, :class:`Visit`, :func:`alternates` and :class:`Alternate`, with which a site can
serve its own public pages in the same way as the app.
"""

from agreement.views.base import Alternate, Visit, alternates, page

__all__ = ["Alternate", "Visit", "alternates", "page"]
