"""Charges of open months that have no price no longer name a rule, as those that are made now.

Closed months stay as they are: their seals cover each column.
"""

from typing import Any

from django.db import migrations
from django.db.models import Max


def name_no_rule(apps: Any, _editor: Any) -> None:
    """Take the rule from charges without a price that may still change."""
    Charge, ClosedMonth = (apps.get_model("collector", name) for name in ("Charge", "ClosedMonth"))
    rows = Charge.objects.filter(terms=None).exclude(rule=None)
    if (last := ClosedMonth.objects.aggregate(last=Max("month"))["last"]) is not None:
        rows = rows.filter(month__gt=last)
    rows.update(rule=None)


class Migration(migrations.Migration):
    """Changes rows of open months."""

    dependencies = [
        ("collector", "0019_energy"),
    ]

    operations = [migrations.RunPython(name_no_rule, migrations.RunPython.noop)]
