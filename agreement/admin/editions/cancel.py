"""The page that cancels a scheduled edition. It asks first, then calls one method of the edition."""

from __future__ import annotations

from typing import cast

from django import forms
from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agreement.admin.base import moment
from agreement.admin.editions.decision import DecisionView, TestMailForm
from agreement.admin.editions.forecast import cancellation_forecast
from agreement.admin.editions.preview import as_cancelled
from agreement.models import Edition, EditionError, NoticeKind
from agreement.models.succession import State


class CancelForm(forms.Form):
    """The form that asks why an edition is cancelled (``reason``), with a box to confirm it (``confirm``). All fields
    are required. ``digest`` is hidden: it is the digest of the edition that the page displayed. If the edition has
    another digest when the form is posted, the view cancels nothing and displays the form again.
    """

    reason = forms.CharField(
        label=_("Why this edition should not take effect"), max_length=2000, widget=forms.Textarea(attrs={"rows": 3})
    )
    confirm = forms.BooleanField(
        label=_("This edition should not take effect."),
        error_messages={"required": _("Tick the box which states that this edition should not take effect.")},
    )
    digest = forms.CharField(widget=forms.HiddenInput)


class CancelView(DecisionView):
    """``…/<id>/cancel/``: the page with the form that cancels a scheduled edition. It states what stays in force, how
    many users get a notice of the cancellation and when, and displays the notice. For an edition in another state, also
    a draft, the page refuses with the status 409. If the form is not valid, or was opened for another digest, it is
    displayed again with the status 400. If ``Edition.cancel()`` refuses, so does the page, also with the status 409.
    After the cancellation the response is a redirect to the edition.
    """

    action = "cancel"
    kind = NoticeKind.CANCELLED

    def ask(self, edition: Edition) -> HttpResponse:
        return self._show(edition, CancelForm(initial={"digest": edition.digest}))

    def carry_out(self, edition: Edition) -> HttpResponse:
        form = CancelForm(self.request.POST)
        if not form.is_valid() or form.cleaned_data["digest"] != edition.digest:
            return self._show(edition, form)
        try:
            by = cast("AbstractBaseUser", self.request.user)
            edition.cancel(by=by, reason=form.cleaned_data["reason"].strip())
        except EditionError as error:
            return self.refuse(edition, str(error), error.hint)
        return self.done(edition, gettext("Cancelled: %(edition)s. It will not take effect.") % {"edition": edition})

    def test(self, edition: Edition) -> HttpResponse:
        if refusal := self._refuse_unless_scheduled(edition):
            return refusal
        tests, answer = self.send_tests(as_cancelled(edition)), self.request.POST
        initial = {"reason": answer.get("reason", ""), "confirm": "confirm" in answer, "digest": edition.digest}
        return self._show(edition, CancelForm(initial=initial), tests)

    def _show(self, edition: Edition, form: CancelForm, tests: TestMailForm | None = None) -> HttpResponse:
        if refusal := self._refuse_unless_scheduled(edition):
            return refusal
        cancelled = as_cancelled(edition)
        return self.render(
            "cancel",
            status=400 if form.is_bound else 200,
            original=edition,
            form=form,
            title=gettext("Cancel: %(edition)s") % {"edition": edition},
            effective=moment(edition.effective_from, edition.agreement.time_zone, seconds=False),
            binding=Edition.objects.in_force().filter(agreement=edition.agreement_id).first(),
            forecast=cancellation_forecast(cancelled),
            **self.letter_context(cancelled, tests),
        )

    def _refuse_unless_scheduled(self, edition: Edition) -> HttpResponse | None:
        state = edition.state()
        if state == State.SCHEDULED:
            return None
        sentence = gettext("%(edition)s can't be cancelled: it is %(state)s.")
        hint = gettext("Only an edition that is published and has not taken effect can be cancelled.")
        return self.refuse(edition, sentence % {"edition": edition, "state": state.label}, hint)
