"""The seal of published rows: canonical manifests and their digests, and the triggers that refuse changes.

``manifest`` makes the canonical bytes and the digests, ``triggers`` installs and checks the triggers of each database,
and ``operations`` contains the migration operations. The package uses nothing else of the app.
"""
