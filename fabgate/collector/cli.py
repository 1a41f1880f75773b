"""Which verbs does ``fabgate collector`` have? Each is one function in one module, imported when it runs."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from fabgate.collector import DEFAULT_DATA
from fabgate.errors import FabgateError, UsageError

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 (it has no public name)

_ABOUT = (
    f"Every verb reads FABGATE_SITE (the site's name, as the gates write it; it has no default) and FABGATE_DATA (the"
    f" directory of database and keys; default: {DEFAULT_DATA}) from the environment, such as: FABGATE_SITE=lyon"
    " FABGATE_DATA=/srv/fabgate fabgate collector gates. See docs/reference.md for the others."
)
_ENVIRONMENT = f"""\
environment:
  FABGATE_SITE  the site's name, as the gates write it (required)
  FABGATE_DATA  the directory of database and keys (default: {DEFAULT_DATA})

example:
  FABGATE_SITE=lyon fabgate collector """
_MONTH = "--from 2026-11-01 --to 2026-12-01"
_USAGE = (
    "A session belongs to the period in which it ended. One of a gate whose clock was never synchronised counts by its"
    " latest possible end and is shown as 'about'. Open sessions stand apart. Times on are h:mm:ss."
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
_GATES = (
    "'entries' says up to which number everything that the gate wrote is stored, and how far it has written beyond"
    " that; 'roster' whether the gate has fetched the newest one."
)
_IMPORT = (
    "Columns, separated by ',', ';' or tabs: id (which must be there), name, badges, lang, level, valid_until,"
    " machines. Several badges or machines in a cell are separated by ';'. A column that is not there leaves what is"
    " stored alone, an empty cell clears it; members who are not in the file stay as they are."
)
_BLOCK = (
    "Every roster carries the member among its refusals from now on, with every reason; a session that runs ends when"
    " the machine is idle. The same reason again changes until when. Importing members does not lift a block."
)
_LOCK = "A running session is not cut unless --when now says so. The machine stays locked until 'unlock'."
_RULES = (
    "An empty value goes back to the default. Without RULE=VALUE it prints what is set. docs/reference.md names the"
    " rules, under gate.yaml, machine."
)
Run = Callable[[argparse.Namespace], int]


def add_verbs(subparsers: Subparsers) -> None:
    """Add every verb. Afterwards ``args.run(args)`` returns the exit code, and raises FabgateError with its own."""
    subparsers.container.description = _ABOUT  # type: ignore[attr-defined]  # typeshed does not know where it stands
    _service_verbs(subparsers)
    _listing_verbs(subparsers)
    _workshop_verbs(subparsers)
    _barring_verbs(subparsers)


def main(argv: list[str] | None = None) -> int:
    """Run ``python -m fabgate.collector``: the same verbs without the rest of fabgate."""
    parser = argparse.ArgumentParser(prog="python -m fabgate.collector", description=__doc__)
    add_verbs(parser.add_subparsers(title="verbs", required=True, metavar="VERB"))
    args = parser.parse_args(argv)
    try:
        return int(args.run(args))
    except FabgateError as error:
        for line in str(error).splitlines():
            sys.stderr.write(f"error: {line}\n")
        return error.exit_code


def _service_verbs(subparsers: Subparsers) -> None:
    _verb(subparsers, "migrate", "migrate", "bring the database up to date (every other verb does it too)", makes=True)
    ingest = _verb(subparsers, "ingest", "ingest", "store what the gates publish", makes=True)
    _verb(subparsers, "web", "web", "serve rosters over HTTP", makes=True)
    both = _verb(subparsers, "run", "run", "keep ingest and web alive", makes=True)
    for verb in (ingest, both):
        verb.add_argument("--takeover", action="store_true", help="serve the site although another collector is online")


def _listing_verbs(subparsers: Subparsers) -> None:
    usage = _verb(
        subparsers, "usage", "usage", "print who used which machine for how long", about=_USAGE, example=_MONTH
    )
    _period(usage, json_help="exact milliseconds, as JSON")
    sessions = _verb(
        subparsers, "sessions", "listing", "print each session, one a line", about=_SESSIONS, example=_MONTH
    )
    _period(sessions, json_help="exact milliseconds, one JSON object a line")
    holes = _verb(
        subparsers, "holes", "missing", "print what is missing by number, and what is in quarantine", about=_HOLES
    )
    gates = _verb(subparsers, "gates", "gates", "list the gates and how far they are stored", "show", about=_GATES)
    for verb in (holes, gates):
        verb.add_argument("--json", action="store_true", help="everything that is known, as JSON")


def _workshop_verbs(subparsers: Subparsers) -> None:
    people = _verb(
        subparsers,
        "import-members",
        "members",
        "import members and badges from a CSV file",
        about=_IMPORT,
        example="members.csv",
        makes=True,
    )
    people.add_argument("file", metavar="FILE.csv", help="UTF-8, or Windows-1252, which is noted")
    add = _verb(
        subparsers,
        "gate-add",
        "gates",
        "let a gate in: its machine, token and keys",
        "add",
        example="laser-1 --machine laser",
        makes=True,
    )
    add.add_argument("name", metavar="NAME")
    add.add_argument("--machine", required=True, metavar="NAME", help="made where there is none of that name")
    add.add_argument("--new-token", action="store_true", help="replace the token of a gate that has one")
    add.add_argument("--json", action="store_true", help="the same, as JSON")
    machine = _verb(
        subparsers,
        "machine-set",
        "machines",
        "change how a machine behaves; its gates are told",
        about=_RULES,
        example="laser mode=hold limit_s=7200 handover=yes",
    )
    machine.add_argument("name", metavar="MACHINE")
    machine.add_argument("rules", nargs="*", metavar="RULE=VALUE", help="such as mode=hold limit_s=7200 handover=yes")
    machine.add_argument("--title", help="the name that people read")


def _barring_verbs(subparsers: Subparsers) -> None:
    lock = _verb(
        subparsers, "lock", "locks", "lock a machine", "lock", about=_LOCK, example='laser-1 --reason "Belt broken"'
    )
    lock.add_argument("gate", metavar="GATE")
    lock.add_argument(
        "--when", choices=("now", "idle"), default="idle", help="now cuts the power (default: %(default)s)"
    )
    lock.add_argument("--reason", required=True, metavar="TEXT", help="shown to members on the gate's display")
    lock.add_argument("--back", metavar="DATE", help="when the machine is expected back; shown to members")
    unlock = _verb(subparsers, "unlock", "locks", "take the lock off a machine", "unlock", example="laser-1")
    unlock.add_argument("gate", metavar="GATE")
    unlock.add_argument(
        "--lock", metavar="ID", help="a lock that this database has forgotten, by the id that the gate says"
    )
    block = _verb(
        subparsers,
        "member-block",
        "blocks",
        "keep a member from every machine",
        "block",
        about=_BLOCK,
        example="m-117 --reason payment-due",
    )
    block.add_argument("id", metavar="ID", help="the member's id, as it was imported")
    block.add_argument("--reason", required=True, metavar="WORD", help="such as suspended, banned or payment-due")
    block.add_argument("--until", metavar="DATE", help="the first day on which it holds no more (default: for ever)")
    unblock = _verb(subparsers, "member-unblock", "blocks", "lift every block of a member", "unblock", example="m-117")
    unblock.add_argument("id", metavar="ID", help="the member's id, as it was imported")
    for verb in (lock, unlock, block, unblock):
        verb.add_argument("--actor", metavar="NAME", help="who does it (default: this account)")


def _period(verb: argparse.ArgumentParser, *, json_help: str) -> None:
    verb.add_argument("--from", dest="start", required=True, metavar="ISO", help="the first moment, such as 2026-11-01")
    verb.add_argument("--to", dest="end", required=True, metavar="ISO", help="the first moment that counts no more")
    verb.add_argument("--tz", metavar="NAME", help="time zone of moments without an offset (default: FABGATE_TZ)")
    form = verb.add_mutually_exclusive_group()
    form.add_argument("--csv", dest="form", action="store_const", const="csv", help="exact milliseconds, as CSV")
    form.add_argument("--json", dest="form", action="store_const", const="json", help=json_help)


def _verb(
    subparsers: Subparsers,
    name: str,
    module: str,
    text: str,
    function: str = "command",
    *,
    about: str = "",
    example: str = "",
    makes: bool = False,
) -> argparse.ArgumentParser:
    """Add a verb. One that `makes` sets a collector up where there is none; the others have nothing to look at then."""

    def run(args: argparse.Namespace) -> int:
        try:
            start = import_module("fabgate.collector.start")
        except ModuleNotFoundError as error:
            raise UsageError(f"the collector is not installed ({error}): pip install 'fabgate[collector]'") from error
        start.prepare(make=makes)  # first: models can be imported only once Django is set up
        code: int = getattr(import_module(f"fabgate.collector.{module}"), function)(args)
        return code

    # Filled here and then left alone: argparse would break the example wherever it is long, dates at their hyphens.
    described = textwrap.fill(f"{text[0].upper()}{text[1:]}. {about}".strip(), 80, break_on_hyphens=False)
    parser = subparsers.add_parser(
        name,
        help=text,
        description=described,
        epilog=f"{_ENVIRONMENT}{name} {example}".rstrip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser
