"""Draws what is out of date: ``python -m tools.hardware [--all | GROUP …]``, best through ``make hardware``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tools.hardware import builds, enclosure, harness, labels, lists, made, plan, room
from tools.hardware.board import kicad, schematic
from tools.hardware.builds import HARDWARE


def _folder(name: str) -> Path:
    folder = HARDWARE / name
    folder.mkdir(exist_ok=True)
    return folder


def write_lists() -> None:
    """Write the lists and the board of each build, and the plan of the box. They cost nothing, so they are always written."""
    for name in builds.NAMES:
        build = builds.read(name)
        for path, text in lists.all_of(build).items():
            (_folder(name) / path).write_text(text, "utf-8")
    (_folder("enclosure") / "plan.svg").write_text(plan.picture(), "utf-8")
    (HARDWARE / "options.csv").write_text(lists.options(), "utf-8")


def _wiring() -> None:
    for name in builds.NAMES:
        build = builds.read(name)
        for sheet in build.sheets():
            harness.draw(build, sheet, _folder(name))


def _labels() -> None:
    for name in builds.NAMES:
        labels.write(builds.read(name), _folder(name) / "labels.pdf")


def _schematic() -> None:
    kicad.require()
    schematic.write(_folder("schematic"))
    kicad.finish(_folder("schematic"))


def _enclosure() -> None:
    enclosure.write(_folder("enclosure"))


_DRAWS: Final[dict[str, Callable[[], None]]] = {
    "wiring": _wiring,
    "labels": _labels,
    "schematic": _schematic,
    "enclosure": _enclosure,
}


def main() -> int:
    """Draw; return the exit code."""
    parser = argparse.ArgumentParser(prog="make hardware", description=__doc__)
    parser.add_argument("group", nargs="*", help=f"what to draw: {', '.join(_DRAWS)}; otherwise what is out of date")
    parser.add_argument("--all", action="store_true", help="draw everything")
    found = parser.parse_args()
    wrong = set(found.group) - _DRAWS.keys()
    if wrong:
        parser.error(f"found {', '.join(sorted(wrong))}, wanted {', '.join(_DRAWS)}")
    try:
        room.require()
        write_lists()
        for group in found.group or (_DRAWS if found.all else made.stale()):
            sys.stderr.write(f"drawing {group}\n")
            _DRAWS[group]()
            made.note(group)
    except (kicad.KicadMissingError, ValueError, RuntimeError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
