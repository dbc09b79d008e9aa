"""The channels through which notices are sent to users.

A host extends :class:`Channel` and names its class in the setting ``CHANNELS``. :func:`site_channels` returns an
instance of each of these classes. :class:`EmailChannel` is the channel of the app.

``Channel.compose()`` returns a :class:`NoticeContent`: the subject, the text and the HTML of a message.
``Channel.send()`` raises :class:`Refused`, :class:`Deferred` or :class:`Unavailable` if a message can't be sent.

Of the app, the package uses the letter of a notice, its return path, and the packages ``models``, ``conf``, ``memory``
and ``text``. It does not decide which users are notified, or when.
"""

from agreement.notices.channels.base import Channel, Deferred, Refused, Unavailable, site_channels
from agreement.notices.channels.email import EmailChannel
from agreement.notices.letters import NoticeContent

__all__ = ["Channel", "Deferred", "EmailChannel", "NoticeContent", "Refused", "Unavailable", "site_channels"]
