"""The file with the key of an OSDP reader: 32 hex digits that only the gate's account may read."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import Final

from fabgate.drivers.readers.osdp.secure_channel import DEFAULT_KEY
from fabgate.errors import UsageError

MAKE: Final = "(umask 077; openssl rand -hex 16 > FILE)"
#: Of 16 random bytes, fewer are different once in 10^13 times.
_FEWEST_DIFFERENT: Final = 8


def read_key(path: Path) -> bytes:
    """Return the 16 bytes of a key. Raises UsageError for a file that others may read, another content, or an unsafe key."""
    try:
        mode, text = path.stat().st_mode, path.read_text("ascii").strip()
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: the key of the reader cannot be read ({error})") from error
    # Its group may read it: of a credential of systemd these bits are those of an access list (acl(5)).
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        raise UsageError(f"{path}: found mode {stat.S_IMODE(mode):04o}, wanted 0600; chmod 600 {path}")
    if not re.fullmatch("[0-9A-Fa-f]{32}", text):
        raise UsageError(f"{path}: found no key of 32 hex digits in the file; make one with {MAKE}")
    key = bytes.fromhex(text)
    if key == DEFAULT_KEY:
        raise UsageError(
            f"{path}: found the key that every reader has at first, wanted one of your own; make it with {MAKE}"
        )
    if len(set(key)) < _FEWEST_DIFFERENT:
        raise UsageError(
            f"{path}: found a key of {len(set(key))} different bytes, wanted a random one; make it with {MAKE}"
        )
    return key
