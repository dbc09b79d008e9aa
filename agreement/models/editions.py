"""Editions: drafted, published, sealed; in force by their dates alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.db import IntegrityError, models, router, transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from agreement import conf, signals
from agreement.models import refusals, verification
from agreement.models.acts import Act, By, edition_name, name_of, require_second_person
from agreement.models.agreements import Agreement
from agreement.models.fields import InstantField
from agreement.models.notices import Notice
from agreement.models.refusals import MOST, TEXTS, EditionError
from agreement.text import clauses, seal, source


class State(models.TextChoices):
    """What an edition is at some instant."""

    DRAFT = "draft", _("draft")
    SCHEDULED = "scheduled", _("not yet in force")
    IN_FORCE = "in_force", _("in force")
    SUPERSEDED = "superseded", _("superseded")
    CANCELLED = "cancelled", _("cancelled before taking effect")


class EditionQuerySet(models.QuerySet["Edition"]):
    """``drafts``, ``published`` and ``in_force`` are 1 query each, on the index of the named constraints."""

    def drafts(self) -> Self:
        """Editions nobody has published."""
        return self.filter(published_at__isnull=True)

    def published(self) -> Self:
        """Sealed editions, cancelled ones too, in the order of their numbers."""
        return self.filter(published_at__isnull=False).order_by("agreement_id", "number")

    def binding(self) -> Self:
        """Sealed editions that were not taken back: those that are, were or will be in force."""
        return self.filter(effective_from__isnull=False, cancelled_at__isnull=True)

    def in_force(self, at: datetime | None = None) -> Self:
        """The edition of each agreement that binds at that instant (now): at most one an agreement.

        1 query of one index look-up an agreement, however many editions there are. Narrow it to an agreement
        as any queryset: ``Edition.objects.in_force().get(agreement__slug="terms")``.
        """
        return self.filter(effective_from__binds_at=at or timezone.now())

    def with_successors(self) -> Self:
        """Annotate ``superseded_at``: when the next binding edition takes effect, if one is published."""
        later = (
            Edition.objects.filter(agreement=models.OuterRef("agreement"), cancelled_at__isnull=True)
            .filter(effective_from__gt=models.OuterRef("effective_from"))
            .order_by("effective_from")
            .values("effective_from")[:1]
        )
        return self.annotate(superseded_at=models.Subquery(later))

    def draft(self, *, agreement: Agreement, bodies: dict[str, str], by: By = None, **stated: Any) -> Edition:
        """Save a new draft from the text of each language; the titles are the texts' first lines.

        ``by`` is its author, for the log; ``stated`` are further fields, such as ``summary_kk`` or ``notice_days``.
        Raises ``ValidationError``.
        """
        for language, body in bodies.items():
            stated.setdefault(f"body_{language}", body)
            stated.setdefault(f"title_{language}", clauses.title_line(body)[:255])
        edition = self.model(agreement=agreement, **stated)
        edition.full_clean()
        with transaction.atomic(using=router.db_for_write(self.model)):
            edition.save()
            Act.objects.using(edition._state.db).log(Act.Kind.WRITTEN, on=edition, by=by)
        return edition

    def verify(self) -> Iterator[tuple[Edition | Agreement, str]]:
        """Recompute every digest and link of the chains in this queryset's agreements; yield what is wrong.

        An agreement whose chain has a head but no edition left is in no queryset, so it is always looked at,
        and is what the fault is yielded with. Reads one edition at a time, whatever their number and length.
        """
        return verification.faults(self)


class Edition(models.Model):
    """One wording of an agreement in Kazakh and Russian: a draft, or sealed for good.

    Write the columns with a language (``title_kk``); those without are the translation package's own, which would
    let them follow the active language: here they mirror the Kazakh text (``translation.Mirror``), sealed, read by
    nothing.
    """

    agreement = models.ForeignKey(
        Agreement, on_delete=models.PROTECT, related_name="editions", verbose_name=_("user agreement")
    )
    title = models.CharField(_("title"), max_length=255, blank=True)
    approval = models.CharField(
        _("approval"),
        max_length=255,
        blank=True,
        help_text=_("“Approved by order No … of …”: printed under the title."),
    )
    summary = models.TextField(
        _("what changed"), blank=True, help_text=_("In plain words, for the notice every user gets.")
    )
    body = models.TextField(_("text"), blank=True, help_text=_("Markdown, with the title in its first line."))

    prevailing_language = models.CharField(
        _("prevailing language"),
        max_length=2,
        blank=True,
        default=conf.prevailing_language,
        choices=[("kk", _("Kazakh")), ("ru", _("Russian"))],
        help_text=_("The text that decides where the two differ, if the edition states one."),
    )
    notice_days = models.PositiveSmallIntegerField(
        _("days of notice"),
        default=conf.notice_days,
        help_text=_("How many days before its effect the next edition is to be published, as this one states."),
    )
    retention_years = models.PositiveSmallIntegerField(
        _("years of retention"),
        default=conf.retention_years,
        help_text=_("How long personal data is kept after the agreement with a user ends, as this edition states."),
    )
    material = models.BooleanField(
        _("material change"), default=True, help_text=_("Does it change anyone's rights or duties?")
    )

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

    # The plugin of mypy can't see through the translation package's manager; the methods are EditionQuerySet's.
    objects: ClassVar[Any] = EditionQuerySet.as_manager()

    class Meta:
        ordering = ["agreement_id", models.F("number").desc(nulls_first=True), "-pk"]
        verbose_name = _("edition")
        verbose_name_plural = _("editions")
        permissions = [
            ("publish_edition", _("Can publish an edition")),
            ("cancel_edition", _("Can cancel a scheduled edition")),
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
                name="agreement_edition_sealed_whole",
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

    def text(self, language: str) -> seal.Text:
        """Title, approval, summary and body in that language; what is not written is ``""``."""
        return seal.Text(**{name: getattr(self, f"{name}_{language}") or "" for name in TEXTS})

    def clean(self) -> None:
        """Texts follow the import's rule: a form's CRLF is a file's LF. What is stated, a calendar can keep."""
        super().clean()
        for name in (f"{name}_{language}" for name in TEXTS for language in conf.LANGUAGES):
            if text := getattr(self, name):
                setattr(self, name, source.normalise(text))
                if "\x00" in text or any("\ud800" <= char <= "\udfff" for char in text):
                    raise ValidationError({name: _("NUL and half characters are not allowed.")}, code="unreadable")
        for name, most in MOST.items():
            try:
                MaxValueValidator(most)(getattr(self, name) or 0)
            except ValidationError as error:
                raise ValidationError({name: error}) from None

    def state(self, at: datetime | None = None) -> State:
        """What the edition is at that instant (now). 1 query for a successor, 0 after ``with_successors()``."""
        at = at or timezone.now()
        if self.published_at is None or self.effective_from is None or at < self.published_at:
            return State.DRAFT
        if self.cancelled_at and self.cancelled_at <= at:
            return State.CANCELLED
        if at < self.effective_from:
            return State.SCHEDULED
        successor = self.successor_from()
        return State.SUPERSEDED if successor and successor <= at else State.IN_FORCE

    def successor_from(self) -> datetime | None:
        """When the next binding edition takes (or took) effect, if there is one; as ``state`` for its cost."""
        if not hasattr(self, "superseded_at"):
            later = Edition.objects.binding().filter(
                agreement=self.agreement_id, effective_from__gt=self.effective_from
            )
            self.superseded_at = later.aggregate(at=models.Min("effective_from"))["at"]
        return self.superseded_at

    def manifest(self) -> bytes:
        """The canonical bytes the digest is of; their form is described in ``agreement.text.seal``."""
        if not (self.number and self.published_at and self.effective_from and self.recorded_at):
            msg = f"Edition {self.pk} is a draft: only a published edition has a manifest."
            raise ValueError(msg)
        return seal.manifest(
            agreement=self.agreement.slug,
            number=self.number,
            previous=self.previous_digest,
            published_at=self.published_at,
            effective_from=self.effective_from,
            recorded_at=self.recorded_at,
            imported=self.imported,
            material=self.material,
            notice_days=self.notice_days,
            retention_years=self.retention_years,
            prevailing_language=self.prevailing_language,
            texts={language: self.text(language) for language in conf.LANGUAGES},
        )

    def publish(
        self,
        *,
        effective_from: datetime | None = None,
        by: By = None,
        after: str | None = None,
        notify: bool = True,
        reason: str = "",
    ) -> None:
        """Seal the draft as it is stored, give it its number and tell the users, in one transaction.

        It takes effect at ``effective_from``, an aware instant from now on, or, without one, at the very
        microsecond of publication. ``after`` is the digest of the edition it was compared with (``""``: there was
        none); another one since then is refused. ``reason`` says why it takes effect earlier than the edition in
        force promises, and is asked for then; the log and the evidence keep it. The number of queries does not depend
        on the number of users.

        Raises :class:`EditionError` and changes nothing (design §3.3, §3.5–3.7).
        """
        alias = self._alias()
        with transaction.atomic(using=alias):
            now, stored, previous, last = self._open(alias)
            refusals.require_clock(now, previous)
            refusals.require_compared(after, last)
            effective_from = refusals.require_to_come(effective_from, now)
            if not reason.strip():
                refusals.require_notice(effective_from, now, stored._binding(last, now))
            if conf.get().FOUR_EYES:
                require_second_person(stored, by, using=alias)
            stored._seal(previous, last, published_at=now, effective_from=effective_from, recorded_at=now, by=by)
            acts = Act.objects.using(alias)
            acts.log(Act.Kind.PUBLISHED, on=stored, by=by, note=reason, digest=stored.digest)
            if notify:
                Notice.objects.using(alias).announce(stored, at=now)
            _on_commit(partial(_announce, signals.edition_published, stored), using=alias)
        self.refresh_from_db(using=alias)

    def record(self, *, effective_from: datetime, by: By = None) -> None:
        """Seal the draft as history: an edition that took effect before the site had this app.

        Only before the first ordinary edition, in ascending order, and tells nobody. Raises
        :class:`EditionError` and changes nothing (design §3.3).
        """
        alias = self._alias()
        with transaction.atomic(using=alias):
            now, stored, previous, last = self._open(alias)
            effective_from = refusals.require_history(effective_from, now, previous)
            stored._seal(
                previous,
                last,
                published_at=effective_from,
                effective_from=effective_from,
                recorded_at=now,
                by=by,
                imported=True,
            )
            Act.objects.using(alias).log(Act.Kind.RECORDED, on=stored, by=by, digest=stored.digest)
        self.refresh_from_db(using=alias)

    def cancel(self, *, by: By = None, reason: str = "") -> None:
        """Take a scheduled edition back before it takes effect; who and why is kept in the log.

        Raises :class:`EditionError` otherwise.
        """
        alias = self._alias()
        try:
            with transaction.atomic(using=alias):
                self.agreement.lock(using=alias)
                now = timezone.now()
                mine = _unmirrored(alias).filter(pk=self.pk, published_at__lte=now, effective_from__gt=now)
                done = mine.filter(cancelled_at__isnull=True).update(cancelled_at=now)
                if done:
                    acts = Act.objects.using(alias)
                    acts.log(Act.Kind.CANCELLED, on=self, by=by, note=reason, digest=self.digest)
                    Notice.objects.using(alias).take_back(self, at=now)
        except IntegrityError:  # Its moment came between the clock's reading and the trigger's.
            now, done = timezone.now(), 0
        self.refresh_from_db(using=alias)
        if not done:
            raise EditionError(
                _("Edition %(edition)s can't be cancelled: it is %(state)s."),
                code="not_cancellable",
                hint=_("Only a published edition that has not taken effect can be; otherwise publish a new one."),
                edition=self.number or self.pk,
                state=self.state(now).label,
            )
        _on_commit(partial(_announce, signals.edition_cancelled, self), using=alias)

    def refresh_from_db(self, *args: Any, **kwargs: Any) -> None:
        """As Django's; also forgets what ``with_successors()`` knew."""
        self.__dict__.pop("superseded_at", None)
        super().refresh_from_db(*args, **kwargs)

    def _alias(self) -> str:
        """The database that is written to, wherever this row was read."""
        return router.db_for_write(Edition, instance=self)

    def _open(self, alias: str) -> tuple[datetime, Edition, Edition | None, Edition | None]:
        """Lock the agreement, then read: the clock, this draft as stored, the last edition, the last binding one."""
        self.agreement.lock(using=alias)
        now = timezone.now()
        editions = Edition.objects.using(alias).filter(agreement=self.agreement_id)
        rows = editions.select_related("agreement").select_for_update(of=("self",))
        stored = refusals.require_draft(rows.filter(pk=self.pk).first(), self.pk)
        previous = editions.published().last()
        last = previous if previous and not previous.cancelled_at else editions.published().binding().last()
        return now, stored, previous, last

    def _binding(self, last: Edition | None, now: datetime) -> Edition | None:
        """The edition whose promises bind now: the last one, or the one before while it is to come. At most 1 query."""
        if last is None or not last.effective_from or last.effective_from <= now:
            return last
        in_force = Edition.objects.using(self._alias()).in_force(now)
        binding: Edition | None = in_force.filter(agreement=self.agreement_id).first()
        return binding

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
        """Write the seal's columns by name; the base columns become the mirror of Kazakh here, once."""
        self.check_texts()
        refusals.require_after(effective_from, last)
        self.number = (previous.number or 0) + 1 if previous else 1
        self.published_at, self.effective_from, self.recorded_at = published_at, effective_from, recorded_at
        self.published_by = name_of(by)
        self.imported = imported
        self.previous_digest = previous.digest if previous else ""
        self.digest = seal.sha256(self.manifest())
        columns = {
            name: getattr(self, name)
            for name in (
                "number published_at effective_from recorded_at published_by imported previous_digest digest"
            ).split()
        }
        for language in reversed(conf.LANGUAGES):  # Kazakh last: the base columns keep it.
            text = self.text(language)
            for name in TEXTS:
                columns[name] = columns[f"{name}_{language}"] = getattr(text, name)
        alias = self._alias()
        _unmirrored(alias).filter(pk=self.pk, published_at__isnull=True).update(**columns)
        Agreement.objects.using(alias).filter(pk=self.agreement_id).update(head=self.digest)

    def check_texts(self) -> None:
        """Raise :class:`EditionError` for what ``publish()`` would refuse in the texts as they are. 0 queries."""
        refusals.require_publishable({language: self.text(language) for language in conf.LANGUAGES})

    def __str__(self) -> str:
        return edition_name(self.agreement.slug, self.number, self.pk)


def _unmirrored(alias: str) -> models.QuerySet[Edition]:
    """Editions by their columns' real names: the translation package otherwise writes ``title_ru`` for ``title``."""
    editions: models.QuerySet[Edition] = Edition.objects.using(alias).rewrite(False)
    return editions


def _on_commit(call: Any, *, using: str) -> None:
    # Robust: a host's receiver that fails never fails a publication.
    transaction.on_commit(call, using=using, robust=True)


def _announce(signal: Any, edition: Edition) -> None:
    signal.send_robust(sender=Edition, edition=edition)
