"""Charges of sessions, lines for everything else, and closed months."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('collector', '0007_payers'),
    ]

    operations = [
        migrations.CreateModel(
            name='ChargeTerms',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('digest', models.CharField(max_length=64, unique=True)),
                ('snapshot', models.JSONField()),
            ],
        ),
        migrations.CreateModel(
            name='ClosedMonth',
            fields=[
                ('month', models.DateField(primary_key=True, serialize=False)),
                ('closed_at', models.DateTimeField()),
                ('closed_by', models.CharField(max_length=200)),
                ('reason', models.CharField(blank=True, max_length=200)),
                ('terms', models.JSONField()),
                ('charges', models.IntegerField()),
                ('lines', models.IntegerField()),
                ('amount_minor', models.BigIntegerField()),
                ('sha256', models.CharField(max_length=64)),
            ],
        ),
        migrations.CreateModel(
            name='Waiver',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('session', models.CharField(max_length=64, unique=True)),
                ('reason', models.CharField(max_length=200)),
                ('author', models.CharField(max_length=200)),
                ('at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='BillingProgress',
            fields=[
                ('id', models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ('position', models.BigIntegerField(default=0)),
                ('terms', models.CharField(blank=True, max_length=64)),
                ('pulse', models.BigIntegerField(default=-1)),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('id', 1)), name='only_one_billing_progress')],
            },
        ),
        migrations.CreateModel(
            name='ManualLine',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('month', models.DateField()),
                ('payer', models.CharField(max_length=200)),
                ('text', models.CharField(max_length=200)),
                ('amount_minor', models.BigIntegerField()),
                ('vat_code', models.CharField(blank=True, max_length=20)),
                ('session', models.CharField(blank=True, max_length=64)),
                ('author', models.CharField(max_length=200)),
                ('at', models.DateTimeField()),
            ],
            options={
                'indexes': [models.Index(fields=['month', 'payer'], name='manual_line_of_payer')],
            },
        ),
        migrations.CreateModel(
            name='Charge',
            fields=[
                ('id', models.CharField(max_length=36, primary_key=True, serialize=False)),
                ('session', models.CharField(db_index=True, max_length=64)),
                ('month', models.DateField()),
                ('of_month', models.DateField()),
                ('payer', models.CharField(max_length=200)),
                ('used_by', models.CharField(max_length=200)),
                ('machine', models.CharField(max_length=63)),
                ('plan', models.CharField(blank=True, max_length=60)),
                ('purpose', models.CharField(max_length=16)),
                ('kind', models.CharField(max_length=12)),
                ('started_at', models.DateTimeField(null=True)),
                ('ended_at', models.DateTimeField()),
                ('counted_ms', models.BigIntegerField()),
                ('running_ms', models.BigIntegerField()),
                ('free_ms', models.BigIntegerField(default=0)),
                ('cap_minor', models.BigIntegerField(default=0)),
                ('amount_minor', models.BigIntegerField(default=0)),
                ('facts', models.CharField(max_length=32)),
                ('reverses', models.CharField(blank=True, max_length=36)),
                ('known', models.BigIntegerField(default=0)),
                ('rule', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='charges', to='collector.tariffrule')),
                ('terms', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='collector.chargeterms')),
            ],
            options={
                'indexes': [models.Index(fields=['month', 'payer'], name='charge_of_payer')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('reverses', ''), _negated=True), fields=('reverses',), name='charge_reversed_once')],
            },
        ),
    ]
