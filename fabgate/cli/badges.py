"""``fabgate badge``: shows the spellings of a card, and who has it."""

from __future__ import annotations

import argparse
import json

from fabgate import badge as badges
from fabgate.errors import UsageError


def badge(arguments: argparse.Namespace) -> int:
    """Show the spellings of a badge, what other readers show, and whether the roster knows it; or its digest."""
    from fabgate.gate.terminal import card

    try:
        if arguments.spelling:
            parsed = badges.parse(arguments.spelling)
        else:
            from fabgate.cli import readers

            parsed = readers.read_card(arguments.config)
    except badges.AmbiguousError as error:
        return _explain_ambiguity(error, as_json=arguments.json)
    digest = None
    if arguments.digest:
        from fabgate.gate.config import gate_yaml
        from fabgate.gate.config.keys import badge_key

        if arguments.config is None:
            raise UsageError("a digest needs the gate's badge key: add --config gate.yaml")
        digest = badges.digest(parsed, badge_key(gate_yaml.load(arguments.config, switches=False), make=False))
    names = badges.spellings(parsed)
    if digest is not None and not arguments.json:
        print(digest)
        return 0
    roster = None
    if arguments.config is not None:
        from fabgate.gate.config import gate_yaml

        roster = card.known_here(parsed, gate_yaml.load(arguments.config, switches=False))
    if arguments.json:
        print(json.dumps({"spellings": names, "digest": digest, **card.as_json(parsed, roster)}, indent=2))
        return 0
    for name, spelling in names.items():
        print(f"{name:<18}{spelling}")
    for line in card.lines(parsed, roster):
        print(line)
    return 0


def _explain_ambiguity(error: badges.AmbiguousError, *, as_json: bool) -> int:
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
