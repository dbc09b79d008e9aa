from django.db import migrations

from agreement.seal.operations import BeginSeal


class Migration(migrations.Migration):
    dependencies = [("agreement", "0001_initial")]

    operations = [BeginSeal()]
