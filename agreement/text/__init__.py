"""The text of an agreement: its clauses and references, redlines, the lint, and dates in words.

The modules contain pure functions and values: ``clauses.parse``, ``redline.changes``, ``lint``, ``parallel``,
``quoting``, ``source`` and ``dates``. They use Python-Markdown and nh3, but no database, settings, request or clock.
"""
