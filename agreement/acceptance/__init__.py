"""Who must accept the edition in force, who has accepted it, and how a request is answered until they have.

It gives the decorators ``acceptance_required`` and ``acceptance_not_required``; the middleware, the forms, the pages of
a user and :class:`agreement.permissions.HasAccepted` use its modules. It uses the models and the dates of the editions
(``agreement.editions.timeline``).
"""

from agreement.acceptance.decorators import acceptance_not_required, acceptance_required

__all__ = ["acceptance_not_required", "acceptance_required"]
