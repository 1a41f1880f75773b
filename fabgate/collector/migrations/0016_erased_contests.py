"""When the words of a contest were erased."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds one column, which is empty; no row changes."""

    dependencies = [
        ('collector', '0015_contests'),
    ]

    operations = [
        migrations.AddField(
            model_name='contest',
            name='erased_at',
            field=models.DateTimeField(null=True),
        ),
    ]
