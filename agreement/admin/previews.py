"""A draft as its readers will get it: the notice as mail, the edition as page, and a test mail to oneself."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils import timezone, translation
from django.utils.decorators import method_decorator
from django.utils.translation import gettext
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_safe

from agreement import channels, conf
from agreement.compared import Compared, beside
from agreement.letters import Said, letter
from agreement.models import Delivery, Edition, Notice, NoticeText
from agreement.models.editions import State
from agreement.models.refusals import FARTHEST
from agreement.shown import Shown
from agreement.text import seal

if TYPE_CHECKING:
    EditionModelAdmin = admin.ModelAdmin[Edition]
else:
    EditionModelAdmin = admin.ModelAdmin

#: A preview stands in a frame and can do nothing: no script, no form, no way out. A letter brings its own styles.
POLICY = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; font-src 'self'; img-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'self'; sandbox"
)


def candidate(edition: Edition, effective_from: datetime | None = None) -> Edition:
    """The draft as if it were published now: for a look, never saved."""
    now = timezone.now()
    made: Edition = Edition.objects.select_related("agreement").get(pk=edition.pk)
    last = Edition.objects.published().filter(agreement=made.agreement_id).last()
    made.number = ((last.number or 0) if last else 0) + 1
    made.previous_digest = last.digest if last else ""
    made.published_at = made.recorded_at = now
    made.effective_from = max(effective_from or now, now)
    made.digest = seal.sha256(made.manifest())
    return made


def said(edition: Edition, code: str) -> Said:
    """The notice's words in that language. Raises ``ImproperlyConfigured`` where a site can't send any."""
    notice = Notice(edition=edition, kind=Notice.Kind.PUBLISHED, created_at=timezone.now())
    return letter(notice, code, since=notice.since())


def proposed(binding: Edition | None, now: datetime) -> datetime | None:
    """When an edition takes effect that keeps the promise of the one in force; ``None``: at once."""
    return now + timedelta(days=binding.notice_days) if binding and binding.notice_days else None


def _instant(asked: str) -> datetime | None:
    """Raises ``ValueError`` for what no edition can take effect at."""
    if not asked:
        return None
    at = datetime.fromisoformat(asked)
    if timezone.is_naive(at) or at > timezone.now() + FARTHEST:
        raise ValueError(asked)
    return at


class Previews(EditionModelAdmin):
    """``…/<id>/preview/mail/kk/``, ``…/preview/page/ru/``; ``?at=`` is when it takes effect, an instant: now."""

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path(
                "<path:object_id>/preview/<slug:kind>/<slug:code>/",
                wrap(self.preview_view),
                name="agreement_edition_preview",
            ),
            *super().get_urls(),
        ]

    @method_decorator([require_safe, xframe_options_sameorigin])
    def preview_view(self, request: HttpRequest, object_id: str, kind: str, code: str) -> HttpResponse:
        edition = EditionModelAdmin.get_object(self, request, unquote(object_id))
        if not self.has_view_or_change_permission(request, edition):
            raise PermissionDenied
        if edition is None or edition.published_at or code not in conf.LANGUAGES or kind not in {"mail", "page"}:
            raise Http404
        try:
            made = candidate(edition, _instant(request.GET.get("at", "")))
        except ValueError:
            raise Http404 from None
        binding = Edition.objects.in_force().filter(agreement=edition.agreement_id).select_related("agreement").first()
        try:
            html = said(made, code).html if kind == "mail" else self._page(request, made, binding, code)
        except (ImproperlyConfigured, NoReverseMatch) as error:
            return HttpResponse(str(error), content_type="text/plain; charset=utf-8", status=409)
        return HttpResponse(html, headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-store"})

    def _page(self, request: HttpRequest, edition: Edition, binding: Edition | None, code: str) -> str:
        """The page of the edition as it will stand at its permanent address."""
        with translation.override(code):
            at = edition.published_at or timezone.now()
            state = State.SCHEDULED if edition.effective_from and edition.effective_from > at else State.IN_FORCE
            shown = Shown(edition=edition, at=at, state=state, language=code, before=None, after=None)
            compared = None
            if binding:
                old = Shown(edition=binding, at=at, state=State.IN_FORCE, language=code, before=None, after=None)
                compared = Compared(old, shown)
            context = {
                "shown": shown,
                "address": request.build_absolute_uri(
                    reverse("agreement:edition", args=[edition.agreement.slug, edition.number])
                ),
                "compared": compared,
                "units": list(beside(shown.document, compared.redline if compared else None)),
                "alternates": [],
            }
            return render_to_string("agreement/edition.html", context)


def send_test(request: HttpRequest, edition: Edition, effective_from: datetime | None) -> str:
    """Mail the notice of a draft that takes effect then (now) to whoever asks; what kept it from going out."""
    users: Any = get_user_model()._default_manager.filter(pk=str(request.user.pk))
    address = users.annotate(agreement_address=conf.user_email()).values_list("agreement_address", flat=True).get()
    if not address:
        return gettext("Your account has no e-mail address.")
    made, mark = candidate(edition, effective_from), gettext("test")
    try:
        with channels.EmailChannel() as channel:
            if fault := channel.unreachable(address):
                return gettext("Your address can't be written to: %(fault)s.") % {"fault": fault}
            for number, code in enumerate(conf.LANGUAGES):
                words = said(made, code)
                notice = Notice(edition=made, kind=Notice.Kind.PUBLISHED)
                text = NoticeText(
                    notice=notice,
                    channel=channel.name,
                    language=code,
                    subject=f"[{mark}] {words.subject}"[:255],
                    text=words.text,
                    html=words.html,
                )
                channel.send(Delivery(pk=number, notice=notice, user=None), address, text)
    except (channels.Refused, channels.Deferred, channels.Unavailable, ImproperlyConfigured) as error:
        return gettext("The test mail was not sent: %(fault)s") % {"fault": error}
    done = gettext("A test mail in Kazakh and one in Russian went to %(address)s.") % {"address": address}
    messages.success(request, done)
    return ""
