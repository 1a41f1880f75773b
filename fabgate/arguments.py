"""The arguments and the help of each verb of ``fabgate``.

Each verb names the function of fabgate/cli.py that runs it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import fabgate
from fabgate import verb_groups
from fabgate.errors import UsageError

GATE_YAML: Final = Path("/etc/fabgate/gate.yaml")
_CODES: Final = """\
exit codes: 0 success; 1 a problem was found, or the system refused; 2 wrong input; 3 the hardware does not answer;
4 the journal cannot be used; 5 a wrong seal. docs/reference.md lists them for each verb, and every key of gate.yaml.
"""
_CHECK: Final = """\
Check a gate.yaml and the roster file that it names. Nothing is changed. Each mistake is one line: file, line, key, what
was found, what was wanted, and what to do.
"""
_STATUS: Final = """\
Show the status of the gate on this computer: its state, the entries that wait for the collector, its broker, its
roster, and its problems. Exit code 1 if it has a problem or is not running.
"""
_DOCTOR: Final = """\
Examine the gate on this computer: the Pi and its settings, the wiring table, reader, broker, certificates, clock, disk
and roster. Each finding is ok, warn or FAIL with the next step, or says why it was not checked. A gate that runs is not
disturbed; while it is stopped, reader and broker account are tried, too. As root it sees everything. Exit code 1 if a
check failed.
"""
_SELFTEST: Final = """\
Test the running gate with a person at the machine: lights, sounds, display, badge reader, relay with its read-back,
run-sense and buttons, step by step. Each step says what to do and what you should see. Power comes only from the tap of
a maintainer's badge, in an ordinary session that is recorded. What this gate.yaml does not have is "not installed".
Exit code 1 if a step failed or was not done.
"""
_KEYSET: Final = """\
Give an OSDP reader the key in the file that gate.yaml names (reader.key_file), once, on a bench. The reader has to be in
its installation mode, and the gate must be stopped. Who listens to the line meanwhile learns the key.
"""
_CALIBRATE: Final = """\
Find the thresholds of the meter that says whether the machine works. The running gate measures while a person shows it the
machine off, standing still and running, and this prints the lines for gate.yaml. Power comes only from the tap of a
maintainer's badge, in an ordinary session that is recorded; nothing is written. Exit code 1 if the two states cannot be told
apart, or were not shown.
"""
_JOURNAL: Final = """\
Print the entries of a gate's journal, the oldest first. Of a badge only the end of its digest is shown.
"""
_AUDIT: Final = """\
Check the journal's chain from its anchor on: each entry has the hash of the one before. Exit code 1 if it is broken.
"""
_UNTAPPED: Final = """\
List the sessions that may have begun without a tap, because of a bug in gates before docs/decisions/0058: starts within
ten seconds of a start of the gate, a fault of its reader, another badge, or the end of the member's own session without
a tap. Some of them are genuine: docs/untapped.md says how to judge them.
"""
_BADGE: Final = """\
Show all spellings of a badge, and what readers of other kinds show for it: numbers that are turned around, or shared by
many cards. Without SPELLING, wait for a card on the gate's reader (the gate must be stopped). With --config, also tell
who has the card in the gate's roster, and whether the roster knows it in the spelling of another reader.

spellings of a badge, also in members files:
  04A1B2C3, 04:A1:B2:C3     hex as the card sends it and most readers print it: 8, 14 or 20 digits
  hex:12345678              the same; needed where all 8 digits are decimal digits
  hex-reversed:C3B2A104     hex, last byte first
  dec:0077705923            decimal, as often printed on the card
  dec-reversed:3283263748   decimal, last byte first
  simple:19892716500        the number that SimpleMFRC522 gives for a 4-byte card
  em-hex:0A00B1C2D3         all 10 hex digits of a 125 kHz badge; em-hex-reversed:, em-dec: (13 digits)
  w26:123,45678             facility and number of a 26-bit Wiegand badge; w34: the same of a 34-bit one
  w34-hex:007BB26E          the payload of a 34-bit Wiegand badge in hex, without parity; w37-hex: of a 37-bit one
  number10:0012345678       what a reader shows that shortens to ten digits; number10-reversed:, number8:,
                            number8-reversed:, number8-hex:, number8-hex-reversed:
"""
_TAP: Final = """\
Tap a card on an emulated reader. The gate has `demo: true` in its gate.yaml. A name is that of a gate in FABGATE_DATA,
or with --data that of a gate in a running demo.
"""
_ROSTER_SHOW: Final = """\
Show the gate's roster: its version and age, who may use the machine and when, and the machine's rules. People who are
known but refused are not listed.
"""
_ROSTER_FETCH: Final = """\
Fetch the roster from the collector once and store it. A running gate does this automatically.
"""
_ROSTER_ADOPT: Final = """\
Allow the gate to accept a roster that it would refuse: the first one of a collector after a members file, that of
another collector, a members file after a collector, or one from which too many members are missing. Prints what will
change. The adoption is valid once, for the roster that is offered now.
"""
_RENAME: Final = """\
Rename the gate to the name in its gate.yaml. Its journal ends and a new one begins. All entries have to be at the
collector first, and the gate must be stopped.
"""
_DEMO: Final = """\
Start a workshop on this computer: three gates with emulated chips, a broker and a collector. Tap cards and break things
with keys, or on the wall of badges, a page that opens in the browser.
"""
#: The verbs, by what people want to do.
_GROUPS: Final = {
    "try it": ("demo", "tap"),
    "run a gate": ("check", "run", "status", "doctor", "selftest", "calibrate", "keyset", "rename"),
    "see who may use the machine": ("roster", "badge"),
    "see what happened at the machine": ("journal", "audit"),
    "manage all machines": ("collector",),
}


def parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser for `words`, which follow ``fabgate`` on the command line.

    Its result has the name of the function in cli.py as ``verb``, or a collector's function as ``run``. For ``run`` it
    knows no other verb, because a gate that starts does not wait for their arguments.
    """
    made = argparse.ArgumentParser(
        prog="fabgate",
        epilog=_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--version", action="version", version=f"fabgate {fabgate.__version__}")
    verbs = verb_groups.add_list(made, options="[-h] [--version]")
    _run_verb(verbs)
    if words[:1] == ["run"]:
        return made
    _gate_verbs(verbs)
    _badge_verbs(verbs)
    _roster_verbs(verbs)
    _demo_verb(verbs)
    _collector(verbs.add_parser("collector", short="the central server; fabgate collector lists its verbs"))
    made.description = f"{fabgate.__doc__}\n\n{verb_groups.text_of(verbs, _GROUPS)}"
    return made


def _verb(verbs: Any, name: str, runs: str, short: str, about: str, *examples: str) -> argparse.ArgumentParser:
    """Add a verb that runs the function `runs` of cli.py."""
    made: argparse.ArgumentParser = verbs.add_parser(
        name,
        help=short,
        short=short,
        description=about,
        epilog="\n  ".join(("example:" if len(examples) == 1 else "examples:", *examples)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.set_defaults(verb=runs, verbose=runs == "run")
    return made


def _group(verbs: Any, name: str, short: str) -> Any:
    """Add a verb with subverbs; return the subparsers to which they are added."""
    verb = verbs.add_parser(name, short=short, description=f"{short[0].upper()}{short[1:]}.")
    return verb.add_subparsers(required=True, metavar="VERB", title="verbs")


def _run_verb(verbs: Any) -> None:
    about = "Run the gate of a machine until Ctrl-C or SIGTERM. To run it as a service: systemctl start fabgate-gate"
    _config(_verb(verbs, "run", "run", "run the gate of a machine", about, "fabgate run --config gate.yaml"))


def _gate_verbs(verbs: Any) -> None:
    short = "check a gate.yaml and its roster file for mistakes"
    verb = _verb(verbs, "check", "check", short, _CHECK, "fabgate check /etc/fabgate/gate.yaml")
    verb.add_argument("file", type=Path, metavar="FILE", help="the gate.yaml to check")
    _json(verb, "print the result and the mistakes as JSON")

    short = "show the status of the gate on this computer"
    verb = _verb(verbs, "status", "status", short, _STATUS, "fabgate status --config gate.yaml")
    _state_dir(verb)
    _json(verb, "print the whole status as JSON")

    short = "examine this gate, its Pi and its connections, and say what to do"
    examples = (
        "sudo fabgate doctor",
        "fabgate doctor --root /mnt/card --config /mnt/card/etc/fabgate/gate.yaml      a card that is mounted there",
    )
    verb = _verb(verbs, "doctor", "doctor", short, _DOCTOR, *examples)
    _config(verb)
    verb.add_argument(
        "--root",
        type=Path,
        default=Path("/"),
        metavar="DIR",
        help="read /boot, /etc, /proc, /sys and /dev below this folder (default: %(default)s)",
    )
    _json(verb, "print the findings as JSON")

    short = "test lights, sounds, display, reader, relay and buttons with a person"
    examples = (
        "fabgate selftest",
        "fabgate selftest --sheet laser-1.pdf             also write the commissioning sheet",
    )
    verb = _verb(verbs, "selftest", "selftest", short, _SELFTEST, *examples)
    _config(verb)
    verb.add_argument("--sheet", type=Path, metavar="FILE", help="write the commissioning sheet to sign, as a PDF")
    verb.add_argument(
        "--wait",
        type=_seconds,
        default=60,
        metavar="S",
        help="how long you have for each step, 1 to 3600 seconds (default: %(default)s)",
    )
    _json(verb, "print the steps as JSON; the questions go to standard error")

    short = "give an OSDP reader its key"
    _config(_verb(verbs, "keyset", "keyset", short, _KEYSET, "fabgate keyset --config gate.yaml"))

    short = "find the thresholds of a meter with a person"
    verb = _verb(verbs, "calibrate", "calibrate", short, _CALIBRATE, "fabgate calibrate")
    _config(verb)
    verb.add_argument(
        "--wait",
        type=_seconds,
        default=120,
        metavar="S",
        help="how long you have to tap the badge, 1 to 3600 seconds (default: %(default)s)",
    )
    _json(verb, "print what was measured as JSON; the questions go to standard error")

    examples = ("fabgate journal --config gate.yaml", "fabgate journal --after 1200 --json")
    verb = _verb(verbs, "journal", "journal", "print the entries of a gate's journal", _JOURNAL, *examples)
    _state_dir(verb)
    verb.add_argument("--after", type=int, default=0, metavar="SEQ", help="print only entries after this number")
    _json(verb, "print the stored entries unchanged, one JSON object per line")

    short = "check the journal: its chain, and how its sessions began"
    audits = _group(verbs, "audit", short)
    short = "check that no entry was changed or removed"
    verb = _verb(audits, "verify", "audit_verify", short, _AUDIT, "fabgate audit verify --config gate.yaml")
    _state_dir(verb)
    _json(verb, "print the journal, its bounds and its first broken entry as JSON")
    short = "list the sessions that may have begun without a tap"
    verb = _verb(audits, "untapped", "audit_untapped", short, _UNTAPPED, "fabgate audit untapped --config gate.yaml")
    _state_dir(verb)
    _json(verb, "print one JSON object per line: the entry of the start, its cause, and the milliseconds in between")


def _badge_verbs(verbs: Any) -> None:
    examples = (
        "fabgate badge 04:A1:B2:C3",
        "fabgate badge --config gate.yaml                 read a card on the gate's reader",
        "fabgate badge 04:A1:B2:C3 --digest --config gate.yaml",
    )
    verb = _verb(verbs, "badge", "badge", "explain a card: its spellings, other readers, the roster", _BADGE, *examples)
    verb.add_argument(
        "spelling", nargs="?", metavar="SPELLING", help="the badge; without it, read a card on the reader"
    )
    verb.add_argument("--digest", action="store_true", help="print the digest, for emergency_badges in gate.yaml")
    verb.add_argument(
        "--config", type=Path, metavar="FILE", help="the gate.yaml with the reader, the badge key and the roster to use"
    )
    _json(verb, "print the spellings, and with --digest the digest, as JSON")

    tap_examples = (
        "fabgate tap gate.yaml 04:A1:B2:C3 --for 500      the gate of this gate.yaml",
        "fabgate tap laser-1 04:A1:B2:C3                  a gate of: fabgate collector gate-add --emulated",
        "fabgate tap laser-1 ada --data workshop          while this runs: fabgate demo --data workshop",
    )
    verb = _verb(verbs, "tap", "tap", "tap a card on an emulated reader", _TAP, *tap_examples)
    verb.add_argument(
        "socket",
        metavar="GATE",
        help="its gate.yaml, its reader's control socket, or its name (with --data, in a demo)",
    )
    verb.add_argument("uid", metavar="UID_OR_NAME", help="a badge in any spelling; with --data, also a person's name")
    verb.add_argument(
        "--for",
        dest="for_ms",
        default="300",
        metavar="MS",
        help="how long the card stays, in ms (default: %(default)s)",
    )
    verb.add_argument(
        "--reader",
        type=int,
        choices=(1, 2, 3),
        default=1,
        help="which reader of a gate.yaml with several (default: %(default)s)",
    )
    verb.add_argument("--data", type=Path, metavar="DIR", help="the folder of a running demo")


def _roster_verbs(verbs: Any) -> None:
    rosters = _group(verbs, "roster", "show, fetch or adopt the gate's roster")
    short = "show its version, members and machine rules"
    show = _verb(rosters, "show", "roster_show", short, _ROSTER_SHOW, "fabgate roster show --config gate.yaml")
    _state_dir(show)
    _json(show, "print the same as JSON")

    short = "fetch it from the collector now (the gate must be stopped)"
    fetch = _verb(rosters, "fetch", "roster_fetch", short, _ROSTER_FETCH, "fabgate roster fetch --config gate.yaml")
    _config(fetch)
    _json(fetch, "print what was stored and what was refused as JSON")

    short = "accept a roster of another source, or one without many members"
    adopt = _verb(rosters, "adopt", "roster_adopt", short, _ROSTER_ADOPT, "fabgate roster adopt --config gate.yaml")
    _config(adopt)

    short = "rename the gate to the name in its gate.yaml"
    verb = _verb(verbs, "rename", "rename", short, _RENAME, "fabgate rename --config gate.yaml")
    _config(verb)


def _demo_verb(verbs: Any) -> None:
    examples = (
        "fabgate demo",
        "fabgate demo --script                            play a day without a terminal and check the records",
        "fabgate demo --data workshop                     keep the data; `fabgate tap` finds the gates there",
    )
    verb = _verb(verbs, "demo", "demo", "start a workshop on this computer, without hardware", _DEMO, *examples)
    verb.add_argument("--script", action="store_true", help="play a day without a terminal and check the records")
    verb.add_argument(
        "--data", type=Path, metavar="DIR", help="keep the data in this folder (default: a temporary one)"
    )
    verb.add_argument(
        "--lang",
        choices=("en", "fr"),
        help="language of pages, displays and machines (default: that of the browser; English)",
    )
    verb.add_argument("--no-browser", action="store_true", help="print the link to the page, but do not open it")


def _seconds(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 5 and 1 <= int(text) <= 3600):
        raise argparse.ArgumentTypeError(f"found {text[:20]!r}, wanted 1 to 3600 seconds")
    return int(text)


_CONFIG_HELP: Final = "the gate's configuration (default: %(default)s)"


def _config(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--config", type=Path, default=GATE_YAML, metavar="FILE", help=_CONFIG_HELP)


def _state_dir(verb: argparse.ArgumentParser) -> None:
    where = verb.add_mutually_exclusive_group()
    where.add_argument("--state-dir", type=Path, metavar="DIR", help="the gate's state_dir, instead of --config")
    where.add_argument("--config", type=Path, default=GATE_YAML, metavar="FILE", help=_CONFIG_HELP)


def _json(verb: argparse.ArgumentParser, text: str) -> None:
    verb.add_argument("--json", action="store_true", help=text)


def _collector(verb: argparse.ArgumentParser) -> None:
    try:
        add_verbs = import_module("fabgate.collector.cli.verbs").add_verbs
    except ImportError as error:
        missing = f"the collector is not installed ({error}): pip install 'fabgate[collector]'"

        def refuse(_arguments: argparse.Namespace) -> int:
            raise UsageError(missing)

        verb.add_argument("rest", nargs=argparse.REMAINDER)
        verb.set_defaults(run=refuse)
    else:
        add_verbs(verb)
