import django.db.models.deletion
from django.db import migrations, models

import agreement.models.fields
from agreement.models.triggers import CloseSeal, OpenSeal


class Migration(migrations.Migration):
    dependencies = [("agreement", "0008_autosave")]

    operations = [
        OpenSeal(),
        migrations.CreateModel(
            name="TimeStamp",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("authority", models.CharField(help_text="Its address.", max_length=255, verbose_name="authority")),
                (
                    "stamped_at",
                    agreement.models.fields.InstantField(help_text="By the authority's clock.", verbose_name="stamped"),
                ),
                (
                    "response",
                    models.BinaryField(help_text="As it came: DER of a TimeStampResp.", verbose_name="response"),
                ),
                (
                    "certificates",
                    models.TextField(help_text="PEM of the authority's roots.", verbose_name="certificates"),
                ),
                (
                    "edition",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="time_stamps",
                        to="agreement.edition",
                        verbose_name="edition",
                    ),
                ),
            ],
            options={
                "verbose_name": "time stamp",
                "verbose_name_plural": "time stamps",
                "ordering": ["pk"],
                "constraints": [
                    models.UniqueConstraint(fields=("edition", "authority"), name="agreement_timestamp_once"),
                ],
            },
        ),
        CloseSeal(),
    ]
