"""Which accounts train it? Until somebody names one, each trainer may grant it, as before."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """A table without rows."""

    dependencies = [
        ('collector', '0024_roster_limits'),
    ]

    operations = [
        migrations.AddField(
            model_name='training',
            name='trainers',
            field=models.ManyToManyField(blank=True, related_name='trains', to='collector.account'),
        ),
    ]
