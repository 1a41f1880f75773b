"""Which keys does this gate hold: the site's badge key, and its own for seals?"""

from __future__ import annotations

import os
import secrets

from fabgate.gate.clock import fsync_directory
from fabgate.gate.config import Config
from fabgate.seal import Keys


def badge_key(config: Config) -> bytes:
    """Return the badge key. A gate with a roster file of its own makes one at its first start (mode 0600)."""
    if config.badge_key_file is not None:
        return next(iter(Keys.load(config.badge_key_file).by_id.values()))
    path = config.state_dir / "badge.key"
    if not path.exists():
        fresh = path.with_suffix(".new")
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "wb") as out:
            out.write(secrets.token_bytes(32))
            out.flush()
            os.fsync(fd)
        fresh.replace(path)
        fsync_directory(path.parent)
    return path.read_bytes()


def gate_keys(config: Config) -> Keys | None:
    """Return the keys with which the collector seals for this gate, or None where it has none."""
    return None if config.gate_key_file is None else Keys.load(config.gate_key_file)
