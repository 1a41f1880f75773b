"""The functions of a module, called in a process of its own.

``python -m bench.calls MODULE`` reads lines of JSON: the name of a function and its arguments. It answers each with a line:
the result. With a second argument it first opens the collector of its environment: ``collector`` as a verb does, ``owner``
as a service does.
"""

from __future__ import annotations

import importlib
import json
import sys
from types import ModuleType


def serve(module: ModuleType) -> None:
    """Call what stdin says until it ends."""
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        print(json.dumps(getattr(module, name)(*arguments)), flush=True)


def main() -> None:
    """Import the module and serve it."""
    if roles := sys.argv[2:]:
        from fabgate.collector.processes import start

        start.prepare(owns=roles == ["owner"])
    serve(importlib.import_module(sys.argv[1]))


if __name__ == "__main__":
    main()
