"""Plugins for django CMS 5 that display agreements on its pages, and an apphook that mounts the pages of the app.

A plugin stores which agreement and which clause it displays, never their words. It uses the citations and the timelines
of ``agreement.editions``.
"""
