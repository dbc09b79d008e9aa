"""Formats of dates for the pages of Django's admin that the app does not make (the setting ``FORMAT_MODULE_PATH``)."""
