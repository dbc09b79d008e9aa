"""The verification compares the records with each other: what contradicts another record is named, and no other row."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection
from django.utils import timezone, translation

from agreement.models import (
    Acceptance,
    Agreement,
    AuditEntry,
    Bounce,
    Consent,
    Decline,
    Delivery,
    DisplayedText,
    Edition,
    Notice,
    NoticeText,
    Progress,
    Signature,
    Withdrawal,
    publishing,
    verification,
)
from agreement.models.acceptances import AcceptanceKind
from agreement.models.deliveries import DeliveryOutcome
from agreement.notices import dispatch
from agreement.seal.manifest import sha256
from agreement.testing import open_seal
from tests.support import factories

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
UNLINKED = "It names no account although the account was not deleted, or it names an account that was deleted."
FUTURE = "Its moment of recording is in the future or after the deletion of its account."
LOGGED = "The audit log has no entry about its publication with this digest and moment."
CANCELLED = "Its cancellation differs from the audit log."


def found() -> list[tuple[Any, str]]:
    with translation.override("en"):
        return [*verification.log_faults("default"), *verification.row_faults("default")]


@pytest.fixture
def edition() -> Edition:
    return factories.published()


@pytest.fixture
def scheduled(edition: Edition) -> Edition:
    return factories.published(effective_from=timezone.now() + 9 * DAY)


def accepted(edition: Edition, **more: Any) -> Acceptance:
    (user,) = factories.users(1)
    return Acceptance.objects.record(
        user=user, edition=edition, digest=edition.digest, language="kk", kind=AcceptanceKind.EXPLICIT, **more
    )


def changed(row: Any, **columns: Any) -> Any:
    with open_seal():
        type(row)._base_manager.filter(pk=row.pk).update(**columns)
    return row


def test_nothing_contradicts_in_what_the_site_writes(edition, scheduled, django_assert_num_queries):
    accepted(edition, displayed=DisplayedText.render(edition, "kk"))
    imported = factories.draft(slug="history")
    imported.record(effective_from=timezone.now() - 900 * DAY)
    scheduled.cancel()
    user = accepted(imported).user
    Consent.objects.give(user=user, purpose="news", language="kk", text="Келісемін.")
    Decline.objects.record(user=user, edition=edition, digest=edition.digest, language="kk")
    Withdrawal.objects.register(
        agreement=edition.agreement, user=user, outcome="ended", received_on=timezone.now().date()
    )
    dispatch.fan_out(edition.notices.get())
    user.delete()

    with django_assert_num_queries(2 + 55 + 3 + (connection.vendor == "postgresql")):
        assert found() == []


def test_an_acceptance_with_another_digest_than_its_edition_is_named(edition, scheduled):
    row = changed(accepted(edition), edition=scheduled, at=scheduled.published_at, recorded_at=scheduled.published_at)

    assert found() == [(row, "It does not contain the digest of its edition.")]


@pytest.mark.parametrize("columns", ["before the publication", "recorded later"])
def test_an_acceptance_at_another_moment_than_possible_is_named(edition, columns):
    row = accepted(edition)
    early = row.at - 365 * DAY
    changed(row, **({"at": early, "recorded_at": early} if columns == "before the publication" else {"at": early}))

    sentence = "Its moment is before the edition was published, or it was recorded at another moment."
    assert found() == [(row, sentence)]


def test_imported_acceptances_may_be_recorded_later_than_they_happened():
    edition = factories.draft()
    edition.record(effective_from=timezone.now() - 900 * DAY)
    (user,) = factories.users(1)
    Acceptance.objects.record(
        user=user,
        edition=edition,
        digest=edition.digest,
        language="kk",
        kind=AcceptanceKind.IMPORTED,
        at=timezone.now() - 400 * DAY,
    )
    assert found() == []


@pytest.mark.parametrize("change", ["gone", "digest", "moment"])
def test_an_edition_whose_publication_the_log_does_not_contain_is_named(edition, change):
    entry = AuditEntry.objects.get(action="published")
    if change == "gone":
        with open_seal():
            entry.delete()
    else:
        changed(entry, **({"digest": "f" * 64} if change == "digest" else {"at": entry.at - DAY}))

    assert found() == [(edition, LOGGED)]


def test_another_publisher_than_the_log_names_is_named(edition):
    changed(AuditEntry.objects.get(action="published"), by="А. Ахметов")
    assert found() == [(edition, "The audit log names another publisher.")]


@pytest.mark.parametrize("change", ["undone", "moved", "unlogged", "logged twice"])
def test_a_cancellation_that_differs_from_the_log_is_named(scheduled, change):
    scheduled.cancel()
    entry = AuditEntry.objects.get(action="cancelled")
    if change == "undone":
        changed(scheduled, cancelled_at=None)
    elif change == "moved":
        changed(scheduled, cancelled_at=scheduled.cancelled_at + DAY)
    elif change == "unlogged":
        with open_seal():
            entry.delete()
    else:
        AuditEntry.objects.log("cancelled", on=scheduled, digest=scheduled.digest)

    assert found() == [(scheduled, CANCELLED)]


def test_a_chain_that_was_cut_at_its_end_is_found_by_the_log(edition, scheduled):
    with open_seal():
        Notice.objects.filter(edition=scheduled).delete()
        Edition.objects.filter(pk=scheduled.pk).delete()
        Agreement.objects.update(head=edition.digest)
    assert list(verification.faults()) == []

    assert found() == [
        (AuditEntry.objects.filter(action="published").latest("pk"), "The edition that this entry is about is missing.")
    ]


def test_history_that_was_recorded_after_an_ordinary_edition_is_named(edition):
    later = factories.published()
    changed(later, imported=True)
    with translation.override("en"):
        sentences = [sentence for row, sentence in verification.faults() if row == later]
    assert "It is imported history, but an edition was published before it was recorded." in sentences


def test_an_edition_that_says_it_was_recorded_before_the_previous_one_is_named(edition):
    later = factories.published()
    changed(later, recorded_at=edition.recorded_at - DAY, published_at=edition.recorded_at - DAY)
    with translation.override("en"):
        sentences = [sentence for row, sentence in verification.faults() if row == later]
    assert "It was recorded before the previous edition." in sentences


def test_an_edition_that_takes_effect_before_the_previous_one_is_named(edition, scheduled, monkeypatch):
    """As if it were published by hand-written SQL, or without the lock of the agreement."""
    monkeypatch.setattr(publishing, "require_after_last", lambda at, last: None)
    sooner = factories.published()
    with translation.override("en"):
        assert list(verification.faults()) == [(sooner, "It does not take effect later than the previous edition.")]


def failed(edition: Edition) -> Delivery:
    factories.users(1)
    notice = edition.notices.get()
    dispatch.fan_out(notice)
    (delivery,) = Delivery.objects.claim(notice=notice, channel="email", size=1, at=notice.due_at)
    delivery.record_outcome(DeliveryOutcome.FAILED, reason="SMTP 550")
    Delivery.objects.count_outcomes(lease=delivery.lease)
    return delivery


def test_a_delivery_that_waits_again_names_the_entry_about_it(edition):
    delivery = failed(edition)

    assert edition.notices.get().resend(by="Редактор") == 1

    delivery.refresh_from_db()
    assert (delivery.reopened_by.action, delivery.reopened_by.by) == ("resent", "Редактор")
    assert (delivery.reopened_by.key, delivery.reopened_by.note) == (str(delivery.notice_id), "1")
    assert found() == []


@pytest.mark.parametrize("entry", ["another action", "another notice"])
def test_a_delivery_that_names_an_entry_about_something_else_is_named(edition, entry):
    """A role that may write could do this itself, but it can't hide it."""
    delivery = failed(edition)
    on = edition if entry == "another action" else factories.published(slug="other").notices.get()
    false = AuditEntry.objects.log("viewed" if entry == "another action" else "resent", on=on)

    Delivery.objects.filter(pk=delivery.pk).update(outcome="waiting", outcome_at=None, reopened_by=false)

    assert (delivery, "It was queued again, but the audit entry that it names is about something else.") in found()


@pytest.mark.parametrize("kind", [Acceptance, Consent, Delivery])
def test_a_row_without_an_account_that_was_not_deleted_is_named(edition, kind):
    row = accepted(edition)
    Consent.objects.give(user=row.user, purpose="news", language="kk", text="Келісемін.")
    dispatch.fan_out(edition.notices.get())
    one = kind.objects.get()

    changed(one, user=None)

    assert found() == [(one, UNLINKED)]


@pytest.mark.parametrize("kind", [Acceptance, Withdrawal, Consent, Delivery])
def test_a_row_with_an_account_that_it_says_was_deleted_is_named(edition, kind):
    row = accepted(edition)
    Consent.objects.give(user=row.user, purpose="news", language="kk", text="Келісемін.")
    dispatch.fan_out(edition.notices.get())
    Withdrawal.objects.register(
        agreement=edition.agreement, user=row.user, outcome="ended", received_on=timezone.now().date()
    )
    one = kind.objects.get()

    kind.objects.update(account_deleted_at=timezone.now())

    assert found() == [(one, UNLINKED)]


@pytest.mark.sqlite
def test_a_row_that_violates_a_check_is_named(edition):
    """Any connection of SQLite may ignore checks."""
    (user,) = factories.users(1)
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA ignore_check_constraints = ON")
        try:
            now = timezone.now()
            row = Acceptance.objects.create(
                user=user,
                edition=edition,
                digest=edition.digest,
                language="kk",
                kind="on_behalf",
                at=now,
                recorded_at=now,
            )
        finally:
            cursor.execute("PRAGMA ignore_check_constraints = OFF")
    assert found() == [(row, "It violates a constraint of its table.")]


@pytest.mark.parametrize("kind", ["acceptance", "consent", "withdrawal", "entry", "edition"])
def test_a_row_that_was_recorded_in_the_future_is_named(edition, kind):
    acceptance = accepted(edition)
    later = timezone.now() + 9 * DAY
    if kind == "acceptance":
        row = changed(acceptance, at=later, recorded_at=later)
    elif kind == "consent":
        consent = Consent.objects.give(user=acceptance.user, purpose="news", language="kk", text="Келісемін.")
        row = changed(consent, given_at=later)
    elif kind == "withdrawal":
        withdrawal = Withdrawal.objects.register(
            agreement=edition.agreement, applicant="А.", outcome="ended", received_on=timezone.now().date()
        )
        row = changed(withdrawal, registered_at=later)
    elif kind == "entry":
        row = changed(AuditEntry.objects.log("viewed", on=acceptance, by="officer"), at=later)
    else:
        row = changed(edition, recorded_at=later)
    assert (row, FUTURE) in found()


@pytest.mark.parametrize("kind", ["acceptance", "consent"])
def test_a_row_that_was_recorded_after_its_account_was_deleted_is_named(edition, kind):
    row: Any = accepted(edition)
    if kind == "consent":
        row = Consent.objects.give(user=row.user, purpose="news", language="kk", text="Келісемін.")
    changed(row, user=None, account_deleted_at=timezone.now() - DAY)
    assert found() == [(row, FUTURE)]


def test_the_command_names_the_row_and_fails(edition, capsys):
    row = changed(accepted(edition), digest="f" * 64)
    with pytest.raises(CommandError, match="1 faults"):
        call_command("verify_editions")
    said = capsys.readouterr().err
    assert f"(acceptance, id {row.pk}): It does not contain the digest of its edition." in said


@pytest.mark.parametrize("moment", ["2999-13-01 00:00:00", "2999-01-01 00:00:00 x"])
@pytest.mark.parametrize("model", [Edition, AuditEntry])
def test_a_row_that_can_not_be_read_is_named(edition, capsys, model, moment):
    acceptance = changed(accepted(edition), digest="f" * 64)
    if model is Edition:
        row, sql = edition, "UPDATE agreement_edition SET recorded_at = %s"
    else:
        row = AuditEntry.objects.get(action="published")
        sql = "UPDATE agreement_auditentry SET at = %s WHERE action = 'published'"
    with open_seal(), connection.cursor() as cursor:
        cursor.execute(sql, ["infinity" if connection.vendor == "postgresql" else moment])

    with pytest.raises(CommandError, match="faults in 1 editions"):
        call_command("verify_editions")

    said = capsys.readouterr().err
    if model is AuditEntry:
        assert f"The row can't be read: audit entry, id {row.pk}.\n" in said
        assert f"(acceptance, id {acceptance.pk}): It does not contain the digest of its edition.\n" in said
    elif connection.vendor == "postgresql" or not moment.endswith("x"):
        assert f"The row can't be read: edition, id {row.pk}.\n" in said
    else:  # A moment that may be missing is read as if it were.
        assert f"(id {row.pk}): Its text, dates or number do not match its digest.\n" in said
    assert AuditEntry.objects.values_list("action", flat=True).latest("pk") == "faulty"


def sent(edition: Edition) -> Delivery:
    factories.users(1)
    dispatch.work()
    return Delivery.objects.get(outcome="sent")


def test_the_text_that_was_sent_must_be_stored(edition):
    delivery = sent(edition)
    with open_seal():
        NoticeText.objects.filter(language=delivery.language).delete()
    assert found() == [(delivery, "The text that was sent is missing.")]


@pytest.mark.parametrize("change", ["deleted", "failed"])
def test_a_delivery_that_is_missing_or_has_another_outcome_is_found_by_the_progress(edition, change):
    delivery = sent(edition)
    with open_seal():
        if change == "deleted":
            delivery.delete()
        else:
            Delivery.objects.update(outcome="failed")
    assert found() == [(Progress.objects.get(), "Its counts differ from the deliveries.")]


def test_a_returned_letter_that_is_missing_is_found_by_its_delivery(edition):
    delivery = sent(edition)
    Delivery.objects.record_bounce(f"<{delivery.message_id_local_part}@portal>", reason="5.1.1")
    assert found() == []
    with open_seal():
        Bounce.objects.all().delete()
    assert found() == [(delivery, "The number of its returned letters differs from the number of recorded ones.")]


def test_a_sent_delivery_that_waits_again_as_if_it_were_returned_is_found(edition):
    delivery = sent(edition)
    Delivery.objects.filter(pk=delivery.pk).update(returns=1)
    Progress.objects.update(bounced=1)
    assert Delivery.objects.reopen(notice=delivery.notice, channel="email", outcome=DeliveryOutcome.SENT) == 1
    assert found() == [(delivery, "The number of its returned letters differs from the number of recorded ones.")]


def test_a_lease_hides_no_delivery_from_the_progress(edition):
    sent(edition)
    with open_seal():
        Delivery.objects.update(outcome="failed")
    (user,) = factories.users(1)
    Delivery.objects.create(
        notice=edition.notices.get(), user=user, channel="email", lease="forever", due_at=timezone.now()
    )
    assert found() == [(Progress.objects.get(), "Its counts differ from the deliveries.")]


def test_numbers_that_are_missing_are_found_by_the_deliveries(edition):
    factories.users(2)
    dispatch.work()
    Progress.objects.all().delete()
    assert found() == [(Delivery.objects.earliest("pk"), "The counts of its notice in its channel are missing.")]


def test_a_delivery_that_names_an_old_entry_is_found_by_its_number(edition):
    factories.users(2)
    notice = edition.notices.get()
    dispatch.fan_out(notice)
    one, other = Delivery.objects.claim(notice=notice, channel="email", size=2, at=notice.due_at)
    one.record_outcome(DeliveryOutcome.FAILED, reason="SMTP 550")
    Delivery.objects.count_outcomes(lease=one.lease)
    notice.resend()
    entry = AuditEntry.objects.get(action="resent")
    other.record_outcome(DeliveryOutcome.FAILED, reason="SMTP 550")
    assert found() == []

    Delivery.objects.filter(pk=other.pk).update(outcome="waiting", outcome_at=None, lease="", reopened_by=entry)

    assert found() == [(entry, "More deliveries refer to this entry than the entry states.")]


@pytest.mark.django_db(transaction=True)
@pytest.mark.sqlite
def test_rows_that_name_a_row_that_does_not_exist_are_found(edition, capsys):
    """A shell of SQLite does not check foreign keys."""
    row = accepted(edition)
    delivery = failed(edition)
    with open_seal(), connection.constraint_checks_disabled():
        Acceptance.objects.update(edition=9999)
        Delivery.objects.update(reopened_by=9999)
    sentence = "It refers to a missing row of another table."
    try:
        faults = found()
        with pytest.raises(CommandError, match="faults in 1 editions"):
            call_command("verify_editions")
    finally:
        with open_seal(), connection.constraint_checks_disabled():
            Acceptance.objects.update(edition=edition)
            Delivery.objects.update(reopened_by=None)
    assert (row, sentence) in faults
    assert (delivery, sentence) in faults
    assert f"acceptance {row.pk} (acceptance, id {row.pk}): {sentence}" in capsys.readouterr().err


def test_a_batch_that_is_being_sent_is_no_fault(edition):
    factories.users(2)
    notice = edition.notices.get()
    dispatch.fan_out(notice)
    (delivery,) = Delivery.objects.claim(notice=notice, channel="email", size=1, at=notice.due_at)
    delivery.record_outcome(DeliveryOutcome.SENT)
    assert found() == []


def test_a_withdrawal_that_is_missing_is_found_by_the_next_one(edition):
    one, other = (
        Withdrawal.objects.register(
            agreement=edition.agreement, applicant="А.", outcome="ended", received_on=timezone.now().date()
        )
        for _number in range(2)
    )
    with open_seal():
        one.delete()
    assert found() == [(other, "The withdrawal with the number before it is missing.")]


def test_the_text_of_a_consent_must_match_its_digest(edition):
    (user,) = factories.users(1)
    row = Consent.objects.give(user=user, purpose="news", language="kk", text="Келісемін.")
    changed(row, text="Басқа")
    assert found() == [(row, "Its text does not match its digest.")]


def test_the_html_that_was_displayed_must_be_stored_and_match_its_digest(edition):
    row = accepted(edition, displayed=DisplayedText.render(edition, "kk"))
    displayed = DisplayedText.objects.get()
    assert found() == []
    changed(displayed, html=displayed.html.replace('class="clause"', 'class="note"'))
    assert found() == [(displayed, "Its HTML does not match its digest.")]
    for column, value in {"renderer": 2, "language": "ru", "digest": "f" * 64}.items():
        with open_seal():
            DisplayedText.objects.filter(pk=displayed.pk).update(html=displayed.html, **{column: value})
            assert (row, "The HTML that was displayed is missing.") in found()
            DisplayedText.objects.filter(pk=displayed.pk).update(**{column: getattr(displayed, column)})
    with open_seal():
        displayed.delete()
    assert found() == [(row, "The HTML that was displayed is missing.")]


@pytest.mark.parametrize("columns", [{"kind": "deemed", "notice_sent": False}, {"renderer": None}, {"html_digest": ""}])
def test_only_an_explicit_acceptance_names_an_html_and_then_its_version_too(edition, columns):
    row = accepted(edition, displayed=DisplayedText.render(edition, "kk"))
    with pytest.raises(IntegrityError, match="agreement_acceptance_html"), open_seal():
        Acceptance.objects.filter(pk=row.pk).update(**columns)


def test_an_html_with_other_words_than_those_of_its_edition_is_named_whatever_its_version(edition):
    forged = DisplayedText.render(edition, "kk")
    forged.html = forged.html.replace("Екінші", "Үшінші")
    forged.renderer, forged.digest = 7, sha256(forged.html)
    forged.save()
    assert found() == [(forged, "Its HTML does not have the words of its edition.")]


def test_an_html_of_another_version_may_have_other_tags_and_lines(edition):
    other = DisplayedText.render(edition, "kk")
    other.html = other.html.replace("<p", "\n<p").replace(' class="clause"', "")
    other.renderer, other.digest = 7, sha256(other.html)
    other.save()
    assert found() == []


def test_a_signature_must_be_of_the_manifest_of_its_edition(edition, scheduled):
    row = Signature.objects.create(
        edition=edition,
        number=1,
        signer="А. Ахметов",
        signer_key="a" * 64,
        digest_algorithm="sha256",
        message_digest=edition.digest,
        content=b"0" + bytes.fromhex(edition.digest),
    )
    another, sentence = "f" * 128, "It is not the signature of the manifest of its edition."
    assert found() == []
    for algorithm, digest, is_fault in (
        ("sha256", scheduled.digest, True),
        ("sha512", edition.digest, True),
        ("sha512", hashlib.sha512(edition.manifest()).hexdigest(), False),
        ("md0", edition.digest, True),
        ("sha256", "x", True),
        ("1.2.398.3.10.1.3.3", another, False),
    ):
        content = bytes.fromhex(digest) if digest != "x" else b"x"
        changed(row, digest_algorithm=algorithm, message_digest=digest, content=content)
        assert found() == ([(row, sentence)] if is_fault else [])
    changed(row, content=b"0")
    assert found() == [(row, sentence)]


def test_no_signature_is_missing_before_another(edition):
    stated = {"edition": edition, "digest_algorithm": "sha256", "message_digest": edition.digest}
    content = bytes.fromhex(edition.digest)
    one, two = (
        Signature.objects.create(number=number, signer=key, signer_key=key * 64, content=content, **stated)
        for number, key in ((1, "a"), (2, "b"))
    )
    with open_seal():
        one.delete()
    assert found() == [(two, "The signature before it is missing.")]
