"""The shared part of the two pages that ask before they change an edition for good: the publication and the
cancellation. It finds and locks the edition, shows the letter as it will be, and sends test mails.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, cast

from django import forms
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.db import transaction
from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agreement.admin.base import redirect_missing
from agreement.admin.editions.page import EditionView, find_locked, may, redirect_to_edition
from agreement.admin.editions.preview import notice_content, send_test_mails
from agreement.admin.rights import STATE_ACTIONS, explain_denied
from agreement.models import Edition, NoticeKind
from agreement.models.audit import name_of
from agreement.notices.audience import active_users
from agreement.notices.channels import EmailChannel
from agreement.notices.forecast import COUNTED_UP_TO
from agreement.text import languages

#: How many users the form for test mails offers at most, with the user of the page.
MAX_TEST_RECIPIENTS = 100


def staff_with_address(user: AbstractBaseUser, *, others: bool = True) -> dict[str, tuple[AbstractBaseUser, str]]:
    """Return the users to whom test mails can be sent, in a dict: primary key as text → the user and their e-mail
    address. They are this user, who comes first, and the active staff users, as far as they have an address; at most
    ``MAX_TEST_RECIPIENTS``. If ``others`` is false, or the user model has no ``is_staff``, there are no other users. At
    most 2 queries; that for other users may read all users of the site.
    """
    channel = EmailChannel()
    reachable: Any = channel.reachable(active_users())
    try:
        get_user_model()._meta.get_field("is_staff")
        staff = reachable.filter(is_staff=True).exclude(pk=user.pk).order_by("pk")[: MAX_TEST_RECIPIENTS - 1]
    except FieldDoesNotExist:
        others = False
    people = [*reachable.filter(pk=user.pk), *(staff if others else ())]
    return {str(one.pk): (one, one.agreement_address) for one in people}


class TestMailForm(forms.Form):
    """The form that asks which staff users get the test mails. No other address can be given, so that the page is no
    way to send mail to strangers.

    On a site with more than ``COUNTED_UP_TO`` users, the form offers the other staff users only if ``others`` is true
    or an answer is given. Otherwise ``incomplete`` is true. At most 3 queries.
    """

    test_to = forms.MultipleChoiceField(
        label=_("Test e-mails"),
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": _("Choose who gets the test e-mails.")},
    )

    outcome: tuple[str, str] | None = None
    """What became of the test mails: ``success`` or ``error``, and a sentence; ``None`` before they are sent."""

    def __init__(self, user: AbstractBaseUser, answer: QueryDict | None = None, *, others: bool = False) -> None:
        users = get_user_model()._default_manager.order_by()
        self.incomplete = not others and answer is None and users[: COUNTED_UP_TO + 1].count() > COUNTED_UP_TO
        self.people = staff_with_address(user, others=not self.incomplete)
        super().__init__(answer, initial={"test_to": [str(user.pk)]})
        field = cast("forms.MultipleChoiceField", self.fields["test_to"])
        field.choices = [(key, f"{name_of(one)} · {address}") for key, (one, address) in self.people.items()]

    def recipients(self) -> list[tuple[AbstractBaseUser, str]]:
        """Return the chosen users and their addresses. The form must be valid."""
        return [self.people[key] for key in self.cleaned_data["test_to"]]


def preview(edition: Edition, code: str, kind: NoticeKind) -> tuple[str, str, str]:
    """Return the language ``code`` (``kk`` or ``ru``), and the subject and the plain text of the notice of that kind
    about the edition. If the notice can't be composed, the subject is ``""`` and the text is the message of the error.
    """
    try:
        content = notice_content(edition, code, kind)
    except (ImproperlyConfigured, ValueError) as error:
        return code, "", str(error)
    return code, content.subject, content.text


class DecisionView(EditionView, ABC):
    """The base class of the page that publishes a draft and of the page that cancels an edition. On GET it asks, and on
    POST it performs the ``action`` (``publish`` or ``cancel``), unless it is refused. If the user may not perform it or
    may not view editions, the response is a page with the status 403. If there is no such edition, the response is a
    redirect to the start page of the admin.
    """

    action: str
    kind: NoticeKind
    """The kind of the notice to which the action leads."""

    def get(self, request: HttpRequest, object_id: str) -> HttpResponse:
        if not may(self.model_admin, request, self.action):
            return self._deny()
        edition = self.find(object_id)
        return self.ask(edition) if edition else redirect_missing(self.model_admin, request, object_id)

    def post(self, request: HttpRequest, object_id: str) -> HttpResponse:
        if not may(self.model_admin, request, self.action):
            return self._deny()
        with transaction.atomic():
            edition = find_locked(self.model_admin, request, object_id)
            return self.carry_out(edition) if edition else redirect_missing(self.model_admin, request, object_id)

    @abstractmethod
    def ask(self, edition: Edition) -> HttpResponse:
        """Return the page with the question, or a page that refuses if the state of the edition does not allow the
        action. :class:`PublishView` also returns the errors of a moment, as JSON. Nothing is locked.
        """

    @abstractmethod
    def carry_out(self, edition: Edition) -> HttpResponse:
        """Perform the action on the edition, whose agreement is locked, and return the response. If the answer is not
        valid, or the action is refused, nothing is changed, and the response is the question again or a page that
        refuses.
        """

    @abstractmethod
    def test(self, edition: Edition) -> HttpResponse:
        """Send the test mails that the posted form asks for, and return the question again, with the answers and the
        outcome; or send nothing, and return a page that refuses.
        """

    def send_tests(self, edition: Edition) -> TestMailForm:
        """Send the notice about the edition, as it will be, to the staff users whom the posted form names. Return the
        form with the ``outcome``. It has errors if it names nobody, or a user whom it does not offer; nothing is sent
        then. If the posted form asks for the other staff users, nothing is sent, and the returned form offers them.
        """
        if "list_staff" in self.request.POST:
            return TestMailForm(cast("AbstractBaseUser", self.request.user), others=True)
        form = TestMailForm(cast("AbstractBaseUser", self.request.user), self.request.POST)
        if form.is_valid():
            form.outcome = send_test_mails(form.recipients(), edition, self.kind)
        else:
            form.outcome = "error", gettext("No test e-mail was sent. Choose who gets it.")
        return form

    def letter_context(self, edition: Edition, tests: TestMailForm | None) -> dict[str, Any]:
        """Return the part of the template context about the notice: its text in both languages (``previews``), and the
        form for test mails (``tests``). ``edition`` is as it will be after the action, and ``tests`` the form for test
        mails that was posted; ``None`` if none was.
        """
        return {
            "previews": self.previews(edition),
            "tests": tests or TestMailForm(cast("AbstractBaseUser", self.request.user)),
        }

    def previews(self, edition: Edition) -> list[tuple[str, str, str]]:
        """Return the :func:`preview` of the notice about the edition, as it is after the action, in each language."""
        return [preview(edition, code, self.kind) for code in languages.LANGUAGES]

    def _deny(self) -> HttpResponse:
        codename = f"{self.action}_edition"
        action = next(pair for actions in STATE_ACTIONS.values() for pair in actions if pair[0] == codename)
        denied = explain_denied([action]) if self.model_admin.has_view_permission(self.request) else []
        sentence = gettext("You don't have permission to do this. Nothing was changed.")
        hint = gettext(
            "Your permission was removed or was never given. Ask for it, or ask somebody who has it to do this."
        )
        return self.refuse(None, sentence, hint, status=403, denied_actions=denied)

    def done(self, edition: Edition, sentence: str) -> HttpResponse:
        """Add the sentence to the history of the admin, and return a redirect to the edition, with the sentence as a
        message of success.
        """
        self.model_admin.log_change(self.request, edition, sentence)
        return redirect_to_edition(self.model_admin, self.request, edition, sentence)
