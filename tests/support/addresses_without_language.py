"""The portal, with the app at addresses that hold no language too."""

from django.urls import include, path

from portal_site import urls

urlpatterns = [path("rules/", include("agreement.urls")), *urls.urlpatterns]
