"""Writing a draft: nobody's words are lost, and nobody's are overwritten without being shown.

The form carries a token, the fingerprint of the draft it was opened with. Where another draft is stored by the time it
is saved, the save is refused, the differences are shown, and the form goes on with the new token.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect, JsonResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from reversion.errors import RevertError
from reversion.models import Version

from agreement import conf, dates
from agreement.admin.comparing import STATED, WRITTEN, Difference, differences, redlines, spoken, values
from agreement.admin.tables import language
from agreement.models import Act, Edition
from agreement.models.autosave import Autosave
from agreement.models.refusals import TEXTS
from agreement.text import clauses, lint, seal, source

if TYPE_CHECKING:
    EditionModelAdmin = admin.ModelAdmin[Edition]
else:
    EditionModelAdmin = admin.ModelAdmin

#: The longest text that is checked while it is written, in bytes: ten times a real agreement.
LIVE_BYTES = 400_000
#: How many revisions are searched for the wording a conflicting save began from.
BASES = 20


def fingerprint(edition: Edition) -> str:
    """A digest of everything an author can change: two pages with the same one showed the same draft."""
    texts = [getattr(edition, f"{name}_{code}") or "" for name in TEXTS for code in conf.LANGUAGES]
    return seal.sha256(json.dumps([*texts, *(getattr(edition, name) for name in STATED)]))


class EditionForm(forms.ModelForm):  # type: ignore[type-arg]
    """A draft in both languages. Its titles are the first lines of its texts: a page prints them for those."""

    token = forms.CharField(required=False, label="", widget=forms.HiddenInput)

    #: The draft as stored, where the form begins with something else: a revision.
    over: Edition | None = None
    #: What the author left unsaved, where the form is to begin with that.
    slot: Autosave | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stored = fingerprint(self.over or self.instance)
        self.theirs: list[Difference] = []
        self.initial["token"] = self.stored
        if self.slot:
            self.initial.update(self.slot.fields, token=self.slot.base)
            self.initial["material"] = self.initial["material"] in {True, "True"}

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        for code in conf.LANGUAGES:
            if (body := cleaned.get(f"body_{code}")) is not None:
                setattr(self.instance, f"title_{code}", clauses.title_line(body)[:255])
        if self.instance.pk and cleaned.get("token") != self.stored and not self.errors:
            self._conflict(cleaned, values(self.over or self.instance))
        return cleaned

    def _conflict(self, cleaned: dict[str, Any], stored: dict[str, Any]) -> None:
        """Refuse, unless both say the same; what the author did not touch becomes what the other one wrote."""
        typed = {name: cleaned.get(name, stored[name]) for name in stored}
        mine = {name: value or "" if name in WRITTEN else value for name, value in typed.items()}
        if mine == stored:
            return
        base = _base(self.instance, cleaned.get("token", ""))
        data: Any = self.data.copy()  # type: ignore[attr-defined]
        data["token"] = self.stored
        for name, theirs in stored.items():
            if base and mine[name] == base[name] != theirs:
                mine[name] = theirs
                data[name] = str(theirs)
                if theirs is False:  # As a browser sends a box without a tick: not at all.
                    del data[name]
        self.theirs = differences(stored, mine)
        self.data = data
        raise ValidationError(
            _("Somebody saved this draft while you were writing: nothing of yours was saved yet, and nothing is lost."),
            code="conflict",
        )


def _base(edition: Edition, token: str) -> dict[str, Any] | None:
    """The wording with that fingerprint among the latest revisions: what both authors began from."""
    for version in Version.objects.get_for_object_reference(Edition, edition.pk)[:BASES]:
        try:
            fields = version.field_dict
        except RevertError:
            continue
        was = Edition(**{name: fields[name] for name in (*_columns(), *STATED) if name in fields})
        if fingerprint(was) == token:
            return values(was)
    return None


def _columns() -> list[str]:
    return [f"{name}_{code}" for name in TEXTS for code in conf.LANGUAGES]


class Writing(EditionModelAdmin):
    """``…/<id>/check/`` and ``…/<id>/autosave/``: what the writing page asks while somebody types."""

    def get_urls(self) -> list[URLPattern]:
        asked = [
            path(f"<path:object_id>/{name}/", self.admin_site.admin_view(view), name=f"agreement_edition_{name}")
            for name, view in (("check", self.check_view), ("autosave", self.autosave_view))
        ]
        return asked + super().get_urls()

    def check_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The texts as readers will see them, what the lint says of them, and what they change. Writes nothing."""
        edition = self._written(request, object_id)
        if isinstance(edition, HttpResponse):
            return edition
        bodies = {code: source.normalise(request.POST.get(f"body_{code}", "")) for code in conf.LANGUAGES}
        if any(len(body.encode(errors="replace")) > LIVE_BYTES for body in bodies.values()):
            sentence = gettext("The text is too long to be checked while it is written; save it to have it checked.")
            return JsonResponse({"sentence": sentence}, status=413)
        draft = Edition(agreement=edition.agreement)
        for code, body in bodies.items():
            setattr(draft, f"body_{code}", body)
        binding = Edition.objects.in_force().filter(agreement=edition.agreement_id).first()
        summaries = {code: request.POST.get(f"summary_{code}", "") for code in conf.LANGUAGES}
        found = findings(bodies, summaries, binding)
        answer: dict[str, Any] = {"messages": found, "said": counted(found), "texts": {}, "changes": {}}
        for code, body in bodies.items():
            document = clauses.parse(body)
            units = [
                {"number": unit.number, "label": unit.label, "line": unit.line}
                for unit in document.units
                if unit.number
            ]
            answer["texts"][code] = {"html": document.html, "title": document.title, "units": units}
        if binding and "changes" in request.POST:
            answer["changes"] = {code: {"said": said, "html": html} for code, said, html in redlines(binding, draft)}
        return JsonResponse(answer)

    def autosave_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Keep what is typed in the author's slot, or with ``discard`` forget it."""
        if "discard" in request.POST:  # One's own, also where the draft is published by now.
            there = EditionModelAdmin.get_object(self, request, unquote(object_id))
            Autosave.objects.filter(author=request.user.pk, edition=there).delete()
            page = request.POST["discard"] == "page"  # Asked by a button, and not by the script.
            return HttpResponseRedirect("../change/") if page else JsonResponse({})
        edition = self._written(request, object_id)
        if isinstance(edition, HttpResponse):
            return edition
        fields = {name: source.normalise(request.POST[name]) for name in WRITTEN if name in request.POST}
        if "notice_days" in request.POST:  # What the edition states comes whole: a box without a tick is not sent.
            fields |= {name: request.POST.get(name, "")[:64] for name in STATED}
            fields["material"] = str("material" in request.POST)
        if any(len(text.encode(errors="replace")) > source.MAX_BYTES or "\0" in text for text in fields.values()):
            return JsonResponse({"sentence": gettext("The text is too long to be kept unsaved.")}, status=413)
        base = request.POST.get("token", "")[:64]
        kept = Autosave.objects.keep(author=request.user.pk, edition=edition, fields=fields, base=base)
        at = dates.clock(kept.at, edition.agreement.time_zone)
        return JsonResponse({"said": gettext("Kept at %(time)s, not saved yet") % {"time": at}})

    def _written(self, request: HttpRequest, object_id: str) -> Edition | HttpResponse:
        """The draft, for whoever may write it; it is not locked."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        edition = EditionModelAdmin.get_object(self, request, unquote(object_id))
        if edition is None or not self.has_change_permission(request, edition):
            raise PermissionDenied
        return edition

    def left(self, request: HttpRequest, edition: Edition) -> Autosave | None:
        """What this author left unsaved, if it says anything else than the draft."""
        slot: Autosave | None = Autosave.objects.slot(author=request.user.pk, edition=edition)
        written = values(edition)
        return slot if slot and any(str(written[name]) != text for name, text in slot.fields.items()) else None

    def desk(self, request: HttpRequest, edition: Edition) -> dict[str, Any]:
        """What the writing page knows besides the form."""
        slot = self.left(request, edition)
        context: dict[str, Any] = {"writing": True, "language": language(), "has_file_field": True}
        if slot and "autosave" not in request.GET and request.method == "GET":
            at = dates.instant(slot.at, language(), edition.agreement.time_zone)
            context |= {"slot": slot, "slot_at": at}
        return context

    def logged(self, request: HttpRequest, edition: Edition, *, before: str | None) -> None:
        """After a save: the slot is empty, and the log says who wrote, if anything changed."""
        Autosave.objects.filter(author=request.user.pk, edition=edition).delete()
        now = fingerprint(edition)
        if now != before:
            Act.objects.log(Act.Kind.WRITTEN, on=edition, by=request.user, digest=now)


def findings(bodies: Mapping[str, str], summaries: Mapping[str, str], binding: Edition | None) -> list[dict[str, Any]]:
    """What the lint says, errors first, in the page's language; ``key`` names a finding for good."""
    previous = {code: binding.text(code).body for code in bodies} if binding else None
    names = {"kk": gettext("Kazakh"), "ru": gettext("Russian")}
    titles = {code: clauses.title_line(body) for code, body in bodies.items()}
    found = []
    for message in lint.lint(bodies, titles=titles, summaries=summaries, previous=previous, **conf.lint()):
        sentence = message.sentence(spoken())
        found.append(
            {
                "id": message.id,
                "severity": message.severity,
                "language": message.language,
                "place": ", ".join(filter(None, (str(names.get(message.language, "")), message.clause))),
                "clause": message.clause,
                "line": message.line,
                "sentence": sentence,
                "hint": message.hint(spoken()),
                "key": seal.sha256(f"{message.id} {message.language} {message.line} {message.sentence('en')}")[:16],
            }
        )
    return found


def counted(found: list[dict[str, Any]]) -> str:
    """ "2 errors, 1 warning", or that there is nothing."""
    errors = sum(message["severity"] == "error" for message in found)
    warnings = len(found) - errors
    parts = []
    if errors:
        parts.append(ngettext("%(count)s error", "%(count)s errors", errors) % {"count": errors})
    if warnings:
        parts.append(ngettext("%(count)s warning", "%(count)s warnings", warnings) % {"count": warnings})
    return ", ".join(parts) or gettext("No findings")
