"""The text of an agreement: its clauses and references, redlines, the lint, and dates in words.

The modules use Python-Markdown and nh3, but no database, request or clock. The results depend on the arguments alone;
those of ``dates`` also depend on the time zone data of the machine, and the errors of ``source`` on the active
language.
"""
