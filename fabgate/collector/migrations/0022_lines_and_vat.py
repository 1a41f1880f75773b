"""The day of each line, which decides its month, and sites that VAT does not apply to.

Lines of before keep no day: seals of closed months cover each column.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds a column that may be empty. The table of one row is copied; none that grows is."""

    dependencies = [
        ("collector", "0021_sensing"),
    ]

    operations = [
        migrations.AddField(
            model_name="manualline",
            name="day",
            field=models.DateField(null=True),
        ),
        migrations.AlterField(
            model_name="billingterms",
            name="includes_vat",
            field=models.BooleanField(null=True),
        ),
    ]
