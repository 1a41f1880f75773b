"""Lists gates, and enrols new ones: ``gate-add`` creates the files that a gate needs.

``gate-add`` also sets and prints the machine's rules, because they replace the rules in the gate's gate.yaml.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Count, F, Sum
from django.utils.translation import gettext as _

from fabgate import wire
from fabgate.collector.access import roster
from fabgate.collector.base import data_folder, text_table
from fabgate.collector.base.environ import Environment
from fabgate.collector.base.key_files import new_key, write_secret
from fabgate.collector.db import audit, duplicate, pulse
from fabgate.collector.machines import emulated_gate, presets
from fabgate.collector.machines import rules as machine_rules
from fabgate.collector.models import Change, Gate, Hole, Journal, Machine, Quarantine
from fabgate.collector.models.machines import HEARTBEATS, MAX_LIFTED
from fabgate.errors import UsageError

#: Suffix of a file that is written, but not in use yet.
_READY: Final = ".new"
#: Names that no machine may have, because they are addresses of other pages.
RESERVED_MACHINES: Final = frozenset({"new", "calendar"})


#: The time limit, in seconds, of a machine that `gate-add` makes without a preset.
LIMIT_S: Final = 4 * 3600
#: Takes the rules of a machine and a list for mistakes, and returns the new rules.
ChangeRules = Callable[[dict[str, Any], list[str]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class EnrolledGate:
    """A gate that was enrolled, and where its files are."""

    gate: Gate
    directory: Path
    #: The content of each file. It is secret: with it, another device can pose as the gate.
    texts: dict[str, str] = field(repr=False)

    #: The files of `directory` that are copied to the gate.
    FILES: ClassVar = ("token", "seal.keys", "badge.keys")


@dataclass(frozen=True, slots=True)
class NewMachine:
    """A machine to create if it does not exist: its title, and its preset or else its first rules."""

    title: str = ""
    preset: str = ""
    rules: dict[str, Any] = field(default_factory=dict)

    def make(self, name: str) -> Machine:
        """Return the machine, not saved. Raises UsageError for an unknown preset."""
        machine = Machine(name=name, title=self.title, rules=dict(self.rules))
        if self.preset:
            presets.apply(machine, self.preset)
        return machine


#: A machine without title and with default rules.
_BARE: Final = NewMachine()


class AlreadyEnrolled(UsageError):  # noqa: N818 (it names what is in the way)
    """The gate already has a token."""

    def __init__(self, name: str, token_file: Path) -> None:
        super().__init__(
            _("the gate '%(name)s' already has a token (%(file)s); use --new-token to replace it")
            % {"name": name, "file": token_file}
        )


def add(args: argparse.Namespace) -> int:
    """Enrol a gate, and print where its secrets are."""
    actor = audit.cli_actor(None)
    env: Environment = settings.ENVIRONMENT
    if args.emulated:
        emulated_gate.check(env, args.name)
    _refuse_options_of_existing(args)
    title = args.title or args.machine.replace("-", " ").capitalize()
    enrolled = enrol(
        args.name,
        args.machine,
        actor=actor,
        new_token=args.new_token,
        new_machine=NewMachine(title, args.preset or "", {} if args.preset else {"limit_s": LIMIT_S}),
        change_rules=lambda rules, mistakes: machine_rules.changed(rules, args.rules, mistakes),
    )
    assert enrolled.gate.machine is not None
    rules = machine_rules.in_force(enrolled.gate.machine)
    account = wire.GateTopics(settings.ENVIRONMENT.site, args.name).account
    details = {
        "gate": args.name,
        "machine": args.machine,
        "broker_account": account,
        "token_file": str(enrolled.directory / "token"),
        "gate_key_file": str(enrolled.directory / "seal.keys"),
        "badge_key_file": str(enrolled.directory / "badge.keys"),
        "roster_path": f"/api/v1/gates/{args.name}/roster",
    }
    if args.emulated:
        details["config"] = str(emulated_gate.write(env, args.name, enrolled.gate.machine.title))
    if args.json:
        sys.stdout.write(json.dumps({**details, "machine_rules": rules}, indent=2) + "\n")
    else:
        details["machine_rules"] = machine_rules.as_arguments(rules)
        sys.stdout.write("".join(f"{key}: {value}\n" for key, value in details.items()))
        sys.stdout.write(
            "These rules replace 'machine:' in the gate's gate.yaml. Change them with"
            f" 'fabgate collector machine-set {args.machine} RULE=VALUE', or on the machine's page.\n"
        )
        if args.emulated:
            sys.stdout.write(
                f"Start the gate: fabgate run --config {details['config']}\n"
                f"Tap a badge:    fabgate tap {details['config']} 04:A1:B2:C3\n"
            )
        else:
            sys.stdout.write("Now copy the three files to the gate, see docs/install.md, part 3.\n")
    if args.new_token:
        # On stderr, since a program may read the JSON, and this is for a person.
        sys.stderr.write(
            "note: the old token and seal key are no longer valid; until the gate has the new files and is restarted,"
            " it uses the roster that it has, and receives no locks\n"
            f"note: the broker still accepts the old password of {account}: set another one, and reload the broker"
            ' (docs/install.md, "A gate was stolen")\n'
        )
    return 0


def _refuse_options_of_existing(args: argparse.Namespace) -> None:
    """Raise UsageError if a title or preset is given for a machine that exists already, and so keeps its own."""
    if (args.title or args.preset) and Machine.objects.filter(name=args.machine).exists():
        raise UsageError(
            f"found the machine {args.machine!r}, which exists; wanted --title and --preset for a new one only; change"
            f" it with 'fabgate collector machine-set {args.machine} --title TITLE --preset KIND'"
        )


def enrol(
    name: str,
    machine: str,
    *,
    actor: str,
    new_token: bool = False,
    new_machine: NewMachine = _BARE,
    change_rules: ChangeRules = lambda rules, _mistakes: rules,
) -> EnrolledGate:
    """Create a gate, its machine if it does not exist yet, and the files that the gate needs.

    `new_machine` describes the machine to create. `change_rules` returns the new rules of the machine.

    Raises UsageError for an invalid name, and AlreadyEnrolled for a gate that has a token, unless it gets a new one.
    The seal key is replaced with the token: a stolen card holds both (docs/decisions/0025).
    """
    mistakes = []
    for what, named in (("gate", name), ("machine", machine)):
        try:
            wire.check_name(named, what=what)
        except UsageError as error:
            mistakes.append(str(error))
    if machine in RESERVED_MACHINES:
        text = _("the name '%(name)s' is reserved for a page; choose another name for the machine")
        mistakes.append(text % {"name": machine})
    before = Machine.objects.filter(name=machine).first()
    change_rules((before or new_machine.make(machine)).rules, mistakes)
    if mistakes:
        raise UsageError("\n".join(mistakes))
    env: Environment = settings.ENVIRONMENT
    directory = env.gate_directory(name)
    try:
        # Locked from before the commit until the files exist: otherwise two requests at once could give the gate the
        # token of one and the seal key of the other.
        with (
            data_folder.alone(env.data / data_folder.LETTING_IN),
            _all_or_none(directory) as write,
            transaction.atomic(),
            pulse.deferred(),
        ):
            gate = Gate.objects.filter(name=name).first() or Gate(name=name)
            if gate.token_hash and not new_token:
                raise AlreadyEnrolled(name, directory / "token")
            with audit.change(actor, "gate.renewed" if gate.token_hash else "gate.let-in", gate) as change:
                if gate.pk is None:
                    gate.save()
                change.rosters = _assign(gate, _machine(new_machine.make(machine), actor, change_rules))
                token = gate.new_token()
                gate.save(update_fields=["token_hash"])
            gate.refresh_from_db()
            # The key's id is random, so it is new even after an older copy was restored. A gate with an older key then
            # reports that it lacks the key, not that the roster was changed.
            contents = (
                token + "\n",
                new_key(f"s-{secrets.token_hex(4)}"),
                env.badge_key_file.read_text(encoding="utf-8"),
            )
            texts = dict(zip(EnrolledGate.FILES, contents, strict=True))
            for file, text in texts.items():
                write(file, text)
    except IntegrityError as error:
        if not duplicate.is_there(error):
            raise
        raise AlreadyEnrolled(name, directory / "token") from error
    return EnrolledGate(gate, directory, texts)


def _machine(new: Machine, actor: str, change_rules: ChangeRules) -> Machine:
    """Return the machine that `new` names, created if there is none, with its rules changed. Both are logged."""
    defaults = {"title": new.title, "preset": new.preset, "rules": new.rules}
    _, is_new = Machine.objects.get_or_create(name=new.name, defaults=defaults)
    machine = Machine.objects.select_for_update(no_key=True).get(name=new.name)
    mistakes: list[str] = []
    changed = change_rules(machine.rules, mistakes)
    if mistakes:  # the machine was changed meanwhile
        raise UsageError("\n".join(mistakes))
    if is_new:
        stored = {"name": new.name, **defaults, "rules": changed}
        audit.record(actor, "machine.added", machine, after={name: value for name, value in stored.items() if value})
    if changed != machine.rules:
        log: AbstractContextManager[object] = (
            nullcontext() if is_new else audit.change(actor, "machine.updated", machine)
        )
        with log:
            machine.rules = changed
            machine.save(update_fields=["rules"])
    return machine


@contextmanager
def _all_or_none(directory: Path) -> Iterator[Callable[[str, str], None]]:
    """Yield a function that writes a secret under a name. At the end all files are put in place, or none.

    The database is committed first. By then the files are written, and until then the old secrets are valid.
    """
    ready: list[Path] = []

    def write(name: str, text: str) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = directory / f"{name}{_READY}"
        path.unlink(missing_ok=True)  # left by a process that was killed
        ready.append(path)
        write_secret(path, text)

    try:
        yield write
    except BaseException:
        for path in ready:
            path.unlink(missing_ok=True)
        with suppress(OSError):
            directory.rmdir()  # fails if the directory contains other files, which then stay
        raise
    for path in ready:
        path.replace(path.with_suffix(""))
    data_folder.sync_directory(directory)


def assign(gate: Gate, machine: Machine, *, actor: str) -> Change:
    """Assign a gate to another machine, whose rules and lock apply from then on. The caller announces the rosters."""
    with audit.change(actor, "gate.moved", gate) as change:
        change.rosters = _assign(gate, machine)
    return change


def _assign(gate: Gate, machine: Machine) -> dict[str, int]:
    """Assign a gate to a machine, and return the new rosters; called inside the change."""
    machine = Machine.objects.select_for_update(no_key=True).get(pk=machine.pk)
    planned = _planned(gate, machine)  # before the pulse lock, because planning takes time
    pulse.lock()  # after the machine and before the gate (db/pulse.py)
    gate = Gate.objects.select_for_update(no_key=True).get(pk=gate.pk)
    _set_machine(gate, machine)
    machine.save(update_fields=["lifted"])
    gate.save(update_fields=["machine"])
    return roster.versions(roster.rebuild([*machine.gates.all()], planned=planned))


def _planned(gate: Gate, machine: Machine) -> roster.Plan:
    """Build the rosters of a machine's gates as if this gate were already assigned to it."""
    gate, machine = Gate.objects.get(pk=gate.pk), Machine.objects.get(pk=machine.pk)
    _set_machine(gate, machine)
    return roster.plan([*machine.gates.exclude(pk=gate.pk), gate])


def _set_machine(gate: Gate, machine: Machine) -> None:
    """Set the machine of a gate.

    A gate lifts a lock only if the roster names it, so a lock of the previous machine is named as lifted here.
    """
    before = gate.machine
    if before is not None and before.pk != machine.pk:
        lifted = [*before.lifted, *([before.lock_id] if before.lock_id else [])]
        machine.lifted = [*machine.lifted, *(one for one in lifted if one != machine.lock_id)][-MAX_LIFTED:]
    gate.machine = machine


def show(args: argparse.Namespace) -> int:
    """Print each gate: its last report, and how far its journal is stored."""
    newest = {journal.gate_id: journal for journal in Journal.newest()}
    lost = {
        row["journal__gate"]: row["lost"]
        for row in Hole.objects.filter(state=Hole.LOST)
        .values("journal__gate")
        .annotate(lost=Sum(F("last") - F("first") + 1))
    }
    quarantined = {
        row["gate"]: row["messages"] for row in Quarantine.objects.values("gate").annotate(messages=Count("id"))
    }
    rows = [
        _row(gate, newest.get(gate.pk), lost.get(gate.pk, 0), quarantined.get(gate.pk, 0))
        for gate in Gate.objects.select_related("machine").order_by("name")
    ]
    if args.json:
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return 0
    if not rows:
        sys.stdout.write("There is no gate yet; add one with 'fabgate collector gate-add NAME --machine NAME'.\n")
        return 0
    now, zone = datetime.now(UTC), ZoneInfo(settings.TIME_ZONE)
    head = ("gate", "machine", "heard", "entries", "roster", "")
    text_table.write([head, *(_cells(row, now, zone) for row in rows)], sys.stdout)
    return 0


def _row(gate: Gate, journal: Journal | None, lost: int, quarantined: int) -> dict[str, Any]:
    stored = journal.ack_seq if journal else 0
    return {
        "gate": gate.name,
        "machine": gate.machine.name if gate.machine else None,
        "online": gate.online,
        "seen_at": gate.seen_at.isoformat() if gate.seen_at else None,
        "journal": journal.name if journal else None,
        "stored": stored,
        # The gate reports once a minute how much it has written; entries that arrived since were written too.
        "head": max(journal.head, stored) if journal else 0,
        "roster": gate.roster_version,
        "reported_roster": gate.reported_roster,
        "locked": bool(gate.machine and gate.machine.lock),
        "lost": lost,
        "quarantined": quarantined,
    }


def _cells(row: dict[str, Any], now: datetime, zone: ZoneInfo) -> tuple[str, ...]:
    notes = [
        *(["locked"] if row["locked"] else []),
        *([f"{row['lost']} lost"] if row["lost"] else []),
        *([f"{row['quarantined']} in quarantine"] if row["quarantined"] else []),
    ]
    return row["gate"], row["machine"] or "none", _heard(row, now, zone), _entries(row), _roster(row), ", ".join(notes)


def _heard(row: dict[str, Any], now: datetime, zone: ZoneInfo) -> str:
    if row["seen_at"] is None:
        return "not heard yet"
    seen = datetime.fromisoformat(row["seen_at"])
    at = f"{seen.astimezone(zone):%Y-%m-%d %H:%M}"
    if not row["online"]:
        return f"offline since {at}"
    # While the collector was stopped, it did not notice whether a gate went offline.
    return "online" if now - seen < HEARTBEATS else f"last heard {at}"


def _entries(row: dict[str, Any]) -> str:
    if not row["head"]:
        return "none yet"
    if row["stored"] == row["head"]:
        return f"all {row['head']} stored"
    return f"{row['stored']} of {row['head']} stored"


def _roster(row: dict[str, Any]) -> str:
    if not row["roster"]:
        return "none without a machine" if row["machine"] is None else "none yet"
    if not row["reported_roster"]:
        return "not fetched yet"
    return "newest" if row["reported_roster"] >= row["roster"] else "an older one"
