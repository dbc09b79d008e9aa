"""Mails the replies to withdrawals. Before a worker sends a reply, it moves the due time of the reply to the end of a
lease, and until then no other worker sends the same reply.
"""

from __future__ import annotations

import logging
from datetime import datetime

from django.contrib.auth import get_user_model
from django.template.loader import render_to_string

from agreement import conf
from agreement.models import ChannelState, Withdrawal
from agreement.models.backoff import MAX_ATTEMPTS, retry_pause
from agreement.models.deliveries import CLAIM_SIZE, LEASE, ledger_clock
from agreement.notices.batch import DatabaseUnavailable
from agreement.notices.channels import Deferred, EmailChannel, Refused, Unavailable
from agreement.notices.channels.email import AUTOMATIC, Letter
from agreement.notices.withdrawal_letters import withdrawal_reply
from agreement.notices.worker import Clock

logger = logging.getLogger("agreement")


def send_due(*, clock: Clock | None = None) -> str:
    """Mail the replies that are due, at most ``CLAIM_SIZE`` of them. Return the reason if there are such replies and
    the mail server is known, or was found, to be unavailable, else ``""``. ``clock`` returns the present moment
    (``None``: the clock of the database with the ledger).

    If the server is found to be unavailable, the outage is recorded as one of ``EmailChannel``, and the call ends.
    While the pause of an outage lasts, nothing is sent. After ``Unavailable`` an attempt is counted only if the
    exception has ``tried``. After any other failure an attempt is counted, and the reply is tried again later, with the
    same ``Message-ID``. It is given up after ``MAX_ATTEMPTS`` attempts, or at once if the failure is ``Refused`` and
    not doubtful. If the user has no valid address or their account is deleted, the reply is given up without an
    attempt. If the database does not answer, its error is raised, and no attempt is counted.

    Replies are sent by ``EmailChannel`` even if the setting ``CHANNELS`` does not name it. Rate limits and the setting
    ``SENDING_SUSPENDED`` are not considered here.
    """
    clock = clock or ledger_clock()
    rows = Withdrawal.objects.unconfirmed().filter(confirm_due_at__lte=clock()).select_related("agreement", "edition")
    if not (due := list(rows[:CLAIM_SIZE])):
        return ""
    states, progress = ChannelState.objects.filter(channel=EmailChannel.name), False
    if outage := states.away(clock()).first():
        return outage.reason
    with EmailChannel() as channel:
        for row in due:
            lease = clock() + LEASE
            if not _update(row, row.confirm_due_at, confirm_due_at=lease):
                continue  # Another worker has claimed it.
            try:
                sent = _mail(channel, row)
            except Unavailable as error:
                ChannelState.objects.mark_away(channel.name, at=clock(), reason=str(error), progress=progress)
                if error.tried:
                    _postpone(row, lease, clock(), str(error))
                else:
                    _update(row, lease, confirm_due_at=row.confirm_due_at)
                return str(error)
            except DatabaseUnavailable:
                raise
            except Exception as error:
                # A failed letter does not stop the others. The text of an exception may contain the address, which must
                # not be logged.
                reason = str(error) if isinstance(error, (Deferred, Refused)) else type(error).__name__
                _postpone(row, lease, clock(), reason, final=isinstance(error, Refused) and not error.doubtful)
            else:
                progress = progress or sent
                _update(row, lease, confirm_due_at=None, confirmed_at=clock() if sent else None)
    if progress:
        states.mark_available(EmailChannel.name)
    return ""


def _postpone(row: Withdrawal, lease: datetime, at: datetime, reason: str, *, final: bool = False) -> None:
    """Count a failed attempt at the reply. It is tried again after a pause from ``at`` on, the present moment. If this
    was the last attempt or ``final`` is true, it is given up instead. ``lease`` is the end of the lease of this worker.
    If another worker has claimed the reply, the row is not changed.
    """
    attempts = row.confirm_attempts + 1
    logger.warning("N108 reply to withdrawal %s, attempt %s: %s", row.pk, attempts, reason)
    due_at = None if final or attempts >= MAX_ATTEMPTS else at + retry_pause(row.confirm_attempts)
    _update(row, lease, confirm_due_at=due_at, confirm_attempts=attempts)


def _update(row: Withdrawal, due_at: datetime | None, **columns: object) -> bool:
    """Update these columns of the withdrawal and return ``True``, if its ``confirm_due_at`` is still ``due_at``.
    Otherwise, for example because another worker has claimed the reply, change nothing and return ``False``.
    """
    return bool(Withdrawal.objects.filter(pk=row.pk, confirm_due_at=due_at).update(**columns))


def _mail(channel: EmailChannel, row: Withdrawal) -> bool:
    """Mail the reply, in the language of the row, and return ``True``. If the user has no valid address, or no longer
    has an account, send nothing and return ``False``. Raises ``Refused``, ``Deferred`` or ``Unavailable`` if the mail
    server does not accept the reply. The row is not changed.
    """
    users = get_user_model()._default_manager.filter(pk__in=[row.user_id])
    address = users.annotate(agreement_email=channel.address()).values_list("agreement_email", flat=True).first() or ""
    if channel.unreachable(address):
        return False
    reply = withdrawal_reply(row, row.language)
    channel.post(
        Letter(
            subject=f"{reply.title} — {reply.site}" if reply.site else reply.title,
            body=render_to_string("agreement/mail/withdrawal_reply.txt", {"reply": reply}),
            from_email=conf.sender(reply.language),
            to=[address],
            reply_to=list(filter(None, [conf.get().REPLY_TO])),
            headers={
                **AUTOMATIC,
                "Message-ID": f"<withdrawal.{row.agreement_id}.{row.year}.{row.serial}@{channel.host}>",
                "Content-Language": reply.language,
            },
        )
    )
    return True
