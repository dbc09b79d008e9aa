"""What is said to whoever withdrew consent: one reply, on paper, on a page and by mail."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, time
from zoneinfo import ZoneInfo

from django.core import mail
from django.template.loader import render_to_string
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from agreement import conf, dates
from agreement.models import Edition, Withdrawal

logger = logging.getLogger("agreement")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The reply to an application, in one language."""

    language: str
    title: str
    sentences: tuple[str, ...]
    signed_by: str


def reply(row: Withdrawal, language: str) -> Reply:
    """What became of the application, in whole sentences. 1 query where no edition bound the applicant."""
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
            if ended and edition:
                kept = ngettext(
                    "Personal data are kept for %(years)s year from then on, as the agreement states, then erased.",
                    "Personal data are kept for %(years)s years from then on, as the agreement states, then erased.",
                    edition.retention_years,
                )
                sentences.append(kept % {"years": edition.retention_years})
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


def confirm(row: Withdrawal) -> bool:
    """Send the reply to the user, once; was it taken by the mail server by now? An error is logged, never raised."""
    if row.confirmed_at or row.user_id is None:
        return row.confirmed_at is not None
    from django.contrib.auth import get_user_model

    users = get_user_model()._default_manager.filter(pk=row.user_id)
    address = users.annotate(agreement_email=conf.user_email()).values_list("agreement_email", flat=True).first()
    if not address:
        return False
    said = reply(row, row.language)
    message = mail.EmailMessage(
        subject=said.title,
        body=render_to_string("agreement/mail/withdrawal.txt", {"reply": said}),
        from_email=conf.from_email(),
        to=[address],
        reply_to=list(filter(None, [conf.get().REPLY_TO])),
        headers={"Auto-Submitted": "auto-generated", "Content-Language": said.language},
    )
    try:
        taken = message.send()
    except OSError as error:  # smtplib's errors are among them.
        logger.warning("the reply to withdrawal %s was not sent: %s", row.pk, type(error).__name__)
        return False
    return bool(taken and Withdrawal.objects.filter(pk=row.pk, confirmed_at=None).update(confirmed_at=timezone.now()))


def _instant(at: datetime | None, language: str, zone: str, case: dates.Case = "nominative") -> str:
    return dates.instant(at, language, zone, case) if at else ""
