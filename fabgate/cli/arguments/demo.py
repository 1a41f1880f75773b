"""The arguments and the help of ``fabgate demo`` and ``fabgate tap``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from fabgate.cli.arguments.shared import add_verb

_DEMO: Final = """\
Start a workshop on this computer: three gates with emulated chips, a broker and a collector. Tap cards and break things
with keys, or on the wall of badges, a page that opens in the browser.
"""
_TAP: Final = """\
Tap a card on an emulated reader. The gate has `demo: true` in its gate.yaml. A name is that of a gate in FABGATE_DATA,
or with --data that of a gate in a running demo.
"""


def add_verbs(verbs: Any) -> None:
    """Add the verbs to the subparsers `verbs`."""
    examples = (
        "fabgate demo",
        "fabgate demo --script                            play a day without a terminal and check the records",
        "fabgate demo --data workshop                     keep the data; `fabgate tap` finds the gates there",
    )
    verb = add_verb(
        verbs, "demo", ("demo", "demo"), "start a workshop on this computer, without hardware", _DEMO, *examples
    )
    verb.add_argument("--script", action="store_true", help="play a day without a terminal and check the records")
    verb.add_argument(
        "--data", type=Path, metavar="DIR", help="keep the data in this folder (default: a temporary one)"
    )
    verb.add_argument(
        "--lang",
        choices=("en", "fr"),
        help="language of pages, displays and machines (default: that of the browser; English)",
    )
    verb.add_argument("--no-browser", action="store_true", help="print the link to the page, but do not open it")

    examples = (
        "fabgate tap gate.yaml 04:A1:B2:C3 --for 500      the gate of this gate.yaml",
        "fabgate tap laser-1 04:A1:B2:C3                  a gate of: fabgate collector gate-add --emulated",
        "fabgate tap laser-1 ada --data workshop          while this runs: fabgate demo --data workshop",
    )
    verb = add_verb(verbs, "tap", ("demo", "tap"), "tap a card on an emulated reader", _TAP, *examples)
    verb.add_argument(
        "socket",
        metavar="GATE",
        help="its gate.yaml, its reader's control socket, or its name (with --data, in a demo)",
    )
    verb.add_argument("uid", metavar="UID_OR_NAME", help="a badge in any spelling; with --data, also a person's name")
    verb.add_argument(
        "--for",
        dest="for_ms",
        default="300",
        metavar="MS",
        help="how long the card stays, in ms (default: %(default)s)",
    )
    verb.add_argument(
        "--reader",
        type=int,
        choices=(1, 2, 3),
        default=1,
        help="which reader of a gate.yaml with several (default: %(default)s)",
    )
    verb.add_argument("--data", type=Path, metavar="DIR", help="the folder of a running demo")
