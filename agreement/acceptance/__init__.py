"""Checks that users have accepted the edition in force, and answers the requests of users who have not.

The package provides the decorators ``acceptance_required`` and ``acceptance_not_required``. The middleware, the forms,
the account pages and :class:`agreement.permissions.HasAccepted` use its modules. It uses the models and the dates of
the editions (``agreement.editions.timeline``).
"""

from agreement.acceptance.decorators import acceptance_not_required, acceptance_required

__all__ = ["acceptance_not_required", "acceptance_required"]
