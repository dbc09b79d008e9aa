import django.utils.timezone
from django.db import migrations, models

import agreement.models.fields
from agreement.models.triggers import CloseSeal, OpenSeal


class Migration(migrations.Migration):
    dependencies = [("agreement", "0006_acceptances")]

    operations = [
        OpenSeal(),
        migrations.CreateModel(
            name="Act",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "at",
                    agreement.models.fields.InstantField(
                        default=django.utils.timezone.now, editable=False, verbose_name="when"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("written", "draft written"),
                            ("deleted", "draft deleted"),
                            ("published", "edition published"),
                            ("recorded", "history recorded"),
                            ("cancelled", "edition cancelled"),
                            ("paused", "sending paused"),
                            ("resumed", "sending resumed"),
                            ("resent", "sent again to those not reached"),
                            ("viewed", "personal data viewed"),
                            ("exported", "personal data exported"),
                        ],
                        max_length=16,
                        verbose_name="act",
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
            ],
            options={
                "verbose_name": "act",
                "verbose_name_plural": "log of acts",
                "ordering": ["-pk"],
                "indexes": [models.Index(fields=["model", "key"], name="agreement_act_about")],
            },
        ),
        CloseSeal(),
    ]
