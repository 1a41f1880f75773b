"""Waits for events that the demo expects; an error names the missing one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from fabgate.errors import FabgateError

#: The longest wait for anything, in seconds; even a slow and busy computer needs only a fraction of it.
WAIT_S: Final = 120.0
LOOK_S: Final = 0.02


class DemoError(FabgateError, RuntimeError):
    """The demo did not do what was expected."""


def wait_for(what: str, found: Callable[[], bool], *, timeout_s: float = WAIT_S) -> None:
    """Wait until `found` returns true. Raises DemoError, which says that `what` did not happen."""
    until = time.monotonic() + timeout_s
    while not found():
        if time.monotonic() > until:
            raise DemoError(f"waited {timeout_s:.0f} s for {what}, which did not happen")
        time.sleep(LOOK_S)
