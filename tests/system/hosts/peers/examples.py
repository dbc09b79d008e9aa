"""The example data of both packages, and users who accept by the pages of the packages."""

from django.contrib.auth import get_user_model
from django.test import Client
from termsandconditions.models import TermsAndConditions, UserTermsAndConditions
from termsandconditions.tests import TermsAndConditionsTests
from tos.models import TermsOfService, UserAgreement


def fill_termsandconditions() -> None:
    """The rows with which the package tests itself: two versions of ``site-terms``, and two of ``contrib-terms``, of
    which one begins in 2100. Two of its users accept by its form.
    """
    example = TermsAndConditionsTests()
    example.setUp()
    for user, texts in ((example.user1, (example.terms2, example.terms3)), (example.user2, (example.terms2,))):
        client = Client()
        client.force_login(user)
        for text in texts:
            assert client.post("/terms/accept/", {"terms": text.pk, "returnTo": "/"}).status_code == 302


def fill_tos() -> None:
    """Two texts, each active when it was made. Users agree by the page that the package displays after a log-in."""
    users = get_user_model().objects.order_by("pk")
    for content, count in (("first edition of the terms of service", 3), ("<p>second edition of the terms</p>", 2)):
        TermsOfService.objects.create(content=content, active=True)
        for user in users[:count]:
            client = Client()
            session = client.session
            session.update({"tos_user": user.pk, "tos_backend": "django.contrib.auth.backends.ModelBackend"})
            session.save()
            assert client.post("/tos/confirm/", {"accept": "accept"}).status_code == 302


fill_termsandconditions()
fill_tos()
print(TermsAndConditions.objects.count(), UserTermsAndConditions.objects.count())
print(TermsOfService.objects.count(), UserAgreement.objects.count())
