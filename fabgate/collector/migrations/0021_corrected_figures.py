"""A corrected time carries the other figures: no job runs longer than the machine was on, and nothing is uncertain.

Of the sessions whose time was corrected before, whoever bills is told what they count now; sums are made again.
"""

from django.db import migrations

_CORRECTED = "corrected LIKE '%time%'"
_DIFFER = f"{_CORRECTED} AND (running_ms > counted_ms OR uncertainty_ms > 0)"
_TELL = f"""
INSERT INTO collector_ledgerline (session_id, kind, at, author, why, used_by, payer, purpose, category, started_at,
    ended_at, not_before, counted_ms, running_ms, uncertainty_ms, reason, review)
SELECT id, 'changed', CURRENT_TIMESTAMP, '', '', used_by, payer, purpose, category, started_at, ended_at, not_before,
    counted_ms, CASE WHEN running_ms < counted_ms THEN running_ms ELSE counted_ms END, 0, reason, COALESCE(review, '')
FROM collector_usagesession WHERE reason IS NOT NULL AND {_DIFFER} ORDER BY ended_at, id"""  # noqa: S608
#: The sums are made again at the next start, in the zone of before (Collector.ANEW).
_SUM_AGAIN = f"""
UPDATE collector_collector SET rolled_tz = '-' || rolled_tz
WHERE rolled_tz <> '' AND rolled_tz NOT LIKE '-%'
    AND EXISTS (SELECT 1 FROM collector_usagesession WHERE {_DIFFER})"""  # noqa: S608
_UNCERTAIN = f"UPDATE collector_usagesession SET uncertain = (review IS NOT NULL) WHERE {_CORRECTED}"  # noqa: S608
_BACK = f"UPDATE collector_usagesession SET uncertain = (uncertainty_ms > 0 OR review IS NOT NULL) WHERE {_CORRECTED}"  # noqa: S608


class Migration(migrations.Migration):
    """No column changes."""

    dependencies = [
        ('collector', '0020_flags'),
    ]

    operations = [
        migrations.RunSQL([_TELL, _SUM_AGAIN, _UNCERTAIN], _BACK),
    ]
