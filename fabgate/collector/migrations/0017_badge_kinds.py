"""Room for the spellings of badges of every kind."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Makes one column longer; no row changes. SQLite copies the table of badges, which is small."""

    dependencies = [
        ('collector', '0016_erased_contests'),
    ]

    operations = [
        migrations.AlterField(
            model_name='badge',
            name='spelling',
            field=models.CharField(blank=True, max_length=40),
        ),
    ]
