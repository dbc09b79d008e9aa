"""Notifies users when an edition is published or cancelled, reminds them before it takes effect, and mails the replies
to withdrawals.

The package provides ``dispatch`` (``work``, ``fan_out``, ``deliver``, ``reconcile``), ``forecast``, the ``channels``
that hosts extend, and the replies to withdrawals. It uses the ledger (``agreement.models``), ``agreement.editions`` for
the letters, and ``agreement.retention`` for the replies.
"""
