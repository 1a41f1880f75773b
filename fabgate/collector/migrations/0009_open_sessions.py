"""How are the few open sessions found among a million, and when a month's sessions began? By an index alone."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Indexes."""

    dependencies = [
        ('collector', '0008_ledger'),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='usagesession',
            name='session_ended',
        ),
        migrations.AddIndex(
            model_name='usagesession',
            index=models.Index(condition=models.Q(('ended_at__isnull', False)), fields=['ended_at', 'id', 'started_at'], name='session_ended'),
        ),
        # Made anew behind it: of two that fit alike, SQLite takes the one that was made last.
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
            index=models.Index(condition=models.Q(('has_end', False), ('reason__isnull', True)), fields=['id'], name='session_open'),
        ),
    ]
