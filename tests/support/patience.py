"""How long does a test wait for something to happen before it fails?"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import pytest

#: Far longer than anything takes, even on a busy computer: what has not happened by then never will. It is no limit of
#: speed. In seconds; shorter than faulthandler_timeout in pyproject.toml, which cannot name what was missing.
HANGS_S: Final = 120.0
#: Seconds between two checks.
LOOK_S: Final = 0.002


def wait(condition: Callable[[], Any], what: str = "what the test waits for") -> Any:
    """Return what `condition` returns once it is true; fail if that takes too long."""
    until = time.monotonic() + HANGS_S
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > until:
            pytest.fail(f"{what} did not happen within {HANGS_S:.0f} s")
        time.sleep(LOOK_S)
