"""The form and the pages for writing a draft. They prevent texts from being lost, and from being overwritten unseen."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from agreement import conf
from agreement.admin.base import AdminForm
from agreement.admin.editions.compare import redlines
from agreement.admin.editions.conflict import Conflict, revision_values
from agreement.admin.editions.fields import STATED_FIELDS, WRITTEN_FIELDS, fingerprint, values
from agreement.admin.editions.page import EditionView
from agreement.conf import active_language
from agreement.editions.changes import message_language
from agreement.editions.template_citations import cited_clauses
from agreement.models import AuditEntry, Edition
from agreement.models.audit import AuditAction
from agreement.models.autosave import Autosave
from agreement.seal import manifest
from agreement.text import clauses, dates, source
from agreement.text.front_matter import front_matter
from agreement.text.languages import LANGUAGES
from agreement.text.lint import rules
from agreement.text.lint.statements import NAMES

#: The size in bytes of the longest text that is checked while it is written. A real agreement is a tenth of it.
LIVE_BYTES = 400_000


class EditionForm(AdminForm):
    """The form of a draft in both languages. The title is a line of the text, so it has no field: the form sets it, cut
    to 255 characters. If an approval stands above the title, the form copies it into a field of the approval that is
    empty, or that contains the approval that stood there before.

    ``token`` is the fingerprint of the stored draft when the form was opened; if the form is filled in with an unsaved
    text, when the author began that text; after a conflict, when the save was refused. If the stored draft has another
    fingerprint when the form is saved, and differs from what is posted, the save is refused. ``conflict`` is then what
    the author is asked.
    """

    token = forms.CharField(required=False, label="", widget=forms.HiddenInput)

    #: The stored draft, if the form is filled in with an older revision of it.
    stored_draft: Edition | None = None
    #: The unsaved text of the author, if the form is filled in with it.
    autosave: Autosave | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stored_fingerprint = fingerprint(self.stored_draft or self.instance)
        self.conflict: Conflict | None = None
        self.initial["token"] = self.stored_fingerprint
        if self.autosave:
            self.initial.update(self.autosave.fields, token=self.autosave.base)
            self.initial["material"] = self.initial["material"] in {True, "True"}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        try:
            if self.instance.pk and not self.errors:
                self._merge(cleaned)
                self._take_approvals(cleaned)
        finally:
            for code in LANGUAGES:
                if (body := cleaned.get(f"body_{code}")) is not None:
                    setattr(self.instance, f"title_{code}", clauses.title_line(body)[:255])
        return cleaned

    def _take_approvals(self, cleaned: dict[str, Any]) -> None:
        stored = self.stored_draft or self.instance
        for code in LANGUAGES:
            before = front_matter(getattr(stored, f"body_{code}") or "").approval
            current = front_matter(cleaned.get(f"body_{code}") or "").approval
            if current and (cleaned.get(f"approval_{code}") or "") in {"", before}:
                cleaned[f"approval_{code}"] = current

    def _merge(self, cleaned: dict[str, Any]) -> None:
        """Raise ``ValidationError`` (``conflict``) if the stored draft changed after the author began, and differs from
        what they post. ``conflict`` is then what the page asks.

        If the answers of that page are posted, the cleaned values are first merged with the wording that the page
        displayed as the saved one; the error is also ``conflict`` if an answer is missing or not valid. The error is
        ``conflict`` again if the stored draft was changed after that page was displayed, and differs from the merged
        values. If the author asks for the merged text, the error is ``merged``, and the form contains that text.
        """
        stored = values(self.stored_draft or self.instance)
        posted = {name: cleaned.get(name, stored[name]) for name in stored}
        posted = {name: value or "" if name in WRITTEN_FIELDS else value for name, value in posted.items()}
        token = began = str(cleaned.get("token", ""))
        current = self.stored_fingerprint
        if "merge_base" in self.data:
            began = str(self.data["merge_base"])[:64]
            theirs = stored if token == current else revision_values(self.instance, token)
            if theirs is None:  # Nobody displayed these answers for that text.
                token, theirs = current, stored
                asked = self._conflict(began, current, stored, posted, answers={})
            else:
                asked = self._conflict(began, token, theirs, posted, answers=self.data)
            merged = asked.values()
            if merged is None:
                self.conflict = asked
                raise ValidationError(_("Choose a wording for each place."), code="conflict")
            try:
                posted = {
                    name: self.fields[name].clean(value) if name in WRITTEN_FIELDS else value
                    for name, value in merged.items()
                }
            except ValidationError as error:
                self.conflict = asked
                raise ValidationError(error.messages, code="conflict") from error
            cleaned.update(posted)
            began = token
        if token != current and posted != stored:
            self.conflict = self._conflict(began, current, stored, posted)
            raise ValidationError(
                _("This draft was saved in another window, or by another author, while you were writing."),
                code="conflict",
            )
        if "_edit" in self.data:
            data: Any = self.data.copy()  # type: ignore[attr-defined]  # a QueryDict, or a dict of a test
            data.update({name: str(value) for name, value in posted.items()} | {"token": current})
            if not posted["material"]:  # A browser does not send an unchecked box.
                data.pop("material", None)
            self.data = data
            raise ValidationError(_("This is the combined text. It is not saved yet."), code="merged")

    def _conflict(self, began: str, token: str, theirs: Any, mine: Any, *, answers: Any = None) -> Conflict:
        base = revision_values(self.instance, began)
        return Conflict(base_token=began, token=token, base=base, theirs=theirs, mine=mine, posted=answers)


class DraftView(EditionView):
    """The base class of the views to which the page with the form of a draft posts its unsaved text: to check it, and
    to store it temporarily.
    """

    def find_writable(self, object_id: str) -> Edition | HttpResponse:
        """Return the draft whose primary key, quoted by the admin, is ``object_id``, not locked. If it was published,
        or there is no such draft because it was deleted, return the response: a sentence as JSON, with the status 409.
        Raises ``PermissionDenied`` if the user may not write drafts.
        """
        if not self.model_admin.has_change_permission(self.request):
            raise PermissionDenied
        edition = self.find(object_id)
        if edition and not edition.published_at:
            return edition
        sentence = (
            gettext("Nothing is being saved, because this draft was published in the meantime.")
            if edition
            else gettext("Nothing is being saved, because this draft was deleted in the meantime.")
        )
        hint = gettext("Click Save: the next page displays your text, so that you can copy it.")
        return JsonResponse({"sentence": f"{sentence} {hint}"}, status=409)


class CheckView(DraftView):
    """``…/<id>/check/``: on POST, returns as JSON how readers will see the posted texts, the findings of the lint, and,
    if ``changes`` is posted, the changes since the edition in force.

    It writes nothing. If a body is longer than ``LIVE_BYTES``, nothing is checked, and the status is 413. It is 409 if
    the draft was published or deleted. Raises ``PermissionDenied`` if the user may not write drafts.
    """

    def post(self, request: HttpRequest, object_id: str) -> HttpResponse:
        edition = self.find_writable(object_id)
        if isinstance(edition, HttpResponse):
            return edition
        bodies = {code: source.normalise(request.POST.get(f"body_{code}", "")) for code in LANGUAGES}
        if any(len(body.encode(errors="replace")) > LIVE_BYTES for body in bodies.values()):
            sentence = gettext("The text is too long to be checked while you write. Save it to check it.")
            return JsonResponse({"sentence": sentence}, status=413)
        draft = Edition(agreement=edition.agreement)
        for code, body in bodies.items():
            setattr(draft, f"body_{code}", body)
        binding = Edition.objects.in_force().filter(agreement=edition.agreement_id).first()
        summaries = {code: request.POST.get(f"summary_{code}", "") for code in LANGUAGES}
        cited = cited_clauses(edition.agreement)
        findings = lint_findings(bodies, summaries, binding, _posted_statements(request), cited)
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
    """Return what the posted draft states about itself: the values of ``notice_days``, ``retention_years`` and
    ``prevailing_language`` (the fields in ``NAMES``), by the name of the field. A field that is not posted, or a number
    that is not written in at most five digits, is left out.
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
    """Return the HTML (``html``) and the title (``title``) of a text, and its numbered units (``units``): sections,
    clauses, sub-clauses, items and appendices. Each unit has its ``number``, ``label``, ``line`` and ``kind``.
    """
    document = clauses.parse(body)
    units = [
        {"number": unit.number, "label": unit.label, "line": unit.line, "kind": unit.kind}
        for unit in document.units
        if unit.number
    ]
    return {"html": document.html, "title": document.title, "units": units}


class AutosaveView(DraftView):
    """``…/<id>/autosave/``: on POST, stores the unsaved text of this author in that draft, in place of the text that
    was stored before. The draft itself is not changed. If ``discard`` is posted, the stored text is deleted instead.

    After the text is stored, the response is JSON with a sentence. Nothing is stored, and the status is 413, if a text
    is longer than ``source.MAX_BYTES``; it is 400 if a text contains NUL, which no database can store, and 409 if the
    draft was published or deleted. Raises ``PermissionDenied`` if the user may not write drafts; they may always
    discard.
    """

    def post(self, request: HttpRequest, object_id: str) -> HttpResponse:
        if "discard" in request.POST:
            return self._discard(object_id, from_page=request.POST["discard"] == "page")
        edition = self.find_writable(object_id)
        if isinstance(edition, HttpResponse):
            return edition
        fields = {name: source.normalise(request.POST[name]) for name in WRITTEN_FIELDS if name in request.POST}
        if "notice_days" in request.POST:  # Then all fields were sent, except a box that is not checked.
            fields |= {name: request.POST.get(name, "")[:64] for name in STATED_FIELDS}
            fields["material"] = str("material" in request.POST)
        if any(len(text.encode(errors="replace")) > source.MAX_BYTES for text in fields.values()):
            return JsonResponse({"sentence": gettext("The text is too long to be stored temporarily.")}, status=413)
        if any("\0" in text for text in fields.values()):
            sentence = gettext("Nothing is stored temporarily: the text contains the character NUL. Delete it.")
            return JsonResponse({"sentence": sentence}, status=400)
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
    """Return the additional template context of the page with the form of a draft: settings of the layout and, on GET,
    the unsaved text of this user (``autosave``) and its moment as a phrase (``autosave_at``), so that the page offers
    it. These two are missing if the user has no unsaved text that differs from the draft. They are missing also with
    ``?autosave``, because the form is then filled in with that text. 1 query, if the agreement of the draft is loaded.
    """
    # The two texts need the width of the sidebar. The breadcrumbs lead to the other pages.
    context: dict[str, Any] = {"writing": True, "has_file_field": True, "is_nav_sidebar_enabled": False}
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
    are the lines of the places that it is about, and ``first`` is the line of another place that the sentence names (0:
    none). ``key`` identifies the message when a form is sent. It depends on the
    id, the language, the line and the sentence of the message, but not on the language of the page.
    """

    id: str
    severity: str
    language: str
    place: str
    clause: str
    line: int
    lines: tuple[int, ...]
    first: int
    sentence: str
    hint: str
    key: str


def lint_findings(
    bodies: Mapping[str, str],
    summaries: Mapping[str, str] | None,
    binding: Edition | None,
    stated: Mapping[str, object] | None = None,
    cited: Mapping[str, Collection[str]] | None = None,
) -> list[Finding]:
    """Return the messages of the lint about these texts: first all errors, then all warnings. In each of the two groups
    the messages about both texts come first, then those about each language, in the order of their lines. The bodies
    and the summaries are given by language. The titles are the title lines of the bodies. The texts are compared with
    ``binding``, the edition in force; with ``None`` they are compared with nothing, and the summaries are not checked.
    Summaries that are ``None`` are not checked either. ``stated`` is the result of ``Edition.statements()``, as far as
    it is known. ``cited`` are the clauses that templates of the site quote (:func:`cited_clauses`). The settings
    ``LINT_RULES`` and ``LINT_SILENCED`` apply.
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
            first=message.first,
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
            cited=cited,
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
