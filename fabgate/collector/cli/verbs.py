"""The verbs of ``fabgate collector``. Each verb calls one function, and imports its module only when it runs."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from fabgate import verb_groups
from fabgate.collector.cli import verb_help
from fabgate.collector.cli.billing.arguments import bills, shared, sinks
from fabgate.errors import FabgateError, UsageError

#: The type that ``add_subparsers`` returns; it has no public name.
Subparsers = Any
#: The roles of models/accounts.py, repeated here because models can be imported only once Django is set up.
ROLES = ("manager", "desk", "trainer", "maintainer", "accountant", "auditor", "member")
#: The names of machines/presets.py, repeated here because it imports models.
PRESETS = ("saw", "laser", "cnc", "printer-3d", "bench-tool")
#: Where fabgate-collector-backup.service puts the copies.
COPIES = "/var/lib/fabgate-collector-copies"
#: Verbs that run until they are stopped; their log lines begin with their names, since `run` mixes them.
SERVICES = ("ingest", "web", "worker", "run")
Run = Callable[[argparse.Namespace], int]


#: The verbs, by what people want to do.
GROUPS: Final = {
    "run the collector": ("run", "ingest", "web", "worker", "migrate"),
    "give people access to the pages": ("first-link", "accounts", "account-add", "account-link"),
    "set up the workshop": ("gate-add", "machine-set", "import-members", "import-trainings", "badge-forms"),
    "work at the desk": (
        "lock",
        "unlock",
        "member-block",
        "member-unblock",
        "member-plan",
        "training-grant",
        "training-revoke",
    ),
    "see who used what": ("sessions", "usage"),
    "price what was used": (
        "bill-start",
        "bill-plan",
        "bill-rule",
        "bill-rule-remove",
        "bill-try",
        "bill-month",
        "bill-session",
        "bill-payers",
        "bill-waive",
        "bill-line",
        "bill-line-remove",
        "bill-close",
        "bill-statement",
        "bill-send",
        "bill-archive",
        "bill-erase-names",
        "verify-periods",
    ),
    "take credit from those who prepay": (
        "bill-prepaid",
        "bill-credit",
        "bill-refund",
        "bill-balance",
        "bill-credits",
    ),
    "send to other programs": ("sinks", "sink-reconcile", "sink-retry", "sink-skip", "sink-replay"),
    "check that all data arrived": ("gates", "holes"),
    "check that nothing was altered": ("verify",),
    "find out what is wrong": ("doctor",),
    "back up and restore": ("backup", "restore"),
}


def add_verbs(parser: argparse.ArgumentParser) -> None:
    """Add every verb. ``args.run(args)`` then returns the exit code, or raises FabgateError with its own."""
    subparsers = verb_groups.add_list(parser)
    _service_verbs(subparsers)
    _copy_verbs(subparsers)
    _doctor_verb(subparsers)
    _listing_verbs(subparsers)
    _workshop_verbs(subparsers)
    _barring_verbs(subparsers)
    _training_verbs(subparsers)
    _account_verbs(subparsers)
    bills.add_verbs(partial(_verb, subparsers))
    sinks.add_verbs(partial(_verb, subparsers))
    about = textwrap.fill(verb_help.ABOUT, 80, break_on_hyphens=False)
    parser.description = f"{about}\n\n{verb_groups.text_of(subparsers, GROUPS)}"
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def main(argv: list[str] | None = None) -> int:
    """Run ``python -m fabgate.collector``: the same verbs without the rest of fabgate."""
    parser = argparse.ArgumentParser(prog="python -m fabgate.collector")
    add_verbs(parser)
    args = parser.parse_args(argv)
    try:
        return int(args.run(args))
    except FabgateError as error:
        for line in str(error).splitlines():
            sys.stderr.write(f"error: {line}\n")
        return error.exit_code


def _service_verbs(subparsers: Subparsers) -> None:
    migrate = _verb(
        subparsers,
        "migrate",
        "services",
        "bring the database up to date (other verbs do so too)",
        "migrate",
        makes=True,
    )
    migrate.add_argument(
        "--restored",
        action="store_true",
        help="after the database was restored with all its files: skip used ids, and end sign-ins, links and API keys",
    )
    ingest = _verb(
        subparsers,
        "ingest",
        "services",
        "store what the gates publish",
        "ingest",
        about=verb_help.INGEST,
        makes=True,
    )
    _verb(
        subparsers,
        "web",
        "services",
        "serve the pages, and rosters to gates",
        "web",
        about=verb_help.WEB,
        makes=True,
    )
    _verb(
        subparsers,
        "worker",
        "services",
        "expire loans, trainings and blocks",
        "worker",
        about=verb_help.WORKER,
        makes=True,
    )
    both = _verb(
        subparsers, "run", "services", "keep ingest, web and worker running", "run", about=verb_help.RUN, makes=True
    )
    for verb in (ingest, both):
        verb.add_argument("--takeover", action="store_true", help="serve the site even if another collector is online")


def _doctor_verb(subparsers: Subparsers) -> None:
    verb = _verb(
        subparsers,
        "doctor",
        "upkeep.doctor",
        "examine the collector, its computer and its broker, and say what to do",
        "doctor",
        about=verb_help.DOCTOR,
        prepares=False,
    )
    verb.add_argument(
        "--copies",
        type=Path,
        default=Path(COPIES),
        metavar="DIR",
        help="the folder of the nightly copies (default: %(default)s)",
    )
    verb.add_argument(
        "--root",
        type=Path,
        default=Path("/"),
        metavar="DIR",
        help="read /etc, /proc and /usr below this folder (default: %(default)s)",
    )
    verb.add_argument("--json", action="store_true", help="print the findings as JSON")


def _copy_verbs(subparsers: Subparsers) -> None:
    backup = _verb(
        subparsers,
        "backup",
        "upkeep.backup",
        "copy database and keys to one file",
        "backup",
        about=verb_help.BACKUP,
        example="/srv/copies/monday.tar.gz",
        prepares=False,
    )
    restore = _verb(
        subparsers,
        "restore",
        "upkeep.backup",
        "restore database and keys from a copy",
        "restore",
        about=verb_help.RESTORE,
        example="/srv/copies/monday.tar.gz --replace",
        prepares=False,
    )
    new = "a new file NAME.tar.gz, with mode 0600; or an existing folder, in which it is named after site and time"
    for verb, text in ((backup, new), (restore, "a file made by 'backup'")):
        verb.add_argument("file", metavar="FILE", help=text)
    backup.add_argument("--keep", type=int, metavar="N", help="in a folder: delete all but the newest N copies")
    restore.add_argument("--replace", action="store_true", help="move the existing collector aside")


def _listing_verbs(subparsers: Subparsers) -> None:
    usage = _verb(
        subparsers,
        "usage",
        "usage",
        "print who used which machine, and for how long",
        "show",
        about=verb_help.USAGE,
        example=verb_help.MONTH,
    )
    _period(usage, json_help="exact milliseconds, as JSON")
    sessions = _verb(
        subparsers,
        "sessions",
        "sessions",
        "print each session, one a line",
        "show",
        about=verb_help.SESSIONS,
        example=verb_help.MONTH,
    )
    _period(sessions, json_help="exact milliseconds, one JSON object a line")
    sessions.add_argument(
        "--untapped",
        action="store_true",
        help="only those that may have begun without a tap, and why (docs/untapped.md)",
    )
    holes = _verb(
        subparsers,
        "holes",
        "gates",
        "print missing entries, and what is in quarantine",
        "show_gaps",
        about=verb_help.HOLES,
    )
    gates = _verb(
        subparsers,
        "gates",
        "gates",
        "list the gates, and how far their entries are stored",
        "show",
        about=verb_help.GATES,
    )
    verify = _verb(
        subparsers,
        "verify",
        "books.verify",
        "compare the books with what was recorded, and name what was altered",
        "verify",
        about=verb_help.VERIFY,
    )
    verify.add_argument(
        "--head", metavar="NUMBER:SEAL", help="a head of the audit log that you wrote down: check that it still has it"
    )
    verify.add_argument("--pdf", metavar="FILE", help="also write the result as PDF, for an auditor")
    verify.add_argument("--nightly", action="store_true", help="as the worker does: with a low priority, and no output")
    for verb in (holes, gates, verify):
        verb.add_argument("--json", action="store_true", help="everything that is known, as JSON")


def _workshop_verbs(subparsers: Subparsers) -> None:
    people = _verb(
        subparsers,
        "import-members",
        "people",
        "import members and badges from a CSV or XLSX file",
        "import_members",
        about=verb_help.IMPORT,
        example="members.csv",
        makes=True,
    )
    trainings = _verb(
        subparsers,
        "import-trainings",
        "people",
        "import who completed which training from a CSV or XLSX file",
        "import_trainings",
        about=verb_help.IMPORT_TRAININGS,
        example="trainings.csv",
    )
    for verb in (people, trainings):
        verb.add_argument("file", metavar="FILE", help="XLSX; or CSV in UTF-8, UTF-16 or Windows-1252 (with a note)")
        verb.add_argument(
            "--dates",
            choices=["day-first", "month-first"],
            default="",
            help="how to read dates such as 01/03/2027 if no other date in the file decides it",
        )
    people.add_argument("--plans-from", metavar="DATE", help="the first day of the plans in the file (default: today)")
    forms = _verb(
        subparsers,
        "badge-forms",
        "people",
        "say which short forms of badges the workshop's readers give",
        "badge_forms",
        about=verb_help.BADGE_FORMS,
        example="em:number8 em:w26",
    )
    forms.add_argument("forms", nargs="*", metavar="FORM", help="such as em:number8; replaces those that were set")
    forms.add_argument("--none", action="store_true", help="the workshop has no reader that shortens")
    shared.actor(forms)
    add = _verb(
        subparsers,
        "gate-add",
        "gates",
        "add a gate: its machine, token and keys",
        "add",
        about=verb_help.GATE_ADD,
        example="laser-1 --machine laser --title 'Laser 1' --preset laser",
        makes=True,
    )
    add.add_argument("name", metavar="NAME", help="the name of the gate")
    add.add_argument("--machine", required=True, metavar="NAME", help="made if it does not exist")
    add.add_argument("--title", help="title of a new machine; by default its name with a capital letter")
    add.add_argument("--preset", choices=PRESETS, help="kind of a new machine, which sets its rules")
    add.add_argument(
        "--rules",
        nargs="+",
        action="extend",
        default=[],
        metavar="RULE=VALUE",
        help="rules of the machine, as in machine-set",
    )
    add.add_argument("--new-token", action="store_true", help="replace the token and seal key of an existing gate")
    add.add_argument(
        "--emulated", action="store_true", help="write a gate.yaml for a gate without hardware, on this computer"
    )
    shared.as_json(add)
    machine = _verb(
        subparsers,
        "machine-set",
        "machines",
        "change the rules of a machine and its gates",
        "set_rules",
        about=verb_help.RULES,
        example="laser mode=hold limit_s=7200 handover=yes",
    )
    machine.add_argument("name", metavar="MACHINE", help="the name of the machine")
    machine.add_argument("rules", nargs="*", metavar="RULE=VALUE", help="such as mode=hold limit_s=7200 handover=yes")
    machine.add_argument("--title", help="the name shown to people")
    machine.add_argument("--preset", choices=PRESETS, help="start from the rules of a preset; RULE=VALUE changes them")


def _barring_verbs(subparsers: Subparsers) -> None:
    lock = _verb(
        subparsers,
        "lock",
        "machines",
        "lock a machine",
        "lock",
        about=verb_help.LOCK,
        example='laser-1 --reason "Belt broken"',
    )
    lock.add_argument("gate", metavar="GATE", help="the gate of the machine")
    lock.add_argument(
        "--when", choices=("now", "idle"), default="idle", help="now cuts the power (default: %(default)s)"
    )
    lock.add_argument("--reason", required=True, metavar="TEXT", help="shown to members on the gate's display")
    lock.add_argument("--back", metavar="DATE", help="when the machine should be available again; shown to members")
    unlock = _verb(subparsers, "unlock", "machines", "unlock a machine", "unlock", example="laser-1")
    unlock.add_argument("gate", metavar="GATE", help="the gate of the machine")
    unlock.add_argument(
        "--lock", metavar="ID", help="lift a lock that this database does not know, by the id that the gate reports"
    )
    block = _verb(
        subparsers,
        "member-block",
        "people",
        "keep a member from every machine",
        "block",
        about=verb_help.BLOCK,
        example="m-117 --reason payment-due",
    )
    block.add_argument("id", metavar="ID", help="the member's id")
    block.add_argument(
        "--reason",
        required=True,
        metavar="WORD",
        help="such as suspended, banned or payment-due; a wrong one lists the others",
    )
    block.add_argument("--until", metavar="DATE", help="the first day on which it no longer applies (default: no end)")
    unblock = _verb(subparsers, "member-unblock", "people", "lift all blocks of a member", "unblock", example="m-117")
    unblock.add_argument("id", metavar="ID", help="the member's id")
    plan = _verb(
        subparsers,
        "member-plan",
        "people",
        "give a member a plan from a day on; without a plan, list those they have had",
        "plan",
        example="m-117 student --from 2027-01-01",
    )
    plan.add_argument("id", metavar="ID", help="the member's id")
    named = plan.add_mutually_exclusive_group()
    named.add_argument("plan", metavar="PLAN", nargs="?", help="one of those that bill-plan lists")
    named.add_argument("--none", action="store_true", help="no plan from that day on")
    plan.add_argument("--from", dest="since", metavar="DATE", help="the first day (default: today)")
    for verb in (lock, unlock, block, unblock, plan):
        shared.actor(verb)
    for verb in (lock, unlock):
        verb.add_argument("--json", action="store_true", help="print the result, and who uses the machine, as JSON")


def _training_verbs(subparsers: Subparsers) -> None:
    grant = _verb(
        subparsers,
        "training-grant",
        "people",
        "record that a member has a training",
        "grant",
        example="m-117 laser --stage supervised",
    )
    revoke = _verb(
        subparsers,
        "training-revoke",
        "people",
        "revoke a training; the grant stays on record",
        "revoke",
        example='m-117 laser --reason "Ran it alone"',
    )
    for verb in (grant, revoke):
        verb.add_argument("id", metavar="ID", help="the member's id")
        verb.add_argument("training", metavar="TRAINING", help="the name of the training")
        shared.actor(verb)
    stages = ("supervised", "autonomous", "instructor", "suspended")
    grant.add_argument("--stage", choices=stages, default="autonomous", help="default: %(default)s")
    grant.add_argument("--since", metavar="DATE", help="the first day (default: today)")
    grant.add_argument("--until", metavar="DATE", help="the last day (default: as the training defines)")
    grant.add_argument("--trainer", metavar="NAME", help="who trained them: a member or an account")
    grant.add_argument("--lower", action="store_true", help="grant it even if they already hold a higher stage")
    revoke.add_argument("--reason", required=True, metavar="TEXT", help="why; kept with the grant")


def _account_verbs(subparsers: Subparsers) -> None:
    _verb(
        subparsers,
        "first-link",
        "accounts",
        "print the link with which the first manager signs in",
        "show_first_link",
        makes=True,
    )
    add = _verb(
        subparsers,
        "account-add",
        "accounts",
        "make an account, and print the link that sets its password",
        "add",
        example="ada --role desk",
    )
    add.add_argument("name", metavar="NAME", help="the username")
    add.add_argument("--role", required=True, choices=ROLES, help="what the account may do")
    link = _verb(subparsers, "account-link", "accounts", "print a link that sets a new password", "link", example="ada")
    link.add_argument("name", metavar="NAME", help="the username")
    for verb in (add, link):
        shared.actor(verb)
    _verb(subparsers, "accounts", "accounts", "list the accounts", "show")


def _period(verb: argparse.ArgumentParser, *, json_help: str) -> None:
    verb.add_argument("--from", dest="start", required=True, metavar="ISO", help="the first moment, such as 2026-11-01")
    verb.add_argument("--to", dest="end", required=True, metavar="ISO", help="the end, which is not included")
    verb.add_argument("--tz", metavar="NAME", help="time zone of dates without an offset (default: FABGATE_TZ)")
    form = verb.add_mutually_exclusive_group()
    form.add_argument("--csv", dest="form", action="store_const", const="csv", help="exact milliseconds, as CSV")
    form.add_argument("--json", dest="form", action="store_const", const="json", help=json_help)


def _verb(
    subparsers: Subparsers,
    name: str,
    module: str,
    text: str,
    function: str,
    *,
    about: str = "",
    example: str = "",
    makes: bool = False,
    prepares: bool = True,
) -> argparse.ArgumentParser:
    """Add a verb. With `makes` it creates a missing collector; otherwise it fails, because there is nothing to show.

    Unless `prepares` is set, it runs without preparing or changing the data folder first.
    """

    def run(args: argparse.Namespace) -> int:
        try:
            start = import_module("fabgate.collector.processes.start")
        except ModuleNotFoundError as error:
            raise UsageError(f"the collector is not installed ({error}): pip install 'fabgate[collector]'") from error
        try:
            if prepares:  # first, because models can be imported only once Django is set up
                serves = name in SERVICES
                complete = import_module("fabgate.collector.cli.first_start").complete
                start.prepare(
                    make=makes,
                    owns=serves,
                    process=name if serves else "",
                    first_start=partial(complete, asks=name == "run"),
                )
            code: int = function_of(args)(args)
        except FabgateError:
            raise
        except Exception as error:
            if not import_module("fabgate.collector.base.disk_full").is_full(error):
                raise
            raise FabgateError(
                f"{name}: the disk is full, and the result was not saved; make room for FABGATE_DATA (or the database,"
                " or the output), and run it again"
            ) from error
        return code

    # filled here, because argparse would break lines anywhere in the example, and dates at their hyphens
    described = textwrap.fill(f"{text[0].upper()}{text[1:]}. {about}".strip(), 80, break_on_hyphens=False)
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name,
        short=text,
        description=described,
        epilog=f"{verb_help.ENVIRONMENT}{name} {example}".rstrip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run, calls=(module, function))
    return parser


def function_of(args: argparse.Namespace) -> Run:
    """Return the function that a verb calls; it takes the arguments and returns the exit code."""
    module, function = args.calls
    found: Run = getattr(import_module(f"fabgate.collector.cli.{module}"), function)
    return found
