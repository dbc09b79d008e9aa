from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AgreementWagtailConfig(AppConfig):
    name = "agreement.contrib.wagtail"
    label = "agreement_wagtail"
    verbose_name = _("User agreements in Wagtail")

    def ready(self) -> None:
        from agreement.contrib.wagtail import audit

        audit.connect()
