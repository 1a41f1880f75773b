"""Admissions of payers whose sessions are in review, and which line of a closed month a line takes back.

Charges of open months that have no price no longer name a rule, as those that are made now. Closed months stay as they
are: their seals cover each column. Lines of before take nothing back.
"""

from typing import Any

from django.db import migrations, models
from django.db.models import Max


def name_no_rule(apps: Any, _editor: Any) -> None:
    """Take the rule from charges without a price that may still change."""
    Charge, ClosedMonth = (apps.get_model("collector", name) for name in ("Charge", "ClosedMonth"))
    rows = Charge.objects.filter(terms=None).exclude(rule=None)
    if (last := ClosedMonth.objects.aggregate(last=Max("month"))["last"]) is not None:
        rows = rows.filter(month__gt=last)
    rows.update(rule=None)


class Migration(migrations.Migration):
    """Adds a table and a column that may be empty, and changes rows of open months; no table is copied."""

    dependencies = [
        ("collector", "0019_energy"),
    ]

    operations = [
        migrations.CreateModel(
            name="Admission",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("payer", models.CharField(db_index=True, max_length=200)),
                ("reason", models.CharField(max_length=200)),
                ("author", models.CharField(max_length=200)),
                ("at", models.DateTimeField()),
            ],
        ),
        migrations.AddField(
            model_name="manualline",
            name="reverses",
            field=models.BigIntegerField(null=True),
        ),
        migrations.RunPython(name_no_rule, migrations.RunPython.noop),
    ]
