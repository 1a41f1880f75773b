"""A few wide indexes instead of several narrow ones: what is rare is found in them, and each one slows the ingest."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Taken back with the indexes."""

    dependencies = [
        ('collector', '0010_session_of_machine_reason'),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='usagesession',
            name='session_of_member',
        ),
        migrations.RemoveIndex(
            model_name='usagesession',
            name='session_of_machine',
        ),
        migrations.RemoveIndex(
            model_name='usagesession',
            name='session_of_reason',
        ),
        migrations.RemoveIndex(
            model_name='usagesession',
            name='session_ended',
        ),
        migrations.RemoveIndex(
            model_name='usagesession',
            name='session_of_machine_reason',
        ),
        migrations.AddIndex(
            model_name='usagesession',
            index=models.Index(condition=models.Q(('ended_at__isnull', False)), fields=['ended_at', 'id', 'started_at', 'reason'], name='session_ended'),
        ),
        migrations.AddIndex(
            model_name='usagesession',
            index=models.Index(condition=models.Q(('ended_at__isnull', False)), fields=['used_by', 'ended_at', 'id', 'machine', 'reason'], name='session_of_member'),
        ),
        migrations.AddIndex(
            model_name='usagesession',
            index=models.Index(condition=models.Q(('ended_at__isnull', False)), fields=['machine', 'ended_at', 'id', 'reason'], name='session_of_machine'),
        ),
        # Made anew behind them: of two that fit alike, SQLite takes the one that was made last.
        migrations.RemoveIndex(
            model_name='usagesession',
            name='session_uncertain',
        ),
        migrations.AddIndex(
            model_name='usagesession',
            index=models.Index(condition=models.Q(('ended_at__isnull', False), ('uncertain', True)), fields=['ended_at', 'id'], name='session_uncertain'),
        ),
        migrations.AddIndex(
            model_name='usagesession',
            index=models.Index(condition=models.Q(('ended_at__isnull', False), ('uncertain', True)), fields=['used_by', 'ended_at', 'id'], name='session_member_uncertain'),
        ),
        migrations.AddIndex(
            model_name='usagesession',
            index=models.Index(condition=models.Q(('ended_at__isnull', False), ('uncertain', True)), fields=['machine', 'ended_at', 'id'], name='session_machine_uncertain'),
        ),
    ]
