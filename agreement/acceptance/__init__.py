"""Checks that users have accepted the editions in force, and answers the requests of users who have not.

The package provides the decorators ``acceptance_required`` and ``acceptance_not_required``, and the function
``current_impersonation``, which says who acts in the name of a user. It uses the models and ``agreement.editions``.
"""

from agreement.acceptance.decorators import acceptance_not_required, acceptance_required
from agreement.acceptance.impersonation import current_impersonation

__all__ = ["acceptance_not_required", "acceptance_required", "current_impersonation"]
