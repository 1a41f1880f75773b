"""Before which moment can no entry of a gate be dated? Of each gate, from its boots as they are stored by now."""

from datetime import UTC, datetime, time, timedelta

from django.db import migrations, models

#: As firsts.py had it when this was written.
_BOOTS, _TOLERANCE = 3, timedelta(days=1)


def fill(apps, _schema):
    dated = apps.get_model("collector", "Boot").objects.filter(first_at__isnull=False)
    of_journal = {}
    columns = ("gate", "journal", "from_ms", "tie_ms", "tie_at", "first_ms", "first_at")
    for gate, journal, from_ms, tie_ms, tie_at, ms, at in dated.order_by("journal", "seq").values_list(*columns).iterator():
        of_journal.setdefault((gate, journal), []).append((from_ms, tie_ms, tie_at) if tie_at else (from_ms, ms, at))
    found = {}
    for (gate, _), boots in of_journal.items():
        dates = [at for boot in boots[:_BOOTS] if (at := _began(*boot))]
        if dates:
            first, rest = dates[0], dates[1:]
            began = first if not rest or first <= max(rest) else min(rest)
            limit = datetime.combine(began.astimezone(UTC).date(), time(), tzinfo=UTC) - _TOLERANCE
            found[gate] = min(limit, found.get(gate, limit))
    for gate, limit in found.items():
        apps.get_model("collector", "Gate").objects.filter(pk=gate).update(earliest_at=limit)


def _began(from_ms, ms, at):
    try:
        began = at + timedelta(milliseconds=from_ms - ms)
    except OverflowError:
        return None
    return began if 2000 <= began.year < 2200 else None


class Migration(migrations.Migration):
    """A column without a default: no row of a session is written."""

    dependencies = [
        ('collector', '0026_broker_until'),
    ]

    operations = [
        migrations.AddField(
            model_name='gate',
            name='earliest_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
