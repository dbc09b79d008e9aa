"""Exports evidence for a court or a user, as a bundle that anyone can check without this software.

``export_editions`` and ``export_user`` write a bundle. ``find_user_key`` finds the user for ``export_user``, and
``find_user_keys`` finds many users for a command. The module ``time_stamps`` requests time stamps on the checkpoints of
the logs, and ``signatures`` stores the signatures of officials over manifests. The package uses the models and
``agreement.editions``.
"""

from agreement.evidence.export import export_editions, export_user
from agreement.evidence.users import find_user_key, find_user_keys

__all__ = ["export_editions", "export_user", "find_user_key", "find_user_keys"]
