"""The URLs of the portal. Each page has a language prefix; a URL of a page without one redirects to the language of the
reader.
"""

from __future__ import annotations

from django.conf.urls.i18n import i18n_patterns
from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.contrib.sitemaps.views import sitemap
from django.urls import include, path

from agreement.sitemaps import AgreementSitemap
from portal_site import views

handler400 = "portal_site.views.bad_request"

urlpatterns = [
    path("sitemap.xml", sitemap, {"sitemaps": {"agreements": AgreementSitemap}}, name="sitemap"),
    path("robots.txt", views.robots, name="robots"),
    *i18n_patterns(
        path("", views.home, name="home"),
        path("accounts/login/", views.noindex(LoginView.as_view()), name="login"),
        path("accounts/second-factor/", views.noindex(views.SecondFactorView.as_view()), name="second_factor"),
        path("accounts/logout/", LogoutView.as_view(), name="logout"),
        path("agreements/", include("agreement.urls")),
        path("materials/", views.materials, name="materials"),
        path("mailbox/", views.noindex(views.letters), name="mailbox"),
        path("mailbox/<str:key>/", views.noindex(views.letter), name="letter"),
        path("mailbox/<str:key>/html/", views.noindex(views.letter_html), name="letter_html"),
        path("admin/", admin.site.urls),
    ),
]
