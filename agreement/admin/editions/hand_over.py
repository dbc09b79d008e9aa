"""The pages on which an author marks a draft as ready to publish, and on which a publisher sends it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agreement.admin.base import MissingRight, moment, redirect_missing
from agreement.admin.editions.draft import Finding, lint_findings
from agreement.admin.editions.fields import fingerprint
from agreement.admin.editions.page import EditionView, find_locked, may, redirect_to_edition
from agreement.editions.template_citations import cited_clauses
from agreement.groups import staff_able
from agreement.models import Edition, HandOver, HandOverState
from agreement.models.audit import name_of
from agreement.notices.channels import EmailChannel
from agreement.notices.hand_over_letters import send_letters
from agreement.text import languages

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


class HandOverForm(forms.Form):
    """The form that asks for a note to the publishers, which may be empty. ``draft`` is hidden: it is the fingerprint
    of the draft that the page displayed. If the draft has another one when the form is posted, the view refuses.
    """

    note = forms.CharField(
        label=_("Note to the publishers"),
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 4}),
    )
    draft = forms.CharField(widget=forms.HiddenInput)


class RemarkForm(HandOverForm):
    """The form that asks for the remark with which a draft is sent back. The remark is required."""

    note = forms.CharField(label=_("Remark to the author"), max_length=2000, widget=forms.Textarea(attrs={"rows": 4}))


class HandOverView(EditionView):
    """``…/<id>/hand-over/``: the page on which an author marks a draft as ready to publish. On POST it is marked, the
    publishers (:meth:`_recipients`) get a mail, and the response is a redirect to the draft. If the form is not valid,
    it is displayed again with the status 400.

    The page refuses with the status 409 if the draft is published, if it was changed after the page was made, or if the
    lint finds errors, with which it can't be published. If the draft is marked already, nothing is done, and the
    response is a redirect to the draft. If there is no such draft, it is a redirect to the start page of the admin.
    Raises ``MissingRight`` if the user may not change drafts.
    """

    state = HandOverState.READY
    form_class: type[HandOverForm] = HandOverForm
    nobody_mailed: StrOrPromise = _("No e-mail was sent: there is no other publisher with an e-mail address.")

    def get(self, request: HttpRequest, object_id: str) -> HttpResponse:
        self._require_permission()
        edition = self.find(object_id)
        if edition is None:
            return redirect_missing(self.model_admin, request, object_id)
        form = self.form_class(initial={"draft": fingerprint(edition)})
        return self._refusal(edition) or self._ask(edition, form)

    def post(self, request: HttpRequest, object_id: str) -> HttpResponse:
        self._require_permission()
        form = self.form_class(request.POST)
        with transaction.atomic():
            edition = find_locked(self.model_admin, request, object_id)
            if edition is None:
                return redirect_missing(self.model_admin, request, object_id)
            if refusal := self._refusal(edition):
                return refusal
            if not form.is_valid():
                return self._ask(edition, form)
            if form.cleaned_data["draft"] != fingerprint(edition):
                hint = gettext("Read the draft again, then decide.")
                sentence = gettext("This draft was changed after you opened the page. Nothing was done.")
                return self.refuse(edition, sentence, hint)
            recipients = list(self._recipients(edition))  # Before the row names this user.
            row = HandOver.objects.record(
                self.state,
                edition=edition,
                by=cast("AbstractBaseUser", request.user),
                note=form.cleaned_data["note"].strip(),
                digest=fingerprint(edition),
            )
        people = get_user_model()._default_manager.filter(pk__in=[user.pk for user in recipients])
        sent, missed = send_letters(row, people, view=f"{self.model_admin.admin_site.name}:agreement_edition_change")
        sentences = [gettext("Done: %(state)s.") % {"state": row.get_state_display()}]
        if sent:
            sentences.append(gettext("E-mails sent: %(count)s.") % {"count": sent})
        if missed:
            messages.warning(request, gettext("E-mails that could not be sent: %(count)s.") % {"count": missed})
        if not recipients:
            sentences.append(str(self.nobody_mailed))
        return redirect_to_edition(self.model_admin, request, edition, " ".join(sentences))

    def _require_permission(self) -> None:
        if not self.model_admin.has_change_permission(self.request):
            raise MissingRight("change_edition", _("edit this draft"))

    def _recipients(self, edition: Edition) -> QuerySet[Any]:
        """Return the users who get the mail: of those who have an e-mail address, the active staff who may publish,
        except superusers and this user; if there are none, the active staff who are superusers, except this user. The
        queryset is empty if there are none either, or if the site's users can't be asked for their permissions
        (``staff_able()``).
        """
        own = self.request.user.pk
        for superusers in (False, True):
            able = staff_able("publish_edition", superusers=superusers)
            if able is not None and (able := _with_address(able.exclude(pk=own))).exists():
                return able
        return get_user_model()._default_manager.none()

    def _refusal(self, edition: Edition) -> HttpResponse | None:
        """Return the response if the action is not possible in the present state of the draft: a page that refuses or,
        if it is already done, a redirect to the draft. ``None`` if it is possible.
        """
        row = hand_over_of(edition)
        if edition.published_at:
            hint = gettext("A published edition never changes. Copy your text into a new draft.")
            return self.refuse(edition, gettext("%(edition)s was published.") % {"edition": edition}, hint)
        if row and row.state == self.state:
            message = gettext("This is already done: %(state)s. Nothing was done again.")
            return redirect_to_edition(
                self.model_admin, self.request, edition, message % {"state": row.get_state_display()}
            )
        return self._refuse_content(edition)

    def _refuse_content(self, edition: Edition) -> HttpResponse | None:
        bodies = {code: edition.text(code).body for code in languages.LANGUAGES}
        errors = [one for one in lint_findings(bodies, None, None) if one.severity == "error"]
        if not errors:
            return None
        sentence = gettext("The draft has errors, so it can't be published. It was not marked as ready.")
        return self.refuse(edition, sentence, gettext("Correct the errors, save the draft, and try again."))

    def _ask(self, edition: Edition, form: HandOverForm) -> HttpResponse:
        ready = self.state == HandOverState.READY
        return self.render(
            "hand_over",
            status=400 if form.errors else 200,
            original=edition,
            form=form,
            ready=ready,
            title=gettext("Ready to publish") if ready else gettext("Send the draft back"),
            findings=_findings(edition) if ready else [],
            recipients=[name_of(user) for user in self._recipients(edition)],
            **hand_over_context(edition),
        )


class SendBackView(HandOverView):
    """``…/<id>/send-back/``: the page on which a publisher sends a draft back that is marked as ready, with a remark.
    The user who marked it gets a mail. A draft that is neither marked nor sent back is refused with the status 409;
    errors of the lint are no reason to refuse. If the draft was sent back already, and not marked again, nothing is
    done, and the response is a redirect to the draft. Raises ``MissingRight`` if the user may not publish editions or
    may not view them. All else is as in :class:`HandOverView`.
    """

    state = HandOverState.RETURNED
    form_class = RemarkForm
    nobody_mailed = _("No e-mail was sent: the person who marked the draft has no e-mail address.")

    def _require_permission(self) -> None:
        if not may(self.model_admin, self.request, "publish"):
            raise MissingRight("publish_edition", _("publish this draft"))

    def _recipients(self, edition: Edition) -> QuerySet[Any]:
        row = hand_over_of(edition)
        return _with_address(get_user_model()._default_manager.filter(pk__in=[row.by_id] if row else []))

    def _refuse_content(self, edition: Edition) -> HttpResponse | None:
        if hand_over_of(edition):
            return None
        sentence = gettext("This draft is not marked as ready to publish. It was not sent back.")
        return self.refuse(edition, sentence, gettext("Its author may have changed it in the meantime."))


def _with_address(users: QuerySet[Any]) -> QuerySet[Any]:
    """Return those of the users who have an e-mail address. The queryset is not evaluated."""
    return EmailChannel().reachable(users)


def _findings(edition: Edition) -> list[Finding]:
    """Return the messages of the lint that the publisher of this draft will read. 1 query, and 1 for its agreement if
    that is not loaded.
    """
    bodies = {code: edition.text(code).body for code in languages.LANGUAGES}
    summaries = {code: edition.text(code).summary for code in languages.LANGUAGES}
    binding = Edition.objects.in_force().filter(agreement=edition.agreement_id).first()
    return lint_findings(bodies, summaries, binding, edition.statements(), cited_clauses(edition.agreement))


def hand_over_of(edition: Edition) -> HandOver | None:
    """Return the row that says that a draft is marked as ready or was sent back; ``None`` if there is none, and for a
    published edition. At most 1 query.
    """
    return None if edition.published_at else getattr(edition, "hand_over", None)


def hand_over_context(edition: Edition) -> dict[str, Any]:
    """Return the template context about the hand-over of a draft: that an author marked it as ready to publish, or that
    a publisher sent it back. ``hand_over`` is the row, ``hand_over_by`` is the name of the user who did it, and
    ``hand_over_at`` is the moment as a phrase. If there is none, and for a published edition, the context has only
    ``hand_over``, which is ``None``. At most 2 queries, if the agreement of the edition is loaded.
    """
    row = hand_over_of(edition)
    if row is None:
        return {"hand_over": None}
    return {
        "hand_over": row,
        "hand_over_by": name_of(row.by),
        "hand_over_at": moment(row.at, edition.agreement.time_zone),
    }


def hand_over_badge(edition: Edition) -> SafeString | str:
    """Return the state of the hand-over for the list of editions, as HTML; ``""`` if there is none."""
    row = hand_over_of(edition)
    if row is None:
        return ""
    return format_html('<span class="agreement-state agreement-{}">{}</span>', row.state, row.get_state_display())


class HandOverFilter(admin.SimpleListFilter):
    """Selects the drafts in one state of the hand-over."""

    title = _("hand-over")
    parameter_name = "hand_over"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, Any]]:
        return list(HandOverState.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() is None:
            return queryset
        return queryset.filter(hand_over__state=self.value(), published_at=None)
