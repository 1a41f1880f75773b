"""Which gates are there, and how is a new one let in? ``gate-add`` makes all that a gate must know, as files.

It takes and prints the rules of the machine, because they replace those of the gate's own gate.yaml.
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
from fabgate.collector.base import data_folder, duplicate, text_table
from fabgate.collector.base.environ import Environment
from fabgate.collector.base.key_files import new_key, write_secret
from fabgate.collector.db import audit, pulse
from fabgate.collector.machines import emulated_gate
from fabgate.collector.machines import rules as machines
from fabgate.collector.models import Change, Gate, Hole, Journal, Machine, Quarantine
from fabgate.collector.models.workshop import HEARTBEATS, MAX_LIFTED
from fabgate.errors import UsageError

#: Behind the name of a file that is written, and does not count yet.
_READY: Final = ".new"
#: Pages beside those of machines have these addresses.
RESERVED_MACHINES: Final = frozenset({"new", "calendar"})


#: Given the rules of a machine and a list to add mistakes to, returns the rules that it is to have.
ChangeRules = Callable[[dict[str, Any], list[str]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class LetIn:
    """A gate that was let in, and where the files are that it must have."""

    gate: Gate
    directory: Path
    #: What stands in each file. Secrets: whoever reads them can speak for the gate.
    texts: dict[str, str] = field(repr=False)

    #: What is copied to the gate, each a file of its `directory`.
    FILES: ClassVar = ("token", "seal.keys", "badge.keys")


class IsIn(UsageError):  # noqa: N818 (it names what is in the way)
    """The gate has a token already."""

    def __init__(self, name: str, token_file: Path) -> None:
        super().__init__(
            _("the gate '%(name)s' has a token already (%(file)s); give --new-token to replace it")
            % {"name": name, "file": token_file}
        )


def add(args: argparse.Namespace) -> int:
    """Register a gate and print where its secrets are."""
    actor = audit.cli_actor(None)
    env: Environment = settings.ENVIRONMENT
    if args.emulated:
        emulated_gate.check(env, args.name)
    made = let_in(
        args.name,
        args.machine,
        actor=actor,
        new_token=args.new_token,
        change_rules=lambda rules, mistakes: machines.changed(rules, args.rules, mistakes),
    )
    assert made.gate.machine is not None
    rules = machines.in_force(made.gate.machine)
    account = wire.GateTopics(settings.ENVIRONMENT.site, args.name).account
    found = {
        "gate": args.name,
        "machine": args.machine,
        "broker_account": account,
        "token_file": str(made.directory / "token"),
        "gate_key_file": str(made.directory / "seal.keys"),
        "badge_key_file": str(made.directory / "badge.keys"),
        "roster_path": f"/api/v1/gates/{args.name}/roster",
    }
    if args.emulated:
        found["config"] = str(emulated_gate.write(env, args.name, made.gate.machine.title))
    if args.json:
        sys.stdout.write(json.dumps({**found, "machine_rules": rules}, indent=2) + "\n")
    else:
        found["machine_rules"] = machines.as_arguments(rules)
        sys.stdout.write("".join(f"{key}: {value}\n" for key, value in found.items()))
        sys.stdout.write(
            "Whatever 'machine:' of the gate's gate.yaml says, these rules hold. Change them with"
            f" 'fabgate collector machine-set {args.machine} RULE=VALUE', or on the machine's page.\n"
        )
        if args.emulated:
            sys.stdout.write(
                f"Start the gate: fabgate run --config {found['config']}\n"
                f"Tap a badge:    fabgate tap {found['config']} 04:A1:B2:C3\n"
            )
        else:
            sys.stdout.write("Now copy the three files to the gate, see docs/install.md, part 3.\n")
    if args.new_token:
        # On stderr, as whoever reads JSON is a program, and this is for a person.
        sys.stderr.write(
            "note: the token and the seal key of before count for nothing here from now on; until the gate has the new"
            " files and is restarted, it decides by the roster that it has, and hears of no lock\n"
            f"note: the broker still takes the old password of {account}: give the account another one, and reload the"
            ' broker (docs/install.md, "A gate was stolen")\n'
        )
    return 0


def let_in(
    name: str,
    machine: str,
    *,
    actor: str,
    new_token: bool = False,
    change_rules: ChangeRules = lambda rules, _mistakes: rules,
) -> LetIn:
    """Make a gate, the machine beside it where there is none of that name, and all that the gate must know.

    `change_rules` returns the rules of the machine, given those that it has, and adds what is wrong with them.

    Raises UsageError for a name that cannot be, and IsIn for a gate that has a token already, unless it is to get a new
    one. With the token its seal key is another one, too: whoever has the old card has both (docs/decisions/0025).
    """
    mistakes = []
    for what, called in (("gate", name), ("machine", machine)):
        try:
            wire.check_name(called, what=what)
        except UsageError as error:
            mistakes.append(str(error))
    if machine in RESERVED_MACHINES:
        text = _("a machine cannot be called '%(name)s': a page has that address; choose another name")
        mistakes.append(text % {"name": machine})
    before = Machine.objects.filter(name=machine).first()
    change_rules({} if before is None else before.rules, mistakes)
    if mistakes:
        raise UsageError("\n".join(mistakes))
    env: Environment = settings.ENVIRONMENT
    directory = env.gate_directory(name)
    try:
        # From before the commit until the files are there: of two at once a gate would get the token of one and the seal
        # key of the other.
        with (
            data_folder.alone(env.data / data_folder.LETTING_IN),
            _all_or_none(directory) as write,
            transaction.atomic(),
            pulse.deferred(),
        ):
            gate = Gate.objects.filter(name=name).first() or Gate(name=name)
            if gate.token_hash and not new_token:
                raise IsIn(name, directory / "token")
            with audit.change(actor, "gate.renewed" if gate.token_hash else "gate.let-in", gate) as change:
                if gate.pk is None:
                    gate.save()
                change.rosters = _put_beside(gate, _machine(machine, actor, change_rules))
                token = gate.new_token()
                gate.save(update_fields=["token_hash"])
            gate.refresh_from_db()
            # A random id, never one that was there before: also after a copy was restored, which has forgotten some. So
            # a gate that still holds an older key says which one it lacks, and not that a roster was tampered with.
            made = token + "\n", new_key(f"s-{secrets.token_hex(4)}"), env.badge_key_file.read_text(encoding="utf-8")
            texts = dict(zip(LetIn.FILES, made, strict=True))
            for file, text in texts.items():
                write(file, text)
    except IntegrityError as error:
        if not duplicate.is_there(error):
            raise
        raise IsIn(name, directory / "token") from error
    return LetIn(gate, directory, texts)


def _machine(name: str, actor: str, change_rules: ChangeRules) -> Machine:
    """Return the machine of that name with these rules changed; it is made where there is none. The log has both."""
    _, is_new = Machine.objects.get_or_create(name=name)
    found = Machine.objects.select_for_update(no_key=True).get(name=name)
    mistakes: list[str] = []
    changed = change_rules(found.rules, mistakes)
    if mistakes:  # somebody changed the machine meanwhile
        raise UsageError("\n".join(mistakes))
    if is_new:
        audit.record(actor, "machine.added", found, after={"name": name, **({"rules": changed} if changed else {})})
    if changed != found.rules:
        log: AbstractContextManager[object] = nullcontext() if is_new else audit.change(actor, "machine.updated", found)
        with log:
            found.rules = changed
            found.save(update_fields=["rules"])
    return found


@contextmanager
def _all_or_none(directory: Path) -> Iterator[Callable[[str, str], None]]:
    """Give what writes a secret, by name; they take their places together at the end, or none does.

    Committed first: what is written has room by then, and until then the secrets that were there count.
    """
    ready: list[Path] = []

    def write(name: str, text: str) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = directory / f"{name}{_READY}"
        path.unlink(missing_ok=True)  # of a process that was killed
        ready.append(path)
        write_secret(path, text)

    try:
        yield write
    except BaseException:
        for path in ready:
            path.unlink(missing_ok=True)
        with suppress(OSError):
            directory.rmdir()  # stays where it holds anything
        raise
    for path in ready:
        path.replace(path.with_suffix(""))
    data_folder.sync_directory(directory)


def move(gate: Gate, machine: Machine, *, actor: str) -> Change:
    """Let a gate stand beside another machine, whose rules and lock are its own from then on. The caller tells it."""
    with audit.change(actor, "gate.moved", gate) as change:
        change.rosters = _put_beside(gate, machine)
    return change


def _put_beside(gate: Gate, machine: Machine) -> dict[str, int]:
    """Let a gate stand beside a machine, and return the rosters that say so; called inside the change."""
    machine = Machine.objects.select_for_update(no_key=True).get(pk=machine.pk)
    planned = _planned(gate, machine)  # before others wait
    pulse.lock()  # between machine and gate, as for locks: or two would wait for each other
    gate = Gate.objects.select_for_update(no_key=True).get(pk=gate.pk)
    _stand(gate, machine)
    machine.save(update_fields=["lifted"])
    gate.save(update_fields=["machine"])
    return roster.versions(roster.rebuild([*machine.gates.all()], planned=planned))


def _planned(gate: Gate, machine: Machine) -> roster.Plan:
    """Build the rosters of a machine's gates as if that one stood there already."""
    gate, machine = Gate.objects.get(pk=gate.pk), Machine.objects.get(pk=machine.pk)
    _stand(gate, machine)
    return roster.plan([*machine.gates.exclude(pk=gate.pk), gate])


def _stand(gate: Gate, machine: Machine) -> None:
    """Say that a gate stands beside a machine.

    A gate lifts a lock only when it is named. So what was locked at the machine before counts as taken off here.
    """
    before = gate.machine
    if before is not None and before.pk != machine.pk:
        kept = [*before.lifted, *([before.lock_id] if before.lock_id else [])]
        machine.lifted = [*machine.lifted, *(one for one in kept if one != machine.lock_id)][-MAX_LIFTED:]
    gate.machine = machine


def show(args: argparse.Namespace) -> int:
    """Print each gate: what it said last, and what is known of its journal."""
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
        sys.stdout.write("No gate yet: let one in with 'fabgate collector gate-add NAME --machine NAME'.\n")
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
        # The gate says once a minute how far it has written; what arrived since then was written too.
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
    # Of a gate that was online when the collector itself went to sleep nobody knows what became.
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
