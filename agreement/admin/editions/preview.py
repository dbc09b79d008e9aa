"""A draft as its readers will get it: the notice as mail, the edition as page, and a test mail to oneself."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.contrib import messages
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils import timezone, translation
from django.utils.decorators import method_decorator
from django.utils.translation import gettext
from django.views.decorators.clickjacking import xframe_options_sameorigin

from agreement import conf
from agreement.admin.editions.page import EditionView
from agreement.editions.changes import Comparison, marked_units
from agreement.editions.display import DisplayedEdition
from agreement.models import Delivery, Edition, Notice, NoticeKind, NoticeText
from agreement.models.publishing import MAX_AHEAD
from agreement.models.succession import State
from agreement.notices.channels import Deferred, EmailChannel, Refused, Unavailable
from agreement.notices.letters import NoticeContent, letter
from agreement.seal import manifest
from agreement.text import languages

#: A preview is displayed in a frame: no script, no form, no links out of it. A letter has its own styles.
POLICY = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; font-src 'self'; img-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'self'; sandbox"
)


def as_published(edition: Edition, effective_from: datetime | None = None) -> Edition:
    """The draft as if it were published now: to be looked at, never saved."""
    now = timezone.now()
    published: Edition = Edition.objects.select_related("agreement").get(pk=edition.pk)
    last = Edition.objects.published().filter(agreement=published.agreement_id).last()
    published.number = ((last.number or 0) if last else 0) + 1
    published.previous_digest = last.digest if last else ""
    published.published_at = published.recorded_at = now
    published.effective_from = max(effective_from or now, now)
    published.digest = manifest.sha256(published.manifest())
    return published


def notice_content(edition: Edition, code: str) -> NoticeContent:
    """The notice about that edition in that language.

    Raises ``ImproperlyConfigured`` if the settings of the site can't make one.
    """
    notice = Notice(edition=edition, kind=NoticeKind.PUBLISHED, created_at=timezone.now())
    return letter(notice, code, since=notice.base_number())


def promised_from(binding: Edition | None, now: datetime) -> datetime | None:
    """The first moment that keeps the days of notice of the edition in force; ``None`` if it states none."""
    return now + timedelta(days=binding.notice_days) if binding and binding.notice_days else None


def _instant(text: str) -> datetime | None:
    """Raises ``ValueError`` for what no edition can take effect at."""
    if not text:
        return None
    at = datetime.fromisoformat(text)
    if timezone.is_naive(at) or at > timezone.now() + MAX_AHEAD:
        raise ValueError(text)
    return at


@method_decorator(xframe_options_sameorigin, name="dispatch")
class PreviewView(EditionView):
    """``…/<id>/preview/mail/kk/``, ``…/preview/page/ru/``; ``?at=`` is the instant it takes effect, else now."""

    def get(self, request: HttpRequest, object_id: str, kind: str, code: str) -> HttpResponse:
        edition = self.find(object_id)
        if not self.model_admin.has_view_or_change_permission(request, edition):
            raise PermissionDenied
        if edition is None or edition.published_at or code not in languages.LANGUAGES or kind not in {"mail", "page"}:
            raise Http404
        try:
            published = as_published(edition, _instant(request.GET.get("at", "")))
        except ValueError:
            raise Http404 from None
        binding = Edition.objects.in_force().filter(agreement=edition.agreement_id).select_related("agreement").first()
        try:
            html = notice_content(published, code).html if kind == "mail" else self._page(published, binding, code)
        except (ImproperlyConfigured, NoReverseMatch) as error:
            return HttpResponse(str(error), content_type="text/plain; charset=utf-8", status=409)
        return HttpResponse(html, headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-store"})

    def _page(self, edition: Edition, binding: Edition | None, code: str) -> str:
        """The page of the edition as its permanent address will display it."""
        with translation.override(code):
            at = edition.published_at or timezone.now()
            state = State.SCHEDULED if edition.effective_from and edition.effective_from > at else State.IN_FORCE
            shown = DisplayedEdition(
                edition=edition, at=at, state=state, language=code, predecessor=None, successor=None
            )
            compared = None
            if binding:
                old = DisplayedEdition(
                    edition=binding, at=at, state=State.IN_FORCE, language=code, predecessor=None, successor=None
                )
                compared = Comparison(old, shown)
            address = reverse("agreement:edition", args=[edition.agreement.slug, edition.number])
            context = {
                "displayed": shown,
                "address": self.request.build_absolute_uri(address),
                "compared": compared,
                "units": list(marked_units(shown.document, compared.redline if compared else None)),
                "alternates": [],
            }
            return render_to_string("agreement/pages/edition.html", context)


def send_test_mail(user: AbstractBaseUser, edition: Edition, effective_from: datetime | None) -> tuple[int, str]:
    """Mail the notice of a draft that takes effect then (now) to that user.

    Returns the level and the text of a message about it.
    """
    users = get_user_model()._default_manager.filter(pk=str(user.pk))
    address = users.annotate(agreement_address=conf.user_email()).values_list("agreement_address", flat=True).get()
    if not address:
        return messages.ERROR, gettext("Your account has no e-mail address.")
    published, mark = as_published(edition, effective_from), gettext("test")
    try:
        with EmailChannel() as channel:
            if fault := channel.unreachable(address):
                return messages.ERROR, gettext("Your address can't be written to: %(fault)s.") % {"fault": fault}
            for number, code in enumerate(languages.LANGUAGES):
                content = notice_content(published, code)
                notice = Notice(edition=published, kind=NoticeKind.PUBLISHED)
                text = NoticeText(
                    notice=notice,
                    channel=channel.name,
                    language=code,
                    subject=f"[{mark}] {content.subject}"[:255],
                    text=content.text,
                    html=content.html,
                )
                channel.send(Delivery(pk=number, notice=notice, user=None), address, text)
    except (Refused, Deferred, Unavailable, ImproperlyConfigured) as error:
        return messages.ERROR, gettext("The test mail was not sent: %(fault)s") % {"fault": error}
    sentence = gettext("A test mail in Kazakh and one in Russian went to %(address)s.")
    return messages.SUCCESS, sentence % {"address": address}
