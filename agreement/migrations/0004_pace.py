from django.conf import settings
from django.db import migrations, models

from agreement.models.triggers import CloseSeal, OpenSeal


class Migration(migrations.Migration):
    dependencies = [
        ("agreement", "0003_progress_and_rank"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        OpenSeal(),
        migrations.CreateModel(
            name="Pace",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("channel", models.CharField(max_length=32, unique=True, verbose_name="channel")),
                ("log", models.JSONField(blank=True, default=list)),
                ("claims", models.JSONField(blank=True, default=dict)),
                ("away_until", models.DateTimeField(blank=True, null=True, verbose_name="away until")),
                ("outages", models.PositiveSmallIntegerField(default=0, verbose_name="outages in a row")),
                ("reason", models.CharField(blank=True, max_length=255, verbose_name="reason")),
            ],
            options={
                "verbose_name": "pace of a channel",
                "verbose_name_plural": "paces of channels",
            },
        ),
        migrations.AddField(
            model_name="notice",
            name="paused_at",
            field=models.DateTimeField(blank=True, editable=False, null=True, verbose_name="paused"),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("outcome", "failed")),
                fields=["notice", "channel"],
                name="agreement_delivery_failed",
            ),
        ),
        CloseSeal(),
    ]
