"""An index for a rare reason at a busy machine."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Taken back with the index."""

    dependencies = [("collector", "0009_open_sessions")]
    operations = [
        migrations.AddIndex(
            model_name="usagesession",
            index=models.Index(
                fields=["machine", "reason", "ended_at", "id"],
                condition=models.Q(ended_at__isnull=False),
                name="session_of_machine_reason",
            ),
        ),
    ]
