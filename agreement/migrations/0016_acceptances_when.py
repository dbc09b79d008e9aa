from django.db import migrations, models

from agreement.models.triggers import CloseSeal, OpenSeal


class Migration(migrations.Migration):
    dependencies = [("agreement", "0015_joined_acts")]

    operations = [
        OpenSeal(),
        migrations.AddIndex(
            model_name="acceptance",
            index=models.Index(fields=["edition", "at"], name="agreement_acceptance_when"),
        ),
        CloseSeal(),
    ]
