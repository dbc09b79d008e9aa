"""The signals that a site may connect to. Each is sent after the commit of the change; the app itself connects to none.

======================= ============== ========================================================
signal                  sender         argument
======================= ============== ========================================================
``edition_published``   ``Edition``    ``edition``, which was just sealed
``edition_cancelled``   ``Edition``    ``edition``, which was cancelled before it took effect
``acceptance_recorded`` ``Acceptance`` ``acceptance`` of an edition by a user
``consent_withdrawn``   ``Withdrawal`` ``withdrawal``, which suspended or ended an agreement
======================= ============== ========================================================
"""

from django.dispatch import Signal

edition_published = Signal()
edition_cancelled = Signal()
acceptance_recorded = Signal()
consent_withdrawn = Signal()
