"""How does a member's id stand in an address? As it is, but for what an address would take for something else."""

from __future__ import annotations

import re
from typing import Final

#: Words that are pages of their own below /people.
TAKEN: Final = frozenset({"new", "enrol", "import", "trainings", "groups", "badges"})
_ESCAPED: Final = re.compile("~([0-9A-F]{2})")


class MemberConverter:
    """A part of a path that names a member: ``m-117``; ``a/b`` stands as ``a~2Fb``, and ``new`` as ``~6Eew``."""

    regex = "[^/]+"

    def to_python(self, value: str) -> str:
        """Return the id."""
        return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), value)

    def to_url(self, value: str) -> str:
        """Return what stands in the address."""
        found = value.replace("~", "~7E").replace("/", "~2F")
        if found in TAKEN or found.startswith("."):
            found = f"~{ord(found[0]):02X}{found[1:]}"
        return found
