"""The admin of editions: the pages on which a draft is started, written, compared, previewed, handed over and
published, a scheduled edition is cancelled, and an edition is signed.

``change`` registers the admin class. The other pages are views with the attribute ``model_admin``, in the modules
``start``, ``draft``, ``compare``, ``amendment``, ``preview``, ``hand_over``, ``publish``, ``cancel`` and ``sign``.
``revisions`` restricts the pages of django-reversion, and ``conflict`` displays a page if two authors wrote in one
draft. They use ``fields`` (the fields that an author writes), ``page`` (code that the views share), ``decision`` (the
base of ``publish`` and ``cancel``), ``upload`` (a file from which a draft is started), ``comments`` (those of
revisions), ``forecast`` and ``accepted_chart``.
"""
