"""How is the program of this collector called? Messages and pages name its commands so that they can be typed.

After an installation by docs/install-by-hand.md it is ``fabgate-collector``, which runs the verb with the right account and
settings, and says so in the environment; from an environment of Python's it is ``fabgate collector``.
"""

from __future__ import annotations

import os
from typing import Final

#: The name without FABGATE_PROGRAM, which systemd/collector-verb and the units set.
DEFAULT: Final = "fabgate collector"


def program() -> str:
    """Return the name of the program."""
    return os.environ.get("FABGATE_PROGRAM") or DEFAULT


def command(verb: str) -> str:
    """Return the command that runs a verb, which may have arguments: ``fabgate collector gates --json``."""
    return f"{program()} {verb}"
