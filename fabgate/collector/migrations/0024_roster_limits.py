"""For how long may a session last by the roster that it names? Known from the rosters on that are served now."""

import django.db.models.deletion
from django.db import migrations, models

#: What rules say where they say nothing, as they were when this was written.
_MAX_S, _FINISH_MAX_S = 86_400, 14_400


def _fill(apps, _schema):
    limit = apps.get_model("collector", "RosterLimit")
    gates = apps.get_model("collector", "Gate").objects.filter(machine__isnull=False, roster_version__gt=0)
    limit.objects.bulk_create(
        limit(gate=gate, version=gate.roster_version, longest_s=_longest_s(gate.machine.rules))
        for gate in gates.select_related("machine")
    )


def _longest_s(rules):
    finish_s = rules.get("finish_max_s", _FINISH_MAX_S) if rules.get("finish", "wait") == "wait" else 0
    return rules.get("max_s", _MAX_S) + rules.get("run_on_s", 0) + finish_s


class Migration(migrations.Migration):
    """A table of few rows, and a column without a default: no row of a session is written."""

    dependencies = [
        ('collector', '0023_power_before_the_start'),
    ]

    operations = [
        migrations.CreateModel(
            name='RosterLimit',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('version', models.BigIntegerField()),
                ('longest_s', models.BigIntegerField()),
                ('gate', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='collector.gate')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('version', 'gate'), name='roster_limit_once')],
            },
        ),
        migrations.AddField(
            model_name='usagesession',
            name='allowed_ms',
            field=models.BigIntegerField(null=True),
        ),
        migrations.RunPython(_fill, migrations.RunPython.noop),
    ]
