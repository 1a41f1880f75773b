"""Logs the people, rights, machines and accounts that the audit log does not have, so that they are compared with it.

Existing rows stay. What the log does not have is logged as it is stored now.
"""

from typing import Any

from django.db import migrations

#: Each table, with the fields that are logged if these are not all.
_TABLES: dict[str, tuple[str, ...] | None] = {
    "Account": None,
    "OneTimeLink": None,
    "ApiKey": None,
    "Machine": None,
    "Gate": ("id", "name", "machine", "token_hash"),
    "Opening": None,
    "SpecialDay": None,
    "Member": None,
    "Group": None,
    "Block": None,
    "Training": None,
    "Grant": None,
    "Badge": None,
    "Workshop": None,
    "Sink": ("id", "name", "reconciled"),
}


def log_the_rest(apps: Any, _editor: Any) -> None:
    """Log what the log lacks of each table."""
    from fabgate.collector.db import baseline  # noqa: PLC0415 (models are not loaded when migrations are imported)

    for name, fields in _TABLES.items():
        baseline.log(apps.get_model("collector", name), fields=fields)


class Migration(migrations.Migration):
    """Adds rows to the log, and changes no table."""

    dependencies = [("collector", "0024_how_to_pay")]
    operations = [migrations.RunPython(log_the_rest, migrations.RunPython.noop)]
