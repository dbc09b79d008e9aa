"""The admin of editions: the pages on which a draft is started, written, compared, previewed and published, and a
scheduled edition is cancelled.

``change`` registers the admin class. The other pages are views with the attribute ``model_admin``: ``start``,
``draft``, ``compare``, ``amendment``, ``preview``, ``publish`` and ``cancel``; ``revisions`` restricts the pages of
django-reversion. They use ``fields`` (the fields that an author writes), ``page`` (code that the views share),
``decision`` (the base of ``publish`` and ``cancel``), ``forecast`` and ``accepted_chart``.
"""
