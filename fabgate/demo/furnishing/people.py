"""The people of the demo's workshop, and the cards that they carry."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple


class DemoPerson(NamedTuple):
    """A member, as ``collector import-members`` takes one. `card` is a key of UIDS; the demo shows given names."""

    id: str
    name: str
    surname: str
    card: str
    lang: str
    level: str
    valid_until: str
    machines: str
    category: str = "adult"


#: The name of the 125 kHz fob, which has another reader.
FOB: Final = "fob"
#: The badges of the wall, by the name under which they are tapped: cards with 4, 7 and 10 bytes, a 125 kHz fob with 5, and
#: a phone with a random number.
CARDS: Final[dict[str, str]] = {
    "ada": "04:A1:B2:C3:D4:E5:80",
    "bob": "1E:5C:90:77",
    FOB: "em-hex:12003FA5C7",
    "cleo": "02:31:8F:00:5A:99:C4:E7:10:6B",
    "zoe": "04:5D:11:9A:C2:66:81",
    "lin": "7A:30:BC:42",
    "mo": "5D:2B:11:E0",
    "lost": "04:77:0E:21:9B:54:80",
    "stranger": "C0:FF:EE:01",
    "phone": "08:12:34:56",
}
MEMBERS: Final = (
    DemoPerson("m-1", "Ada", "Martin", "ada", "en", "user", "", "laser saw printer"),
    DemoPerson("m-2", "Bob", "Lefèvre", "bob", "fr", "user", "", "laser printer"),
    DemoPerson("m-3", "Cleo", "Okafor", "cleo", "fr", "maintainer", "", "laser saw printer"),
    DemoPerson("m-4", "Mo", "Haddad", "mo", "en", "user", "2020-01-01", "laser saw printer"),
    DemoPerson("m-5", "Zoé", "Lambert", "zoe", "fr", "supervisor", "", "laser saw printer"),
    DemoPerson("m-6", "Lin", "Nguyen", "lin", "en", "user", "", "laser saw printer", "school"),
)
#: Members who came in the past months. The wall does not show their cards, so that it stays small.
REGULARS: Final = (
    DemoPerson("m-7", "Inès", "Moreau", "ines", "fr", "user", "", "laser printer", "student"),
    DemoPerson("m-8", "Hugo", "Bernard", "hugo", "fr", "user", "", "saw"),
    DemoPerson("m-9", "Amina", "Diallo", "amina", "fr", "user", "", "laser saw"),
    DemoPerson("m-10", "Paul", "Schmidt", "paul", "en", "user", "", "laser saw printer"),
    DemoPerson("m-11", "Léa", "Fontaine", "lea", "fr", "user", "", "printer", "student"),
    DemoPerson("m-12", "Tomás", "Silva", "tomas", "en", "user", "", "laser"),
    DemoPerson("m-13", "Nora", "Petit", "nora", "fr", "user", "", "laser printer", "student"),
    DemoPerson("m-14", "Karim", "Benali", "karim", "fr", "user", "", "saw printer"),
    DemoPerson("m-15", "Julie", "Roux", "julie", "fr", "user", "", "laser saw"),
    DemoPerson("m-16", "Samuel", "Levy", "samuel", "en", "user", "", "printer", "student"),
    DemoPerson("m-17", "Chiara", "Rossi", "chiara", "en", "user", "", "laser saw printer"),
    DemoPerson("m-18", "Émile", "Girard", "emile", "fr", "user", "", "saw"),
)
#: The UID of every member's card: those of the wall, and those of the regulars.
UIDS: Final = CARDS | {
    "ines": "04:B3:1C:72:A9:5E:80",
    "hugo": "2C:91:4D:E7",
    "amina": "04:66:F0:1D:38:C2:81",
    "paul": "9E:07:5B:A3",
    "lea": "04:2E:95:D4:60:7B:80",
    "tomas": "B4:3A:18:6F",
    "nora": "04:C8:53:0E:B7:94:81",
    "karim": "60:D5:2F:91",
    "julie": "04:1A:E6:8C:45:D3:80",
    "samuel": "E2:49:B0:17",
    "chiara": "04:97:3D:A1:5C:E8:81",
    "emile": "35:8E:C6:0B",
}
#: The member who uses a machine only if a supervisor taps, too.
MINOR: Final = "m-6"
#: The member who lost the card `lost`.
LOSER: Final = "m-1"
#: The member who has the fob besides a card.
FOB_OWNER: Final = "m-2"
#: The kind of each card of the wall; the page has a text for each kind.
KINDS: Final = {
    "ada": "member",
    "bob": "member",
    FOB: "fob",
    "cleo": "maintainer",
    "zoe": "supervisor",
    "lin": "minor",
    "mo": "lapsed",
    "lost": "lost",
    "stranger": "unknown",
    "phone": "phone",
}
NAMES: Final = {person.id: person.name for person in MEMBERS}
#: The member who has each card; cards that are unknown to the workshop are missing.
OWNERS: Final = {person.card: person.id for person in MEMBERS} | {"lost": LOSER, FOB: FOB_OWNER}
#: The names of these members, by card.
CARRIERS: Final = {card: NAMES[owner] for card, owner in OWNERS.items()}


def members_file(
    folder: Path,
    *,
    people: Sequence[DemoPerson] = MEMBERS,
    machines: frozenset[str] = frozenset({"laser", "saw", "printer"}),
    without: str = "",
) -> Path:
    """Write the list of `people` for ``collector import-members``, and the cards for ``tap``; return the list's path.

    Only `machines`, which the collector has, are named; the member called `without` may use none.
    """
    (folder / "people.json").write_text(json.dumps(CARDS, indent=1), encoding="utf-8")
    path = folder / "members.csv"
    with path.open("w", encoding="utf-8", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(("id", "name", "badges", "lang", "level", "valid_until", "machines", "category"))
        for one in people:
            may_use = [] if one.name == without else [name for name in one.machines.split() if name in machines]
            name, badges = f"{one.name} {one.surname}", ";".join(_badges(one))
            rows.writerow((one.id, name, badges, one.lang, one.level, one.valid_until, ";".join(may_use), one.category))
    return path


def roster() -> list[dict[str, Any]]:
    """Return the same members in the form of a roster file."""
    return [
        {"id": one.id, "name": one.name, "badges": _badges(one), "lang": one.lang, "level": one.level}
        | ({"valid_until": one.valid_until} if one.valid_until else {})
        for one in MEMBERS
    ]


def _badges(one: DemoPerson) -> list[str]:
    return [UIDS[one.card], *([CARDS[FOB]] if one.id == FOB_OWNER else [])]
