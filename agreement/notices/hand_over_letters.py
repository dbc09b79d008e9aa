"""Mails to staff about the hand-over of a draft: that it is ready to publish, or that it was sent back."""

from __future__ import annotations

import logging
from typing import Any

from django.db.models import QuerySet, Value
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext

from agreement import conf
from agreement.models import HandOver, HandOverState
from agreement.models.audit import name_of
from agreement.notices.channels import EmailChannel
from agreement.notices.channels.email import AUTOMATIC, Letter
from agreement.notices.letters import absolute
from agreement.text.languages import LANGUAGES, notice_language

logger = logging.getLogger("agreement")


def send_letters(row: HandOver, users: QuerySet[Any], *, view: str) -> tuple[int, int]:
    """Mail to these users that the draft is ready to publish, or that it was sent back, as the hand-over ``row`` says:
    to each in their language, or in both if it is not known or neither Kazakh nor Russian. Return how many mails were
    sent, and how many users were not reached: they have no valid e-mail address, or an error occurred, which is logged.
    ``view`` is the URL name of the page of the draft. Nothing is tried again, because the admin displays the same. 1
    query, besides those for the names of the site and of the draft, if the draft, its agreement and the person who
    handed it over are loaded.
    """
    sent = missed = 0
    language = conf.user_language()
    with EmailChannel() as channel:
        rows = users.annotate(
            agreement_address=channel.address(), agreement_language=Value("") if language is None else language
        )
        for user in rows:
            try:
                if channel.unreachable(address := user.agreement_address or ""):
                    missed += 1
                    continue
                channel.post(_letter(row, address, notice_language(user.agreement_language), view))
            except Exception as error:
                # The draft is marked already. The text of an exception may contain the address.
                logger.warning("N118 mail about the hand-over of draft %s: %s", row.edition_id, type(error).__name__)
                missed += 1
            else:
                sent += 1
    return sent, missed


def _letter(row: HandOver, address: str, code: str, view: str) -> Letter:
    texts = [_text(row, one, view) for one in (LANGUAGES if code == "mul" else (code,))]
    return Letter(
        subject=" / ".join(subject for subject, _body in texts),
        body="\n\n".join(body for _subject, body in texts),
        from_email=conf.sender(code),
        to=[address],
        headers={**AUTOMATIC, "Content-Language": ", ".join(LANGUAGES) if code == "mul" else code},
    )


def _text(row: HandOver, code: str, view: str) -> tuple[str, str]:
    """Return the subject and the text of the mail about the hand-over, in the language ``code`` (``kk`` or ``ru``).
    ``view`` is the URL name of the page of the draft.
    """
    edition, ready = row.edition, row.state == HandOverState.READY
    with translation.override(code):
        subject = gettext("Ready to publish: %(edition)s") if ready else gettext("Sent back: %(edition)s")
        sentence = (
            gettext("%(name)s marked this draft as ready to publish.")
            if ready
            else gettext("%(name)s sent this draft back.")
        )
        values = {
            "site": conf.site_name(code),
            "title": edition.text(code).title,
            "subject": subject % {"edition": edition},
            "sentence": sentence % {"name": name_of(row.by)},
            "note": row.note,
            "address": absolute(view, edition.pk),
        }
        return values["subject"], render_to_string("agreement/mail/hand_over.txt", values).strip() + "\n"
