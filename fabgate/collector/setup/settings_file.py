"""Reads and changes the lines of collector.env, which systemd reads (EnvironmentFile) and a shell too."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_LINE: Final = re.compile(r"\s*(?P<name>[A-Z][A-Z0-9_]*)=(?P<value>.*)")


def read(text: str) -> dict[str, str]:
    """Return the settings by their names; of two lines the last one counts, as for systemd and a shell."""
    found = (_LINE.match(line) for line in text.splitlines())
    return {one["name"]: one["value"].strip().strip("\"'") for one in found if one}


def changed(text: str, values: Mapping[str, str]) -> str:
    """Return the text with these settings in place of earlier ones.

    A new one comes after the comment that shows its default; every other line stays as it is.
    """
    lines = text.splitlines()
    for name, value in values.items():
        if read("\n".join(lines)).get(name) == value:
            continue
        ours = [at for at, line in enumerate(lines) if (one := _LINE.match(line)) and one["name"] == name]
        defaults = [at for at, line in enumerate(lines) if line.startswith(f"#{name}=")]
        if ours:
            lines[ours[-1]] = f"{name}={value}"
        elif defaults:
            lines.insert(defaults[-1] + 1, f"{name}={value}")
        else:
            lines.append(f"{name}={value}")
    return "\n".join(lines) + "\n"
