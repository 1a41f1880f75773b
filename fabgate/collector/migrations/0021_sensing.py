"""Whether a gate senses that its machine works, and for how long of a session that was not known."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds columns that may be empty; no row changes, and no table is copied."""

    dependencies = [
        ("collector", "0020_charges_and_credit"),
    ]

    operations = [
        migrations.AddField(
            model_name="gate",
            name="senses_work",
            field=models.BooleanField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="usagesession",
            name="running_unknown_ms",
            field=models.BigIntegerField(null=True),
        ),
    ]
