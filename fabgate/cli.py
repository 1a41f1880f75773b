"""What can be done from a terminal? One function a verb; heavy imports inside the verb.

Exit codes: 0 done; 1 done and something was found (a broken chain, a refused roster), or the system refuses (a file
that is not ours); 2 the input is wrong; 3 the hardware does not answer; 4 the journal cannot be used; 5 a seal is
wrong. Every verb has ``--help`` (fabgate/arguments.py); those that report have ``--json``.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fabgate.arguments import parser
from fabgate.errors import FabgateError, JournalError, UsageError

#: No journal has more entries: SQLite's largest number.
_LARGEST = (1 << 63) - 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; return its exit code."""
    arguments = parser().parse_args(argv)
    logging.basicConfig(
        level=logging.INFO if getattr(arguments, "verbose", True) else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s"
        if sys.stderr.isatty()
        else "%(levelname)s %(name)s: %(message)s",
    )
    try:
        # A verb of ours is the name of a function below; one of the collector brings its own.
        code: int = (globals()[arguments.verb] if hasattr(arguments, "verb") else arguments.run)(arguments)
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


# --- verbs ------------------------------------------------------------------------------------------------------------


def run(arguments: argparse.Namespace) -> int:
    """Run a gate until SIGTERM."""
    gc.disable()  # what is imported stays: looking through it for garbage would only lengthen the start, and later a tap
    from fabgate.gate import daemon
    from fabgate.gate.config import gate_yaml
    from fabgate.gate.logs import unblocked_logging

    gc.freeze()
    gc.enable()
    with unblocked_logging():
        return daemon.run(gate_yaml.load(arguments.config))


def check(arguments: argparse.Namespace) -> int:
    """Look for every mistake in a configuration and its roster file."""
    from fabgate.gate.terminal.check import check as check_all

    try:
        found = check_all(arguments.file)
    except UsageError as error:
        if arguments.json:
            print(json.dumps({"ok": False, "mistakes": str(error).splitlines()}, indent=2))
            return error.exit_code
        raise
    roster = found.roster
    counts = None if roster is None else {"members": len(roster.members), "refused": len(roster.refusals)}
    gate = found.config.topics.account
    if arguments.json:
        print(json.dumps({"ok": True, "mistakes": [], "gate": gate, "roster": counts}))
        return 0
    print(f"ok: {arguments.file} describes the gate {gate}")
    if counts is not None:
        members, refused = counts["members"], counts["refused"]
        beside = f", and {refused} who {'is' if refused == 1 else 'are'} refused" if refused else ""
        print(f"ok: {found.config.roster.file} has {members} {'member' if members == 1 else 'members'}{beside}")
    return 0


def status(arguments: argparse.Namespace) -> int:
    """Tell what the gate thinks now; exit code 1 when it has a problem."""
    from fabgate.gate.status import rows, with_age

    path = _where(arguments) / "status.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        found["alive"] = _alive(found["pid"], path.with_name("lock"))
        found = with_age(found, path.with_name("roster.json"), datetime.now(UTC))
        shown = rows(found, alive=found["alive"], now=datetime.now(UTC))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"{path}: no status ({reason}); is the gate running, and is this its state directory?"
        ) from error
    if arguments.json:
        print(json.dumps(found, indent=2))
    else:
        for name, value in shown:
            print(f"{name:<12}{value}")
    return 0 if found["alive"] and not found["problems"] else 1


def journal(arguments: argparse.Namespace) -> int:
    """Print entries."""
    from contextlib import closing

    from fabgate.gate.journal.reader import Reader
    from fabgate.gate.terminal import lists

    with closing(Reader(_where(arguments) / "journal.db")) as reader:
        for stored in _stored(reader, after=max(0, min(arguments.after, _LARGEST))):
            if arguments.json:
                print(stored.body.decode(errors="backslashreplace"))
                continue
            try:
                line = lists.entry(stored.body)
            except UsageError as error:
                raise JournalError(
                    f"entry {stored.seq} cannot be read ({error}); fabgate audit verify says from where on the"
                    f" journal is damaged, --after {stored.seq} goes on behind it"
                ) from error
            print(line)
    return 0


def audit_verify(arguments: argparse.Namespace) -> int:
    """Check the chain; exit code 1 when it is broken."""
    from contextlib import closing

    from fabgate.gate.journal.reader import Reader

    with closing(Reader(_where(arguments) / "journal.db")) as reader:
        floor, head, mark = reader.bounds()
        broken = reader.first_break()
    if arguments.json:
        print(json.dumps({"journal": reader.id, "floor": floor, "head": head, "mark": mark, "first_break": broken}))
    elif broken is None:
        gone = f"; entries up to {floor - 1} were not kept, and no collector has those after {mark}"
        print(
            f"ok: entries {floor} to {head} of journal {reader.id} are whole; acknowledged up to {mark}"
            f"{gone if floor - 1 > mark else ''}"
        )
    else:
        print(f"BROKEN at entry {broken} of journal {reader.id}: it was changed, or what stood before it was")
    return 0 if broken is None else 1


def audit_untapped(arguments: argparse.Namespace) -> int:
    """List the sessions that may have begun without a tap."""
    from contextlib import closing

    from fabgate import untapped, wire
    from fabgate.gate.journal.reader import Reader
    from fabgate.gate.terminal import lists

    seq, body, count = 0, b"", 0
    with closing(Reader(_where(arguments) / "journal.db")) as reader:

        def entries() -> Iterator[wire.Entry]:
            nonlocal seq, body
            for stored in _stored(reader):
                seq, body = stored.seq, stored.body
                yield wire.decode_entry(body)

        try:
            for doubt in untapped.untapped(entries()):
                count += 1
                if arguments.json:
                    entry = json.loads(body)
                    print(json.dumps({"cause": doubt.cause, "after_ms": doubt.after_ms, "entry": entry}))
                else:
                    print(
                        f"{lists.entry(body)}\n{'':8}{untapped.CAUSES[doubt.cause]} {doubt.after_ms / 1000:.1f} s before"
                    )
        except UsageError as error:
            raise JournalError(
                f"entry {seq} cannot be read ({error}); fabgate audit verify says from where on the journal is damaged"
            ) from error
    if not arguments.json:
        print(f"{count or 'no'} session{'' if count == 1 else 's'} may have begun without a tap")
    return 0


def badge(arguments: argparse.Namespace) -> int:
    """Explain a badge."""
    from fabgate import badge as badges

    try:
        found = badges.parse(arguments.spelling) if arguments.spelling else _read_card(arguments)
    except badges.AmbiguousError as error:
        return _explain(error, as_json=arguments.json)
    digest = None
    if arguments.digest:
        from fabgate.gate.config import gate_yaml
        from fabgate.gate.config.keys import badge_key

        if arguments.config is None:
            raise UsageError("a digest needs the gate's badge key: say --config gate.yaml")
        digest = badges.digest(found, badge_key(gate_yaml.load(arguments.config), make=False))
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


def _explain(error: Any, *, as_json: bool) -> int:
    """Show every card that digits can be; they stay wrong input."""
    if as_json:
        cards = {spelling: str(found) for spelling, _, found in error.readings}
        print(json.dumps({"spellings": None, "digest": None, "readings": cards}, indent=2))
        return UsageError.exit_code
    if not error.readings:
        raise error
    wide = max(24, *(2 + len(text) for spelling, _, found in error.readings for text in (spelling, str(found))))
    rows = [f"  {spelling:<{wide}}{found!s:<{wide}}{reading}" for spelling, reading, found in error.readings]
    hint = "not sure? Lay the card on a reader: fabgate badge --config gate.yaml"
    raise UsageError("\n".join([f"{error.problem}; write the one that is meant:", *rows, hint]))


def _read_card(arguments: argparse.Namespace) -> Any:
    from fabgate.badge import from_uid
    from fabgate.drivers.readers import Card, Misread
    from fabgate.gate.config import gate_yaml as gate_config

    if arguments.config is None:
        raise UsageError("which card? Give a spelling, or --config gate.yaml to read one from its reader")
    config = gate_config.load(arguments.config)
    if _gate_runs(config.state_dir):
        raise UsageError("the gate is running and has the reader; stop it first (systemctl stop fabgate-gate)")
    reader = gate_config.make_driver("reader", config.reader)
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
    from fabgate.drivers.emulated.control import LONGEST_TAP_MS, SHORTEST_TAP_MS

    text, folder = arguments.for_ms, arguments.data
    for_ms = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0
    if not SHORTEST_TAP_MS <= for_ms <= LONGEST_TAP_MS:
        raise UsageError(f"--for: found {text[:20]!r}, wanted {SHORTEST_TAP_MS} to {LONGEST_TAP_MS} milliseconds")
    if folder is not None:
        gates = sorted(path.stem for path in folder.glob("*.sock"))
        if not (folder / "people.json").is_file() or not gates:
            raise UsageError(f"--data: found no running demo in {folder}, wanted one: fabgate demo --data {folder}")
        if arguments.socket not in gates:
            raise UsageError(f"found no gate {arguments.socket!r} in {folder}, wanted {' or '.join(gates)}")
    try:
        taps.tap(arguments.socket, arguments.uid, for_ms=for_ms, data=folder)
    except UsageError as error:
        if folder is None:
            raise
        people = json.loads((folder / "people.json").read_text(encoding="utf-8"))
        raise UsageError(f"{error}; the people of this demo are {', '.join(people)}") from error
    print(f"tapped {arguments.uid} at {arguments.socket} for {for_ms} ms")
    return 0


def roster_show(arguments: argparse.Namespace) -> int:
    """Show the stored roster."""
    from contextlib import closing

    import msgspec

    from fabgate.gate.roster.directory import Directory
    from fabgate.gate.terminal import lists

    with closing(Directory(_where(arguments) / "roster.db")) as directory:
        people = directory.all_members()
    version, tz, machine = directory.version, directory.tz, directory.machine
    if arguments.json:
        found = {"version": version, "members": directory.members, "tz": tz, "machine": msgspec.to_builtins(machine)}
        listed = [{**msgspec.to_builtins(member), "badges": len(member.badges)} for member in people]
        print(json.dumps({**found, "people": listed}, indent=2))
        return 0
    for line in lists.roster(version, tz, machine, people, datetime.now(UTC)):
        print(line)
    return 0


def roster_fetch(arguments: argparse.Namespace) -> int:
    """Fetch and store the roster once; exit code 1 when the collector gave none that can be taken."""
    from fabgate.gate.clock import Clock
    from fabgate.gate.config import gate_yaml as gate_config
    from fabgate.gate.roster.directory import is_whole
    from fabgate.gate.roster.http_source import HttpSource
    from fabgate.gate.roster.source import RosterRefused, RosterStored

    config = gate_config.load(arguments.config)
    if config.roster.url is None:
        raise UsageError(f"{arguments.config}: the roster is a file; there is nothing to fetch")
    if _gate_runs(config.state_dir):
        raise UsageError(f"the gate is running and asks by itself every {config.roster.fetch_every_s} s")
    config.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    told: list[object] = []
    clock = Clock(config.clock.source)
    stored_in = config.state_dir / "roster.db"
    source = HttpSource(config, stored_in, told.append, boot=clock.boot, now=clock.now)
    if stored_in.exists() and not is_whole(stored_in):
        source.mend()
    confirmed = source.fetch()
    stored = next((event for event in told if isinstance(event, RosterStored)), None)
    refused = [event.reason for event in told if isinstance(event, RosterRefused)]
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
    """Allow the gate to take a roster that it does not take by itself."""
    from fabgate.gate.config import gate_yaml as gate_config
    from fabgate.gate.roster.adopt import adopt

    config = gate_config.load(arguments.config)
    for line in adopt(config):
        print(line)
    when = "within seconds" if _gate_runs(config.state_dir) else "when it starts"
    print(f"ok: the gate takes this roster {when}, whole and once; if another one is offered by then, adopt again")
    return 0


def rename(arguments: argparse.Namespace) -> int:
    """Give the gate the name of its configuration."""
    from fabgate.gate.config import gate_yaml as gate_config
    from fabgate.gate.terminal import rename as renaming

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
    if arguments.script:
        return script.run(arguments.data, lang=arguments.lang)
    return live.run(arguments.data, lang=arguments.lang, browser=not arguments.no_browser)


# --- small tools ------------------------------------------------------------------------------------------------------


def _where(arguments: argparse.Namespace) -> Path:
    """Return the state directory that is meant."""
    from fabgate.gate.config import gate_yaml

    if arguments.state_dir is not None:
        return Path(arguments.state_dir)
    return gate_yaml.load(arguments.config).state_dir


def _stored(reader: Any, *, after: int = 0) -> Iterator[Any]:
    """Yield the entries of a journal after a number, a page at a time."""
    while entries := reader.after(after, most=500):
        yield from entries
        after = entries[-1].seq


def _gate_runs(state_dir: Path) -> bool:
    import fcntl

    try:
        with (state_dir / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False  # it never ran here
    except BlockingIOError:
        return True
    return False


def _alive(pid: int, lock: Path) -> bool:
    """Say whether the gate with this number runs: after a restart of the computer its number may be another's."""
    if not Path(f"/proc/{pid}").exists():
        return False
    try:
        return not lock.exists() or _gate_runs(lock.parent)
    except OSError:
        return True  # its lock is not ours to look at
