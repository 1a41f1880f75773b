"""``fabgate check``: checks a gate.yaml and its roster file."""

from __future__ import annotations

import argparse
import json
from typing import Final

from fabgate.errors import UsageError
from fabgate.gate.config.gate_yaml import Config, driver_class
from fabgate.gate.terminal.check import check as check_all

#: Said where `finish` has no effect at the time limit.
NO_FINISH: Final = (
    "machine.finish: nothing reports whether a job runs, so limit_s cuts it; set limit_s to your longest job, or sense it:"
    " inputs.running_pin, a meter, or the plug's own watts (docs/sensing.md)"
)


def check(arguments: argparse.Namespace) -> int:
    """Check a configuration and its roster file for mistakes."""
    try:
        checked = check_all(arguments.file)
    except UsageError as error:
        if arguments.json:
            print(json.dumps({"ok": False, "mistakes": str(error).splitlines()}, indent=2))
            return error.exit_code
        raise
    roster = checked.roster
    counts = None if roster is None else {"members": len(roster.members), "refused": len(roster.refusals)}
    gate = checked.config.topics.account
    if arguments.json:
        notes = [NO_FINISH] if checked.is_job_unfelt else []
        found = {"gate": gate, "roster": counts, "warnings": checked.warnings, "notes": notes}
        print(json.dumps({"ok": True, "mistakes": [], **found}))
        return 0
    print(f"ok: {arguments.file} describes the gate {gate}")
    if len(checked.config.reader) > 1:
        print(f"ok: {reader_that_holds(checked.config)}")
    for warning in checked.warnings:
        print(f"warning: {warning}")
    if checked.is_job_unfelt:
        print(f"note: {NO_FINISH}")
    if checked.unreached:
        print(f"not checked: {checked.unreached}")
    if counts is not None:
        members, refused = counts["members"], counts["refused"]
        others = f", and {refused} who {'is' if refused == 1 else 'are'} refused" if refused else ""
        print(f"ok: {checked.config.roster.file} has {members} {'member' if members == 1 else 'members'}{others}")
    return 0


def reader_that_holds(config: Config) -> str:
    """Return in words which of several readers holds cards."""
    drivers = [driver_class("reader", section.driver) for section in config.reader]
    if not any(getattr(driver, "continuous", None) is not False for driver in drivers):
        return "no reader can hold a card; hold mode would end every session after the grace time"
    return f"in hold mode {config.reader_name(config.holder(drivers))} holds the card"
