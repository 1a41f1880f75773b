"""Shorter forms of badges, as readers give them that shorten numbers."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds a table and a field of the collector. Until a workshop names forms (badge-forms), the table stays empty."""

    dependencies = [
        ('collector', '0017_badge_kinds'),
    ]

    operations = [
        migrations.AddField(
            model_name='collector',
            name='badge_forms',
            field=models.CharField(blank=True, default='', max_length=1000),
            preserve_default=False,
        ),
        migrations.CreateModel(
            name='BadgeForm',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('form', models.CharField(blank=True, max_length=40)),
                ('digest', models.CharField(max_length=64)),
                ('state', models.CharField(choices=[('accepted', 'accepted'), ('shared', 'shared'), ('out', 'out'), ('off', 'off')], max_length=8)),
                ('badge', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='forms', to='collector.badge')),
            ],
            options={
                'indexes': [models.Index(fields=['digest'], name='badge_form_digest')],
                'constraints': [models.UniqueConstraint(fields=('badge', 'form'), name='badge_form_once')],
            },
        ),
    ]
