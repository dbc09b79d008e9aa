"""The forms in which an editor chooses what a plugin displays."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _

from agreement import conf
from agreement.contrib.djangocms.models import ChangesPlugin, ClausePlugin
from agreement.editions import citations
from agreement.editions.timeline import Timeline, current_timelines
from agreement.models import Agreement


class PluginForm(forms.ModelForm):  # type: ignore[type-arg]  # Not generic at run time.
    """The form of a plugin. If a new plugin needs an agreement, the form proposes that of the setting
    ``DEFAULT_AGREEMENT`` or, if the setting is empty, the only agreement of the site. It proposes none if there is no
    such agreement, or if there are several.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields.get("agreement")
        if field and field.required and not self.instance.pk:
            default = conf.get().DEFAULT_AGREEMENT
            known = Agreement.objects.filter(slug=default) if default else Agreement.objects.all()[:2]
            field.initial = known[0] if len(known) == 1 else None

    def _timeline(self) -> Timeline | None:
        agreement = self.cleaned_data.get("agreement")
        return current_timelines().agreements.get(agreement.slug) if agreement else None


class ClauseForm(PluginForm):
    """The form of the plugin that quotes a clause. It refuses a clause that is not in the edition in force, and every
    clause if no edition of the agreement is in force.
    """

    class Meta:
        model = ClausePlugin
        fields = ("agreement", "number", "display")

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if not {"agreement", "number"} <= data.keys():
            return data
        timeline = self._timeline()
        dated = timeline.in_force(timezone.now()) if timeline else None
        numbers = citations.clause_numbers(timeline.slug) if timeline else ()
        if not dated or not numbers:
            message = _(
                "No edition of “%(agreement)s” is in force, so none of its clauses can be quoted. Choose another"
                " agreement, or add this plugin after an edition has taken effect."
            )
            params = {"agreement": data["agreement"]}
            raise ValidationError({"agreement": ValidationError(message, code="nothing_in_force", params=params)})
        data["number"] = data["number"].strip().rstrip(".")
        if data["number"] not in numbers:
            message = _(
                "Edition %(edition)s of “%(agreement)s”, which is in force, has no clause “%(number)s”. Open its text"
                " and write the number of a clause as it is printed there, for example %(example)s."
            )
            example = next((number for number in numbers if "." in number), numbers[0])
            params = {"agreement": data["agreement"], "number": data["number"]}
            params |= {"edition": dated.number, "example": example}
            raise ValidationError({"number": ValidationError(message, code="clause_not_in_force", params=params)})
        return data


class ChangesForm(PluginForm):
    """The form of the plugin that displays the changes of an edition. It refuses an edition that is not public, or that
    replaces no other one. The edition may be left out; the plugin then displays the changes of the edition in force.
    """

    class Meta:
        model = ChangesPlugin
        fields = ("agreement", "edition")

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        number, timeline, now = data.get("edition"), self._timeline(), timezone.now()
        if number is None or "agreement" not in data:
            return data
        public = timeline.public(now) if timeline else ()
        if not timeline or not any(one.number == number and timeline.predecessor(one) for one in public):
            message = _(
                "Edition %(edition)s of “%(agreement)s” is not published, or it replaced no other edition. Write the"
                " number of an edition that replaced another, or leave the field empty."
            )
            params = {"agreement": data["agreement"], "edition": number}
            raise ValidationError({"edition": ValidationError(message, code="no_changes", params=params)})
        return data
