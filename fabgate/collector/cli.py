"""Which verbs does ``fabgate collector`` have? Each is one function in one module, imported when it runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from fabgate.errors import FabgateError, UsageError

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 (it has no public name)

_USAGE = (
    "A session belongs to the period in which it ended. One of a gate whose clock was never synchronised counts by its"
    " latest possible end and is shown as 'about'. Open sessions stand apart."
)
_SESSIONS = (
    "The sessions that ended in the period, in the order of their ends, then those that are open. '~' before a moment"
    " says that nobody knows it exactly: the session lies between not_before and not_after, which CSV and JSON show,"
    " and counts by the latter. The true time on lies between energised_ms and energised_ms + uncertainty_ms. A review"
    " reason says why a person should look: journal-lost, restored-image, counter-above-end, uncertain, undated."
)
_HOLES = (
    "Missing are numbers that a gate no longer has, or that were in a journal which ended; awaited are those that a"
    " gate will still send. Quarantine holds what could not be an entry. Exit code 1 when something is missing, else 0."
)
_BLOCK = (
    "Every roster carries the member among its refusals from now on, with every reason; a session that runs ends when"
    " the machine is idle. The same reason again changes until when. Importing members does not lift a block."
)
Run = Callable[[argparse.Namespace], int]


def add_verbs(subparsers: Subparsers) -> None:
    """Add every verb. Afterwards ``args.run(args)`` returns the exit code, and raises FabgateError with its own."""
    _verb(subparsers, "migrate", "migrate", "bring the database up to date (every other verb does it too)")
    ingest = _verb(subparsers, "ingest", "ingest", "store what the gates publish")
    ingest.add_argument("--takeover", action="store_true", help="serve the site although another collector is online")
    usage = _verb(subparsers, "usage", "usage", "print who used which machine for how many minutes", about=_USAGE)
    _period(usage, json_help="exact milliseconds, as JSON")
    sessions = _verb(subparsers, "sessions", "listing", "print each session, one a line", about=_SESSIONS)
    _period(sessions, json_help="exact milliseconds, one JSON object a line")
    holes = _verb(
        subparsers, "holes", "missing", "print what is missing by number, and what is in quarantine", about=_HOLES
    )
    holes.add_argument("--json", action="store_true")
    _verb(subparsers, "web", "web", "serve rosters over HTTP")
    both = _verb(subparsers, "run", "run", "keep ingest and web alive")
    both.add_argument("--takeover", action="store_true", help="serve the site although another collector is online")
    people = _verb(subparsers, "import-members", "members", "import members and badges from a CSV file")
    people.add_argument("file", metavar="FILE.csv", help="columns id,name,badges,lang,level,valid_until,machines")
    gates = _verb(subparsers, "gates", "gates", "list the gates and how far they are stored", "show")
    gates.add_argument("--json", action="store_true")
    add = _verb(subparsers, "gate-add", "gates", "let a gate in: its machine, token and keys", "add")
    add.add_argument("name", metavar="NAME")
    add.add_argument("--machine", required=True, metavar="NAME", help="made where there is none of that name")
    add.add_argument("--new-token", action="store_true", help="replace the token of a gate that has one")
    add.add_argument("--json", action="store_true")
    machine = _verb(subparsers, "machine-set", "machines", "change how a machine behaves; its gates are told")
    machine.add_argument("name", metavar="MACHINE")
    machine.add_argument("rules", nargs="*", metavar="RULE=VALUE", help="such as mode=hold limit_s=7200 handover=true")
    machine.add_argument("--title", help="the name that people read")
    lock = _verb(subparsers, "lock", "locks", "lock a machine", "lock")
    lock.add_argument("gate", metavar="GATE")
    lock.add_argument(
        "--when", choices=("now", "idle"), default="idle", help="now cuts the power (default: %(default)s)"
    )
    lock.add_argument("--reason", required=True, help="shown to members")
    lock.add_argument("--back", metavar="DATE", help="when the machine is expected back; shown to members")
    unlock = _verb(subparsers, "unlock", "locks", "take the lock off a machine", "unlock")
    unlock.add_argument("gate", metavar="GATE")
    block = _verb(subparsers, "member-block", "blocks", "keep a member from every machine", "block", about=_BLOCK)
    block.add_argument("id", metavar="ID", help="the member's id, as it was imported")
    block.add_argument("--reason", required=True, metavar="WORD", help="such as suspended, banned or payment-due")
    block.add_argument("--until", metavar="DATE", help="the first day on which it holds no more (default: for ever)")
    unblock = _verb(subparsers, "member-unblock", "blocks", "lift every block of a member", "unblock")
    unblock.add_argument("id", metavar="ID", help="the member's id, as it was imported")
    for verb in (lock, unlock, block, unblock):
        verb.add_argument("--actor", metavar="NAME", help="who does it (default: this account)")


def main(argv: list[str] | None = None) -> int:
    """Run ``python -m fabgate.collector``: the same verbs without the rest of fabgate."""
    parser = argparse.ArgumentParser(prog="python -m fabgate.collector", description=__doc__)
    add_verbs(parser.add_subparsers(required=True, metavar="VERB"))
    args = parser.parse_args(argv)
    try:
        return int(args.run(args))
    except FabgateError as error:
        for line in str(error).splitlines():
            sys.stderr.write(f"error: {line}\n")
        return error.exit_code


def _period(verb: argparse.ArgumentParser, *, json_help: str) -> None:
    verb.add_argument("--from", dest="start", required=True, metavar="ISO", help="the first moment, such as 2026-11-01")
    verb.add_argument("--to", dest="end", required=True, metavar="ISO", help="the first moment that counts no more")
    verb.add_argument("--tz", metavar="NAME", help="time zone of moments without an offset (default: FABGATE_TZ)")
    form = verb.add_mutually_exclusive_group()
    form.add_argument("--csv", dest="form", action="store_const", const="csv", help="exact milliseconds, as CSV")
    form.add_argument("--json", dest="form", action="store_const", const="json", help=json_help)


def _verb(
    subparsers: Subparsers, name: str, module: str, text: str, function: str = "command", *, about: str = ""
) -> argparse.ArgumentParser:
    def run(args: argparse.Namespace) -> int:
        try:
            start = import_module("fabgate.collector.start")
        except ModuleNotFoundError as error:
            raise UsageError(f"the collector is not installed ({error}): pip install 'fabgate[collector]'") from error
        start.prepare()  # first: models can be imported only once Django is set up
        code: int = getattr(import_module(f"fabgate.collector.{module}"), function)(args)
        return code

    parser = subparsers.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}. {about}".strip())
    parser.set_defaults(run=run)
    return parser
