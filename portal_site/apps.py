from importlib import import_module

from django.apps import AppConfig
from django.conf import settings
from django.contrib.admin import apps


class PortalConfig(AppConfig):
    """The portal itself. With a broker, every process has the Celery app, so that it can enqueue tasks."""

    name = "portal_site"

    def ready(self) -> None:
        if settings.CELERY_BROKER_URL:
            import_module("portal_site.celery")


class PortalAdminConfig(apps.AdminConfig):
    """Django's admin, with the admin site of the portal."""

    default = False  # It is not the configuration of portal_site itself.
    default_site = "portal_site.admin.PortalAdminSite"
