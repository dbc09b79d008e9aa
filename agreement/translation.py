"""The languages of an edition, for django-modeltranslation.

The package's languages are the site's; ours are Kazakh and Russian whatever they are, because the shipped
migrations hold exactly those columns. So a site that translates its own models into more languages has nothing
to do: the registration below sees our two only.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from modeltranslation import settings as modeltranslation
from modeltranslation.fields import TranslationFieldDescriptor
from modeltranslation.translator import TranslationOptions, register

from agreement.conf import LANGUAGES
from agreement.models import Edition


@contextmanager
def only(languages: tuple[str, ...]) -> Iterator[None]:
    """Let the package see those languages, where the site has them."""
    everything = list(modeltranslation.AVAILABLE_LANGUAGES)
    modeltranslation.AVAILABLE_LANGUAGES[:] = [code for code in languages if code in everything]
    try:
        yield
    finally:
        modeltranslation.AVAILABLE_LANGUAGES[:] = everything


with only(LANGUAGES):

    @register(Edition)
    class EditionTranslation(TranslationOptions):  # type: ignore[misc]
        fields = ("title", "approval", "summary", "body")
        fallback_languages = {"default": ()}


class Mirror(TranslationFieldDescriptor):  # type: ignore[misc]
    """A base column: the Kazakh text whatever language is active, so that no save or reload changes it."""

    def __get__(self, edition: Any, owner: Any = None) -> Any:
        if not isinstance(edition, Edition):  # The class, or the package's stand-in for a row of values().
            return super().__get__(edition, owner)
        return getattr(edition, f"{self.field.name}_{LANGUAGES[0]}") or ""

    def __set__(self, edition: Any, value: Any) -> None:
        edition.__dict__[self.field.name] = value  # As stored, for verify().


for _name in EditionTranslation.fields:
    setattr(Edition, _name, Mirror(Edition._meta.get_field(_name), EditionTranslation.fallback_languages))
