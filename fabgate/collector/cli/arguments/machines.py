"""The arguments of the verbs for machines: their gates, rules and locks."""

from __future__ import annotations

from typing import Final

from fabgate.collector.cli.arguments import shared

#: The names of members/machines/presets.py, repeated here because it imports models.
PRESETS: Final = ("saw", "laser", "cnc", "printer-3d", "bench-tool")
_GATE_ADD: Final = (
    "Prints where the gate's token and keys are, and all rules of its machine. These rules replace 'machine:' in the"
    " gate's gate.yaml. A machine that does not exist is made, with the rules of --preset, or with a time limit of"
    " four hours."
)
#: The names of members/machines/builds.py.
BUILDS: Final = ("bench", "standard", "three-phases", "three-phases-no-neutral", "plug", "emulated")
_JOIN_CODE: Final = (
    "Prints a code for one gate, valid for 15 minutes, and the command that asks for it on the Raspberry Pi. The page 'Add a"
    " gate' does the same, and shows who has used it. A machine that does not exist is made when the gate joins."
)
_GATE_REVOKE: Final = (
    "For a gate that was stolen or is not used any more. What it sent stays, and its machine too; 'gate-add' lets it in again"
    " with new keys. The exit code is 1 if the broker has not confirmed it within ten seconds; the worker then goes on trying."
)
_RULES: Final = (
    "An empty value restores the default. Without RULE=VALUE it prints the rules that are set. docs/reference.md lists"
    " the rules under gate.yaml, machine."
)
_LOCK: Final = "A running session is only cut with --when now. The machine stays locked until 'unlock'."


def add_verbs(add: shared.Add) -> None:
    """Add the verbs by `add`."""
    gate = add(
        "gate-add",
        "gates",
        "add a gate: its machine, token and keys",
        "add",
        about=_GATE_ADD,
        example="laser-1 --machine laser --title 'Laser 1' --preset laser",
        makes=True,
    )
    gate.add_argument("name", metavar="NAME", help="the name of the gate")
    gate.add_argument("--machine", required=True, metavar="NAME", help="made if it does not exist")
    gate.add_argument("--title", help="title of a new machine; by default its name with a capital letter")
    gate.add_argument("--preset", choices=PRESETS, help="kind of a new machine, which sets its rules")
    gate.add_argument(
        "--rules",
        nargs="+",
        action="extend",
        default=[],
        metavar="RULE=VALUE",
        help="rules of the machine, as in machine-set",
    )
    gate.add_argument("--new-token", action="store_true", help="replace the token and seal key of an existing gate")
    gate.add_argument(
        "--emulated", action="store_true", help="write a gate.yaml for a gate without hardware, on this computer"
    )
    shared.as_json(gate)
    code = add(
        "join-code",
        "gates",
        "make a code with which a gate joins",
        "join_code",
        about=_JOIN_CODE,
        example="laser-1 --machine laser --title 'Laser 1' --preset laser",
        makes=True,
    )
    code.add_argument("name", metavar="GATE", help="the name of the gate")
    code.add_argument(
        "--machine", metavar="NAME", help="its machine; by default that of the gate, or one of the same name"
    )
    code.add_argument("--title", help="title of a new machine; by default its name with a capital letter")
    code.add_argument("--preset", choices=PRESETS, help="kind of a new machine, which sets its rules")
    code.add_argument("--build", choices=BUILDS, default="standard", help="hardware/README.md (default: %(default)s)")
    code.add_argument(
        "--plug", nargs=2, metavar=("ADDRESS", "ID"), help="with --build plug: the plug's address and device id"
    )
    code.add_argument(
        "--replace", action="store_true", help="the gate exists: its secrets end when the new ones are valid"
    )
    code.add_argument(
        "--address", metavar="URL", help="the collector's address for the gate (default: that of the pages)"
    )
    shared.as_json(code)
    revoke = add(
        "gate-revoke",
        "gates",
        "cut a gate off: its token, its codes, and its account at the broker",
        "revoke",
        about=_GATE_REVOKE,
        example="laser-1 --yes",
    )
    revoke.add_argument("name", metavar="NAME", help="the name of the gate")
    revoke.add_argument("--yes", action="store_true", help="do it; otherwise it only says what it would do")
    shared.actor(revoke)
    machine = add(
        "machine-set",
        "machines",
        "change the rules of a machine and its gates",
        "set_rules",
        about=_RULES,
        example="laser mode=hold limit_s=7200 handover=yes",
    )
    machine.add_argument("name", metavar="MACHINE", help="the name of the machine")
    machine.add_argument("rules", nargs="*", metavar="RULE=VALUE", help="such as mode=hold limit_s=7200 handover=yes")
    machine.add_argument("--title", help="the name shown to people")
    machine.add_argument("--preset", choices=PRESETS, help="start from the rules of a preset; RULE=VALUE changes them")
    lock = add(
        "lock",
        "machines",
        "lock a machine",
        "lock",
        about=_LOCK,
        example='laser-1 --reason "Belt broken"',
    )
    lock.add_argument("gate", metavar="GATE", help="the gate of the machine")
    lock.add_argument(
        "--when", choices=("now", "idle"), default="idle", help="now cuts the power (default: %(default)s)"
    )
    lock.add_argument("--reason", required=True, metavar="TEXT", help="shown to members on the gate's display")
    lock.add_argument("--back", metavar="DATE", help="when the machine should be available again; shown to members")
    unlock = add("unlock", "machines", "unlock a machine", "unlock", example="laser-1")
    unlock.add_argument("gate", metavar="GATE", help="the gate of the machine")
    unlock.add_argument(
        "--lock", metavar="ID", help="lift a lock that this database does not know, by the id that the gate reports"
    )
    for verb in (lock, unlock):
        shared.actor(verb)
        verb.add_argument("--json", action="store_true", help="print the result, and who uses the machine, as JSON")
