"""Notifying users of what was published: who, in which words, by which channel, when, and with which outcome.

The package gives out ``dispatch`` (``work``, ``fan_out``, ``deliver``, ``reconcile``), ``forecast``, ``channels`` for
hosts, and the replies to withdrawals. It uses the models (the ledger), the reading of editions for the letters, and the
retention terms for the replies; nobody but the task engine, the commands, the admin and the views calls it.
"""
