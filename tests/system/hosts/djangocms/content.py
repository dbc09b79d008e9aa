"""What the site contains: people, an agreement and pages. The tests call these functions in ``manage.py shell``."""

from datetime import datetime

from cms import api
from cms.models import Page, PageContent
from django.conf import settings
from django.contrib.auth import get_user_model
from django.utils import translation

from agreement.models import Agreement, Edition

CLAUSES = ("1.1", "1.2", "1.3", "1.4", "1.5")
WORDS = {"kk": ("Келісім", "ЕРЕЖЕЛЕР", "тармақ"), "ru": ("Соглашение", "ПРАВИЛА", "пункт")}


def text(language: str, edition: int, clauses: tuple[str, ...] = CLAUSES) -> str:
    title, heading, word = WORDS[language]
    body = "\n\n".join(f"{number}. {word}, {edition}-{number}." for number in clauses)
    return f"# {title}\n\n## 1. {heading}\n\n{body}\n"


def publish(edition: int, *, at: str = "", clauses: tuple[str, ...] = CLAUSES, slug: str = "terms") -> None:
    """Publish an edition whose clauses say its number, with effect now or at the ISO 8601 instant ``at``."""
    agreement, _made = Agreement.objects.get_or_create(slug=slug)
    bodies = {language: text(language, edition, clauses) for language in WORDS}
    draft = Edition.objects.create_draft(agreement=agreement, bodies=bodies)
    draft.publish(effective_from=datetime.fromisoformat(at) if at else None, reason="Сот шешімі.")


def people() -> None:
    users = get_user_model().objects
    users.create_superuser("admin", "admin@example.kz", "admin")
    # Edits pages, and has no right at the desk.
    users.create_user("editor", "editor@example.kz", "editor", is_staff=True)


def page(
    slug: str, plugins: list[tuple[str, dict]], *, languages: tuple[str, ...] = ("kk", "ru"), hook: str = ""
) -> int:
    """Make and publish a page with these plugins, which mean the agreement ``terms``; return its key."""
    admin = get_user_model().objects.get(username="admin")
    first, *others = languages
    options = {"apphook": hook, "apphook_namespace": "agreement"} if hook else {}
    made = api.create_page(slug, "page.html", first, slug=slug, created_by=admin, **options)
    for language in others:
        api.create_page_content(language, slug, made, slug=slug, created_by=admin)
    for language in languages:
        fill(made, language, plugins)
    return made.pk


def fill(made: Page, language: str, plugins: list[tuple[str, dict]]) -> None:
    content = PageContent.admin_manager.get(page=made, language=language)
    placeholder = content.get_placeholders().filter(slot="content").first()
    if placeholder is None:
        placeholder = content.rescan_placeholders()["content"]
    for name, values in plugins:
        values = {"agreement": Agreement.objects.get(slug="terms")} | values
        parent = values.pop("inside", None)
        if name == "TextPlugin":
            del values["agreement"]
        api.add_plugin(placeholder, name, language, target=parent, **values)
    if settings.VERSIONING:
        content.versions.last().publish(get_user_model().objects.get(username="admin"))


CLAUSE_PLUGINS = [("ClausePlugin", {"number": number}) for number in CLAUSES]
OTHERS = [("ValidityPlugin", {}), ("NewsPlugin", {"agreement": None}), ("ChangesPlugin", {})]


def make() -> None:
    people()
    publish(1)
    publish(2)
    with translation.override("kk"):
        page("rules", [], hook="AgreementApphook")
        page("quoted", CLAUSE_PLUGINS + OTHERS)
        page("plain", [])
        page("to-edit", [])
