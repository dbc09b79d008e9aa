from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from agreement.signals import edition_cancelled, edition_published


class AgreementDjangoCMSConfig(AppConfig):
    name = "agreement.contrib.djangocms"
    label = "agreement_djangocms"
    verbose_name = _("User agreements on CMS pages")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from agreement.contrib.djangocms.caching import forget_pages

        for signal in (edition_published, edition_cancelled):
            signal.connect(forget_pages, dispatch_uid="agreement_djangocms.forget_pages")
