"""Checks before the first change whether the package can take the place of the installation by hand. Nothing is changed here."""

from __future__ import annotations

import fabgate
from fabgate import installed
from fabgate.by_hand import of_collector, of_gate, plug_ins, unit_changes, versions
from fabgate.by_hand.found import Found, words
from fabgate.by_hand.part import ETC_UNITS, GATE, OPT, Part
from fabgate.computer import Computer


def examine(computer: Computer, part: Part, *, ends_session: bool) -> Found:
    """Examine version, settings, plug-ins, units and, at a gate, whether somebody uses the machine."""
    found = Found()
    _version(computer, part, found)
    (of_gate if part is GATE else of_collector).examine(computer, found)
    _plug_ins(computer, part, found)
    _units(computer, part, found)
    if part is GATE and not ends_session:
        found.wrong += of_gate.session(computer)
    return found


def _version(computer: Computer, part: Part, found: Found) -> None:
    answer = computer.run(f"{OPT}/bin/fabgate", "--version")
    old = answer.out.strip().removeprefix("fabgate ")
    if answer.code or not old:
        found.notes.append(
            f"{OPT}/bin/fabgate does not say its version ({answer.said}): the versions were not compared"
        )
        return
    older = versions.is_older(fabgate.__version__, old)
    if older:
        found.wrong.append(
            f"found fabgate {fabgate.__version__} in the package and {old} in {OPT}, wanted a package that is not older:"
            f" apt update, then apt install {part.package}"
        )
    elif older is None:
        found.notes.append(
            f"the versions {old} and {fabgate.__version__} cannot be compared: one of them names no commit"
        )


def _plug_ins(computer: Computer, part: Part, found: Found) -> None:
    named = words(computer.text(of_gate.SETTINGS if part is GATE else of_collector.sinks(computer)))
    for one in plug_ins.only_by_hand(computer, part):
        how = installed.plug_in(part.package, one.source)
        if named & {*one.drivers}:
            found.wrong.append(f"the settings name {', '.join(one.drivers)} of {one.package} {one.version}: {how}")
        else:
            found.notes.append(
                f"{one.package} {one.version} is not in the package, and no setting names it; if you need it: {how}"
            )


def _units(computer: Computer, part: Part, found: Found) -> None:
    found.wrong += unit_changes.with_old_paths(computer, part)
    for unit in part.running:
        state = computer.state(unit)
        # A copy that failed, or that is being made, is no reason: the timer makes the next one.
        if unit != part.copies and state in ("activating", "failed", "reloading"):
            found.wrong.append(
                f"{unit}: found it {state}, wanted active or stopped, because otherwise nobody sees whether the package works;"
                f" journalctl -u {unit} -n 30 says why; put that right, or stop it: systemctl stop {unit}"
            )
    for name in (*part.starters, *part.others):
        drop_in, left = unit_changes.changed(computer, part, name)
        if drop_in:
            found.drop_ins[f"{ETC_UNITS}/{name}.d/{unit_changes.DROP_IN}"] = drop_in
            lines = ", ".join(line for line in drop_in.splitlines() if line[:1] not in "#[")
            found.notes.append(f"{name}: found other lines than those that came with it; a drop-in keeps {lines}")
        if left:
            found.notes.append(
                f"{name}: the package needs these lines as they came with it, so they are not kept: {', '.join(left)}"
            )
