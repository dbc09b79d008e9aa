"""Is all well? The state of the installation, for monitors and for the start page of the admin.

The package gives out :func:`status`, the :class:`Status` that it returns, and its :class:`Level`. It uses the models,
the seal's triggers and what is due of the notices; nothing here changes anything.
"""

from agreement.status.report import Level, Status, status

__all__ = ["Level", "Status", "status"]
