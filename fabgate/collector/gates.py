"""Which gates are there, and how is a new one let in? ``gate-add`` makes all that a gate must know, as files."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.db.models import Count, F, Sum

from fabgate import wire
from fabgate.collector import roster, table
from fabgate.collector.environ import Environment
from fabgate.collector.models import Gate, Hole, Journal, Machine, Quarantine
from fabgate.collector.start import new_key, write_secret
from fabgate.errors import UsageError

#: A gate speaks every 60 s; one that missed three times is not there, whatever it said last.
HEARTBEATS: Final = timedelta(minutes=3)


def add(args: argparse.Namespace) -> int:
    """Register a gate and print where its secrets are."""
    env: Environment = settings.ENVIRONMENT
    mistakes = []
    for what, name in (("gate", args.name), ("machine", args.machine)):
        try:
            wire.check_name(name, what=what)
        except UsageError as error:
            mistakes.append(str(error))
    if mistakes:
        raise UsageError("\n".join(mistakes))
    directory = env.gate_directory(args.name)
    token_file = directory / "token"
    with transaction.atomic():
        gate = Gate.objects.filter(name=args.name).first() or Gate(name=args.name)
        if gate.token_hash and not args.new_token:
            raise UsageError(
                f"the gate {args.name!r} has a token already ({token_file}); give --new-token to replace it"
            )
        gate.machine = Machine.objects.get_or_create(name=args.machine)[0]
        token = gate.new_token()
        gate.save()
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        token_file.unlink(missing_ok=True)
        write_secret(token_file, token + "\n")
    write_secret(directory / "seal.keys", new_key("s1"))
    (directory / "badge.keys").unlink(missing_ok=True)
    write_secret(directory / "badge.keys", env.badge_key_file.read_text(encoding="utf-8"))
    roster.rebuild([gate])
    found = {
        "gate": gate.name,
        "machine": args.machine,
        "token_file": str(token_file),
        "gate_key_file": str(directory / "seal.keys"),
        "badge_key_file": str(directory / "badge.keys"),
        "roster_path": f"/api/v1/gates/{gate.name}/roster",
    }
    if args.json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    else:
        sys.stdout.write("".join(f"{key}: {value}\n" for key, value in found.items()))
        sys.stdout.write("Now copy the three files to the gate, see docs/install.md, part 3.\n")
    return 0


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
    table.write([head, *(_cells(row, now, zone) for row in rows)], sys.stdout)
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
