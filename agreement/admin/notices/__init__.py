"""The admin of notices: ``ledger`` lists notices and deliveries, ``progress`` displays and controls the sending,
``unreached`` lists the users who were not reached, ``state`` displays the state of notices in lists, and ``breaches``
records and announces breaches of personal data.
"""
