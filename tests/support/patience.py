"""How long does a test wait for something that comes by itself, before it says that it hangs?"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import pytest

#: Far longer than anything takes, also on a computer with much else to do: what has not come by then never will. No test
#: holds a speed to it. In seconds; shorter than faulthandler_timeout in pyproject.toml, which cannot say what was missing.
HANGS_S: Final = 120.0
#: How soon to look again, in seconds.
LOOK_S: Final = 0.002


def wait(condition: Callable[[], Any], what: str = "what the test waits for") -> Any:
    """Return what `condition` gives once it is true; fail where it hangs."""
    until = time.monotonic() + HANGS_S
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > until:
            pytest.fail(f"{what} did not happen within {HANGS_S:.0f} s")
        time.sleep(LOOK_S)
