"""The plugins as rows: references to an agreement, a clause or an edition, never words."""

from __future__ import annotations

from cms.models import CMSPlugin
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agreement.models import Agreement


class Display(models.TextChoices):
    QUOTATION = "quotation", _("the words of the clause, with their source")
    LINK = "link", _("a link to the clause, for use in a sentence")


class AgreementPlugin(CMSPlugin):
    """The base class of all plugins, with the agreement that they display. The agreement can't be deleted while a
    plugin refers to it.
    """

    agreement = models.ForeignKey(Agreement, on_delete=models.PROTECT, related_name="+", verbose_name=_("agreement"))

    class Meta:
        abstract = True

    def get_short_description(self) -> str:
        """The name of the agreement, which the structure of the page displays beside the name of the plugin. 1 query if
        the agreement was not read, and those of :attr:`Agreement.name`.
        """
        return str(self.agreement)

    def __str__(self) -> str:
        """The name of the plugin and of its page, for a list of what refers to an agreement. It makes a few queries."""
        return gettext("“%(plugin)s” on the page “%(page)s”") % {
            "plugin": self.get_plugin_name(),
            "page": self.placeholder.source if self.placeholder_id else "",
        }


class ClausePlugin(AgreementPlugin):
    number = models.CharField(
        _("number of the clause"),
        max_length=48,
        help_text=_("As it is printed in the text, for example 2.3. The page always displays the clause in force."),
    )
    display = models.CharField(_("display"), max_length=16, choices=Display.choices, default=Display.QUOTATION)

    class Meta:
        verbose_name = _("Clause of an agreement")

    def get_short_description(self) -> str:
        return f"{self.agreement}, {self.number}"


class ValidityPlugin(AgreementPlugin):
    class Meta:
        verbose_name = _("Edition in force")


class NewsPlugin(AgreementPlugin):
    agreement = models.ForeignKey(
        Agreement,
        on_delete=models.PROTECT,
        related_name="+",
        null=True,
        blank=True,
        verbose_name=_("agreement"),
        help_text=_("Leave this field empty for all agreements."),
    )
    days = models.PositiveSmallIntegerField(
        _("days"),
        default=10,
        validators=[MinValueValidator(1), MaxValueValidator(366)],
        help_text=_("For how many days an edition counts as new after it takes effect."),
    )

    class Meta:
        verbose_name = _("Announced or new edition")

    def get_short_description(self) -> str:
        return str(self.agreement) if self.agreement_id else gettext("all agreements")


class ChangesPlugin(AgreementPlugin):
    edition = models.PositiveIntegerField(
        _("number of the edition"),
        null=True,
        blank=True,
        help_text=_("Leave this field empty for the edition in force."),
    )

    class Meta:
        verbose_name = _("Changes of an edition")

    def get_short_description(self) -> str:
        return f"{self.agreement}, {self.edition}" if self.edition else str(self.agreement)
