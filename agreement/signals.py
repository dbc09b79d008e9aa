"""What a host may listen to. Each is sent after the commit that made it true; the app itself never listens.

``edition_published``  sender ``Edition``; ``edition``, sealed a moment ago
``edition_cancelled``  sender ``Edition``; ``edition``, taken back before its effect
``acceptance_recorded``  sender ``Acceptance``; ``acceptance``, a user's joining of an edition
``consent_withdrawn``  sender ``Withdrawal``; ``withdrawal``, which suspended or ended an agreement
"""

from django.dispatch import Signal

edition_published = Signal()
edition_cancelled = Signal()
acceptance_recorded = Signal()
consent_withdrawn = Signal()
