"""Breaches of personal data: their deadline, what is required before the announcement, and whom the notice reaches."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from agreement.models import AuditAction, AuditEntry, Breach, Delivery, Notice, NoticeKind, Progress
from agreement.models.breaches import one_working_day_after
from agreement.notices import audience
from tests.support import factories

WORDS = {"text_kk": "Не болды: тіркелгі деректері көшірілді.", "text_ru": "Что произошло: копия учётных записей."}


def breach(**values) -> Breach:
    return Breach.objects.create(agreement=factories.agreement(), **WORDS | values)


def codes(error: ValidationError) -> set[str]:
    return {one.code for errors in error.error_dict.values() for one in errors}


@pytest.mark.parametrize(
    ("known", "announced"),
    [
        ("2026-12-01T15:30", "2026-12-02T15:30"),  # a Tuesday
        ("2026-12-04T09:00", "2026-12-07T09:00"),  # a Friday
        ("2026-12-05T09:00", "2026-12-07T09:00"),  # a Saturday
        ("2026-12-06T23:59", "2026-12-07T23:59"),  # a Sunday
    ],
)
def test_the_deadline_is_one_working_day_after_the_breach_became_known(known, announced):
    at, end = (datetime.fromisoformat(f"{moment}+05:00") for moment in (known, announced))
    assert one_working_day_after(at, "Asia/Almaty") == end


def test_the_working_day_is_that_of_the_zone():
    # In UTC it is still Thursday; in Almaty it is Friday, and the next day is a Saturday.
    at = datetime(2026, 12, 3, 20, tzinfo=UTC)
    assert one_working_day_after(at, "Asia/Almaty") == datetime(2026, 12, 6, 20, tzinfo=UTC)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"text_ru": "  "}, "no_words"),
        ({"text_kk": "Не болды: ____"}, "blank"),
        ({"everyone": False}, "nobody"),
        ({"text_kk": "а" * 10_001}, "too_long"),
    ],
)
def test_notify_refuses_what_is_not_complete_and_changes_nothing(values, code):
    factories.published()
    row = breach(**values)
    with pytest.raises(ValidationError) as refused:
        row.notify()
    assert codes(refused.value) == {code}
    assert not Notice.objects.filter(kind=NoticeKind.BREACH).exists()


@pytest.mark.django_db
def test_notify_refuses_a_breach_whose_users_are_all_outside_the_audience():
    factories.published()
    one, two = factories.users(2)
    type(one).objects.filter(pk=one.pk).update(is_active=False)
    row = breach(everyone=False)
    row.set_affected([one.pk])
    with pytest.raises(ValidationError) as refused:
        row.notify()
    assert codes(refused.value) == {"nobody_notified"}
    row.set_affected([one.pk, two.pk])
    assert [left.user for left in row.left_out()] == [one]
    row.notify()


@pytest.mark.django_db
@pytest.mark.parametrize("changed", ["text_kk", "known_at", "affected"])
def test_notify_refuses_what_was_changed_since_its_digest_was_read(changed):
    factories.published()
    one, two = factories.users(2)
    row = breach(everyone=False)
    row.set_affected([one.pk])
    digest, other = row.digest, Breach.objects.get(pk=row.pk)
    if changed == "affected":
        other.set_affected([one.pk, two.pk])
    else:
        setattr(other, changed, "Басқа." if changed == "text_kk" else other.known_at - timedelta(hours=1))
        other.save()
    with pytest.raises(ValidationError) as refused:
        row.notify(digest=digest)
    assert refused.value.code == "changed"
    assert row.notify(digest=row.digest)


@pytest.mark.django_db
def test_the_affected_users_of_an_announced_breach_stay():
    factories.published()
    one, two = factories.users(2)
    row = breach(everyone=False)
    row.set_affected([one.pk])
    row.notify()
    with pytest.raises(ValidationError) as refused:
        row.set_affected([two.pk])
    assert refused.value.code == "already_notified"
    assert row.affected.get().user == one


@pytest.mark.django_db
def test_notify_refuses_an_agreement_without_an_edition():
    with pytest.raises(ValidationError) as refused:
        breach().notify()
    assert codes(refused.value) == {"no_edition"}


@pytest.mark.django_db
def test_a_breach_is_announced_once():
    factories.published()
    row = breach()
    row.notify(by="officer")
    with pytest.raises(ValidationError) as refused:
        Breach.objects.get(pk=row.pk).notify()
    assert codes(refused.value) == {"already_notified"}
    assert Notice.objects.filter(kind=NoticeKind.BREACH).count() == 1
    assert AuditEntry.objects.about(row).get().action == AuditAction.BREACH


@pytest.mark.django_db
def test_two_breaches_under_one_edition_have_two_notices():
    edition = factories.published()
    assert breach().notify() != breach().notify()
    assert edition.notices.filter(kind=NoticeKind.BREACH).count() == 2


@pytest.mark.django_db
def test_the_notice_belongs_to_the_edition_in_force_and_not_to_a_scheduled_one():
    edition = factories.published()
    factories.published(effective_from=timezone.now() + timedelta(days=9))
    assert breach().notify().edition == edition


@pytest.mark.django_db
def test_an_announced_breach_is_sealed():
    factories.published()
    row = breach()
    row.notify()
    with pytest.raises(IntegrityError, match="sealed"), transaction.atomic():
        Breach.objects.filter(pk=row.pk).update(known_at=timezone.now() - timedelta(days=1))


@pytest.mark.django_db
def test_only_the_affected_users_get_a_delivery():
    factories.published()
    one, two, _other = factories.users(3)
    row = breach(everyone=False)
    row.set_affected([two.pk, one.pk, two.pk])
    notice = row.notify()
    audience.write_deliveries(notice, channels=["email"])
    assert set(Delivery.objects.filter(notice=notice).values_list("user", flat=True)) == {one.pk, two.pk}


@pytest.mark.django_db
def test_every_user_gets_a_delivery_of_a_breach_that_concerns_all():
    factories.published()
    users = factories.users(3)
    notice = breach().notify()
    audience.write_deliveries(notice, channels=["email"])
    assert Delivery.objects.filter(notice=notice).count() == len(users)


@pytest.mark.django_db
def test_a_breach_is_open_until_its_letters_are_sent_and_while_they_reached_nobody():
    factories.published()
    factories.users(2)
    row = breach()
    assert Breach.objects.open().get() == row
    notice = row.notify()
    audience.write_deliveries(notice, channels=["email"])
    assert Breach.objects.open().get() == row
    one, other = Delivery.objects.filter(notice=notice)
    Delivery.objects.filter(pk=one.pk).skip(notice=notice, reason="no address")
    assert Breach.objects.open().get() == row
    Delivery.objects.filter(pk=other.pk).skip(notice=notice, reason="no address")
    assert Breach.objects.open().get() == row
    Progress.objects.filter(notice=notice).update(sent=1, skipped=1)
    assert not Breach.objects.open().exists()
