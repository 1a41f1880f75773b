"""Which payers prepay, and their ledger."""

import django.core.validators
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds two tables, a field of plans, one of the terms and one of closed months."""

    dependencies = [
        ('collector', '0009_verification'),
    ]

    operations = [
        migrations.AddField(
            model_name='billingterms',
            name='low_credit_minor',
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='closedmonth',
            name='entries',
            field=models.IntegerField(default=0),
        ),
        migrations.AddField(
            model_name='plan',
            name='overdraft_minor',
            field=models.PositiveIntegerField(default=0, validators=[django.core.validators.MaxValueValidator(10000000)]),
        ),
        migrations.CreateModel(
            name='PrepaidChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('payer', models.CharField(blank=True, max_length=200)),
                ('since', models.DateField()),
                ('prepays', models.BooleanField()),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('payer', 'since'), name='prepaid_change_once')],
            },
        ),
        migrations.CreateModel(
            name='PrepaidEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('payer', models.CharField(max_length=200)),
                ('kind', models.CharField(max_length=12)),
                ('amount_minor', models.BigIntegerField()),
                ('method', models.CharField(blank=True, max_length=12)),
                ('till_number', models.CharField(blank=True, max_length=40)),
                ('reason', models.CharField(blank=True, max_length=200)),
                ('day', models.DateField()),
                ('author', models.CharField(max_length=200)),
                ('at', models.DateTimeField()),
                ('form_key', models.CharField(blank=True, max_length=36)),
                ('takes_back', models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='taken_back_by', to='collector.prepaidentry')),
            ],
            options={
                'indexes': [models.Index(fields=['payer', 'day', 'id', 'amount_minor'], name='prepaid_of_payer'), models.Index(fields=['day', 'id'], name='prepaid_of_day')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('form_key', ''), _negated=True), fields=('form_key',), name='prepaid_form_once'), models.UniqueConstraint(condition=models.Q(('kind', 'used')), fields=('payer', 'day'), name='prepaid_month_used_once')],
            },
        ),
    ]
