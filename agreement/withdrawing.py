"""What is said to whoever withdrew consent: one reply, on paper, on a page and by mail."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib.auth import get_user_model
from django.core import mail
from django.template.loader import render_to_string
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from agreement import conf, dates, retention
from agreement.channels import Deferred, EmailChannel, Refused, Unavailable
from agreement.models import Edition, Withdrawal
from agreement.models.deliveries import CLAIM, LEASE
from agreement.runs import Clock
from agreement.sending import ATTEMPTS, pause

logger = logging.getLogger("agreement")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The reply to an application, in one language."""

    language: str
    title: str
    sentences: tuple[str, ...]
    signed_by: str


def reply(row: Withdrawal, language: str) -> Reply:
    """What became of the application, in whole sentences. At most 4 queries."""
    edition = row.edition or Edition.objects.in_force(row.registered_at).filter(agreement=row.agreement_id).first()
    zone = row.agreement.time_zone
    came = datetime.combine(row.received_on, time(12), ZoneInfo(zone))
    values = {
        "number": row.reference,
        "application": row.application_number,
        "title": edition.text(language).title if edition else row.agreement.slug,
        "received": dates.day(came, language, zone),
        "registered": _instant(row.registered_at, language, zone),
        "effective": _instant(row.effective_at, language, zone, "from"),
        "ground": row.ground,
    }
    with translation.override(language):
        sentences = [
            _("Application No %(application)s, received on %(received)s, is entered as No %(number)s: %(registered)s.")
            if row.application_number
            else _("The application received on %(received)s is entered as No %(number)s: %(registered)s.")
        ]
        if row.outcome == Withdrawal.Outcome.REFUSED:
            sentences.append(_("The application is refused. Ground: %(ground)s"))
        else:
            ended = row.outcome == Withdrawal.Outcome.ENDED
            sentences.append(
                _("“%(title)s” is ended with you from %(effective)s.")
                if ended
                else _("“%(title)s” is suspended with you from %(effective)s.")
            )
            if ended and edition and not row.erased_at:
                years = retention.years(row)
                kept = ngettext(
                    "Personal data are kept for %(years)s year from then on, as the agreement states, then erased.",
                    "Personal data are kept for %(years)s years from then on, as the agreement states, then erased.",
                    years,
                )
                sentences.append(kept % {"years": years})
            if row.ground:
                sentences.append("%(ground)s")
            sentences.append(
                _("The agreement may be joined again on the site.")
                if row.may_rejoin
                else _("To join the agreement again, apply to the administration of the site.")
            )
        return Reply(
            language=language,
            title=_("Reply to withdrawal of consent No %(number)s") % values,
            sentences=tuple(sentence % values if "%(" in sentence else sentence for sentence in sentences),
            signed_by=row.registered_by,
        )


def confirm(*, clock: Clock = timezone.now) -> str:
    """Mail every reply that is due to its user, each claimed first, so that no two workers send the same; what the
    mail server did not take is due again later, under the same ``Message-ID``. Gives what is wrong with a mail server
    that is away, or ``""``.

    Caps are for notices: a reply answers one person and does not wait for them. 1 query if none is due.
    """
    rows = Withdrawal.objects.unconfirmed().filter(confirm_due_at__lte=clock()).select_related("agreement", "edition")
    with EmailChannel() as channel:
        for row in rows[:CLAIM]:
            lease = clock() + LEASE
            if not _write(row, row.confirm_due_at, confirm_due_at=lease):
                continue  # Another worker has it.
            try:
                taken = _mail(channel, row)
            except Unavailable as error:
                _write(row, lease, confirm_due_at=clock() + pause(0))
                return str(error)
            except Exception as error:
                # One letter never stops the others. The log names no address; an exception's text might.
                reason = str(error) if isinstance(error, (Deferred, Refused)) else type(error).__name__
                logger.warning("N108 reply to withdrawal %s, attempt %s: %s", row.pk, row.confirm_attempts + 1, reason)
                again = None if isinstance(error, Refused) or row.confirm_attempts + 1 >= ATTEMPTS else clock()
                due_at = again and again + pause(row.confirm_attempts)
                _write(row, lease, confirm_due_at=due_at, confirm_attempts=row.confirm_attempts + 1)
            else:
                _write(row, lease, confirm_due_at=None, confirmed_at=clock() if taken else None)
    return ""


def _write(row: Withdrawal, due_at: datetime | None, **columns: Any) -> bool:
    """Write, if nobody else has written since it was due then."""
    return bool(Withdrawal.objects.filter(pk=row.pk, confirm_due_at=due_at).update(**columns))


def _mail(channel: EmailChannel, row: Withdrawal) -> bool:
    """Hand the reply over; ``False`` where there is nobody to write to. Raises as ``Channel.send()``."""
    users = get_user_model()._default_manager.filter(pk__in=[row.user_id])
    address = users.annotate(agreement_email=channel.address()).values_list("agreement_email", flat=True).first() or ""
    if channel.unreachable(address):
        return False
    said = reply(row, row.language)
    channel.post(
        mail.EmailMessage(
            subject=said.title,
            body=render_to_string("agreement/mail/withdrawal.txt", {"reply": said}),
            from_email=conf.from_email(),
            to=[address],
            reply_to=list(filter(None, [conf.get().REPLY_TO])),
            headers={
                "Message-ID": f"<withdrawal.{row.agreement_id}.{row.year}.{row.serial}@{channel.host}>",
                "Auto-Submitted": "auto-generated",
                "Content-Language": said.language,
            },
        )
    )
    return True


def _instant(at: datetime | None, language: str, zone: str, case: dates.Case = "nominative") -> str:
    return dates.instant(at, language, zone, case) if at else ""
