"""When does the broker's certificate end? The ingest reads it, and the pages warn of it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """A column without a default, in a table of two rows."""

    dependencies = [
        ('collector', '0025_trainers'),
    ]

    operations = [
        migrations.AddField(
            model_name='heartbeat',
            name='broker_until',
            field=models.DateTimeField(null=True),
        ),
    ]
