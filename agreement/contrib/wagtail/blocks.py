"""Blocks for a StreamField. They display a clause in force, a line that states which edition is in force, an
announcement, and what changed. Each is computed at the moment of the request, in the language of the page. All but the
clause may also display an announced edition.

A migration of a site contains the names of these classes and nothing of what is in them, so a change here needs no
migration there. The names must never change.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from wagtail import blocks

from agreement import conf
from agreement.editions import citations
from agreement.editions.citations import Citation
from agreement.editions.timeline import current_timelines
from agreement.models import Agreement

__all__ = ["AnnouncementBlock", "ChangesBlock", "ClauseBlock", "ValidityBlock"]

#: More days than any edition has been in force.
ALWAYS_DAYS = 365_000


def public_slugs() -> list[str]:
    """The slugs of the agreements with a public edition. It makes no query, unless the dates of the editions must be
    read.
    """
    at = timezone.now()
    return [slug for slug, timeline in current_timelines().agreements.items() if timeline.public(at)]


def agreements() -> list[tuple[str, str]]:
    """The slug and the name of each agreement with a public edition, for a list to choose from. 1 query, and 1 for each
    name that the process does not remember.
    """
    return [(agreement.slug, agreement.name) for agreement in Agreement.objects.filter(slug__in=public_slugs())]


def find_clause(number: str, slug: str) -> Citation:
    """The clause with that number in the edition in force of the agreement ``slug``. Raises ``ValidationError``, whose
    message states the next step, if there is no such clause, agreement or edition.
    """
    citation = citations.cite_clause(number, slug, report=lambda message: None)
    if citation.html:
        return citation
    if citation.edition is None:
        message = _(
            "No edition of the agreement %(slug)s is in force. Choose another agreement, or publish an edition."
        )
        raise ValidationError(message, code="not_in_force", params={"slug": slug})
    message = _(
        "Edition %(edition)s of “%(title)s”, which is in force, has no clause %(number)s. Open the agreement and copy"
        " the number of the clause, for example 2.3."
    )
    params = {"edition": citation.edition, "title": citation.title, "number": number}
    raise ValidationError(message, code="no_clause", params=params)


class AgreementBlock(blocks.ChoiceBlock):
    """A block with which an editor chooses an agreement that has a public edition. Its value is the slug of the
    agreement; ``""`` if none is chosen.
    """

    choices = staticmethod(agreements)

    def get_default(self) -> str:
        """The setting ``DEFAULT_AGREEMENT`` or, if it is empty, the slug of the only agreement with a public edition;
        ``""`` if there is none, or if there are several, so that the editor chooses. Wagtail calls this whenever it
        reads a block.
        """
        slugs = public_slugs()
        return conf.get().DEFAULT_AGREEMENT or (slugs[0] if len(slugs) == 1 else "")

    def normalize_choice(self, value: str) -> str:
        """Return the stored value unchanged. Wagtail's own method would list the choices, with a query for each block
        of a page.
        """
        return value

    def extract_references(self, value: str) -> Iterator[tuple[type[Agreement], str, str, str]]:
        """Yield a reference to the agreement with this slug, for Wagtail's index of references; nothing if there is no
        such agreement. If ``value`` is empty, the block is about all agreements, and it refers to each of them. A
        reference is the model, the primary key as a text, and two empty paths.
        """
        for key in Agreement.objects.filter(**({"slug": value} if value else {})).values_list("pk", flat=True):
            yield Agreement, str(key), "", ""

    class Meta:
        icon = "doc-full"


class _Block(blocks.StructBlock):
    def deconstruct(self) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        """Return what a migration contains of this block: the dotted path of the class, and the arguments with which
        the block was made. Wagtail's own method would add every block that this one contains.
        """
        args, kwargs = self._constructor_args
        return f"{__name__}.{type(self).__name__}", args, kwargs

    def deconstruct_with_lookup(self, lookup: object) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        return self.deconstruct()

    @classmethod
    def construct_from_lookup(cls, lookup: object, *args: Any, **kwargs: Any) -> Self:
        return cls(*args, **kwargs)


class ClauseBlock(_Block):
    """A quotation of a clause of the edition in force. If that edition does not have the clause, or if no edition is in
    force, the block displays a link to the agreement; if there is no such agreement, one to the list of agreements. A
    missing clause or agreement is logged once.
    """

    agreement = AgreementBlock(label=gettext_lazy("User agreement"))
    number = blocks.CharBlock(
        label=gettext_lazy("Number of the clause"),
        help_text=gettext_lazy("As in the text of the agreement, for example 2.3."),
        max_length=48,
    )

    def clean(self, value: Any) -> Any:
        """Return the value with the number of the clause as :func:`find_clause` finds it, without a dot at its end.
        Raises ``StructBlockValidationError`` if no edition is in force, or if that edition does not have the clause.
        """
        cleaned = super().clean(value)
        try:
            cleaned["number"] = find_clause(cleaned["number"], cleaned["agreement"]).number
        except ValidationError as error:
            raise blocks.StructBlockValidationError({"number": error}) from None
        return cleaned

    def get_context(self, value: Any, parent_context: Any = None) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(value, parent_context=parent_context)
        number, slug = value.get("number") or "", value.get("agreement") or ""
        return {**context, "clause": citations.cite_clause(number, slug, report=citations.log_once)}

    class Meta:
        icon = "openquote"
        label = gettext_lazy("Clause of the agreement")
        label_format = "{agreement} {number}"
        template = "agreement_wagtail/blocks/clause.html"


class ValidityBlock(_Block):
    """A line that states which edition is in force, and since when. If none is in force, it is about the announced
    edition, if the setting ``SHOW_SCHEDULED`` is true. Nothing if there is neither.
    """

    agreement = AgreementBlock(label=gettext_lazy("User agreement"))

    def get_context(self, value: Any, parent_context: Any = None) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(value, parent_context=parent_context)
        slug = value.get("agreement") or ""
        validity = citations.validity_sentence(slug, report=citations.log_once)
        return {**context, "validity": validity, "path": citations.agreement_path(slug) if validity and slug else ""}

    class Meta:
        icon = "calendar-check"
        label = gettext_lazy("Which edition is in force")
        label_format = "{agreement}"
        template = "agreement_wagtail/blocks/validity.html"


class AnnouncementBlock(_Block):
    """An announcement of new editions, of one agreement or of all: of each agreement the edition in force, if it
    replaced another one less than ``days`` days ago, and the announced edition that takes effect next, if the setting
    ``SHOW_SCHEDULED`` is true. Nothing if there are none.
    """

    agreement = AgreementBlock(
        label=gettext_lazy("User agreement"),
        help_text=gettext_lazy("Leave this field empty for all agreements."),
        required=False,
    )
    days = blocks.IntegerBlock(
        label=gettext_lazy("Days"),
        help_text=gettext_lazy("For how many days an edition counts as new after it takes effect."),
        default=10,
        min_value=1,
        max_value=365,
    )

    def get_context(self, value: Any, parent_context: Any = None) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(value, parent_context=parent_context)
        editions = citations.banner_editions(value.get("agreement") or "", days=value.get("days") or 10)
        return {**context, "editions": editions}

    class Meta:
        icon = "info-circle"
        label = gettext_lazy("New or announced edition")
        label_format = "{agreement}"
        template = "agreement/partials/announcements.html"


class ChangesBlock(_Block):
    """What changed in the chosen agreement: in the edition in force and, if the setting ``SHOW_SCHEDULED`` is true, in
    the announced edition that takes effect next, each with a link to its changes. An edition that replaces no other one
    is left out. Nothing if no edition remains, and nothing if no agreement is chosen.
    """

    agreement = AgreementBlock(label=gettext_lazy("User agreement"))

    def get_context(self, value: Any, parent_context: Any = None) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(value, parent_context=parent_context)
        slug = value.get("agreement")
        editions = citations.banner_editions(slug, days=ALWAYS_DAYS) if slug else []
        return {**context, "editions": [edition for edition in editions if edition.changes]}

    class Meta:
        icon = "history"
        label = gettext_lazy("What changed in the agreement")
        label_format = "{agreement}"
        template = "agreement_wagtail/blocks/changes.html"
