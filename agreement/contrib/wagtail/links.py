"""Links to a clause in rich text: ``<a linktype="agreement-clause" agreement="terms" number="2.3">``.

The address is found when the page is rendered: it is that of the clause in the edition in force. If this edition does
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
    """The path of that clause in the edition in force, or that of the agreement. No query that a quotation does not
    make.
    """
    return citations.cite_clause(number, agreement, report=citations.log_once).path


class ClauseLinkHandler(LinkHandler):
    """Rich text of the database → HTML of a page."""

    identifier = FEATURE

    @classmethod
    def expand_db_attributes(cls, attrs: dict[str, str]) -> str:
        return format_html('<a href="{}">', clause_path(attrs.get("agreement", ""), attrs.get("number", "")))

    @classmethod
    def extract_references(cls, attrs: dict[str, str]) -> Iterator[tuple[type[Agreement], str, str, str]]:
        for key in Agreement.objects.filter(slug=attrs.get("agreement", "")).values_list("pk", flat=True):
            yield Agreement, str(key), "", ""


class ClauseElementHandler(LinkElementHandler):
    """Rich text of the database → text editor."""

    def get_attribute_data(self, attrs: dict[str, str]) -> dict[str, str]:
        agreement, number = attrs.get("agreement", ""), attrs.get("number", "")
        return {"agreement": agreement, "number": number, "url": clause_path(agreement, number)}


def clause_element(props: dict[str, Any]) -> Any:
    """Text editor → rich text of the database."""
    attributes = {"linktype": FEATURE, "agreement": props.get("agreement"), "number": props.get("number")}
    return DOM.create_element("a", attributes, props["children"])


def register(features: Any) -> None:
    """Add the link to every text editor that does not list its own features."""
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
