"""Evidence for a court or a user: bundles that anybody can check without this software.

``export_editions`` and ``export_user`` write a bundle, and ``find_user_key`` finds the user that one is about; the
module ``time_stamps`` requests time stamps on the digests of editions. The package uses the models and the dates of the
editions (``agreement.editions``).
"""

from agreement.evidence.export import export_editions, export_user
from agreement.evidence.users import find_user_key

__all__ = ["export_editions", "export_user", "find_user_key"]
