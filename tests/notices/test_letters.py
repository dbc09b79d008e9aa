"""The contents of a letter: a new edition, corrections, a reminder, a cancellation, several editions at once."""

from __future__ import annotations

import email
import email.policy
import hashlib
import hmac
import io
import re
import sys
import uuid
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import parseaddr, parsedate_to_datetime
from html import unescape
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core import mail
from django.core.management import call_command
from django.utils import timezone

from agreement import conf
from agreement.models import (
    Acceptance,
    AcceptanceKind,
    AcceptanceMode,
    Bounce,
    Breach,
    Delivery,
    DeliveryOutcome,
    Edition,
    Notice,
    NoticeKind,
    NoticeText,
    Progress,
    Withdrawal,
    pseudonyms,
)
from agreement.models.notices import overtaken_by
from agreement.notices import dispatch
from agreement.notices.channels import Deferred, EmailChannel
from agreement.notices.channels.email import Letter, ascii_domain, ascii_host
from agreement.notices.letters import SEPARATOR, letter
from agreement.testing import open_seal
from agreement.text import dates
from tests.support import factories
from tests.support.site import KK, RU

KEY = "k" * 32


def changed(number: int) -> dict[str, str]:
    """Texts in which the second clause differs from the texts of any other number."""
    return {
        "kk": KK.replace("Екінші тармақ", f"Екінші тармақ, {number}-нұсқа"),
        "ru": RU.replace("Второй пункт", f"Второй пункт, вариант {number}"),
    }


def published(number: int = 0, **stated: Any) -> Edition:
    return factories.published(**(changed(number) if number else {}), **stated)


def later(**delta: float) -> Any:
    return timezone.now() + timedelta(**delta)


def letters() -> dict[str, Any]:
    """Address → the letter, and nothing left for the next look."""
    found = {message.to[0]: message for message in mail.outbox}
    assert len(found) == len(mail.outbox)
    mail.outbox.clear()
    return found


def moment(number: int, case: dates.Case) -> str:
    """When that edition takes effect, as a Russian letter states it."""
    edition = Edition.objects.get(number=number)
    at, zone = edition.effective_from, edition.agreement.time_zone
    day, clock = dates.day(at, "ru", zone), dates.clock(at, zone, seconds=False)
    return f"с\u00a0{clock} {day}" if case == "from" else f"{day} в\u00a0{clock}"


def day(at: datetime, language: str = "ru", case: dates.Case = "on") -> str:
    """The day as a subject states it: with its year only if that is not the present one."""
    zone = "Asia/Almaty"
    return dates.day(at, language, zone, case, year=f"{at:%Y}" != f"{timezone.now():%Y}")


def subject(words: str) -> str:
    return f"{words}: Пользовательское соглашение — Открытая библиотека"


def reasons() -> list[tuple[str, str]]:
    return sorted(Delivery.objects.values_list("outcome", "reason"))


@pytest.mark.django_db
def test_a_letter_quotes_the_changed_clauses_and_leads_to_the_rest():
    factories.users(2, languages=("kk", "ru"))
    published()
    dispatch.work()
    mail.outbox.clear()
    edition = published(2, summary_kk="Екінші тармақ.", summary_ru="Второй пункт.")
    dispatch.work()

    found = letters()
    for address, was, words, other in (
        ("user0@example.kz", "Екінші тармақ", "{+, 2-нұсқа+}", "вариант"),
        ("user1@example.kz", "Второй пункт", "{+, вариант 2+}", "нұсқа"),
    ):
        body = found[address].body
        assert was in body
        assert words.strip("{+},") in body
        assert "{+" in body
        assert other not in body
        assert "Бірінші" not in body
        assert "Первый" not in body
        assert "/agreements/terms/editions/2/changes/?from=1\n" in body
        assert edition.digest in body
        html = found[address].alternatives[0][0]
        assert "<ins " in html
        assert "/agreements/terms/editions/2/changes/?from=1" in html


def made_section(section: int, count: int, words: str) -> str:
    """A section with so many clauses. Each has other words than all others."""
    lines = [
        f"{section}.{n}. {' '.join(f'{words}{section}а{n}а{place}' for place in range(6))}."
        for n in range(1, count + 1)
    ]
    return "\n\n".join([f"## {section}. РАЗДЕЛ {words}{section}", *lines])


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("language", "headings", "more"),
    [
        ("ru", ("Изменено", "Добавлено", "Исключено"), "и ещё {}"),
        ("kk", ("Өзгертілді", "Қосылды", "Алып тасталды"), "тағы {}"),
    ],
)
def test_a_list_names_every_changed_clause_first_and_says_how_many_others_it_leaves_out(language, headings, more):
    first, last = made_section(1, 3, "б"), made_section(9, 20, "я")
    old = "\n\n".join(["Т", first, made_section(2, 30, "г"), last])
    new = "\n\n".join(["Т", first, made_section(4, 30, "д"), re.sub(r"я9а(\d+)а5\.", r"иначе\1.", last)])
    factories.published(kk=old, ru=old)
    edition = factories.published(kk=new, ru=new)
    content = letter(Notice.objects.get(edition=edition), language, since=1)

    changes_url = re.search(r"http://\S+/changes/\?from=1", content.text)
    assert changes_url
    lists = {
        heading: content.text.partition(f"\n{heading}:\n")[2].partition("\n\n")[0].splitlines() for heading in headings
    }
    changed, added, deleted = (lists[heading] for heading in headings)
    assert [line.partition(" — ")[0] for line in changed] == [f"9.{n}" for n in range(1, 21)]
    for listed in (added, deleted):
        left_out = 31 - (len(listed) - 1)
        assert listed[-1] == f"{more.format(left_out)}: {changes_url[0]}"
        assert re.search(rf'<a [^>]*href="{re.escape(changes_url[0])}"[^>]*>{more.format(left_out)}</a>', content.html)
    assert len(changed) + len(added) - 1 + len(deleted) - 1 == 40


@pytest.mark.django_db
def test_the_line_of_new_numbers_says_how_many_it_leaves_out(monkeypatch):
    monkeypatch.setattr("agreement.notices.letters.MAX_QUOTED_CHARACTERS", 300)
    old = "\n\n".join(["Т", made_section(1, 6, "б")])
    new = re.sub(r"\n1\.(\d)\.", lambda found: f"\n1.{int(found[1]) + 1}.", old).replace(
        "1.2.", "1.1. Новый.\n\n1.2.", 1
    )
    factories.published(kk=old, ru=old)
    edition = factories.published(kk=new, ru=new)
    content = letter(Notice.objects.get(edition=edition), "ru", since=1)

    assert "1.1 → 1.2, 1.2 → 1.3, 1.3 → 1.4\nи ещё 3: http://" in content.text
    assert re.search(r"1\.3 → 1\.4\s<a [^>]*>и ещё 3</a>", content.html)


@pytest.mark.django_db
def test_corrections_come_in_a_shorter_letter_without_clauses():
    factories.users(1, languages=("ru",))
    published()
    dispatch.work()
    mail.outbox.clear()
    published(2, material=False)
    dispatch.work()
    (letter,) = letters().values()
    assert letter.subject == subject("Правка без изменения смысла")
    assert "ничьи права и обязанности не меняются" in letter.body
    assert "Изменено: 1 пункт." in letter.body
    assert "{+" not in letter.body
    assert "changes/?from=1" in letter.body


@pytest.mark.django_db
def test_the_letter_about_a_correction_contains_the_changes_of_the_edition_cancelled_since():
    factories.users(1, languages=("ru",))
    published()
    dispatch.work()
    cancelled = published(2, effective_from=later(days=1))
    published(3, effective_from=later(days=2), material=False)
    cancelled.cancel()
    mail.outbox.clear()
    dispatch.work()
    (letter,) = letters().values()
    assert "changes/?from=1" in letter.body
    assert "ничьи права" not in letter.body
    assert "{+" in letter.body


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("language", "summary", "name"),
    [
        ("kk", "Атаудың үстіндегі деректемелер өзгерді.", "атаудың үстіндегі деректемелер (өзгертілді)"),
        ("ru", "Изменены реквизиты над названием.", "реквизиты над названием (изменены)"),
    ],
)
def test_another_approval_is_named_as_what_stands_above_the_title(language, summary, name):
    for number in (7, 8):
        approval = {"kk": f"Директордың № {number} бұйрығымен бекітілген", "ru": f"УТВЕРЖДЕНО\n\nприказом № {number}"}
        edition = factories.published(kk=f"{approval['kk']}\n\n{KK}", ru=f"{approval['ru']}\n\n{RU}")
    text = letter(edition.notices.get(), language, since=1).text
    assert summary in text
    assert name in text
    assert not re.search("нөмірсіз|без номера", text)


@pytest.mark.django_db
def test_the_first_edition_compares_nothing():
    factories.users(1, languages=("ru",))
    published()
    dispatch.work()
    (letter,) = letters().values()
    assert "changes" not in letter.body
    assert NoticeText.objects.values_list("since", flat=True).distinct().get() == 0


def rewritten(old: str, new: str, **stated: Any) -> Notice:
    """The notice of an edition with that for a clause, of which the one before it had another wording."""
    for words in (old, new):
        texts = {"kk": KK.replace("Екінші тармақ.", words), "ru": RU.replace("Второй пункт.", words)}
        edition = factories.published(**texts, **(stated if words is new else {}))
    return edition.notices.get()


@pytest.mark.django_db
def test_a_letter_states_that_only_the_text_in_the_other_language_changed():
    factories.published()
    notice = factories.published(kk=KK.replace("Екінші тармақ.", "Басқа тармақ.")).notices.get()
    content = letter(notice, "ru", since=1)
    for words in (content.text, content.html):
        assert "Текст на русском языке не изменился, текст на казахском языке изменился. Изменено: 1 пункт." in words
        assert "Текст не изменился." not in words


def numbered(words: list[str]) -> str:
    """A clause of each, from 1.2 on, the number of the first left out."""
    return "\n\n".join(f"1.{number}. {word}" for number, word in enumerate(words, start=2)).removeprefix("1.2. ")


@pytest.mark.django_db
@pytest.mark.parametrize("count", [500, pytest.param(2000, marks=pytest.mark.scale)])
def test_a_letter_is_never_larger_than_mail_programs_show(count):
    many = [f"слово{number} " for number in range(count)]
    every_third = [word if number % 3 else "другое " for number, word in enumerate(many)]
    first, *rest = many[: count // 2]
    for old, new in (
        ("".join(many[: count // 2]), "".join(every_third[: count // 2])),
        ("".join(many), "“Иначе” & " * count),
        (numbered(many), numbered(["Новый.", *every_third])),
        (numbered([first, *rest]), numbered([first, "Новый.", *rest])),
    ):
        notice = rewritten(old, new, summary_ru='"&' * 20_000, summary_kk="а\n\n" * 20_000)
        content = letter(notice, "mul", since=notice.edition.number - 1)
        assert len(content.html.encode()) < 100_000
        assert content.html.count(notice.edition.digest) == 2
        assert f"/editions/{notice.edition.number}/" in content.html


@pytest.mark.django_db
def test_a_long_clause_hides_no_other_and_is_quoted_near_its_changes():
    head, tail = (" ".join(f"{word}{number}" for number in range(2000)) for word in ("перед", "после"))
    rest = "Один.", "Два."
    notice = rewritten(numbered([f"{head} было {tail}", *rest]), numbered([f"{head} стало {tail}", "Другой.", *rest]))
    content = letter(notice, "ru", since=1)
    assert re.search(r"1\.2\. \(.*\)\n… \S+ .* перед1999 \[-было-\] \{\+стало\+\} после0 .* \S+ …\n", content.text)
    assert re.search(r"<br>… .* перед1999 <del [^>]*>было</del> <ins [^>]*>стало</ins> после0 .* …</td>", content.html)
    assert "{+Другой.+}" in content.text
    assert "1.3 → 1.4, 1.4 → 1.5" in content.text
    assert "Ещё" not in content.text


@pytest.mark.django_db
def test_what_does_not_fit_is_counted_as_more_only_where_something_is_quoted():
    long = "слово " * 4000
    with_others = letter(rewritten("Было.", numbered([f"{long}.", "Другой."])), "ru", since=1)
    assert "{+Другой.+}" in with_others.text
    assert "Ещё 1 изменение — на странице изменений." in with_others.text
    alone = letter(rewritten("Было.", long), "ru", since=3)
    assert "{+" not in alone.text
    assert "Ещё" not in alone.text
    assert len(re.findall(r"\b1 (?:change|изменение)\b", alone.text)) == 1


@pytest.mark.django_db
def test_an_overtaken_edition_is_covered_by_the_letter_about_the_next():
    factories.users(2, languages=("ru",))
    published()
    dispatch.work()
    published(2, summary_ru="Сначала одно.")
    mail.outbox.clear()
    dispatch.fan_out(Notice.objects.get(edition__number=2))
    delivery_of_2 = Delivery.objects.filter(notice__edition__number=2, user__username="user0").get()
    (delivery,) = Delivery.objects.claim(notice=delivery_of_2.notice, channel="email", size=1)
    delivery.record_outcome(DeliveryOutcome.SENT)
    Delivery.objects.count_outcomes(lease=delivery.lease)
    published(3, summary_ru="Потом другое.")

    dispatch.work()

    found = letters()
    knew, missed = found["user0@example.kz"].body, found["user1@example.kz"].body
    assert "Сначала одно." not in knew
    assert "changes/?from=2" in knew
    assert missed.index(moment(2, "from")) < missed.index("Сначала одно.")
    heading_of_3 = f"№\N{NO-BREAK SPACE}3 — {moment(3, 'from')}"
    assert missed.index("Сначала одно.") < missed.index(heading_of_3) < missed.index("Потом другое.")
    assert "В этом письме — все изменения после редакции №\u00a01." in missed
    assert "changes/?from=1" in missed
    assert ("skipped", overtaken_by(3)) in reasons()
    assert Progress.objects.total() == {"waiting": 0, "sent": 5, "failed": 0, "skipped": 1}


@pytest.mark.django_db
def test_a_letter_names_every_edition_that_takes_effect_before_its_own():
    published()
    published(2, effective_from=later(days=5))
    published(3, effective_from=later(days=8))
    notice = published(4, effective_from=later(days=10)).notices.get()
    content = letter(notice, "ru", since=3)
    for words in (content.text, content.html):
        places = [words.index(moment(number, "on")) for number in (4, 3, 2)]
        assert places == sorted(places)
        assert words.index("До этого времени действует редакция №\u00a01.") > places[-1]


@pytest.mark.django_db
def test_a_letter_made_after_the_effect_states_that_the_edition_is_in_force():
    published()
    notice = published(2, effective_from=later(days=5)).notices.get()
    notice.due_at = later(days=6)
    content = letter(notice, "ru", since=1)
    for words in (content.text, content.html):
        assert moment(2, "from") in words
        assert "вступает в силу" not in words
        assert "редакция №\u00a01" not in words


@pytest.mark.django_db
def test_a_letter_about_an_edition_that_another_replaced_does_not_state_that_it_is_in_force():
    published()
    notice = published(2).notices.get()
    factories.draft(**changed(3)).publish(notify=False)
    content = letter(notice, "ru", since=1)
    for words in (content.text, content.html):
        assert "действует с" not in words


@pytest.mark.django_db
def test_a_letter_about_several_editions_states_when_each_takes_effect():
    published()
    published(2, summary_ru="Сначала одно.")
    notice = published(3, effective_from=later(days=10)).notices.get()
    content = letter(notice, "ru", since=1)
    for words in (content.text, content.html):
        assert words.index(moment(2, "from")) < words.index("Сначала одно.") < words.rindex(moment(3, "from"))


@pytest.mark.django_db
@pytest.mark.parametrize(("language", "in_force"), [("kk", "бастап күшінде"), ("ru", "действует с")])
def test_a_letter_about_several_coming_editions_calls_none_of_them_in_force(language, in_force):
    published()
    published(2, effective_from=later(days=5))
    content = letter(published(3, effective_from=later(days=10)).notices.get(), language, since=1)
    for words in (content.text, content.html):
        assert in_force not in words


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("kk", "Тек соңғы редакциялар (2) сипатталған; қалғандары барлық редакция тізімінде бар."),
        ("ru", "Описаны только последние редакции (2); остальные — в списке всех редакций."),
    ],
)
def test_a_letter_about_more_editions_than_it_describes_says_so(monkeypatch, language, sentence):
    monkeypatch.setattr("agreement.notices.letters.MAX_EDITIONS", 2)
    published()
    published(2, summary_ru="Одно.", summary_kk="Бірі.")
    third = letter(published(3).notices.get(), language, since=1)
    fourth = letter(published(4).notices.get(), language, since=1)
    for words in (third.text, third.html):
        assert sentence not in words
        assert "Одно." in words or "Бірі." in words
    for words in (fourth.text, fourth.html):
        assert sentence in " ".join(words.split())
        assert "Одно." not in words
        assert "Бірі." not in words


@pytest.mark.django_db
def test_a_letter_to_a_user_never_notified_covers_every_edition():
    published()
    content = letter(published(2).notices.get(), "ru", since=0)
    assert moment(1, "from") in content.text
    for words in (content.text, content.html):
        assert "№ 0" not in words


@pytest.mark.django_db
def test_a_cancellation_states_which_edition_takes_effect_next():
    published()
    second = published(2, effective_from=later(days=5))
    published(3, effective_from=later(days=10))
    second.cancel()
    content = letter(second.notices.get(kind=NoticeKind.CANCELLED), "ru", since=0)
    for words in (content.text, content.html):
        assert words.index("Продолжает действовать редакция №\u00a01.") < words.index(moment(3, "on"))
        assert "Редакция №\u00a03 опубликована до отмены" in words


@pytest.mark.django_db
def test_a_user_who_accepted_an_edition_knows_it_notified_or_not():
    (user,) = factories.users(1, languages=("ru",))
    published()
    dispatch.work()
    second = published(2)
    Acceptance.objects.record(
        user=user, edition=second, digest=second.digest, language="ru", kind=AcceptanceKind.EXPLICIT
    )
    mail.outbox.clear()
    published(3)
    dispatch.work()
    (letter,) = letters().values()
    assert "changes/?from=2" in letter.body


@pytest.mark.django_db
def test_changes_are_never_measured_from_an_accepted_edition_that_was_cancelled(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "ACCEPT_ANNOUNCED": True}
    (user,) = factories.users(1, languages=("ru",))
    published()
    dispatch.work()
    cancelled = published(2, effective_from=later(days=5))
    Acceptance.objects.record(
        user=user, edition=cancelled, digest=cancelled.digest, language="ru", kind=AcceptanceKind.EXPLICIT
    )
    cancelled.cancel()
    factories.draft(**changed(3)).publish(notify=False, reason="Сот шешімі.")
    mail.outbox.clear()
    published(4)
    dispatch.work()
    cancellation, letter = mail.outbox
    assert "не изменятся" in cancellation.subject, "they were not sent a letter, but accepted it"
    assert "changes/?from=1" in letter.body


@pytest.mark.django_db
def test_the_next_letter_covers_an_edition_without_notice_except_for_users_who_confirmed_it():
    factories.users(3, languages=("ru",))
    published()
    dispatch.work()
    mail.outbox.clear()
    silent = factories.draft(**changed(2), summary_ru="Молча.")
    silent.publish(notify=False)
    for name, kind in (("user1", AcceptanceKind.EXPLICIT), ("user2", AcceptanceKind.DEEMED)):
        user = get_user_model().objects.get(username=name)
        Acceptance.objects.record(user=user, edition=silent, digest=silent.digest, language="ru", kind=kind)
    published(3, summary_ru="Вслух.")
    dispatch.work()
    found = letters()
    notified, confirmed, deemed = (found[f"user{number}@example.kz"].body for number in range(3))
    for body in (notified, deemed):
        assert body.index("Молча.") < body.index("Вслух.")
        assert "changes/?from=1" in body
    assert "Молча." not in confirmed
    assert "changes/?from=2" in confirmed


@pytest.mark.django_db
def test_a_user_whose_agreement_has_ended_is_not_notified_until_they_accept_again():
    user, _other = factories.users(2, languages=("ru",))
    first = published()
    joining = {"user": user, "edition": first, "digest": first.digest, "language": "ru"}
    Acceptance.objects.record(**joining, kind=AcceptanceKind.EXPLICIT)
    dispatch.work()
    mail.outbox.clear()
    Withdrawal.objects.register(agreement=first.agreement, outcome="ended", received_on=timezone.localdate(), user=user)
    dispatch.work()
    mail.outbox.clear()  # The reply to it.
    published(2)
    dispatch.work()
    assert list(letters()) == ["user1@example.kz"]
    assert ("skipped", "agreement ended") in reasons()


@pytest.mark.django_db
def test_a_user_whose_ending_was_registered_after_a_new_acceptance_is_not_notified():
    user, _other = factories.users(2, languages=("ru",))
    joining = {"user": user, "language": "ru", "kind": AcceptanceKind.EXPLICIT}
    ended = {"outcome": "ended", "received_on": timezone.localdate() - timedelta(days=1), "user": user}
    early, first = timezone.now() - timedelta(hours=1), published()
    Acceptance.objects.record(**joining, edition=first, digest=first.digest)
    Withdrawal.objects.register(agreement=first.agreement, effective_at=early, **ended)
    dispatch.work()
    assert ("skipped", "agreement ended") in reasons()
    suspended = {**ended, "outcome": "suspended"}
    Withdrawal.objects.register(agreement=first.agreement, may_accept_again=False, **suspended)
    dispatch.work()
    mail.outbox.clear()  # The replies to the user.
    published(2)
    dispatch.work()
    assert list(letters()) == ["user1@example.kz"], "what shuts more does not undo that it ended"


@pytest.mark.django_db
def test_a_cancellation_goes_to_the_notified_users():
    factories.users(3, languages=("ru",))
    published()
    dispatch.work()
    edition = published(2, effective_from=later(days=5))
    notice = edition.notices.get()
    dispatch.fan_out(notice)
    mail.outbox.clear()
    (delivery,) = Delivery.objects.claim(notice=notice, channel="email", size=1)
    delivery.record_outcome(DeliveryOutcome.SENT)
    Delivery.objects.count_outcomes(lease=delivery.lease)
    edition.cancel()

    dispatch.work()

    (letter,) = letters().values()
    assert letter.to == ["user0@example.kz"]
    assert letter.subject == subject(f"Условия не изменятся {day(edition.effective_from)}")
    assert "Продолжает действовать редакция №\u00a01.\n" in letter.body
    assert edition.digest in letter.body
    assert reasons().count(("skipped", "edition cancelled")) == 2


@pytest.mark.django_db
def test_a_cancellation_waits_for_a_letter_in_flight():
    factories.users(1, languages=("ru",))
    edition = published(effective_from=later(days=5))
    dispatch.fan_out(edition.notices.get())
    (delivery,) = Delivery.objects.claim(notice=edition.notices.get(), channel="email")
    edition.cancel()
    dispatch.work()
    assert letters() == {}
    assert dispatch.next_due_at() == Delivery.objects.get().due_at, "when the lease ends there is something to do"

    delivery.record_outcome(DeliveryOutcome.SENT)
    Delivery.objects.count_outcomes(lease=delivery.lease)
    dispatch.work()

    assert [letter.subject for letter in letters().values()] == [subject("Отменено до вступления в силу")]


@pytest.mark.django_db
def test_deliveries_of_a_dead_worker_about_a_cancelled_edition_are_skipped_after_its_lease():
    factories.users(4, languages=("ru",))
    edition = published(effective_from=later(days=5))
    notice = edition.notices.get()
    dispatch.fan_out(notice)
    notified, _in_flight, *_others = Delivery.objects.claim(notice=notice, channel="email")
    notified.record_outcome(DeliveryOutcome.SENT)
    Delivery.objects.count_outcomes(lease=notified.lease)
    edition.cancel()
    Delivery.objects.leased().update(due_at=later(seconds=0.3))

    call_command("deliver_notices", once=True, stdout=io.StringIO())

    assert set(letters()) == {"user0@example.kz", "user1@example.kz"}, "the server may have what was on its way"
    assert reasons().count(("skipped", "edition cancelled, perhaps sent")) == 1
    assert reasons().count(("skipped", "edition cancelled")) == 2
    assert not Delivery.objects.waiting().exists()
    assert not Delivery.objects.leased().exists()
    assert Progress.objects.total()["waiting"] == 0
    assert dispatch.next_due_at() is None


@pytest.mark.django_db
def test_a_user_whose_letter_got_no_answer_gets_the_cancellation_too(monkeypatch):
    factories.users(3, languages=("ru",))
    answers = {"user1@example.kz": ConnectionResetError(), "user2@example.kz": Deferred("later")}
    edition, send = published(effective_from=later(days=5)), EmailChannel.send

    def broken(channel: EmailChannel, delivery: Delivery, address: str, text: NoticeText) -> None:
        if error := answers.pop(address, None):
            raise error
        send(channel, delivery, address, text)

    monkeypatch.setattr(EmailChannel, "send", broken)
    dispatch.work()
    mail.outbox.clear()
    edition.cancel()

    dispatch.work()

    assert set(letters()) == {"user0@example.kz", "user1@example.kz"}, "user2's letter was not taken"
    assert reasons().count(("skipped", "edition cancelled, perhaps sent")) == 1
    assert reasons().count(("skipped", "edition cancelled")) == 1


def two_and_three(users: int) -> Edition:
    """The notice of edition 2 waits, and edition 3 is announced, with a notice that covers both. Edition 3."""
    factories.users(users, languages=("ru",))
    published()
    dispatch.work()
    published(2, summary_ru="Это в силе.")
    dispatch.fan_out(Notice.objects.get(edition__number=2))
    mail.outbox.clear()
    return published(3, effective_from=later(days=5))


@pytest.mark.django_db
def test_users_get_the_notices_that_a_cancelled_edition_had_overtaken():
    third = two_and_three(2)
    notice = third.notices.get()
    dispatch.fan_out(notice)
    assert dispatch._skip_overtaken(timezone.now()) == 2  # Both are to learn of 2 from the letter about 3.
    (delivery,) = Delivery.objects.claim(notice=notice, channel="email", size=1)
    delivery.record_outcome(DeliveryOutcome.SENT)
    Delivery.objects.count_outcomes(lease=delivery.lease)
    third.cancel()

    dispatch.work()
    dispatch.work()

    found = letters()
    assert found["user0@example.kz"].subject.startswith("Условия не изменятся ")
    assert "Это в силе." in found["user1@example.kz"].body
    assert len(found) == 2
    assert Progress.objects.total()["waiting"] == 0
    assert not Delivery.objects.waiting().exists()


def overtaken_and_cancelled(users: int) -> Notice:
    """Edition 2 waits for nobody any more, since the letter about 3 covers both; 3 is cancelled. The notice of 3."""
    third = two_and_three(users)
    assert dispatch._skip_overtaken(timezone.now()) == users
    notice = third.notices.get()
    third.cancel()
    return notice


@pytest.mark.django_db
def test_users_a_cancelled_edition_never_reached_get_the_overtaken_notices_though_a_worker_is_killed(
    monkeypatch,
):
    notice = overtaken_and_cancelled(2)
    with monkeypatch.context() as killed:
        killed.setattr(type(Delivery.objects.all()), "revive", lambda *args, **options: sys.exit("killed"))
        with pytest.raises(SystemExit):
            dispatch.work()
    assert not Delivery.objects.waiting().exists()

    dispatch.work()

    assert not notice.deliveries.exists(), "nobody was to be notified of 3 any more"
    assert set(letters()) == {"user0@example.kz", "user1@example.kz"}
    assert ("skipped", overtaken_by(3)) not in reasons()


@pytest.mark.django_db
def test_recipients_of_a_killed_worker_get_the_notices_that_the_cancelled_edition_had_overtaken():
    third = two_and_three(2)
    notice = third.notices.get()
    dispatch.fan_out(notice)
    dispatch._skip_overtaken(timezone.now())
    Delivery.objects.claim(notice=notice, channel="email", size=1)
    third.cancel()
    dispatch.work()
    assert letters() == {}, "it may still be notified of 3"

    dispatch.work(clock=lambda: later(seconds=31))

    assert sorted((letter.to[0], letter.subject) for letter in mail.outbox) == [
        ("user0@example.kz", subject("Условия изменились")),
        ("user0@example.kz", subject(f"Условия не изменятся {day(third.effective_from)}")),
        ("user1@example.kz", subject("Условия изменились")),
    ], "users whose letter about 3 was being sent"
    assert reasons().count(("sent", "")) == 5
    assert Progress.objects.total() == {"waiting": 0, "sent": 5, "failed": 0, "skipped": 2}


@pytest.mark.django_db
def test_a_user_notified_by_the_reminder_alone_gets_the_cancellation(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "REMINDER_DAYS": 3}
    edition = published(effective_from=later(days=10))
    dispatch.work()
    factories.users(1, languages=("ru",))  # Who came after the first letter.
    dispatch.work(clock=lambda: later(days=8))
    mail.outbox.clear()

    edition.cancel()
    dispatch.work()

    assert [letter.subject for letter in letters().values()] == [subject("Отменено до вступления в силу")]


@pytest.mark.django_db
def test_a_cancellation_compares_nothing_whatever_its_readers_had_accepted_or_missed():
    factories.users(2, languages=("ru",))
    published()
    dispatch.work()
    edition = published(2, effective_from=later(days=5))
    dispatch.work()
    edition.cancel()
    dispatch.work()
    cancellations = Delivery.objects.filter(notice__kind=NoticeKind.CANCELLED).values_list("outcome", "since")
    assert list(cancellations) == [("sent", 0), ("sent", 0)]
    assert NoticeText.objects.filter(notice__kind=NoticeKind.CANCELLED).count() == 3, "sealed once"


@pytest.mark.django_db
def test_a_cancellation_is_skipped_for_an_account_deleted_since_with_the_reason():
    user, _other = factories.users(2, languages=("ru",))
    edition = published(effective_from=later(days=5))
    dispatch.work()
    mail.outbox.clear()
    edition.cancel()
    dispatch.fan_out(edition.notices.get(kind=NoticeKind.CANCELLED))
    user.delete()

    dispatch.work()

    assert list(letters()) == ["user1@example.kz"]
    assert Delivery.objects.get(notice__kind=NoticeKind.CANCELLED, user=None).reason == "account deleted"


@pytest.mark.django_db
def test_a_reminder_comes_before_the_effect_and_not_for_what_is_in_force(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "REMINDER_DAYS": 3}
    factories.users(1, languages=("ru",))
    assert not published().notices.filter(kind=NoticeKind.REMINDER).exists()
    edition = published(2, effective_from=later(days=10))
    reminder = edition.notices.get(kind=NoticeKind.REMINDER)
    assert reminder.due_at == edition.effective_from - timedelta(days=3)
    dispatch.work()
    mail.outbox.clear()

    dispatch.work(clock=lambda: later(days=8))

    (letter,) = letters().values()
    assert letter.subject == subject(f"Условия изменятся {day(edition.effective_from)} (напоминание)")
    assert reminder.skip_reason(later(days=11)) == "in effect already"


@pytest.mark.django_db
def test_the_user_without_a_language_gets_both_texts_one_subject_and_one_digest_each():
    factories.users(1, languages=("",))
    published()
    dispatch.work()
    (letter,) = letters().values()
    at = Edition.objects.get().effective_from
    assert letter.subject == (
        f"Құжат {day(at, 'kk', 'from')} бастап күшінде / Документ действует с {day(at)}: "
        "Пайдаланушы келісімі / Пользовательское соглашение — Ашық кітапхана / Открытая библиотека"
    )
    assert letter.body.index("Текст на русском языке — ниже.") < letter.body.index("Редакция №\N{NO-BREAK SPACE}1 ")


class Tags(HTMLParser):
    """What a mail program will not show, or not reach."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.django_db
def test_the_html_needs_nothing_from_elsewhere_and_is_well_formed():
    factories.users(1, languages=("",))
    published()
    dispatch.work()
    mail.outbox.clear()
    published(2, summary_kk="<b>&", summary_ru="<b>&")
    dispatch.work()
    (letter,) = letters().values()
    tags = Tags(letter.alternatives[0][0])
    assert tags.open == []
    names = {name for name, _attributes in tags.seen}
    assert not names & {"script", "img", "link", "form", "iframe", "div", "b"}
    assert all(
        (attributes.get("href") or "").startswith("http://127.0.0.1:8000/")
        for name, attributes in tags.seen
        if name == "a"
    )
    assert [attributes["lang"] for name, attributes in tags.seen if name == "td" and "lang" in attributes] == [
        "kk",
        "ru",
    ]


@pytest.mark.django_db
def test_a_message_sent_over_the_open_connection_equals_the_one_django_builds(settings):
    """RFC 5322, 2045, 3834, 2919: both ways to send make one message."""
    settings.AGREEMENT = {**settings.AGREEMENT, "REPLY_TO": "help@example.kz"}
    factories.users(1, languages=("ru",))
    notice = published().notices.get()
    dispatch.fan_out(notice)
    (delivery,) = Delivery.objects.claim(notice=notice, channel="email")
    text = notice.texts.get(language="ru")
    sent: list[tuple[str, str, bytes]] = []

    class Line:
        def send(self, sender: str, recipient: str, message: bytes) -> None:
            assert message.endswith(b"\r\n.\r\n")
            sent.append((sender, recipient, message.removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n.")))

    channel = EmailChannel()
    for address in (ascii_domain("user0@сайт.қаз"), "other@example.kz"):
        channel._converse(Line(), address, channel._wire_bytes(delivery, address, text))
    built = channel._message(delivery, "other@example.kz", text).message()

    (sender, to, first), (_sender, _to, second) = sent
    assert (sender, to) == (parseaddr(conf.from_email())[1], "user0@xn--80aswg.xn--80ao21a")
    assert b"\n" not in second.replace(b"\r\n", b"")
    assert max(map(len, second.split(b"\r\n"))) <= 998
    ours, theirs = email.message_from_bytes(second, policy=email.policy.default), built
    assert isinstance(ours, EmailMessage)
    assert email.message_from_bytes(first, policy=email.policy.default)["To"] == "user0@xn--80aswg.xn--80ao21a"
    automatic = ("Auto-Submitted", "X-Auto-Response-Suppress")
    for header in ("To", "From", "Subject", "Reply-To", "Message-ID", "Content-Language", "List-Id", *automatic):
        assert len(ours.get_all(header, [])) == 1, header
        assert str(ours[header]) == str(
            email.message_from_bytes(theirs.as_bytes(), policy=email.policy.default)[header]
        )
    assert [ours[header] for header in automatic] == ["auto-generated", "OOF, AutoReply"]
    assert ours["MIME-Version"] == "1.0"
    date = parsedate_to_datetime(ours["Date"]).replace(tzinfo=UTC)  # "-0000" is UTC (RFC 5322 §3.3).
    assert abs(date - timezone.now()) < timedelta(minutes=1)
    assert re.fullmatch(r"<[0-9a-f]{32}\.email\.\d+@127\.0\.0\.1>", str(ours["Message-ID"]))
    assert [part.get_content_type() for part in ours.iter_parts()] == ["text/plain", "text/html"]
    assert ours.get_body(("plain",)).get_content().replace("\r\n", "\n").strip() == text.text.strip()
    assert not any(header.lower().startswith("list-unsubscribe") for header in ours)


# Privacy, and letters that come back


@pytest.mark.django_db
def test_the_ledger_stores_no_address_but_a_digest_that_only_the_key_holder_can_check(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "PSEUDONYM_KEYS": {"2026": KEY, "2020": "o" * 64}}
    factories.users(1)
    published()
    dispatch.work()
    row = Delivery.objects.values().get()
    digest = hmac.new(KEY.encode(), b"agreement address user0@example.kz", hashlib.sha256).hexdigest()
    assert row["address_digest"] == digest
    assert not any("@" in str(value) for value in row.values())
    assert pseudonyms.address_digest(" USER0@example.kz") == digest
    settings.AGREEMENT = {**settings.AGREEMENT, "PSEUDONYM_KEYS": {"2027": "n" * 64, "2026": KEY}}
    assert pseudonyms.address_digest("user0@example.kz") != digest
    assert digest in pseudonyms.address_digests("user0@example.kz")


@pytest.mark.django_db
def test_without_a_key_no_digest_is_stored(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "PSEUDONYM_KEYS": {}}
    factories.users(1)
    published()
    dispatch.work()
    assert Delivery.objects.get().address_digest == ""


@pytest.mark.django_db
def test_a_letter_that_came_back_is_a_fact_of_its_own_and_counted_once():
    factories.users(1)
    notice = published().notices.get()
    dispatch.work()
    delivery, at = Delivery.objects.get(), timezone.now()
    identity = f"<{notice.uuid.hex}.email.{delivery.user_id}@portal.example.kz>"

    first = Delivery.objects.record_bounce(identity, at=at, reason="5.1.1")
    again = Delivery.objects.record_bounce(identity.strip("<>"), reason="5.2.2")

    assert first == again == Bounce.objects.get()
    assert (first.at, first.reason) == (at, "5.1.1")
    assert Progress.objects.get().bounced == 1
    delivery.refresh_from_db()
    assert delivery.outcome == DeliveryOutcome.SENT


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        ("5.1.1", "5.1.1"),
        ("550 5.1.1 <user0@example.kz> unknown", "550 5.1.1"),
        ("smtp; 550-5.7.606 Access denied, user0", "550 5.7.606"),
        ("host mx.example.kz[10.0.0.1] said: 421 4.7.0 later", "421 4.7.0"),
        ("timed_out", "timed_out"),
        ("user0@example.kz", ""),
        ("a550@example.kz is unknown", ""),
        ("+7 701 234-56-78", ""),
        ("Асан", ""),
        ("", ""),
    ],
)
@pytest.mark.django_db
def test_only_the_codes_of_a_returned_letter_are_stored(reply, code):
    factories.users(1)
    published()
    dispatch.work()
    delivery = Delivery.objects.select_related("notice").get()
    Delivery.objects.record_bounce(f"<{delivery.message_id_local_part}@portal.example.kz>", reason=reply)
    assert Bounce.objects.get().reason == code


@pytest.mark.django_db
@pytest.mark.parametrize(
    "identity",
    [
        "",
        "<x@y>",
        f"<{'0' * 32}.1@host>",
        f"<{'0' * 32}.email.1@host>",
        f"{'0' * 32}.email.99999999999999999999@h",
        f"{'0' * 32}.email.%00@h",
    ],
)
def test_a_letter_of_somebody_else_is_passed_over(identity):
    assert Delivery.objects.record_bounce(identity) is None


@pytest.mark.django_db
def test_after_a_restore_messages_in_the_mail_log_are_recorded_and_not_sent_again(settings):
    factories.users(2)
    notice = published().notices.get()
    dispatch.fan_out(notice)
    first = Delivery.objects.get(user__username="user0")
    known = [f"<{notice.uuid.hex}.email.{first.user_id}@portal.example.kz>", "<other@portal.example.kz>"]

    assert [Delivery.objects.reconcile(known), Delivery.objects.reconcile(known)] == [1, 0]
    dispatch.work()

    assert list(letters()) == ["user1@example.kz"]
    assert reasons() == [("sent", ""), ("sent", "found in the mail log")]
    assert Progress.objects.total() == {"waiting": 0, "sent": 2, "failed": 0, "skipped": 0}


def forget(notice: Notice, *, but: int = 0) -> None:
    """The ledger as a backup had it: so many of this notice's deliveries were written."""
    written = notice.deliveries.order_by("user_id")
    written_pks = list(written.values_list("pk", flat=True)[:but])
    with open_seal():
        notice.deliveries.exclude(pk__in=written_pks).delete()
        notice.deliveries.update(outcome="waiting", outcome_at=None, language="", since=None)
        last = written.values_list("user_id", flat=True).last()
        Notice.objects.filter(pk=notice.pk).update(fanned_out_at=None, fan_out_cursor=str(last or ""))
    notice.progress.update(waiting=len(written_pks), sent=0, sending_since=None, latest_at=None)


@pytest.mark.django_db
@pytest.mark.parametrize("written", [0, 1])
def test_a_backup_older_than_the_audience_notifies_nobody_twice(settings, written):
    factories.users(3)
    notice = published().notices.get()
    dispatch.work()
    sent_ids = {address: letter.extra_headers["Message-ID"] for address, letter in letters().items()}
    forget(notice, but=written)
    factories.users(1)  # Signed up since, and so the ledger's keys are others.
    settings.AGREEMENT = {**settings.AGREEMENT, "SENDING_SUSPENDED": True}
    assert dispatch.work().suspended

    assert dispatch.reconcile([sent_ids["user0@example.kz"], sent_ids["user2@example.kz"]]) == 2

    assert mail.outbox == []
    settings.AGREEMENT = {**settings.AGREEMENT, "SENDING_SUSPENDED": False}
    dispatch.work()
    sent = letters()
    assert sorted(sent) == ["user1@example.kz", "user3@example.kz"]
    assert sent["user1@example.kz"].extra_headers["Message-ID"] == sent_ids["user1@example.kz"]
    assert Progress.objects.total() == {"waiting": 0, "sent": 4, "failed": 0, "skipped": 0}


@pytest.mark.django_db
def test_after_a_restore_a_cancellation_reaches_the_notified_users_once(settings):
    factories.users(3)
    edition = published(effective_from=timezone.now() + timedelta(days=5))
    notice = edition.notices.get()
    dispatch.work()
    sent_ids = {address: letter.extra_headers["Message-ID"] for address, letter in letters().items()}
    mail.outbox.clear()
    edition.cancel()
    cancelled = edition.notices.get(kind=NoticeKind.CANCELLED)
    dispatch.work()
    again = {address: letter.extra_headers["Message-ID"] for address, letter in letters().items()}
    mail.outbox.clear()
    forget(cancelled)
    with open_seal():
        notice.deliveries.update(outcome="waiting", outcome_at=None)
    notice.progress.update(waiting=3, sent=0)

    assert (
        dispatch.reconcile([sent_ids["user0@example.kz"], sent_ids["user1@example.kz"], again["user0@example.kz"]]) == 3
    )
    dispatch.work()
    assert list(letters()) == ["user1@example.kz"]


@pytest.mark.django_db
def test_a_letter_that_came_back_is_known_when_the_account_is_gone(settings):
    settings.AGREEMENT = {**settings.AGREEMENT, "PSEUDONYM_KEYS": {"2026": "k" * 64}}
    (user,) = factories.users(1)
    published()
    dispatch.work()
    identity = letters()["user0@example.kz"].extra_headers["Message-ID"]
    user.delete()
    assert Delivery.objects.record_bounce(identity) == Bounce.objects.get()


@pytest.mark.parametrize("key", [7, "a.b@example.kz", "ұлы <1>", uuid.UUID(int=5)])
def test_an_identity_stands_in_a_header_whatever_the_users_key_is(key):
    delivery = Delivery(notice=Notice(uuid=uuid.UUID(int=1)), channel="e.mail", user_id=key)
    hexed, channel, user = delivery.message_id_local_part.split(".")
    assert (int(hexed, 16), unquote(channel), unquote(user)) == (1, "e.mail", str(key))
    assert re.fullmatch(r"[A-Za-z0-9%_~-]+", user)


@pytest.mark.django_db
def test_after_a_restore_deliveries_leased_at_the_backup_are_recorded_too():
    factories.users(2)
    notice = factories.published().notices.get()
    dispatch.fan_out(notice)
    leased = Delivery.objects.claim(notice=notice, channel="email")
    Delivery.objects.update(due_at=later(hours=-1))
    known = [f"<{delivery.message_id_local_part}@portal.example.kz>" for delivery in leased]

    assert Delivery.objects.reconcile(known) == 2

    assert not Delivery.objects.leased().exists()
    assert Progress.objects.total() == {"waiting": 0, "sent": 2, "failed": 0, "skipped": 0}


@pytest.mark.django_db
def test_anymails_webhook_is_understood():
    signals = pytest.importorskip("anymail.signals")
    from agreement.notices import bounces

    factories.users(1)
    notice = published().notices.get()
    dispatch.work()
    identity = f"<{notice.uuid.hex}.email.{Delivery.objects.get().user_id}@portal.example.kz>"
    event = signals.AnymailTrackingEvent(
        event_type="bounced",
        timestamp=timezone.now(),
        event_id="1",
        message_id="theirs",
        recipient="user0@example.kz",
        reject_reason="bounced",
        metadata={"agreement_message_id": identity},
    )
    bounces.connect()
    signals.tracking.send(sender=object, event=event, esp_name="Test")
    assert Bounce.objects.get().reason == "bounced"
    event.event_type = "opened"
    bounces.record_bounce(None, event)
    assert Bounce.objects.count() == 1


# On the site


@pytest.mark.django_db
def test_a_clause_whose_number_alone_changed_is_named_and_not_quoted():
    published()
    kk = factories.KK.replace("1.2. ", "1.2. Жаңа тармақ.\n\n1.3. ")
    ru = factories.RU.replace("1.2. ", "1.2. Новый пункт.\n\n1.3. ")
    notice = factories.published(kk=kk, ru=ru).notices.get()
    content = letter(notice, "ru", since=1)
    for words in (content.text, content.html):
        assert "Изменился только номер: 1.2 → 1.3" in words
        assert "Новый пункт" in words
        assert "Второй пункт" not in words


@pytest.mark.django_db
def test_an_item_that_keeps_its_letter_in_a_renumbered_clause_is_neither_named_nor_quoted():
    items = "1) бірінші;\n2) екінші.\n", "1) первый;\n2) второй.\n"
    kk, ru = factories.KK + f"\n1.3. Тізім:\n{items[0]}", factories.RU + f"\n1.3. Список:\n{items[1]}"
    factories.published(kk=kk, ru=ru)
    kk = kk.replace("1.3. ", "1.3. Жаңа тармақ.\n\n1.4. ")
    ru = ru.replace("1.3. ", "1.3. Новый пункт.\n\n1.4. ")
    notice = factories.published(kk=kk, ru=ru).notices.get()
    content = letter(notice, "ru", since=1)
    for words in (content.text, content.html):
        (line,) = (line for line in words.splitlines() if "Изменился только номер" in line)
        assert line.removesuffix("</p>").endswith(": 1.3 → 1.4")
        assert "первый" not in words


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://portal.example.kz:8443/", "portal.example.kz"),
        ("https://сайт.қаз", "xn--80aswg.xn--80ao21a"),
        ("https://[2001:db8::1", "localhost"),
        ("https://a..kz", "localhost"),
        ("", "localhost"),
    ],
)
def test_a_message_id_has_a_host_whatever_the_base_url_is(url, host):
    assert ascii_host(url) == host


@pytest.mark.django_db
def test_the_ledger_names_the_sealed_words_each_reader_got(settings):
    first, second = factories.users(2, languages=("kk", "ru"))
    published()
    dispatch.work()
    published(2)
    dispatch.work()
    for delivery in Delivery.objects.all():
        assert delivery.text in delivery.notice.texts.all()
        assert delivery.text.language == delivery.language
    assert set(Delivery.objects.values_list("user", "since")) == {(u.pk, n) for u in (first, second) for n in (0, 1)}


@pytest.mark.django_db
def test_on_the_site_a_notice_needs_no_row_until_it_is_read(django_assert_num_queries):
    (user,) = factories.users(1)
    type(user).objects.update(date_joined=later(days=-1))
    user.refresh_from_db()
    published()
    edition = published(2, effective_from=later(days=5))
    with django_assert_num_queries(1):
        found = list(Notice.objects.for_user(user))
    assert [(notice.edition.number, notice.read_at) for notice in found] == [(2, None), (1, None)]

    Notice.objects.mark_read(user, found[:1])
    read_at = Notice.objects.for_user(user).first().read_at
    Notice.objects.mark_read(user, found[:1], at=later(days=1))

    assert [notice.edition.number for notice in Notice.objects.for_user(user).unread()] == [1]
    assert Notice.objects.for_user(user).first().read_at == read_at
    edition.cancel()
    assert [(notice.kind, notice.edition.number) for notice in Notice.objects.for_user(user)] == [
        ("cancelled", 2),
        ("published", 1),
    ]


@pytest.mark.django_db
def test_a_user_registered_after_a_cancellation_finds_nothing_of_it():
    published()
    edition = published(2, effective_from=later(days=5))
    edition.cancel()
    before, after = factories.users(2)
    before.date_joined, after.date_joined = edition.published_at, later(seconds=1)
    at = later(seconds=2)
    assert Notice.objects.for_user(before, at=at).get().kind == NoticeKind.CANCELLED
    assert not Notice.objects.for_user(after, at=at).exists()


@pytest.mark.django_db
def test_a_user_registered_before_the_effect_finds_the_coming_edition_and_no_older_notice():
    published()
    published(2, effective_from=later(days=5))
    (user,) = factories.users(1)
    user.date_joined = later(seconds=1)
    assert [notice.edition.number for notice in Notice.objects.for_user(user, at=later(seconds=2))] == [2]


# The order of the letter, and the site that writes it


def state(*materials: bool, days: int = 0, cancelled: bool = False) -> Notice:
    """The last notice of an agreement with a first edition, editions of which each is material or not, and the last of
    them in force now or in so many days.
    """
    published(effective_from=None)
    *earlier, last = enumerate(materials, start=2)
    for number, material in earlier:
        published(number, material=material)
    edition = published(last[0], material=last[1], effective_from=later(days=days) if days else None)
    if cancelled:
        edition.cancel()
    return edition.notices.latest("pk")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("materials", "days", "since", "kk", "ru"),
    [
        ((True,), 0, 1, "Шарттар өзгерді", "Условия изменились"),
        ((True,), 5, 1, "Шарттар {day} өзгереді", "Условия изменятся {day}"),
        ((False,), 0, 1, "Мағынасын өзгертпейтін түзету", "Правка без изменения смысла"),
        ((True, True), 5, 1, "Шарттар өзгерді, {day} тағы өзгереді", "Условия изменились и снова изменятся {day}"),
        ((True, False), 5, 1, "Шарттар өзгерді", "Условия изменились"),
        ((True, True), 5, 2, "Шарттар {day} өзгереді", "Условия изменятся {day}"),
    ],
)
def test_the_first_words_of_the_subject_are_the_state_of_what_the_letter_covers(materials, days, since, kk, ru):
    notice = state(*materials, days=days)
    at = notice.edition.effective_from
    assert letter(notice, "ru", since=since).subject == subject(ru.format(day=day(at)))
    both = letter(notice, "mul", since=since).subject
    assert both.startswith(f"{kk.format(day=day(at, 'kk'))} / {ru.format(day=day(at))}: ")


@pytest.mark.django_db
@pytest.mark.parametrize("language", ["kk", "ru", "mul"])
def test_every_letter_begins_with_the_site_and_ends_with_the_digest(language):
    notice = state(True, days=5)
    content = letter(notice, language, since=1)
    codes = ("kk", "ru") if language == "mul" else (language,)
    for code, text in zip(codes, content.text.split(SEPARATOR), strict=True):
        assert text.startswith(f"{conf.site_name(code)}\n\n")
    edition = notice.edition
    for words in (content.text, content.html):
        places = [
            words.index(place)
            for place in (
                f"{conf.get().BASE_URL}/{codes[0]}/agreements/terms/editions/2/#1.2",
                dates.clock(edition.effective_from, "Asia/Almaty", seconds=False),
                "/agreements/withdraw/",
                edition.digest,
                "/agreements/notices/",
            )
        ]
        assert places == sorted(places)


@pytest.mark.django_db
@pytest.mark.parametrize("language", ["kk", "ru", "mul"])
@pytest.mark.parametrize("kind", NoticeKind)
def test_a_letter_of_every_kind_has_the_digest_and_the_permanent_address(settings, kind, language):
    settings.AGREEMENT = {**settings.AGREEMENT, "REMINDER_DAYS": 3}
    published()
    edition = published(2, effective_from=later(days=9))
    if kind == NoticeKind.CANCELLED:
        edition.cancel()
    elif kind == NoticeKind.BREACH:
        edition = published(3, effective_from=later(days=10))
        Breach.objects.create(agreement=edition.agreement, text_kk="Не болды.", text_ru="Что случилось.").notify()
        edition = Edition.objects.get(number=1)  # The one in force.
    content = letter(Notice.objects.get(edition=edition, kind=kind), language, since=0)
    codes = ("kk", "ru") if language == "mul" else (language,)
    assert len(edition.digest) == 64
    for words in (content.text, content.html):
        assert words.count(edition.digest) == len(codes)
        for code in codes:
            address = f"{conf.get().BASE_URL}/{code}/agreements/terms/editions/{edition.number}/"
            assert re.search(rf"{re.escape(address)}[\s\"<]", words)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("kk", "«Ашық кітапхана» сайтында есептік жазбаңыз болғандықтан, Сіз осы хатты алып отырсыз."),
        ("ru", "потому что у Вас есть учётная запись на сайте «Открытая библиотека». Сайт сообщает"),
    ],
)
def test_a_letter_states_why_it_came_without_citing_the_agreement(language, words):
    """Clause 1.5 may say that the terms change without any special notification."""
    factories.users(1, languages=(language,))
    published()
    dispatch.work()
    (message,) = letters().values()
    for part in (message.body, message.alternatives[0][0]):
        text = " ".join(part.split())
        assert words in text
        assert "согласно" not in text
        assert "сәйкес" not in text


@pytest.mark.django_db
@pytest.mark.parametrize("language", ["kk", "ru"])
def test_quotation_marks_in_a_name_are_inner_ones_between_quotation_marks(settings, language):
    settings.AGREEMENT = {**settings.AGREEMENT, "SITE_NAME": "Портал «Қала»"}
    factories.users(1, languages=(language,))
    titled = {"kk": KK.replace("# Пайдаланушы", "# «Қала» пайдаланушы"), "ru": RU.replace("ское", "ское «Қала»")}
    factories.published(**titled)
    dispatch.work()
    (message,) = letters().values()
    for text in (message.body, unescape(message.alternatives[0][0])):
        assert "«Портал „Қала“»" in text
        assert ("«„Қала“ пайдаланушы келісімі»" if language == "kk" else "ское „Қала“ соглашение»") in text
        assert not re.search("«[^»]*«", text)
    assert message.body.startswith("Портал «Қала»\n")


@pytest.mark.django_db
def test_a_deleted_clause_is_linked_to_its_row_among_the_changes():
    published()
    kk, ru = (text.partition("1.2. ")[0] + "1.3. Жаңа. Новый.\n" for text in (KK, RU))
    content = letter(factories.published(kk=kk, ru=ru).notices.get(), "ru", since=1)
    for words in (content.text, content.html):
        assert "/agreements/terms/editions/2/changes/?from=1#was-1.2" in words
        assert "/agreements/terms/editions/2/#1.3" in words


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("mode", "days", "announced", "button"),
    [
        (AcceptanceMode.BY_USE, 0, False, "editions/2/"),
        (AcceptanceMode.BY_CONFIRMATION, 0, False, "accept/"),
        (AcceptanceMode.BY_CONFIRMATION, 5, False, "editions/2/"),
        (AcceptanceMode.BY_CONFIRMATION, 5, True, "accept/"),
        (AcceptanceMode.ELSEWHERE, 0, False, "editions/2/"),
    ],
)
def test_the_button_opens_the_page_on_which_the_reader_can_act(settings, mode, days, announced, button):
    settings.AGREEMENT = {**settings.AGREEMENT, "ACCEPT_ANNOUNCED": announced}
    notice = state(True, days=days)
    notice.edition.agreement.acceptance_mode = mode
    content = letter(notice, "ru", since=1)
    (bold,) = re.findall(r'<a href="([^"]+)" style="display:inline-block', content.html)
    assert bold.endswith(f"/ru/agreements/terms/{button}")
    assert f"\n{bold}\n" in content.text


@pytest.mark.django_db
@pytest.mark.parametrize(("materials", "cancelled"), [((True,), True), ((False,), False)])
def test_a_letter_that_changes_no_rights_asks_for_nothing(materials, cancelled):
    content = letter(state(*materials, days=5, cancelled=cancelled), "ru", since=0 if cancelled else 1)
    for words in (content.text, content.html):
        assert "От Вас ничего не требуется." in words
        assert "/withdraw/" not in words
        assert "/accept/" not in words


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("effect", "words"), [("ended", "прекратится"), ("suspended", "приостановлено"), ("", "письм")]
)
def test_the_letter_states_what_a_reader_who_does_not_agree_can_do(settings, effect, words):
    settings.AGREEMENT = {**settings.AGREEMENT, "FILE_WITHDRAWALS": effect}
    (sentence,) = re.findall(r"Если Вы не согласны.*", letter(state(True), "ru", since=1).text)
    assert words in sentence


@pytest.mark.django_db
def test_a_letter_about_a_superseded_edition_states_which_one_is_in_force():
    notice = state(True)
    factories.draft(**changed(3)).publish(notify=False, reason="Сот шешімі.")
    content = letter(notice, "ru", since=1)
    for words in (content.text, content.html):
        assert "Сейчас действует редакция №\u00a03." in words
        assert "действует с" not in words


@pytest.mark.django_db
def test_the_dates_of_a_letter_have_no_seconds():
    notice = state(True, days=5)
    notice.edition.effective_from = later(days=5).replace(second=7)
    content = letter(notice, "mul", since=1)
    assert dates.clock(notice.edition.effective_from, "Asia/Almaty", seconds=False) in content.text
    assert not re.search(r"\d\d:\d\d:\d\d", content.text + content.html)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "language", "expected"),
    [
        ("Портал", "kk", "Портал"),
        ({"kk": "Кітапхана", "ru": "Библиотека"}, "ru", "Библиотека"),
        ({"kk": "Кітапхана", "ru": "Библиотека"}, "mul", "Кітапхана / Библиотека"),
        ({"kk": "Портал", "ru": "Портал"}, "mul", "Портал"),
        ("", "ru", "portal.example.kz"),
    ],
)
def test_the_site_has_the_name_of_the_setting_or_of_its_host(settings, name, language, expected):
    settings.AGREEMENT = {"BASE_URL": "https://portal.example.kz:8443", "SITE_NAME": name}
    assert conf.site_name(language) == expected


def test_the_sender_has_the_name_of_the_site_unless_its_address_has_one(settings):
    settings.AGREEMENT = {"SITE_NAME": 'The "Portal"', "FROM_EMAIL": "terms@example.kz"}
    assert parseaddr(conf.sender("ru")) == ('The "Portal"', "terms@example.kz")
    settings.AGREEMENT = {"SITE_NAME": "Портал", "FROM_EMAIL": "Terms <terms@example.kz>"}
    assert conf.sender("ru") == "Terms <terms@example.kz>"


def test_the_headers_of_a_letter_begin_on_their_first_line():
    long = "Условия изменятся 10\u00a0декабря: Пользовательское соглашение — Открытая библиотека"
    message = Letter(subject=long, body="", from_email=f'"{long[:40]}" <terms@example.kz>', to=["user@example.kz"])
    head = message.message().as_bytes().partition(b"\n\n")[0].decode()
    assert re.search(r"^Subject: =\?", head, re.M)
    assert re.search(r"^From: =\?", head, re.M)
    assert email.message_from_string(head, policy=email.policy.default)["Subject"] == long
    assert max(map(len, head.splitlines())) <= 78


@pytest.mark.parametrize(("name", "expected"), [("Кітапхана", "Кітапхана"), ("example.com", "portal.example.kz")])
def test_a_site_of_contrib_sites_names_the_site_once_it_is_set_up(settings, name, expected):
    settings.INSTALLED_APPS, settings.SITE_ID = [*settings.INSTALLED_APPS, "django.contrib.sites"], 1
    settings.AGREEMENT = {"BASE_URL": "https://portal.example.kz"}
    from django.contrib.sites.models import SITE_CACHE, Site

    try:
        SITE_CACHE[1] = Site(pk=1, domain="portal.example.kz", name=name)
        assert conf.site_name("kk") == expected
    finally:  # The other tests do not know this app.
        SITE_CACHE.clear()
        if admin.site.is_registered(Site):
            admin.site.unregister(Site)
        apps.all_models.pop("sites", None)
        apps.clear_cache()
