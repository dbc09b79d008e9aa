"""Previews of a draft: the notice as a mail, the edition as a page or a Word file, and test mails to staff users. The
notice of a cancellation has a preview and test mails too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils import timezone, translation
from django.utils.decorators import method_decorator
from django.utils.translation import gettext
from django.views.decorators.clickjacking import xframe_options_sameorigin

from agreement.admin.editions.page import EditionView
from agreement.editions import documents
from agreement.editions.changes import Comparison, changed_clauses, marked_units
from agreement.editions.display import DisplayedEdition
from agreement.models import Delivery, Edition, Notice, NoticeKind, NoticeText, knowledge
from agreement.models.publishing import MAX_AHEAD
from agreement.models.succession import EditionDates, State
from agreement.notices.channels import Deferred, EmailChannel, Refused, Unavailable
from agreement.notices.letters import NoticeContent, letter
from agreement.seal import manifest
from agreement.text import languages
from agreement.word.writer import CONTENT_TYPE

#: The content security policy of a preview, which is displayed in a frame. It forbids scripts, forms and navigation.
#: Inline styles are allowed, because a letter has them.
POLICY = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; font-src 'self'; img-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'self'; sandbox"
)
#: The kinds of previews that are Word files, and all kinds.
FILES = frozenset({"word", "changes", "table"})
KINDS = FILES | {"mail", "page", "cancellation"}


def as_published(edition: Edition, effective_from: datetime | None = None) -> Edition:
    """Return the draft with the number, the moments and the digests that it would have if it were published now and
    took effect at ``effective_from``; ``None``, or a moment in the past, means now.

    The draft is read again, so changes of the object that are not saved are ignored. Whether it can be published is not
    checked. The returned object must not be saved. 2 queries.
    """
    now = timezone.now()
    published: Edition = Edition.objects.select_related("agreement").get(pk=edition.pk)
    last = Edition.objects.published().filter(agreement=published.agreement_id).last()
    published.number = ((last.number or 0) if last else 0) + 1
    published.previous_digest = last.digest if last else ""
    published.published_at = published.recorded_at = now
    published.effective_from = max(effective_from or now, now)
    published.digest = manifest.sha256(published.manifest())
    return published


def as_cancelled(edition: Edition) -> Edition:
    """Return the scheduled edition as it would be if it were cancelled now. It is read again, and must not be saved.
    1 query.
    """
    cancelled: Edition = Edition.objects.select_related("agreement").get(pk=edition.pk)
    cancelled.cancelled_at = timezone.now()
    return cancelled


def notice_content(edition: Edition, code: str, kind: NoticeKind = NoticeKind.PUBLISHED) -> NoticeContent:
    """Return the content of the notice of that kind about the edition, in ``kk`` or ``ru``. The edition is published,
    or is a result of :func:`as_published` or :func:`as_cancelled`. No notice is saved.

    The notice compares the edition with the one that :func:`agreement.models.knowledge.base_number` returns. If there
    is none, nothing is compared.

    Raises ``ImproperlyConfigured`` if the site's address is not configured, or if the site does not include the app's
    URLs. Raises ``ValueError`` for a draft.
    """
    notice = Notice(edition=edition, kind=kind, created_at=timezone.now())
    return letter(notice, code, since=knowledge.base_number(notice, knowledge.History.of(notice)))


def promised_from(binding: Edition | None, now: datetime) -> datetime | None:
    """Return the first moment that gives the days of notice which the edition in force (``binding``) promises, if the
    draft is published at ``now``. Return ``None`` if it promises none, or if no edition is in force.
    """
    return now + timedelta(days=binding.notice_days) if binding and binding.notice_days else None


def _instant(text: str) -> datetime | None:
    """Parse the moment (ISO 8601) at which a draft is to take effect; ``None`` for ``""``. A moment in the past is
    accepted. Raises ``ValueError`` for a text that is not a moment, for a moment without an offset, and for a moment
    further in the future than ``MAX_AHEAD``.
    """
    if not text:
        return None
    at = datetime.fromisoformat(text)
    if timezone.is_naive(at) or at > timezone.now() + MAX_AHEAD:
        raise ValueError(text)
    return at


@method_decorator(xframe_options_sameorigin, name="dispatch")
class PreviewView(EditionView):
    """``…/<id>/preview/mail/kk/`` and ``…/preview/page/ru/``: the preview of the mail or the page of a draft in one
    language. ``?at=`` is the instant at which the edition takes effect. Without it, and for an instant in the past, the
    edition takes effect now.

    The kind ``word`` is the draft as a Word file. ``changes`` and ``table`` are Word files with its changes since the
    edition in force: as tracked changes, and as a comparative table. The kind ``cancellation`` is the mail that a
    cancellation of a scheduled edition would send.

    Raises ``PermissionDenied`` if the user may not view editions. Raises ``Http404`` if there is no such edition, if it
    is not a draft (for ``cancellation``: if it is not scheduled), for another kind or language, for an invalid instant,
    and for changes if no edition is in force. If the site lacks a setting or a URL that the preview of a mail or a page
    needs, the response is the error as plain text, with the status 409.
    """

    def get(self, request: HttpRequest, object_id: str, kind: str, code: str) -> HttpResponse:
        edition = self.find(object_id)
        if not self.model_admin.has_view_or_change_permission(request, edition):
            raise PermissionDenied
        if edition is None or code not in languages.LANGUAGES or kind not in KINDS:
            raise Http404
        if edition.state() != (State.SCHEDULED if kind == "cancellation" else State.DRAFT):
            raise Http404
        if kind == "cancellation":
            return self._html(lambda: notice_content(as_cancelled(edition), code, NoticeKind.CANCELLED).html)
        try:
            published = as_published(edition, _instant(request.GET.get("at", "")))
        except ValueError:
            raise Http404 from None
        binding = Edition.objects.in_force().filter(agreement=edition.agreement_id).select_related("agreement").first()
        if kind in FILES:
            return self._file(published, binding, kind, code)
        if kind == "mail":
            return self._html(lambda: notice_content(published, code).html)
        earlier = Edition.objects.published().binding().filter(agreement=edition.agreement_id)
        last = earlier.select_related("agreement").last()
        return self._html(lambda: self._page(published, last, code))

    def _html(self, composed: Callable[[], str]) -> HttpResponse:
        """Return the HTML that the function composes; its error as plain text, with the status 409, if the site lacks a
        setting or a URL.
        """
        try:
            html = composed()
        except (ImproperlyConfigured, NoReverseMatch) as error:
            return HttpResponse(str(error), content_type="text/plain; charset=utf-8", status=409)
        headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store", "X-Robots-Tag": "noindex"}
        return HttpResponse(html, headers=headers)

    def _file(self, edition: Edition, binding: Edition | None, kind: str, code: str) -> HttpResponse:
        """Return the draft as a Word file in the language ``code``, or its changes since ``binding``, the edition in
        force. ``edition`` is a result of :func:`as_published`. Raises ``Http404`` for changes since ``None``.
        """
        at = edition.published_at or timezone.now()
        with translation.override(code):
            draft = _displayed(edition, at, State.DRAFT, code)
            if kind == "word":
                content = documents.edition_file(draft, "")
            elif binding:
                compared = Comparison(_displayed(binding, at, State.IN_FORCE, code), draft)
                content = (documents.changes_file if kind == "changes" else documents.table_file)(compared, "")
            else:
                raise Http404
        name = f'attachment; filename="{edition.agreement.slug}-draft-{edition.pk}.{kind}.{code}.docx"'
        headers = {"Content-Type": CONTENT_TYPE, "Content-Disposition": name, "Cache-Control": "no-store"}
        return HttpResponse(content, headers=headers)

    def _page(self, edition: Edition, last: Edition | None, code: str) -> str:
        """Return the HTML of the permanent page of the edition, in the language ``code``. ``edition`` is a result of
        :func:`as_published`. ``last`` is the edition that it replaces: the last one that was not cancelled. The changes
        since then are marked; with ``None`` nothing is marked.
        """
        with translation.override(code):
            at = edition.published_at or timezone.now()
            state = _state(edition, at)
            shown = _displayed(edition, at, state, code, EditionDates.from_edition(last) if last else None)
            compared = Comparison(_displayed(last, at, _state(last, at), code), shown) if last else None
            address = reverse("agreement:edition", args=[edition.agreement.slug, edition.number])
            units = list(marked_units(shown.document, compared.redline if compared else None))
            context = {
                "displayed": shown,
                "address": self.request.build_absolute_uri(address),
                "compared": compared,
                "units": units,
                "changed": changed_clauses(units),
                "alternates": [],
            }
            return render_to_string("agreement/pages/edition.html", context)


def _state(edition: Edition, at: datetime) -> State:
    """Return the state at that instant of an edition that no later one replaces."""
    return State.SCHEDULED if edition.effective_from and edition.effective_from > at else State.IN_FORCE


def _displayed(
    edition: Edition, at: datetime, state: State, code: str, predecessor: EditionDates | None = None
) -> DisplayedEdition:
    """Return the edition as it is displayed at that instant, in that state and in the language ``code``, without a
    successor.
    """
    return DisplayedEdition(edition=edition, at=at, state=state, language=code, predecessor=predecessor, successor=None)


def send_test_mails(
    recipients: Sequence[tuple[AbstractBaseUser, str]], edition: Edition, kind: NoticeKind
) -> tuple[str, str]:
    """Mail the notice of that kind about the edition to each of these users, at the e-mail address given with them: one
    mail in Kazakh, and one in Russian. ``edition`` is published, or is a result of :func:`as_published` or
    :func:`as_cancelled`. Raises ``ValueError`` for a draft. Nothing is recorded in the ledger.

    Return ``success`` or ``error``, and a message about the outcome. It is an error if one of the mails can't be sent;
    the mails before it were sent then, and those after it were not. The message names both. It is also an error if the
    site lacks a setting that the mails need.
    """
    mark, sent = gettext("test"), list[str]()
    try:
        with EmailChannel() as channel:
            notices = [Notice(edition=edition, kind=kind) for _code in languages.LANGUAGES]
            texts = []
            for number, code in enumerate(languages.LANGUAGES):
                content = notice_content(edition, code, kind)
                subject = f"[{mark}] {content.subject}"[:255]
                facts = {"channel": channel.name, "language": code, "subject": subject}
                # The channel prepares each text once, by its key.
                texts.append(
                    NoticeText(pk=number, notice=notices[number], text=content.text, html=content.html, **facts)
                )
            for user, address in recipients:
                if fault := channel.unreachable(address):
                    return "error", _outcome(sent, address, fault)
                for number, text in enumerate(texts):
                    try:
                        channel.send(Delivery(pk=text.pk, notice=text.notice, user_id=user.pk), address, text)
                    except (Refused, Deferred, Unavailable) as error:
                        return "error", _outcome(sent, address, error, half=number > 0)
                sent.append(address)
    except ImproperlyConfigured as error:
        return "error", gettext("The test e-mail was not sent: %(fault)s") % {"fault": error}
    return "success", _outcome(sent)


def _outcome(sent: list[str], address: str = "", fault: object = "", *, half: bool = False) -> str:
    """Return the message about test mails. ``sent`` are the addresses to which both mails were sent. ``address`` is the
    first one to which a mail could not be sent, and ``fault`` the reason; ``""`` if all mails were sent. ``half`` means
    that the Kazakh mail was sent to it, and the Russian one could not be sent.
    """
    sentences = []
    if sent:
        sentence = gettext("Test e-mails in Kazakh and in Russian were sent to %(addresses)s.")
        sentences.append(sentence % {"addresses": ", ".join(sent)})
    if address:
        sentence = gettext("No test e-mail was sent to %(address)s: %(fault)s.")
        if half:
            sentence = gettext(
                "The test e-mail in Kazakh was sent to %(address)s. The one in Russian was not sent: %(fault)s."
            )
        sentences.append(sentence % {"address": address, "fault": fault})
    return " ".join(sentences)
