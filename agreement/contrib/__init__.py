"""Plugins for content management systems, each an app of its own."""
