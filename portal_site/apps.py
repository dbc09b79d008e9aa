from django.contrib.admin import apps


class PortalAdminConfig(apps.AdminConfig):
    """Django's admin, with the admin site of the portal."""

    default = False  # It is not the configuration of portal_site itself.
    default_site = "portal_site.admin.PortalAdminSite"
