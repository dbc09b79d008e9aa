"""The menu in the toolbar of django CMS with which an editor reaches the desk in the Django admin."""

from __future__ import annotations

from cms.toolbar_base import CMSToolbar
from cms.toolbar_pool import toolbar_pool
from django.urls import NoReverseMatch, reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from agreement.models import Agreement, Edition, Notice


class AgreementToolbar(CMSToolbar):
    """A menu with a link to the admin, and links to its lists of agreements, editions and notices. A list has a link if
    the admin has it and the user may view or change its rows. A user who is not staff, or for whom no list has a link,
    gets no menu.
    """

    def post_template_populate(self) -> None:
        """Add the menu. django CMS calls this after it has added its own menus."""
        user = self.request.user
        if not user.is_staff:
            return
        links = {}
        for model in (Agreement, Edition, Notice):
            options = model._meta
            if any(user.has_perm(f"agreement.{action}_{options.model_name}") for action in ("view", "change")):
                try:
                    links[capfirst(options.verbose_name_plural)] = reverse(
                        f"admin:agreement_{options.model_name}_changelist"
                    )
                except NoReverseMatch:  # The site has not registered the model, or has no admin.
                    continue
        if links:
            menu = self.toolbar.get_or_create_menu("agreement-menu", _("User agreements"))
            menu.add_link_item(_("Administration"), url=reverse("admin:index"))
            for name, url in links.items():
                menu.add_link_item(name, url=url)


toolbar_pool.register(AgreementToolbar)
