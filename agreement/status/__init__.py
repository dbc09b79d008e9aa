"""The status of the installation, for monitors. The command ``agreement_status`` prints it.

The package provides :func:`status`, the :class:`Status` that it returns, and its :class:`Level`; the module
``overview`` collects what the start page of the admin displays. The package uses the models, the triggers of the seal,
the time zones, the lint and ``agreement.notices``. It changes nothing.
"""

from agreement.status.report import Level, Status, status

__all__ = ["Level", "Status", "status"]
