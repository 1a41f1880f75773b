"""Which devices use the keys of gates (docs/decisions/0150). Both tables begin empty."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('collector', '0003_joins'),
    ]

    operations = [
        migrations.CreateModel(
            name='FetchingBoot',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('boot', models.CharField(max_length=64)),
                ('address', models.CharField(max_length=45)),
                ('first_at', models.DateTimeField()),
                ('last_at', models.DateTimeField()),
                ('returned_at', models.DateTimeField(blank=True, null=True)),
                ('gate', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='fetching_boots', to='collector.gate')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('gate', 'boot'), name='fetching_boot_once')],
            },
        ),
        migrations.CreateModel(
            name='FormerToken',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('token_hash', models.CharField(max_length=64)),
                ('ended_at', models.DateTimeField()),
                ('used_at', models.DateTimeField(blank=True, null=True)),
                ('address', models.CharField(blank=True, max_length=45)),
                ('gate', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='former_tokens', to='collector.gate')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('gate', 'token_hash'), name='former_token_once')],
            },
        ),
    ]
