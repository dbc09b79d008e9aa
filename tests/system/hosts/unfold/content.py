"""What the site contains: people, an agreement, and its editions. The test calls ``fill()``."""

from datetime import timedelta

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.utils import timezone

from agreement.models import Agreement, Edition

WORDS = {"kk": ("Пайдаланушы келісімі", "ЖАЛПЫ", "тармақ"), "ru": ("Пользовательское соглашение", "ОБЩИЕ", "пункт")}


def text(language: str, number: int) -> str:
    title, heading, word = WORDS[language]
    clauses = "\n\n".join(f"1.{one}. {word.capitalize()} {one}, {number}." for one in range(1, 9))
    return f"# {title}\n\n## 1. {heading}\n\n{clauses}\n"


def draft(number: int) -> Edition:
    agreement, _made = Agreement.objects.get_or_create(slug="terms")
    words = {"summary_kk": "Тармақ өзгерді.", "summary_ru": "Изменён пункт."}
    return Edition.objects.create_draft(
        agreement=agreement, bodies={code: text(code, number) for code in WORDS}, **words
    )


def fill() -> dict[str, int]:
    """Make the people and three editions: in force, announced, and a draft. Return the keys in the addresses."""
    users = get_user_model().objects
    users.create_superuser("admin", "admin@example.kz", "password")
    clerk = users.create_user("clerk", "clerk@example.kz", "password", is_staff=True)
    clerk.user_permissions.add(Permission.objects.get(codename="view_edition"))
    draft(1).publish()
    announced = draft(2)
    announced.publish(effective_from=timezone.now() + timedelta(days=30))
    return {
        "draft": draft(3).pk,
        "announced": announced.pk,
        "notice": announced.notices.get().pk,
        "agreement": announced.agreement_id,
    }
