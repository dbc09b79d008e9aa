"""When personal data may be erased, and its erasure.

``years_after`` gives the term that a withdrawal begins, and ``erase`` clears what is past its term. The package uses
the models, which tell which edition bound whom and until when.
"""

from agreement.retention.erasure import ErasureCounts, erase
from agreement.retention.terms import years_after

__all__ = ["ErasureCounts", "erase", "years_after"]
