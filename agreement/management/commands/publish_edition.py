from __future__ import annotations

from argparse import ArgumentParser
from typing import Any
from urllib.parse import urljoin

from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.management.base import BaseCommand, no_translations
from django.db import transaction
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from agreement import conf, dispatch
from agreement.forecast import forecast
from agreement.management import instant, refusal
from agreement.models import Edition, Notice


class Command(BaseCommand):
    help = "Publish a draft: seal it, give it its number and tell the users. Without --effective-from at once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("id", type=int, help="the draft's id, as import_edition prints it")
        parser.add_argument("--effective-from", metavar="T", help="a moment to come: 2026-03-01T09:00:00+05:00")
        parser.add_argument("--by", metavar="USERNAME", help="who publishes; kept as a name")
        parser.add_argument("--reason", default="", help="why it takes effect earlier than was promised")
        parser.add_argument("--after", metavar="DIGEST", help="refuse unless this is still the last edition")
        parser.add_argument("--no-notice", action="store_true", help="tell nobody")
        parser.add_argument("--dry-run", action="store_true", help="check everything, change nothing")

    @no_translations
    def handle(self, *, dry_run: bool, no_notice: bool, **options: Any) -> None:
        edition = Edition.objects.filter(pk=options["id"]).select_related("agreement").first()
        if edition is None:
            drafts = ", ".join(str(pk) for pk in Edition.objects.drafts().values_list("pk", flat=True)[:10])
            raise refusal(f"There is no edition with id {options['id']}.", f"Drafts: {drafts or 'none'}.")
        try:
            recipients = 0 if no_notice else conf.audience().count()
        except ImproperlyConfigured as error:
            raise refusal(str(error)) from None
        at = instant(options["effective_from"]) if options["effective_from"] else None
        binding = Edition.objects.in_force().filter(agreement=edition.agreement_id).first()
        expected = [
            forecast(
                channel=channel.name,
                recipients=recipients,
                effective_from=at if at and at.tzinfo else timezone.now(),
                notice_days=binding.notice_days if binding else 0,
                agreement=edition.agreement_id,
            )
            for channel in dispatch.channels()
            if recipients
        ]
        try:
            with transaction.atomic():
                edition.publish(
                    effective_from=at,
                    by=self.user(options["by"]),
                    after=options["after"],
                    notify=not no_notice,
                    reason=options["reason"],
                )
                notice = edition.notices.order_by("pk").first()
                transaction.set_rollback(dry_run)
        except ValidationError as error:
            raise refusal(error) from None
        verb = "Would publish" if dry_run else "Published"
        self.stdout.write(f"{verb} edition {edition.number} of {edition.agreement.slug}")
        self.stdout.write(f"  effective from  {edition.effective_from.isoformat() if edition.effective_from else ''}")
        self.stdout.write(f"  digest          {edition.digest}")
        self.stdout.write(f"  recipients      {recipients}")
        if notice and recipients:
            self.stdout.write(f"  sending begins  {notice.due_at.isoformat(timespec='seconds')}")
            if not dry_run:
                self.stdout.write(f"  hold it         {hold(notice)}")
        for one in expected:
            self.stdout.write(
                f"  sending ends    {one.ends_at.isoformat(timespec='seconds')} ({one.channel}; before effect:"
                f" {one.before_effect}, before the days of notice begin: {one.before_notice})"
            )

    def user(self, username: str | None) -> Any:
        if username is None:
            return None
        user = get_user_model()._default_manager.filter(**{get_user_model().USERNAME_FIELD: username}).first()
        if user is None:
            raise refusal(f"There is no user {username!r}.", "Name the account that publishes.")
        return user


def hold(notice: Notice) -> str:
    """Where the notice can be held: its page in the admin, or the shell where there is none."""
    try:
        return urljoin(conf.get().BASE_URL, reverse("admin:agreement_notice_sending", args=[notice.pk]))
    except NoReverseMatch:
        return f"manage.py shell -c 'from agreement.models import Notice; Notice.objects.get(pk={notice.pk}).pause()'"
