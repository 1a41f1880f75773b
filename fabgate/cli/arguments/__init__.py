"""The arguments and the help of each verb of ``fabgate``.

Each file beside this one has the verbs of one area. A gate that starts imports only shared.py of them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

import fabgate
from fabgate import installed, verb_groups
from fabgate.cli.arguments.shared import add_verb, with_config
from fabgate.errors import UsageError

_CODES: Final = """\
exit codes: 0 success; 1 a problem was found, or the system refused; 2 wrong input; 3 the hardware does not answer;
4 the journal cannot be used; 5 a wrong seal. docs/reference.md lists them for each verb, and every key of gate.yaml.
"""
#: The verbs, by what people want to do.
_GROUPS: Final = {
    "try it": ("demo", "tap"),
    "run a gate": (
        "join",
        "check",
        "run",
        "status",
        "doctor",
        "selftest",
        "calibrate",
        "keyset",
        "rename",
        "use-package",
    ),
    "see who may use the machine": ("roster", "badge"),
    "see what happened at the machine": ("journal", "audit"),
    "manage all machines": ("collector",),
}


def parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser for `words`, which follow ``fabgate`` on the command line.

    Its result has as ``verb`` the names of a file of fabgate/cli and of its function, or a collector's function as
    ``run``. For ``run`` it knows no other verb, because a gate that starts does not wait for their arguments.
    """
    made = argparse.ArgumentParser(
        prog="fabgate",
        epilog=_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--version", action="version", version=f"fabgate {fabgate.__version__}")
    verbs = verb_groups.add_list(made, options="[-h] [--version]")
    _run_verb(verbs)
    if words[:1] == ["run"]:
        return made
    for area in ("gate", "join", "examination", "journal", "badges", "roster", "demo"):
        import_module(f"fabgate.cli.arguments.{area}").add_verbs(verbs)
    _collector(verbs.add_parser("collector", short="the central server; fabgate collector lists its verbs"))
    made.description = f"{fabgate.__doc__}\n\n{verb_groups.text_of(verbs, _GROUPS)}"
    return made


def _run_verb(verbs: Any) -> None:
    about = "Run the gate of a machine until Ctrl-C or SIGTERM. To run it as a service: systemctl start fabgate-gate"
    with_config(
        add_verb(verbs, "run", ("run", "run"), "run the gate of a machine", about, "fabgate run --config gate.yaml")
    )


def _collector(verb: argparse.ArgumentParser) -> None:
    try:
        add_verbs = import_module("fabgate.collector.cli.verbs").add_verbs
    except ImportError as error:
        missing = installed.collector(error)

        def refuse(_arguments: argparse.Namespace) -> int:
            raise UsageError(missing)

        verb.add_argument("rest", nargs=argparse.REMAINDER)
        verb.set_defaults(run=refuse)
    else:
        add_verbs(verb)
