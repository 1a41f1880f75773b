"""The progress of each sink, and the result of each item."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds two tables; no row changes."""

    dependencies = [
        ('collector', '0010_prepaid'),
    ]

    operations = [
        migrations.CreateModel(
            name='Sink',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.SlugField(max_length=40, unique=True)),
                ('cursor', models.CharField(blank=True, max_length=64)),
                ('attempt', models.JSONField(default=list)),
                ('reconciled', models.DateTimeField(null=True)),
                ('generation', models.PositiveIntegerField(default=0)),
                ('trouble', models.CharField(blank=True, max_length=300)),
                ('troubled_since', models.DateTimeField(null=True)),
                ('failures', models.PositiveIntegerField(default=0)),
                ('next_at', models.DateTimeField(null=True)),
                ('sent_at', models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name='SinkLetter',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(max_length=64)),
                ('place', models.CharField(max_length=64)),
                ('month', models.DateField(null=True)),
                ('session', models.CharField(blank=True, max_length=64)),
                ('payer', models.CharField(blank=True, max_length=200)),
                ('amount', models.BigIntegerField()),
                ('state', models.CharField(choices=[('sent', 'sent'), ('dead', 'dead'), ('held', 'held'), ('skipped', 'skipped'), ('due', 'due')], max_length=8)),
                ('why', models.CharField(blank=True, max_length=300)),
                ('at', models.DateTimeField()),
                ('data', models.JSONField(null=True)),
                ('sink', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='letters', to='collector.sink')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('state', 'sent'), _negated=True), fields=['sink', 'state', 'id'], name='letter_left'), models.Index(fields=['sink', 'month', 'state', 'amount'], name='letter_of_month'), models.Index(condition=models.Q(('session', ''), _negated=True), fields=['session', 'sink'], name='letter_of_session')],
                'constraints': [models.UniqueConstraint(fields=('sink', 'key'), name='letter_once')],
            },
        ),
    ]
