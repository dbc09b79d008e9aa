"""Finds or creates the agreement into which a command imports."""

from __future__ import annotations

from agreement.management import command_error, quote
from agreement.models import Agreement

DEFAULT_SLUG = "user-agreement"


def choose_agreement(slug: str | None, *, create: bool) -> Agreement:
    """Return the agreement with that slug; if no slug is given, the only agreement.

    If there is no agreement with that slug, it is created if ``create`` is true; otherwise ``CommandError`` is raised.
    If no slug is given, and there is no agreement at all, one with the slug ``DEFAULT_SLUG`` is created, also if
    ``create`` is false. If no slug is given, and there are several agreements, ``CommandError`` is raised. Raises
    ``ValidationError`` if the new agreement can't have that slug.
    """
    if slug is None:
        found = list(Agreement.objects.all()[:2])
        if len(found) > 1:
            slugs = ", ".join(Agreement.objects.values_list("slug", flat=True))
            raise command_error(f"There are several agreements: {slugs}.", "Choose one: --agreement SLUG.")
        if found:
            return found[0]
        slug, create = DEFAULT_SLUG, True
    agreement = Agreement.objects.filter(slug=slug).first()
    if agreement is None:
        if not create:
            known = ", ".join(Agreement.objects.values_list("slug", flat=True)) or "none"
            raise command_error(
                f"There is no agreement {quote(slug)} (known: {known}).",
                "Correct the slug, or add --create to create the agreement.",
            )
        agreement = Agreement(slug=slug)
        agreement.full_clean()
        agreement.save()
    return agreement
