"""How much work does something take? Counted, not timed: the same on each computer and at any load."""

from __future__ import annotations

import gc
import sqlite3
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def instructions(do: Callable[[], Any]) -> int:
    """Return how many of Python's instructions `do` executes in this thread.

    A function that is written in C counts as one, however much it does.
    """
    count = 0

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal count
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        count += event == "opcode"
        return trace

    # The work of the garbage collector depends on what else the process holds.
    was_enabled = gc.isenabled()
    gc.disable()
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        do()
    finally:
        sys.settrace(before)
        if was_enabled:
            gc.enable()
    return count


def steps(db: sqlite3.Connection, do: Callable[[], Any]) -> int:
    """Return how many instructions SQLite's virtual machine executes on a connection while `do` runs."""
    count = 0

    def count_one() -> int:
        nonlocal count
        count += 1
        return 0  # go on

    db.set_progress_handler(count_one, 1)
    try:
        do()
    finally:
        db.set_progress_handler(None, 1)
    return count
