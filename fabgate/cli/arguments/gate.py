"""The arguments and the help of ``fabgate check``, ``status``, ``rename`` and ``use-package``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from fabgate.cli.arguments.shared import add_verb, with_config, with_json, with_state_folder

_CHECK: Final = """\
Check a gate.yaml and the roster file that it names. Nothing is changed. Each mistake is one line: file, line, key, what
was found, what was wanted, and what to do.
"""
_STATUS: Final = """\
Show the status of the gate on this computer: its state, the entries that wait for the collector, its broker, its
roster, and its problems. Exit code 1 if it has a problem or is not running.
"""
_RENAME: Final = """\
Rename the gate to the name in its gate.yaml. Its journal ends and a new one begins. All entries have to be at the
collector first, and the gate must be stopped.
"""
_USE_PACKAGE: Final = """\
Move the gate of this computer from an installation by hand (/opt/fabgate) to the package fabgate-gate, which has to be
installed. Journal, keys and settings stay where they are; unit, links and helper go to a folder of /var/backups.
Everything is checked first, and a failed step is undone. If it is interrupted, run it again. The power of the machine
goes off: an idle machine is the right moment. Call the program of the package by its whole path, /usr/bin/fabgate.
"""


def add_verbs(verbs: Any) -> None:
    """Add the verbs to the subparsers `verbs`."""
    short = "check a gate.yaml and its roster file for mistakes"
    verb = add_verb(verbs, "check", ("check", "check"), short, _CHECK, "fabgate check /etc/fabgate/gate.yaml")
    verb.add_argument("file", type=Path, metavar="FILE", help="the gate.yaml to check")
    with_json(verb, "print the result and the mistakes as JSON")

    short = "show the status of the gate on this computer"
    verb = add_verb(verbs, "status", ("status", "status"), short, _STATUS, "fabgate status --config gate.yaml")
    with_state_folder(verb)
    with_json(verb, "print the whole status as JSON")

    short = "rename the gate to the name in its gate.yaml"
    verb = add_verb(verbs, "rename", ("identity", "rename"), short, _RENAME, "fabgate rename --config gate.yaml")
    with_config(verb)

    short = "move from an installation by hand to the Debian package"
    example = "fabgate use-package"
    verb = add_verb(verbs, "use-package", ("use_package", "use_package"), short, _USE_PACKAGE, example)
    verb.add_argument("--yes", action="store_true", help="do not ask")
    verb.add_argument(
        "--end-session", action="store_true", help="also while somebody uses the machine: the power goes off"
    )
