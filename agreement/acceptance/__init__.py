"""Checks that users have accepted the editions in force, and answers the requests of users who have not.

The package provides the decorators ``acceptance_required`` and ``acceptance_not_required``, the function
``current_impersonation``, which says who acts in the name of a user; ``ip_address``, which says where a request comes
from; and ``request_details``, which gives what an acceptance records about a request. It uses the models and
``agreement.editions``.
"""

from agreement.acceptance.decorators import acceptance_not_required, acceptance_required
from agreement.acceptance.impersonation import current_impersonation
from agreement.acceptance.requests import ip_address, request_details

__all__ = ["acceptance_not_required", "acceptance_required", "current_impersonation", "ip_address", "request_details"]
