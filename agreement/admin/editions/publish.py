"""The page that publishes a draft. It asks first, then calls one method of the edition. A second view sends test mails.
The page that publishes and the page that cancels post to it. It changes no edition.

When the form that publishes is posted, the agreement is locked, and then the draft is read again.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

from django import forms
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import gettext, pgettext
from django.utils.translation import gettext_lazy as _

from agreement import conf
from agreement.admin.base import moment
from agreement.admin.editions.cancel import CancelView
from agreement.admin.editions.compare import LanguageRedline, changes_html, redlines
from agreement.admin.editions.decision import DecisionView, TestMailForm
from agreement.admin.editions.draft import Finding, lint_findings
from agreement.admin.editions.fields import STATED_FIELDS, fingerprint, label, stated_in_words
from agreement.admin.editions.forecast import sending_forecast
from agreement.admin.editions.hand_over import hand_over_context
from agreement.admin.editions.page import EditionView, may
from agreement.admin.editions.preview import as_published, promised_from
from agreement.conf import active_language
from agreement.editions.changes import message_language
from agreement.editions.template_citations import cited_clauses
from agreement.models import AcceptanceMode, Edition, EditionError, NoticeKind
from agreement.models.audit import name_of
from agreement.models.publishing import MAX_AHEAD, require_second_person
from agreement.text import clauses, dates, languages
from agreement.text.redline.sentences import counted

#: The parts of the page that depend on the moment: the id of each → its template.
PARTS = {
    "agreement-accept-by": "accept_by",
    "agreement-forecast": "forecast",
    "agreement-letters": "letters",
    "agreement-last-words": "last_words",
    "agreement-publish": "publish_row",
}


def local_day(at: datetime, zone: str) -> date:
    """Return the date of an instant in the time zone."""
    return at.astimezone(ZoneInfo(zone)).date()


def local(day: date, clock: time, zone: str) -> datetime:
    """Return the instant of a date and time of day in the time zone. Raises ``ValidationError`` if it does not exist or
    occurs twice, because the clocks are changed.
    """
    first, second = (datetime.combine(day, clock.replace(fold=fold), ZoneInfo(zone)) for fold in (0, 1))
    before, after = first.utcoffset() or timedelta(), second.utcoffset() or timedelta()
    if before == after:
        return first
    params = {"time": f"{day} {clock:%H:%M}", "zone": zone}
    if before > after:
        message = _("%(time)s occurs twice in %(zone)s, because the clocks are turned back. Choose another time.")
        raise ValidationError(message, code="ambiguous_time", params=params)
    message = _("%(time)s does not exist in %(zone)s, because the clocks are turned forward. Choose another time.")
    raise ValidationError(message, code="nonexistent_time", params=params)


def _iso(at: datetime | None) -> str:
    return at.isoformat() if at else ""


def _changed(changes: list[LanguageRedline]) -> str:
    """Return a sentence about how much changed. ``changes`` has one item for each language. If their sentences differ,
    return all of them, each after the name of its language.
    """
    names = {"kk": gettext("Kazakh"), "ru": gettext("Russian")}
    sentences = {change.summary for change in changes}
    if len(sentences) == 1:
        return sentences.pop()
    return " ".join(f"{names[one.code]} – {one.summary[0].lower()}{one.summary[1:]}" for one in changes)


class MomentForm(forms.Form):
    """The form for a date and a time of day in the time zone ``zone``. After validation, ``effective_from`` is that
    moment; ``None`` if the form is not valid. A moment in the past, or on a day further in the future than
    ``MAX_AHEAD``, is not valid.
    """

    date = forms.DateField(
        label=_("Date"),
        required=False,
        input_formats=["%Y-%m-%d"],
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
    )
    time = forms.TimeField(
        label=_("Time"),
        required=False,
        input_formats=["%H:%M", "%H:%M:%S"],
        widget=forms.TimeInput(format="%H:%M", attrs={"type": "time"}),
    )

    def __init__(self, *args: Any, zone: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.zone = zone
        self.effective_from: datetime | None = None

    def clean(self) -> None:
        if not {"date", "time"} & self.errors.keys():
            self.clean_moment()

    def clean_moment(self) -> None:
        """Set ``effective_from``, or add an error to one of the two fields."""
        day, clock = self.cleaned_data.get("date"), self.cleaned_data.get("time")
        if not day or clock is None:
            self.add_error("time" if day else "date", _("Enter the date and the time."))
        elif day > timezone.now().date() + MAX_AHEAD:
            self.add_error("date", _("Enter a date within the next ten years."))
        else:
            try:
                at = local(day, clock, self.zone)
            except ValidationError as error:
                self.add_error("time", error)
                return
            # Otherwise the form would first ask for the reason and the confirmation of a moment that is refused.
            if at < timezone.now():
                sentence = _("%(effective_from)s is in the past: an edition can't take effect before it is published.")
                self.add_error("date", sentence % {"effective_from": moment(at, self.zone)})
            else:
                self.effective_from = at


class PublishForm(MomentForm):
    """The form that asks when a draft is to take effect. After validation, ``effective_from`` is the chosen moment;
    ``None`` if the answer is "now", or if there is no valid moment (:class:`MomentForm`).

    Every warning must be ticked. A reason is required if the draft takes effect earlier than the edition in force
    promises. ``phrase`` is a word in the language of the page. It must be typed as the confirmation if the draft has
    warnings, or if it takes effect now or within ``NOTICE_DELAY``, the time that a notice waits after a publication.

    Two hidden fields identify what the page displayed: ``draft`` is the fingerprint of the draft, and ``after`` is the
    digest of the last edition that was not cancelled (``""``: there is none). The form does not compare them with the
    database; the view does.
    """

    NOW = ("now", _("at the moment of publication"))
    LATER = ("at", _("later, at the date and time below"))
    when = forms.ChoiceField(
        label=_("Takes effect"),
        choices=[NOW, LATER],
        widget=forms.RadioSelect,
    )
    reason = forms.CharField(
        label=_("Why it takes effect before the notice period ends"),
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    warnings = forms.MultipleChoiceField(
        label=_("Warnings"), required=False, widget=forms.CheckboxSelectMultiple(attrs={"class": "agreement-tick"})
    )
    confirmation = forms.CharField(
        label=_("Confirmation"), required=False, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    after = forms.CharField(required=False, widget=forms.HiddenInput)
    draft = forms.CharField(widget=forms.HiddenInput)
    field_order = ["when", "date", "time"]

    def __init__(
        self,
        *args: Any,
        edition: Edition,
        binding: Edition | None,
        scheduled: bool,
        warnings: list[Finding],
        **kwargs: Any,
    ) -> None:
        """``edition`` is the draft. ``binding`` is the edition in force; ``None`` if there is none. ``scheduled`` means
        that another edition is scheduled, so this one can't take effect at once. ``warnings`` are the findings that the
        publisher must tick.
        """
        super().__init__(*args, zone=edition.agreement.time_zone, **kwargs)
        if scheduled:
            choice = cast("forms.ChoiceField", self.fields["when"])
            choice.choices = [self.LATER]
            choice.initial = "at"
        ticks = cast("forms.MultipleChoiceField", self.fields["warnings"])
        ticks.choices = [
            (warning.key, " · ".join(filter(None, (warning.place, warning.sentence)))) for warning in warnings
        ]
        self.warning_keys = {warning.key for warning in warnings}
        self.hints = [warning.hint for warning in warnings]
        # In Kazakh and Russian it has only letters that both keyboards have.
        self.phrase = pgettext("a word to type", "publish")
        self.binding = binding

    @property
    def ticks(self) -> list[tuple[forms.boundfield.BoundWidget, str]]:
        """The box of each warning, with the hint that says what can be done about it."""
        return list(zip(self["warnings"], self.hints, strict=True))

    def clean(self) -> None:
        when = self.cleaned_data.get("when")
        if when == "now":
            self._clean_now()
        elif when == "at" and not {"date", "time"} & self.errors.keys():
            self.clean_moment()
        self._require_reason(at_once=when == "now")
        # No user is notified before the notice delay is over, and then there is little time to cancel.
        soon = self.effective_from and self.effective_from <= timezone.now() + conf.get().NOTICE_DELAY
        self._require_confirmation(at_once=when == "now" or bool(soon))

    def _clean_now(self) -> None:
        answer = self.cleaned_data.get("date"), self.cleaned_data.get("time")
        proposal = self.initial.get("date"), self.initial.get("time")
        if any(answer) and answer != proposal:
            self.add_error("when", _("You also entered a date or a time. Clear it, or choose the later moment."))

    def _require_reason(self, *, at_once: bool) -> None:
        """Add an error if there is no reason, although the edition takes effect earlier than the edition in force
        promises. With ``at_once`` it takes effect now, otherwise at the moment that the form contains; without a
        valid one, no error is added.
        """
        promised = promised_from(self.binding, timezone.now())
        moment = timezone.now() if at_once else self.effective_from
        if promised and moment and moment < promised and not self.cleaned_data.get("reason", "").strip():
            self.add_error(
                "reason",
                _("The edition in force requires a longer notice period. Write why this edition takes effect earlier."),
            )

    def _require_confirmation(self, *, at_once: bool) -> None:
        if self.warning_keys - set(self.cleaned_data.get("warnings", ())):
            self.add_error(
                "warnings",
                _("Tick each warning that should not stop the publication, or go back and correct the draft."),
            )
        confirmed = self.cleaned_data.get("confirmation", "").strip(' «»“”"').casefold() == self.phrase
        if (at_once or self.warning_keys) and not confirmed:
            sentence = _("Type %(phrase)s to confirm: the edition takes effect immediately, or it has warnings.")
            self.add_error("confirmation", ValidationError(sentence, params={"phrase": self.phrase}))


class PublishQuestion:
    """What the page of publication displays about the draft ``edition``, and its form.

    ``last`` is the last published edition that was not cancelled, ``binding`` the edition in force, and ``scheduled``
    is ``last`` if it is not in force yet; each is ``None`` if there is none. ``findings`` are those of the lint, and
    ``warnings`` those of them that are not errors. ``promised`` is the end of the promised notice period, counted from
    now; ``None`` if none is promised.

    Creating an object takes at most 3 queries, if the agreement of the draft is loaded.
    """

    def __init__(self, edition: Edition) -> None:
        self.edition, self.zone, self.now = edition, edition.agreement.time_zone, timezone.now()
        published = Edition.objects.published().binding().filter(agreement=edition.agreement_id)
        self.last = published.last()
        self.binding = Edition.objects.in_force(self.now).filter(agreement=edition.agreement_id).first()
        self.scheduled = self.last if self.last and self.last != self.binding else None
        self.bodies = {code: edition.text(code).body for code in languages.LANGUAGES}
        summaries = {code: edition.text(code).summary for code in languages.LANGUAGES}
        cited = cited_clauses(edition.agreement)
        self.findings = lint_findings(self.bodies, summaries, self.binding, edition.statements(), cited)
        self.warnings = [finding for finding in self.findings if finding.severity != "error"]
        self.promised = promised_from(self.binding, self.now)

    @property
    def proposed(self) -> datetime | None:
        """The proposed moment: the first midnight, in the time zone of the agreement, that comes after the promised
        notice period and after a scheduled edition takes effect. ``None``, which means now, if no notice is promised
        and no edition is scheduled.
        """
        follows = self.scheduled.effective_from if self.scheduled else None
        earliest = max((at for at in (self.promised, follows) if at), default=None)
        if earliest is None:
            return None
        return datetime.combine(local_day(earliest, self.zone) + timedelta(days=1), time(), ZoneInfo(self.zone))

    def form(self, answer: QueryDict | None = None) -> PublishForm:
        """Return the form, bound to the posted answer if there is one. An unbound form contains the proposed moment, or
        "now" if none is proposed.
        """
        return self._form(answer, initial=self._initial())

    def form_again(self, answer: QueryDict) -> PublishForm:
        """Return an unbound form with the posted values, so that it displays no errors. The two hidden fields get the
        present values instead.
        """
        names = ("when", "date", "time", "reason", "confirmation")
        initial = self._initial() | {name: answer.get(name, "") for name in names}
        return self._form(initial=initial | {"warnings": answer.getlist("warnings")})

    def _form(self, answer: QueryDict | None = None, *, initial: dict[str, Any]) -> PublishForm:
        return PublishForm(
            answer,
            initial=initial,
            edition=self.edition,
            binding=self.binding,
            scheduled=bool(self.scheduled),
            warnings=self.warnings,
        )

    def _initial(self) -> dict[str, Any]:
        opened = {"after": self.last.digest if self.last else "", "draft": fingerprint(self.edition)}
        if proposed := self.proposed:
            return {**opened, "when": "at", "date": proposed.date(), "time": proposed.time()}
        return {**opened, "when": "now"}

    def chosen(self, form: PublishForm) -> datetime | None:
        """Return the moment that the user chose, even if other fields of the form are invalid. ``None`` means now, or
        that the form contains no valid moment.
        """
        form.is_valid()
        return form.effective_from

    def moment_context(self, chosen: datetime | None, request: HttpRequest, *, count: bool) -> dict[str, object]:
        """Return the part of the template context that depends on the moment, for an edition that takes effect at the
        chosen one (``None``: now). ``count`` means that all users are counted if their number is not known.
        """
        replaced = self.scheduled or self.binding
        return {
            "original": self.edition,
            "replaced": replaced,
            "changed": _changed(redlines(replaced, self.edition)) if replaced else "",
            "accept_by": self._accept_by(chosen),
            "chosen": chosen,
            "publisher": name_of(request.user),
            "forecast": sending_forecast(self.edition, chosen, self.binding, count=count),
        }

    def context(
        self, form: PublishForm, chosen: datetime | None, request: HttpRequest, *, count: bool
    ) -> dict[str, object]:
        """Return the template context. The parameters are those of :meth:`moment_context`, which is a part of it."""
        binding, scheduled = self.binding, self.scheduled
        compared = [(other, redlines(other, self.edition)) for other in (binding, scheduled) if other]
        return {
            "form": form,
            "problem": self._problem(cast("AbstractBaseUser", request.user)),
            "errors": [finding for finding in self.findings if finding.severity == "error"],
            "warnings": self.warnings,
            "texts": [self._text_facts(code) for code in languages.LANGUAGES],
            "parallel": len({clauses.parse(body).numbers for body in self.bodies.values()}) == 1,
            "stated": [(label(name), self._stated(name)) for name in STATED_FIELDS],
            "compared": compared,
            "binding": binding,
            "binding_from": binding and moment(binding.effective_from, self.zone, seconds=False),
            "scheduled": scheduled,
            "scheduled_from": scheduled and moment(scheduled.effective_from, self.zone, seconds=False),
            "promised": self.promised and moment(self.promised, self.zone, seconds=False),
            "zone": f"{dates.zone(self.now, active_language(), self.zone)}, {self.zone}",
            "now": moment(self.now, self.zone, seconds=False),
            **self.moment_context(chosen, request, count=count),
        }

    def _accept_by(self, effective_from: datetime | None) -> str:
        """Return the end, in words, of the days to accept that the draft gives to users who have accepted the edition
        in force, if it takes effect at ``effective_from`` (``None``: now): the last day or, if it does not end at
        midnight, the moment. ``""`` if it gives none: it has no ``grace_days`` or changes only the wording, no edition
        is in force, or the agreement is not accepted by confirmation.
        """
        edition, by_confirmation = self.edition, AcceptanceMode.BY_CONFIRMATION
        asks = edition.material and self.binding and edition.agreement.acceptance_mode == by_confirmation
        if not (asks and edition.grace_days):
            return ""
        until = (effective_from or self.now) + timedelta(days=edition.grace_days)
        return dates.last_day(until, active_language(), self.zone)

    def _problem(self, user: AbstractBaseUser) -> EditionError | None:
        """Return why this user can't publish this draft: its texts are refused, or ``FOUR_EYES`` requires another
        person. If both are true, it is about the texts. ``None`` if neither is; other reasons are not checked.
        """
        try:
            self.edition.check_texts()
            if conf.get().FOUR_EYES:
                require_second_person(self.edition, user, using=Edition.objects.db)
        except EditionError as error:
            return error
        return None

    def _text_facts(self, code: str) -> tuple[str, object, int, str]:
        """Return the language, the texts of the draft in it, the number of characters of the body, and how many
        sections, clauses, sub-clauses and appendices it has, in words.
        """
        text = self.edition.text(code)
        return code, text, len(text.body), counted(clauses.parse(text.body).clauses, message_language())

    def _stated(self, name: str) -> object:
        """Return the value of a field of the draft as the page displays it. If the edition in force has another value,
        return the HTML of the difference; ``material`` is never compared.
        """
        value = getattr(self.edition, name)
        old = getattr(self.binding, name) if self.binding and name != "material" else value
        return stated_in_words(name, value) if old == value else changes_html(name, old, value)


class PublishView(DecisionView):
    """``…/<id>/publish/``: the page with the facts about the draft and the form that publishes it. If its texts are
    refused, or another person must publish it, the page states this, and has no form. If the edition is published
    already, the page refuses with the status 409. A POST is refused in the same way if the draft, or the last edition
    that was not cancelled, has changed since the page was opened. If the form is not valid, or the publication is
    refused, the page is displayed again with the status 400. So it is if the user chose another moment than the letter
    above the button states; the posted field ``letter`` has the moment of the letter. The letter then says so, and has
    the focus. After the publication the response is a redirect to the edition.

    If the users of a channel would have to be counted one by one (:func:`sending_forecast`), the page has no numbers of
    users, and no button that publishes. They are on ``…/publish/?count``, to which the page links.

    With the parameter ``when``, a script asks for what another moment changes on the page. The response is JSON:
    ``errors`` are the errors of this moment by field. If there are none, ``letter`` is the moment, and ``parts`` has
    the HTML of the parts of the page by their ids (``PARTS``); with ``count`` as well, they have the numbers of users.
    """

    action = "publish"
    kind = NoticeKind.PUBLISHED

    def ask(self, edition: Edition) -> HttpResponse:
        if edition.published_at:
            return self._refuse_published(edition)
        question = PublishQuestion(edition)
        if "when" in self.request.GET:
            return self._state_moment(question)
        return self.show(question, question.form(), question.proposed)

    def _state_moment(self, question: PublishQuestion) -> HttpResponse:
        form = question.form(self.request.GET)
        chosen = question.chosen(form)
        fields = ("when", "date", "time")
        errors = {name: [str(error) for error in form.errors[name]] for name in fields if name in form.errors}
        answer: dict[str, object] = {"errors": errors}
        if not errors:
            published = as_published(question.edition, chosen)
            context = {
                **question.moment_context(chosen, self.request, count="count" in self.request.GET),
                "opts": self.model_admin.opts,
                "mail": "mail",
                "page": "page",
                "previews": self.previews(published),
            }
            answer["letter"] = _iso(chosen)
            answer["parts"] = {
                name: render_to_string(f"admin/agreement/edition/{template}.html", context, request=self.request)
                for name, template in PARTS.items()
            }
        return JsonResponse(answer, headers={"Cache-Control": "private, no-store"})

    def carry_out(self, edition: Edition) -> HttpResponse:
        if edition.published_at:
            return self._refuse_published(edition)
        if outdated := self.refuse_outdated(edition):
            return outdated
        question = PublishQuestion(edition)
        form = question.form(self.request.POST)
        chosen = question.chosen(form)
        again = form.is_valid() and self.request.POST.get("letter", _iso(chosen)) != _iso(chosen)
        if form.is_valid() and not again:
            try:
                edition.publish(
                    effective_from=form.effective_from,
                    by=cast("AbstractBaseUser", self.request.user),
                    compared_with=self.request.POST["after"],
                    reason=form.cleaned_data["reason"].strip(),
                )
            except EditionError as error:
                form.add_error(None, f"{error} {error.hint}")
            else:
                sentence = gettext("Published: %(edition)s. Effective from: %(at)s. SHA-256: %(digest)s")
                at = moment(edition.effective_from, question.zone, seconds=False)
                return self.done(edition, sentence % {"edition": edition, "digest": edition.digest, "at": at})
        return self.show(question, form, chosen, again=again)

    def test(self, edition: Edition) -> HttpResponse:
        if edition.published_at:
            return self._refuse_published(edition)
        if outdated := self.refuse_outdated(edition):
            return outdated
        question = PublishQuestion(edition)
        chosen = question.chosen(question.form(self.request.POST))
        tests = self.send_tests(as_published(edition, chosen))
        return self.show(question, question.form_again(self.request.POST), chosen, tests)

    def show(
        self,
        question: PublishQuestion,
        form: PublishForm,
        chosen: datetime | None,
        tests: TestMailForm | None = None,
        *,
        again: bool = False,
    ) -> HttpResponse:
        """Return the page for an edition that takes effect at the ``chosen`` moment (``None``: now). The status is 400
        if the form is bound, because a bound form is displayed only if it was refused. ``tests`` is the posted form for
        test mails, if there is one. ``again``: was it refused only because the letter stated another moment?
        """
        count = self.request.method == "POST" or "count" in self.request.GET
        return self.render(
            "publish",
            status=400 if form.is_bound else 200,
            again=again,
            title=gettext("Publish: %(edition)s") % {"edition": question.edition},
            **question.context(form, chosen, self.request, count=count),
            **self.letter_context(as_published(question.edition, chosen), tests),
            **hand_over_context(question.edition),
        )

    def refuse_outdated(self, edition: Edition) -> HttpResponse | None:
        """Return a page that refuses the POST, if the contents of the draft, or the last edition that was not
        cancelled, are not what the page displayed; otherwise ``None``.
        """
        last = Edition.objects.published().binding().filter(agreement=edition.agreement_id).last()
        current = {"after": last.digest if last else "", "draft": fingerprint(edition)}
        if all(self.request.POST.get(name) == value for name, value in current.items()):
            return None
        return self.refuse(
            edition,
            gettext("Nothing was published: the page that you opened is outdated."),
            gettext(
                "Somebody edited the draft, or published or cancelled another edition. Read the draft and its changes"
                " again."
            ),
        )

    def _refuse_published(self, edition: Edition) -> HttpResponse:
        hint = gettext("It was published by %(name)s. Nothing was published a second time.")
        return self.refuse(
            edition,
            gettext("%(edition)s is published already.") % {"edition": edition},
            hint % {"name": edition.published_by or "—"},
        )


class TestMailView(EditionView):
    """``…/<id>/test-mail/``: on POST from the page of publication or of cancellation, mails the notice, in both
    languages, to the chosen staff users. Then it displays the page again, with the answers and a message about the
    outcome. The form of the page of cancellation has the field ``digest``, and the other has not.

    A GET is not allowed. Raises ``PermissionDenied`` if there is no such edition, or if the user may not do what the
    page does. If the edition was published, cancelled or took effect since the page was opened, or if the draft or the
    last edition that was not cancelled has changed, nothing is sent, and the response is a page that refuses.
    """

    http_method_names = ["post"]

    def post(self, request: HttpRequest, object_id: str) -> HttpResponse:
        # The state of the edition may have changed since the page was opened.
        page: type[DecisionView] = CancelView if "digest" in request.POST else PublishView
        edition = self.find(object_id)
        if edition is None or not may(self.model_admin, request, page.action):
            raise PermissionDenied
        view = page(model_admin=self.model_admin)
        view.setup(request, object_id)
        return view.test(edition)
