"""The text of an agreement: its clauses and references, redlines, the lint, and dates in words.

The public functions, such as those of ``clauses``, ``redline``, ``lint``, ``parallel``, ``quoting``, ``source`` and
``dates``, depend on their arguments alone. They use Python-Markdown and nh3, but no database, settings, request or
clock.
"""
