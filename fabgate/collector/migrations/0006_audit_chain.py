"""Numbers and seals the rows of the audit log. Rows from before are sealed once, as they are now."""

from typing import Any

from django.db import migrations, models


def seal_all(_apps: Any, _editor: Any) -> None:
    """Seal the rows that are there. The columns of the log are those of this migration."""
    from fabgate.collector.db import chains  # noqa: PLC0415 (models are not loaded when migrations are imported)

    chains.CHANGES.seal_all()


class Migration(migrations.Migration):
    """Adds two columns without copying the table."""

    dependencies = [
        ('collector', '0004_plan_changes'),
    ]

    operations = [
        migrations.AddField(
            model_name='change',
            name='number',
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name='change',
            name='seal',
            field=models.BinaryField(null=True),
        ),
        migrations.RunPython(seal_all, migrations.RunPython.noop),
    ]
