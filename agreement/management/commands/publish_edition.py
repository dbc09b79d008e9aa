from __future__ import annotations

from argparse import ArgumentParser
from datetime import datetime
from typing import Any
from urllib.parse import urljoin

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.management.base import BaseCommand, no_translations
from django.db import transaction
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from agreement import conf
from agreement.management import command_error, parse_instant, quote
from agreement.models import Edition, Notice, membership
from agreement.notices.channels import site_channels
from agreement.notices.forecast import Forecast, forecast, recipients


class Command(BaseCommand):
    help = "Publish a draft: seal it, number it and notify users. Without --effective-from it takes effect immediately."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("id", type=int, help="the id of the draft, as import_edition prints it")
        parser.add_argument(
            "--effective-from", metavar="T", help="an instant in the future, such as 2026-03-01T09:00:00+05:00"
        )
        parser.add_argument("--by", metavar="USERNAME", help="the publisher; recorded as a name")
        parser.add_argument("--reason", default="", help="why the edition takes effect earlier than promised")
        parser.add_argument("--after", metavar="DIGEST", help="refuse unless this is the digest of the last edition")
        parser.add_argument("--no-notice", action="store_true", help="do not notify the users")
        parser.add_argument("--dry-run", action="store_true", help="check everything, and change nothing")

    @no_translations
    def handle(self, *, dry_run: bool, no_notice: bool, **options: Any) -> None:
        edition = self.draft(options["id"])
        try:
            recipients = 0 if no_notice else membership.audience(edition.agreement.slug).count()
        except ImproperlyConfigured as error:
            raise command_error(str(error)) from None
        at = parse_instant(options["effective_from"]) if options["effective_from"] else None
        forecasts = self.forecasts(edition, at) if recipients else []
        try:
            with transaction.atomic():
                edition.publish(
                    effective_from=at,
                    by=self.user(options["by"]),
                    compared_with=options["after"],
                    notify=not no_notice,
                    reason=options["reason"],
                )
                notice = edition.notices.order_by("pk").first()
                transaction.set_rollback(dry_run)
        except ValidationError as error:
            raise command_error(error) from None
        self.report(edition, recipients, dry_run=dry_run)
        if notice and recipients:
            self.stdout.write(f"  sending begins  {notice.due_at.isoformat(timespec='seconds')}")
            if not dry_run:
                self.stdout.write(f"  to pause it     {how_to_pause(notice)}")
        for expected, unreachable in forecasts:
            if unreachable:
                self.stdout.write(f"  site only       {unreachable} ({expected.channel}: no address)")
            self.stdout.write(
                f"  sending ends    {expected.ends_at.isoformat(timespec='seconds')} ({expected.channel};"
                f" before it takes effect: {expected.before_effect},"
                f" before the notice period: {expected.before_notice})"
            )

    def draft(self, pk: int) -> Edition:
        """Return the edition with that primary key. Raises ``CommandError`` if there is none. An edition that is
        published already is returned too; ``publish()`` refuses it later.
        """
        edition: Edition | None = Edition.objects.filter(pk=pk).select_related("agreement").first()
        if edition is None:
            drafts = ", ".join(str(pk) for pk in Edition.objects.drafts().values_list("pk", flat=True)[:10])
            raise command_error(f"There is no edition with id {pk}.", f"Drafts: {drafts or 'none'}.")
        return edition

    def forecasts(self, edition: Edition, at: datetime | None) -> list[tuple[Forecast, int]]:
        """Return, for each channel of the site, the forecast of the sending and the number of users in the audience who
        have no address to which the channel can send.

        The edition takes effect at ``at`` (``None``: now). An instant without an offset, which ``publish()`` refuses
        later, is treated as now. The notice period is that of the edition in force; 0 days if there is none. Therefore
        the forecast must be made before the publication, after which the published edition may itself be in force.
        """
        binding = Edition.objects.in_force().filter(agreement=edition.agreement_id).first()
        found = []
        for channel in site_channels():
            counted = recipients(channel, agreement=edition.agreement.slug)
            expected = forecast(
                channel=channel.name,
                recipients=counted.total,
                effective_from=at if at and at.tzinfo else timezone.now(),
                notice_days=binding.notice_days if binding else 0,
                agreement=edition.agreement_id,
            )
            found.append((expected, counted.unreachable))
        return found

    def report(self, edition: Edition, recipients: int, *, dry_run: bool) -> None:
        """Print the number of the published edition, its agreement, when it takes effect, its digest, and the number of
        ``recipients``. With ``dry_run`` the output begins with "Would publish".
        """
        verb = "Would publish" if dry_run else "Published"
        self.stdout.write(f"{verb} edition {edition.number} of {edition.agreement.slug}")
        self.stdout.write(f"  effective from  {edition.effective_from.isoformat() if edition.effective_from else ''}")
        self.stdout.write(f"  digest          {edition.digest}")
        self.stdout.write(f"  recipients      {recipients}")

    def user(self, username: str | None) -> AbstractBaseUser | None:
        """Return the user with that name (``USERNAME_FIELD``); ``None`` if ``username`` is ``None``. Raises
        ``CommandError`` if no user has that name.
        """
        if username is None:
            return None
        name = get_user_model().USERNAME_FIELD
        user = get_user_model()._default_manager.filter(**{name: username}).first()
        if user is None:
            raise command_error(
                f"There is no user whose {name} is {quote(username)}.",
                f"Give the {name} of the publisher, by which they log in.",
            )
        return user


def how_to_pause(notice: Notice) -> str:
    """Return the URL of the admin page on which the notice can be paused; a shell command that pauses it if the site
    does not include the pages of the admin. If the setting ``BASE_URL`` is empty, the URL is a path without a host.
    """
    try:
        return urljoin(conf.get().BASE_URL, reverse("admin:agreement_notice_sending", args=[notice.pk]))
    except NoReverseMatch:
        return f"manage.py shell -c 'from agreement.models import Notice; Notice.objects.get(pk={notice.pk}).pause()'"
