"""Waiting for what the demo expects."""

from __future__ import annotations

import pytest

from fabgate.demo.waiting import DemoError, wait_for


def test_waiting_for_what_does_not_come_names_it() -> None:
    with pytest.raises(DemoError, match="waited 0 s for Godot"):
        wait_for("Godot", lambda: False, timeout_s=0)
