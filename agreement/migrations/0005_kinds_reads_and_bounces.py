import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

from agreement.models.triggers import CloseSeal, OpenSeal


class Migration(migrations.Migration):
    dependencies = [
        ("agreement", "0004_pace"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        OpenSeal(),
        migrations.CreateModel(
            name="Bounce",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField(verbose_name="came back")),
                (
                    "recorded_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name="recorded"),
                ),
                ("reason", models.CharField(blank=True, max_length=255, verbose_name="reason")),
            ],
            options={
                "verbose_name": "returned letter",
                "verbose_name_plural": "returned letters",
            },
        ),
        migrations.CreateModel(
            name="NoticeRead",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("read_at", models.DateTimeField(default=django.utils.timezone.now, verbose_name="read")),
            ],
            options={
                "verbose_name": "read notice",
                "verbose_name_plural": "read notices",
            },
        ),
        migrations.RemoveConstraint(
            model_name="noticetext",
            name="agreement_noticetext_once",
        ),
        migrations.AddField(
            model_name="delivery",
            name="address_digest",
            field=models.CharField(blank=True, editable=False, max_length=64, verbose_name="digest of the address"),
        ),
        migrations.AddField(
            model_name="noticetext",
            name="since",
            field=models.PositiveIntegerField(default=0, verbose_name="compared with edition"),
        ),
        migrations.AddField(
            model_name="progress",
            name="bounced",
            field=models.PositiveIntegerField(default=0, verbose_name="returned"),
        ),
        migrations.AlterField(
            model_name="notice",
            name="kind",
            field=models.CharField(
                choices=[
                    ("published", "new edition"),
                    ("reminder", "reminder before effect"),
                    ("cancelled", "edition cancelled"),
                ],
                max_length=16,
                verbose_name="kind",
            ),
        ),
        migrations.AddConstraint(
            model_name="noticetext",
            constraint=models.UniqueConstraint(
                fields=("notice", "channel", "language", "since"), name="agreement_noticetext_once"
            ),
        ),
        migrations.AddField(
            model_name="bounce",
            name="delivery",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="bounces",
                to="agreement.delivery",
                verbose_name="delivery",
            ),
        ),
        migrations.AddField(
            model_name="noticeread",
            name="notice",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="reads",
                to="agreement.notice",
                verbose_name="notice",
            ),
        ),
        migrations.AddField(
            model_name="noticeread",
            name="user",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
                verbose_name="user",
            ),
        ),
        migrations.AddConstraint(
            model_name="bounce",
            constraint=models.UniqueConstraint(fields=("delivery",), name="agreement_bounce_once"),
        ),
        migrations.AddConstraint(
            model_name="noticeread",
            constraint=models.UniqueConstraint(fields=("notice", "user"), name="agreement_noticeread_once"),
        ),
        CloseSeal(),
    ]
