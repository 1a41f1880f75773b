"""The commands of the README, as they are typed."""

from __future__ import annotations

import subprocess
import sys

from tests.support.patience import HANGS_S

FABGATE = [sys.executable, "-m", "fabgate"]
CARD = "04:A1:B2:C3:D4:E5:80"


def run(home: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [*FABGATE, *arguments], env=home, capture_output=True, text=True, timeout=HANGS_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
