"""``fabgate demo`` starts a workshop without hardware; ``fabgate tap`` taps a card in it."""

from __future__ import annotations

import argparse
import json

from fabgate import installed
from fabgate.errors import UsageError


def demo(arguments: argparse.Namespace) -> int:
    """Start a workshop on this computer."""
    try:
        from fabgate.demo import script
        from fabgate.demo.live import terminal
    except ImportError as error:
        raise UsageError(installed.demo(error)) from error
    if arguments.script:
        return script.run(arguments.data, lang=arguments.lang)
    return terminal.run(arguments.data, lang=arguments.lang, browser=not arguments.no_browser)


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
