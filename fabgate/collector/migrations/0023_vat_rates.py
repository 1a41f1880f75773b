"""The VAT rate of each code. The table is new and empty: without a rate, no total with VAT is shown."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds a table; no other is touched."""

    dependencies = [
        ("collector", "0022_lines_and_vat"),
    ]

    operations = [
        migrations.CreateModel(
            name="VatRate",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("code", models.CharField(blank=True, max_length=20, unique=True)),
                ("percent", models.DecimalField(decimal_places=4, max_digits=6)),
            ],
        ),
    ]
