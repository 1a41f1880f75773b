from django.db import migrations, models

from tests.collector.later.migrations import LAST


class Migration(migrations.Migration):
    dependencies = [("collector", LAST)]
    operations = [migrations.AddField("gate", "shelf", models.CharField(max_length=20, null=True))]
