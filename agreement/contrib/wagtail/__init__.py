"""The plugin for Wagtail: blocks and links that quote an agreement, a list of editions, entries in Wagtail's audit log,
and caches that forget a page when what it quotes changes.

Editions are written and published at the desk, in Django's admin. This app only displays them. It has no tables.
"""
