from typing import Any

from django.apps import AppConfig, apps
from django.db import connections
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class AgreementConfig(AppConfig):
    name = "agreement"
    verbose_name = _("User agreements")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from agreement import checks

        checks.register()
        post_migrate.connect(reinstall_seal, sender=self, dispatch_uid="agreement.seal")
        post_migrate.connect(make_groups, sender=self, dispatch_uid="agreement.groups")
        if apps.is_installed("modeltranslation") and apps.is_installed("reversion"):
            # The translated columns come first: a revision contains the fields that exist at registration.
            import reversion

            from agreement import translation as _translation  # noqa: F401
            from agreement.models import Edition

            if not reversion.is_registered(Edition):
                reversion.register(Edition)
        if apps.is_installed("anymail"):
            from agreement.notices import bounces

            bounces.connect()


def reinstall_seal(*, using: str, **kwargs: Any) -> None:
    """Receiver of ``post_migrate``, which Django sends after ``migrate`` and normally after ``flush``: install all
    triggers of the seal if :func:`agreement.seal.inspection.differences` finds any difference. ``using`` is the alias
    of the database. Nothing is done on a database that should have no triggers
    (:func:`agreement.seal.triggers.expected`).

    This is needed because SQLite drops the triggers of a table that it rebuilds.
    """
    from agreement.seal import inspection, triggers

    connection = connections[using]
    if triggers.expected(connection) and inspection.differences(connection, apps.get_model):
        triggers.install(connection, apps.get_model)


def make_groups(*, using: str, **kwargs: Any) -> None:
    """Receiver of ``post_migrate``, which Django sends after ``migrate`` and normally after ``flush``: create the
    missing groups of the app, and add their missing permissions. ``using`` is the alias of the database.
    """
    from agreement import groups

    groups.make_groups(using=using)
