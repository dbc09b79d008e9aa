from django.db import migrations

from agreement.models.triggers import CloseSeal


class Migration(migrations.Migration):
    dependencies = [("agreement", "0001_initial")]

    operations = [CloseSeal()]
