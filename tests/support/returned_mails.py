"""Mails by which mail servers report what became of a letter, in the form of each server. The words are our own."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from email.utils import formatdate

POSTFIX, EXCHANGE, GMAIL, YANDEX, MAIL_RU, EXIM = "Postfix", "Exchange", "Gmail", "Yandex", "Mail.ru", "Exim"
FORMS = (POSTFIX, EXCHANGE, GMAIL, YANDEX, MAIL_RU, EXIM)


@dataclass(kw_only=True)
class Letter:
    """The letter that comes back: its ``Message-ID`` and the addresses."""

    message_id: str
    to: str
    sender: str = "noreply@portal.example.kz"

    def header(self) -> str:
        return (
            f"Received: from portal.example.kz (portal.example.kz [192.0.2.7])\n by mx.example.net with ESMTPS\n"
            f"From: Portal <{self.sender}>\nTo: {self.to}\nSubject: =?utf-8?b?0KDQtdC00LDQutGG0LjRjw==?=\n"
            f"Message-ID: {self.message_id}\nAuto-Submitted: auto-generated\n"
            "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
        )


def report(
    letter: Letter,
    form: str = POSTFIX,
    *,
    action: str = "failed",
    status: str = "5.1.1",
    diagnostic: str = "smtp; 550 5.1.1 no such mailbox",
    returned_to: str = "",
    date: str = "",
) -> bytes:
    """The mail of that server about the letter. ``returned_to`` is the address in its ``To``, by default the sender of
    the letter; ``date`` is by default the present moment.
    """
    date = date or formatdate()
    top = f"Return-Path: <>\nTo: {returned_to or letter.sender}\nDate: {date}\nMIME-Version: 1.0\n"
    fields = (
        f"Final-Recipient: rfc822; {letter.to}\nAction: {action}\nStatus: {status}\n"
        f"Remote-MTA: dns; mx.example.net\nDiagnostic-Code: {diagnostic}\n"
    )
    match form:
        case "Postfix" | "Yandex":
            name = {POSTFIX: "Postfix", YANDEX: "Yandex"}[form]
            host = {POSTFIX: "mx.example.kz", YANDEX: "forward1h.mail.yandex.net"}[form]
            mail = (
                f"From: MAILER-DAEMON@{host} (Mail Delivery System)\nSubject: Undelivered\n{top}"
                'Content-Type: multipart/report; report-type=delivery-status;\n\tboundary="4F1A.1/mx"\n\n'
                "A text in several parts.\n\n--4F1A.1/mx\nContent-Description: Notification\n"
                "Content-Type: text/plain; charset=us-ascii\n\nThe letter could not be handed over.\n\n--4F1A.1/mx\n"
                "Content-Description: Delivery report\nContent-Type: message/delivery-status\n\n"
                f"Reporting-MTA: dns; {host}\nX-{name}-Queue-ID: 4F1A\nX-{name}-Sender: rfc822; {letter.sender}\n"
                f"Arrival-Date: {date}\n\n{fields}Original-Recipient: rfc822;{letter.to}\n\n--4F1A.1/mx\n"
                f"Content-Description: Undelivered Message\nContent-Type: message/rfc822\n\n{letter.header()}\n"
                "Words.\n\n--4F1A.1/mx--\n"
            )
        case "Exchange":
            mail = (
                f"From: <postmaster@example.onmicrosoft.com>\nSubject: Undeliverable\n{top}"
                'Content-Type: multipart/report; report-type=delivery-status;\n\tboundary="_a-1_"\n'
                "X-MS-Exchange-Message-Is-Ndr:\n\n--_a-1_\nContent-Type: multipart/alternative; boundary=_b-2_\n\n"
                "--_b-2_\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n"
                "The address was not found =E2=80=94 check it.\n--_b-2_\nContent-Type: text/html\n\n<p>No.</p>\n"
                "--_b-2_--\n\n--_a-1_\nContent-Type: message/delivery-status\n\n"
                f"Reporting-MTA: dns;HE1PR01.prod.outlook.com\nReceived-From-MTA: dns;portal\n\n"
                f"{fields.replace('; ', ';')}X-Display-Name: A person\n\n--_a-1_\nContent-Type: message/rfc822\n\n"
                f"{letter.header()}\n--_a-1_--\n"
            )
        case "Gmail":
            folded = diagnostic.replace(" no such", "\n no such")
            mail = (
                f"From: Mail Delivery Subsystem <mailer-daemon@googlemail.com>\nX-Failed-Recipients: {letter.to}\n"
                f"Subject: Status\nAuto-Submitted: auto-replied\n{top}"
                "Content-Type: multipart/report; boundary=000a; report-type=delivery-status\n\n--000a\n"
                "Content-Type: multipart/related; boundary=000b\n\n--000b\nContent-Type: text/html\n\n<b>No.</b>\n"
                "--000b\nContent-Type: image/png; name=icon.png\nContent-Transfer-Encoding: base64\n\niVBORw0KGgo=\n"
                "--000b--\n--000a\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; googlemail.com\n"
                f"Arrival-Date: {date}\nX-Original-Message-ID: {letter.message_id}\n\n"
                f"{fields.replace(diagnostic, folded)}\n--000a\nContent-Type: message/rfc822\n\n"
                f"DKIM-Signature: v=1;\n a=rsa-sha256; bh=x\n{letter.header()}\n--000a--\n"
            )
        case "Mail.ru":
            words = (
                "Письмо не доставлено, такого ящика нет (user not found).\n\n** Заголовки письма **\n\n"
                + letter.header()
            )
            coded = base64.encodebytes(words.encode()).decode()
            mail = (
                f"From: mailer-daemon@corp.mail.ru\nSubject: Mail failure\n{top}X-Mailer-Daemon-Error: user_not_found\n"
                f"X-Mailer-Daemon-Recipients: {letter.to}\nContent-Type: text/plain; charset=utf-8\n"
                f"Content-Transfer-Encoding: base64\n\n{coded}"
            )
        case _:
            mail = (
                f"From: Mail Delivery System <Mailer-Daemon@mx.example.net>\nX-Failed-Recipients: {letter.to}\n"
                f"Subject: Mail delivery failed\n{top}\nNot delivered to:\n\n  {letter.to}\n"
                f"    host mx.example.net said: {diagnostic.partition(';')[2]}\n\n------ A copy follows ------\n\n"
                f"{letter.header()}\nWords.\n"
            )
    return mail.replace("\n", "\r\n").encode()


def in_mbox(*mails: bytes) -> bytes:
    return b"".join(b"From MAILER-DAEMON Mon Nov 30 09:00:00 2026\n" + mail + b"\n" for mail in mails)
