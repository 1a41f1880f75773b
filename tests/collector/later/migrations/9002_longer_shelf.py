"""SQLite's Django copies a table to change a column."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("collector", "9001_shelf")]
    operations = [migrations.AlterField("gate", "shelf", models.CharField(max_length=40, null=True))]
