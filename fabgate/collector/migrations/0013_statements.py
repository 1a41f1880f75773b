"""Statements as they were printed, their mails, and the workshop that sends them."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('collector', '0012_sinks'),
    ]

    operations = [
        migrations.AddField(
            model_name='closedmonth',
            name='archive',
            field=models.JSONField(default=dict),
        ),
        migrations.AddField(
            model_name='closedmonth',
            name='printed',
            field=models.JSONField(default=dict),
        ),
        migrations.CreateModel(
            name='IssuedStatement',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('month', models.DateField()),
                ('payer', models.CharField(max_length=200)),
                ('amount_minor', models.BigIntegerField()),
                ('words', models.JSONField(default=dict)),
                ('erased_at', models.DateTimeField(null=True)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('month', 'payer'), name='statement_once')],
            },
        ),
        migrations.CreateModel(
            name='Workshop',
            fields=[
                ('id', models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=200)),
                ('address', models.TextField(blank=True)),
                ('contact', models.CharField(blank=True, max_length=200)),
                ('registration_number', models.CharField(blank=True, max_length=30)),
                ('vat_number', models.CharField(blank=True, max_length=20)),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('id', 1)), name='only_one_workshop')],
            },
        ),
        migrations.CreateModel(
            name='StatementMail',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('email', models.EmailField(max_length=254)),
                ('state', models.CharField(choices=[('waiting', 'waiting'), ('sending', 'sending'), ('sent', 'sent'), ('failed', 'failed')], max_length=8)),
                ('at', models.DateTimeField()),
                ('author', models.CharField(max_length=200)),
                ('problem', models.CharField(blank=True, max_length=200)),
                ('statement', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='mails', to='collector.issuedstatement')),
            ],
            options={
                'indexes': [models.Index(fields=['state'], name='statement_mail_state')],
            },
        ),
    ]
