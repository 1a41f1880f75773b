"""The arguments and the help of ``fabgate roster``."""

from __future__ import annotations

from typing import Any, Final

from fabgate.cli.arguments.shared import add_group, add_verb, with_config, with_json, with_state_folder

_ROSTER_SHOW: Final = """\
Show the gate's roster: its version and age, who may use the machine and when, and the machine's rules. People who are
known but refused are not listed.
"""
_ROSTER_FETCH: Final = """\
Fetch the roster from the collector once and store it. A running gate does this automatically.
"""
_ROSTER_ADOPT: Final = """\
Allow the gate to accept a roster that it would refuse: the first one of a collector after a members file, that of
another collector, a members file after a collector, or one from which too many members are missing. Prints what will
change. The adoption is valid once, for the roster that is offered now.
"""


def add_verbs(verbs: Any) -> None:
    """Add the verbs to the subparsers `verbs`."""
    rosters = add_group(verbs, "roster", "show, fetch or adopt the gate's roster")
    short = "show its version, members and machine rules"
    show = add_verb(
        rosters, "show", ("roster", "roster_show"), short, _ROSTER_SHOW, "fabgate roster show --config gate.yaml"
    )
    with_state_folder(show)
    with_json(show, "print the same as JSON")

    short = "fetch it from the collector now (the gate must be stopped)"
    fetch = add_verb(
        rosters, "fetch", ("roster", "roster_fetch"), short, _ROSTER_FETCH, "fabgate roster fetch --config gate.yaml"
    )
    with_config(fetch)
    with_json(fetch, "print what was stored and what was refused as JSON")

    short = "accept a roster of another source, or one without many members"
    adopt = add_verb(
        rosters, "adopt", ("roster", "roster_adopt"), short, _ROSTER_ADOPT, "fabgate roster adopt --config gate.yaml"
    )
    with_config(adopt)
