"""``fabgate status``: shows the status of the gate on this computer."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime

from fabgate.cli import state_folder
from fabgate.errors import UsageError
from fabgate.gate.status.status_file import rows, with_age
from fabgate.gate.terminal.running import is_alive


def status(arguments: argparse.Namespace) -> int:
    """Show the gate's status; exit code 1 when it has a problem."""
    path = state_folder.of(arguments) / "status.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        content["alive"] = is_alive(content["pid"], path.with_name("lock"))
        content = with_age(content, path.with_name("roster.json"), datetime.now(UTC))
        lines = rows(content, alive=content["alive"], now=datetime.now(UTC))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"{path}: there is no status ({reason}); is the gate running, and is this its state directory?"
        ) from error
    if arguments.json:
        print(json.dumps(content, indent=2))
    else:
        for name, value in lines:
            print(f"{name:<12}{value}")
    return 0 if content["alive"] and not content["problems"] else 1
