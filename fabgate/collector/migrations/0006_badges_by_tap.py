"""A badge may be known by its digest only; members are found by their name without accents."""

from django.db import migrations, models

from fabgate.collector.base.search_key import folded


def fold(apps, _editor):
    """Fold the names that are there."""
    members = apps.get_model("collector", "Member").objects
    rows = list(members.only("id", "name"))
    for row in rows:
        row.folded = folded(row.name or row.id)
    members.bulk_update(rows, ["folded"], batch_size=300)


class Migration(migrations.Migration):

    dependencies = [
        ('collector', '0005_heartbeat'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='badge',
            name='badge_carried_once',
        ),
        migrations.AddField(
            model_name='badge',
            name='key_id',
            field=models.CharField(blank=True, max_length=64),
        ),
        migrations.AddField(
            model_name='member',
            name='folded',
            field=models.CharField(default='', editable=False, max_length=300),
        ),
        migrations.AlterField(
            model_name='badge',
            name='spelling',
            field=models.CharField(blank=True, max_length=24),
        ),
        migrations.AddIndex(
            model_name='member',
            index=models.Index(fields=['folded', 'id'], name='member_by_name'),
        ),
        migrations.AddConstraint(
            model_name='badge',
            constraint=models.UniqueConstraint(condition=models.Q(('ended_at', None), models.Q(('spelling', ''), _negated=True)), fields=('spelling',), name='badge_carried_once'),
        ),
        migrations.RunPython(fold, migrations.RunPython.noop),
    ]
