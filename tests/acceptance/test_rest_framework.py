"""``HasAccepted`` under Django REST framework itself; skipped where it is not installed (extra ``dev``)."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
from django.urls import include, path

from agreement.acceptance import acceptance_required, known
from agreement.editions import timeline
from agreement.models import Acceptance
from agreement.models.agreements import AcceptanceMode, Agreement
from agreement.permissions import HasAccepted
from tests.docs.test_documents import code_blocks, read
from tests.support import factories

rest = pytest.importorskip("rest_framework")
from django.contrib.auth import get_user_model  # noqa: E402
from django.core.exceptions import ImproperlyConfigured  # noqa: E402
from django.utils.decorators import method_decorator  # noqa: E402
from rest_framework.authentication import BaseAuthentication  # noqa: E402
from rest_framework.decorators import api_view, authentication_classes  # noqa: E402
from rest_framework.exceptions import AuthenticationFailed  # noqa: E402
from rest_framework.permissions import IsAuthenticated  # noqa: E402
from rest_framework.renderers import JSONRenderer  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.test import APIClient  # noqa: E402
from rest_framework.views import APIView  # noqa: E402

pytestmark = pytest.mark.django_db(transaction=True)


class ByToken(BaseAuthentication):
    def authenticate(self, request):
        name = request.headers.get("Authorization", "").removeprefix("Token ")
        if name == "wrong":
            raise AuthenticationFailed
        return (get_user_model().objects.get(username=name), None) if name else None

    def authenticate_header(self, request):
        return "Token"


class ByKey(ByToken):
    def authenticate(self, request):
        return (get_user_model().objects.get(username=request.headers["X-Api-Key"]), None)


class Things(APIView):
    authentication_classes = [ByToken]
    permission_classes = [IsAuthenticated, HasAccepted]
    renderer_classes = [JSONRenderer]

    def get(self, request):
        return Response({"user": request.user.username})

    def post(self, request):
        return Response(request.data)


class Handler(Things):
    permission_classes = [IsAuthenticated]

    @method_decorator(acceptance_required)
    def get(self, request):
        return Response({"user": request.user.username})


@method_decorator(acceptance_required, name="dispatch")
class Dispatched(Things):
    permission_classes = [IsAuthenticated]


@api_view(["GET"])
@authentication_classes([ByKey])
@acceptance_required
def below(request):
    return Response({"user": request.user.username})


@acceptance_required
@api_view(["GET"])
@authentication_classes([ByKey])
def above(request):
    return Response({"user": request.user.username})


urlpatterns = [
    path("agreements/", include("agreement.urls")),
    path("things/", Things.as_view()),
    path("handler/", Handler.as_view()),
    path("below/", below),
    path("above/", above),
    path("dispatched/", Dispatched.as_view()),
]


@pytest.fixture
def api(settings):
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "agreement" not in name]
    timeline.clear()
    known.clear()
    (user,) = factories.users(1)
    client = APIClient(headers={"Authorization": f"Token {user.username}"})
    client.user = user
    yield client
    known.clear()


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_user_who_has_not_accepted_is_403_and_the_answer_names_what_to_accept(api, method):
    factories.agreement()
    Agreement.objects.update(acceptance_mode=AcceptanceMode.BY_CONFIRMATION)
    edition = factories.published()

    answer = getattr(api, method)("/things/", {"a": "b"} if method == "post" else None, format="json")

    assert answer.status_code == 403
    assert "terms 1" in answer.json()["detail"]
    assert answer.data["detail"].code == "not_accepted"
    (one,) = answer.json()["agreements"]
    assert one == {
        "agreement": "terms",
        "address": "http://testserver/agreements/terms/editions/1/",
        "accept": "http://testserver/agreements/terms/accept/",
    }
    record = {"edition": edition, "digest": edition.digest, "language": "kk", "kind": "explicit"}
    Acceptance.objects.record(user=api.user, **record)
    assert getattr(api, method)("/things/", {"a": "b"} if method == "post" else None, format="json").status_code == 200


def test_a_post_by_a_token_is_use_and_a_poll_is_none(api):
    factories.published()
    assert api.get("/things/").json() == {"user": api.user.username}
    assert not Acceptance.objects.exists()
    assert api.post("/things/", {"a": "b"}, format="json").json() == {"a": "b"}
    assert [row.kind for row in Acceptance.objects.filter(user=api.user)] == ["deemed"]


def by_confirmation():
    factories.agreement()
    Agreement.objects.update(acceptance_mode=AcceptanceMode.BY_CONFIRMATION)
    edition = factories.published()
    return {"edition": edition, "digest": edition.digest, "language": "kk", "kind": "explicit"}


@pytest.mark.parametrize(("token", "status"), [("Token user0", 200), ("Token wrong", 403)])
def test_the_middleware_of_the_guide_lets_a_user_with_a_token_read_and_accept(
    api, settings, monkeypatch, token, status
):
    (code,) = (code for code in code_blocks(read("acceptance.md"), "python") if "class TokenForAcceptances" in code)
    middleware = ModuleType("mysite_middleware")
    exec(code, middleware.__dict__)  # noqa: S102 - the code of the guide
    middleware.TokenAuthentication = ByToken
    monkeypatch.setitem(sys.modules, middleware.__name__, middleware)
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{middleware.__name__}.TokenForAcceptances"]
    record = by_confirmation()
    program = APIClient(enforce_csrf_checks=True, headers={"Authorization": token})
    answer = {"agreement": "terms", "edition": 1, "digest": record["edition"].digest, "language": "kk"}

    assert program.get("/agreements/api/acceptances/").status_code == status
    body = {"decision": "accept", "answers": [answer]}
    assert program.post("/agreements/api/acceptances/", body, format="json").status_code == status
    assert Acceptance.objects.filter(user=api.user).exists() == (status == 200)


@pytest.mark.parametrize("forced", [False, True])
@pytest.mark.parametrize("address", ["/things/", "/handler/", "/below/"])
def test_a_user_whom_the_view_itself_determines_is_no_way_round(api, address, forced):
    """By a key in a header nobody else reads, or as the framework's own tests say who it is."""
    record = by_confirmation()
    client = APIClient(headers={"X-Api-Key": api.user.username})
    if forced:
        client.force_authenticate(api.user)
    elif address != "/below/":
        client = api
    assert client.get(address).status_code == 403
    Acceptance.objects.record(user=api.user, **record)
    assert client.get(address).json() == {"user": api.user.username}


@pytest.mark.parametrize("address", ["/above/", "/dispatched/"])
def test_where_no_user_is_known_yet_the_decorator_is_an_error_and_no_open_door(api, address):
    by_confirmation()
    with pytest.raises(ImproperlyConfigured, match="HasAccepted"):
        api.get(address, headers={"X-Api-Key": api.user.username})


def test_the_other_permissions_decide_about_a_visitor(api):
    factories.published()
    assert APIClient().get("/things/").status_code == 401
    assert not Acceptance.objects.exists()
