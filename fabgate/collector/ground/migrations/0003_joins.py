"""Codes by which gates join, and who used them. Both tables begin empty."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('collector', '0002_broker_account'),
    ]

    operations = [
        migrations.CreateModel(
            name='JoinCode',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=2)),
                ('secret', models.CharField(max_length=8)),
                ('gate', models.CharField(max_length=63)),
                ('replaces', models.BooleanField(default=False)),
                ('machine', models.CharField(max_length=63)),
                ('title', models.CharField(blank=True, max_length=120)),
                ('preset', models.CharField(blank=True, max_length=20)),
                ('build', models.CharField(max_length=30)),
                ('build_values', models.JSONField(blank=True, default=dict)),
                ('address', models.CharField(max_length=300)),
                ('made_by', models.CharField(max_length=200)),
                ('made_at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='JoinAttempt',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('exchange', models.CharField(max_length=32, unique=True)),
                ('at', models.DateTimeField()),
                ('address', models.CharField(max_length=45)),
                ('state', models.CharField(default='begun', max_length=8)),
                ('agreement', models.CharField(max_length=64)),
                ('offer', models.TextField(blank=True)),
                ('serial', models.CharField(blank=True, max_length=200)),
                ('agreed_at', models.DateTimeField(blank=True, null=True)),
                ('code', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='attempts', to='collector.joincode')),
            ],
        ),
    ]
