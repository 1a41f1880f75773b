"""Which database on which server is this? One that was restored from a copy is another one, and knows it by that."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """What was there before says nothing, until its next start."""

    dependencies = [
        ('collector', '0017_what_waits'),
    ]

    operations = [
        migrations.AddField(
            model_name='collector',
            name='place',
            field=models.CharField(blank=True, max_length=200),
        ),
    ]
