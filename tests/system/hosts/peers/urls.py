from django.conf import settings
from django.urls import include, path

urlpatterns = [path("agreement/", include("agreement.urls"))]
if settings.PEERS:
    urlpatterns += [path("terms/", include("termsandconditions.urls")), path("tos/", include("tos.urls"))]
