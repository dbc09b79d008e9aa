"""The portal's own data about its users. Notices are written in the language of the profile."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class Profile(models.Model):
    """The settings of a user on the portal: the language of their letters (``""`` if it is unknown)."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="profile")
    language = models.CharField(
        _("language of letters"),
        max_length=2,
        blank=True,
        choices=[("kk", _("Kazakh")), ("ru", _("Russian"))],
    )

    class Meta:
        verbose_name = _("profile")
        verbose_name_plural = _("profiles")

    def __str__(self) -> str:
        return str(self.user)
