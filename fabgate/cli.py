"""The command line: one function for each verb, with heavy imports inside the function.

Exit codes: 0 success; 1 a problem was found (a broken chain, a refused roster), or the system refused (no permission for
a file); 2 wrong input; 3 the hardware does not answer; 4 the journal cannot be used; 5 a wrong seal; 6 altered books.
Every verb has ``--help`` (fabgate/arguments.py); verbs that report something have ``--json``.
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
from fabgate.errors import FabgateError, HardwareError, JournalError, UsageError

#: The largest integer of SQLite, and so the largest number of an entry.
_LARGEST = (1 << 63) - 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; return its exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    arguments = parser(words).parse_args(words)
    if hasattr(arguments, "verb"):  # the collector's verbs set up their own log, which leaves out one-time links
        logging.basicConfig(
            level=logging.INFO if getattr(arguments, "verbose", True) else logging.WARNING,
            format="%(asctime)s %(levelname)s %(name)s: %(message)s"
            if sys.stderr.isatty()
            else "%(levelname)s %(name)s: %(message)s",
        )
    try:
        # A gate's verb names a function below; a collector's verb has its own function.
        code: int = (globals()[arguments.verb] if hasattr(arguments, "verb") else arguments.run)(arguments)
        sys.stdout.flush()  # inside the try, so that a closed pipe is handled
    except FabgateError as error:
        _print_error(str(error))
        return error.exit_code
    except BrokenPipeError:
        # The program that reads the output has ended (`| head`), which is not an error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        # No permission for a directory, a full disk: the message of the system is enough.
        _print_error(str(error))
        return FabgateError.exit_code
    except KeyboardInterrupt:
        return 130
    return code


def _print_error(text: str) -> None:
    for line in text.splitlines():
        print(f"error: {line}", file=sys.stderr)


# --- verbs ------------------------------------------------------------------------------------------------------------


def run(arguments: argparse.Namespace) -> int:
    """Run a gate until SIGTERM."""
    gc.disable()  # imported modules are never garbage (docs/decisions/0084)
    from fabgate.gate import daemon
    from fabgate.gate.config import gate_yaml
    from fabgate.gate.logs import unblocked_logging

    gc.freeze()
    gc.enable()
    with unblocked_logging():
        return daemon.run(gate_yaml.load(arguments.config))


def check(arguments: argparse.Namespace) -> int:
    """Check a configuration and its roster file for mistakes."""
    from fabgate.gate.terminal.check import check as check_all

    try:
        checked = check_all(arguments.file)
    except UsageError as error:
        if arguments.json:
            print(json.dumps({"ok": False, "mistakes": str(error).splitlines()}, indent=2))
            return error.exit_code
        raise
    roster = checked.roster
    counts = None if roster is None else {"members": len(roster.members), "refused": len(roster.refusals)}
    gate = checked.config.topics.account
    if arguments.json:
        print(json.dumps({"ok": True, "mistakes": [], "gate": gate, "roster": counts}))
        return 0
    print(f"ok: {arguments.file} describes the gate {gate}")
    if len(checked.config.reader) > 1:
        print(f"ok: {_reader_that_holds(checked.config)}")
    if checked.unreached:
        print(f"not checked: {checked.unreached}")
    if counts is not None:
        members, refused = counts["members"], counts["refused"]
        others = f", and {refused} who {'is' if refused == 1 else 'are'} refused" if refused else ""
        print(f"ok: {checked.config.roster.file} has {members} {'member' if members == 1 else 'members'}{others}")
    return 0


def status(arguments: argparse.Namespace) -> int:
    """Show the gate's status; exit code 1 when it has a problem."""
    from fabgate.gate.status.status_file import rows, with_age
    from fabgate.gate.terminal.running import is_alive

    path = _state_dir(arguments) / "status.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        content["alive"] = is_alive(content["pid"], path.with_name("lock"))
        content = with_age(content, path.with_name("roster.json"), datetime.now(UTC))
        lines = rows(content, alive=content["alive"], now=datetime.now(UTC))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"{path}: there is no status ({reason}); is the gate running, and is this its state directory?"
        ) from error
    if arguments.json:
        print(json.dumps(content, indent=2))
    else:
        for name, value in lines:
            print(f"{name:<12}{value}")
    return 0 if content["alive"] and not content["problems"] else 1


def doctor(arguments: argparse.Namespace) -> int:
    """Examine the gate and its computer; exit code 1 when a check failed."""
    from fabgate.doctor import finding
    from fabgate.doctor.system import System
    from fabgate.gate.doctor.examination import examine

    if not arguments.root.is_dir():
        raise UsageError(f"--root: found no folder {arguments.root}, wanted that of a computer's files")
    findings = examine(arguments.config, System(arguments.root.absolute()))
    if arguments.json:
        print(json.dumps(finding.as_json(findings), indent=2))
    else:
        print("\n".join(finding.lines(findings)))
    return finding.exit_code(findings)


def selftest(arguments: argparse.Namespace) -> int:
    """Test the running gate with a person; exit code 1 when a step failed or was not done."""
    from fabgate.gate.config import gate_yaml
    from fabgate.gate.selftest import steps
    from fabgate.gate.selftest.terminal import Terminal
    from fabgate.gate.selftest.watch import Watch

    if not sys.stdin.isatty():
        raise UsageError("selftest asks a person at the machine: run it in a terminal")
    config = gate_yaml.load(arguments.config)
    if arguments.sheet is not None:
        from fabgate.doctor import commissioning

        commissioning.ready(arguments.sheet)
    person = Terminal(sys.stdin, sys.stderr if arguments.json else sys.stdout)
    watch = Watch(config, patience_s=arguments.wait)
    status, head = watch.status(), watch.head()
    test = steps.SelfTest(config, person, watch)
    stopped: FabgateError | None = None
    try:
        test.run()
    except (EOFError, KeyboardInterrupt):
        test.steps.append(steps.Step("the rest", "", steps.NOT_DONE, "the person left"))
    except FabgateError as error:
        test.steps.append(steps.Step("the rest", "", steps.NOT_DONE, str(error)))
        stopped = error
    found, made_at = test.steps, datetime.now(UTC)
    is_ok = all(step.outcome in (steps.OK, steps.NOT_INSTALLED) for step in found)
    missing = [step.name for step in found if step.outcome == steps.NOT_INSTALLED]
    if missing:
        person.tell(f"not installed: {', '.join(missing)}")
    if arguments.sheet is not None:
        facts = [
            ("Machine", str(status["machine"])),
            ("Gate", f"{config.site}/{config.gate}, fabgate {status['version']}"),
            ("Journal", f"{status['journal']['id']}, after entry {head}"),
            ("Tested", made_at.strftime("%Y-%m-%d %H:%M UTC")),
        ]
        rows = [(step.name, step.expected, step.outcome, step.detail) for step in found]
        commissioning.write(arguments.sheet, facts, rows, made_at=made_at)
        person.tell(f"The sheet to sign: {arguments.sheet}")
    if arguments.json:
        import msgspec

        print(json.dumps({"ok": is_ok, "steps": msgspec.to_builtins(found)}, indent=2))
    if stopped is not None:
        raise stopped
    person.tell("ok: every step" if is_ok else "NOT ok: do not put the machine into service")
    return 0 if is_ok else 1


def calibrate(arguments: argparse.Namespace) -> int:
    """Find a meter's thresholds with a person; exit code 1 where there are none."""
    import time

    from fabgate.gate.config import gate_yaml
    from fabgate.gate.selftest import calibration
    from fabgate.gate.selftest.terminal import Terminal
    from fabgate.gate.selftest.watch import Watch

    if not sys.stdin.isatty():
        raise UsageError("calibrate asks a person at the machine: run it in a terminal")
    config = gate_yaml.load(arguments.config)
    person = Terminal(sys.stdin, sys.stderr if arguments.json else sys.stdout)
    run = calibration.Calibration(config, person, Watch(config, patience_s=arguments.wait), pause=time.sleep)
    try:
        found = run.run()
    except EOFError:
        person.tell("Nothing was found: the person left.")
        return 1
    except calibration.NotFoundError as error:
        person.tell(str(error))
        return 1
    if arguments.json:
        import msgspec

        print(json.dumps(msgspec.to_builtins(found), indent=2))
    else:
        print(
            "\n".join(
                [
                    "Write these two lines into the section meter of gate.yaml, then restart the gate:",
                    "",
                    *calibration.as_yaml(found),
                ]
            )
        )
    return 0


def journal(arguments: argparse.Namespace) -> int:
    """Print entries."""
    from contextlib import closing

    from fabgate.gate.journal.reader import JournalReader
    from fabgate.gate.terminal import lists

    with closing(JournalReader(_state_dir(arguments) / "journal.db")) as reader:
        for stored in _stored(reader, after=max(0, min(arguments.after, _LARGEST))):
            if arguments.json:
                print(stored.body.decode(errors="backslashreplace"))
                continue
            try:
                line = lists.entry(stored.body)
            except UsageError as error:
                raise JournalError(
                    f"entry {stored.seq} cannot be read ({error}); fabgate audit verify finds the first damaged entry,"
                    f" --after {stored.seq} prints the entries after this one"
                ) from error
            print(line)
    return 0


def audit_verify(arguments: argparse.Namespace) -> int:
    """Check the chain; exit code 1 when it is broken."""
    from contextlib import closing

    from fabgate.gate.journal.reader import JournalReader

    with closing(JournalReader(_state_dir(arguments) / "journal.db")) as reader:
        floor, head, mark = reader.bounds()
        broken = reader.first_break()
    if arguments.json:
        print(json.dumps({"journal": reader.id, "floor": floor, "head": head, "mark": mark, "first_break": broken}))
    elif broken is None:
        lost = f"; entries up to {floor - 1} were removed, and no collector has those after {mark}"
        print(
            f"ok: the chain of entries {floor} to {head} of journal {reader.id} is whole; acknowledged up to {mark}"
            f"{lost if floor - 1 > mark else ''}"
        )
    else:
        print(f"BROKEN at entry {broken} of journal {reader.id}: this entry or the one before it was changed")
    return 0 if broken is None else 1


def audit_untapped(arguments: argparse.Namespace) -> int:
    """List the sessions that may have begun without a tap."""
    from contextlib import closing

    from fabgate import untapped, wire
    from fabgate.gate.journal.reader import JournalReader
    from fabgate.gate.terminal import lists

    seq, body, count = 0, b"", 0
    with closing(JournalReader(_state_dir(arguments) / "journal.db")) as reader:

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
                f"entry {seq} cannot be read ({error}); fabgate audit verify finds the first damaged entry"
            ) from error
    if not arguments.json:
        print(f"{count or 'no'} session{'' if count == 1 else 's'} may have begun without a tap")
    return 0


def badge(arguments: argparse.Namespace) -> int:
    """Show the spellings of a badge, what other readers show, and whether the roster knows it; or its digest."""
    from fabgate import badge as badges
    from fabgate.gate.terminal import card

    try:
        parsed = badges.parse(arguments.spelling) if arguments.spelling else _read_card(arguments)
    except badges.AmbiguousError as error:
        return _explain_ambiguity(error, as_json=arguments.json)
    digest = None
    if arguments.digest:
        from fabgate.gate.config import gate_yaml
        from fabgate.gate.config.keys import badge_key

        if arguments.config is None:
            raise UsageError("a digest needs the gate's badge key: add --config gate.yaml")
        digest = badges.digest(parsed, badge_key(gate_yaml.load(arguments.config), make=False))
    names = badges.spellings(parsed)
    if digest is not None and not arguments.json:
        print(digest)
        return 0
    roster = None
    if arguments.config is not None:
        from fabgate.gate.config import gate_yaml

        roster = card.known_here(parsed, gate_yaml.load(arguments.config))
    if arguments.json:
        print(json.dumps({"spellings": names, "digest": digest, **card.as_json(parsed, roster)}, indent=2))
        return 0
    for name, spelling in names.items():
        print(f"{name:<18}{spelling}")
    for line in card.lines(parsed, roster):
        print(line)
    return 0


def _reader_that_holds(config: Any) -> str:
    """Return in words which of several readers holds cards."""
    from fabgate.gate.config.gate_yaml import driver_class

    drivers = [driver_class("reader", section.driver) for section in config.reader]
    if not any(getattr(driver, "continuous", None) is not False for driver in drivers):
        return "no reader can hold a card; hold mode would end every session after the grace time"
    return f"in hold mode {config.reader_name(config.holder(drivers))} holds the card"


def _explain_ambiguity(error: Any, *, as_json: bool) -> int:
    """Show every card that a number can mean. Raises UsageError, or returns its exit code with JSON."""
    if as_json:
        cards = {spelling: str(card) for spelling, _, card in error.readings}
        print(json.dumps({"spellings": None, "digest": None, "readings": cards}, indent=2))
        return UsageError.exit_code
    if not error.readings:
        raise error
    width = max(24, *(2 + len(text) for spelling, _, card in error.readings for text in (spelling, str(card))))
    rows = [f"  {spelling:<{width}}{card!s:<{width}}{reading}" for spelling, reading, card in error.readings]
    hint = "Not sure? Read the card on a reader: fabgate badge --config gate.yaml"
    raise UsageError("\n".join([f"{error.problem}; write one of these:", *rows, hint]))


def _read_card(arguments: argparse.Namespace) -> Any:
    import time
    from contextlib import ExitStack

    from fabgate.badge import Kind, from_uid
    from fabgate.drivers.readers import Card, Misread

    if arguments.config is None:
        raise UsageError("found no badge; add a spelling, or --config gate.yaml to read a card on its reader")
    readers = _free_readers(arguments.config)
    last_reason: object = None
    with ExitStack() as opened:
        for reader in readers:
            reader.open()
            opened.callback(reader.close)
        print(f"hold a card on {'the reader' if len(readers) == 1 else 'a reader'} …", file=sys.stderr)
        while True:
            for reader in readers:
                seen = reader.poll()
                if isinstance(seen, Card):
                    return seen.badge if seen.kind is not Kind.ISO14443A else from_uid(seen.uid)
                if isinstance(seen, Misread) and seen.reason != last_reason:
                    last_reason = seen.reason
                    print(f"not read: {seen.reason}", file=sys.stderr)
            time.sleep(0.05)  # most drivers look at once, and do not wait


def _free_readers(config_file: Path) -> list[Any]:
    """Return the readers of a gate that does not run, not yet open."""
    from fabgate.gate.config import gate_yaml as gate_config
    from fabgate.gate.terminal.running import gate_runs

    config = gate_config.load(config_file)
    if gate_runs(config.state_dir):
        raise UsageError("the gate is running and uses the reader; stop it first (systemctl stop fabgate-gate)")
    return [gate_config.make_driver("reader", section) for section in config.reader]


def keyset(arguments: argparse.Namespace) -> int:
    """Give an OSDP reader the key of its gate."""
    readers = [reader for reader in _free_readers(arguments.config) if hasattr(reader, "set_key")]
    if not readers:
        raise UsageError("found a reader without a key in gate.yaml, wanted driver: osdp")
    refused = []
    for reader in readers:
        try:
            reader.set_key()
        except HardwareError as error:
            refused.append(str(error))
        else:
            print(f"{reader.identity}, has the key now, and a secure channel with it")
    if refused:
        raise HardwareError("; ".join(refused))
    return 0


def tap(arguments: argparse.Namespace) -> int:
    """Tap a card on an emulated reader."""
    from fabgate.demo import taps
    from fabgate.drivers.emulated.control import LONGEST_TAP_MS, SHORTEST_TAP_MS

    text, folder = arguments.for_ms, arguments.data
    for_ms = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0
    if not SHORTEST_TAP_MS <= for_ms <= LONGEST_TAP_MS:
        raise UsageError(f"--for: found {text[:20]!r}, wanted {SHORTEST_TAP_MS} to {LONGEST_TAP_MS} milliseconds")
    if folder is not None:
        gates = sorted(path.stem for path in folder.glob("*.sock") if path.with_suffix(".yaml").exists())
        if not (folder / "people.json").is_file() or not gates:
            raise UsageError(f"--data: there is no running demo in {folder}; start one: fabgate demo --data {folder}")
        if arguments.socket not in gates:
            raise UsageError(f"found the gate {arguments.socket!r}, wanted {' or '.join(gates)}")
    try:
        taps.tap(arguments.socket, arguments.uid, for_ms=for_ms, data=folder, reader=arguments.reader)
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

    with closing(Directory(_state_dir(arguments) / "roster.db")) as directory:
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
    from fabgate.gate.config import gate_yaml as gate_config
    from fabgate.gate.roster.directory import is_whole
    from fabgate.gate.roster.http_source import HttpSource
    from fabgate.gate.roster.source import RosterRefused, RosterStored
    from fabgate.gate.terminal.running import gate_runs

    config = gate_config.load(arguments.config)
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
    from fabgate.gate.config import gate_yaml as gate_config
    from fabgate.gate.roster.adopt import adopt
    from fabgate.gate.terminal.running import gate_runs

    config = gate_config.load(arguments.config)
    for line in adopt(config):
        print(line)
    when = "within seconds" if gate_runs(config.state_dir) else "when it starts"
    print(f"ok: the gate accepts this roster {when}; if another one is offered by then, adopt that one")
    return 0


def rename(arguments: argparse.Namespace) -> int:
    """Rename the gate to the name in its configuration."""
    from fabgate.gate.config import gate_yaml as gate_config
    from fabgate.gate.terminal import rename as renaming

    print(renaming.rename(gate_config.load(arguments.config)))
    return 0


def demo(arguments: argparse.Namespace) -> int:
    """Start a workshop on this computer."""
    try:
        from fabgate.demo import script
        from fabgate.demo.live import terminal
    except ImportError as error:
        raise UsageError(
            f"the demo is not installed ({error}): pip install 'fabgate[demo]', or run 'make demo'"
        ) from error
    if arguments.script:
        return script.run(arguments.data, lang=arguments.lang)
    return terminal.run(arguments.data, lang=arguments.lang, browser=not arguments.no_browser)


# --- helpers ----------------------------------------------------------------------------------------------------------


def _state_dir(arguments: argparse.Namespace) -> Path:
    """Return the gate's state directory."""
    from fabgate.gate.config import gate_yaml

    if arguments.state_dir is not None:
        return Path(arguments.state_dir)
    return gate_yaml.load(arguments.config).state_dir


def _stored(reader: Any, *, after: int = 0) -> Iterator[Any]:
    """Yield the entries of a journal after the number `after`, read page by page."""
    while entries := reader.after(after, most=500):
        yield from entries
        after = entries[-1].seq
