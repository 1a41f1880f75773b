"""How does an id stand in an address? As it is, but for what an address would take for something else."""

from __future__ import annotations

import re
from typing import Final

from django.urls import register_converter

#: Words that are pages of their own: below /people, and below /use.
TAKEN: Final = frozenset({"new", "enrol", "import", "trainings", "groups", "payers", "badges"})
TAKEN_OF_SESSIONS: Final = frozenset({"usage", "refusals", "moment", "review", "complete", "export.csv", "export.xlsx"})
#: What the converter of a session is called in a path; two areas have pages of one.
SESSION: Final = "session"
_ESCAPED: Final = re.compile("~([0-9A-F]{2})")


class MemberConverter:
    """A part of a path that names a member: ``m-117``; ``a/b`` stands as ``a~2Fb``, and ``new`` as ``~6Eew``."""

    regex = "[^/]+"
    taken = TAKEN

    def to_python(self, value: str) -> str:
        """Return the id."""
        return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), value)

    def to_url(self, value: str) -> str:
        """Return what stands in the address."""
        found = value.replace("~", "~7E").replace("/", "~2F")
        if found in self.taken or found.startswith("."):
            found = f"~{ord(found[0]):02X}{found[1:]}"
        return found


class SessionConverter(MemberConverter):
    """The end of a path that names a session, whatever its gate called it: ``review``, or with a line's end in it.

    A slash is taken for itself too: so it stood in addresses that people have kept.
    """

    regex = r"[\s\S]+"  # what Django calls a path ends at a line's end: a list with such an id could not be shown
    taken = TAKEN_OF_SESSIONS


register_converter(SessionConverter, SESSION)
