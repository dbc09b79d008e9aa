"""Editions: drafts, and published editions, which are sealed. Only their dates determine which one is in force."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.db import IntegrityError, models, router, transaction
from django.db.models import F, Q
from django.dispatch import Signal
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from agreement import conf, signals
from agreement.models import publishing
from agreement.models.agreements import Agreement
from agreement.models.audit import AuditAction, AuditEntry, By, edition_name, name_of
from agreement.models.clock import database_now
from agreement.models.errors import MAX_STATED, TEXT_FIELDS, EditionError
from agreement.models.fields import InstantField
from agreement.models.hand_overs import HandOver
from agreement.models.log import append, cancelled_entry, edition_entry
from agreement.models.notices import Notice
from agreement.models.succession import EditionDates, State
from agreement.seal.manifest import EditionText, edition_manifest, sha256
from agreement.text import article, clauses, languages, source
from agreement.text.lint.statements import NAMES

#: What a new draft takes over from the edition in force, or from the edition that it is begun from.
CARRIED_FIELDS = ("prevailing_language", "notice_days", "grace_days", "retention_years")


class EditionQuerySet(models.QuerySet["Edition"]):
    """Editions. The methods of this class make no query, except ``create_draft()`` and ``stated_in_force()``. The
    querysets that they return are evaluated later.
    """

    def drafts(self) -> Self:
        """Editions that are not published."""
        return self.filter(published_at__isnull=True)

    def published(self) -> Self:
        """Sealed editions, cancelled ones and imported history too, ordered by agreement and then by number."""
        return self.filter(published_at__isnull=False).order_by("agreement_id", "number")

    def binding(self) -> Self:
        """Sealed editions that were not cancelled. Each was or is in force, or will be if it is not cancelled."""
        return self.filter(effective_from__isnull=False, cancelled_at__isnull=True)

    def in_force(self, at: datetime | None = None) -> Self:
        """The edition of each agreement that binds at that instant (now): at most one for each agreement.

        Of the editions that were not cancelled, it is the last one that took effect at that instant or earlier. The
        result is an ordinary queryset: ``Edition.objects.in_force().get(agreement__slug="terms")``. Its query makes one
        look-up in an index for each agreement, however many editions there are.
        """
        return self.filter(effective_from__binds_at=at or timezone.now())

    def with_real_columns(self) -> Self:
        """The same editions. In later calls on the returned queryset, the name ``title`` means the column ``title``.
        Otherwise django-modeltranslation reads it as the column of the active language, such as ``title_ru``. The same
        is true of the other texts.
        """
        return self.rewrite(False)  # type: ignore[attr-defined, no-any-return]  # The package adds it to the class.

    def without_texts(self, *names: str) -> Self:
        """The same editions, without reading these texts (such as ``"body"``) in any language. If a text that was not
        read is used later, Django reads it with 1 query for each column. The returned queryset is also one
        ``with_real_columns()``.
        """
        columns = [
            name + suffix for name in names for suffix in ("", *(f"_{language}" for language in languages.LANGUAGES))
        ]
        return self.with_real_columns().defer(*columns)

    def with_successors(self) -> Self:
        """Annotate ``superseded_at``: when the next edition of the agreement that was not cancelled takes effect, in
        the past or in the future. The next one is the first that takes effect after this edition. It is ``None`` if
        there is none, and for a draft.
        """
        later = (
            Edition.objects.filter(agreement=models.OuterRef("agreement"), cancelled_at__isnull=True)
            .filter(effective_from__gt=models.OuterRef("effective_from"))
            .order_by("effective_from")
            .values("effective_from")[:1]
        )
        return self.annotate(superseded_at=models.Subquery(later))

    def stated_in_force(self, agreement: Agreement) -> dict[str, Any]:
        """Return the ``CARRIED_FIELDS`` of the edition of this agreement in force, which a new draft can take over. If
        no edition is in force, the result is empty: then the settings of the site apply. 1 query.
        """
        return self.in_force().filter(agreement=agreement).values(*CARRIED_FIELDS).first() or {}

    def create_draft(self, *, agreement: Agreement, bodies: dict[str, str], by: By = None, **stated: object) -> Edition:
        """Save a new draft with these bodies (language → text), add an audit entry, and return the draft.

        ``by`` is the author, for the audit log. ``stated`` are further fields, such as ``summary_kk`` or
        ``notice_days``. A title that is not among them is the title line of the normalised body
        (``clauses.title_line``), cut after 255 characters. Raises ``ValidationError`` if a field has a value that it
        can't have. Nothing is stored then. The rules of a publication are not checked.
        """
        for language, body in bodies.items():
            stated.setdefault(f"body_{language}", body)
            stated.setdefault(f"title_{language}", clauses.title_line(source.normalise(body))[:255])
        edition = self.model(agreement=agreement, **stated)
        edition.full_clean()
        with transaction.atomic(using=router.db_for_write(self.model)):
            edition.save()
            AuditEntry.objects.using(edition._state.db).log(AuditAction.WRITTEN, on=edition, by=by)
        return edition


EditionManager = models.Manager.from_queryset(EditionQuerySet)


class Edition(models.Model):
    """One wording of an agreement in Kazakh and Russian: a draft, or sealed forever. Of a sealed edition only
    ``cancelled_at`` can still be set, before it takes effect.

    Write the columns with a language (``title_kk``). The columns without a language (``title``) store a copy of the
    Kazakh text; ``agreement.translation`` says why.
    """

    agreement = models.ForeignKey(
        Agreement, on_delete=models.PROTECT, related_name="editions", verbose_name=_("user agreement")
    )
    title = models.CharField(_("title"), max_length=255, blank=True)
    approval = models.CharField(
        _("approval"),
        max_length=255,
        blank=True,
        help_text=_(
            "For example “Approved by order No … of …”. It is printed under the title. An approval that the text has"
            " above its title is taken from there."
        ),
    )
    summary = models.TextField(
        _("what changed"),
        blank=True,
        help_text=_("A description in plain words. The notice to every user contains it."),
    )
    body = models.TextField(
        _("text"),
        blank=True,
        help_text=_(
            "The text in Markdown. Its title is the first line or, if an approval stands above it, the next one."
        ),
    )

    prevailing_language = models.CharField(
        _("prevailing language"),
        max_length=2,
        blank=True,
        default=conf.prevailing_language,
        choices=[("kk", _("Kazakh")), ("ru", _("Russian"))],
        help_text=_("The language of the text that prevails where the two texts differ, if the edition states one."),
    )
    notice_days = models.PositiveSmallIntegerField(
        _("days of notice"),
        default=conf.notice_days,
        help_text=_(
            "This edition states that the next edition is published at least this many days before it takes effect."
        ),
    )
    grace_days = models.PositiveSmallIntegerField(
        _("days to accept"),
        default=conf.grace_days,
        help_text=_(
            "For this many days after this edition takes effect, an earlier acceptance still counts, and users are only"
            " reminded to accept. This applies only to agreements that are accepted by confirmation."
        ),
    )
    retention_years = models.PositiveSmallIntegerField(
        _("years of retention"),
        default=conf.retention_years,
        help_text=_(
            "This edition states that personal data is stored for this many years after the agreement with a user ends."
        ),
    )
    material = models.BooleanField(
        _("material change"), default=True, help_text=_("Does this edition change the rights or duties of anyone?")
    )

    begun_at = InstantField(_("begun"), default=timezone.now, editable=False)
    number = models.PositiveIntegerField(_("number"), null=True, blank=True, editable=False)
    published_at = InstantField(_("published"), null=True, blank=True, editable=False)
    published_by = models.CharField(_("published by"), max_length=255, blank=True, editable=False)
    effective_from = InstantField(_("effective from"), null=True, blank=True, editable=False)
    cancelled_at = InstantField(_("cancelled"), null=True, blank=True, editable=False)
    digest = models.CharField(_("digest (SHA-256)"), max_length=64, blank=True, editable=False)
    previous_digest = models.CharField(_("previous digest"), max_length=64, blank=True, editable=False)
    imported = models.BooleanField(_("imported history"), default=False, editable=False)
    recorded_at = InstantField(_("recorded"), null=True, blank=True, editable=False)

    if TYPE_CHECKING:
        _default_manager: ClassVar[EditionManager[Edition]]
        agreement_id: int
        title_kk: str | None
        title_ru: str | None
        approval_kk: str | None
        approval_ru: str | None
        summary_kk: str | None
        summary_ru: str | None
        body_kk: str | None
        body_ru: str | None
        superseded_at: datetime | None

    # Annotated because the translation package replaces the class of the manager, which hides it from mypy.
    objects: ClassVar[EditionManager[Edition]] = EditionManager()

    class Meta:
        ordering = ["agreement_id", models.F("number").desc(nulls_first=True), "-pk"]
        verbose_name = _("edition")
        verbose_name_plural = _("editions")
        permissions = [
            ("publish_edition", _("Can publish an edition")),
            ("cancel_edition", _("Can cancel a scheduled edition")),
            ("sign_edition", _("Can store digital signatures of an edition")),
        ]
        constraints = [
            models.UniqueConstraint(fields=["agreement", "number"], name="agreement_edition_number"),
            models.UniqueConstraint(
                fields=["agreement", "effective_from"],
                condition=Q(cancelled_at__isnull=True),
                name="agreement_edition_one_in_force",
            ),
            models.UniqueConstraint(fields=["digest"], condition=~Q(digest=""), name="agreement_edition_digest"),
            models.UniqueConstraint(
                fields=["agreement", "previous_digest"],
                condition=~Q(digest=""),
                name="agreement_edition_chain",
            ),
            models.CheckConstraint(
                condition=Q(
                    published_at__isnull=True,
                    number__isnull=True,
                    effective_from__isnull=True,
                    recorded_at__isnull=True,
                    cancelled_at__isnull=True,
                    digest="",
                    previous_digest="",
                    imported=False,
                )
                | Q(
                    published_at__isnull=False,
                    number__isnull=False,
                    number__gte=1,
                    effective_from__isnull=False,
                    recorded_at__isnull=False,
                )
                & ~Q(digest=""),
                name="agreement_edition_sealed_complete",
            ),
            models.CheckConstraint(
                condition=Q(effective_from__gte=F("published_at")) & Q(recorded_at__gte=F("published_at")),
                name="agreement_edition_not_backdated",
            ),
            models.CheckConstraint(
                condition=Q(cancelled_at__gte=F("published_at")) & Q(cancelled_at__lt=F("effective_from")),
                name="agreement_edition_cancelled_in_time",
            ),
            models.CheckConstraint(
                condition=Q(prevailing_language__in=["", "kk", "ru"]),
                name="agreement_edition_prevailing_language",
            ),
        ]

    def text(self, language: str) -> EditionText:
        """The title, approval, summary and body in that language (``kk`` or ``ru``); ``""`` for each that is empty or
        null.
        """
        return EditionText(**{name: getattr(self, f"{name}_{language}") or "" for name in TEXT_FIELDS})

    def article(self, language: str) -> article.Article:
        """The title and the text in that language (``kk`` or ``ru``), as the accept page displays them. 1 query if the
        agreement is not loaded.
        """
        text = self.text(language)
        return article.render(slug=self.agreement.slug, language=language, title=text.title, body=text.body)

    def statements(self) -> dict[str, object]:
        """The values of those fields of the edition whose statements the lint compares with the texts, by the names of
        the fields: the prevailing language, the days of notice and the years of retention.
        """
        return {name: getattr(self, name) for name in NAMES}

    def clean(self) -> None:
        """Normalise the texts as an import does: :func:`agreement.text.source.normalise` removes a byte order mark at
        the beginning and makes every line end LF. Nothing is saved.

        Raises ``ValidationError`` about the first field that contains NUL or a lone surrogate, which can't be stored,
        or a number above its limit in ``MAX_STATED``.
        """
        super().clean()
        for name in (f"{name}_{language}" for name in TEXT_FIELDS for language in languages.LANGUAGES):
            if text := getattr(self, name):
                setattr(self, name, source.normalise(text))
                if "\x00" in text or any("\ud800" <= char <= "\udfff" for char in text):
                    message = _("The text contains an invalid character: NUL, or an incomplete Unicode character.")
                    raise ValidationError({name: ValidationError(message, code="unreadable")})
        for name, most in MAX_STATED.items():
            try:
                MaxValueValidator(most)(getattr(self, name) or 0)
            except ValidationError as error:
                raise ValidationError({name: error}) from None

    def state(self, at: datetime | None = None) -> State:
        """The state of the edition at that instant (now). Before its publication, a sealed edition is a draft too. At
        most 1 query, 0 if ``superseded_at`` is known from ``with_successors()`` or an earlier call.
        """
        if self.published_at is None:
            return State.DRAFT
        return EditionDates.from_edition(self).state(at or timezone.now(), self.successor_from)

    def successor_from(self) -> datetime | None:
        """When the next edition of the agreement that was not cancelled takes (or took) effect; ``None`` if there is
        none. The edition must be sealed. At most 1 query, 0 if ``superseded_at`` is known from ``with_successors()`` or
        an earlier call.
        """
        if not hasattr(self, "superseded_at"):
            later = Edition.objects.binding().filter(
                agreement=self.agreement_id, effective_from__gt=self.effective_from
            )
            self.superseded_at = later.aggregate(at=models.Min("effective_from"))["at"]
        return self.superseded_at

    def manifest(self) -> bytes:
        """The canonical bytes whose SHA-256 is the digest; ``agreement.seal.manifest`` describes their format. 1 query
        if the agreement is not loaded.

        Raises ``ValueError`` for a draft.
        """
        if not (self.number and self.published_at and self.effective_from and self.recorded_at):
            msg = f"Edition {self.pk} is a draft: only a published edition has a manifest."
            raise ValueError(msg)
        return edition_manifest(
            agreement=self.agreement.slug,
            number=self.number,
            previous=self.previous_digest,
            published_at=self.published_at,
            effective_from=self.effective_from,
            recorded_at=self.recorded_at,
            imported=self.imported,
            material=self.material,
            notice_days=self.notice_days,
            grace_days=self.grace_days,
            retention_years=self.retention_years,
            prevailing_language=self.prevailing_language,
            texts={language: self.text(language) for language in languages.LANGUAGES},
        )

    def publish(
        self,
        *,
        effective_from: datetime | None = None,
        by: By = None,
        compared_with: str | None = None,
        notify: bool = True,
        reason: str = "",
    ) -> None:
        """Seal the draft as it is stored, number it, enter it in the log, add an audit entry and create the notice to
        the users, in one transaction. Changes of this object that are not saved are not published: it is read again
        afterwards.

        It takes effect at ``effective_from``, a timezone-aware instant that is not past, and that is after the effect
        of every edition that was not cancelled; without one, at the moment of publication. It can't be more than ten
        years ahead. ``by`` is the publisher. If the setting ``FOUR_EYES`` is on, it must be an account other than that
        of the last author. ``compared_with`` is the digest of the edition that the draft was compared with (``""``:
        there was none); if that is no longer the last edition that was not cancelled, publication is refused. ``None``
        means that the draft was not compared; this is not checked then. ``notify=False`` creates no notice. Otherwise
        the reminder is created too, if the site sends any and it would be due after the notice. ``reason`` is required
        if the draft takes effect earlier than ``notice_days`` of the edition in force permits; the audit log and the
        evidence contain it. The number of queries does not depend on the number of users. After the commit the signal
        ``edition_published`` is sent.

        Raises :class:`EditionError` if publication is refused. Nothing is changed then.
        """
        alias = self._alias()
        with transaction.atomic(using=alias):
            now, stored, previous, last = self._open(alias)
            publishing.require_clock(now, previous)
            publishing.require_current_comparison(compared_with, last)
            effective_from = publishing.require_future(effective_from, now, stored)
            if not reason.strip():
                publishing.require_notice_period(effective_from, now, stored._binding(last, now))
            if conf.get().FOUR_EYES:
                publishing.require_second_person(stored, by, using=alias)
            stored._seal(previous, last, published_at=now, effective_from=effective_from, recorded_at=now, by=by)
            log = AuditEntry.objects.using(alias).log
            log(AuditAction.PUBLISHED, on=stored, by=by, note=reason, digest=stored.digest)
            HandOver.objects.using(alias).filter(edition=stored).delete()
            if notify:
                Notice.objects.using(alias).announce(stored, at=now)
            _on_commit(partial(_send_signal, signals.edition_published, stored), using=alias)
        self.refresh_from_db(using=alias)

    def record(self, *, effective_from: datetime, by: By = None) -> None:
        """Seal the draft, as it is stored, as imported history: an edition that took effect before the site had this
        app. It counts as published at ``effective_from``. It is entered in the log of the agreement.

        ``effective_from`` is a timezone-aware instant that is not before 1991 and not in the future. History can be
        recorded only before the first ordinary edition (even if that was cancelled), and in the order in which the
        editions took effect. ``by`` is named in the audit log. No user is notified, and no signal is sent. Raises
        :class:`EditionError` if it is refused. Nothing is changed then.
        """
        alias = self._alias()
        with transaction.atomic(using=alias):
            now, stored, previous, last = self._open(alias)
            publishing.require_clock(now, previous)
            effective_from = publishing.require_history(effective_from, now, previous, stored)
            stored._seal(
                previous,
                last,
                published_at=effective_from,
                effective_from=effective_from,
                recorded_at=now,
                by=by,
                imported=True,
            )
            AuditEntry.objects.using(alias).log(AuditAction.RECORDED, on=stored, by=by, digest=stored.digest)
            HandOver.objects.using(alias).filter(edition=stored).delete()
        self.refresh_from_db(using=alias)

    def cancel(self, *, by: By = None, reason: str = "") -> None:
        """Cancel a published edition before it takes effect. The audit log records who did it (``by``) and why
        (``reason``). The transparency log of the agreement gets an entry, which anybody may read, and a checkpoint. If
        a notice announces this edition or a later one, the notice of the cancellation is created
        (:meth:`NoticeQuerySet.announce_cancellation`). After the commit the signal ``edition_cancelled`` is sent.

        Raises :class:`EditionError` if the edition is a draft, has taken effect, or was cancelled before. Nothing is
        changed then.
        """
        alias = self._alias()
        try:
            with transaction.atomic(using=alias):
                self.agreement.lock(using=alias)
                now = database_now(alias)
                scheduled = (
                    Edition.objects.using(alias)
                    .with_real_columns()
                    .filter(pk=self.pk, published_at__lte=now, effective_from__gt=now)
                )
                done = scheduled.filter(cancelled_at__isnull=True).update(cancelled_at=now)
                if done:
                    self.refresh_from_db(using=alias)  # The object may have been read when it was a draft.
                    log = AuditEntry.objects.using(alias).log
                    log(AuditAction.CANCELLED, on=self, by=by, note=reason, digest=self.digest)
                    entry = cancelled_entry(pk=self.pk, digest=self.digest, at=self.cancelled_at or now)
                    append(self.agreement, [entry], using=alias)
                    Notice.objects.using(alias).announce_cancellation(self, at=now)
        except IntegrityError:  # It took effect after the clock was read, and the trigger refused.
            now, done = database_now(alias), 0
        self.refresh_from_db(using=alias)
        if not done:
            raise EditionError(
                _("%(edition)s can't be cancelled: it is %(state)s."),
                code="not_cancellable",
                hint=_(
                    "Only a published edition that has not taken effect can be cancelled. Otherwise publish a"
                    " new edition."
                ),
                edition=str(self),
                state=self.state(now).label,
            )
        _on_commit(partial(_send_signal, signals.edition_cancelled, self), using=alias)

    def refresh_from_db(
        self,
        using: str | None = None,
        fields: Iterable[str] | None = None,
        from_queryset: models.QuerySet[Self] | None = None,
    ) -> None:
        """As in Django. Unless only some ``fields`` are read, also removes ``superseded_at``, which
        ``with_successors()`` or ``successor_from()`` has set. Django reads a deferred column by this method.
        """
        if fields is None:
            self.__dict__.pop("superseded_at", None)
        super().refresh_from_db(using=using, fields=fields, from_queryset=from_queryset)

    def _alias(self) -> str:
        """The alias of the database for writes, from which this row was not necessarily read."""
        return router.db_for_write(Edition, instance=self)

    def _open(self, alias: str) -> tuple[datetime, Edition, Edition | None, Edition | None]:
        """Lock the agreement, then return four values: the present moment, the stored draft, which is locked too, the
        last sealed edition by number, cancelled or not, and the last one that was not cancelled. The last two are
        ``None`` if there is no such edition.

        Raises :class:`EditionError` if there is no such draft or if it is published.
        """
        self.agreement.lock(using=alias)
        now = database_now(alias)
        editions = Edition.objects.using(alias).filter(agreement=self.agreement_id)
        rows = editions.select_related("agreement").select_for_update(of=("self",))
        stored = publishing.require_draft(rows.filter(pk=self.pk).first(), self.pk)
        previous = editions.published().last()
        last = previous if previous and not previous.cancelled_at else editions.published().binding().last()
        return now, stored, previous, last

    def _binding(self, last: Edition | None, now: datetime) -> Edition | None:
        """The edition in force at ``now``, whose promises bind; ``None`` if none is in force. At most 1 query.

        ``last`` is the last sealed edition that was not cancelled (``None``: there is none). It may still be scheduled.
        """
        if last is None or not last.effective_from or last.effective_from <= now:
            return last
        in_force = Edition.objects.using(self._alias()).in_force(now)
        return in_force.filter(agreement=self.agreement_id).first()

    def _seal(
        self,
        previous: Edition | None,
        last: Edition | None,
        *,
        published_at: datetime,
        effective_from: datetime,
        recorded_at: datetime,
        by: By,
        imported: bool = False,
    ) -> None:
        """Write the columns that publication determines and the texts, and copy the Kazakh texts to the base columns. A
        text that is null becomes ``""``. Other columns are not written. The digest is also stored as the ``head`` of
        the agreement, and the edition is entered in its log.

        ``previous`` is the last sealed edition, and ``last`` the last one that was not cancelled; ``None`` if there is
        none. Raises :class:`EditionError` if the texts can't be published or ``effective_from`` is not after that of
        ``last``.
        """
        self.check_texts()
        publishing.require_after_last(effective_from, last)
        self.number = (previous.number or 0) + 1 if previous else 1
        self.published_at, self.effective_from, self.recorded_at = published_at, effective_from, recorded_at
        self.published_by = name_of(by)
        self.imported = imported
        self.previous_digest = previous.digest if previous else ""
        self.digest = sha256(self.manifest())
        columns = {
            name: getattr(self, name)
            for name in (
                "number published_at effective_from recorded_at published_by imported previous_digest digest"
            ).split()
        }
        for language in reversed(languages.LANGUAGES):  # Kazakh last, so that the base columns get it.
            text = self.text(language)
            for name in TEXT_FIELDS:
                columns[name] = columns[f"{name}_{language}"] = getattr(text, name)
        alias = self._alias()
        Edition.objects.using(alias).with_real_columns().filter(pk=self.pk, published_at__isnull=True).update(**columns)
        Agreement.objects.using(alias).filter(pk=self.agreement_id).update(head=self.digest)
        append(self.agreement, [edition_entry(pk=self.pk, digest=self.digest, number=self.number)], using=alias)

    def check_texts(self) -> None:
        """Raise :class:`EditionError` if ``publish()`` would refuse the texts that this object has now, saved or not.
        Nothing else is checked. 0 queries.
        """
        publishing.require_publishable({language: self.text(language) for language in languages.LANGUAGES})

    def __str__(self) -> str:
        return edition_name(self.agreement.name, self.number, self.begun_at, self.agreement.time_zone)


def _on_commit(call: Callable[[], object], *, using: str) -> None:
    # ``robust``: an error in a receiver of the site must not fail the publication.
    transaction.on_commit(call, using=using, robust=True)


def _send_signal(signal: Signal, edition: Edition) -> None:
    signal.send_robust(sender=Edition, edition=edition)
