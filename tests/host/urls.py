from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from agreement.models import Edition


def home(request: HttpRequest) -> HttpResponse:
    numbers = Edition.objects.in_force().values_list("agreement__slug", "number")
    return HttpResponse("; ".join(f"{slug} {number}" for slug, number in numbers))


urlpatterns = [path("", home), path("rules/", include("agreement.urls"))]
