"""What would the ledger hold, had it been kept from the beginning? A line for each session that has ended."""

import django.db.models.deletion
from django.db import migrations, models

_FILL = """
INSERT INTO collector_ledgerline (session_id, kind, at, author, why, used_by, payer, purpose, category, started_at,
    ended_at, not_before, counted_ms, running_ms, uncertainty_ms, reason, review)
SELECT id, 'ended', COALESCE(ended_at, last_arrived_at, CURRENT_TIMESTAMP), '', '', used_by, payer, purpose, category,
    started_at, ended_at, not_before, counted_ms, running_ms, uncertainty_ms, reason, COALESCE(review, '')
FROM collector_usagesession WHERE reason IS NOT NULL ORDER BY ended_at, id"""


class Migration(migrations.Migration):
    """Taken back with its table."""

    dependencies = [
        ('collector', '0007_calendar'),
    ]

    operations = [
        migrations.CreateModel(
            name='LedgerLine',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('ended', 'ended'), ('changed', 'changed'), ('corrected', 'corrected'), ('withdrawn', 'withdrawn')], max_length=10)),
                ('at', models.DateTimeField()),
                ('author', models.CharField(blank=True, max_length=200)),
                ('why', models.CharField(blank=True, max_length=200)),
                ('used_by', models.CharField(max_length=200)),
                ('payer', models.CharField(max_length=200)),
                ('purpose', models.CharField(max_length=16)),
                ('category', models.CharField(blank=True, max_length=60)),
                ('started_at', models.DateTimeField(null=True)),
                ('ended_at', models.DateTimeField(null=True)),
                ('not_before', models.DateTimeField(null=True)),
                ('counted_ms', models.BigIntegerField()),
                ('running_ms', models.BigIntegerField()),
                ('uncertainty_ms', models.BigIntegerField()),
                ('reason', models.CharField(blank=True, max_length=200)),
                ('review', models.CharField(blank=True, max_length=40)),
                ('session', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='collector.usagesession')),
            ],
        ),
        migrations.RunSQL(_FILL, migrations.RunSQL.noop),
    ]
