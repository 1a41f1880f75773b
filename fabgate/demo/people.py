"""Who is in the demo's workshop, and which cards do they carry?"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any, Final, NamedTuple


class Person(NamedTuple):
    """A member, as ``collector import-members`` takes one. The demo calls them by their given name."""

    id: str
    name: str
    surname: str
    card: str
    lang: str
    level: str
    valid_until: str
    machines: str


#: Cards by the name under which they are tapped: 4, 7 and 10 bytes, and a phone that makes up its number each time.
CARDS: Final[dict[str, str]] = {
    "ada": "04:A1:B2:C3:D4:E5:80",
    "bob": "1E:5C:90:77",
    "cleo": "02:31:8F:00:5A:99:C4:E7:10:6B",
    "zoe": "04:5D:11:9A:C2:66:81",
    "lin": "7A:30:BC:42",
    "mo": "5D:2B:11:E0",
    "lost": "04:77:0E:21:9B:54:80",
    "stranger": "C0:FF:EE:01",
    "phone": "08:12:34:56",
}
MEMBERS: Final = (
    Person("m-1", "Ada", "Martin", "ada", "en", "user", "", "laser saw printer"),
    Person("m-2", "Bob", "Lefèvre", "bob", "fr", "user", "", "laser printer"),
    Person("m-3", "Cleo", "Okafor", "cleo", "fr", "maintainer", "", "laser saw printer"),
    Person("m-4", "Mo", "Haddad", "mo", "en", "user", "2020-01-01", "laser saw printer"),
    Person("m-5", "Zoé", "Lambert", "zoe", "fr", "supervisor", "", "laser saw printer"),
    Person("m-6", "Lin", "Nguyen", "lin", "en", "user", "", "laser saw printer"),
)
#: Uses a machine only beside a supervisor's badge.
MINOR: Final = "m-6"
#: Whose card `lost` was.
LOSER: Final = "m-1"
#: What each card is on the wall; the words are the page's.
KINDS: Final = {
    "ada": "member",
    "bob": "member",
    "cleo": "maintainer",
    "zoe": "supervisor",
    "lin": "minor",
    "mo": "lapsed",
    "lost": "lost",
    "stranger": "unknown",
    "phone": "phone",
}
NAMES: Final = {person.id: person.name for person in MEMBERS}
#: Whose each card is; nobody's where nobody knows them.
OWNERS: Final = {person.card: person.id for person in MEMBERS} | {"lost": LOSER}
#: The names of those.
CARRIERS: Final = {card: NAMES[owner] for card, owner in OWNERS.items()}


def members_file(
    folder: Path, *, machines: frozenset[str] = frozenset({"laser", "saw", "printer"}), without: str = ""
) -> Path:
    """Write the members as ``collector import-members`` takes them, and the cards for ``tap``; return the former.

    Only `machines` that the collector knows may be named; the member called `without` gets none.
    """
    (folder / "people.json").write_text(json.dumps(CARDS, indent=1), encoding="utf-8")
    path = folder / "members.csv"
    with path.open("w", encoding="utf-8", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(("id", "name", "badges", "lang", "level", "valid_until", "machines"))
        for one in MEMBERS:
            may_use = [] if one.name == without else [name for name in one.machines.split() if name in machines]
            called = f"{one.name} {one.surname}"
            rows.writerow((one.id, called, CARDS[one.card], one.lang, one.level, one.valid_until, ";".join(may_use)))
    return path


def roster() -> list[dict[str, Any]]:
    """Return the same members as a roster file has them."""
    return [
        {"id": one.id, "name": one.name, "badges": [CARDS[one.card]], "lang": one.lang, "level": one.level}
        | ({"valid_until": one.valid_until} if one.valid_until else {})
        for one in MEMBERS
    ]
