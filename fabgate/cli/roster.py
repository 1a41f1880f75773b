"""``fabgate roster``: shows, fetches and adopts the roster of the gate."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import closing
from datetime import UTC, datetime

from fabgate.cli import state_folder
from fabgate.errors import UsageError
from fabgate.gate.config import gate_yaml
from fabgate.gate.terminal.running import gate_runs


def roster_show(arguments: argparse.Namespace) -> int:
    """Show the stored roster."""
    import msgspec

    from fabgate.gate.roster.directory import Directory
    from fabgate.gate.terminal import lists

    with closing(Directory(state_folder.of(arguments) / "roster.db")) as directory:
        people = directory.all_members()
    version, tz, machine = directory.version, directory.tz, directory.machine
    if arguments.json:
        content = {"version": version, "members": directory.members, "tz": tz, "machine": msgspec.to_builtins(machine)}
        listed = [{**msgspec.to_builtins(member), "badges": len(member.badges)} for member in people]
        print(json.dumps({**content, "people": listed}, indent=2))
        return 0
    for line in lists.roster(version, tz, machine, people, datetime.now(UTC)):
        print(line)
    return 0


def roster_fetch(arguments: argparse.Namespace) -> int:
    """Fetch and store the roster once; exit code 1 when that failed or the roster was refused."""
    from fabgate.gate.clock import Clock
    from fabgate.gate.roster.directory import is_whole
    from fabgate.gate.roster.http_source import HttpSource
    from fabgate.gate.roster.source import RosterRefused, RosterStored

    config = gate_yaml.load(arguments.config, switches=False)
    if config.roster.url is None:
        raise UsageError(f"{arguments.config}: the roster is a file; there is nothing to fetch")
    if gate_runs(config.state_dir):
        raise UsageError(f"the gate is running and fetches the roster every {config.roster.fetch_every_s} s")
    config.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    events: list[object] = []
    clock = Clock(config.clock.source)
    stored_in = config.state_dir / "roster.db"
    source = HttpSource(config, stored_in, events.append, boot=clock.boot, now=clock.now)
    if stored_in.exists() and not is_whole(stored_in):
        source.replace_damaged()
    confirmed = source.fetch()
    stored = next((event for event in events if isinstance(event, RosterStored)), None)
    refused = [event.reason for event in events if isinstance(event, RosterRefused)]
    if arguments.json:
        counts = None if stored is None else {"version": stored.version, "members": stored.members}
        print(json.dumps({"ok": confirmed, "stored": counts, "refused": refused}))
    elif stored is not None:
        members = f"{stored.members} {'member' if stored.members == 1 else 'members'}"
        print(f"ok: version {stored.version} with {members} is stored")
    elif confirmed:
        print("ok: the stored roster is still the newest")
    for reason in refused:
        print(f"refused: {reason}", file=sys.stderr)
    return 0 if confirmed else 1


def roster_adopt(arguments: argparse.Namespace) -> int:
    """Allow the gate to accept a roster that it would refuse."""
    from fabgate.gate.roster.adopt import adopt

    config = gate_yaml.load(arguments.config, switches=False)
    for line in adopt(config):
        print(line)
    when = "within seconds" if gate_runs(config.state_dir) else "when it starts"
    print(f"ok: the gate accepts this roster {when}; if another one is offered by then, adopt that one")
    return 0
