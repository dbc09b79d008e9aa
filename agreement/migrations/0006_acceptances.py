import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import agreement.models.fields
from agreement.models.triggers import CloseSeal, OpenSeal


class Migration(migrations.Migration):
    dependencies = [
        ("agreement", "0005_kinds_reads_and_bounces"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        OpenSeal(),
        migrations.AddField(
            model_name="agreement",
            name="joining",
            field=models.CharField(
                choices=[
                    ("deemed", "by entering: every use of the site by a signed-in user counts"),
                    ("explicit", "by confirming: users are asked before they go on"),
                    ("apart", "elsewhere: the site itself asks, or nobody is asked"),
                ],
                db_default="deemed",
                default="deemed",
                help_text="How users join, where the site has the middleware.",
                max_length=8,
                verbose_name="joining",
            ),
        ),
        migrations.CreateModel(
            name="Acceptance",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("digest", models.CharField(editable=False, max_length=64, verbose_name="digest (SHA-256)")),
                ("language", models.CharField(blank=True, max_length=16, verbose_name="language")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("deemed", "by entering"),
                            ("explicit", "by confirming"),
                            ("on_behalf", "recorded by an officer"),
                            ("imported", "imported history"),
                        ],
                        max_length=9,
                        verbose_name="kind",
                    ),
                ),
                ("at", agreement.models.fields.InstantField(verbose_name="when")),
                ("pseudonym", models.CharField(blank=True, editable=False, max_length=64, verbose_name="pseudonym")),
                (
                    "pseudonym_key",
                    models.CharField(blank=True, editable=False, max_length=32, verbose_name="key of the pseudonym"),
                ),
                ("round", models.PositiveSmallIntegerField(default=1, editable=False, verbose_name="round")),
                ("notice_sent", models.BooleanField(null=True, verbose_name="notice sent by then")),
                ("reason", models.TextField(blank=True, verbose_name="reason")),
                ("officer", models.CharField(blank=True, max_length=255, verbose_name="officer")),
                ("ip", models.GenericIPAddressField(blank=True, null=True, verbose_name="IP address")),
                ("user_agent", models.CharField(blank=True, max_length=255, verbose_name="browser")),
                (
                    "erased_at",
                    agreement.models.fields.InstantField(blank=True, editable=False, null=True, verbose_name="erased"),
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
                (
                    "user",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
            ],
            options={
                "verbose_name": "joining",
                "verbose_name_plural": "joinings",
                "ordering": ["-pk"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("pseudonym", ""), _negated=True),
                        fields=["pseudonym"],
                        name="agreement_acceptance_pseudonym",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("edition", "user", "round"), name="agreement_acceptance_once"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("kind", "explicit"), ("language__in", ("kk", "ru"))),
                            models.Q(("kind", "explicit"), _negated=True),
                            _connector="OR",
                        ),
                        name="agreement_acceptance_shown_in",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("kind", "deemed"), ("notice_sent__isnull", False)),
                            models.Q(models.Q(("kind", "deemed"), _negated=True), ("notice_sent__isnull", True)),
                            _connector="OR",
                        ),
                        name="agreement_acceptance_told",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("kind", "on_behalf"), _negated=True),
                            models.Q(models.Q(("reason", ""), _negated=True), models.Q(("officer", ""), _negated=True)),
                            _connector="OR",
                        ),
                        name="agreement_acceptance_on_behalf",
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
                        name="agreement_acceptance_erased_whole",
                    ),
                ],
            },
        ),
        CloseSeal(),
    ]
