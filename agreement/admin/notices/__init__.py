"""The admin of notices: ``ledger`` lists notices and deliveries, ``progress`` displays and controls the sending, and
``breaches`` announces breaches of personal data.
"""
