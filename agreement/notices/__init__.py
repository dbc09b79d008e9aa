"""Notifies users of new and cancelled editions and of breaches of personal data, reminds them before an edition takes
effect, and mails the replies to withdrawals. It also mails staff about drafts that are ready to publish or were sent
back.

The package provides ``dispatch`` (``work``, ``fan_out``, ``deliver``, ``reconcile``), ``forecast``, the ``channels``
that hosts extend, the record of returned letters (``bounces``), the users who were not reached (``unreached``), the
replies to withdrawals, and the mails to staff (``hand_over_letters``). It uses the ledger (``agreement.models``),
``agreement.editions`` for the letters, ``agreement.retention`` for the replies, and ``conf``, ``memory``, ``seal`` and
``text``.
"""
