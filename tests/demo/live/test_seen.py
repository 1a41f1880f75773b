"""What the wall shows of a machine."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from fabgate.demo.live.seen import _state


@pytest.mark.parametrize(
    ("causes", "state"),
    [([], "free"), (["lock-idle"], "locked"), (["lock-now", "estop"], "blocked"), (["flag"], "blocked")],
)
def test_a_machine_that_is_only_locked_is_not_shown_as_out_of_service(causes: list[str], state: str) -> None:
    gate = SimpleNamespace(is_powered=True, process=SimpleNamespace(running=True))
    assert _state(gate, {"state": "blocked", "causes": causes}) == state  # type: ignore[arg-type]
