"""The text of the reply to an application by which a user withdraws their consents, ends an agreement or both. The
printed reply, the page and the mail all use it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from zoneinfo import ZoneInfo

from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from agreement import conf
from agreement.models import Consent, Edition, Withdrawal, WithdrawalOutcome
from agreement.retention import years_after
from agreement.text import dates
from agreement.text.redline.wording import inner_quotes


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalReply:
    """The reply to a registered application, in one language. ``site`` is the name of the site.
    ``signed_by`` is the name of the officer; ``""`` if the user filed the application on the site.
    """

    language: str
    site: str
    title: str
    sentences: tuple[str, ...]
    signed_by: str


def withdrawal_reply(row: Withdrawal, language: str) -> WithdrawalReply:
    """Return the reply to a registered application, in ``kk`` or ``ru``. It is neither stored nor sent here.

    Its sentences state the registration, then the decision. If the application was refused, that is the refusal and
    ``row.ground``, the reason that the officer wrote, which is empty after the erasure. If it was granted, it is that
    the consents of the user are withdrawn, if there were any, and the result of :func:`_effect`. The title of the reply
    names the withdrawal of consent only if there were consents.

    The title of the agreement is that of the edition of the row. If there is none, it is that of the edition in force
    at the registration, or else the slug. At most 5 queries, besides that for the name of the site, if the agreement
    and the edition of the row are loaded.
    """
    edition = row.edition or Edition.objects.in_force(row.registered_at).filter(agreement=row.agreement_id).first()
    zone = row.agreement.time_zone
    received = datetime.combine(row.received_on, time(12), ZoneInfo(zone))
    values = {
        "number": row.reference,
        "application": row.application_number,
        "title": inner_quotes(edition.text(language).title) if edition else row.agreement.slug,
        "received": dates.day(received, language, zone),
        "registered": dates.instant(row.registered_at, language, zone, seconds=False),
        **(dates.placeholders(row.effective_at, language, zone, "from") if row.effective_at else {}),
        "consents_day": dates.day(row.known_at(), language, zone, "from"),
        "ground": row.ground,
    }
    has_consents = Consent.objects.withdrawn_by(row).exists()
    with translation.override(language):
        registered = (
            _(
                "Application No %(application)s, received on %(received)s, was registered as No %(number)s on"
                " %(registered)s."
            )
            if row.application_number
            else _("The application received on %(received)s was registered as No %(number)s on %(registered)s.")
        )
        if row.outcome == WithdrawalOutcome.REFUSED:
            # The ground is empty after the erasure.
            refused = _("The application was refused. Ground: %(ground)s")
            decision = [refused if row.ground else _("The application was refused.")]
        else:
            decision = _effect(row, edition, has_consents=has_consents)
        return WithdrawalReply(
            language=language,
            site=conf.site_name(language),
            title=(
                _("Reply to withdrawal of consent No %(number)s")
                if has_consents
                else _("Reply to application No %(number)s")
            )
            % values,
            sentences=tuple(
                sentence % values if "%(" in sentence else sentence for sentence in (registered, *decision)
            ),
            signed_by=row.registered_by,
        )


def _effect(row: Withdrawal, edition: Edition | None, *, has_consents: bool) -> list[str]:
    """Return the sentences about a granted application: that the consents are withdrawn, if there were any, its effect
    on the agreement, how long the data is stored, the text that the officer added (``row.ground``), and how to accept
    the agreement again. If the user filed the application on the site to withdraw their consents, and had accepted no
    edition, the agreement has no end to state. The storage is stated only if the agreement has ended, an edition is
    given and the data is not erased yet. The text of the officer is left out if it is empty. The caller fills in the
    placeholders that are left.
    """
    withdrawn = [_("All your consents to data processing are withdrawn with effect from %(consents_day)s.")]
    if has_consents and not row.registered_by and row.edition_id is None:
        return [*withdrawn, _("“%(title)s” is not in force for you until you accept it on the site.")]
    ended = row.outcome == WithdrawalOutcome.ENDED
    sentences = [
        *(withdrawn if has_consents else ()),
        _("“%(title)s” has ended for you with effect from %(day)s, %(clock)s (%(zone)s).")
        if ended
        else _("“%(title)s” is suspended for you with effect from %(day)s, %(clock)s (%(zone)s)."),
    ]
    if ended and edition and not row.erased_at:
        years = years_after(row)
        kept = ngettext(
            "As the agreement states, your personal data is stored for %(years)s year after that moment."
            " Then it is erased.",
            "As the agreement states, your personal data is stored for %(years)s years after that moment."
            " Then it is erased.",
            years,
        )
        sentences.append(kept % {"years": years})
    if row.ground:
        sentences.append("%(ground)s")
    sentences.append(
        _("You can accept the agreement again on the site.")
        if row.may_accept_again
        else _("To accept the agreement again, apply to the administration of the site.")
    )
    return sentences
