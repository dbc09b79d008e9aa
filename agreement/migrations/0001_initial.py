import datetime
import uuid

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import agreement.conf
import agreement.models.fields
import agreement.models.withdrawals


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Agreement",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "slug",
                    models.SlugField(
                        help_text="It is part of every address. It can't be changed after an edition is published.",
                        max_length=100,
                        unique=True,
                        verbose_name="slug",
                    ),
                ),
                (
                    "name_kk",
                    models.CharField(
                        blank=True,
                        db_default="",
                        help_text="The pages of the administration use this name. If it is empty, they use the title of the edition in force.",
                        max_length=255,
                        verbose_name="name in Kazakh",
                    ),
                ),
                (
                    "name_ru",
                    models.CharField(blank=True, db_default="", max_length=255, verbose_name="name in Russian"),
                ),
                (
                    "time_zone",
                    models.CharField(
                        default=agreement.conf.time_zone,
                        help_text="The time zone in which the dates of this agreement are shown, for example Asia/Almaty.",
                        max_length=64,
                        validators=[agreement.models.fields.validate_zone],
                        verbose_name="time zone",
                    ),
                ),
                (
                    "acceptance_mode",
                    models.CharField(
                        choices=[
                            ("by_use", "by use: a signed-in user accepts by using the site"),
                            ("by_confirmation", "by confirmation: users are asked before they continue"),
                            ("elsewhere", "elsewhere: the site itself asks users, or no user is asked"),
                        ],
                        db_default="by_use",
                        default="by_use",
                        help_text="If the site uses the middleware, users accept the agreement in this way.",
                        max_length=16,
                        verbose_name="acceptance",
                    ),
                ),
                ("head", models.CharField(blank=True, editable=False, max_length=64, verbose_name="head of the chain")),
            ],
            options={
                "verbose_name": "user agreement",
                "verbose_name_plural": "user agreements",
                "ordering": ["slug"],
            },
        ),
        migrations.CreateModel(
            name="ChannelState",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("channel", models.CharField(max_length=32, unique=True, verbose_name="channel")),
                ("log", models.JSONField(blank=True, default=list)),
                ("claims", models.JSONField(blank=True, default=dict)),
                ("away_until", models.DateTimeField(blank=True, null=True, verbose_name="unavailable until")),
                ("outages", models.PositiveSmallIntegerField(default=0, verbose_name="outages in a row")),
                ("reason", models.CharField(blank=True, max_length=255, verbose_name="reason")),
            ],
            options={
                "verbose_name": "state of a channel",
                "verbose_name_plural": "states of channels",
            },
        ),
        migrations.CreateModel(
            name="AuditEntry",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "at",
                    agreement.models.fields.InstantField(
                        default=django.utils.timezone.now, editable=False, verbose_name="when"
                    ),
                ),
                (
                    "action",
                    models.CharField(
                        choices=[
                            ("changed", "user agreement created or changed"),
                            ("written", "draft saved"),
                            ("deleted", "draft deleted"),
                            ("ready", "draft marked as ready to publish"),
                            ("returned", "draft sent back to its author"),
                            ("published", "edition published"),
                            ("recorded", "history recorded"),
                            ("cancelled", "edition cancelled"),
                            ("signed", "digital signature of an edition stored"),
                            ("paused", "sending paused"),
                            ("resumed", "sending resumed"),
                            ("resent", "deliveries sent again"),
                            ("revived", "skipped deliveries queued again"),
                            ("viewed", "personal data viewed"),
                            ("exported", "personal data exported"),
                            ("accepted", "acceptances recorded"),
                            ("withdrawn", "withdrawal of consent registered"),
                            ("replied", "reply to a withdrawal recorded"),
                            ("breach", "breach of personal data recorded or announced"),
                            ("impersonated", "acted in the name of a user"),
                            ("legal_hold", "legal hold placed or ended"),
                            ("verified", "editions verified"),
                            ("faulty", "faults found in the editions"),
                        ],
                        max_length=16,
                        verbose_name="action",
                    ),
                ),
                ("by", models.CharField(blank=True, max_length=255, verbose_name="who")),
                ("account", models.CharField(blank=True, max_length=255, verbose_name="key of the account")),
                ("model", models.CharField(max_length=64, verbose_name="kind of record")),
                ("key", models.CharField(max_length=255, verbose_name="key of the record")),
                ("agreement", models.CharField(blank=True, max_length=100, verbose_name="user agreement")),
                ("number", models.PositiveIntegerField(default=0, verbose_name="edition")),
                ("digest", models.CharField(blank=True, max_length=64, verbose_name="digest (SHA-256)")),
                ("note", models.TextField(blank=True, verbose_name="reason or remark")),
                ("pseudonym", models.CharField(blank=True, editable=False, max_length=64, verbose_name="pseudonym")),
                (
                    "pseudonym_key",
                    models.CharField(blank=True, editable=False, max_length=32, verbose_name="key of the pseudonym"),
                ),
                (
                    "account_deleted_at",
                    agreement.models.fields.InstantField(
                        blank=True, editable=False, null=True, verbose_name="account deleted"
                    ),
                ),
                (
                    "erased_at",
                    agreement.models.fields.InstantField(blank=True, editable=False, null=True, verbose_name="erased"),
                ),
                (
                    "user",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=agreement.models.fields.PRESERVE_EVIDENCE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
            ],
            options={
                "verbose_name": "audit entry",
                "verbose_name_plural": "audit log",
                "ordering": ["-pk"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("erased_at__isnull", True),
                            models.Q(("note", ""), ("pseudonym", ""), ("pseudonym_key", ""), ("user", None)),
                            _connector="OR",
                        ),
                        name="agreement_auditentry_erased_complete",
                    ),
                ],
                "indexes": [
                    models.Index(fields=["model", "key"], name="agreement_auditentry_about"),
                    models.Index(
                        condition=models.Q(("pseudonym", ""), _negated=True),
                        fields=["pseudonym"],
                        name="agreement_auditentry_pseudonym",
                    ),
                    models.Index(
                        condition=models.Q(("action__in", ["verified", "faulty"])),
                        fields=["id"],
                        name="agreement_auditentry_verified",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Edition",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("title", models.CharField(blank=True, max_length=255, verbose_name="title")),
                ("title_kk", models.CharField(blank=True, max_length=255, null=True, verbose_name="title")),
                ("title_ru", models.CharField(blank=True, max_length=255, null=True, verbose_name="title")),
                (
                    "approval",
                    models.CharField(
                        blank=True,
                        help_text="For example “Approved by order No … of …”. It is printed under the title. An approval that the text has above its title is taken from there.",
                        max_length=255,
                        verbose_name="approval",
                    ),
                ),
                (
                    "approval_kk",
                    models.CharField(
                        blank=True,
                        help_text="For example “Approved by order No … of …”. It is printed under the title. An approval that the text has above its title is taken from there.",
                        max_length=255,
                        null=True,
                        verbose_name="approval",
                    ),
                ),
                (
                    "approval_ru",
                    models.CharField(
                        blank=True,
                        help_text="For example “Approved by order No … of …”. It is printed under the title. An approval that the text has above its title is taken from there.",
                        max_length=255,
                        null=True,
                        verbose_name="approval",
                    ),
                ),
                (
                    "summary",
                    models.TextField(
                        blank=True,
                        help_text="A description in plain words. The notice to every user contains it.",
                        verbose_name="what changed",
                    ),
                ),
                (
                    "summary_kk",
                    models.TextField(
                        blank=True,
                        help_text="A description in plain words. The notice to every user contains it.",
                        null=True,
                        verbose_name="what changed",
                    ),
                ),
                (
                    "summary_ru",
                    models.TextField(
                        blank=True,
                        help_text="A description in plain words. The notice to every user contains it.",
                        null=True,
                        verbose_name="what changed",
                    ),
                ),
                (
                    "body",
                    models.TextField(
                        blank=True,
                        help_text="The text in Markdown. Its title is the first line or, if an approval stands above it, the next one.",
                        verbose_name="text",
                    ),
                ),
                (
                    "body_kk",
                    models.TextField(
                        blank=True,
                        help_text="The text in Markdown. Its title is the first line or, if an approval stands above it, the next one.",
                        null=True,
                        verbose_name="text",
                    ),
                ),
                (
                    "body_ru",
                    models.TextField(
                        blank=True,
                        help_text="The text in Markdown. Its title is the first line or, if an approval stands above it, the next one.",
                        null=True,
                        verbose_name="text",
                    ),
                ),
                (
                    "prevailing_language",
                    models.CharField(
                        blank=True,
                        choices=[("kk", "Kazakh"), ("ru", "Russian")],
                        default=agreement.conf.prevailing_language,
                        help_text="The language of the text that prevails where the two texts differ, if the edition states one.",
                        max_length=2,
                        verbose_name="prevailing language",
                    ),
                ),
                (
                    "notice_days",
                    models.PositiveSmallIntegerField(
                        default=agreement.conf.notice_days,
                        help_text="This edition states that the next edition is published at least this many days before it takes effect.",
                        verbose_name="days of notice",
                    ),
                ),
                (
                    "grace_days",
                    models.PositiveSmallIntegerField(
                        default=agreement.conf.grace_days,
                        help_text="For this many days after this edition takes effect, an earlier acceptance still counts, and users are only reminded to accept. This applies only to agreements that are accepted by confirmation.",
                        verbose_name="days to accept",
                    ),
                ),
                (
                    "retention_years",
                    models.PositiveSmallIntegerField(
                        default=agreement.conf.retention_years,
                        help_text="This edition states that personal data is stored for this many years after the agreement with a user ends.",
                        verbose_name="years of retention",
                    ),
                ),
                (
                    "material",
                    models.BooleanField(
                        default=True,
                        help_text="Does this edition change the rights or duties of anyone?",
                        verbose_name="material change",
                    ),
                ),
                (
                    "begun_at",
                    agreement.models.fields.InstantField(
                        default=django.utils.timezone.now, editable=False, verbose_name="begun"
                    ),
                ),
                ("number", models.PositiveIntegerField(blank=True, editable=False, null=True, verbose_name="number")),
                (
                    "published_at",
                    agreement.models.fields.InstantField(
                        blank=True, editable=False, null=True, verbose_name="published"
                    ),
                ),
                (
                    "published_by",
                    models.CharField(blank=True, editable=False, max_length=255, verbose_name="published by"),
                ),
                (
                    "effective_from",
                    agreement.models.fields.InstantField(
                        blank=True, editable=False, null=True, verbose_name="effective from"
                    ),
                ),
                (
                    "cancelled_at",
                    agreement.models.fields.InstantField(
                        blank=True, editable=False, null=True, verbose_name="cancelled"
                    ),
                ),
                (
                    "digest",
                    models.CharField(blank=True, editable=False, max_length=64, verbose_name="digest (SHA-256)"),
                ),
                (
                    "previous_digest",
                    models.CharField(blank=True, editable=False, max_length=64, verbose_name="previous digest"),
                ),
                ("imported", models.BooleanField(default=False, editable=False, verbose_name="imported history")),
                (
                    "recorded_at",
                    agreement.models.fields.InstantField(
                        blank=True, editable=False, null=True, verbose_name="recorded"
                    ),
                ),
                (
                    "agreement",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="editions",
                        to="agreement.agreement",
                        verbose_name="user agreement",
                    ),
                ),
            ],
            options={
                "verbose_name": "edition",
                "verbose_name_plural": "editions",
                "ordering": [
                    "agreement_id",
                    models.OrderBy(models.F("number"), descending=True, nulls_first=True),
                    "-pk",
                ],
                "permissions": [
                    ("publish_edition", "Can publish an edition"),
                    ("cancel_edition", "Can cancel a scheduled edition"),
                    ("sign_edition", "Can store digital signatures of an edition"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("agreement", "number"), name="agreement_edition_number"),
                    models.UniqueConstraint(
                        condition=models.Q(("cancelled_at__isnull", True)),
                        fields=("agreement", "effective_from"),
                        name="agreement_edition_one_in_force",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("digest", ""), _negated=True),
                        fields=("digest",),
                        name="agreement_edition_digest",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("digest", ""), _negated=True),
                        fields=("agreement", "previous_digest"),
                        name="agreement_edition_chain",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("cancelled_at__isnull", True),
                                ("digest", ""),
                                ("effective_from__isnull", True),
                                ("imported", False),
                                ("number__isnull", True),
                                ("previous_digest", ""),
                                ("published_at__isnull", True),
                                ("recorded_at__isnull", True),
                            ),
                            models.Q(
                                ("effective_from__isnull", False),
                                ("number__gte", 1),
                                ("number__isnull", False),
                                ("published_at__isnull", False),
                                ("recorded_at__isnull", False),
                                models.Q(("digest", ""), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="agreement_edition_sealed_complete",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("effective_from__gte", models.F("published_at")),
                            ("recorded_at__gte", models.F("published_at")),
                        ),
                        name="agreement_edition_not_backdated",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("cancelled_at__gte", models.F("published_at")),
                            ("cancelled_at__lt", models.F("effective_from")),
                        ),
                        name="agreement_edition_cancelled_in_time",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("prevailing_language__in", ["", "kk", "ru"])),
                        name="agreement_edition_prevailing_language",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Autosave",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("fields", models.JSONField(default=dict)),
                ("base", models.CharField(max_length=64)),
                ("at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "author",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "edition",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="agreement.edition"
                    ),
                ),
            ],
            options={
                "verbose_name": "unsaved text",
                "verbose_name_plural": "unsaved texts",
                "constraints": [
                    models.UniqueConstraint(fields=("author", "edition"), name="agreement_autosave_one_slot"),
                ],
            },
        ),
        migrations.CreateModel(
            name="HandOver",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "state",
                    models.CharField(
                        choices=[("ready", "ready to publish"), ("returned", "sent back")],
                        max_length=16,
                        verbose_name="hand-over",
                    ),
                ),
                ("note", models.TextField(blank=True, verbose_name="reason or remark")),
                ("at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "edition",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, related_name="hand_over", to="agreement.edition"
                    ),
                ),
            ],
            options={
                "verbose_name": "hand-over",
                "verbose_name_plural": "hand-overs",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["ready", "returned"])), name="agreement_handover_known_state"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Acceptance",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("digest", models.CharField(editable=False, max_length=64, verbose_name="digest (SHA-256)")),
                ("language", models.CharField(blank=True, max_length=16, verbose_name="language")),
                (
                    "renderer",
                    models.PositiveSmallIntegerField(
                        blank=True, editable=False, null=True, verbose_name="display version"
                    ),
                ),
                (
                    "html_digest",
                    models.CharField(
                        blank=True,
                        editable=False,
                        max_length=64,
                        verbose_name="digest of the displayed HTML (SHA-256)",
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("deemed", "by using the site"),
                            ("explicit", "by confirmation"),
                            ("on_behalf", "recorded by an officer"),
                            ("imported", "imported history"),
                        ],
                        max_length=9,
                        verbose_name="kind",
                    ),
                ),
                ("at", agreement.models.fields.InstantField(verbose_name="when")),
                (
                    "recorded_at",
                    agreement.models.fields.InstantField(
                        default=django.utils.timezone.now, editable=False, verbose_name="recorded"
                    ),
                ),
                (
                    "account_deleted_at",
                    agreement.models.fields.InstantField(
                        blank=True, editable=False, null=True, verbose_name="account deleted"
                    ),
                ),
                ("pseudonym", models.CharField(blank=True, editable=False, max_length=64, verbose_name="pseudonym")),
                (
                    "pseudonym_key",
                    models.CharField(blank=True, editable=False, max_length=32, verbose_name="key of the pseudonym"),
                ),
                ("round", models.PositiveSmallIntegerField(default=1, editable=False, verbose_name="round")),
                ("notice_sent", models.BooleanField(null=True, verbose_name="notice already sent")),
                ("reason", models.TextField(blank=True, verbose_name="reason")),
                ("officer", models.CharField(blank=True, max_length=255, verbose_name="officer")),
                ("ip", models.GenericIPAddressField(blank=True, null=True, verbose_name="IP address")),
                ("user_agent", models.CharField(blank=True, max_length=255, verbose_name="browser")),
                (
                    "erased_at",
                    agreement.models.fields.InstantField(blank=True, editable=False, null=True, verbose_name="erased"),
                ),
                (
                    "user",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=agreement.models.fields.PRESERVE_EVIDENCE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
                (
                    "edition",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="acceptances",
                        to="agreement.edition",
                        verbose_name="edition",
                    ),
                ),
            ],
            options={
                "verbose_name": "acceptance",
                "verbose_name_plural": "acceptances",
                "ordering": ["-pk"],
                "indexes": [
                    models.Index(fields=["edition", "at"], name="agreement_acceptance_when"),
                    models.Index(
                        condition=models.Q(("pseudonym", ""), _negated=True),
                        fields=["pseudonym"],
                        name="agreement_acceptance_pseudonym",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("edition", "user", "round"), name="agreement_acceptance_once"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("kind", "explicit"), ("language__in", ("kk", "ru"))),
                            models.Q(("kind", "explicit"), _negated=True),
                            _connector="OR",
                        ),
                        name="agreement_acceptance_explicit_language",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("kind", "deemed"), ("notice_sent__isnull", False)),
                            models.Q(models.Q(("kind", "deemed"), _negated=True), ("notice_sent__isnull", True)),
                            _connector="OR",
                        ),
                        name="agreement_acceptance_notice_sent",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("kind", "on_behalf"), _negated=True),
                            models.Q(
                                models.Q(
                                    models.Q(("reason", ""), _negated=True),
                                    ("erased_at__isnull", False),
                                    _connector="OR",
                                ),
                                models.Q(("officer", ""), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="agreement_acceptance_on_behalf",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("html_digest", ""), ("renderer__isnull", True)),
                            models.Q(
                                ("kind", "explicit"),
                                ("renderer__isnull", False),
                                models.Q(("html_digest", ""), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="agreement_acceptance_html",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("recorded_at__gte", models.F("at"))), name="agreement_acceptance_recorded"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("erased_at__isnull", True),
                            models.Q(
                                ("erased_at__gte", models.F("at")),
                                ("ip__isnull", True),
                                ("pseudonym", ""),
                                ("pseudonym_key", ""),
                                ("reason", ""),
                                ("user_agent", ""),
                            ),
                            _connector="OR",
                        ),
                        name="agreement_acceptance_erased_complete",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Decline",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("pseudonym", models.CharField(blank=True, editable=False, max_length=64, verbose_name="pseudonym")),
                (
                    "pseudonym_key",
                    models.CharField(blank=True, editable=False, max_length=32, verbose_name="key of the pseudonym"),
                ),
                (
                    "account_deleted_at",
                    agreement.models.fields.InstantField(
                        blank=True, editable=False, null=True, verbose_name="account deleted"
                    ),
                ),
                (
                    "erased_at",
                    agreement.models.fields.InstantField(blank=True, editable=False, null=True, verbose_name="erased"),
                ),
                ("digest", models.CharField(editable=False, max_length=64, verbose_name="digest (SHA-256)")),
                (
                    "language",
                    models.CharField(
                        choices=[("kk", "Kazakh"), ("ru", "Russian")], max_length=2, verbose_name="language"
                    ),
                ),
                ("at", agreement.models.fields.InstantField(verbose_name="when")),
                ("ip", models.GenericIPAddressField(blank=True, null=True, verbose_name="IP address")),
                ("user_agent", models.CharField(blank=True, max_length=255, verbose_name="browser")),
                (
                    "edition",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="declines",
                        to="agreement.edition",
                        verbose_name="edition",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=agreement.models.fields.PRESERVE_EVIDENCE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
            ],
            options={
                "verbose_name": "decline",
                "verbose_name_plural": "declines",
                "ordering": ["-pk"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("pseudonym", ""), _negated=True),
                        fields=["pseudonym"],
                        name="agreement_decline_pseudonym",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("edition", "user"), name="agreement_decline_once"),
                    models.CheckConstraint(
                        condition=models.Q(("language__in", ("kk", "ru"))), name="agreement_decline_language"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("erased_at__isnull", True),
                            models.Q(
                                ("erased_at__gte", models.F("at")),
                                ("ip__isnull", True),
                                ("pseudonym", ""),
                                ("pseudonym_key", ""),
                                ("user_agent", ""),
                            ),
                            _connector="OR",
                        ),
                        name="agreement_decline_erased_complete",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="DisplayedText",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "language",
                    models.CharField(
                        choices=[("kk", "Kazakh"), ("ru", "Russian")], max_length=2, verbose_name="language"
                    ),
                ),
                ("renderer", models.PositiveSmallIntegerField(verbose_name="display version")),
                ("digest", models.CharField(max_length=64, verbose_name="digest (SHA-256)")),
                ("html", models.TextField(verbose_name="HTML")),
                (
                    "edition",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="displayed_texts",
                        to="agreement.edition",
                        verbose_name="edition",
                    ),
                ),
            ],
            options={
                "verbose_name": "displayed text",
                "verbose_name_plural": "displayed texts",
                "ordering": ["pk"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("edition", "language", "renderer", "digest"), name="agreement_displayedtext_once"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("language__in", ("kk", "ru"))), name="agreement_displayedtext_language"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="LegalHold",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("pseudonyms", models.JSONField(default=list, editable=False)),
                (
                    "ground",
                    models.TextField(
                        help_text="State who required the legal hold, and by which act or letter. Do not name users if the legal hold is on an edition, because this text then stays.",
                        verbose_name="ground",
                    ),
                ),
                ("by", models.CharField(max_length=255, verbose_name="who")),
                (
                    "held_from",
                    agreement.models.fields.InstantField(default=django.utils.timezone.now, verbose_name="from"),
                ),
                ("held_until", agreement.models.fields.InstantField(blank=True, null=True, verbose_name="until")),
                (
                    "erased_at",
                    agreement.models.fields.InstantField(blank=True, editable=False, null=True, verbose_name="erased"),
                ),
                (
                    "edition",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="agreement.edition",
                        verbose_name="edition",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=agreement.models.fields.STORE_PSEUDONYMS,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
            ],
            options={
                "verbose_name": "legal hold",
                "verbose_name_plural": "legal holds",
                "ordering": ["-pk"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("erased_at__isnull", True), models.Q(("ground", ""), _negated=True)),
                            models.Q(("erased_at__isnull", False), ("ground", ""), ("user__isnull", True)),
                            _connector="OR",
                        ),
                        name="agreement_legalhold_has_a_ground",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("held_until__isnull", True), ("held_until__gt", models.F("held_from")), _connector="OR"
                        ),
                        name="agreement_legalhold_ends_later",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Notice",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("published", "new edition"),
                            ("reminder", "reminder before it takes effect"),
                            ("cancelled", "edition cancelled"),
                            ("breach", "breach of personal data"),
                        ],
                        max_length=16,
                        verbose_name="kind",
                    ),
                ),
                ("uuid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                (
                    "created_at",
                    agreement.models.fields.InstantField(
                        default=django.utils.timezone.now, editable=False, verbose_name="created"
                    ),
                ),
                ("due_at", agreement.models.fields.InstantField(default=django.utils.timezone.now, verbose_name="due")),
                ("fan_out_cursor", models.CharField(blank=True, editable=False, max_length=255)),
                (
                    "fanned_out_at",
                    agreement.models.fields.InstantField(
                        blank=True, editable=False, null=True, verbose_name="deliveries written"
                    ),
                ),
                (
                    "paused_at",
                    agreement.models.fields.InstantField(blank=True, editable=False, null=True, verbose_name="paused"),
                ),
                (
                    "edition",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="notices",
                        to="agreement.edition",
                        verbose_name="edition",
                    ),
                ),
            ],
            options={
                "verbose_name": "notice",
                "verbose_name_plural": "notices",
                "ordering": ["-pk"],
                "permissions": [
                    ("pause_notice", "Can pause the sending of notices"),
                    ("resume_notice", "Can resume the sending of notices"),
                    ("resend_notice", "Can resend failed and returned deliveries"),
                    ("view_unreached", "Can view which users a notice did not reach"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("kind", "breach"), _negated=True),
                        fields=("edition", "kind"),
                        name="agreement_notice_once",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Delivery",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("channel", models.CharField(max_length=32, verbose_name="channel")),
                ("rank", models.PositiveIntegerField(default=0, editable=False)),
                (
                    "language",
                    models.CharField(
                        blank=True,
                        choices=[("kk", "Kazakh"), ("ru", "Russian"), ("mul", "Kazakh and Russian")],
                        max_length=3,
                        verbose_name="language",
                    ),
                ),
                (
                    "since",
                    models.PositiveIntegerField(
                        blank=True, editable=False, null=True, verbose_name="compared with edition"
                    ),
                ),
                (
                    "cancelled",
                    models.PositiveIntegerField(
                        blank=True, editable=False, null=True, verbose_name="cancelled editions"
                    ),
                ),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("waiting", "waiting"),
                            ("sent", "sent"),
                            ("failed", "failed"),
                            ("skipped", "skipped"),
                        ],
                        default="waiting",
                        max_length=8,
                        verbose_name="outcome",
                    ),
                ),
                ("reason", models.CharField(blank=True, max_length=255, verbose_name="reason")),
                ("attempts", models.PositiveSmallIntegerField(default=0, verbose_name="failed attempts")),
                ("perhaps_sent", models.BooleanField(db_default=False, default=False, editable=False)),
                ("due_at", agreement.models.fields.InstantField(verbose_name="due")),
                ("lease", models.CharField(blank=True, editable=False, max_length=32)),
                (
                    "outcome_at",
                    agreement.models.fields.InstantField(blank=True, null=True, verbose_name="outcome recorded"),
                ),
                ("returns", models.PositiveSmallIntegerField(db_default=0, default=0, editable=False)),
                ("returns_before", models.PositiveSmallIntegerField(db_default=0, default=0, editable=False)),
                (
                    "account_deleted_at",
                    agreement.models.fields.InstantField(
                        blank=True, editable=False, null=True, verbose_name="account deleted"
                    ),
                ),
                (
                    "pseudonym",
                    models.CharField(
                        blank=True, db_default="", default="", editable=False, max_length=64, verbose_name="pseudonym"
                    ),
                ),
                (
                    "pseudonym_key",
                    models.CharField(
                        blank=True,
                        db_default="",
                        default="",
                        editable=False,
                        max_length=32,
                        verbose_name="key of the pseudonym",
                    ),
                ),
                (
                    "address_digest",
                    models.CharField(blank=True, editable=False, max_length=64, verbose_name="digest of the address"),
                ),
                (
                    "user",
                    models.ForeignKey(
                        null=True,
                        on_delete=agreement.models.fields.PRESERVE_UNDER_PSEUDONYM,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
                (
                    "notice",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="deliveries",
                        to="agreement.notice",
                        verbose_name="notice",
                    ),
                ),
                (
                    "reopened_by",
                    models.ForeignKey(
                        db_index=False,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="agreement.auditentry",
                    ),
                ),
            ],
            options={
                "verbose_name": "delivery",
                "verbose_name_plural": "deliveries",
                "indexes": [
                    models.Index(
                        condition=models.Q(("outcome", "waiting")),
                        fields=["notice", "channel", "due_at", "rank", "id"],
                        name="agreement_delivery_next",
                    ),
                    models.Index(
                        condition=models.Q(("outcome", "failed")),
                        fields=["notice", "id"],
                        name="agreement_delivery_failed",
                    ),
                    models.Index(
                        condition=models.Q(("outcome", "skipped")),
                        fields=["notice", "reason", "id"],
                        name="agreement_delivery_skipped",
                    ),
                    models.Index(
                        condition=models.Q(("returns__gt", 0)),
                        fields=["notice", "id"],
                        name="agreement_delivery_returned",
                    ),
                    models.Index(
                        condition=models.Q(("lease", ""), _negated=True),
                        fields=["lease"],
                        name="agreement_delivery_leased",
                    ),
                    models.Index(
                        condition=models.Q(("pseudonym", ""), _negated=True),
                        fields=["pseudonym"],
                        name="agreement_delivery_pseudonym",
                    ),
                    models.Index(
                        condition=models.Q(
                            ("account_deleted_at__isnull", False),
                            models.Q(("address_digest", ""), ("pseudonym", ""), _negated=True),
                        ),
                        fields=["account_deleted_at"],
                        name="agreement_delivery_deleted",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("notice", "user", "channel"), name="agreement_delivery_once"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("outcome", "waiting"), ("outcome_at__isnull", True)),
                            models.Q(("outcome__in", ["sent", "failed", "skipped"]), ("outcome_at__isnull", False)),
                            _connector="OR",
                        ),
                        name="agreement_delivery_outcome_complete",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="NoticeRead",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "read_at",
                    agreement.models.fields.InstantField(default=django.utils.timezone.now, verbose_name="read"),
                ),
                (
                    "notice",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="reads",
                        to="agreement.notice",
                        verbose_name="notice",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
            ],
            options={
                "verbose_name": "read notice",
                "verbose_name_plural": "read notices",
                "constraints": [
                    models.UniqueConstraint(fields=("notice", "user"), name="agreement_noticeread_once"),
                ],
            },
        ),
        migrations.CreateModel(
            name="NoticeText",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("channel", models.CharField(max_length=32, verbose_name="channel")),
                (
                    "language",
                    models.CharField(
                        choices=[("kk", "Kazakh"), ("ru", "Russian"), ("mul", "Kazakh and Russian")],
                        max_length=3,
                        verbose_name="language",
                    ),
                ),
                ("since", models.PositiveIntegerField(default=0, verbose_name="compared with edition")),
                ("cancelled", models.PositiveIntegerField(default=0, verbose_name="cancelled editions")),
                ("subject", models.CharField(max_length=255, verbose_name="subject")),
                ("text", models.TextField(verbose_name="text")),
                ("html", models.TextField(blank=True, verbose_name="HTML")),
                ("digest", models.CharField(max_length=64, verbose_name="digest (SHA-256)")),
                (
                    "notice",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="texts", to="agreement.notice"
                    ),
                ),
            ],
            options={
                "verbose_name": "text of a notice",
                "verbose_name_plural": "texts of notices",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("notice", "channel", "language", "since", "cancelled"),
                        name="agreement_noticetext_once",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Progress",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("channel", models.CharField(max_length=32, verbose_name="channel")),
                ("waiting", models.PositiveIntegerField(default=0, verbose_name="waiting")),
                ("sent", models.PositiveIntegerField(default=0, verbose_name="sent")),
                ("failed", models.PositiveIntegerField(default=0, verbose_name="failed")),
                ("skipped", models.PositiveIntegerField(default=0, verbose_name="skipped")),
                ("bounced", models.PositiveIntegerField(default=0, verbose_name="returned")),
                ("latest_at", models.DateTimeField(blank=True, null=True, verbose_name="latest batch")),
                ("sending_time", models.DurationField(default=datetime.timedelta, verbose_name="time spent sending")),
                ("sending_since", models.DateTimeField(blank=True, editable=False, null=True)),
                ("timed", models.PositiveIntegerField(default=0, verbose_name="sent in that time")),
                ("reasons", models.JSONField(blank=True, default=dict, editable=False, verbose_name="reasons")),
                (
                    "notice",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="progress",
                        to="agreement.notice",
                        verbose_name="notice",
                    ),
                ),
            ],
            options={
                "verbose_name": "progress",
                "verbose_name_plural": "progress",
                "constraints": [
                    models.UniqueConstraint(fields=("notice", "channel"), name="agreement_progress_once"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Signature",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.PositiveIntegerField(verbose_name="number")),
                (
                    "signer",
                    models.CharField(help_text="The name in the certificate.", max_length=255, verbose_name="signer"),
                ),
                ("organisation", models.CharField(blank=True, max_length=255, verbose_name="organisation")),
                ("issuer", models.CharField(blank=True, max_length=255, verbose_name="issuer of the certificate")),
                (
                    "signer_key",
                    models.CharField(
                        help_text="The SHA-256 of the subject of the certificate.",
                        max_length=64,
                        verbose_name="digest of the signer",
                    ),
                ),
                (
                    "signed_at",
                    agreement.models.fields.InstantField(
                        blank=True,
                        help_text="According to the clock of the signer.",
                        null=True,
                        verbose_name="signed",
                    ),
                ),
                (
                    "recorded_at",
                    agreement.models.fields.InstantField(
                        default=django.utils.timezone.now, editable=False, verbose_name="stored"
                    ),
                ),
                (
                    "digest_algorithm",
                    models.CharField(
                        help_text="Its name; if it is not known here, its object identifier.",
                        max_length=64,
                        verbose_name="digest algorithm",
                    ),
                ),
                ("message_digest", models.CharField(max_length=128, verbose_name="signed digest")),
                ("verified_by", models.CharField(blank=True, max_length=255, verbose_name="verified by")),
                (
                    "content",
                    models.BinaryField(
                        help_text="The signature as received: a ContentInfo of CMS.", verbose_name="file"
                    ),
                ),
                (
                    "edition",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="signatures",
                        to="agreement.edition",
                        verbose_name="edition",
                    ),
                ),
            ],
            options={
                "verbose_name": "digital signature",
                "verbose_name_plural": "digital signatures",
                "ordering": ["edition_id", "number"],
                "constraints": [
                    models.UniqueConstraint(fields=("edition", "number"), name="agreement_signature_number"),
                    models.UniqueConstraint(fields=("edition", "signer_key"), name="agreement_signature_once"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Withdrawal",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("pseudonym", models.CharField(blank=True, editable=False, max_length=64, verbose_name="pseudonym")),
                (
                    "pseudonym_key",
                    models.CharField(blank=True, editable=False, max_length=32, verbose_name="key of the pseudonym"),
                ),
                (
                    "account_deleted_at",
                    agreement.models.fields.InstantField(
                        blank=True, editable=False, null=True, verbose_name="account deleted"
                    ),
                ),
                (
                    "erased_at",
                    agreement.models.fields.InstantField(blank=True, editable=False, null=True, verbose_name="erased"),
                ),
                ("year", models.PositiveSmallIntegerField(editable=False)),
                ("serial", models.PositiveIntegerField(editable=False)),
                (
                    "applicant",
                    models.CharField(
                        blank=True,
                        help_text="Name and address of a person without an account.",
                        max_length=255,
                        verbose_name="applicant",
                    ),
                ),
                (
                    "application_number",
                    models.CharField(blank=True, max_length=64, verbose_name="number of the application"),
                ),
                ("received_on", models.DateField(verbose_name="received")),
                ("registered_at", agreement.models.fields.InstantField(verbose_name="registered")),
                ("reply_by", models.DateField(editable=False, verbose_name="reply by")),
                (
                    "replied_on",
                    models.DateField(
                        blank=True,
                        help_text="The day on which the reply was given, if not by mail.",
                        null=True,
                        verbose_name="day of the reply",
                    ),
                ),
                ("effective_at", agreement.models.fields.InstantField(blank=True, null=True, verbose_name="effective")),
                (
                    "outcome",
                    models.CharField(
                        choices=[("suspended", "suspended"), ("ended", "ended"), ("refused", "refused")],
                        max_length=9,
                        verbose_name="outcome",
                    ),
                ),
                (
                    "ground",
                    models.TextField(
                        blank=True,
                        help_text="If the application is refused, state the reason. Otherwise, enter any other text that the reply must contain.",
                        verbose_name="ground",
                    ),
                ),
                (
                    "may_accept_again",
                    models.BooleanField(
                        default=True,
                        help_text="May the user accept again without permission?",
                        verbose_name="may accept again",
                    ),
                ),
                (
                    "language",
                    models.CharField(
                        choices=[("kk", "Kazakh"), ("ru", "Russian")],
                        default="kk",
                        max_length=2,
                        verbose_name="language of the reply",
                    ),
                ),
                (
                    "scan",
                    models.FileField(
                        blank=True,
                        storage=agreement.models.withdrawals.ScanStorage(),
                        upload_to=agreement.models.withdrawals.scan_path,
                        verbose_name="scan",
                    ),
                ),
                ("registered_by", models.CharField(blank=True, max_length=255, verbose_name="registered by")),
                (
                    "confirmed_at",
                    agreement.models.fields.InstantField(
                        blank=True, editable=False, null=True, verbose_name="confirmation sent"
                    ),
                ),
                (
                    "confirm_due_at",
                    agreement.models.fields.InstantField(
                        blank=True, editable=False, null=True, verbose_name="confirmation due"
                    ),
                ),
                (
                    "confirm_attempts",
                    models.PositiveSmallIntegerField(db_default=0, default=0, editable=False, verbose_name="attempts"),
                ),
                (
                    "agreement",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="withdrawals",
                        to="agreement.agreement",
                        verbose_name="user agreement",
                    ),
                ),
                (
                    "edition",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="agreement.edition",
                        verbose_name="edition that the withdrawal concerns",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=agreement.models.fields.PRESERVE_EVIDENCE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
            ],
            options={
                "verbose_name": "withdrawal of consent",
                "verbose_name_plural": "withdrawals of consent",
                "ordering": ["-pk"],
                "permissions": [("export_evidence", "Can export evidence")],
                "indexes": [
                    models.Index(fields=["user", "agreement"], name="agreement_withdrawal_of_user"),
                    models.Index(fields=["effective_at"], name="agreement_withdrawal_effective"),
                    models.Index(fields=["registered_at"], name="agreement_withdrawal_entered"),
                    models.Index(
                        condition=models.Q(("confirm_due_at__isnull", False)),
                        fields=["confirm_due_at"],
                        name="agreement_withdrawal_reply_due",
                    ),
                    models.Index(
                        condition=models.Q(
                            ("confirmed_at__isnull", True), ("erased_at__isnull", True), ("replied_on__isnull", True)
                        ),
                        fields=["reply_by"],
                        name="agreement_withdrawal_open",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("agreement", "year", "serial"), name="agreement_withdrawal_number"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("effective_at__isnull", True),
                                ("outcome", "refused"),
                                models.Q(
                                    models.Q(("ground", ""), _negated=True),
                                    ("erased_at__isnull", False),
                                    _connector="OR",
                                ),
                            ),
                            models.Q(("effective_at__isnull", False), ("outcome__in", ["suspended", "ended"])),
                            _connector="OR",
                        ),
                        name="agreement_withdrawal_outcome_complete",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("replied_on__isnull", True),
                            ("replied_on__gte", models.F("received_on")),
                            _connector="OR",
                        ),
                        name="agreement_withdrawal_replied_later",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("erased_at__isnull", True),
                            models.Q(
                                ("applicant", ""),
                                ("application_number", ""),
                                ("ground", ""),
                                ("pseudonym", ""),
                                ("pseudonym_key", ""),
                                ("scan", ""),
                            ),
                            _connector="OR",
                        ),
                        name="agreement_withdrawal_erased_complete",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Consent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("pseudonym", models.CharField(blank=True, editable=False, max_length=64, verbose_name="pseudonym")),
                (
                    "pseudonym_key",
                    models.CharField(blank=True, editable=False, max_length=32, verbose_name="key of the pseudonym"),
                ),
                (
                    "account_deleted_at",
                    agreement.models.fields.InstantField(
                        blank=True, editable=False, null=True, verbose_name="account deleted"
                    ),
                ),
                (
                    "erased_at",
                    agreement.models.fields.InstantField(blank=True, editable=False, null=True, verbose_name="erased"),
                ),
                (
                    "purpose",
                    models.SlugField(
                        help_text="The name that the site uses, for example “registration”.",
                        max_length=64,
                        verbose_name="purpose",
                    ),
                ),
                (
                    "language",
                    models.CharField(
                        choices=[("kk", "Kazakh"), ("ru", "Russian")], max_length=2, verbose_name="language"
                    ),
                ),
                ("text", models.TextField(default="", editable=False, verbose_name="text shown")),
                (
                    "digest",
                    models.CharField(
                        default="", editable=False, max_length=64, verbose_name="digest of the text (SHA-256)"
                    ),
                ),
                ("given_at", agreement.models.fields.InstantField(verbose_name="given")),
                ("withdrawn_at", agreement.models.fields.InstantField(blank=True, null=True, verbose_name="withdrawn")),
                (
                    "user",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=agreement.models.fields.PRESERVE_EVIDENCE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
            ],
            options={
                "verbose_name": "consent to data processing",
                "verbose_name_plural": "consents to data processing",
                "ordering": ["-pk"],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("withdrawn_at__isnull", True)),
                        fields=("user", "purpose", "digest"),
                        name="agreement_consent_once",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("withdrawn_at__isnull", True), ("withdrawn_at__gte", models.F("given_at")), _connector="OR"
                        ),
                        name="agreement_consent_withdrawn_later",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Bounce",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", agreement.models.fields.InstantField(verbose_name="came back")),
                (
                    "recorded_at",
                    agreement.models.fields.InstantField(
                        default=django.utils.timezone.now, editable=False, verbose_name="recorded"
                    ),
                ),
                ("reason", models.CharField(blank=True, max_length=255, verbose_name="reason")),
                (
                    "delivery",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="bounces",
                        to="agreement.delivery",
                        verbose_name="delivery",
                    ),
                ),
            ],
            options={
                "verbose_name": "returned letter",
                "verbose_name_plural": "returned letters",
            },
        ),
        migrations.CreateModel(
            name="Breach",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "known_at",
                    agreement.models.fields.InstantField(
                        default=django.utils.timezone.now, verbose_name="became known"
                    ),
                ),
                (
                    "recorded_at",
                    agreement.models.fields.InstantField(
                        default=django.utils.timezone.now, editable=False, verbose_name="recorded"
                    ),
                ),
                (
                    "recorded_by",
                    models.CharField(blank=True, editable=False, max_length=255, verbose_name="recorded by"),
                ),
                ("everyone", models.BooleanField(default=True, verbose_name="concerns all users")),
                ("text_kk", models.TextField(blank=True, verbose_name="words of the notice in Kazakh")),
                ("text_ru", models.TextField(blank=True, verbose_name="words of the notice in Russian")),
                (
                    "agreement",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="breaches",
                        to="agreement.agreement",
                        verbose_name="user agreement",
                    ),
                ),
                (
                    "notice",
                    models.OneToOneField(
                        blank=True,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="breach",
                        to="agreement.notice",
                        verbose_name="notice",
                    ),
                ),
            ],
            options={
                "verbose_name": "breach of personal data",
                "verbose_name_plural": "breaches of personal data",
                "ordering": ["-pk"],
                "permissions": [("notify_breach", "Can notify users of a breach of personal data")],
            },
        ),
        migrations.CreateModel(
            name="AffectedUser",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "breach",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="affected",
                        to="agreement.breach",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "affected user",
                "verbose_name_plural": "affected users",
                "constraints": [
                    models.UniqueConstraint(fields=("breach", "user"), name="agreement_affecteduser_once"),
                ],
            },
        ),
        migrations.CreateModel(
            name="TransparencyLog",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("origin", models.CharField(blank=True, default="", max_length=255, verbose_name="origin")),
                ("keys", models.TextField(blank=True, default="", verbose_name="keys")),
                ("size", models.PositiveBigIntegerField(default=0, verbose_name="entries")),
                ("accepted", models.BigIntegerField(default=0)),
                ("withdrawn", models.BigIntegerField(default=0)),
                ("swept_at", agreement.models.fields.InstantField(null=True)),
                (
                    "agreement",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="log",
                        to="agreement.agreement",
                        verbose_name="user agreement",
                    ),
                ),
            ],
            options={
                "verbose_name": "log",
                "verbose_name_plural": "logs",
                "ordering": ["agreement_id"],
            },
        ),
        migrations.CreateModel(
            name="Checkpoint",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("size", models.PositiveBigIntegerField(verbose_name="entries")),
                ("root", models.CharField(max_length=64, verbose_name="root hash")),
                ("note", models.TextField(blank=True, default="", verbose_name="signed checkpoint")),
                ("at", agreement.models.fields.InstantField(verbose_name="when")),
                (
                    "agreement",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="checkpoints",
                        to="agreement.agreement",
                        verbose_name="user agreement",
                    ),
                ),
            ],
            options={
                "verbose_name": "checkpoint",
                "verbose_name_plural": "checkpoints",
                "ordering": ["agreement_id", "size"],
                "constraints": [
                    models.UniqueConstraint(fields=("agreement", "size"), name="agreement_checkpoint_once")
                ],
                "indexes": [
                    models.Index(
                        condition=models.Q(("note", ""), _negated=True),
                        fields=["agreement", "size"],
                        name="agreement_checkpoint_signed",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="TimeStamp",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "authority",
                    models.CharField(
                        help_text="The address of the authority.", max_length=255, verbose_name="authority"
                    ),
                ),
                (
                    "stamped_at",
                    agreement.models.fields.InstantField(
                        help_text="According to the clock of the authority.", verbose_name="stamped"
                    ),
                ),
                (
                    "response",
                    models.BinaryField(
                        help_text="The response as received: a TimeStampResp in DER.", verbose_name="response"
                    ),
                ),
                (
                    "certificates",
                    models.TextField(
                        help_text="The root certificates of the authority in PEM.", verbose_name="certificates"
                    ),
                ),
                (
                    "checkpoint",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="time_stamps",
                        to="agreement.checkpoint",
                        verbose_name="checkpoint",
                    ),
                ),
            ],
            options={
                "verbose_name": "time stamp",
                "verbose_name_plural": "time stamps",
                "ordering": ["pk"],
                "constraints": [
                    models.UniqueConstraint(fields=("checkpoint", "authority"), name="agreement_timestamp_once"),
                ],
            },
        ),
        migrations.CreateModel(
            name="LogEntry",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("index", models.PositiveBigIntegerField(verbose_name="index")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("edition", "edition"),
                            ("cancelled", "edition cancelled"),
                            ("notice", "text of a notice"),
                            ("acceptance", "acceptance"),
                            ("withdrawal", "withdrawal of consent"),
                            ("erasure", "erasure of personal data"),
                            ("stamp", "time stamp"),
                        ],
                        max_length=10,
                        verbose_name="kind",
                    ),
                ),
                ("row", models.BigIntegerField(null=True)),
                ("entry", models.BinaryField(verbose_name="entry")),
                ("salt", models.CharField(blank=True, default="", max_length=32)),
                (
                    "agreement",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="agreement.agreement",
                    ),
                ),
            ],
            options={
                "verbose_name": "entry of a log",
                "verbose_name_plural": "entries of logs",
                "ordering": ["agreement_id", "index"],
                "constraints": [
                    models.UniqueConstraint(fields=("agreement", "index"), name="agreement_logentry_index"),
                    models.UniqueConstraint(fields=("row", "kind"), name="agreement_logentry_row"),
                ],
            },
        ),
        migrations.CreateModel(
            name="LogTile",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("level", models.PositiveSmallIntegerField()),
                ("number", models.PositiveBigIntegerField()),
                ("hashes", models.BinaryField()),
                ("root", models.BinaryField()),
                (
                    "agreement",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="agreement.agreement",
                    ),
                ),
            ],
            options={
                "verbose_name": "tile of a log",
                "verbose_name_plural": "tiles of logs",
                "constraints": [
                    models.UniqueConstraint(fields=("agreement", "level", "number"), name="agreement_logtile_once")
                ],
            },
        ),
    ]
