"""The arguments and the help of ``fabgate join``."""

from __future__ import annotations

from typing import Any, Final

from fabgate.cli.arguments.shared import add_verb, with_config

_ABOUT: Final = """\
Make this computer a gate. The collector's page "Add a gate" shows a code, which the command asks for. It gets the gate's
keys and its gate.yaml, writes them beside --config, and starts the gate; run it with sudo. If it is interrupted, run it
again.
"""


def add_verbs(verbs: Any) -> None:
    """Add the verb to the subparsers `verbs`."""
    short = "make this computer a gate, with a code from the collector's page"
    verb = add_verb(verbs, "join", ("identity", "join"), short, _ABOUT, "fabgate join collector.local")
    verb.add_argument("host", metavar="HOST", help="the collector's name or address, as its page shows it")
    verb.add_argument("--replace", action="store_true", help="also if there is a gate.yaml of another gate")
    with_config(verb)
