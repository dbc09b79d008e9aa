"""The pages, files and feeds at the addresses of ``agreement.urls``.

The package gives out :func:`page`, :class:`Visit` and :func:`alternates`, so that a site can serve public pages of
its own as the app serves its pages. It uses every package below it; nothing but the addresses and ``flush`` uses it.
"""

from agreement.views.base import Visit, alternates, page

__all__ = ["Visit", "alternates", "page"]
