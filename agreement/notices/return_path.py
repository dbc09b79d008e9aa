"""The e-mail address to which a mail server returns a notice: one for each delivery (VERP, variable envelope return
path).
"""

from __future__ import annotations

import re

from django.conf import settings
from django.utils.crypto import constant_time_compare, salted_hmac

from agreement import conf
from agreement.models import Delivery

#: Characters of the signature: 80 bits.
_SIGNATURE = 20
#: How many tokens of one mail are tried.
_MOST_TOKENS = 5


def return_path(delivery: Delivery) -> str:
    """The address of the setting ``VERP`` with the token of this delivery added before the ``@``; ``""`` if the setting
    is empty.

    The token is the primary key of the delivery and a signature, under ``SECRET_KEY``, of the part of its
    ``Message-ID`` before the ``@``. Therefore nobody can write the token of a letter that they did not get.
    """
    local, at, domain = conf.get().VERP.rpartition("@")
    return f"{local}+{delivery.pk}-{_signature(delivery, settings.SECRET_KEY)}@{domain}" if at else ""


def delivery_returned_to(text: str) -> Delivery | None:
    """The delivery to which the first valid token in the text belongs. :func:`return_path` writes the tokens, and the
    text is for example the header of a mail. ``None`` if none of the first ``_MOST_TOKENS`` tokens is valid. The case
    of letters is ignored, because some mail servers change it. Tokens that were written under one of
    ``SECRET_KEY_FALLBACKS`` are valid too, those of deleted accounts are not. At most 5 queries.
    """
    local = re.escape(conf.get().VERP.rpartition("@")[0])
    tokens = re.findall(rf"{local}\+([0-9]{{1,18}})-([0-9a-f]{{{_SIGNATURE}}})@", text, re.IGNORECASE)
    for key, signature in list(dict.fromkeys(tokens))[:_MOST_TOKENS]:
        delivery = Delivery.objects.primary().filter(pk=int(key)).select_related("notice").first()
        secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
        if delivery and any(
            constant_time_compare(signature.lower(), _signature(delivery, secret)) for secret in secrets
        ):
            return delivery
    return None


def _signature(delivery: Delivery, secret: str) -> str:
    value = delivery.message_id_local_part
    return salted_hmac("agreement.return_path", value, secret=secret, algorithm="sha256").hexdigest()[:_SIGNATURE]
