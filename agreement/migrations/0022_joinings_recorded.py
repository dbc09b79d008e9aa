from typing import Any

from django.db import migrations, models
from django.utils import timezone

import agreement.models.fields
from agreement.models.triggers import CloseSeal, OpenSeal


def recorded_as_it_happened(apps: Any, schema_editor: Any) -> None:
    """What was no history was recorded when it happened. When history was, nobody wrote down: by now it is."""
    rows = apps.get_model("agreement", "Acceptance").objects.using(schema_editor.connection.alias)
    rows.exclude(kind="imported").update(recorded_at=models.F("at"))


class Migration(migrations.Migration):
    dependencies = [("agreement", "0021_changed_acts")]

    operations = [
        OpenSeal(),
        migrations.AddField(
            model_name="acceptance",
            name="recorded_at",
            field=agreement.models.fields.InstantField(default=timezone.now, editable=False, verbose_name="recorded"),
        ),
        migrations.RunPython(recorded_as_it_happened, migrations.RunPython.noop),
        migrations.AddConstraint(
            model_name="acceptance",
            constraint=models.CheckConstraint(
                condition=models.Q(("recorded_at__gte", models.F("at"))), name="agreement_acceptance_recorded"
            ),
        ),
        CloseSeal(),
    ]
