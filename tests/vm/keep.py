"""What is kept between runs: folders that take long to make."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from tests.install import images
from tests.install.images import CACHE

_KEPT_S: Final = 7 * 24 * 3600


def kept(kind: str, made_of: Iterable[bytes], make: Callable[[Path], None]) -> Path:
    """Return a folder that `make` has filled from `made_of`, and fill it if it is missing or older than a week.

    The newest two of a kind are kept.
    """
    folder = CACHE / f"vm-{kind}-{hashlib.sha256(bytes(1).join(made_of)).hexdigest()[:12]}"
    with images.locked(CACHE / f"vm-{kind}"):
        done = folder / "done"  # written last
        if done.exists() and time.time() - done.stat().st_mtime < _KEPT_S:
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        others = sorted(CACHE.glob(f"vm-{kind}-*/"), key=lambda path: path.stat().st_mtime)
        for old in others[:-1]:
            shutil.rmtree(old)
        folder.mkdir(parents=True)
        make(folder)
        done.touch()
        return folder


def run(*command: str) -> None:
    """Run a program of this computer. Raises RuntimeError with its output if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)[:200]} failed:\n{(done.stdout + done.stderr)[-3000:]}")
