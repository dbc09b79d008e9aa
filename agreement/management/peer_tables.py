"""Reads the tables of other packages for terms of service. Nothing is written to them, and the package need not be
installed any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.apps.registry import Apps
from django.db import connections, models
from django.db.models import Count, F, Max, Min
from django.utils import timezone

from agreement.management import command_error, quote
from agreement.text.languages import LANGUAGES

#: Later than every moment of a table.
_END = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerText:
    """A text that was in force. ``key`` is its primary key, and ``label`` names it in messages and in the names of
    files, such as ``2.00``. ``bodies``, ``titles`` and ``summaries`` map languages to what is stored: HTML, or plain
    text. A title or a summary may be missing.
    """

    key: int
    label: str
    effective_from: datetime
    bodies: dict[str, str]
    titles: dict[str, str]
    summaries: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerHistory:
    """What a package stores of one agreement: the texts that were in force, in the order in which they took effect, and
    sentences (``notes``) about what can't be imported or must be checked.
    """

    package: str
    texts: list[PeerText]
    notes: list[str]
    #: The table of acceptances: its rows have ``user_id``, ``text_id`` and ``at``.
    acceptances: Any  # A queryset of a model that is made at run time.

    def rows(self) -> Iterator[tuple[int, Any, int, datetime]]:
        """Yield the key, the user, the text and the moment of each acceptance of the texts, in the order of the keys. 1
        query; the rows are read little by little. A user is what the database returns for the column.
        """
        rows = self.acceptances.filter(text_id__in=[text.key for text in self.texts]).order_by("pk")
        yield from rows.values_list("pk", "user_id", "text_id", "at").iterator(chunk_size=5_000)


def read_termsandconditions(slug: str | None, *, language: str | None, using: str) -> tuple[str, PeerHistory]:
    """Return the slug and the history of these terms of django-termsandconditions, from the database ``using``. Without
    a slug they are the only ones. ``language`` is the language of the texts; without one, the columns that the package
    has for Kazakh and Russian are read. 4 queries, besides those that look up the columns of the two tables.

    A version was in force from its ``date_active``. A version is left out if this moment is missing or in the future,
    or if an earlier version has the same moment or the same number; a note states this. Raises ``CommandError`` if one
    of the two tables is missing, if no language is given and there are no such columns, or if the terms are not found
    (without a slug: if they are not the only ones).
    """
    columns = _columns("termsandconditions_termsandconditions", using)
    names = _languages(columns, "text", language, "django-termsandconditions")
    fields = ("text", "name", "info")
    versions = _table(
        "termsandconditions_termsandconditions",
        slug=models.TextField(),
        version_number=models.DecimalField(max_digits=6, decimal_places=2),
        date_active=models.DateTimeField(null=True),
        **{column: models.TextField() for code in names for column in _names(columns, fields, code).values()},
    ).using(using)
    slugs = list(versions.order_by("slug").values_list("slug", flat=True).distinct())
    if slug is None and len(slugs) == 1:
        slug = slugs[0]
    if slug is None or slug not in slugs:
        problem = "The option --slug is missing." if slug is None else f"There are no terms {quote(slug)}."
        raise command_error(problem, f"Terms of django-termsandconditions: {', '.join(slugs) or 'none'}.")
    acceptances = _acceptances("termsandconditions_usertermsandconditions", "terms_id", "date_accepted", using)
    counts = dict(acceptances.order_by().values_list("text_id").annotate(Count("pk")))
    texts: list[PeerText] = []
    notes: list[str] = []
    now = timezone.now()
    for row in versions.filter(slug=slug).order_by(F("date_active").asc(nulls_first=True), "version_number", "pk"):
        label = f"{row.version_number:.2f}"
        problem = ""
        if row.date_active is None:
            problem = "it has no date_active, so it was never in force"
        elif row.date_active > now:
            problem = f"it takes effect in the future ({row.date_active.isoformat()}). Publish it with publish_edition"
        elif texts and texts[-1].effective_from == row.date_active:
            problem = f"version {texts[-1].label} has the same date_active ({row.date_active.isoformat()})"
        elif any(text.label == label for text in texts):
            problem = f"another version has the same number; give it another one in {row._meta.db_table}"
        if problem:
            lost = f" {counts[row.pk]} acceptances of it are not imported." if row.pk in counts else ""
            notes.append(f"Version {label} is not imported: {problem}.{lost}")
            continue
        stored = {
            name: {code: getattr(row, _names(columns, fields, code)[name]) or "" for code in names} for name in fields
        }
        texts.append(
            PeerText(
                key=row.pk,
                label=label,
                effective_from=row.date_active,
                bodies=stored["text"],
                titles=stored["name"],
                summaries=stored["info"],
            )
        )
    with_address = acceptances.filter(text_id__in=[text.key for text in texts], ip_address__isnull=False).count()
    if with_address:
        notes.append(f"The IP addresses of {with_address} acceptances are not imported. They stay in the table.")
    return slug, PeerHistory(package="django-termsandconditions", texts=texts, notes=notes, acceptances=acceptances)


def read_tos(*, language: str | None, titles: dict[str, str], using: str) -> PeerHistory:
    """Return the history of django-tos from the database ``using``. ``titles`` are those of all texts, by language,
    because the package stores none. ``language``, and the cases in which ``CommandError`` is raised because of a table
    or a language, are as in :func:`read_termsandconditions`. 2 queries, besides those that look up the columns of the
    two tables.

    The package does not store when a text became active. Texts are in the order of their first agreements; texts
    without an agreement come last, in the order of their creation. A text was in force from its creation if no user
    agreed to an earlier text at that moment or later. Otherwise it was in force from the first of these moments that is
    after the last agreement to an earlier text: its own first agreement, and the moment at which it was last saved. If
    neither is, it was in force from its own first agreement.

    A text is left out, and a note states this, if it is not active and no user has agreed to it, or if the last rule
    applies and no user has agreed to it.
    """
    columns = _columns("tos_termsofservice", using)
    names = _languages(columns, "content", language, "django-tos")
    table = _table(
        "tos_termsofservice",
        active=models.BooleanField(),
        created=models.DateTimeField(),
        modified=models.DateTimeField(),
        **{column: models.TextField() for code in names for column in _names(columns, ("content",), code).values()},
    ).using(using)
    acceptances = _acceptances("tos_useragreement", "terms_of_service_id", "created", using)
    agreed = {
        key: (first, last)
        for key, first, last in acceptances.order_by().values_list("text_id").annotate(Min("at"), Max("at"))
    }
    texts: list[PeerText] = []
    notes: list[str] = []
    last_earlier: datetime | None = None
    rows = [(row, *agreed.get(row.pk, (None, None))) for row in table.order_by("created", "pk")]
    # What is active now comes last if no user has agreed to it yet.
    for row, first, last in sorted(rows, key=lambda one: one[1] or _END):
        if not row.active and first is None:
            notes.append(f"Text {row.pk} is not imported: it is not active, and no user has agreed to it.")
            continue
        start = row.created
        if last_earlier and start <= last_earlier:
            start = min((at for at in (first, row.modified) if at and at > last_earlier), default=first)
        if start is None:
            notes.append(f"Text {row.pk} is not imported: it is not known when it became active. Publish it.")
            continue
        if first and row.modified > first:
            notes.append(
                f"Text {row.pk} was saved at {row.modified.isoformat()}, after a user had agreed to it at"
                f" {first.isoformat()}. Its wording may have changed in between; django-tos does not store that."
            )
        last_earlier = max(filter(None, (last, last_earlier)), default=None)
        bodies = {code: getattr(row, _names(columns, ("content",), code)["content"]) or "" for code in names}
        texts.append(
            PeerText(key=row.pk, label=str(row.pk), effective_from=start, bodies=bodies, titles=titles, summaries={})
        )
    return PeerHistory(package="django-tos", texts=texts, notes=notes, acceptances=acceptances)


def _acceptances(name: str, text: str, at: str, using: str) -> Any:
    """Return the rows of the table ``name`` in the database ``using`` as a queryset for ``PeerHistory.acceptances``.
    ``text`` and ``at`` are the names of its columns for the key of the text and for the moment. The rows have
    ``ip_address`` if the table has it. Raises ``CommandError`` if there is no such table.
    """
    columns = _columns(name, using)
    optional = {"ip_address": models.TextField(null=True)} if "ip_address" in columns else {}
    return _table(
        name,
        user_id=models.TextField(),
        text_id=models.BigIntegerField(db_column=text),
        at=models.DateTimeField(db_column=at),
        **optional,
    ).using(using)


def _table(table: str, /, **fields: models.Field[Any, Any]) -> Any:
    """Return all rows of the table, as a queryset of a model that nothing else knows. Only the column ``id``, which is
    the primary key, and those of ``fields`` are read.
    """
    meta = type("Meta", (), {"apps": Apps(), "app_label": "agreement", "managed": False, "db_table": table})
    attributes = {"__module__": __name__, "Meta": meta, "id": models.BigAutoField(primary_key=True), **fields}
    model: Any = type("Row", (models.Model,), attributes)
    return model._default_manager.all()


def _columns(table: str, using: str) -> set[str]:
    connection = connections[using]
    with connection.cursor() as cursor:
        if table not in connection.introspection.table_names(cursor):
            raise command_error(
                f"There is no table {quote(table)} in the database {quote(using)}.",
                "Name the database that has it: --database ALIAS.",
            )
        return {column.name for column in connection.introspection.get_table_description(cursor, table)}


def _languages(columns: set[str], name: str, language: str | None, package: str) -> list[str]:
    """Return the languages in which the texts are read: ``language`` or, without it, both. Raises ``CommandError`` if
    no language is given and the table does not have a column of the field ``name`` for each language, such as
    ``text_kk``. ``package`` is the name of the package in the error.
    """
    if language:
        return [language]
    if not {f"{name}_{code}" for code in LANGUAGES} <= columns:
        raise command_error(
            f"{package} stores one text for each version here.", "Name its language: --language kk or --language ru."
        )
    return list(LANGUAGES)


def _names(columns: set[str], fields: tuple[str, ...], language: str) -> dict[str, str]:
    """Return field → its column in that language: the one that django-modeltranslation has made, or that of the field
    itself if there is none.
    """
    return {name: f"{name}_{language}" if f"{name}_{language}" in columns else name for name in fields}
