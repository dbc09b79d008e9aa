"""The signals that a site may connect to. Each is sent after the commit of the change. The app itself connects to none;
only its plugins for content management systems do. An exception in a receiver is logged and changes nothing.

======================= ============== ========================================================
signal                  sender         argument
======================= ============== ========================================================
``edition_published``   ``Edition``    ``edition``, which was just sealed
``edition_cancelled``   ``Edition``    ``edition``, which was cancelled before it took effect
``acceptance_recorded`` ``Acceptance`` ``acceptance`` of an edition by a user
``consent_withdrawn``   ``Withdrawal`` ``withdrawal``, which suspends or ends an agreement
======================= ============== ========================================================

``edition_published`` is not sent for imported history. ``acceptance_recorded`` is sent for each new row, of every kind,
also an imported one. A user who withdrew and accepts the same edition again adds a new row. ``consent_withdrawn`` is
sent when the application is registered, even if it takes effect later, and also for an applicant without an account. It
is not sent for a refused application, nor for the withdrawal of a consent to one purpose.
"""

from django.dispatch import Signal

__all__ = ["acceptance_recorded", "consent_withdrawn", "edition_cancelled", "edition_published"]

edition_published = Signal()
edition_cancelled = Signal()
acceptance_recorded = Signal()
consent_withdrawn = Signal()
