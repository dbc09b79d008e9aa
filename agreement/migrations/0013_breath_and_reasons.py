from django.db import migrations, models


def count_once(apps, schema_editor):
    """Why deliveries failed or were skipped before a progress kept it; the many kinds one ledger may hold go by no
    name."""
    alias = schema_editor.connection.alias
    rows = apps.get_model("agreement", "Delivery").objects.using(alias).filter(outcome__in=["failed", "skipped"])
    found = {}
    grouped = rows.order_by().values_list("notice", "channel", "outcome", "reason").annotate(models.Count("pk"))
    for notice, channel, outcome, reason, count in grouped.filter(lease=""):
        known = found.setdefault((notice, channel), {}).setdefault(outcome, {})
        reason = reason if reason in known or len(known) < 40 else ""
        known[reason] = known.get(reason, 0) + count
    for (notice, channel), reasons in found.items():
        progress = apps.get_model("agreement", "Progress").objects.using(alias)
        progress.filter(notice=notice, channel=channel).update(reasons=reasons)


class Migration(migrations.Migration):
    dependencies = [("agreement", "0012_deliveries_pseudonyms")]

    operations = [
        migrations.AlterModelOptions(
            name="notice",
            options={
                "ordering": ["-pk"],
                "permissions": [
                    ("pause_notice", "Can hold and pause the sending of notices"),
                    ("resume_notice", "Can resume the sending of notices"),
                    ("resend_notice", "Can send notices again to those not reached"),
                ],
                "verbose_name": "notice",
                "verbose_name_plural": "notices",
            },
        ),
        migrations.AddField(
            model_name="progress",
            name="reasons",
            field=models.JSONField(blank=True, default=dict, editable=False, verbose_name="reasons"),
        ),
        migrations.RunPython(count_once, migrations.RunPython.noop),
    ]
