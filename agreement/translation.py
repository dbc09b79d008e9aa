"""The languages of an edition, for django-modeltranslation.

The package has one list of languages for the whole site, and makes a column for each of them. The migrations of this
app have only Kazakh and Russian columns. Therefore the package sees only these two languages during the registration
below, and a site may translate its own models into more.

The package also lets the base columns (``title``, ``body``, …) follow the active language. :class:`KazakhMirror`
replaces that behaviour, because a save in Russian would otherwise write the Russian text to them. The public interface
of the package can do neither; the tests of this module fail if a new version of the package breaks them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from modeltranslation import settings as modeltranslation
from modeltranslation.fields import TranslationFieldDescriptor
from modeltranslation.translator import TranslationOptions, register

from agreement.models import Edition
from agreement.text.languages import LANGUAGES


@contextmanager
def registering_in(languages: tuple[str, ...]) -> Iterator[None]:
    """Context manager: inside the block, django-modeltranslation knows only those of its languages
    (``AVAILABLE_LANGUAGES``) that are in ``languages``. A model that is registered in the block gets columns for these
    languages only. After the block, it knows all its languages again. The change is for the whole process.
    """
    site_languages = list(modeltranslation.AVAILABLE_LANGUAGES)
    modeltranslation.AVAILABLE_LANGUAGES[:] = [code for code in languages if code in site_languages]
    try:
        yield
    finally:
        modeltranslation.AVAILABLE_LANGUAGES[:] = site_languages


with registering_in(LANGUAGES):

    @register(Edition)
    class EditionTranslation(TranslationOptions):  # type: ignore[misc]  # The package has no types.
        fields = ("title", "approval", "summary", "body")
        fallback_languages = {"default": ()}


class KazakhMirror(TranslationFieldDescriptor):  # type: ignore[misc]  # The package has no types.
    """The descriptor of a base column. On an edition its value is the Kazakh text, whatever the active language is;
    ``""`` if there is none. Therefore a save writes the Kazakh text to the base column. A value that is assigned to the
    attribute, also by a reload, is only stored in the object (``__dict__``) and changes no text.
    """

    def __get__(self, edition: Any, owner: Any = None) -> Any:
        if not isinstance(edition, Edition):  # The class, or the package's stand-in for a row of values().
            return super().__get__(edition, owner)
        return getattr(edition, f"{self.field.name}_{LANGUAGES[0]}") or ""

    def __set__(self, edition: Any, value: Any) -> None:
        edition.__dict__[self.field.name] = value  # As stored, for models.verification.


for _name in EditionTranslation.fields:
    setattr(Edition, _name, KazakhMirror(Edition._meta.get_field(_name), EditionTranslation.fallback_languages))
