"""The signals that a host may connect to. Each is sent after the commit of the change; the app itself connects to none.

``edition_published``  sender ``Edition``; ``edition``, which was just sealed
``edition_cancelled``  sender ``Edition``; ``edition``, cancelled before it took effect
``acceptance_recorded``  sender ``Acceptance``; ``acceptance``, of an edition by a user
``consent_withdrawn``  sender ``Withdrawal``; ``withdrawal``, which suspended or ended an agreement
"""

from django.dispatch import Signal

edition_published = Signal()
edition_cancelled = Signal()
acceptance_recorded = Signal()
consent_withdrawn = Signal()
