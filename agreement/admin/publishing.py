"""Publishing and cancelling in the admin: a page that asks, then one verb of the edition.

On a POST the agreement's lock is held from the moment an edition is read, so what the page decides on is
still true when the verb runs. A page opened before the draft or the last edition changed is refused.
"""

from __future__ import annotations

from contextlib import nullcontext
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, cast
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import label_for_field, quote, unquote
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ImproperlyConfigured, PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agreement import conf, dates
from agreement.admin.acts import ACTS, may_not
from agreement.admin.comparing import STATED, changed, redlines, said
from agreement.admin.drafts import findings, fingerprint
from agreement.admin.outlook import outlook
from agreement.admin.previews import candidate, proposed, send_test
from agreement.admin.previews import said as notice_words
from agreement.admin.tables import language, moment
from agreement.models import Edition, EditionError
from agreement.models.acts import require_second_person
from agreement.models.editions import State
from agreement.models.refusals import EARLIEST, FARTHEST
from agreement.text import clauses

if TYPE_CHECKING:
    EditionModelAdmin = admin.ModelAdmin[Edition]
else:
    EditionModelAdmin = admin.ModelAdmin


def local_day(at: datetime, zone: str) -> date:
    return at.astimezone(ZoneInfo(zone)).date()


def _mail(edition: Edition, code: str, effective_from: datetime | None) -> tuple[str, str]:
    """Subject and text of the notice, or what keeps it from being written."""
    try:
        words = notice_words(candidate(edition, effective_from), code)
    except (ImproperlyConfigured, ValueError) as error:
        return "", str(error)
    return words.subject, words.text


def _stated(name: str, binding: Edition | None, edition: Edition) -> object:
    """What the draft states, beside what the edition in force does, where they differ: it binds as the words do."""
    value = getattr(edition, name)
    old = getattr(binding, name) if binding and name != "material" else value
    return said(name, value) if old == value else changed(name, old, value)


def local(day: date, clock: time, zone: str) -> datetime:
    """That time of day in the zone. Raises ``ValidationError`` where clocks jump over it or show it twice."""
    first, second = (datetime.combine(day, clock.replace(fold=fold), ZoneInfo(zone)) for fold in (0, 1))
    before, after = first.utcoffset() or timedelta(), second.utcoffset() or timedelta()
    if before == after:
        return first
    params = {"time": f"{day} {clock:%H:%M}", "zone": zone}
    if before > after:
        message = _("%(time)s comes twice in %(zone)s, because the clocks are put back. Name another time.")
        raise ValidationError(message, code="ambiguous_time", params=params)
    message = _("%(time)s does not exist in %(zone)s, because the clocks are put forward. Name another time.")
    raise ValidationError(message, code="nonexistent_time", params=params)


class PublishForm(forms.Form):
    """When a draft is to take effect, and what the page showed when it was opened."""

    NOW = ("now", _("at the moment of publication"))
    LATER = ("at", _("later, at the date and time below"))
    when = forms.ChoiceField(
        label=_("Takes effect"),
        choices=[NOW, LATER],
        widget=forms.RadioSelect,
    )
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
    reason = forms.CharField(
        label=_("Why it takes effect earlier than promised"),
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    warnings = forms.MultipleChoiceField(
        label=_("Warnings"), required=False, widget=forms.CheckboxSelectMultiple(attrs={"class": "agreement-tick"})
    )
    typed = forms.CharField(
        label=_("Confirmation"), required=False, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    after = forms.CharField(required=False, widget=forms.HiddenInput)
    draft = forms.CharField(widget=forms.HiddenInput)

    def __init__(
        self,
        *args: Any,
        edition: Edition,
        binding: Edition | None,
        later: bool,
        warnings: list[dict[str, Any]],
        **kwargs: Any,
    ) -> None:
        """``later``: another edition is still to take effect, and this one can only follow it."""
        super().__init__(*args, **kwargs)
        if later:
            choice = cast("forms.ChoiceField", self.fields["when"])
            choice.choices = [self.LATER]
            choice.initial = "at"
        ticks = cast("forms.MultipleChoiceField", self.fields["warnings"])
        ticks.choices = [
            (warning["key"], " · ".join(filter(None, (warning["place"], warning["sentence"])))) for warning in warnings
        ]
        self.standing = {warning["key"] for warning in warnings}
        self.phrase = edition.agreement.slug
        self.zone = edition.agreement.time_zone
        self.binding = binding
        self.effective_from: datetime | None = None

    def clean(self) -> None:
        when, day, clock = (self.cleaned_data.get(name) for name in ("when", "date", "time"))
        proposal = self.initial.get("date"), self.initial.get("time")
        if when == "now" and (day or clock) and (day, clock) != proposal:
            self.add_error("when", _("A date or time is filled in as well: which of the two is meant?"))
        elif when == "at" and not {"date", "time"} & self.errors.keys():
            if not day or clock is None:
                self.add_error("time" if day else "date", _("Name the date and the time."))
            elif day > timezone.now().date() + FARTHEST:
                self.add_error("date", _("Name a date within the next ten years."))
            else:
                try:
                    self.effective_from = local(day, clock, self.zone)
                except ValidationError as error:
                    self.add_error("time", error)
        self._require_reason(at_once=when == "now")
        # Within the breath nobody has been told, and there is hardly time to take it back.
        soon = self.effective_from and self.effective_from <= timezone.now() + conf.get().NOTICE_DELAY
        self._require_confirmation(at_once=when == "now" or bool(soon))

    def _require_reason(self, *, at_once: bool) -> None:
        """Earlier than the edition in force promises is possible, but somebody says why; it stays in the log."""
        promised = proposed(self.binding, timezone.now())
        moment = timezone.now() if at_once else self.effective_from
        if promised and moment and moment < promised and not self.cleaned_data.get("reason", "").strip():
            self.add_error("reason", _("The edition in force promises more notice: write why this one comes earlier."))

    def _require_confirmation(self, *, at_once: bool) -> None:
        if self.standing - set(self.cleaned_data.get("warnings", ())):
            self.add_error("warnings", _("Tick each warning that is to stand, or go back and mend the draft."))
        if (at_once or self.standing) and self.cleaned_data.get("typed", "").strip() != self.phrase:
            sentence = _("Type %(phrase)s: it binds at once, or warnings stand.")
            self.add_error("typed", ValidationError(sentence, params={"phrase": self.phrase}))


class CancelForm(forms.Form):
    """The edition the page showed, why it is taken back, and that it is meant."""

    reason = forms.CharField(
        label=_("Why it is not to take effect"), max_length=2000, widget=forms.Textarea(attrs={"rows": 3})
    )
    confirm = forms.BooleanField(label=_("This edition is not to take effect."))
    digest = forms.CharField(widget=forms.HiddenInput)


class Publishing(EditionModelAdmin):
    """``…/<id>/publish/`` and ``…/<id>/cancel/``: GET asks and changes nothing, POST acts.

    ``…/<id>/test-mail/`` is posted from the question, and leads back to it.
    """

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.act_view)
        acts = [
            path(f"<path:object_id>/{act}/", view, {"act": act}, name=f"agreement_edition_{act}")
            for act in ("publish", "cancel")
        ]
        mail = self.admin_site.admin_view(self.test_mail_view)
        acts.append(path("<path:object_id>/test-mail/", mail, name="agreement_edition_test_mail"))
        return acts + super().get_urls()

    def may(self, request: HttpRequest, act: str) -> bool:
        return request.user.has_perm(f"agreement.{act}_edition") and self.has_view_permission(request)

    def act_view(self, request: HttpRequest, object_id: str, act: str) -> HttpResponse:
        if request.method not in {"GET", "HEAD", "POST"}:
            return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
        if not self.may(request, act):
            return self._denied_act(request, act)
        with transaction.atomic() if request.method == "POST" else nullcontext():
            edition = self.get_object(request, unquote(object_id))
            if edition is None:
                gone: HttpResponse = self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined]
                return gone
            return self.publish(request, edition) if act == "publish" else self.cancel(request, edition)

    def _denied_act(self, request: HttpRequest, act: str) -> HttpResponse:
        codename = f"{act}_edition"
        [label] = [label for acts in ACTS.values() for name, label in acts if name == codename]
        rights = may_not([(codename, label)]) if self.has_view_permission(request) else []
        sentence = gettext("You may not do this: nothing was changed.")
        hint = gettext("Your permission was taken away, or never given. Ask for it, or leave it to who has it.")
        return self.refuse(request, None, sentence, hint, status=403, rights=rights)

    def publish(self, request: HttpRequest, edition: Edition) -> HttpResponse:
        zone = edition.agreement.time_zone
        if edition.published_at:
            return self.refuse(
                request,
                edition,
                gettext("%(edition)s is published already.") % {"edition": edition},
                gettext("It was published by %(name)s. Nothing was published a second time.")
                % {"name": edition.published_by or "—"},
            )
        if request.method != "POST":
            return self.question(request, edition)
        if outdated := self.outdated(request, edition):
            return outdated
        form, context = self._form(request, edition, request.POST)
        if form.is_valid():
            try:
                by = cast("AbstractBaseUser", request.user)
                reason = form.cleaned_data["reason"].strip()
                edition.publish(effective_from=form.effective_from, by=by, after=request.POST["after"], reason=reason)
            except EditionError as error:
                form.add_error(None, f"{error} {error.hint}")
            else:
                sentence = gettext("Published: %(edition)s. Effective from: %(at)s. SHA-256: %(digest)s")
                values = {"edition": edition, "digest": edition.digest}
                values["at"] = moment(edition.effective_from, zone)
                return self._done(request, edition, sentence % values)
        return self._asked(request, edition, form, context)

    def question(self, request: HttpRequest, edition: Edition) -> HttpResponse:
        """The page that says everything."""
        return self._asked(request, edition, *self._form(request, edition, None))

    def test_mail_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Send the notice to whoever asks, in both languages; then the question is as it was left."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        edition = EditionModelAdmin.get_object(self, request, unquote(object_id))
        if edition is None or edition.published_at or not self.may(request, "publish"):
            raise PermissionDenied
        if outdated := self.outdated(request, edition):
            return outdated
        form, context = self._form(request, edition, None, kept=request.POST)
        if fault := send_test(request, edition, context["chosen"]):
            messages.error(request, fault)
        return self._asked(request, edition, form, context)

    def _asked(
        self, request: HttpRequest, edition: Edition, form: PublishForm, context: dict[str, Any]
    ) -> HttpResponse:
        title = gettext("Publish: %(edition)s") % {"edition": edition}
        return self._ask(request, "publish", edition, form, title=title, **context)

    def outdated(self, request: HttpRequest, edition: Edition) -> HttpResponse | None:
        """Refuse a page that showed another draft, or compared it with another edition, than there is by now."""
        last = Edition.objects.published().binding().filter(agreement=edition.agreement_id).last()
        opened = {"after": last.digest if last else "", "draft": fingerprint(edition)}
        if all(request.POST.get(name) == value for name, value in opened.items()):
            return None
        return self.refuse(
            request,
            edition,
            gettext("Nothing was published: the page was older than the draft or the last edition."),
            gettext("Somebody edited the draft or published another edition. Read both again."),
        )

    def _form(
        self, request: HttpRequest, edition: Edition, posted: Any, kept: Any = None
    ) -> tuple[PublishForm, dict[str, Any]]:
        """The question, and what it is about: 1 query for each edition it names, and those of ``outlook``."""
        zone, now = edition.agreement.time_zone, timezone.now()
        sealed: Any = Edition.objects.published().binding().filter(agreement=edition.agreement_id)
        last = sealed.last()
        binding = Edition.objects.in_force(now).filter(agreement=edition.agreement_id).first()
        scheduled = last if last and last != binding else None
        bodies = {code: edition.text(code).body for code in conf.LANGUAGES}
        summaries = {code: edition.text(code).summary for code in conf.LANGUAGES}
        found = findings(bodies, summaries, binding)
        warnings = [finding for finding in found if finding["severity"] != "error"]
        promised, chosen = proposed(binding, now), None
        initial: dict[str, Any] = {"after": last.digest if last else "", "draft": fingerprint(edition), "when": "now"}
        if earliest := max(filter(None, (promised, scheduled and scheduled.effective_from)), default=None):
            # The first midnight that keeps the promise, and comes after what takes effect before it.
            day = local_day(earliest, zone) + timedelta(days=1)
            initial |= {"when": "at", "date": day, "time": time()}
            chosen = datetime.combine(day, time(), ZoneInfo(zone))
        about: Any = {"edition": edition, "binding": binding, "later": bool(scheduled), "warnings": warnings}
        form = PublishForm(posted or kept, initial=initial, **about)
        if form.is_bound:
            form.is_valid()
            # Days of notice are counted back from it: at the beginning of the calendar there are none.
            chosen = form.effective_from and max(form.effective_from, EARLIEST)
        if kept is not None:  # Not answered yet: nothing is wrong with it.
            initial |= {name: kept.get(name, "") for name in ("when", "date", "time", "reason", "typed")}
            form = PublishForm(initial=initial | {"warnings": kept.getlist("warnings")}, **about)
        problem = None
        try:
            edition.check_texts()
            if conf.get().FOUR_EYES:
                require_second_person(edition, request.user, using=Edition.objects.db)
        except EditionError as error:
            problem = error
        texts = []
        for code in conf.LANGUAGES:
            text = edition.text(code)
            units = clauses.parse(text.body).clauses
            sections = sum(unit.kind == "section" for unit in units)
            texts.append((code, text, len(text.body), sections, len(units) - sections))
        return form, {
            "problem": problem,
            "errors": [finding for finding in found if finding["severity"] == "error"],
            "warned": warnings,
            "texts": texts,
            "parallel": len({clauses.parse(body).numbers for body in bodies.values()}) == 1,
            "stated": [(label_for_field(name, Edition), _stated(name, binding, edition)) for name in STATED],
            "compared": [(one, redlines(one, edition)) for one in (binding, scheduled) if one],
            "binding": binding,
            "binding_from": binding and moment(binding.effective_from, zone),
            "scheduled": scheduled,
            "scheduled_from": scheduled and moment(scheduled.effective_from, zone),
            "proposed": promised and dates.instant(promised, language(), zone),
            "chosen": chosen,
            "outlook": outlook(edition, chosen, binding, exact="exact" in request.GET),
            "zone": f"{dates.zone(now, language(), zone)}, {zone}",
            "now": moment(now, zone),
            "previews": [(code, *_mail(edition, code, chosen)) for code in conf.LANGUAGES],
        }

    def cancel(self, request: HttpRequest, edition: Edition) -> HttpResponse:
        form = CancelForm(request.POST if request.method == "POST" else None, initial={"digest": edition.digest})
        if request.method == "POST" and form.is_valid() and form.cleaned_data["digest"] == edition.digest:
            try:
                by = cast("AbstractBaseUser", request.user)
                edition.cancel(by=by, reason=form.cleaned_data["reason"].strip())
            except EditionError as error:
                return self.refuse(request, edition, str(error), error.hint)
            done = gettext("Cancelled: %(edition)s. It will not take effect.") % {"edition": edition}
            return self._done(request, edition, done)
        state = edition.state()
        if state != State.SCHEDULED:
            sentence = gettext("%(edition)s can't be cancelled: it is %(state)s.")
            hint = gettext("Only an edition that is published and has not taken effect can be cancelled.")
            return self.refuse(request, edition, sentence % {"edition": edition, "state": state.label}, hint)
        return self._ask(
            request,
            "cancel",
            edition,
            form,
            title=gettext("Cancel: %(edition)s") % {"edition": edition},
            effective=moment(edition.effective_from, edition.agreement.time_zone),
            binding=Edition.objects.in_force().filter(agreement=edition.agreement_id).first(),
        )

    def refuse(
        self,
        request: HttpRequest,
        edition: Edition | None,
        sentence: str,
        hint: str,
        *,
        status: int = 409,
        **context: Any,
    ) -> HttpResponse:
        """Say what was not done and what to do instead; ``typed`` is what would be lost otherwise."""
        return self._show(request, "refused", edition, status, title=sentence, hint=hint, **context)

    def _ask(self, request: HttpRequest, act: str, edition: Edition, form: forms.Form, **context: Any) -> HttpResponse:
        return self._show(request, act, edition, 400 if form.is_bound else 200, form=form, **context)

    def _done(self, request: HttpRequest, edition: Edition, sentence: str) -> HttpResponse:
        self.log_change(request, edition, sentence)
        messages.success(request, sentence)
        url = reverse(f"{self.admin_site.name}:agreement_edition_change", args=[quote(edition.pk)])
        return HttpResponseRedirect(url)

    def _show(
        self, request: HttpRequest, page: str, edition: Edition | None, status: int, **context: Any
    ) -> HttpResponse:
        context |= {"opts": self.opts, "media": self.media, "original": edition, "has_view_permission": True}
        template = f"admin/agreement/edition/{page}.html"
        return TemplateResponse(request, template, self.admin_site.each_context(request) | context, status=status)
