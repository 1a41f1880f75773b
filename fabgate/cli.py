"""What can be done from a terminal? One function a verb; heavy imports inside the verb.

Exit codes: 0 done; 1 done and something was found (a broken chain, a refused tap), or the system refuses (a file that
is not ours); 2 the input is wrong; 3 the hardware does not answer; 4 the journal cannot be used; 5 a seal is wrong. Every verb has ``--help``; those that report
have ``--json``.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fabgate
from fabgate.errors import FabgateError, UsageError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; return its exit code."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    logging.basicConfig(
        level=logging.INFO if getattr(arguments, "verbose", True) else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s"
        if sys.stderr.isatty()
        else "%(levelname)s %(name)s: %(message)s",
    )
    try:
        code: int = (arguments.verb if hasattr(arguments, "verb") else arguments.run)(arguments)
        sys.stdout.flush()  # here, where a reader of our output that went away is no error
    except FabgateError as error:
        _complain(str(error))
        return error.exit_code
    except BrokenPipeError:
        # The reader of our output went away (`| head`): that is no error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        # A directory that is not ours, a disk that is full: what the system says is the whole story.
        _complain(str(error))
        return FabgateError.exit_code
    except KeyboardInterrupt:
        return 130
    return code


def _complain(text: str) -> None:
    for line in text.splitlines():
        print(f"error: {line}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fabgate", description=fabgate.__doc__)
    parser.add_argument("--version", action="version", version=f"fabgate {fabgate.__version__}")
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")

    verb = verbs.add_parser(
        "run", help="run the gate of a machine", description="Run the gate of a machine until SIGTERM."
    )
    verb.add_argument("--config", type=Path, default=Path("/etc/fabgate/gate.yaml"), help="default: %(default)s")
    verb.set_defaults(verb=run)

    verb = verbs.add_parser("check", help="look for every mistake in a gate.yaml")
    verb.add_argument("file", type=Path, metavar="FILE")
    verb.add_argument("--json", action="store_true")
    verb.set_defaults(verb=check, verbose=False)

    verb = verbs.add_parser("status", help="what the gate on this computer thinks now")
    _state_dir(verb)
    verb.add_argument("--json", action="store_true")
    verb.set_defaults(verb=status, verbose=False)

    verb = verbs.add_parser("journal", help="print the entries of a gate's journal")
    _state_dir(verb)
    verb.add_argument("--after", type=int, default=0, metavar="SEQ", help="only entries after this number")
    verb.add_argument("--json", action="store_true", help="the stored entries, one a line")
    verb.set_defaults(verb=journal, verbose=False)

    verb = verbs.add_parser("audit", help="check that no entry was changed or removed")
    audits = verb.add_subparsers(required=True, metavar="WHAT")
    verify = audits.add_parser("verify", help="walk the journal's chain from its anchor")
    _state_dir(verify)
    verify.add_argument("--json", action="store_true")
    verify.set_defaults(verb=audit_verify, verbose=False)

    _badge_verbs(verbs)
    _roster_verbs(verbs)
    _workshop_verbs(verbs)
    return parser


def _badge_verbs(verbs: Any) -> None:
    verb = verbs.add_parser("badge", help="explain a badge: every spelling, and its digest")
    verb.add_argument(
        "spelling", nargs="?", metavar="SPELLING", help="hex, dec:…, w26:… (see the README); none: wait for a card"
    )
    verb.add_argument("--digest", action="store_true", help="print the digest under the gate's badge key")
    verb.add_argument("--config", type=Path, help="the gate.yaml whose reader and badge key are used")
    verb.add_argument("--json", action="store_true")
    verb.set_defaults(verb=badge, verbose=False)

    verb = verbs.add_parser("tap", help="lay a card on an emulated reader")
    verb.add_argument("socket", metavar="GATE", help="the control socket, or the name of a gate of a running demo")
    verb.add_argument("uid", metavar="UID_OR_NAME", help="a UID in any spelling, or a member of the demo")
    verb.add_argument(
        "--for", dest="for_ms", type=int, default=300, metavar="MS", help="how long it stays (default %(default)s)"
    )
    verb.add_argument("--data", type=Path, help="the folder of the running demo")
    verb.set_defaults(verb=tap, verbose=False)


def _roster_verbs(verbs: Any) -> None:
    verb = verbs.add_parser("roster", help="the roster that the gate decides by")
    rosters = verb.add_subparsers(required=True, metavar="WHAT")
    show = rosters.add_parser("show", help="its version, members and machine rules")
    _state_dir(show)
    show.add_argument("--json", action="store_true")
    show.set_defaults(verb=roster_show, verbose=False)

    fetch = rosters.add_parser("fetch", help="ask the collector for it now (the gate must not be running)")
    fetch.add_argument("--config", type=Path, default=Path("/etc/fabgate/gate.yaml"), help="default: %(default)s")
    fetch.set_defaults(verb=roster_fetch, verbose=False)

    verb = verbs.add_parser("rename", help="give the gate the new name that its gate.yaml has")
    verb.add_argument("--config", type=Path, default=Path("/etc/fabgate/gate.yaml"), help="default: %(default)s")
    verb.set_defaults(verb=rename, verbose=False)


def _workshop_verbs(verbs: Any) -> None:
    verb = verbs.add_parser("demo", help="a workshop on this computer")
    verb.add_argument("--script", action="store_true", help="play a day without a terminal and check the books")
    verb.add_argument("--data", type=Path, help="keep everything in this folder (default: a temporary one)")
    verb.set_defaults(verb=demo, verbose=False)

    verb = verbs.add_parser("collector", help="the central side: store, show, count")
    _collector(verb)


def _state_dir(parser: argparse.ArgumentParser) -> None:
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--state-dir", type=Path, help="default: that of the configuration")
    where.add_argument("--config", type=Path, default=Path("/etc/fabgate/gate.yaml"), help="default: %(default)s")


def _collector(parser: argparse.ArgumentParser) -> None:
    try:
        from fabgate.collector.cli import add_verbs
    except ImportError as error:
        missing = f"the collector is not installed ({error}): pip install 'fabgate[collector]'"

        def refuse(_arguments: argparse.Namespace) -> int:
            raise UsageError(missing)

        parser.add_argument("rest", nargs=argparse.REMAINDER)
        parser.set_defaults(verb=refuse)
    else:
        add_verbs(parser.add_subparsers(title="verbs", required=True, metavar="VERB"))


# --- verbs ------------------------------------------------------------------------------------------------------------


def run(arguments: argparse.Namespace) -> int:
    """Run a gate until SIGTERM."""
    from fabgate.gate import config, daemon
    from fabgate.gate.logs import unblocked_logging

    with unblocked_logging():
        return daemon.run(config.load(arguments.config))


def check(arguments: argparse.Namespace) -> int:
    """Look for every mistake in a configuration."""
    from fabgate.gate import config

    try:
        found = config.load(arguments.file)
    except UsageError as error:
        if arguments.json:
            print(json.dumps({"ok": False, "mistakes": str(error).splitlines()}, indent=2))
            return error.exit_code
        raise
    if arguments.json:
        print(json.dumps({"ok": True, "mistakes": []}))
    else:
        print(f"ok: {arguments.file} describes the gate {found.topics.account}")
    return 0


def status(arguments: argparse.Namespace) -> int:
    """Tell what the gate thinks now; exit code 1 when it has a problem."""
    path = _where(arguments) / "status.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        found["alive"] = _alive(found["pid"])
        rows = _status_rows(found)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path}: no status ({error}); is the gate running, and is this its state directory?"
        ) from error
    if arguments.json:
        print(json.dumps(found, indent=2))
    else:
        for name, value in rows:
            print(f"{name:<12}{value}")
    return 0 if found["alive"] and not found["problems"] else 1


def _status_rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    causes = f" (blocked: {', '.join(found['causes'])})" if found.get("causes") else ""
    member = f" by {found['member']}" if found.get("member") else ""
    link = "connected" if found["mqtt"]["connected"] else found["mqtt"]["problem"]
    if not found["mqtt"].get("configured", True):
        link = "not configured"
    roster = found["roster"]
    rows = {
        "machine": f"{found['machine']} ({found['site']}/{found['gate']})",
        "process": f"running, pid {found['pid']}" if found["alive"] else "NOT RUNNING",
        "state": f"{found['state']}{member}{causes}",
        "journal": f"entry {found['journal']['head']}, {found['journal']['unacknowledged']} not yet at the collector",
        "broker": link,
        "roster": f"version {roster['version']}" if roster else "none",
        "wall clock": "synchronised" if found["clock_synced"] else "not synchronised",
    }
    if not found["alive"]:
        # A dead gate's last words are not the present: the journal knows what came after them.
        rows |= {name: f"last known: {rows[name]}" for name in ("state", "journal", "broker", "roster", "wall clock")}
    return [*rows.items(), *(("problem", str(problem)) for problem in found["problems"])]


def journal(arguments: argparse.Namespace) -> int:
    """Print entries."""
    from contextlib import closing

    from fabgate.gate.journal import Reader

    with closing(Reader(_where(arguments) / "journal.db")) as reader:
        after = arguments.after
        while entries := reader.after(after, most=500):
            for stored in entries:
                print(stored.body.decode() if arguments.json else _entry_line(stored.body))
            after = entries[-1].seq
    return 0


def _entry_line(body: bytes) -> str:
    from datetime import datetime

    from fabgate import wire

    entry = wire.decode_entry(body)
    time = f"{entry.time:%Y-%m-%d %H:%M:%S} " if isinstance(entry.time, datetime) else "(clock unknown)     "
    return f"{entry.seq:>7} {time} {wire.short_type(entry.type):<17} {_short(bytes(entry.data))}"


def _short(data: bytes) -> str:
    found = json.loads(data)
    found.pop("clock", None)
    for key in ("badge", "session"):
        if isinstance(found.get(key), str):
            found[key] = f"…{found[key][-6:]}"
    return " ".join(f"{key}={_plain(value)}" for key, value in found.items() if value not in (None, [], False))


def _plain(value: object) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    if isinstance(value, dict):
        return str(value.get("kind", value))
    return str(value)


def audit_verify(arguments: argparse.Namespace) -> int:
    """Check the chain; exit code 1 when it is broken."""
    from contextlib import closing

    from fabgate.gate.journal import Reader

    with closing(Reader(_where(arguments) / "journal.db")) as reader:
        floor, head, mark = reader.bounds()
        broken = reader.first_break()
    if arguments.json:
        print(json.dumps({"journal": reader.id, "floor": floor, "head": head, "mark": mark, "first_break": broken}))
    elif broken is None:
        print(f"ok: entries {floor} to {head} of journal {reader.id} are whole; acknowledged up to {mark}")
    else:
        print(f"BROKEN at entry {broken} of journal {reader.id}: it was changed, or what stood before it was")
    return 0 if broken is None else 1


def badge(arguments: argparse.Namespace) -> int:
    """Explain a badge."""
    from fabgate import badge as badges

    found = badges.parse(arguments.spelling) if arguments.spelling else _read_card(arguments)
    digest = None
    if arguments.digest:
        from fabgate.gate import config
        from fabgate.gate.keys import badge_key

        if arguments.config is None:
            raise UsageError("a digest needs the gate's badge key: say --config gate.yaml")
        digest = badges.digest(found, badge_key(config.load(arguments.config), make=False))
    names = badges.spellings(found)
    if arguments.json:
        print(json.dumps({"spellings": names, "digest": digest}, indent=2))
        return 0
    if digest is not None:
        print(digest)
        return 0
    for name, spelling in names.items():
        print(f"{name:<18}{spelling}")
    return 0


def _read_card(arguments: argparse.Namespace) -> Any:
    from fabgate.badge import from_uid
    from fabgate.drivers.readers import Card, Misread
    from fabgate.gate import config

    if arguments.config is None:
        raise UsageError("which card? Give a spelling, or --config gate.yaml to read one from its reader")
    section = config.load(arguments.config).reader
    reader = config.make_driver("reader", section)
    reader.open()
    print("lay a card on the reader …", file=sys.stderr)
    told: object = None
    try:
        while True:
            seen = reader.poll()
            if isinstance(seen, Card):
                return from_uid(seen.uid)
            if isinstance(seen, Misread) and seen.reason != told:
                told = seen.reason
                print(f"not read: {seen.reason}", file=sys.stderr)
    finally:
        reader.close()


def tap(arguments: argparse.Namespace) -> int:
    """Lay a card on an emulated reader."""
    from fabgate.demo import taps

    return taps.tap(arguments.socket, arguments.uid, for_ms=arguments.for_ms, data=arguments.data)


def roster_show(arguments: argparse.Namespace) -> int:
    """Show the stored roster."""
    import msgspec

    from fabgate.gate.roster import Directory

    directory = Directory(_where(arguments) / "roster.db")
    directory.close()
    found = {"version": directory.version, "members": directory.members, "tz": directory.tz}
    machine = msgspec.to_builtins(directory.machine)
    if arguments.json:
        print(json.dumps({**found, "machine": machine}, indent=2))
        return 0
    for name, value in {**found, **{f"machine.{key}": value for key, value in machine.items()}}.items():
        print(f"{name:<24}{value}")
    return 0


def roster_fetch(arguments: argparse.Namespace) -> int:
    """Fetch and store the roster once; exit code 1 when the collector gave none that can be taken."""
    from fabgate.gate import config as gate_config
    from fabgate.gate.clock import Clock
    from fabgate.gate.roster_http import HttpSource
    from fabgate.gate.roster_source import RosterRefused, RosterStored

    config = gate_config.load(arguments.config)
    if config.roster.url is None:
        raise UsageError(f"{arguments.config}: the roster is a file; there is nothing to fetch")
    if _gate_runs(config.state_dir):
        raise UsageError(f"the gate is running and asks by itself every {config.roster.fetch_every_s} s")
    told: list[object] = []
    clock = Clock(config.clock.source)
    source = HttpSource(config, config.state_dir / "roster.db", told.append, boot=clock.boot, now=clock.now)
    confirmed = source.fetch()
    for event in told:
        if isinstance(event, RosterRefused):
            print(f"refused: {event.reason}", file=sys.stderr)
        elif isinstance(event, RosterStored):
            print(f"ok: version {event.version} with {event.members} members is stored")
        else:
            print("ok: the stored roster is still the newest")
    return 0 if confirmed else 1


def rename(arguments: argparse.Namespace) -> int:
    """Give the gate the name of its configuration."""
    from fabgate.gate import config as gate_config
    from fabgate.gate import rename as renaming

    print(renaming.rename(gate_config.load(arguments.config)))
    return 0


def demo(arguments: argparse.Namespace) -> int:
    """Bring up a workshop."""
    try:
        from fabgate.demo import live, script
    except ImportError as error:
        raise UsageError(
            f"the demo is not installed ({error}): pip install 'fabgate[demo]', or run 'make demo'"
        ) from error
    return script.run(arguments.data) if arguments.script else live.run(arguments.data)


# --- small tools ------------------------------------------------------------------------------------------------------


def _where(arguments: argparse.Namespace) -> Path:
    """Return the state directory that is meant."""
    from fabgate.gate import config

    if arguments.state_dir is not None:
        return Path(arguments.state_dir)
    return config.load(arguments.config).state_dir


def _gate_runs(state_dir: Path) -> bool:
    import fcntl

    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (state_dir / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
