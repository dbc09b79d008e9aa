"""The form and the pages for writing a draft. They prevent texts from being lost, and from being overwritten unseen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from reversion.errors import RevertError
from reversion.models import Version

from agreement import conf
from agreement.admin.base import AdminForm
from agreement.admin.editions.compare import Difference, differences, redlines
from agreement.admin.editions.fields import (
    STATED_FIELDS,
    TEXT_FIELDS_BY_LANGUAGE,
    WRITTEN_FIELDS,
    fingerprint,
    values,
)
from agreement.admin.editions.page import EditionView
from agreement.conf import active_language
from agreement.editions.changes import message_language
from agreement.models import AuditEntry, Edition
from agreement.models.audit import AuditAction
from agreement.models.autosave import Autosave
from agreement.seal import manifest
from agreement.text import clauses, dates, source
from agreement.text.languages import LANGUAGES
from agreement.text.lint import rules
from agreement.text.lint.statements import NAMES

#: The size in bytes of the longest text that is checked while it is written. A real agreement is a tenth of it.
LIVE_BYTES = 400_000
#: After a conflict, this many revisions are searched for the wording with which the author began.
REVISIONS_SEARCHED = 20


class EditionForm(AdminForm):
    """The form of a draft in both languages. The title is a line of the text, so it has no field: the form sets it, cut
    to 255 characters.

    ``token`` is the fingerprint of the stored draft when the form was opened; if the form is filled in with an unsaved
    text, when the author began that text; after a conflict, when the save was refused. If the stored draft has another
    fingerprint when the form is saved, and differs from what is posted, the save is refused.
    """

    token = forms.CharField(required=False, label="", widget=forms.HiddenInput)

    #: The stored draft, if the form is filled in with an older revision of it.
    stored_draft: Edition | None = None
    #: The unsaved text of the author, if the form is filled in with it.
    autosave: Autosave | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stored_fingerprint = fingerprint(self.stored_draft or self.instance)
        self.conflicts: list[Difference] = []
        self.initial["token"] = self.stored_fingerprint
        if self.autosave:
            self.initial.update(self.autosave.fields, token=self.autosave.base)
            self.initial["material"] = self.initial["material"] in {True, "True"}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        for code in LANGUAGES:
            if (body := cleaned.get(f"body_{code}")) is not None:
                setattr(self.instance, f"title_{code}", clauses.title_line(body)[:255])
        if self.instance.pk and cleaned.get("token") != self.stored_fingerprint and not self.errors:
            self._require_no_conflict(cleaned, values(self.stored_draft or self.instance))
        return cleaned

    def _require_no_conflict(self, cleaned: dict[str, Any], stored: dict[str, Any]) -> None:
        """Raise ``ValidationError`` (``conflict``) unless the posted draft equals the stored one, whose values are
        ``stored``.

        The refused form gets the fingerprint of the stored draft as its token, and contains the author's values. If the
        wording with which the author began is found, the fields that they did not change contain the stored values
        instead. ``conflicts`` then lists the fields in which the form differs from the stored draft.
        """
        posted = {name: cleaned.get(name, stored[name]) for name in stored}
        posted = {name: value or "" if name in WRITTEN_FIELDS else value for name, value in posted.items()}
        if posted == stored:
            return
        base = _base_values(self.instance, cleaned.get("token", ""))
        data: Any = self.data.copy()  # type: ignore[attr-defined]  # a QueryDict, or a dict of a test
        data["token"] = self.stored_fingerprint
        for name, value in stored.items():
            if base and posted[name] == base[name] != value:
                posted[name] = value
                data[name] = str(value)
                if value is False:  # A browser does not send an unchecked box.
                    del data[name]
        self.conflicts = differences(stored, posted)
        self.data = data
        raise ValidationError(
            _("Somebody saved this draft while you were writing. Your text is not saved yet, but nothing is lost."),
            code="conflict",
        )


def _base_values(edition: Edition, token: str) -> dict[str, Any] | None:
    """Return the values of the revision whose fingerprint is ``token``. This is the draft with which the author began.
    Return ``None`` if it is not among the latest ``REVISIONS_SEARCHED`` revisions of that edition. Revisions that
    django-reversion can't read are ignored.
    """
    names = (*TEXT_FIELDS_BY_LANGUAGE, *STATED_FIELDS)
    for version in Version.objects.get_for_object_reference(Edition, edition.pk)[:REVISIONS_SEARCHED]:
        try:
            fields = version.field_dict
        except RevertError:
            continue
        revision = Edition(**{name: fields[name] for name in names if name in fields})
        if fingerprint(revision) == token:
            return values(revision)
    return None


class DraftView(EditionView):
    """The base class of the views to which the writing page posts while the draft is written."""

    def find_writable(self, object_id: str) -> Edition:
        """Return the draft with that key, not locked. Raises ``PermissionDenied`` if the user may not write it, if it
        is published, or if it does not exist.
        """
        edition = self.find(object_id)
        if edition is None or not self.model_admin.has_change_permission(self.request, edition):
            raise PermissionDenied
        return edition


class CheckView(DraftView):
    """``…/<id>/check/``: on POST, returns as JSON how readers will see the posted texts, the findings of the lint, and,
    if ``changes`` is posted, the changes since the edition in force.

    It writes nothing. If a body is longer than ``LIVE_BYTES``, nothing is checked, and the status is 413. Raises
    ``PermissionDenied`` if the user may not write the draft, or if it is published or does not exist.
    """

    def post(self, request: HttpRequest, object_id: str) -> HttpResponse:
        edition = self.find_writable(object_id)
        bodies = {code: source.normalise(request.POST.get(f"body_{code}", "")) for code in LANGUAGES}
        if any(len(body.encode(errors="replace")) > LIVE_BYTES for body in bodies.values()):
            sentence = gettext("The text is too long to be checked while you write. Save it to check it.")
            return JsonResponse({"sentence": sentence}, status=413)
        draft = Edition(agreement=edition.agreement)
        for code, body in bodies.items():
            setattr(draft, f"body_{code}", body)
        binding = Edition.objects.in_force().filter(agreement=edition.agreement_id).first()
        summaries = {code: request.POST.get(f"summary_{code}", "") for code in LANGUAGES}
        findings = lint_findings(bodies, summaries, binding, _posted_statements(request))
        changes = redlines(binding, draft) if binding and "changes" in request.POST else []
        return JsonResponse(
            {
                "messages": [asdict(finding) for finding in findings],
                "summary": findings_summary(findings),
                "texts": {code: _preview(body) for code, body in bodies.items()},
                "changes": {change.code: {"summary": change.summary, "html": change.html} for change in changes},
            }
        )


def _posted_statements(request: HttpRequest) -> dict[str, object]:
    """Return what the posted draft states about itself, by the names of the fields. A field that is not posted, or a
    number that is not written in at most five digits, is left out.
    """
    found: dict[str, object] = {}
    for name in NAMES:
        posted = request.POST.get(name)
        if name == "prevailing_language" and posted is not None:
            found[name] = posted
        elif posted and posted.isdecimal() and len(posted) < 6:
            found[name] = int(posted)
    return found


def _preview(body: str) -> dict[str, object]:
    """Return the HTML of a text, its title, and the number, the label and the line of each numbered unit: sections,
    clauses, sub-clauses, items and appendices.
    """
    document = clauses.parse(body)
    units = [{"number": unit.number, "label": unit.label, "line": unit.line} for unit in document.units if unit.number]
    return {"html": document.html, "title": document.title, "units": units}


class AutosaveView(DraftView):
    """``…/<id>/autosave/``: on POST, stores the unsaved text of this author in that draft, in place of the text that
    was stored before. The draft itself is not changed. If ``discard`` is posted, the stored text is deleted instead.

    After the text is stored, the response is JSON with a sentence. The status is 413, and nothing is stored, if a text
    is longer than ``source.MAX_BYTES`` or contains NUL. Raises ``PermissionDenied`` if the user may not write the
    draft, or if it is published or does not exist; they may always discard.
    """

    def post(self, request: HttpRequest, object_id: str) -> HttpResponse:
        if "discard" in request.POST:
            return self._discard(object_id, from_page=request.POST["discard"] == "page")
        edition = self.find_writable(object_id)
        fields = {name: source.normalise(request.POST[name]) for name in WRITTEN_FIELDS if name in request.POST}
        if "notice_days" in request.POST:  # Then all fields were sent, except a box that is not checked.
            fields |= {name: request.POST.get(name, "")[:64] for name in STATED_FIELDS}
            fields["material"] = str("material" in request.POST)
        if any(len(text.encode(errors="replace")) > source.MAX_BYTES or "\0" in text for text in fields.values()):
            return JsonResponse({"sentence": gettext("The text is too long to be stored temporarily.")}, status=413)
        base = request.POST.get("token", "")[:64]
        autosave = Autosave.objects.store(author=request.user.pk, edition=edition, fields=fields, base=base)
        at = dates.clock(autosave.at, edition.agreement.time_zone, seconds=False)
        return JsonResponse(
            {"sentence": gettext("Stored temporarily at %(time)s; the draft is not saved yet") % {"time": at}}
        )

    def _discard(self, object_id: str, *, from_page: bool) -> HttpResponse:
        """Delete the unsaved text of this author, even if the draft has been published. No permission is needed. With
        ``from_page`` a form of the page was sent, and the response is a redirect to the page; otherwise the script sent
        it, and the response is empty JSON.
        """
        Autosave.objects.filter(author=self.request.user.pk, edition=self.find(object_id)).delete()
        return HttpResponseRedirect("../change/") if from_page else JsonResponse({})


def unsaved(request: HttpRequest, edition: Edition) -> Autosave | None:
    """Return the unsaved text of this user in that draft, which may be published by now, if any field of it differs
    from the draft; otherwise, and if there is none, ``None``. 1 query.
    """
    autosave: Autosave | None = Autosave.objects.slot(author=request.user.pk, edition=edition)
    written = values(edition)
    differs = autosave and any(str(written[name]) != text for name, text in autosave.fields.items())
    return autosave if differs else None


def writing_context(request: HttpRequest, edition: Edition) -> dict[str, Any]:
    """Return the additional template context of the writing page. On GET it contains the unsaved text of this user, if
    there is one that differs from the draft, so that the page offers it. With ``?autosave`` it does not, because the
    form is then filled in with that text. 1 query, if the agreement of the draft is loaded.
    """
    context: dict[str, Any] = {"writing": True, "has_file_field": True}
    autosave = unsaved(request, edition)
    if autosave and "autosave" not in request.GET and request.method == "GET":
        at = dates.instant(autosave.at, active_language(), edition.agreement.time_zone, seconds=False)
        context |= {"autosave": autosave, "autosave_at": at}
    return context


def log_written(request: HttpRequest, edition: Edition, *, previous: str | None) -> None:
    """After a save, delete the unsaved text of this user, and add an audit entry that they wrote the draft.
    ``previous`` is the fingerprint of the draft before the save: if the draft did not change, no entry is added. With
    ``None`` the entry is always added.
    """
    Autosave.objects.filter(author=request.user.pk, edition=edition).delete()
    current = fingerprint(edition)
    if current != previous:
        AuditEntry.objects.log(AuditAction.WRITTEN, on=edition, by=request.user, digest=current)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A message of the lint in the language of the page or, if that is not Kazakh or Russian, in English. ``place`` is
    a phrase with the language and the clause, as far as the message names them; ``""`` if it names neither. ``lines``
    are the lines of the places that it is about. ``key`` identifies the message when a form is sent. It depends on the
    id, the language, the line and the sentence of the message, but not on the language of the page.
    """

    id: str
    severity: str
    language: str
    place: str
    clause: str
    line: int
    lines: tuple[int, ...]
    sentence: str
    hint: str
    key: str


def lint_findings(
    bodies: Mapping[str, str],
    summaries: Mapping[str, str] | None,
    binding: Edition | None,
    stated: Mapping[str, object] | None = None,
) -> list[Finding]:
    """Return the messages of the lint about these texts, errors first, then by language and line. The bodies and the
    summaries are given by language. The titles are the title lines of the bodies. The texts are compared with
    ``binding``, the edition in force; with ``None`` they are compared with nothing, and the summaries are not checked.
    Summaries that are ``None`` are not checked either. ``stated`` is the result of ``Edition.statements()``, as far as
    it is known. The settings ``LINT_RULES`` and ``LINT_SILENCED`` apply.
    """
    previous = {code: binding.text(code).body for code in bodies} if binding else None
    languages = {"kk": gettext("Kazakh"), "ru": gettext("Russian")}
    titles = {code: clauses.title_line(body) for code, body in bodies.items()}
    return [
        Finding(
            id=message.id,
            severity=message.severity,
            language=message.language,
            place=", ".join(filter(None, (languages.get(message.language, ""), message.place(message_language())))),
            clause=message.clause,
            line=message.line,
            lines=message.lines or ((message.line,) if message.line else ()),
            sentence=message.sentence(message_language()),
            hint=message.hint(message_language()),
            key=manifest.sha256(f"{message.id} {message.language} {message.line} {message.sentence('en')}")[:16],
        )
        for message in rules.lint(
            bodies,
            titles=titles,
            summaries=summaries,
            previous=previous,
            stated=stated,
            previous_stated=binding.statements() if binding else None,
            **conf.lint_options(),
        )
    ]


def findings_summary(findings: Iterable[Finding]) -> str:
    """Return a phrase such as "2 errors, 1 warning", or that there are no findings, in the language of the page."""
    severities = [finding.severity for finding in findings]
    errors = severities.count("error")
    warnings = len(severities) - errors
    parts = []
    if errors:
        parts.append(ngettext("%(count)s error", "%(count)s errors", errors) % {"count": errors})
    if warnings:
        parts.append(ngettext("%(count)s warning", "%(count)s warnings", warnings) % {"count": warnings})
    return ", ".join(parts) or gettext("No findings")
