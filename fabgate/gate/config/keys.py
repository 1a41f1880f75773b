"""The keys of a gate: the site's badge keys, and the gate's own keys for seals."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

from fabgate.errors import UsageError
from fabgate.gate.clock import fsync_directory
from fabgate.gate.config.gate_yaml import Config
from fabgate.seal import Keys

KEY_BYTES: Final = 32
#: The id of the key that a gate with a roster file makes for itself.
OWN_KEY: Final = "own"


def badge_keys(config: Config) -> dict[str, bytes]:
    """Return all badge keys by id, the one in use first: a gate has two while a site changes its key.

    Raises UsageError as ``badge_key`` does.
    """
    if config.badge_key_file is not None:
        return dict(Keys.load(config.badge_key_file).by_id)
    return {OWN_KEY: badge_key(config)}


def badge_key(config: Config, *, make: bool = True) -> bytes:
    """Return the badge key. A gate with a roster file makes one at its first start (mode 0600).

    With `make` False a missing key is an error: another account must not make a file that the gate cannot read. Raises
    UsageError when the key is missing or invalid.
    """
    if config.badge_key_file is not None:
        return next(iter(Keys.load(config.badge_key_file).by_id.values()))
    path = config.state_dir / "badge.key"
    try:
        if make and not path.exists():
            _write(path, secrets.token_bytes(KEY_BYTES))
        key = path.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no badge key yet; start the gate once, which makes one") from None
    except OSError as error:
        raise UsageError(f"{path}: the badge key cannot be read or made ({error.strerror})") from error
    if len(key) != KEY_BYTES:
        # BLAKE2b treats an empty key as no key: every badge would silently get another digest.
        raise UsageError(
            f"{path}: found {len(key)} bytes, wanted {KEY_BYTES}; restore the file. A new key would make all digests invalid"
        )
    return key


def _write(path: Path, key: bytes) -> None:
    fresh = path.with_suffix(".new")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "wb") as out:
        out.write(key)
        out.flush()
        os.fsync(fd)
    fresh.replace(path)
    fsync_directory(path.parent)


def gate_keys(config: Config) -> Keys | None:
    """Return the keys with which the collector seals for this gate, or None for a gate without one."""
    return None if config.gate_key_file is None else Keys.load(config.gate_key_file)
