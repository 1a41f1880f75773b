"""Months get sums of their own: nearly each session is alone with its day, machine and member, but not with its month."""

import django.db.models.deletion
from django.db import migrations, models

_MONTH = {"sqlite": "date(day, 'start of month')", "postgresql": "CAST(date_trunc('month', day) AS date)"}
_SUMS = ("sessions", "counted_ms", "running_ms", "uncertainty_ms", "uncertain", "about")


def _fill(apps, schema):
    """Add up the days that there are; those that are to be made anew take their months along (rollup.ensure)."""
    month = _MONTH[schema.connection.vendor]
    schema.execute(
        f"INSERT INTO collector_usagemonth (day, machine_key, gate_id, used_by, category, {', '.join(_SUMS)})"  # noqa: S608
        f" SELECT {month}, machine_key, gate_id, used_by, category, {', '.join(f'SUM({name})' for name in _SUMS)}"
        f" FROM collector_usageday WHERE sessions > 0 GROUP BY {month}, machine_key, gate_id, used_by, category"
    )


class Migration(migrations.Migration):
    """Days stay as they are."""

    dependencies = [
        ('collector', '0018_place_of_database'),
    ]

    operations = [
        migrations.CreateModel(
            name='UsageMonth',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField()),
                ('machine_key', models.BigIntegerField()),
                ('used_by', models.CharField(max_length=200)),
                ('category', models.CharField(blank=True, max_length=60)),
                ('sessions', models.BigIntegerField()),
                ('counted_ms', models.BigIntegerField()),
                ('running_ms', models.BigIntegerField()),
                ('uncertainty_ms', models.BigIntegerField()),
                ('uncertain', models.BigIntegerField()),
                ('about', models.BigIntegerField()),
                ('gate', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='collector.gate')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('day', 'machine_key', 'gate', 'used_by', 'category'), name='usage_month_once')],
            },
        ),
        migrations.RunPython(_fill, migrations.RunPython.noop),
    ]
