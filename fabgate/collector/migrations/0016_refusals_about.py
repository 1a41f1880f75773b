"""When was a refusal, as far as anybody can tell, and at which machine? Lists go by the one and name the other."""

from django.db import migrations, models
from django.db.models import Case, F, When


class Migration(migrations.Migration):
    """The database works the column out of two others; on SQLite the table is written anew once."""

    dependencies = [
        ('collector', '0015_refusals_of_wrong_clocks'),
    ]

    operations = [
        migrations.AddField(
            model_name='refusal',
            name='machine',
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=models.deletion.PROTECT,
                related_name='+',
                to='collector.machine',
            ),
        ),
        # Where the gate was moved since, nobody knows any more beside what it stood.
        migrations.RunSQL(
            'UPDATE collector_refusal SET machine_id ='
            ' (SELECT machine_id FROM collector_gate WHERE collector_gate.id = collector_refusal.gate_id)',
            migrations.RunSQL.noop,
        ),
        migrations.RemoveIndex(model_name='refusal', name='refusal_at'),
        migrations.RemoveIndex(model_name='refusal', name='refusal_clock_off'),
        migrations.RemoveIndex(model_name='refusal', name='refusal_member'),
        migrations.RemoveIndex(model_name='refusal', name='refusal_stranger'),
        migrations.AddField(
            model_name='refusal',
            name='about',
            field=models.GeneratedField(
                db_persist=True,
                expression=Case(When(clock_off_ms=None, then=F('at')), default=F('seen_at')),
                output_field=models.DateTimeField(),
            ),
        ),
        migrations.AddIndex(
            model_name='refusal',
            index=models.Index(fields=['about', 'id'], name='refusal_about'),
        ),
        migrations.AddIndex(
            model_name='refusal',
            index=models.Index(condition=models.Q(('member', ''), _negated=True), fields=['member', 'about'], name='refusal_member'),
        ),
        migrations.AddIndex(
            model_name='refusal',
            index=models.Index(condition=models.Q(('member', '')), fields=['badge', 'about'], name='refusal_stranger'),
        ),
    ]
