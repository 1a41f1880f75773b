"""What does a session wait for? Until now its `review` was what the entries leave in doubt, settled or not.

That is its `doubt` now, and `review` is what is open, as the queue has it; whoever bills is told of each that differs.
"""

from django.db import migrations, models

_COPY = "UPDATE collector_usagesession SET doubt = review WHERE review IS NOT NULL"
_WAITS = """
UPDATE collector_usagesession SET review = (
    SELECT r.why FROM collector_review r WHERE r.session_id = collector_usagesession.id AND r.settled_at IS NULL)
WHERE id IN (SELECT session_id FROM collector_review) OR doubt IS NOT NULL"""
_DIFFER = "COALESCE(s.review, '') <> COALESCE(s.doubt, '')"
_UNCERTAIN = f"""
UPDATE collector_usagesession SET uncertain = (uncertainty_ms > 0 OR review IS NOT NULL)
WHERE id IN (SELECT s.id FROM collector_usagesession s WHERE {_DIFFER})"""  # noqa: S608
_TELL = f"""
INSERT INTO collector_ledgerline (session_id, kind, at, author, why, used_by, payer, purpose, category, started_at,
    ended_at, not_before, counted_ms, running_ms, uncertainty_ms, reason, review)
SELECT s.id, 'reviewed', CURRENT_TIMESTAMP, r.settled_by, r.note, s.used_by, s.payer, s.purpose, s.category,
    s.started_at, s.ended_at, s.not_before, s.counted_ms, s.running_ms, s.uncertainty_ms, s.reason,
    COALESCE(s.review, '')
FROM collector_usagesession s JOIN collector_review r ON r.session_id = s.id
WHERE s.reason IS NOT NULL AND {_DIFFER} ORDER BY s.ended_at, s.id"""  # noqa: S608
#: The sums of days say how many are uncertain: they are made anew at the start, where that is other than it was. In the
#: zone of before (Collector.ANEW): whoever starts first may not know which one the collector lives in.
_SUM_ANEW = f"""
UPDATE collector_collector SET rolled_tz = '-' || rolled_tz
WHERE rolled_tz <> '' AND EXISTS (SELECT 1 FROM collector_usagesession s WHERE {_DIFFER})"""  # noqa: S608
_BACK = "UPDATE collector_usagesession SET review = doubt"


class Migration(migrations.Migration):
    """A column without a default: of the rows only those in doubt are written anew."""

    dependencies = [
        ('collector', '0016_refusals_about'),
    ]

    operations = [
        migrations.AddField(
            model_name='usagesession',
            name='doubt',
            field=models.CharField(max_length=40, null=True),
        ),
        migrations.AlterField(
            model_name='ledgerline',
            name='kind',
            field=models.CharField(choices=[('ended', 'ended'), ('changed', 'changed'), ('corrected', 'corrected'), ('reviewed', 'reviewed'), ('withdrawn', 'withdrawn')], max_length=10),
        ),
        migrations.RunSQL([_COPY, _WAITS, _UNCERTAIN, _TELL, _SUM_ANEW], _BACK),
    ]
