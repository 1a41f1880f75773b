"""Indexes for two filters at once: what is rare of somebody lies far apart among all that is theirs."""

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
        migrations.AddIndex(
            model_name='usagesession',
            index=models.Index(condition=models.Q(('ended_at__isnull', False)), fields=['used_by', 'ended_at', 'id', 'machine'], name='session_of_member'),
        ),
        migrations.AddIndex(
            model_name='usagesession',
            index=models.Index(condition=models.Q(('ended_at__isnull', False)), fields=['used_by', 'reason', 'ended_at', 'id'], name='session_of_member_reason'),
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
