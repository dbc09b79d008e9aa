from django.urls import include, path

from portal_site.urls import urlpatterns as portal

urlpatterns = [path("accounts/", include("allauth.urls")), *portal]
