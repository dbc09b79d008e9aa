"""How a draft begins: from an edition, from two files, or empty. What an import changed is shown before it is saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import reversion
from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.utils import quote
from django.core import signing
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agreement import conf, word
from agreement.admin.comparing import STATED
from agreement.admin.drafts import counted, findings
from agreement.admin.tables import LONG
from agreement.models import Agreement, Edition
from agreement.models.editions import EditionQuerySet
from agreement.text import clauses, source

if TYPE_CHECKING:
    EditionModelAdmin = admin.ModelAdmin[Edition]
else:
    EditionModelAdmin = admin.ModelAdmin


#: What is told of a file besides its two texts, and how much of it.
TOLD = ("changed", "insertions", "deletions", "left_out")
NOTES, LONGEST = 50, 1000
SALT = "agreement.import"
#: What else the second page sends back, in bytes.
FORM = 20_000


@dataclass(slots=True)
class Imported:
    """One file as it was read: two texts, the same unless changes were tracked, and what is in neither."""

    code: str
    name: str
    accepted: str
    rejected: str
    changed: list[str] = field(default_factory=list)
    insertions: int = 0
    deletions: int = 0
    left_out: list[tuple[str, list[str], int]] = field(default_factory=list)
    """What is in neither text: its kind, the first ``NOTES`` of them, and how many there are."""

    @property
    def tracked(self) -> bool:
        return self.accepted != self.rejected

    @property
    def told(self) -> str:
        """What the page tells of the file, signed: it comes back with the answer, and is told again if need be."""
        return signing.dumps({name: getattr(self, name) for name in TOLD}, salt=SALT, compress=True)

    @classmethod
    def posted(cls, code: str, posted: Mapping[str, str]) -> Imported:
        """The file as the second page sends it back: an author may write any text anyhow."""
        accepted = source.normalise(posted.get(f"accepted_{code}", ""))
        rejected = source.normalise(posted.get(f"rejected_{code}", accepted))
        try:
            told = signing.loads(posted.get(f"told_{code}", ""), salt=SALT)
        except signing.BadSignature:
            told = {}
        return cls(code=code, name=posted.get(f"name_{code}", ""), accepted=accepted, rejected=rejected, **told)

    @property
    def units(self) -> int:
        return len(clauses.parse(self.accepted).numbers)


class StartForm(forms.Form):
    """What the draft begins with."""

    EDITION, FILES, EMPTY = "edition", "files", "empty"
    agreement = forms.ModelChoiceField(Agreement.objects.all(), label=_("User agreement"))
    begin = forms.ChoiceField(
        label=_("Begin with"),
        choices=[
            (EDITION, _("an edition: its words are copied")),
            (FILES, _("two files: Markdown, plain text or Word (.docx)")),
            (EMPTY, _("empty texts")),
        ],
        widget=forms.RadioSelect,
    )
    edition = forms.ModelChoiceField(
        Edition.objects.none(),
        label=_("Edition"),
        required=False,
        empty_label=_("the edition in force"),
    )
    kk = forms.FileField(label=_("Text in Kazakh"), required=False)
    ru = forms.FileField(label=_("Text in Russian"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        editions: Any = Edition.objects.select_related("agreement")
        choice: Any = self.fields["edition"]
        choice.queryset = editions.rewrite(False).defer(*LONG).order_by("agreement__slug", "-number", "-pk")
        for code in conf.LANGUAGES:
            self.fields[code].widget.attrs["accept"] = ".md,.txt,.docx,text/markdown,text/plain"

    def clean(self) -> None:
        given = self.cleaned_data
        agreement, begin, edition = (given.get(name) for name in ("agreement", "begin", "edition"))
        if begin == self.EDITION and agreement:
            if edition is None:
                edition = given["edition"] = Edition.objects.in_force().filter(agreement=agreement).first()
            if edition is None:
                self.add_error("edition", _("No edition of this agreement is in force now."))
            elif edition.agreement_id != agreement.pk:
                self.add_error("edition", _("It is an edition of another agreement."))
        if begin == self.FILES:
            for code in conf.LANGUAGES:
                if not given.get(code):
                    self.add_error(code, _("Choose the file of this text."))
                    continue
                try:
                    given[code] = imported(code, given[code])
                except ValidationError as error:
                    self.add_error(code, error)
            if not self.errors:
                self._require_form([given[code] for code in conf.LANGUAGES])

    def _require_form(self, files: list[Imported]) -> None:
        """The second page sends the texts back, and Django refuses a larger form with no page at all."""
        texts = [text for one in files for text in {one.accepted, one.rejected}]
        size = FORM + sum(len(text.encode(errors="replace")) + text.count("\n") for text in texts)
        if size > (settings.DATA_UPLOAD_MAX_MEMORY_SIZE or size):
            sentence = _("Together the texts are too large for a form of this site: use the command import_edition.")
            self.add_error("ru", sentence)


class ImportForm(forms.Form):
    """What an import found, as the page carries it to the save."""

    agreement = forms.ModelChoiceField(Agreement.objects.all(), widget=forms.HiddenInput)
    tracked = forms.ChoiceField(
        label=_("Tracked changes"),
        required=False,
        choices=[("accepted", _("accept all of them")), ("rejected", _("reject all of them"))],
        widget=forms.RadioSelect,
    )
    seen = forms.BooleanField(label=_("I have seen what is left out."), required=False)

    def __init__(self, *args: Any, tracked: bool, left_out: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["tracked"].required, self.fields["seen"].required = tracked, left_out


class Starting(EditionModelAdmin):
    """``…/add/``: the question what a draft begins with, and for files what reading them changed."""

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        if request.method == "POST" and "accepted_kk" in request.POST:
            return self._import(request)
        form = (
            StartForm(request.POST, request.FILES) if request.method == "POST" else StartForm(initial=_asked(request))
        )
        if request.method == "POST" and form.is_valid():
            given = form.cleaned_data
            if given["begin"] == StartForm.FILES:
                return self._show_import(request, given["agreement"], [given[code] for code in conf.LANGUAGES])
            if edition := given["edition"] if given["begin"] == StartForm.EDITION else None:
                bodies = {code: edition.text(code).body for code in conf.LANGUAGES}
                stated = {name: getattr(edition, name) for name in STATED if name != "material"}
                comment = gettext("Begun from: %(edition)s") % {"edition": edition}
                return self._begin(request, given["agreement"], bodies, comment, **stated)
            return self._begin(request, given["agreement"], {}, gettext("Begun empty"))
        return self._start(request, "start", form, title=gettext("New draft"), word=word.installed())

    def _begin(
        self, request: HttpRequest, agreement: Agreement, bodies: dict[str, str], comment: str, **stated: Any
    ) -> HttpResponse:
        editions: EditionQuerySet = Edition.objects.all()
        with transaction.atomic(), reversion.create_revision():
            reversion.set_user(request.user)
            reversion.set_comment(comment)
            edition = editions.draft(agreement=agreement, bodies=bodies, by=request.user, **stated)
        self.log_addition(request, edition, comment)
        messages.success(request, gettext("The draft is made: write it, then save it."))
        url = reverse(f"{self.admin_site.name}:agreement_edition_change", args=[quote(edition.pk)])
        return HttpResponseRedirect(url)

    def _show_import(
        self, request: HttpRequest, agreement: Agreement, files: list[Imported], form: ImportForm | None = None
    ) -> HttpResponse:
        tracked = any(one.tracked for one in files)
        left_out = any(one.left_out for one in files)
        initial = {"agreement": agreement.pk}
        form = form or ImportForm(initial=initial, tracked=tracked, left_out=left_out)
        binding = Edition.objects.in_force().filter(agreement=agreement).first()
        found = findings({one.code: one.accepted for one in files}, {}, binding)
        return self._start(
            request,
            "import",
            form,
            title=gettext("Import: what was read"),
            files=files,
            tracked=tracked,
            left_out=left_out,
            findings=found,
            said=counted(found),
        )

    def _import(self, request: HttpRequest) -> HttpResponse:
        """The second page's answer. The texts come back as they were shown."""
        files = [Imported.posted(code, request.POST) for code in conf.LANGUAGES]
        tracked = any(one.tracked for one in files)
        form = ImportForm(request.POST, tracked=tracked, left_out=any(one.left_out for one in files))
        if not form.is_valid():
            agreement = form.cleaned_data.get("agreement")
            if agreement is None:
                raise PermissionDenied
            return self._show_import(request, agreement, files, form)
        chosen = form.cleaned_data["tracked"] or "accepted"
        bodies = {one.code: getattr(one, chosen) for one in files}
        comment = gettext("Imported: %(names)s") % {"names": ", ".join(one.name for one in files)}
        if tracked:
            comment += " · " + str(dict(form.fields["tracked"].choices)[chosen])  # type: ignore[attr-defined]
        try:
            return self._begin(request, form.cleaned_data["agreement"], bodies, comment[:1000])
        except ValidationError as error:
            form.add_error(None, error.messages)
            return self._show_import(request, form.cleaned_data["agreement"], files, form)

    def _start(self, request: HttpRequest, page: str, form: forms.Form, **context: Any) -> HttpResponse:
        context |= {"opts": self.opts, "media": self.media, "form": form, "add": True, "has_view_permission": True}
        template = f"admin/agreement/edition/{page}.html"
        return TemplateResponse(
            request, template, self.admin_site.each_context(request) | context, status=400 if form.errors else 200
        )


def _asked(request: HttpRequest) -> dict[str, Any]:
    """What the page begins with: the only agreement, its edition in force, or the edition a link named."""
    asked = request.GET.get("edition", "")
    edition = (
        Edition.objects.filter(pk=asked).first() if asked.isascii() and asked.isdecimal() and len(asked) < 19 else None
    )
    agreements = list(Agreement.objects.all()[:2])
    agreement = edition.agreement_id if edition else agreements[0].pk if len(agreements) == 1 else None
    binding = Edition.objects.in_force()
    binding = binding.filter(agreement=agreement) if agreement else binding
    begin = StartForm.EDITION if edition or binding.exists() else StartForm.EMPTY
    return {"agreement": agreement, "begin": begin, "edition": edition and edition.pk}


def imported(code: str, file: Any) -> Imported:
    """The file of that language, read. Raises ``ValidationError`` for one that can't be taken."""
    name, content = str(file.name), file.read(max(source.MAX_BYTES, word.MAX_PACKED) + 1)
    if not name.lower().endswith(".docx") and not content.startswith(b"PK\x03\x04"):
        return _plain(code, name, content)
    if not word.installed():
        raise ValidationError(_("Word files are not read here: save the text as Markdown or plain text, in UTF-8."))
    try:
        read = word.read(content, name)
    except source.SourceError as error:
        raise ValidationError(f"{error} {error.hint}") from None
    changed = [gettext("Word document: the words, their numbers and tables were taken, bold and italics were not.")]
    if read.contents:
        changed.append(gettext("The automatic table of contents was left out."))
    left_out = [
        (gettext("Comments"), read.comments),
        (gettext("Footnotes and endnotes"), read.footnotes),
        (gettext("Addresses of links, whose words were taken"), read.links),
        (gettext("Headers and footers"), read.margins),
    ]
    counts = [
        (gettext("Pictures and drawings"), read.pictures),
        (gettext("Hidden words"), read.hidden),
        (gettext("Formulas, signs of special fonts, embedded documents"), read.odd),
    ]
    return Imported(
        code=code,
        name=name,
        accepted=read.accepted,
        rejected=read.rejected,
        changed=changed,
        insertions=read.insertions,
        deletions=read.deletions,
        left_out=[
            *((what, [note[:LONGEST] for note in notes[:NOTES]], len(notes)) for what, notes in left_out if notes),
            *((what, [], count) for what, count in counts if count),
        ],
    )


def _plain(code: str, name: str, content: bytes) -> Imported:
    """A text file, by the rule of every import; said in the editor's language."""
    values = {"name": name}
    if len(content) > source.MAX_BYTES:
        raise ValidationError(gettext("%(name)s is too large to be an agreement's text.") % values)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise ValidationError(
            gettext("%(name)s is not in UTF-8: save it in UTF-8, then choose it again.") % values
        ) from None
    if "\0" in text or not text.strip():
        raise ValidationError(gettext("%(name)s holds no text.") % values)
    changed = []
    if text.startswith("\ufeff"):
        changed.append(gettext("The byte order mark was removed."))
    if "\r" in text:
        changed.append(gettext("Line ends of Windows or old Macs became plain ones."))
    text = source.normalise(text)
    return Imported(code=code, name=name, accepted=text, rejected=text, changed=changed)
