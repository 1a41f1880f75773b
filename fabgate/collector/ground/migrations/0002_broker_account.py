"""The accounts of gates at the collector's own broker. Existing rows do not change; gates that are there have none."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('collector', '0001_release'),
    ]

    operations = [
        migrations.CreateModel(
            name='BrokerAccount',
            fields=[
                ('gate', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='broker_account', serialize=False, to='collector.gate')),
                ('salt', models.CharField(blank=True, max_length=24)),
                ('digest', models.CharField(blank=True, max_length=88)),
                ('iterations', models.PositiveIntegerField(default=0)),
                ('asked_at', models.DateTimeField()),
                ('confirmed_at', models.DateTimeField(blank=True, null=True)),
            ],
        ),
    ]
