"""docs/states.md shows the table that the gate obeys."""

from __future__ import annotations

import ast
import runpy
from pathlib import Path

from fabgate.rules.machine import STATE_OF, Phase
from fabgate.rules.power import TABLE

ROOT = Path(__file__).resolve().parent.parent.parent


def test_the_page_of_states_is_current():
    page = runpy.run_path(str(ROOT / "tools/draw_states.py"))["page"]()
    assert (ROOT / "docs/states.md").read_text(encoding="utf-8") == page, "run: python tools/draw_states.py"


def test_every_phase_has_a_state_and_every_step_leads_somewhere_and_back():
    assert set(STATE_OF) == set(Phase)
    assert {phase for phase, _ in TABLE} == set(TABLE.values()) == set(Phase)


def test_power_is_switched_on_in_exactly_one_place():
    places = [
        f"{path.name}:{call.lineno}"
        for path in sorted((ROOT / "fabgate/rules").rglob("*.py"))
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        and ast.unparse(call.func).endswith("SetPower")
        and "on=False" not in ast.unparse(call)
    ]
    assert len(places) == 1, places
    assert places[0].startswith("power.py:")
