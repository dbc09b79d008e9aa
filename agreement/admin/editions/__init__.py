"""The pages of editions at the desk: how a draft begins, is written, compared, previewed, published and cancelled.

``change`` registers the admin. Each other page is a view that is given this admin: ``start``, ``draft``, ``compare``,
``revisions``, ``preview``, ``publish``. They use ``fields`` (what an author writes), ``page`` (what the views share),
``forecast`` and ``accepted_chart``.
"""
