"""How a verb is added, and the arguments that several verbs have."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

GATE_YAML: Final = Path("/etc/fabgate/gate.yaml")
_CONFIG_HELP: Final = "the gate's configuration (default: %(default)s)"


def add_verb(
    verbs: Any, name: str, calls: tuple[str, str], short: str, about: str, *examples: str
) -> argparse.ArgumentParser:
    """Add a verb that calls a function: the name of its file in fabgate/cli, and its own."""
    made: argparse.ArgumentParser = verbs.add_parser(
        name,
        help=short,
        short=short,
        description=about,
        epilog="\n  ".join(("example:" if len(examples) == 1 else "examples:", *examples)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.set_defaults(verb=calls, verbose=name == "run")
    return made


def add_group(verbs: Any, name: str, short: str) -> Any:
    """Add a verb with subverbs; return the subparsers to which they are added."""
    verb = verbs.add_parser(name, short=short, description=f"{short[0].upper()}{short[1:]}.")
    return verb.add_subparsers(required=True, metavar="VERB", title="verbs")


def with_config(verb: argparse.ArgumentParser) -> None:
    """Add the gate.yaml that the verb reads."""
    verb.add_argument("--config", type=Path, default=GATE_YAML, metavar="FILE", help=_CONFIG_HELP)


def with_state_folder(verb: argparse.ArgumentParser) -> None:
    """Add the gate's state folder, or the gate.yaml that names it."""
    where = verb.add_mutually_exclusive_group()
    where.add_argument("--state-dir", type=Path, metavar="DIR", help="the gate's state_dir, instead of --config")
    where.add_argument("--config", type=Path, default=GATE_YAML, metavar="FILE", help=_CONFIG_HELP)


def with_json(verb: argparse.ArgumentParser, text: str) -> None:
    """Add the choice to print JSON, with `text` as its help."""
    verb.add_argument("--json", action="store_true", help=text)


def seconds(text: str) -> int:
    """Return how long a person has for something. Raises ArgumentTypeError outside 1 to 3600 seconds."""
    if not (text.isascii() and text.isdecimal() and len(text) < 5 and 1 <= int(text) <= 3600):
        raise argparse.ArgumentTypeError(f"found {text[:20]!r}, wanted 1 to 3600 seconds")
    return int(text)
