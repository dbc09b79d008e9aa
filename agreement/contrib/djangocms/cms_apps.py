"""The apphook of django CMS: the pages of the app get URLs below the page to which an editor attaches it."""

from __future__ import annotations

from typing import Any

from cms.app_base import CMSApp
from cms.apphook_pool import apphook_pool
from django.utils.translation import gettext_lazy as _


class AgreementApphook(CMSApp):
    name = _("User agreements")
    app_name = "agreement"
    # The pages of an agreement are for everyone. A check of permissions would load the user of each request, and no
    # cache could then store the pages.
    permissions = False

    def get_urls(self, page: Any = None, language: str | None = None, **kwargs: Any) -> list[str]:
        return ["agreement.urls"]


apphook_pool.register(AgreementApphook)
