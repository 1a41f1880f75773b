"""Compares two versions of fabgate, as setup.py makes them (docs/decisions/0124)."""

from __future__ import annotations

import re

_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:\.dev(\d+))?(\+nogit)?")


def is_older(one: str, other: str) -> bool | None:
    """Say whether `one` is older than `other`; None where a version does not say which commit it is."""
    found = [_VERSION.match(text) for text in (one, other)]
    keys = []
    for match in found:
        if match is None or match[5]:
            return None
        # A commit before a release is older than the release.
        keys.append((int(match[1]), int(match[2]), int(match[3]), float("inf") if match[4] is None else int(match[4])))
    return keys[0] < keys[1]
