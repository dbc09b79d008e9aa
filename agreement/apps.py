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
        from agreement import checks as own
        from agreement import deployment

        own.register()
        deployment.register()
        post_migrate.connect(reinstall_seal, sender=self, dispatch_uid="agreement.seal")
        post_migrate.connect(make_groups, sender=self, dispatch_uid="agreement.roles")
        if apps.is_installed("modeltranslation") and apps.is_installed("reversion"):
            # The translated columns come first: a revision holds the fields there are at registration.
            import reversion

            from agreement import translation as _translation  # noqa: F401
            from agreement.models import Edition

            if not reversion.is_registered(Edition):
                reversion.register(Edition)
        if apps.is_installed("anymail"):
            from agreement import bounces

            bounces.listen()


def reinstall_seal(*, using: str, **kwargs: Any) -> None:
    """After every ``migrate``: a table that was rebuilt, by whomever, gets its triggers back."""
    from agreement.models import triggers

    connection = connections[using]
    if triggers.expected(connection) and triggers.missing(connection, apps.get_model):
        triggers.install(connection, apps.get_model)


def make_groups(*, using: str, **kwargs: Any) -> None:
    """After every ``migrate``: the ready groups, with the permissions there are by now."""
    from agreement import roles

    roles.make_groups(using=using)
