"""Acceptance as part of a form that creates a user: a checkbox for each agreement, and hidden fields that state which
edition was displayed beside it. The form also asks for the consents of the setting ``CONSENTS``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, QueryDict
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from agreement import conf
from agreement.acceptance import consents, requests
from agreement.acceptance.impersonation import current_impersonation
from agreement.editions import timeline
from agreement.editions.display import DisplayedEdition, text_language
from agreement.models import Acceptance, AcceptanceKind, AcceptanceMode, Edition
from agreement.models.acceptances import RequestDetails
from agreement.models.fields import SiteUser
from agreement.text import languages

__all__ = ["AcceptanceFormMixin"]

#: The template of a checkbox: the box and its words in one line, then the text that it is about.
FIELD_TEMPLATE = "agreement/partials/acceptance_field.html"
NOT_IN_ANOTHERS_NAME = gettext_lazy(
    "You are acting in the name of another user. Only the user can accept an agreement."
)


class AcceptanceFormMixin(forms.BaseForm):
    """Adds acceptance to a form that creates a user: ``class SignUp(AcceptanceFormMixin, UserCreationForm)``.

    The form asks about every agreement that users accept on this site, or about those of ``agreements`` (slugs), as far
    as they have an edition in force. An agreement with an audience of its own (the setting ``AUDIENCES``) is asked
    about only if it is named, because the form can't know whether the new user will be in its audience. Each has a
    checkbox that must be ticked, unless ``optional_agreements`` names it. The form also asks for each consent of the
    setting ``CONSENTS``, by a checkbox of its own that may stay empty.

    The form has an error if another edition than the displayed one is in force when the form is posted, unless the
    agreement is optional and its checkbox is not ticked. It also has one if the words of a ticked consent have changed.
    It then displays the new text, and the checkbox of this agreement or consent is not ticked. ``save()`` records the
    answers in the transaction that saves the user; :meth:`accept` says what it raises.

    The mixin works with any form whose ``save()`` returns the user, also with that of django-allauth. If ``save()``
    returns a user that is not stored yet, as with ``commit=False``, nothing is recorded: save the user, then call
    ``accept(user)`` yourself. Set the attribute ``request`` if the site records the IP address and the browser.
    """

    #: The slugs of the agreements that the form asks about. Empty: all that users accept on this site (all but those
    #: accepted elsewhere) and that bind every user.
    agreements: tuple[str, ...] = ()
    #: The slugs of those of these agreements that a user may leave unaccepted. An empty checkbox records nothing, and
    #: the account and the other acceptances are recorded all the same.
    optional_agreements: tuple[str, ...] = ()
    #: The request of the form. Set it if the site records the IP address and the browser; without it they are empty.
    #: Set it before the form is checked if officers can act in the name of a user; the form then has an error.
    request: HttpRequest | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        now, timelines = timezone.now(), timeline.fresh_timelines().agreements
        self.editions: dict[str, DisplayedEdition] = {}
        for slug in self.agreements or [
            slug
            for slug, one in timelines.items()
            if one.acceptance_mode != AcceptanceMode.ELSEWHERE and slug not in conf.get().AUDIENCES
        ]:
            edition = timelines[slug].in_force(now) if slug in timelines else None
            if edition:
                whole = Edition.objects.select_related("agreement").get(pk=edition.pk)
                self.editions[slug] = DisplayedEdition.from_timeline(whole, timelines[slug], now)
        for slug, displayed in self.editions.items():
            hidden = {
                "edition": str(displayed.edition.number),
                "digest": displayed.edition.digest,
                "language": displayed.language,
            }
            for name, value in hidden.items():
                self.fields[f"{name}_{slug}"] = forms.CharField(
                    initial=value, widget=forms.HiddenInput, required=False, max_length=64
                )
            self.fields[f"accept_{slug}"] = forms.BooleanField(
                label=_("I accept the terms: %(title)s, edition %(number)s")
                % {"title": displayed.title, "number": displayed.edition.number},
                help_text=render_to_string("agreement/partials/acceptance_field_help.html", {"displayed": displayed}),
                required=slug not in self.optional_agreements,
                error_messages={"required": gettext_lazy("You must accept the agreement to create an account.")},
                template_name=FIELD_TEMPLATE,
            )

        language = text_language()
        for purpose in consents.purposes(language):
            self.fields[f"consent_digest_{purpose.name}"] = forms.CharField(
                initial=purpose.digest, widget=forms.HiddenInput, required=False, max_length=64
            )
            self.fields[f"consent_{purpose.name}"] = forms.BooleanField(
                label=purpose.words.sentence,
                help_text=render_to_string("agreement/partials/consent_parts.html", {"consent": purpose}).strip(),
                required=False,
                template_name=FIELD_TEMPLATE,
            )

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if self.request and current_impersonation(self.request):
            self.add_error(None, forms.ValidationError(NOT_IN_ANOTHERS_NAME, code="impersonation"))
        self._check_consents()
        for slug, displayed in self.editions.items():
            names = {name: self.add_prefix(f"{name}_{slug}") for name in ("accept", "edition", "digest", "language")}
            posted = {name: self.data.get(field) for name, field in names.items()}
            language = posted["language"] if posted["language"] in languages.LANGUAGES else displayed.language
            self.editions[slug] = replace(displayed, language=str(language))
            if (posted["edition"], posted["digest"]) == (str(displayed.edition.number), displayed.edition.digest):
                continue
            if slug in self.optional_agreements and not posted["accept"]:  # Nothing is recorded of it.
                continue
            values = {
                "edition": str(displayed.edition.number),
                "digest": displayed.edition.digest,
                "language": displayed.language,
            }
            self._replace_posted(names["accept"], {names[name]: value for name, value in values.items()})
            self.add_error(
                f"accept_{slug}",
                forms.ValidationError(
                    _("Another edition is in force now. Read it, then accept it."), code="stale_edition"
                ),
            )
        return cleaned

    def _check_consents(self) -> None:
        """Add an error for each ticked consent whose words have changed since the form was displayed. The form then
        displays the new words, with the checkbox unticked.
        """
        for name in conf.get().CONSENTS:
            tick, digest = self.add_prefix(f"consent_{name}"), self.add_prefix(f"consent_digest_{name}")
            if self.data.get(tick) and not consents.purpose_with_digest(name, str(self.data.get(digest))):
                self._replace_posted(tick, {digest: self.fields[f"consent_digest_{name}"].initial})
                self.add_error(f"consent_{name}", consents.StaleWording())

    def save(self, *args: Any, **kwargs: Any) -> SiteUser:
        with transaction.atomic():
            user: SiteUser = super().save(*args, **kwargs)  # type: ignore[misc]  # The form after this mixin has it.
            if not user._state.adding:
                self.accept(user)
        return user

    def accept(self, user: SiteUser) -> None:
        """Record that the user, who must be stored, accepted the displayed editions by confirmation, without optional
        ones that they did not tick, and gave the consents that they ticked. The form must be valid. Call this inside a
        transaction, so that an error leaves nothing behind.

        Raises :class:`~agreement.models.StaleEditionError` if another edition took effect after the form was checked.
        The middleware turns this error into a response with the status 409. Raises
        :class:`~agreement.models.WithdrawnError` if the user withdrew and may not accept again, ``StaleWording`` if the
        words of a ticked consent were changed after the form was checked, and ``PermissionDenied`` if ``request`` is
        set and somebody acts in the name of its user.
        """
        if self.request and current_impersonation(self.request):
            raise PermissionDenied(NOT_IN_ANOTHERS_NAME)
        for slug, displayed in self.editions.items():
            if not self.cleaned_data.get(f"accept_{slug}"):  # It is optional: the form would not be valid otherwise.
                continue
            Acceptance.objects.record(
                user=user,
                edition=displayed.edition,
                digest=displayed.edition.digest,
                language=displayed.language,
                kind=AcceptanceKind.EXPLICIT,
                request_details=requests.request_details(self.request) if self.request else RequestDetails(),
            )
        ticked = [name for name in conf.get().CONSENTS if self.cleaned_data.get(f"consent_{name}")]
        consents.give(user, [(name, self.data[self.add_prefix(f"consent_digest_{name}")]) for name in ticked])

    def _replace_posted(self, checkbox: str, hidden: dict[str, Any]) -> None:
        """Change the posted data: untick that checkbox, and set the hidden fields to the values in ``hidden``, which
        belong to what the form displays now. All names are with the prefix of the form.
        """
        data: Any = self.data.copy() if isinstance(self.data, QueryDict) else dict(self.data)  # A test may post a dict.
        data.pop(checkbox, None)
        for name, value in hidden.items():
            data[name] = value
        self.data = data
