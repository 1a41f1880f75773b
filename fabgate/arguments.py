"""How is each verb of ``fabgate`` called, and what does its help say?

A verb is named by the function of fabgate/cli.py that runs it.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import fabgate
from fabgate import verb_groups
from fabgate.errors import UsageError

GATE_YAML: Final = Path("/etc/fabgate/gate.yaml")
_CODES: Final = """\
exit codes: 0 done; 1 done, and something was found, or the system refuses; 2 the input is wrong; 3 the hardware does
not answer; 4 the journal cannot be used; 5 a seal is wrong. docs/reference.md tells them verb by verb, and every key
of gate.yaml.
"""
_CHECK: Final = """\
Look for every mistake in a gate.yaml and in the roster file that it names. Nothing is changed. Each mistake is one
line: file, line, key, what was found, what was wanted, what to do.
"""
_STATUS: Final = """\
Tell what the gate on this computer thinks now: its state, what waits for the collector, its broker, its roster, and
its problems. Exit code 1 when it has one, or does not run.
"""
_JOURNAL: Final = """\
Print the entries of a gate's journal, the oldest first. Badges are shown by the end of their digest only.
"""
_AUDIT: Final = """\
Walk the journal's chain from its anchor: each entry holds the hash of the one before. Exit code 1 when it is broken.
"""
_UNTAPPED: Final = """\
List the sessions that may have begun without a tap, because of a mistake in gates before docs/decisions/0058: starts
within ten seconds of a start of the gate, of a fault of its reader, of another badge, or of the member's own session
that ended by itself. Some of them are honest: docs/untapped.md says how to judge them.
"""
_BADGE: Final = """\
Show a badge in all its spellings; without SPELLING, wait for a card on the gate's reader (the gate must not run).

a badge is spelled in one of these ways, in members files too:
  04A1B2C3, 04:A1:B2:C3     hex as the card sends it, which most readers print: 8, 14 or 20 digits
  hex:12345678              the same; it has to be said where all 8 are digits, which could be a decimal
  hex-reversed:C3B2A104     hex, last byte first
  dec:0077705923            a decimal, often printed on the card
  dec-reversed:3283263748   a decimal of the bytes, last one first
  w26:123,45678             facility and number of a 26-bit Wiegand badge
  simple:19892716500        what SimpleMFRC522 gave for a 4-byte card
"""
_TAP: Final = """\
Lay a card on an emulated reader and take it away again. The gate has `demo: true` in its gate.yaml. A name is that of a
gate in FABGATE_DATA, or with --data that of a gate of a running demo.
"""
_ROSTER_SHOW: Final = """\
Show the roster that the gate decides by: its version and age, who may use the machine and when, and the machine's
rules. Who is known and refused is not listed.
"""
_ROSTER_FETCH: Final = """\
Ask the collector for the roster once, and store it. A gate that runs does so by itself.
"""
_ROSTER_ADOPT: Final = """\
Allow the gate to take a roster that it does not take by itself: the first of a collector after a members file, that of
another collector, a members file after a collector, or one from which too many members are missing. Says what will
change. It holds once, for the roster that is offered now.
"""
_RENAME: Final = """\
Give the gate the name that its gate.yaml has now. Its old journal ends, and a new one begins; everything has to be at
the collector first, and the gate must not run.
"""
_DEMO: Final = """\
A workshop on this computer: three gates with emulated chips, a broker and a collector. Keys tap cards and break things;
so does a page, the wall of badges, which opens in the browser.
"""
#: The verbs, by what people want to do.
_GROUPS: Final = {
    "try it": ("demo", "tap"),
    "run a gate": ("check", "run", "status", "rename"),
    "who may use the machine": ("roster", "badge"),
    "what happened at the machine": ("journal", "audit"),
    "all machines together": ("collector",),
}


def parser() -> argparse.ArgumentParser:
    """Return the parser of everything; its result has the verb's name as ``verb``, or ``run`` of the collector."""
    made = argparse.ArgumentParser(
        prog="fabgate",
        epilog=_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--version", action="version", version=f"fabgate {fabgate.__version__}")
    verbs = verb_groups.add_list(made, options="[-h] [--version]")
    _gate_verbs(verbs)
    _badge_verbs(verbs)
    _roster_verbs(verbs)
    _workshop_verbs(verbs)
    made.description = f"{fabgate.__doc__}\n\n{verb_groups.text_of(verbs, _GROUPS)}"
    return made


def _verb(verbs: Any, name: str, runs: str, short: str, about: str, *examples: str) -> argparse.ArgumentParser:
    """Add a verb that the function `runs` does."""
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


def _gate_verbs(verbs: Any) -> None:
    about = "Run the gate of a machine until SIGTERM (Ctrl-C). As a service: systemctl start fabgate-gate"
    verb = _verb(verbs, "run", "run", "run the gate of a machine", about, "fabgate run --config gate.yaml")
    _config(verb)

    short = "look for every mistake in a gate.yaml and its roster file"
    verb = _verb(verbs, "check", "check", short, _CHECK, "fabgate check /etc/fabgate/gate.yaml")
    verb.add_argument("file", type=Path, metavar="FILE", help="the gate.yaml")
    _json(verb, "whether it is right, and the mistakes, as JSON")

    short = "show what the gate on this computer does now"
    verb = _verb(verbs, "status", "status", short, _STATUS, "fabgate status --config gate.yaml")
    _state_dir(verb)
    _json(verb, "all that is known, as JSON")

    examples = ("fabgate journal --config gate.yaml", "fabgate journal --after 1200 --json")
    verb = _verb(verbs, "journal", "journal", "print the entries of a gate's journal", _JOURNAL, *examples)
    _state_dir(verb)
    verb.add_argument("--after", type=int, default=0, metavar="SEQ", help="only entries after this number")
    _json(verb, "the stored entries as they are, one a line")

    short = "check the journal: its chain, and how its sessions began"
    verb = verbs.add_parser("audit", short=short)
    audits = verb.add_subparsers(required=True, metavar="WHAT")
    short = "walk the journal's chain from its anchor"
    verb = _verb(audits, "verify", "audit_verify", short, _AUDIT, "fabgate audit verify --config gate.yaml")
    _state_dir(verb)
    _json(verb, "the journal, its bounds and its first broken entry, as JSON")
    short = "list the sessions that may have begun without a tap"
    verb = _verb(audits, "untapped", "audit_untapped", short, _UNTAPPED, "fabgate audit untapped --config gate.yaml")
    _state_dir(verb)
    _json(verb, "one JSON object a line: the entry of the start, its cause, and the milliseconds between them")


def _badge_verbs(verbs: Any) -> None:
    examples = (
        "fabgate badge 04:A1:B2:C3",
        "fabgate badge --config gate.yaml                 the card on the gate's reader",
        "fabgate badge 04:A1:B2:C3 --digest --config gate.yaml",
    )
    verb = _verb(verbs, "badge", "badge", "explain a badge: every spelling, and its digest", _BADGE, *examples)
    verb.add_argument("spelling", nargs="?", metavar="SPELLING", help="see above; none: wait for a card on the reader")
    verb.add_argument("--digest", action="store_true", help="print its digest, for emergency_badges of gate.yaml")
    verb.add_argument("--config", type=Path, metavar="FILE", help="the gate.yaml whose reader and badge key are used")
    _json(verb, "spellings and digest as JSON")

    beside = (
        "fabgate tap gate.yaml 04:A1:B2:C3 --for 500      the gate of this gate.yaml",
        "fabgate tap laser-1 04:A1:B2:C3                  made by: fabgate collector gate-add --emulated",
        "fabgate tap laser-1 ada --data workshop          while this runs: fabgate demo --data workshop",
    )
    verb = _verb(verbs, "tap", "tap", "lay a card on an emulated reader", _TAP, *beside)
    verb.add_argument(
        "socket",
        metavar="GATE",
        help="its gate.yaml, its reader's control socket, or its name (with --data, in a demo)",
    )
    verb.add_argument("uid", metavar="UID_OR_NAME", help="a badge in any spelling; with --data, also a person's name")
    verb.add_argument("--for", dest="for_ms", default="300", metavar="MS", help="milliseconds (default: %(default)s)")
    verb.add_argument("--data", type=Path, metavar="DIR", help="the folder of the running demo")


def _roster_verbs(verbs: Any) -> None:
    verb = verbs.add_parser("roster", short="show, fetch or adopt the roster that the gate decides by")
    rosters = verb.add_subparsers(required=True, metavar="WHAT")
    short = "its version, members and machine rules"
    show = _verb(rosters, "show", "roster_show", short, _ROSTER_SHOW, "fabgate roster show --config gate.yaml")
    _state_dir(show)
    _json(show, "the same as JSON")

    short = "ask the collector for it now (the gate must not be running)"
    fetch = _verb(rosters, "fetch", "roster_fetch", short, _ROSTER_FETCH, "fabgate roster fetch --config gate.yaml")
    _config(fetch)
    _json(fetch, "what was stored, and what was refused, as JSON")

    short = "allow one roster of another source, or one that lost many members"
    adopt = _verb(rosters, "adopt", "roster_adopt", short, _ROSTER_ADOPT, "fabgate roster adopt --config gate.yaml")
    _config(adopt)

    short = "give the gate the new name that its gate.yaml has"
    verb = _verb(verbs, "rename", "rename", short, _RENAME, "fabgate rename --config gate.yaml")
    _config(verb)


def _workshop_verbs(verbs: Any) -> None:
    examples = (
        "fabgate demo",
        "fabgate demo --script                            a day without a terminal, and its books checked",
        "fabgate demo --data workshop                     keep what happened; `fabgate tap` finds its gates there",
    )
    verb = _verb(verbs, "demo", "demo", "open a workshop on this computer, without hardware", _DEMO, *examples)
    verb.add_argument("--script", action="store_true", help="play a day without a terminal and check the books")
    verb.add_argument("--data", type=Path, metavar="DIR", help="keep everything there (default: a temporary folder)")
    verb.add_argument(
        "--lang", choices=("en", "fr"), help="of pages, displays and machines (default: as the browser asks; English)"
    )
    verb.add_argument("--no-browser", action="store_true", help="only print the link to the page")

    _collector(verbs.add_parser("collector", short="the central side: fabgate collector lists its verbs"))


def _config(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--config", type=Path, default=GATE_YAML, metavar="FILE", help="default: %(default)s")


def _state_dir(verb: argparse.ArgumentParser) -> None:
    where = verb.add_mutually_exclusive_group()
    where.add_argument("--state-dir", type=Path, metavar="DIR", help="default: the state_dir of the configuration")
    where.add_argument("--config", type=Path, default=GATE_YAML, metavar="FILE", help="default: %(default)s")


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
