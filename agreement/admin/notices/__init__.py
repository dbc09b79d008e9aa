"""Notices at the desk: ``ledger`` lists what was sent to whom, ``progress`` displays and controls the sending."""
