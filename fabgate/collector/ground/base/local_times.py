"""Converts local times, including those that occur twice when clocks go back, or never when they go forward.

PEP 495: `fold` distinguishes the two; a time that never occurs is recognised because it does not convert back from UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

#: The zone that is used if none is found, and its other names.
_UTC: Final = "UTC"
_NAMES_OF_UTC: Final = frozenset({"Etc/UTC", "Etc/UCT", "Etc/Zulu", "Etc/Universal", "UCT", "Zulu", "Universal"})


def moments(local: datetime, zone: tzinfo) -> list[datetime]:
    """Return the moments, in UTC, at which clocks in `zone` show `local`: one, two in order, or none."""
    both = {local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
    return [moment for moment in sorted(both) if moment.astimezone(zone).replace(tzinfo=None) == local]


def beside(local: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    """Return the times before and after the gap that contains `local`, each shifted by the length of the gap."""
    early, late = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC).astimezone(zone) for fold in (1, 0))
    return early, late


def came_twice(moment: datetime) -> bool:
    """Return whether clocks in the zone of `moment` show its time twice."""
    return moment.replace(fold=0).utcoffset() != moment.replace(fold=1).utcoffset()


def offset(moment: datetime) -> str:
    """Return the offset from UTC at a moment, such as UTC+02:00, without seconds."""
    hours_minutes = f"{moment:%z}"
    return f"UTC{hours_minutes[:3]}:{hours_minutes[3:5]}"


def which(moment: datetime) -> str:
    """Return the offset of a time that occurs twice, for display after it; empty for any other time."""
    return f" ({offset(moment)})" if came_twice(moment) else ""


def zone_of_computer(environ: Mapping[str, str], etc: Path = Path("/etc")) -> str:
    """Return the name of the computer's time zone: that of TZ, else of /etc/localtime, else of /etc/timezone, else UTC."""
    for name in (environ.get("TZ", "").removeprefix(":"), _linked(etc / "localtime"), _written(etc / "timezone")):
        if name and _is_zone(name):
            return _UTC if name in _NAMES_OF_UTC else name
    return _UTC


def _linked(localtime: Path) -> str:
    """Return the zone to which systemd and Debian link /etc/localtime, such as Europe/Paris; empty for a plain file."""
    try:
        target = str(localtime.readlink())
    except OSError:
        return ""
    return target.rpartition("zoneinfo/")[2]


def _written(timezone: Path) -> str:
    try:
        return timezone.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        return False
    return True
