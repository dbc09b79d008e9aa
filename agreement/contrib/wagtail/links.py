"""Links to a clause in rich text: ``<a linktype="agreement-clause" agreement="terms" number="2.3">``.

The URL is computed when the page is rendered: it is that of the clause in the edition in force. If this edition does
not have the clause, the link leads to the agreement, and this is logged once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.urls import reverse_lazy
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from draftjs_exporter.dom import DOM
from wagtail.admin.rich_text.converters.html_to_contentstate import LinkElementHandler
from wagtail.admin.rich_text.editors.draftail.features import EntityFeature
from wagtail.rich_text import LinkHandler

from agreement.editions import citations
from agreement.models import Agreement

FEATURE = "agreement-clause"
ENTITY = "AGREEMENT-CLAUSE"


def clause_path(agreement: str, number: str) -> str:
    """The permanent path of the clause with that number in the edition in force. ``agreement`` is the slug. If the
    edition does not have the clause, or if none is in force, it is the path of the page of the agreement; if there is
    no such agreement, that of the list of agreements. It makes the queries of a quotation of the clause.
    """
    return citations.cite_clause(number, agreement, report=citations.log_once).path


class ClauseLinkHandler(LinkHandler):
    """Converts a link to a clause from the rich text in the database to the HTML of a page."""

    identifier = FEATURE

    @classmethod
    def expand_db_attributes(cls, attrs: dict[str, str]) -> str:
        return format_html('<a href="{}">', clause_path(attrs.get("agreement", ""), attrs.get("number", "")))

    @classmethod
    def extract_references(cls, attrs: dict[str, str]) -> Iterator[tuple[type[Agreement], str, str, str]]:
        for key in Agreement.objects.filter(slug=attrs.get("agreement", "")).values_list("pk", flat=True):
            yield Agreement, str(key), "", ""


class ClauseElementHandler(LinkElementHandler):
    """Converts a link to a clause from the rich text in the database to that of the text editor."""

    def get_attribute_data(self, attrs: dict[str, str]) -> dict[str, str]:
        agreement, number = attrs.get("agreement", ""), attrs.get("number", "")
        return {"agreement": agreement, "number": number, "url": clause_path(agreement, number)}


def clause_element(props: dict[str, Any]) -> Any:
    """Convert a link to a clause from the text editor to the rich text in the database: return its ``a`` element.
    ``props`` are the data of the link and its ``children``.
    """
    attributes = {"linktype": FEATURE, "agreement": props.get("agreement"), "number": props.get("number")}
    return DOM.create_element("a", attributes, props["children"])


def register(features: Any) -> None:
    """Register links to clauses with Wagtail's registry ``features``. Every text editor gets the button for them,
    unless it lists its own features.
    """
    entity = EntityFeature(
        {
            "type": ENTITY,
            "icon": "openquote",
            "description": _("Link to a clause"),
            "chooserUrls": {"clause": reverse_lazy("agreement_wagtail:clause_link")},
        },
        js=["agreement_wagtail/clause_link.js"],
    )
    features.register_editor_plugin("draftail", FEATURE, entity)
    features.register_converter_rule(
        "contentstate",
        FEATURE,
        {
            "from_database_format": {f'a[linktype="{FEATURE}"]': ClauseElementHandler(ENTITY)},
            "to_database_format": {"entity_decorators": {ENTITY: clause_element}},
        },
    )
    features.register_link_type(ClauseLinkHandler)
    features.default_features.append(FEATURE)
