"""URL converters for ids of members and sessions, which may contain slashes or equal a page's name."""

from __future__ import annotations

import re
from typing import Final

from django.urls import register_converter

#: Path segments that are pages: below /people, and below /use.
TAKEN: Final = frozenset({"new", "enrol", "import", "trainings", "groups", "payers", "badges", "people"})
TAKEN_OF_SESSIONS: Final = frozenset({"usage", "refusals", "moment", "review", "complete", "export.csv", "export.xlsx"})
#: The converter's name in paths; two areas use it.
SESSION: Final = "session"
_ESCAPED: Final = re.compile("~([0-9A-F]{2})")


class MemberConverter:
    """A path segment with a member's id, such as ``m-117``; ``a/b`` becomes ``a~2Fb``, ``new`` becomes ``~6Eew``."""

    regex = "[^/]+"
    taken = TAKEN

    def to_python(self, value: str) -> str:
        """Return the id."""
        return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), value)

    def to_url(self, value: str) -> str:
        """Return the escaped id."""
        found = value.replace("~", "~7E").replace("/", "~2F")
        if found in self.taken or found.startswith("."):
            found = f"~{ord(found[0]):02X}{found[1:]}"
        return found


class SessionConverter(MemberConverter):
    """The end of a path with a session's id, which its gate chose: it may be ``review``, or contain a line break.

    An unescaped slash is accepted too, for bookmarks from before slashes were escaped.
    """

    regex = r"[\s\S]+"  # Django's "path" converter stops at a line break
    taken = TAKEN_OF_SESSIONS


register_converter(SessionConverter, SESSION)
