#!/usr/bin/env python3
"""Write docs/states.md from the table that the gate obeys: `python tools/draw_states.py`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/states.md"
sys.path.insert(0, str(ROOT))

from fabgate.rules.machine import STATE_OF, Phase  # noqa: E402 - of this tree, not an installed one
from fabgate.rules.power import TABLE  # noqa: E402

WHAT = {
    Phase.FREE: "not in use; blocked if a cause forbids use",
    Phase.AWAIT_SUPERVISOR: "a supervisor's badge is needed, for 30 s at most",
    Phase.AWAIT_JOURNAL: "the start is being written to disk, for 3 s at most",
    Phase.ACTIVE: "a member uses the machine",
    Phase.HANDING_OVER: "another member takes over once that is on disk, for 3 s at most; the first is in charge until then",
    Phase.FINISHING_JOB: "the session is over, its job is not",
    Phase.RUN_ON: "the job is over, the fan is still running",
}


def page() -> str:
    """Return the whole page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# States"
    yield ""
    yield "Drawn by `python tools/draw_states.py` from `TABLE` and `STATE_OF` of `fabgate/rules`; a test checks that it is current."
    yield "A step that is not in the table stops the daemon, and that means power off."
    yield ""
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield f"    [*] --> {_id(Phase.FREE)}"
    for state in dict.fromkeys(STATE_OF.values()):
        yield f"    state {state.upper()} {{"
        yield from (f"        {_id(phase)} : {phase}" for phase in Phase if STATE_OF[phase] == state)
        yield "    }"
    for (phase, step), after in TABLE.items():
        yield f"    {_id(phase)} --> {_id(after)} : {step}"
    yield "```"
    yield ""
    yield "| state | phase | power | what it is |"
    yield "| --- | --- | --- | --- |"
    for phase, state in STATE_OF.items():
        power = "on (not in audit mode)" if state in ("active", "finishing") else "off"
        yield f"| {state} | {phase} | {power} | {WHAT[phase]} |"
    yield ""
    yield "| from | step | to |"
    yield "| --- | --- | --- |"
    for (phase, step), after in TABLE.items():
        yield f"| {phase} | {step} | {after} |"


def _id(phase: Phase) -> str:
    return phase.replace("-", "_")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
