"""What the site contains: people, an agreement and pages. The tests call these functions in ``manage.py shell``."""

from collections.abc import Callable
from datetime import timedelta

from cms import api
from cms.models import PageContent, PageUrl, Placeholder
from cms.toolbar.utils import get_object_edit_url
from django.conf import settings
from django.contrib.auth import get_user_model
from django.utils import timezone, translation
from djangocms_text.utils import plugin_to_tag

from agreement.models import Agreement, Edition

CLAUSES = ("1.1", "1.2", "1.3", "1.4", "1.5")
WORDS = {"kk": ("Келісім", "ЕРЕЖЕЛЕР", "тармақ"), "ru": ("Соглашение", "ПРАВИЛА", "пункт")}


def text(language: str, edition: int, clauses: tuple[str, ...] = CLAUSES) -> str:
    title, heading, word = WORDS[language]
    body = "\n\n".join(f"{number}. {word}, {edition}-{number}." for number in clauses)
    return f"# {title}\n\n## 1. {heading}\n\n{body}\n"


def publish(edition: int, *, seconds: float = 0, clauses: tuple[str, ...] = CLAUSES) -> Edition:
    """Publish an edition whose clauses say its number, with effect now or after that many seconds."""
    agreement, _made = Agreement.objects.get_or_create(slug="terms")
    bodies = {language: text(language, edition, clauses) for language in WORDS}
    draft = Edition.objects.create_draft(agreement=agreement, bodies=bodies)
    at = timezone.now() + timedelta(seconds=seconds) if seconds else None
    draft.publish(effective_from=at, reason="Сот шешімі.")
    return draft


def admin():
    return get_user_model().objects.get(username="admin")


def page(
    slug: str,
    fill: Callable[[Placeholder, str], None] | None = None,
    *,
    languages: tuple[str, ...] = ("kk", "ru"),
    hook: str = "",
) -> None:
    """Make a page in these languages and publish it. ``fill`` puts plugins into its placeholder."""
    first, *others = languages
    options = {"apphook": hook, "apphook_namespace": "agreement"} if hook else {}
    made = api.create_page(slug, "page.html", first, slug=slug, created_by=admin(), **options)
    for language in others:
        api.create_page_content(language, slug, made, slug=slug, created_by=admin())
    for language in languages:
        content = PageContent.admin_manager.get(page=made, language=language)
        if fill:
            fill(content.rescan_placeholders()["content"], language)
        if settings.VERSIONING:
            content.versions.last().publish(admin())


def quoted(placeholder: Placeholder, language: str) -> None:
    """Five clauses."""
    for number in CLAUSES:
        api.add_plugin(placeholder, "ClausePlugin", language, agreement=Agreement.objects.get(), number=number)


def others(placeholder: Placeholder, language: str) -> None:
    """One of each other plugin."""
    agreement = Agreement.objects.get()
    api.add_plugin(placeholder, "ValidityPlugin", language, agreement=agreement)
    api.add_plugin(placeholder, "NewsPlugin", language, days=1)
    api.add_plugin(placeholder, "ChangesPlugin", language, agreement=agreement)


def inside_text(placeholder: Placeholder, language: str) -> None:
    """A text with a quotation of clause 1.1 and a link to clause 1.2 in it."""
    written = api.add_plugin(placeholder, "TextPlugin", language, body="")
    for number, display in (("1.1", "quotation"), ("1.2", "link")):
        values = {"agreement": Agreement.objects.get(), "number": number, "display": display}
        inside = api.add_plugin(placeholder, "ClausePlugin", language, target=written, **values)
        written.body += f"<p>({number}) {plugin_to_tag(inside)}</p>"
    written.save()


def latest(slug: str, language: str) -> PageContent:
    """The content of the page; with versioning, that of its latest version."""
    made = PageUrl.objects.get(slug=slug, language=language).page
    return PageContent.admin_manager.filter(page=made, language=language).latest("pk")


def publish_draft(slug: str, language: str) -> None:
    """Publish the latest version of the page."""
    latest(slug, language).versions.last().publish(admin())


def edit_address(slug: str, language: str) -> str:
    """The address at which an editor edits the page; with versioning, a new draft of it."""
    content = latest(slug, language)
    if settings.VERSIONING:
        content = content.versions.last().copy(admin()).content
    return get_object_edit_url(content, language)


def make(*, hook_languages: tuple[str, ...] = ("kk", "ru")) -> None:
    users = get_user_model().objects
    users.create_superuser("admin", "admin@example.kz", "admin")
    # Edits pages, and has no right at the desk.
    users.create_user("editor", "editor@example.kz", "editor", is_staff=True)
    publish(1)
    publish(2)
    with translation.override("kk"):
        page("rules", languages=hook_languages, hook="AgreementApphook")
        page("quoted", quoted)
        page("others", others)
        page("text", inside_text)
        page("plain")
