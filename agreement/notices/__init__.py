"""Notifies users of new and cancelled editions and of breaches of personal data, reminds them before an edition takes
effect, and mails the replies to withdrawals.

The package provides ``dispatch`` (``work``, ``fan_out``, ``deliver``, ``reconcile``), ``forecast``, the ``channels``
that hosts extend, the record of returned letters (``bounces``), the users who were not reached (``unreached``), and the
replies to withdrawals. It uses the ledger (``agreement.models``), ``agreement.editions`` for the letters, and
``agreement.retention`` for the replies.
"""
