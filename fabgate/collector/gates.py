"""Which gates are there, and how is a new one let in? ``gate-add`` makes all that a gate must know, as files."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Count, F, Sum

from fabgate import wire
from fabgate.collector import roster
from fabgate.collector.environ import Environment
from fabgate.collector.models import Gate, Hole, Journal, Machine, Quarantine
from fabgate.collector.start import new_key, write_secret
from fabgate.errors import UsageError


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
    for row in rows:
        state = "online" if row["online"] else f"silent since {row['seen_at'] or 'ever'}"
        sys.stdout.write(
            f"{row['gate']}: {row['machine'] or 'no machine'}, {state}, stored to {row['stored']} of {row['head']},"
            f" roster {row['reported_roster']} of {row['roster']}{', locked' if row['locked'] else ''}"
            f"{_count(row['lost'], 'lost')}{_count(row['quarantined'], 'in quarantine')}\n"
        )
    return 0


def _row(gate: Gate, journal: Journal | None, lost: int, quarantined: int) -> dict[str, Any]:
    return {
        "gate": gate.name,
        "machine": gate.machine.name if gate.machine else None,
        "online": gate.online,
        "seen_at": gate.seen_at.isoformat() if gate.seen_at else None,
        "journal": journal.name if journal else None,
        "stored": journal.ack_seq if journal else 0,
        "head": journal.head if journal else 0,
        "roster": gate.roster_version,
        "reported_roster": gate.reported_roster,
        "locked": bool(gate.machine and gate.machine.lock),
        "lost": lost,
        "quarantined": quarantined,
    }


def _count(number: int, what: str) -> str:
    return f", {number} {what}" if number else ""
