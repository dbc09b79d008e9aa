"""Registers this app with Wagtail, which imports the module by its name."""

from wagtail import hooks
from wagtail.admin.admin_url_finder import register_admin_url_finder

from agreement.contrib.wagtail import audit, links, page_cache, views
from agreement.models import Edition

register_admin_url_finder(Edition, views.EditionURLFinder)
hooks.register("register_admin_viewset", views.EditionViewSet)
hooks.register("register_log_actions", audit.register)
hooks.register("register_rich_text_features", links.register)
hooks.register("on_serve_page", page_cache.serve_briefly)
