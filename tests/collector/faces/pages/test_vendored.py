"""Are the files of others what their table says, each beside its licence?"""

from __future__ import annotations

import hashlib
import re

from fabgate.collector import STATIC

VENDOR = STATIC / "vendor"
ROWS = re.findall(
    r"^\| `([^`]+)` \| `[^`]+` \| [\d.]+ \| \[\w+\]\(([^)]+)\) \| `([0-9a-f]{64})` \|$",
    (VENDOR / "README.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)


def test_every_file_is_named_with_its_hash_and_its_licence():
    assert {name for name, *_ in ROWS} | {licence for _, licence, _ in ROWS} | {"README.md"} == {
        path.name for path in VENDOR.iterdir()
    }
    for name, _licence, digest in ROWS:
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest, name
