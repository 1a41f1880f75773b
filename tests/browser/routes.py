"""Lists the routes that a person can open, in a collector that has all of them; ``python -m tests.browser.routes`` prints them.

It runs in a process of its own, because the wall of badges has routes only if FABGATE_SIMULATED is set at the start.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path


def readable_routes(folder: Path) -> set[str]:
    """Return the names of all routes that may be read without a key; `folder` may be empty."""
    simulated = {
        "FABGATE_SITE": "lyon",
        "FABGATE_DATA": str(folder),
        "FABGATE_SIMULATED": "1",
        "DJANGO_SETTINGS_MODULE": "fabgate.collector.settings",
    }
    command = [sys.executable, "-m", "tests.browser.routes"]
    done = subprocess.run(command, env={**os.environ, **simulated}, stdout=subprocess.PIPE, check=True)
    return set(json.loads(done.stdout))


def _main() -> None:
    import django

    django.setup()
    from fabgate.collector.faces.pages import rights

    json.dump([name for name, right in rights.table().items() if right.get and not right.is_keyed], sys.stdout)


if __name__ == "__main__":
    _main()
