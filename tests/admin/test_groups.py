"""The ready groups, what a page says one may not do, four eyes, and the log that outlives accounts."""

from __future__ import annotations

import html

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.db import IntegrityError, models, transaction
from django.test import Client
from django.urls import reverse

from agreement.groups import (
    AUTHORS,
    GROUP_PERMISSIONS,
    MAX_NAMES,
    PRIVACY_OFFICERS,
    PUBLISHERS,
    make_groups,
    staff_with,
)
from agreement.models import Acceptance, Agreement, AuditEntry, Delivery, Edition, EditionError
from agreement.models.audit import AuditAction
from agreement.notices import dispatch
from tests.admin.test_editions import at, desk, written
from tests.support import factories

pytestmark = pytest.mark.django_db

OFFICERS = PRIVACY_OFFICERS


def staff(django_user_model, name: str, *groups: str, **fields: object) -> Client:
    user = django_user_model.objects.create_user(name, is_staff=True, **fields)
    user.groups.set(Group.objects.filter(name__in=groups))
    client = Client()
    client.force_login(user)
    return client


def test_migrate_makes_three_groups_and_a_second_time_changes_nothing():
    def codenames() -> dict[str, set[str]]:
        permissions = {name: Group.objects.get(name=name).permissions for name in GROUP_PERMISSIONS}
        return {name: set(found.values_list("codename", flat=True)) for name, found in permissions.items()}

    before = codenames()
    assert before[AUTHORS] == {
        *("view_agreement", "view_edition", "add_edition", "change_edition", "delete_edition", "view_auditentry")
    }
    assert {"publish_edition", "cancel_edition"} <= before[PUBLISHERS]
    both = {"view_notice", "view_noticetext", "pause_notice", "resume_notice", "view_unreached"}
    assert before[OFFICERS] & (before[AUTHORS] | before[PUBLISHERS]) == both
    make_groups(using="default")
    assert codenames() == before
    assert Group.objects.count() == 3


def test_migrate_adds_missing_permissions_and_removes_none():
    authors = Group.objects.get(name=AUTHORS)
    own = Permission.objects.get(codename="view_user")
    authors.permissions.set([own])
    call_command("migrate", verbosity=0)
    assert authors.permissions.filter(codename="change_edition").exists()
    assert own in authors.permissions.all()


def test_a_page_says_what_one_may_not_do_and_who_may(django_user_model):
    author = staff(django_user_model, "author", AUTHORS)
    staff(django_user_model, "publisher", PUBLISHERS, first_name="Айгүл", last_name="Серік")
    staff(django_user_model, "gone", PUBLISHERS, is_active=False)
    django_user_model.objects.create_user("reader").groups.add(Group.objects.get(name=PUBLISHERS))
    page = html.unescape(author.get(at("edition_change", factories.draft().pk)).content.decode())
    assert "You don't have permission to publish this draft." in page
    assert "Groups that have it: publishers of agreements (Айгүл Серік)." in page
    assert "You don't have permission to edit this draft" not in page


def test_the_history_of_a_draft_is_not_called_that_of_a_published_edition(django_user_model):
    draft, edition = factories.draft(slug="other"), factories.published()
    publisher = staff(django_user_model, "publisher", PUBLISHERS)
    says = "A published edition never changes"
    assert says not in publisher.get(at("edition_history", draft.pk)).content.decode()
    assert says in publisher.get(at("edition_history", edition.pk)).content.decode()


def test_of_many_who_may_the_first_are_named(django_user_model):
    for number in range(MAX_NAMES + 1):
        staff(django_user_model, f"p{number}", PUBLISHERS)
    names, more = staff_with("publish_edition")
    assert (names, more) == ([f"p{number}" for number in range(MAX_NAMES)], True)


def test_a_privacy_officer_sees_no_edition(django_user_model):
    officer = staff(django_user_model, "officer", OFFICERS)
    for page in ("edition_changelist", "agreement_changelist", "auditentry_changelist"):
        assert officer.get(at(page)).status_code == 403


def test_a_privacy_officer_sees_who_was_notified_and_each_view_is_logged(django_user_model):
    [reader] = factories.users(1)
    factories.published()
    assert dispatch.work().sent == 1
    delivery = Delivery.objects.get()
    officer = staff(django_user_model, "officer", OFFICERS)

    found = officer.get(at("delivery_changelist"), {"q": reader.username}).content.decode()
    one = officer.get(at("delivery_change", delivery.pk)).content.decode()
    notice = officer.get(at("notice_change", delivery.notice_id)).content.decode()

    assert at("delivery_change", delivery.pk) in found
    assert at("notice_change", delivery.notice_id) in one
    assert at("delivery_changelist") in notice
    views = AuditEntry.objects.filter(action=AuditAction.VIEWED, by="officer", model="delivery").order_by("pk")
    assert list(views.values_list("key", "note")) == [("", "search"), (str(delivery.pk), "")]


# The log


def test_a_refusal_of_the_portal_is_a_page_and_not_two_english_words(django_user_model):
    officer = staff(django_user_model, "officer", PRIVACY_OFFICERS)
    answer = officer.get(at("edition_changelist"))
    assert answer.status_code == 403
    page = answer.content.decode()
    assert "Nothing was changed." in page
    assert "Forbidden" not in page


def test_every_action_of_the_desk_is_logged_with_who_when_and_what(django_user_model):
    admin = desk(django_user_model, "superuser", name="admin")
    edition = factories.draft()
    admin.post(at("edition_change", edition.pk), written(edition, summary_kk="Кейін."))
    admin.post(at("edition_change", edition.pk), written(Edition.objects.get()))  # Nothing changed: no act.
    written_acts = AuditEntry.objects.about(edition).filter(action=AuditAction.WRITTEN)
    assert [(act.by, act.account) for act in written_acts] == [
        ("admin", str(django_user_model.objects.get().pk)),
        ("", ""),
    ]
    edition.publish(by=django_user_model.objects.get(), reason="Сот шешімі.")
    other = factories.draft()
    admin.post(at("edition_delete", other.pk), {"post": "yes"})
    published, *_rest = AuditEntry.objects.about(edition)
    assert (published.action, published.by, published.note, published.digest) == (
        *("published", "admin", "Сот шешімі."),
        edition.digest,
    )
    assert AuditEntry.objects.first().action == AuditAction.DELETED
    page = admin.get(at("auditentry_changelist")).content.decode()
    for words in ("draft deleted", "edition published", "terms, edition 1", "Сот шешімі."):
        assert words in page
    assert admin.get(at("auditentry_add")).status_code == 403
    assert admin.post(at("auditentry_delete", published.pk), {"post": "yes"}).status_code == 403


def test_a_change_of_an_agreement_is_logged_with_its_old_and_new_values(django_user_model):
    admin = desk(django_user_model, "superuser", name="admin")
    facts = {"slug": "terms", "time_zone": "Asia/Almaty", "acceptance_mode": "by_use"}
    admin.post(at("agreement_add"), facts)
    agreement = Agreement.objects.get()
    admin.post(at("agreement_change", agreement.pk), facts)  # Nothing changed: no act.
    admin.post(at("agreement_change", agreement.pk), facts | {"acceptance_mode": "by_confirmation"})
    changed, made = AuditEntry.objects.about(agreement)
    assert (made.action, made.by, made.note) == (
        *("changed", "admin", "slug: terms; time_zone: Asia/Almaty; acceptance_mode: by_use"),
    )
    assert (changed.action, changed.subject, changed.note) == (
        "changed",
        "terms",
        "acceptance_mode: by_use → by_confirmation",
    )


def test_remarks_about_people_are_read_only_by_who_may_see_personal_data(django_user_model):
    edition = factories.published()
    [reader] = factories.users(1)
    row = Acceptance.objects.record(user=reader, edition=edition, digest=edition.digest, language="kk", kind="explicit")
    act = AuditEntry.objects.log(AuditAction.VIEWED, on=row, by="officer", note="reader-of-books")
    for groups, reads in (([AUTHORS], False), ([PUBLISHERS], False), ([AUTHORS, OFFICERS], True)):
        client = staff(django_user_model, "-".join(groups), *groups)
        for there in (at("auditentry_changelist"), at("auditentry_change", act.pk)):
            page = client.get(there).content.decode()
            assert "personal data viewed" in page
            assert ("reader-of-books" in page) is reads
        assert "Сот шешімі." in client.get(at("auditentry_changelist")).content.decode()


@pytest.mark.parametrize("group", [AUTHORS, PUBLISHERS])
def test_who_may_not_see_personal_data_sees_no_user_in_the_log(django_user_model, group):
    [reader] = factories.users(1)
    django_user_model.objects.filter(pk=reader.pk).update(first_name="Асан", last_name="Серік")
    own = AuditEntry.objects.log(AuditAction.EXPORTED, on=reader, by=reader, note="evidence")
    about = AuditEntry.objects.log(AuditAction.IMPERSONATED, on=reader, by="officer", note="Асан жазды")
    about_edition = AuditEntry.objects.log(AuditAction.VIEWED, on=factories.published(), note="Асан", person=reader)
    client = staff(django_user_model, "member", group)
    both = staff(django_user_model, "both", group, PRIVACY_OFFICERS)
    pages = [at("auditentry_changelist"), *(at("auditentry_change", act.pk) for act in (own, about, about_edition))]

    for page in pages:
        content = client.get(page).content.decode()
        for word in ("Асан", "Серік", reader.username, own.pseudonym, "Pseudonym", f"/auth/user/{reader.pk}/"):
            assert word not in content
    assert "personal data exported" in client.get(pages[0]).content.decode()
    assert at("auditentry_change", own.pk) not in client.get(pages[0], {"q": reader.username}).content.decode()
    assert own.pseudonym in both.get(pages[1]).content.decode()
    assert "Асан жазды" in both.get(pages[2]).content.decode()
    found = both.get(pages[0], {"q": reader.username}).content.decode()
    assert [at("auditentry_change", act.pk) in found for act in (own, about)] == [True, True]


@pytest.mark.parametrize("deleted", [False, True])
def test_who_may_see_personal_data_finds_a_user_in_the_log_and_both_are_logged(django_user_model, deleted):
    reader, other = factories.users(2)
    entries = [AuditEntry.objects.log(AuditAction.EXPORTED, on=user, by="officer") for user in (reader, other)]
    key = reader.pk
    if deleted:
        reader.delete()
    both = staff(django_user_model, "both", AUTHORS, PRIVACY_OFFICERS)

    both.get(at("auditentry_changelist"))
    both.get(at("auditentry_changelist"), {"user_id": "7"})
    found = both.get(at("auditentry_changelist"), {"q": key, "action": "exported"}).content.decode()
    both.get(at("auditentry_change", entries[0].pk))

    assert [at("auditentry_change", entry.pk) in found for entry in entries] == [True, False]
    views = AuditEntry.objects.filter(action=AuditAction.VIEWED, by="both").order_by("pk")
    assert list(views.values_list("model", "key", "note")) == [
        ("auditentry", "", ""),
        ("auditentry", "", "user"),
        ("auditentry", "", "action, search"),
        ("auditentry", str(entries[0].pk), ""),
    ]


@pytest.mark.parametrize("on", ["evidence of the site", "account", "an account with the key of a deleted one"])
def test_a_user_who_acts_on_their_own_data_is_found_by_their_key_and_not_named(django_user_model, on):
    edition, (reader, other) = factories.published(), factories.users(2)
    if on == "an account with the key of a deleted one":
        Acceptance.objects.record(user=reader, edition=edition, digest=edition.digest, language="kk", kind="explicit")
        key = reader.pk
        reader.delete()
        reader = django_user_model.objects.create(pk=key, username="again", first_name="Асан")
    Acceptance.objects.record(user=reader, edition=edition, digest=edition.digest, language="kk", kind="explicit")
    if on == "account":
        AuditEntry.objects.log(AuditAction.EXPORTED, on=reader, by=reader)
    else:
        client = Client()
        client.force_login(reader)
        answer = client.get(reverse("agreement:evidence_mine"))
        assert b"".join(answer.streaming_content)
    act = AuditEntry.objects.get(action=AuditAction.EXPORTED)
    assert (act.by, act.account, act.model, act.key, act.user) == ("", "", "user", "", reader)
    assert list(AuditEntry.objects.about(reader)) == [act]
    assert not AuditEntry.objects.about(other).exists()
    key = reader.pk
    reader.delete()
    act.refresh_from_db()
    assert (act.user, bool(act.account_deleted_at)) == (None, True)
    assert list(AuditEntry.objects.for_user_key(key)) == [act]


class Card(models.Model):  # noqa: DJ008 - It is never displayed.
    """A row of a site, whose key is the key of its user."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True)

    class Meta:
        app_label = "cards"
        managed = False


class Badge(models.Model):  # noqa: DJ008 - As above.
    """A row of a site, whose key is the key of a card, and so of its user."""

    card = models.OneToOneField(Card, models.CASCADE, primary_key=True)

    class Meta:
        app_label = "cards"
        managed = False


@pytest.mark.parametrize("kind", ["account", "card", "badge"])
def test_no_column_that_stays_copies_a_value_of_the_row_of_a_user(kind):
    [reader] = factories.users(1)
    reader.slug, reader.number = "asan-serik", 770_123
    card = Card(user=reader)
    row = {"account": reader, "card": card, "badge": Badge(card=card)}[kind]
    row.agreement = reader
    row.number = reader.number

    entry = AuditEntry.objects.log(AuditAction.VIEWED, on=row, by=reader)

    assert (entry.key, entry.agreement, entry.number, entry.user_id) == ("", "", 0, reader.pk)
    assert (entry.by, entry.account, entry.model) == ("", "", row._meta.model_name)


def test_an_officer_is_named_also_if_they_act_on_their_own_data_or_are_deleted(django_user_model):
    officer, (reader, *_rest) = django_user_model.objects.create_user("officer", is_staff=True), factories.users(1)
    for user in (officer, reader):
        AuditEntry.objects.log(AuditAction.EXPORTED, on=user, by=officer)
    key = str(officer.pk)
    officer.delete()
    assert set(AuditEntry.objects.values_list("by", "account")) == {("officer", key)}


PERSONAL_LOOKUPS = ["note", "note__contains", "note__startswith", "user__username", "pseudonym"]
PERSONAL_LOOKUPS += ["user", "user__id", "user_id", "user_id__gte", "user_id__isnull", "user_id__username", "erased_at"]


@pytest.mark.parametrize("lookup", PERSONAL_LOOKUPS)
def test_a_remark_one_may_not_read_is_not_filtered_by_either(django_user_model, lookup):
    AuditEntry.objects.log(AuditAction.ACCEPTED, on=Acceptance(pk=5), by="olga", note="Асан")
    author = staff(django_user_model, "aigul", AUTHORS)
    superuser = staff(django_user_model, "root", is_superuser=True)

    assert author.get(at("auditentry_changelist"), {lookup: "Асан"}).status_code == 400
    if lookup.startswith("note"):
        assert "olga" in superuser.get(at("auditentry_changelist"), {lookup: "Асан"}).content.decode()


def test_the_log_outlives_the_account_and_the_draft(django_user_model):
    admin = desk(django_user_model, "superuser", name="admin")
    edition = factories.draft()
    admin.post(at("edition_change", edition.pk), written(edition, summary_kk="Кейін."))
    acts = list(AuditEntry.objects.values())
    Edition.objects.all().delete()
    django_user_model.objects.all().delete()
    assert list(AuditEntry.objects.values()) == acts


@pytest.mark.parametrize("attack", ["update", "delete"])
def test_the_database_refuses_to_change_the_log(attack):
    factories.draft()
    with pytest.raises(IntegrityError, match="agreement_auditentry is sealed"), transaction.atomic():
        getattr(AuditEntry.objects.all(), attack)(**({"by": "x"} if attack == "update" else {}))


def test_what_a_refusal_undoes_is_not_logged():
    edition = factories.draft(ru=factories.RU + "\n1.3. Лишний.\n")
    with pytest.raises(EditionError):
        edition.publish()
    assert not AuditEntry.objects.filter(action=AuditAction.PUBLISHED).exists()


# Four eyes


def test_with_four_eyes_the_last_author_does_not_publish(settings, django_user_model):
    settings.AGREEMENT = {**settings.AGREEMENT, "FOUR_EYES": True}
    author, other = (django_user_model.objects.create_user(name) for name in ("author", "other"))
    edition = factories.draft(by=author)
    for by in (author, None, "somebody"):
        with pytest.raises(EditionError, match="author was the last to edit it") as caught:
            edition.publish(by=by)
        assert caught.value.code == "four_eyes"
    edition.publish(by=other)
    assert edition.published_by == "other"


def test_without_four_eyes_the_author_may_publish(django_user_model):
    author = django_user_model.objects.create_user("author")
    factories.draft(by=author).publish(by=author)
    assert Edition.objects.published().exists()
