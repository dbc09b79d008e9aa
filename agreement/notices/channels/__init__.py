"""The channels through which notices are sent to users.

The package provides :class:`Channel`, which a host extends and names in the setting ``CHANNELS``, the three failures
that a channel raises, :class:`NoticeContent`, which a channel composes, :class:`EmailChannel`, and
:func:`site_channels`. Of the app, it uses the letter of a notice, its return path, and the packages ``models``,
``conf``, ``memory`` and ``text``. It does not decide which users are notified, or when.
"""

from agreement.notices.channels.base import Channel, Deferred, Refused, Unavailable, site_channels
from agreement.notices.channels.email import EmailChannel
from agreement.notices.letters import NoticeContent

__all__ = ["Channel", "Deferred", "EmailChannel", "NoticeContent", "Refused", "Unavailable", "site_channels"]
