"""The seal of published rows: canonical manifests and their digests, and the triggers that refuse changes.

``manifest`` makes the canonical bytes and the digests. ``triggers`` installs the triggers on SQLite and PostgreSQL, and
``inspection`` names what differs from the triggers and from the models. ``operations`` contains the migration
operations, and ``loss`` refuses commands that would delete all sealed rows. The package uses nothing else of the app.
"""
