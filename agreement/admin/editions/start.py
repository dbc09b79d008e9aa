"""The page that starts a draft: from an edition, from files, or empty. An import is displayed before it is saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, cast

import reversion
from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.admin.utils import quote
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.files import File
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agreement import conf
from agreement.admin.editions import comments
from agreement.admin.editions.compare import language_redline, redlines
from agreement.admin.editions.draft import findings_summary, lint_findings
from agreement.admin.editions.fields import fingerprint, label
from agreement.admin.editions.page import EditionView, may, redirect_to_edition
from agreement.admin.editions.upload import ImportedFile
from agreement.editions.template_citations import cited_clauses
from agreement.models import Agreement, AuditEntry, Edition
from agreement.models.editions import CARRIED_FIELDS, EditionQuerySet
from agreement.text import clauses, languages, source
from agreement.text.front_matter import MAX_APPROVAL, front_matter
from agreement.text.lint.statements import read_periods
from agreement.text.parallel import Pair, upper_levels
from agreement.word import files, reader

#: How many rows of numbers the page displays.
MAX_ROWS = 500
#: How many bytes are allowed for what the second page, which displays what was read, posts in addition to the texts.
IMPORT_FORM_OVERHEAD = 20_000
APPROVAL_FIELDS = tuple(f"approval_{code}" for code in languages.LANGUAGES)
TITLE_FIELDS = tuple(f"title_{code}" for code in languages.LANGUAGES)
SUMMARY_FIELDS = tuple(f"summary_{code}" for code in languages.LANGUAGES)


class StartForm(forms.Form):
    """The form that asks how the draft begins. In a valid form that begins with an edition, the cleaned ``edition`` is
    the edition or draft that the user chose, which must be of the chosen agreement; if they chose none, it is the
    edition of the agreement that is in force. In a valid form that begins with files, ``imported`` has the Kazakh and
    the Russian file.

    ``imported`` has the files that were read, by language, also if the form is not valid. The page then posts them back
    as ``kept_kk`` and ``kept_ru`` (:attr:`ImportedFile.packed`), because a browser does not choose a file again.
    ``by_language`` is set by the script of the page if both files were chosen together: then they are exchanged if each
    is written in the language of the other field.
    """

    EDITION, FILES, EMPTY = "edition", "files", "empty"
    BEGINNINGS: ClassVar = {
        EDITION: _("an edition: its text is copied"),
        FILES: _("two files: Markdown, plain text or Word (.docx)"),
        EMPTY: _("empty texts"),
    }
    agreement = forms.ModelChoiceField(Agreement.objects.all(), label=_("User agreement"))
    begin = forms.ChoiceField(label=_("Start with"), choices=list(BEGINNINGS.items()), widget=forms.RadioSelect)
    edition = forms.ModelChoiceField(
        Edition.objects.none(),
        label=_("Edition"),
        required=False,
        empty_label=_("the edition in force"),
    )
    # An empty file is refused when it is read, by a sentence with its name.
    kk = forms.FileField(label=_("Text in Kazakh"), required=False, allow_empty_file=True)
    ru = forms.FileField(label=_("Text in Russian"), required=False, allow_empty_file=True)
    by_language = forms.BooleanField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.imported: dict[str, ImportedFile] = {}
        editions = Edition.objects.select_related("agreement")
        field = cast("forms.ModelChoiceField[Edition]", self.fields["edition"])
        field.queryset = editions.without_texts("body", "summary").order_by("agreement__slug", "-number", "-pk")
        accepted = ".md,.txt,.docx,text/markdown,text/plain"
        if not reader.installed():
            accepted = accepted.replace(".docx,", "")
            begin = cast("forms.ChoiceField", self.fields["begin"])
            labels = {**self.BEGINNINGS, self.FILES: _("two files: Markdown or plain text")}
            begin.choices = list(labels.items())
        for code in languages.LANGUAGES:
            self.fields[code].widget.attrs["accept"] = accepted

    @property
    def uploads(self) -> list[tuple[forms.BoundField, ImportedFile | None]]:
        """The field of each file, with the file that was read and is posted back; ``None`` if there is none."""
        return [(self[code], self.imported.get(code)) for code in languages.LANGUAGES]

    def clean(self) -> None:
        begin = self.cleaned_data.get("begin")
        chosen = any(code in self.files for code in languages.LANGUAGES)
        if begin == self.FILES or chosen:
            self._read_files()
        if begin == self.FILES:
            self._require_both_files()
        elif chosen:
            self.data = self.data.copy()  # type: ignore[attr-defined]  # a QueryDict
            self.data["begin"] = self.FILES  # type: ignore[index]
            sentence = _(
                "You chose files, but not the option to start with them. The files are not lost: start with them, or"
                " choose again how to start."
            )
            self.add_error("begin", sentence)
        elif begin == self.EDITION and self.cleaned_data.get("agreement"):
            self._clean_edition(self.cleaned_data["agreement"])

    def _clean_edition(self, agreement: Agreement) -> None:
        edition = self.cleaned_data.get("edition")
        if edition is None:
            edition = Edition.objects.in_force().filter(agreement=agreement).first()
            self.cleaned_data["edition"] = edition
        if edition is None:
            self.add_error("edition", _("No edition of this agreement is in force now."))
        elif edition.agreement_id != agreement.pk:
            self.add_error("edition", _("It is an edition of another agreement."))

    def _read_files(self) -> None:
        """Read the chosen files into ``imported``. A language for which none is chosen gets the file that is posted
        back. If ``by_language`` is posted, and the text of each of the two files is in the language of the other field,
        the files are exchanged. The field of a file that can't be used gets an error. If both are in one language, the
        field of the other language gets it, and its file is dropped.
        """
        for code in languages.LANGUAGES:
            file: File[bytes] | None = self.cleaned_data.get(code)
            if file is None:
                kept = None if code in self.errors else ImportedFile.from_packed(self.data.get(f"kept_{code}", ""))
                self.imported |= {code: replace(kept, code=code)} if kept else {}
                continue
            try:
                read = files.read_file(file.read(files.MAX_BYTES + 1), str(file.name), language=code, encoding="")
            except source.SourceError as error:
                self.add_error(code, f"{error} {error.hint}".strip())
            else:
                self.imported[code] = ImportedFile.from_read(code, read)
        bodies = {code: file.accepted for code, file in self.imported.items()}
        if self.cleaned_data.get("by_language") and languages.swapped(bodies):
            exchanged = {"kk": self.imported["ru"], "ru": self.imported["kk"]}
            self.imported = {code: replace(file, code=code) for code, file in exchanged.items()}
        self._require_both_languages([languages.recognise(body) for body in bodies.values()])

    def _require_both_languages(self, found: list[str]) -> None:
        """If both files are in the same language, drop the file that was chosen for the other language, and add an
        error to its field. ``found`` contains the recognised language of each file that was read, ``""`` if it is not
        recognised.
        """
        if found not in (["kk", "kk"], ["ru", "ru"]):
            return
        names = {"first": self.imported["kk"].name, "second": self.imported["ru"].name}
        if found == ["kk", "kk"]:
            other = "ru"
            sentence = _(
                "Both files are in Kazakh: %(first)s and %(second)s. Choose the file with the Russian text here."
            )
        else:
            other = "kk"
            sentence = _(
                "Both files are in Russian: %(first)s and %(second)s. Choose the file with the Kazakh text here."
            )
        del self.imported[other]
        self.add_error(other, sentence % names)

    def _require_both_files(self) -> None:
        for code in languages.LANGUAGES:
            if code not in self.imported and code not in self.errors:
                self.add_error(code, _("Choose the file of this text."))
        if not self.errors:
            self._require_form_size(list(self.imported.values()))

    def _require_form_size(self, files: list[ImportedFile]) -> None:
        """Add an error if the texts are too large for the second page, which posts them back. The limit is Django's
        setting ``DATA_UPLOAD_MAX_MEMORY_SIZE``; ``None`` or 0 means no limit here. Django would refuse the form without
        an explanation.
        """
        texts = [text for file in files for text in {file.accepted, file.rejected}]
        size = IMPORT_FORM_OVERHEAD + sum(len(text.encode(errors="replace")) + text.count("\n") for text in texts)
        if size > (settings.DATA_UPLOAD_MAX_MEMORY_SIZE or size):
            sentence = _(
                "The two texts together are too large for a form of this site. Use the command import_edition."
            )
            self.add_error("ru", sentence)


class ImportForm(forms.Form):
    """The form on which the author confirms an import: the titles, what the edition states, its approvals, the
    summaries, whether tracked changes are accepted (required if the text depends on it), and that they know what was
    left out (required if something was). The keyword argument ``files``, the imported files in the order of
    ``LANGUAGES``, is required.
    """

    agreement = forms.ModelChoiceField(Agreement.objects.all(), widget=forms.HiddenInput)
    tracked = forms.ChoiceField(
        label=_("Tracked changes"),
        required=False,
        choices=list(comments.TRACKED.items()),
        widget=forms.RadioSelect,
    )
    seen = forms.BooleanField(
        label=_("I have read the list of what was not imported."),
        required=False,
        error_messages={"required": _("Tick the box which states that you have read what was not imported.")},
    )

    def __init__(self, *args: Any, files: list[ImportedFile], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.files_by_language = {file.code: file for file in files}
        self.fields |= forms.fields_for_model(Edition, (*APPROVAL_FIELDS, *SUMMARY_FIELDS, *CARRIED_FIELDS))
        for name, file in zip(TITLE_FIELDS, files, strict=True):
            self.fields[name] = forms.CharField(
                label=capfirst(label(name)), required=bool(file.title), max_length=clauses.LONGEST_TITLE
            )
        for name in SUMMARY_FIELDS:
            self.fields[name].label = capfirst(label(name))
            self.fields[name].widget = forms.Textarea({"rows": 3})
        for name in APPROVAL_FIELDS:
            self.fields[name].label = capfirst(label(name))
            self.fields[name].widget = forms.Textarea({"rows": 3, "maxlength": MAX_APPROVAL})
        self.fields["tracked"].required = any(file.tracked for file in files)
        self.fields["seen"].required = any(file.left_out for file in files)

    def clean(self) -> dict[str, Any]:
        """Make each approval and each title one line, and put a corrected title into the text. Add an error if the text
        would then have another title line. Return the cleaned values, in which ``kk`` and ``ru`` are the texts with the
        tracked changes rejected, if the author chose so, otherwise accepted. If the author left a value as it was
        proposed, it is the one that is proposed for these texts.
        """
        for name in (*APPROVAL_FIELDS, *TITLE_FIELDS):
            if words := self.cleaned_data.get(name):
                self.cleaned_data[name] = " ".join(words.split())
        chosen = "rejected" if self.cleaned_data.get("tracked") == "rejected" else "accepted"
        if chosen == "rejected" and (agreement := self.cleaned_data.get("agreement")):
            files, binding = (
                self.files_by_language.values(),
                Edition.objects.in_force().filter(agreement=agreement).first(),
            )
            rejected = _proposals(binding, {file.code: file.rejected for file in files})
            for name, value in _proposals(binding, {file.code: file.accepted for file in files}).items():
                if self.cleaned_data.get(name) == value:
                    self.cleaned_data[name] = rejected[name]
        for code, file in self.files_by_language.items():
            body, title = getattr(file, chosen), self.cleaned_data.get(f"title_{code}", "")
            if title and title != file.title:
                body = clauses.replace_title(body, title)
                if clauses.title_line(body) != title:
                    sentence = _(
                        "“%(title)s” can't be a title: it looks like another part of the text. Write another title."
                    )
                    self.add_error(f"title_{code}", sentence % {"title": title})
            self.cleaned_data[code] = body
        return self.cleaned_data

    @property
    def read(self) -> list[forms.BoundField]:
        """The fields that are filled in from the texts: both titles, then both approvals."""
        return [self[name] for name in (*TITLE_FIELDS, *APPROVAL_FIELDS)]

    @property
    def summaries(self) -> list[forms.BoundField]:
        return [self[name] for name in SUMMARY_FIELDS]

    @property
    def stated(self) -> list[forms.BoundField]:
        return [self[name] for name in CARRIED_FIELDS]


class StartView(EditionView):
    """``…/add/``: the form that asks how a draft begins. For files, a second page displays what was read and contains
    the :class:`ImportForm`. The draft is created when that page is posted. From an edition, the bodies and the
    ``CARRIED_FIELDS`` are copied; the summaries only from a cancelled edition. The approvals are those above the titles
    of the bodies, if any stand there. A draft with empty texts gets the ``CARRIED_FIELDS`` of the edition in force, if
    there is one. A form that is not valid is displayed again with the status 400. Raises ``PermissionDenied`` if the
    user may not add editions.
    """

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not self.model_admin.has_add_permission(request):
            raise PermissionDenied
        return super().dispatch(request, *args, **kwargs)

    def get(self, request: HttpRequest) -> HttpResponse:
        return self._ask(StartForm(initial=_initial(request)))

    def post(self, request: HttpRequest) -> HttpResponse:
        if "accepted_kk" in request.POST:
            return self._swap(request) if "swap" in request.POST else self._import(request)
        form = StartForm(request.POST, request.FILES)
        if not form.is_valid():
            return self._ask(form)
        answer = form.cleaned_data
        if answer["begin"] == StartForm.FILES:
            return self._show_import(answer["agreement"], [form.imported[code] for code in languages.LANGUAGES])
        if edition := answer["edition"] if answer["begin"] == StartForm.EDITION else None:
            bodies = {code: edition.text(code).body for code in languages.LANGUAGES}
            stated = {name: getattr(edition, name) for name in CARRIED_FIELDS}
            stated |= {f"approval_{code}": front_matter(body).approval for code, body in bodies.items()}
            if edition.cancelled_at:  # No notice about a later edition contains its summaries.
                stated |= {name: getattr(edition, name) for name in SUMMARY_FIELDS}
            return self._begin(answer["agreement"], bodies, comments.created_from(edition), **stated)
        stated = Edition.objects.stated_in_force(answer["agreement"])
        return self._begin(answer["agreement"], {}, comments.created_from(None), **stated)

    def _ask(self, form: StartForm) -> HttpResponse:
        return self._render_form("start", form, title=gettext("New draft"), word=reader.installed())

    def _begin(self, agreement: Agreement, bodies: dict[str, str], comment: str, **stated: Any) -> HttpResponse:
        """Create the draft, its first revision, an audit entry and an entry in the history of the admin. Return a
        redirect to the draft, or to the page that publishes it if ``publish`` is posted as ``_next``. ``stated`` are
        further fields of the draft, and ``comment`` describes its origin. Raises ``ValidationError`` for invalid texts,
        and then creates nothing.

        If :meth:`_earlier` finds a draft, because the page was submitted twice, nothing is created, and the redirect
        leads to that draft.
        """
        editions: EditionQuerySet = Edition.objects.all()
        with transaction.atomic(), reversion.create_revision():
            agreement.lock()
            reversion.set_user(self.request.user)
            reversion.set_comment(comment)
            edition = editions.create_draft(agreement=agreement, bodies=bodies, by=self.request.user, **stated)
            earlier = self._earlier(edition)
            transaction.set_rollback(earlier is not None)
        if earlier:
            message = gettext("The draft already exists. No second draft was created.")
            return redirect_to_edition(self.model_admin, self.request, earlier, message)
        self.model_admin.log_addition(self.request, edition, comment)
        if self.request.POST.get("_next") == "publish":
            messages.success(self.request, gettext("The draft was created."))
            return HttpResponseRedirect(
                reverse(f"{self.model_admin.admin_site.name}:agreement_edition_publish", args=[quote(edition.pk)])
            )
        if any(bodies.values()):
            message = gettext("The draft was created with this text and saved. Check it, and save what you change.")
        else:
            message = gettext("The draft was created. Write its text, then save it.")
        return redirect_to_edition(self.model_admin, self.request, edition, message)

    def _earlier(self, made: Edition) -> Edition | None:
        """Return a draft of the same agreement that was created after the first page was made, was last written by this
        user and has the same contents as ``made``; ``None`` if there is none. The posted field ``after`` is the highest
        key of an edition when the first page was made; ``None`` is also returned if it is missing or invalid.
        """
        after = self.request.POST.get("after", "")
        if not (after.isascii() and after.isdecimal() and len(after) < 19):
            return None
        author = AuditEntry.objects.last_author(made)
        for draft in Edition.objects.drafts().filter(agreement=made.agreement_id, pk__gt=int(after), pk__lt=made.pk):
            entry = AuditEntry.objects.last_author(draft)
            same_author = author and entry and (author.by, author.account) == (entry.by, entry.account)
            if same_author and fingerprint(draft) == fingerprint(made):
                return draft
        return None

    def _show_import(
        self, agreement: Agreement, imported: list[ImportedFile], form: ImportForm | None = None
    ) -> HttpResponse:
        binding = Edition.objects.in_force().filter(agreement=agreement).first()
        bodies = {file.code: file.accepted for file in imported}
        documents = {code: clauses.parse(body) for code, body in bodies.items()}
        swapped = languages.swapped(bodies)
        periods = {} if swapped else read_periods(documents)
        proposed = _proposals(binding, bodies)
        if_rejected = _proposals(binding, {file.code: file.rejected for file in imported})
        # If the files are swapped, nearly every finding says so. The summaries are written on this page or later.
        stated = (binding or Edition(agreement=agreement)).statements() | periods
        findings = [] if swapped else lint_findings(bodies, None, binding, stated, cited_clauses(agreement))
        if form is None:
            initial: dict[str, Any] = {"agreement": agreement.pk}
            initial |= {f"title_{file.code}": file.title for file in imported}
            form = ImportForm(initial=initial | proposed, files=imported)
        rows: tuple[Pair, ...] = upper_levels(*(documents[code] for code in languages.LANGUAGES))
        return self._render_form(
            "import",
            form,
            title=gettext("Import: the text that was read"),
            files=imported,
            binding=binding,
            periods=periods,
            if_rejected={
                name: "—" if value in {None, ""} else value
                for name, value in if_rejected.items()
                if value != proposed[name]
            },
            redlines=redlines(binding, _unsaved(agreement, bodies)) if binding and not swapped else [],
            swapped=swapped,
            may_publish=not swapped
            and may(self.model_admin, self.request, "publish")
            and all(finding.severity != "error" for finding in findings),
            tracked=[language_redline(file.code, file.rejected, file.accepted) for file in imported if file.tracked],
            left_out=any(file.left_out for file in imported),
            rows=rows[:MAX_ROWS],
            more_rows=len(rows[MAX_ROWS:]),
            findings=findings,
            findings_summary=findings_summary(findings),
        )

    def _swap(self, request: HttpRequest) -> HttpResponse:
        """Return the second page with the two files, their titles and their approvals exchanged, and with the other
        fields as the author left them. Raises ``PermissionDenied`` if no existing agreement is posted, because the
        page always posts the agreement that was chosen on the first page.
        """
        posted = {name: str(value) for name, value in request.POST.items()}
        for name in ("name", "report", "accepted", "rejected", "title", "approval"):
            kk, ru = f"{name}_kk", f"{name}_ru"
            values = {kk: posted.pop(ru, None), ru: posted.pop(kk, None)}
            posted |= {key: value for key, value in values.items() if value is not None}
        imported = [ImportedFile.from_post(code, posted) for code in languages.LANGUAGES]
        bound = ImportForm(posted, files=imported)
        bound.is_valid()
        agreement = bound.cleaned_data.get("agreement")
        if agreement is None:
            raise PermissionDenied
        return self._show_import(agreement, imported, ImportForm(initial=posted, files=imported))

    def _import(self, request: HttpRequest) -> HttpResponse:
        """Create the draft from the texts that the second page posts, and return the redirect of :meth:`_begin`. If the
        form is not valid, or the texts are refused, return the second page with the errors. Raises ``PermissionDenied``
        if no existing agreement is posted.
        """
        imported = [ImportedFile.from_post(code, request.POST) for code in languages.LANGUAGES]
        form = ImportForm(request.POST, files=imported)
        if not form.is_valid():
            agreement = form.cleaned_data.get("agreement")
            if agreement is None:
                raise PermissionDenied
            return self._show_import(agreement, imported, form)
        bodies = {code: form.cleaned_data[code] for code in languages.LANGUAGES}
        tracked = form.cleaned_data["tracked"] or "accepted" if any(file.tracked for file in imported) else ""
        comment = comments.imported([file.name[:200] for file in imported], tracked=tracked)
        stated = {name: form.cleaned_data[name] for name in (*APPROVAL_FIELDS, *SUMMARY_FIELDS, *CARRIED_FIELDS)}
        try:
            return self._begin(form.cleaned_data["agreement"], bodies, comment, **stated)
        except ValidationError as error:
            form.add_error(None, error.messages)
            return self._show_import(form.cleaned_data["agreement"], imported, form)

    def _render_form(self, template: str, form: forms.Form, **context: object) -> HttpResponse:
        after = self.request.POST.get("after") or Edition.objects.order_by("-pk").values_list("pk", flat=True).first()
        return self.render(
            template, status=400 if form.errors else 200, form=form, add=True, after=after or 0, **context
        )


def _proposals(binding: Edition | None, bodies: Mapping[str, str]) -> dict[str, Any]:
    """Return what the import proposes for a draft with these bodies, by the name of the field: the periods that both
    texts state, what the edition in force (``binding``) states otherwise, and the approvals above the titles.
    """
    stated = {name: getattr(binding or Edition(), name) for name in CARRIED_FIELDS}
    if not languages.swapped(bodies):
        stated |= read_periods({code: clauses.parse(body) for code, body in bodies.items()})
    return stated | {f"approval_{code}": front_matter(body).approval for code, body in bodies.items()}


def _unsaved(agreement: Agreement, bodies: Mapping[str, str]) -> Edition:
    """Return a new draft with these bodies, which are given by language. It is not saved."""
    return Edition(agreement=agreement, **{f"body_{code}": body for code, body in bodies.items()})


def _initial(request: HttpRequest) -> dict[str, Any]:
    """Return the initial values of the form. ``edition`` is the key of the edition named by ``?edition=``; else of the
    last edition of the agreement that is announced, because the draft will replace it; else ``None``. ``agreement`` is
    the key of the agreement of the named edition; else of the agreement named by ``?agreement=``; else that of
    ``DEFAULT_AGREEMENT``, or of the only agreement of the site; else ``None``. ``begin`` is ``EDITION`` if ``edition``
    is not ``None``, or if an edition of that agreement (if ``agreement`` is ``None``, of any agreement) is in force;
    else ``EMPTY``.
    """
    edition = _named(Edition.objects, request.GET.get("edition", ""))
    slug = conf.get().DEFAULT_AGREEMENT
    default = _named(Agreement.objects, request.GET.get("agreement", ""))
    default = default or (Agreement.objects.filter(slug=slug).first() if slug else None)
    agreements = [default] if default else list(Agreement.objects.all()[:2])
    agreement = edition.agreement_id if edition else agreements[0].pk if len(agreements) == 1 else None
    if edition is None and agreement:
        announced = Edition.objects.binding().filter(agreement=agreement, effective_from__gt=timezone.now())
        edition = announced.order_by("number").last()
    binding = Edition.objects.in_force()
    binding = binding.filter(agreement=agreement) if agreement else binding
    begin = StartForm.EDITION if edition or binding.exists() else StartForm.EMPTY
    return {"agreement": agreement, "begin": begin, "edition": edition and edition.pk}


def _named(rows: Any, key: str) -> Any:  # Any: the manager of a model, and a row of that model.
    """Return the row with the primary key that a parameter of the URL names; ``None`` if there is none."""
    return rows.filter(pk=key).first() if key.isascii() and key.isdecimal() and len(key) < 19 else None
