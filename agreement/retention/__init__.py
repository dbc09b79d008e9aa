"""Computes when personal data may be erased, and erases it.

``years_after`` returns for how many years data is stored after a withdrawal, and ``years_after_end`` for how many it
would be stored if the user withdrew now. ``erase`` erases the data whose retention term is over. The package uses
``conf`` and the models, which determine which edition bound a user, and until when.
"""

from agreement.retention.erasure import ErasureCounts, erase
from agreement.retention.terms import years_after, years_after_end

__all__ = ["ErasureCounts", "erase", "years_after", "years_after_end"]
