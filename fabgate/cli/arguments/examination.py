"""The arguments and the help of ``fabgate doctor``, ``selftest`` and ``calibrate``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from fabgate.cli.arguments.shared import add_verb, seconds, with_config, with_json

_DOCTOR: Final = """\
Examine the gate on this computer: the Pi and its settings, the wiring table, reader, broker, certificates, clock, disk
and roster. Each finding is ok, warn or FAIL with the next step, or says why it was not checked. A gate that runs is not
disturbed; while it is stopped, reader and broker account are tried, too. As root it sees everything. Exit code 1 if a
check failed.
"""
_SELFTEST: Final = """\
Test the running gate with a person at the machine: lights, sounds, display, badge reader, relay with its read-back,
run-sense, energy meter and buttons, step by step. Each step says what to do and what you should see. Power comes only from the tap of
a maintainer's badge, in an ordinary session that is recorded. What this gate.yaml does not have is "not installed".
Exit code 1 if a step failed or was not done.
"""
_CALIBRATE: Final = """\
Find the thresholds of the meter that says whether the machine works. The running gate measures while a person shows it the
machine off, standing still and running, and this prints the lines for gate.yaml. Power comes only from the tap of a
maintainer's badge, in an ordinary session that is recorded; nothing is written. Exit code 1 if the two states cannot be told
apart, or were not shown.
"""


def add_verbs(verbs: Any) -> None:
    """Add the verbs to the subparsers `verbs`."""
    short = "examine this gate, its Pi and its connections, and say what to do"
    examples = (
        "sudo fabgate doctor",
        "fabgate doctor --root /mnt/card --config /mnt/card/etc/fabgate/gate.yaml      a card that is mounted there",
    )
    verb = add_verb(verbs, "doctor", ("examination", "doctor"), short, _DOCTOR, *examples)
    with_config(verb)
    verb.add_argument(
        "--root",
        type=Path,
        default=Path("/"),
        metavar="DIR",
        help="read /boot, /etc, /proc, /sys and /dev below this folder (default: %(default)s)",
    )
    with_json(verb, "print the findings as JSON")

    short = "test lights, sounds, display, reader, relay and buttons with a person"
    examples = (
        "fabgate selftest",
        "fabgate selftest --sheet laser-1.pdf             also write the commissioning sheet",
    )
    verb = add_verb(verbs, "selftest", ("examination", "selftest"), short, _SELFTEST, *examples)
    with_config(verb)
    verb.add_argument("--sheet", type=Path, metavar="FILE", help="write the commissioning sheet to sign, as a PDF")
    verb.add_argument(
        "--wait",
        type=seconds,
        default=60,
        metavar="S",
        help="how long you have for each step, 1 to 3600 seconds (default: %(default)s)",
    )
    with_json(verb, "print the steps as JSON; the questions go to standard error")

    short = "find the thresholds of a meter with a person"
    verb = add_verb(verbs, "calibrate", ("examination", "calibrate"), short, _CALIBRATE, "fabgate calibrate")
    with_config(verb)
    verb.add_argument(
        "--wait",
        type=seconds,
        default=120,
        metavar="S",
        help="how long you have to tap the badge, 1 to 3600 seconds (default: %(default)s)",
    )
    with_json(verb, "print what was measured as JSON; the questions go to standard error")
