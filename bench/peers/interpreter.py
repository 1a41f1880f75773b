"""An interpreter that imports the libraries of a gate and none of our code: the peer of start and memory.

``python -m bench.peers.interpreter FILE`` imports what the JSON list in FILE names, prints ``null``, and ends with its input.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType


def main() -> None:
    """Import, say so, wait."""
    for stand_in in ("RPi", "RPi.GPIO", "spidev"):  # the mfrc522 package wants them
        sys.modules[stand_in] = ModuleType(stand_in)
    sys.modules["RPi"].GPIO = sys.modules["RPi.GPIO"]  # type: ignore[attr-defined]  # mypy knows no attribute of a module made here
    for name in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")):
        importlib.import_module(name)
    print("null", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
