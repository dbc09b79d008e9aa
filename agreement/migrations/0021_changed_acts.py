from django.db import migrations, models

from agreement.models.triggers import CloseSeal, OpenSeal


class Migration(migrations.Migration):
    dependencies = [
        ("agreement", "0020_holds_remember"),
    ]

    operations = [
        OpenSeal(),
        migrations.AlterField(
            model_name="act",
            name="kind",
            field=models.CharField(
                choices=[
                    ("changed", "user agreement set up or changed"),
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
                    ("joined", "joinings recorded"),
                    ("withdrawn", "withdrawal of consent registered"),
                    ("held", "legal hold placed or ended"),
                    ("verified", "editions verified"),
                    ("faulty", "faults found in the editions"),
                ],
                max_length=16,
                verbose_name="act",
            ),
        ),
        CloseSeal(),
    ]
