import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from agreement.models.triggers import CloseSeal, OpenSeal


def count_once(apps, schema_editor):
    """What was written and settled before there was a progress to keep."""
    model, alias = apps.get_model("agreement", "Progress"), schema_editor.connection.alias
    rows = apps.get_model("agreement", "Delivery").objects.using(alias).order_by()
    found = {}
    for notice, channel, outcome, count in rows.values_list("notice", "channel", "outcome").annotate(
        models.Count("pk")
    ):
        found.setdefault((notice, channel), {})[outcome] = count
    model.objects.using(alias).bulk_create(
        model(notice_id=notice, channel=channel, **counts) for (notice, channel), counts in found.items()
    )


def forget_leases(apps, schema_editor):
    """A settled delivery had no lease before."""
    rows = apps.get_model("agreement", "Delivery").objects.using(schema_editor.connection.alias)
    rows.exclude(outcome="waiting").exclude(lease="").update(lease="")


class Migration(migrations.Migration):
    dependencies = [
        ("agreement", "0002_seal"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        OpenSeal(),
        migrations.CreateModel(
            name="Progress",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("channel", models.CharField(max_length=32, verbose_name="channel")),
                ("waiting", models.PositiveIntegerField(default=0, verbose_name="waiting")),
                ("sent", models.PositiveIntegerField(default=0, verbose_name="sent")),
                ("failed", models.PositiveIntegerField(default=0, verbose_name="failed")),
                ("skipped", models.PositiveIntegerField(default=0, verbose_name="skipped")),
                ("began_at", models.DateTimeField(blank=True, null=True, verbose_name="first batch")),
                ("latest_at", models.DateTimeField(blank=True, null=True, verbose_name="latest batch")),
            ],
            options={
                "verbose_name": "progress",
                "verbose_name_plural": "progress",
            },
        ),
        migrations.RemoveConstraint(
            model_name="delivery",
            name="agreement_delivery_settled_whole",
        ),
        migrations.RemoveIndex(
            model_name="delivery",
            name="agreement_delivery_waiting",
        ),
        migrations.RemoveIndex(
            model_name="delivery",
            name="agreement_delivery_leased",
        ),
        migrations.AddField(
            model_name="delivery",
            name="rank",
            field=models.PositiveIntegerField(default=0, editable=False),
        ),
        migrations.AlterField(
            model_name="delivery",
            name="notice",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="deliveries",
                to="agreement.notice",
                verbose_name="notice",
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("outcome", "waiting")),
                fields=["notice", "channel", "due_at", "rank", "id"],
                name="agreement_delivery_next",
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("lease", ""), _negated=True), fields=["lease"], name="agreement_delivery_leased"
            ),
        ),
        migrations.AddConstraint(
            model_name="delivery",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("outcome", "waiting"), ("settled_at__isnull", True)),
                    models.Q(("outcome__in", ["sent", "failed", "skipped"]), ("settled_at__isnull", False)),
                    _connector="OR",
                ),
                name="agreement_delivery_settled_whole",
            ),
        ),
        migrations.AddField(
            model_name="progress",
            name="notice",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="progress",
                to="agreement.notice",
                verbose_name="notice",
            ),
        ),
        migrations.AddConstraint(
            model_name="progress",
            constraint=models.UniqueConstraint(fields=("notice", "channel"), name="agreement_progress_once"),
        ),
        migrations.RunPython(count_once, forget_leases),
        CloseSeal(),
    ]
