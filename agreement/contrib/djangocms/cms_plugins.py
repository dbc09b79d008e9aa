"""The plugins for django CMS. A plugin raises no error, whatever was published or cancelled after an editor placed it.
To render it makes no query while the process remembers the dates and the texts of the editions. For how long a page may
be stored is decided by dates that are read anew, once for each page (:func:`seconds_to_store`).
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from cms.models import Placeholder
from cms.plugin_base import CMSPluginBase
from cms.plugin_pool import plugin_pool
from cms.toolbar.utils import get_toolbar_from_request
from django.http import HttpRequest
from django.urls import NoReverseMatch
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from agreement.contrib.djangocms import models
from agreement.contrib.djangocms.caching import SETTLING, seconds_to_store
from agreement.contrib.djangocms.forms import ChangesForm, ClauseForm, PluginForm
from agreement.editions import citations
from agreement.editions.timeline import current_timelines


class AgreementPluginBase(CMSPluginBase):
    """The base class of the plugins of the app. A subclass defines in :meth:`display` what its template displays."""

    module = _("User agreements")
    form = PluginForm
    text_enabled = True

    def render(self, context: Any, instance: Any, placeholder: str) -> Any:
        """Return the context for the template: that of django CMS, ``is_edited`` (whether an editor edits the page) and
        the variables of :meth:`display`. If the site has no URLs of the app, only the variables of :meth:`display` are
        left out. The object ``context`` is changed and returned.
        """
        context = super().render(context, instance, placeholder)
        timeline = current_timelines().of_agreement(instance.agreement_id)
        context["is_edited"] = get_toolbar_from_request(context["request"]).edit_mode_active
        # Without a page for the app's addresses nothing can be linked. The rest of the page is displayed nevertheless.
        with suppress(NoReverseMatch):
            context.update(self.display(instance, timeline.slug if timeline else ""))
        return context

    def display(self, instance: Any, slug: str) -> dict[str, Any]:
        """Return the variables of the template. ``instance`` is the row of the plugin, and ``slug`` that of its
        agreement; ``""`` if no edition of the agreement is published, and if the plugin names no agreement.
        """
        raise NotImplementedError

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Return the field of the form. The list of agreements has no links to add, change, delete or view one: that is
        done at the desk, in Django's admin.
        """
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "agreement" and field:
            for action in ("add", "change", "delete", "view"):
                setattr(field.widget, f"can_{action}_related", False)
        return field

    def get_cache_expiration(self, request: HttpRequest, instance: Any, placeholder: Placeholder) -> int:
        """For how many seconds the page may be stored: see :func:`seconds_to_store`."""
        return seconds_to_store(request, placeholder)


class ClausePlugin(AgreementPluginBase):
    model = models.ClausePlugin
    name = model._meta.verbose_name
    form = ClauseForm
    render_template = "agreement_djangocms/clause.html"

    def display(self, instance: models.ClausePlugin, slug: str) -> dict[str, Any]:
        return {"clause": citations.cite_clause(instance.number, slug, report=citations.log_once) if slug else None}


class ValidityPlugin(AgreementPluginBase):
    model = models.ValidityPlugin
    name = model._meta.verbose_name
    render_template = "agreement_djangocms/validity.html"

    def display(self, instance: models.ValidityPlugin, slug: str) -> dict[str, Any]:
        if not slug:
            return {}
        return {
            "validity": citations.validity_sentence(slug, report=citations.log_once),
            "path": citations.agreement_path(slug),
        }


class NewsPlugin(AgreementPluginBase):
    model = models.NewsPlugin
    name = model._meta.verbose_name
    render_template = "agreement_djangocms/news.html"

    def display(self, instance: models.NewsPlugin, slug: str) -> dict[str, Any]:
        if instance.agreement_id and not slug:
            return {}
        return {"editions": citations.banner_editions(slug, days=instance.days)}

    def get_cache_expiration(self, request: HttpRequest, instance: models.NewsPlugin, placeholder: Placeholder) -> int:
        """For how many seconds the page may be stored: see :func:`seconds_to_store`. It is at most until the first of
        the editions in force, of any agreement, is no longer new: ``days`` of the plugin after it took effect.
        """
        return seconds_to_store(request, placeholder, until=self._until(instance))

    def _until(self, instance: models.NewsPlugin) -> datetime | None:
        now, days = timezone.now(), timedelta(days=instance.days)
        in_force = (timeline.in_force(now) for timeline in current_timelines().agreements.values())
        ends = [edition.effective_from + days for edition in in_force if edition]
        # An end that is just past also counts, because the page may have been rendered before it.
        return min((end for end in ends if end > now - SETTLING), default=None)


class ChangesPlugin(AgreementPluginBase):
    model = models.ChangesPlugin
    name = model._meta.verbose_name
    form = ChangesForm
    render_template = "agreement_djangocms/changes.html"
    text_enabled = False

    def display(self, instance: models.ChangesPlugin, slug: str) -> dict[str, Any]:
        return {"changes": citations.cite_changes(slug, instance.edition)}


for plugin in (ClausePlugin, ValidityPlugin, NewsPlugin, ChangesPlugin):
    plugin_pool.register_plugin(plugin)
