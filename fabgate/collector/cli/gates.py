"""Adds and lists gates, and finds gaps in their journals: ``gate-add``, ``gates`` and ``holes``.

``gate-add`` also sets and prints the machine's rules, because they replace the rules in the gate's gate.yaml.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Count, F, Sum

from fabgate import wire
from fabgate.collector.cli import text_table
from fabgate.collector.ground.base import called, data_folder
from fabgate.collector.ground.base.environ import Environment
from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import Gate, Hole, Journal, Machine, Quarantine
from fabgate.collector.ground.models.machines import HEARTBEATS
from fabgate.collector.members.access import roster
from fabgate.collector.members.machines import emulated_gate, enrol_gate, joins
from fabgate.collector.members.machines import rules as machine_rules
from fabgate.collector.members.machines.keys import clones, revoke_gate
from fabgate.collector.members.machines.keys.clones import Found
from fabgate.collector.recording.broker.accounts import wanted
from fabgate.collector.recording.entries import completeness, journals
from fabgate.errors import UsageError

#: The time limit, in seconds, of a machine that `gate-add` makes without a preset.
LIMIT_S: Final = 4 * 3600
#: What is left to do where the accounts of the broker are made by hand.
_BY_HAND: Final = (
    "note: the broker still accepts the old password of {account}: set another one, and restart the broker"
    ' (docs/install-by-hand.md, "A gate was stolen")\n'
)
#: What ``gates`` says of an account at the broker, unless it is ready.
_ACCOUNTS: Final = {"cut-off": "cut off", "awaited": "the broker has not confirmed its account yet"}
#: How long ``gate-revoke`` waits for the broker, in seconds, and how often it looks.
CUT_OFF_S: Final = 10.0
_LOOK_S: Final = 0.2
#: The exit code of ``gate-revoke`` if the broker has not confirmed it.
NOT_CONFIRMED: Final = 1
#: The exit code of ``holes`` if entries are missing.
MISSING: Final = 1


def add(args: argparse.Namespace) -> int:
    """Enrol a gate, and print where its secrets are."""
    actor = audit.cli_actor(None)
    env: Environment = settings.ENVIRONMENT
    if args.emulated:
        emulated_gate.check(env, args.name)
    _refuse_options_of_existing(args)
    title = args.title or args.machine.replace("-", " ").capitalize()
    enrolled = enrol_gate.enrol(
        args.name,
        args.machine,
        actor=actor,
        new_token=args.new_token,
        new_machine=enrol_gate.NewMachine(title, args.preset or "", {} if args.preset else {"limit_s": LIMIT_S}),
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
    if env.broker_control:
        details["mqtt_password_file"] = str(enrolled.directory / data_folder.PASSWORD)
    if args.emulated:
        details["config"] = str(emulated_gate.write(env, args.name, enrolled.gate.machine.title))
    if args.json:
        sys.stdout.write(json.dumps({**details, "machine_rules": rules}, indent=2) + "\n")
    else:
        details["machine_rules"] = machine_rules.as_arguments(rules)
        sys.stdout.write("".join(f"{key}: {value}\n" for key, value in details.items()))
        sys.stdout.write(
            "These rules replace 'machine:' in the gate's gate.yaml. Change them with"
            f" '{called.command(f'machine-set {args.machine} RULE=VALUE')}', or on the machine's page.\n"
        )
        if "idle_off_s" in rules and not args.emulated:
            sys.stdout.write(
                "idle_off_s works only where the gate senses that the machine is idle: with running_pin"
                " (hardware/wiring.md), or a meter with thresholds (docs/sensing.md). Without them the gate reports a"
                f" problem until you remove the rule: '{called.command(f'machine-set {args.machine} idle_off_s=')}'.\n"
            )
        if args.emulated:
            if env.mqtt_username and not env.broker_control:
                password = Path(details["config"]).with_name("mqtt.password")
                sys.stdout.write(f"First write the password of the broker's account {account} to {password}.\n")
            sys.stdout.write(
                f"Start the gate: fabgate run --config {details['config']}\n"
                f"Tap a badge:    fabgate tap {details['config']} 04:A1:B2:C3\n"
            )
        else:
            count = "four" if env.broker_control else "three"
            sys.stdout.write(f"Now copy the {count} files to the gate, see docs/install-by-hand.md, part 3.\n")
    if args.new_token:
        # On stderr, since a program may read the JSON, and this is for a person.
        sys.stderr.write(
            "note: the old token and seal key are no longer valid; until the gate has the new files and is restarted,"
            " it uses the roster that it has, and receives no locks\n"
        )
        if not env.broker_control:
            sys.stderr.write(_BY_HAND.format(account=account))
    return 0


def revoke(args: argparse.Namespace) -> int:
    """Cut a gate off, and wait until the broker has confirmed it."""
    env: Environment = settings.ENVIRONMENT
    account = wire.GateTopics(env.site, revoke_gate.find(args.name).name).account
    if not args.yes:
        sys.stdout.write(
            f"This ends the token of {args.name}, its codes for joining, and its account {account} at the broker: it gets no"
            " rosters and no locks any more, and nothing that it sends arrives. It goes on with the roster that it has, so take"
            f" it out of the workshop. To do it: {called.command(f'gate-revoke {args.name} --yes')}\n"
        )
        return 0
    gate = revoke_gate.revoke(args.name, actor=audit.cli_actor(args.actor))
    sys.stdout.write(f"{gate.name}: its token is no longer valid\n")
    if not env.broker_control:
        sys.stderr.write(_BY_HAND.format(account=account))
        return 0
    until = time.monotonic() + CUT_OFF_S
    while not (is_confirmed := wanted.is_confirmed(gate)) and time.monotonic() < until:
        time.sleep(_LOOK_S)
    if is_confirmed:
        sys.stdout.write(f"{gate.name}: cut off, as the broker has confirmed\n")
        return 0
    sys.stderr.write(
        f"{gate.name}: NOT cut off yet: the broker has not confirmed it. The worker goes on trying, and"
        f" `{called.command('gates')}` shows when it is. Look at both: systemctl status fabgate-broker"
        " fabgate-collector@worker\n"
    )
    return NOT_CONFIRMED


def broker_accounts(_args: argparse.Namespace) -> int:
    """Print the file of accounts that the broker reads at its start."""
    env: Environment = settings.ENVIRONMENT
    if env.broker_control is None:
        raise UsageError(
            "FABGATE_BROKER_CONTROL: not set, wanted the socket of the broker, such as /run/fabgate-broker/control/socket;"
            " without it, accounts of the broker are made by hand"
        )
    sys.stdout.write(json.dumps(wanted.document(env), separators=(",", ":")) + "\n")
    return 0


def join_code(args: argparse.Namespace) -> int:
    """Make a code with which a gate joins, and print it."""
    env: Environment = settings.ENVIRONMENT
    known = Gate.objects.filter(name=args.name).select_related("machine").first()
    if args.machine is None:
        args.machine = known.machine.name if known and known.machine else args.name
    _refuse_options_of_existing(args)
    title = args.title or args.machine.replace("-", " ").capitalize()
    code = joins.make(
        args.name,
        args.machine,
        build=args.build,
        address=(args.address or env.address).rstrip("/"),
        actor=audit.cli_actor(None),
        now=datetime.now(UTC),
        replaces=args.replace,
        new_machine=enrol_gate.NewMachine(title, args.preset or ""),
        build_values=dict(zip(("host", "device_id"), args.plug or (), strict=False)),
    )
    command = f"sudo fabgate join {code.address.removeprefix('https://')}"
    if args.json:
        found = {"gate": code.gate, "machine": code.machine, "code": joins.text_of(code), "command": command}
        sys.stdout.write(json.dumps({**found, "valid_until": code.valid_until.isoformat()}, indent=2) + "\n")
        return 0
    until = code.valid_until.astimezone(ZoneInfo(settings.TIME_ZONE))
    sys.stdout.write(
        f"On the Raspberry Pi:  {command}\nCode:                 {joins.text_of(code)}   (until {until:%H:%M}, for one gate)\n"
    )
    return 0


def _refuse_options_of_existing(args: argparse.Namespace) -> None:
    """Raise UsageError if a title or preset is given for a machine that exists already, and so keeps its own."""
    if (args.title or args.preset) and Machine.objects.filter(name=args.machine).exists():
        raise UsageError(
            f"the machine {args.machine!r} exists already, and --title and --preset are for a new one; to change it, run"
            f" '{called.command(f'machine-set {args.machine} --title TITLE --preset KIND')}'"
        )


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
    gates, now = list(Gate.objects.select_related("machine", "broker_account").order_by("name")), datetime.now(UTC)
    cards = clones.of(gates)
    rows = [
        _row(gate, newest.get(gate.pk), lost.get(gate.pk, 0), quarantined.get(gate.pk, 0))
        | _cards(gate, cards[gate.pk], now)
        for gate in gates
    ]
    if args.json:
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return 0
    if not rows:
        add = called.command("gate-add NAME --machine NAME")
        sys.stdout.write(f"There is no gate yet; add one with '{add}'.\n")
        return 0
    zone = ZoneInfo(settings.TIME_ZONE)
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
        "account": gate.broker_account.state if hasattr(gate, "broker_account") else None,
        # None for a gate that was revoked, and needs none.
        "has_authorities": roster.knows_authorities(gate) if gate.token_hash else None,
    }


def _cards(gate: Gate, found: Found, now: datetime) -> dict[str, Any]:
    """Return from which addresses two devices use its keys, and from which one old keys were lately used."""
    devices = [*found.returned, found.newest] if found.is_cloned else []
    return {
        "clones": [device.address for device in devices if device is not None],
        "old_keys_from": found.former[0].address if found.has_old_card(gate, now) else None,
    }


def _cells(row: dict[str, Any], now: datetime, zone: ZoneInfo) -> tuple[str, ...]:
    notes = [
        *([f"clone: two devices use its keys ({', '.join(row['clones'])})"] if row["clones"] else []),
        *([f"old keys used from {row['old_keys_from']}, and refused"] if row["old_keys_from"] else []),
        *(["locked"] if row["locked"] else []),
        *([_ACCOUNTS[row["account"]]] if row["account"] in _ACCOUNTS else []),
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


def show_gaps(args: argparse.Namespace) -> int:
    """Print which numbers are missing, and the messages in quarantine; return 1 if entries are missing.

    `missing`: lost, because the gate no longer keeps those numbers, or will never write to that journal again.
    `awaited`: not stored yet although later numbers are; the gate still has them and sends them again.
    """
    missing, awaited = _missing(), _awaited()
    clones = [
        {"gate": journal.gate.name, "journal": journal.name}
        for journal in Journal.objects.filter(cloned=True).select_related("gate").order_by("id")
    ]
    quarantine = [_kept(row) for row in Quarantine.objects.select_related("gate").order_by("id").defer("body")]
    if args.json:
        found = {"missing": missing, "awaited": awaited, "clones": clones, "quarantine": quarantine}
        sys.stdout.write(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
        return MISSING if missing else 0
    out = sys.stdout
    for row in missing:
        out.write(f"{row['gate']}: {_numbers(row)} missing (journal {row['journal']}, known since {row['since']})\n")
    for row in awaited:
        out.write(f"{row['gate']}: {_numbers(row)} awaited (journal {row['journal']})\n")
    for row in clones:
        out.write(
            f"{row['gate']}: clone: a second SD card still writes to the journal {row['journal']}, which has forked\n"
        )
    for row in quarantine:
        out.write(
            f"{row['gate'] or row['topic']!s}: in quarantine: {row['reason']}: {row['detail']}"
            f" (entry {row['journal'] or '?'}/{row['seq'] or '?'}, {_times(row['times'])}, last {row['last_at']})\n"
        )
    if not missing:
        out.write("Nothing is missing.\n")
    return MISSING if missing else 0


def _missing() -> list[dict[str, Any]]:
    holes = Hole.objects.filter(state=Hole.LOST).select_related("journal__gate")
    return [
        _range(hole.journal, hole.first, hole.last, since=hole.found_at.isoformat())
        for hole in holes.order_by("journal", "first")
    ]


def _awaited() -> list[dict[str, Any]]:
    """Return the gaps before stored entries, except those below entries of a clone."""
    rows = list(Journal.objects.select_related("gate").order_by("id"))
    last = {pk: entry.seq for pk, entry in completeness.last_stored(rows).items()}
    found = journals.missing_of([(journal, min(last.get(journal.pk, 0), journal.last_own)) for journal in rows])
    return [_range(journal, first, end) for journal in rows for first, end in found[journal.pk]]


def _range(journal: Journal, first: int, last: int, **more: str) -> dict[str, Any]:
    return {"gate": journal.gate.name, "journal": journal.name, "first": first, "last": last, **more}


def _numbers(row: dict[str, Any]) -> str:
    if row["first"] == row["last"]:
        return f"entry {row['first']}"
    return f"entries {row['first']} to {row['last']}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _kept(row: Quarantine) -> dict[str, Any]:
    return {
        "gate": row.gate.name if row.gate else None,
        "topic": row.topic,
        "journal": row.journal_name,
        "seq": row.seq,
        "reason": row.reason,
        "detail": row.detail,
        "counts": row.counts,
        "times": row.times,
        "first_at": row.first_at.isoformat(),
        "last_at": row.last_at.isoformat(),
    }
