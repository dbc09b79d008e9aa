"""The page on which an official signs the manifest of an edition, or on which a publisher stores their signature.

The key never reaches the site. NCALayer, the program of the national certification authority, signs on the computer of
the official. A script of the page asks it over a connection to this computer, and posts the signature. Without NCALayer
the signature is made with any program and chosen as a file.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from agreement.admin.base import MissingRight, redirect_missing
from agreement.admin.editions.page import EditionView, may, redirect_to_edition
from agreement.editions.signatures import DisplayedSignature, signatures_of
from agreement.evidence import cms, signatures
from agreement.models import Edition, EditionError

#: Where NCALayer listens on the computer of its user.
NCA_LAYER = "wss://127.0.0.1:13579"


class SignForm(forms.Form):
    """The form with a signature: as a file, or as the base64 that NCALayer returned (``signature``, hidden). Exactly
    one of them must be given. After validation, ``content`` is what was given.
    """

    file = forms.FileField(label=_("Signature file"), required=False, allow_empty_file=True)
    signature = forms.CharField(required=False, widget=forms.HiddenInput)

    content = b""

    def clean(self) -> None:
        file, signature = self.cleaned_data.get("file"), self.cleaned_data.get("signature", "")
        if bool(file) == bool(signature):
            self.add_error("file", _("Choose the file with the signature."))
        else:
            # One byte more than a signature may have, so that a longer file is refused and not read to its end.
            self.content = file.read(cms.MAX_BYTES + 1) if file else signature.encode()


class SignView(EditionView):
    """``…/<id>/sign/``: the page that signs a sealed edition. On POST it stores the signature and redirects to the
    edition. If the signature is refused, it is displayed again with the status 400. It refuses a draft with the status
    409. ``?manifest`` is the manifest as a file. If there is no such edition, the response is a redirect to the start
    page of the admin. Raises ``MissingRight`` if the user may not store signatures or may not view editions.
    """

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return allow_connection(super().dispatch, NCA_LAYER)(request, *args, **kwargs)

    def get(self, request: HttpRequest, object_id: str) -> HttpResponse:
        self._require_permission()
        edition = self.find(object_id)
        if edition is None:
            return redirect_missing(self.model_admin, request, object_id)
        if refusal := self._refuse_draft(edition):
            return refusal
        if "manifest" in request.GET:
            name = {"Content-Disposition": 'attachment; filename="manifest.json"'}
            return HttpResponse(edition.manifest(), content_type="application/json", headers=name)
        return self._ask(edition, SignForm())

    def post(self, request: HttpRequest, object_id: str) -> HttpResponse:
        self._require_permission()
        edition = self.find(object_id)
        if edition is None:
            return redirect_missing(self.model_admin, request, object_id)
        if refusal := self._refuse_draft(edition):
            return refusal
        form = SignForm(request.POST, request.FILES)
        if not form.is_valid():
            return self._ask(edition, form)
        try:
            row, is_new = signatures.store(edition, form.content, by=cast("AbstractBaseUser", request.user))
        except EditionError as error:
            form.add_error("file", f"{error} {error.hint}".strip())
            return self._ask(edition, form)
        displayed = DisplayedSignature(row=row, signed="", recorded="")
        if not is_new:
            sentence = gettext("This signature is stored already: %(signer)s. Nothing was stored again.")
            return redirect_to_edition(self.model_admin, request, edition, sentence % {"signer": row.signer})
        sentence = gettext("The signature was stored: %(signer)s.") % {"signer": row.signer}
        self.model_admin.log_change(request, edition, sentence)
        if not row.verified_by:
            messages.warning(request, displayed.verification)
        return redirect_to_edition(self.model_admin, request, edition, sentence)

    def _require_permission(self) -> None:
        if not may(self.model_admin, self.request, "sign"):
            raise MissingRight("sign_edition", _("store digital signatures of this edition"))

    def _refuse_draft(self, edition: Edition) -> HttpResponse | None:
        if edition.published_at:
            return None
        sentence = gettext("A draft can't be signed: it has no manifest.")
        return self.refuse(edition, sentence, gettext("Publish it first. Then the officials sign the edition."))

    def _ask(self, edition: Edition, form: SignForm) -> HttpResponse:
        return self.render(
            "sign",
            status=400 if form.is_bound else 200,
            original=edition,
            form=form,
            readable=cms.is_installed(),
            verifies=signatures.has_verifier(),
            manifest=base64.b64encode(edition.manifest()).decode(),
            address=f"{NCA_LAYER}/",
            found=signatures_of(edition),
            title=gettext("Sign: %(edition)s") % {"edition": edition},
        )


def allow_connection(view: Callable[..., HttpResponseBase], address: str) -> Callable[..., HttpResponseBase]:
    """Return the view with a content security policy that allows its page to connect to that address, besides what the
    policy of the site allows. Other pages keep their policy. The policies are those of Django 6 and of django-csp, also
    those that are only reported. A policy that another program sends is not changed.
    """
    for name, decorate in (("SECURE_CSP", "csp_override"), ("SECURE_CSP_REPORT_ONLY", "csp_report_only_override")):
        if policy := _with_connection(getattr(settings, name, None), address):
            from django.views.decorators import csp  # type: ignore[import-not-found, unused-ignore]  # Django 6.0

            view = getattr(csp, decorate)(policy)(view)
    for name, is_report in (("CONTENT_SECURITY_POLICY", False), ("CONTENT_SECURITY_POLICY_REPORT_ONLY", True)):
        directives = (getattr(settings, name, None) or {}).get("DIRECTIVES")
        if policy := _with_connection(directives, address):
            from csp.decorators import csp_replace

            view = csp_replace({"connect-src": policy["connect-src"]}, REPORT_ONLY=is_report)(view)
    return view


def _with_connection(policy: Mapping[str, Any] | None, address: str) -> dict[str, Any] | None:
    """Return the policy with that address in ``connect-src``. ``None`` if there is no policy, or if it allows every
    connection, because it has neither ``connect-src`` nor ``default-src``.
    """
    sources: str | Iterable[str] | None = (policy or {}).get("connect-src") or (policy or {}).get("default-src")
    if not policy or not sources:
        return None
    allowed = [sources] if isinstance(sources, str) else list(sources)
    return {**policy, "connect-src": [*(one for one in allowed if one != "'none'"), address]}
