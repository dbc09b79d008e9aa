"""Joining as part of another form: a checkbox, and what was shown beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django import forms
from django.db import transaction
from django.http import HttpRequest, QueryDict
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from agreement import conf, consents, gate, origin
from agreement.models import Acceptance, Edition
from agreement.models.acceptances import Origin
from agreement.shown import Shown, frame


class JoiningFormMixin(forms.BaseForm):
    """Put before the form that makes a user: ``class SignUp(JoiningFormMixin, UserCreationForm)``.

    It asks about every agreement in force that users join, or about those of ``agreements`` (slugs), and, apart from
    them, for the consents to data of ``CONSENTS``. What is answered is written in the transaction that writes the user.
    Another edition in force by then is an error of the form, which then shows the new text, unticked. Works with any
    form whose ``save()`` gives the user, django-allauth's too; after ``save(commit=False)`` call ``join(user)``
    yourself.
    """

    agreements: tuple[str, ...] = ()
    #: Set it to record the address and browser, where the site records them.
    request: HttpRequest | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        now, timelines = timezone.now(), gate.fresh().agreements
        self.editions: dict[str, Shown] = {}
        for slug in self.agreements or [slug for slug, each in timelines.items() if each.joining != "apart"]:
            edition = timelines[slug].in_force(now) if slug in timelines else None
            if edition:
                whole = Edition.objects.select_related("agreement").get(pk=edition.pk)
                self.editions[slug] = Shown.of(whole, timelines[slug], now)
        for slug, shown in self.editions.items():
            hidden = {"edition": str(shown.edition.number), "digest": shown.edition.digest, "language": shown.language}
            for name, value in hidden.items():
                self.fields[f"{name}_{slug}"] = forms.CharField(
                    initial=value, widget=forms.HiddenInput, required=False, max_length=64
                )
            self.fields[f"accept_{slug}"] = forms.BooleanField(
                label=_("I accept the terms: %(title)s, edition %(number)s")
                % {"title": shown.title, "number": shown.edition.number},
                help_text=render_to_string("agreement/beside_form.html", {"shown": shown}),
                error_messages={"required": gettext_lazy("Without joining the agreement there is no account.")},
            )

        language = frame() if frame() in conf.LANGUAGES else conf.LANGUAGES[0]
        for purpose in consents.asked(language):
            self.fields[f"consent_digest_{purpose.name}"] = forms.CharField(
                initial=purpose.digest, widget=forms.HiddenInput, required=False, max_length=64
            )
            self.fields[f"consent_{purpose.name}"] = forms.BooleanField(label=purpose.text, required=False)

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        self._check_consents()
        for slug, shown in self.editions.items():
            names = {name: self.add_prefix(f"{name}_{slug}") for name in ("accept", "edition", "digest", "language")}
            posted = {name: self.data.get(field) for name, field in names.items()}
            language = posted["language"] if posted["language"] in conf.LANGUAGES else shown.language
            self.editions[slug] = replace(shown, language=str(language))
            if (posted["edition"], posted["digest"]) == (str(shown.edition.number), shown.edition.digest):
                continue
            self._show_anew(names, shown)
            self.add_error(
                f"accept_{slug}",
                forms.ValidationError(
                    _("Another edition is in force now: read it, then accept it."), code="stale_edition"
                ),
            )
        return cleaned

    def _check_consents(self) -> None:
        """Words changed since the form was shown are an error, shown anew and unticked."""
        for name in conf.get().CONSENTS:
            fields = [self.add_prefix(f"consent_{name}"), self.add_prefix(f"consent_digest_{name}")]
            if self.data.get(fields[0]) and not consents.known(name, str(self.data.get(fields[1]))):
                data: Any = self.data.copy() if isinstance(self.data, QueryDict) else dict(self.data)
                data.pop(fields[0], None)
                data[fields[1]] = self.fields[f"consent_digest_{name}"].initial
                self.data = data
                self.add_error(f"consent_{name}", consents.Reworded())

    def save(self, *args: Any, **kwargs: Any) -> Any:
        with transaction.atomic():
            user = super().save(*args, **kwargs)  # type: ignore[misc]
            if not user._state.adding:
                self.join(user)
        return user

    def join(self, user: Any) -> None:
        """Record that the user accepted what the form showed, and consented to what he ticked. Raises
        :class:`~agreement.models.Stale`, which the middleware answers by 409.
        """
        for shown in self.editions.values():
            Acceptance.objects.record(
                user=user,
                edition=shown.edition,
                digest=shown.edition.digest,
                language=shown.language,
                kind=Acceptance.Kind.EXPLICIT,
                origin=origin.of(self.request) if self.request else Origin(),
            )
        ticked = [name for name in conf.get().CONSENTS if self.cleaned_data.get(f"consent_{name}")]
        consents.give(user, [(name, self.data[self.add_prefix(f"consent_digest_{name}")]) for name in ticked])

    def _show_anew(self, names: dict[str, str], shown: Shown) -> None:
        """Fill the form's hidden fields with the edition it shows now, and untick its box."""
        data: Any = self.data.copy() if isinstance(self.data, QueryDict) else dict(self.data)
        data.pop(names["accept"], None)
        data[names["edition"]], data[names["digest"]] = str(shown.edition.number), shown.edition.digest
        data[names["language"]] = shown.language
        self.data = data
