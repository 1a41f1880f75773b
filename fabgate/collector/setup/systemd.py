"""What systemd says of a unit."""

from __future__ import annotations

from datetime import UTC, datetime

from fabgate.computer import Computer
from fabgate.errors import FabgateError


def is_enabled(computer: Computer, unit: str) -> bool:
    """Say whether a unit starts with the computer."""
    return computer.run("systemctl", "is-enabled", unit).out.strip() == "enabled"


def is_active(computer: Computer, unit: str) -> bool:
    """Say whether a unit runs, or waits."""
    return computer.state(unit) == "active"


def is_older(computer: Computer, unit: str, name: str) -> bool:
    """Say whether a unit that runs began before a file was written, and so does not know it. Raises OSError."""
    started = _started(computer, unit)
    path = computer.path(name)
    return bool(started and path.exists() and datetime.fromtimestamp(path.stat().st_mtime, UTC) > started)


def change(computer: Computer, verb: str, *units: str) -> None:
    """Let systemd do `verb` with units: "enable", "enable --now", "start", "restart". Raises FabgateError with their log."""
    answer = computer.run("systemctl", *verb.split(), *units)
    if answer.code == 0:
        return
    said = "\n".join(computer.run("journalctl", "-u", unit, "-n", "8", "-o", "cat", "--no-pager").out for unit in units)
    raise FabgateError(
        f"systemctl {verb} {' '.join(units)}: exit code {answer.code}; mend the reason, and run this command again. The log"
        f" says:\n{said.strip() or answer.said}"
    )


def _started(computer: Computer, unit: str) -> datetime | None:
    """Return when a unit became active; None if it is not."""
    shown = computer.run(
        "systemctl", "show", unit, "--property=ActiveState,ActiveEnterTimestamp", "--timestamp=us+utc"
    ).out
    values = dict(line.partition("=")[::2] for line in shown.splitlines())
    if values.get("ActiveState") != "active":
        return None
    try:
        # Such as "Thu 2026-12-03 06:40:00.123456 UTC"
        return datetime.strptime(values["ActiveEnterTimestamp"][4:-4], "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC)
    except (KeyError, ValueError):
        return None
