"""When was something of a gate refused last because it sends more than one gate may?"""

from django.db import migrations, models


class Migration(migrations.Migration):
    """A column without a default, in a table of some rows."""

    dependencies = [
        ('collector', '0027_first_dates'),
    ]

    operations = [
        migrations.AddField(
            model_name='gate',
            name='too_much_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
