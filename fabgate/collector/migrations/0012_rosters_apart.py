"""Rosters get a table of their own: a gate is read wherever a session is shown, and a large roster has megabytes."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Not taken back: the next start builds every roster anew."""

    dependencies = [
        ('collector', '0011_sessions_by_two'),
    ]

    operations = [
        migrations.CreateModel(
            name='ServedRoster',
            fields=[
                ('gate', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='+', serialize=False, to='collector.gate')),
                ('body', models.BinaryField()),
            ],
        ),
        migrations.RunSQL(
            "INSERT INTO collector_servedroster (gate_id, body) SELECT id, roster FROM collector_gate WHERE roster_version > 0",
            migrations.RunSQL.noop,
        ),
        migrations.RemoveField(
            model_name='gate',
            name='roster',
        ),
    ]
