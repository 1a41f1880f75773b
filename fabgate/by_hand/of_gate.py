"""Checks of a gate before its move: its settings, its journal, and whether somebody uses the machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from fabgate.by_hand.found import Found, mapping
from fabgate.by_hand.part import GATE
from fabgate.computer import Computer

SETTINGS: Final = "/etc/fabgate/gate.yaml"


def examine(computer: Computer, found: Found) -> None:
    """Let the package read settings and journal."""
    answer = computer.run(GATE.program, "check", SETTINGS, account=GATE.account)
    if answer.code:
        found.wrong += [f"{SETTINGS}: {line.removeprefix('error: ')}" for line in answer.said.splitlines()]
    state_dir = _state_dir(computer)
    if not computer.is_there(f"{state_dir}/journal.db"):
        return
    answer = computer.run(GATE.program, "audit", "verify", "--state-dir", state_dir, account=GATE.account)
    if answer.code == 1:
        found.notes.append(f"the journal: {answer.said}")  # so it was before, and so it stays
    elif answer.code:
        found.wrong.append(f"the package cannot read the journal in {state_dir}: {answer.said}")


def session(computer: Computer) -> Iterator[str]:
    """Yield a sentence if somebody uses the machine."""
    if not any(computer.is_active(unit) for unit in GATE.running):
        return
    try:
        status = json.loads(computer.text(f"{_state_dir(computer)}/status.json") or "{}")
    except ValueError:
        status = {}
    if isinstance(status, dict) and status.get("session"):
        yield (
            f"the machine is in use (by {status.get('member') or 'somebody'}), and its power would go off: wait until the"
            " session has ended, or end it with --end-session"
        )


def _state_dir(computer: Computer) -> str:
    return str(mapping(computer.text(SETTINGS)).get("state_dir") or "/var/lib/fabgate")
