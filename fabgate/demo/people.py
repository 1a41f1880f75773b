"""Who is in the demo's workshop, and which cards do they carry?"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any, Final

#: Cards by the name under which they are tapped: 4, 7 and 10 bytes, and a phone that makes up its number each time.
CARDS: Final[dict[str, str]] = {
    "ada": "04:A1:B2:C3:D4:E5:80",
    "bob": "1E:5C:90:77",
    "cleo": "02:31:8F:00:5A:99:C4:E7:10:6B",
    "mo": "5D:2B:11:E0",
    "stranger": "C0:FF:EE:01",
    "phone": "08:12:34:56",
}
#: id, given name, card, language, level, valid until, machines
MEMBERS: Final = (
    ("m-1", "Ada", "ada", "en", "user", "", "laser saw printer"),
    ("m-2", "Bob", "bob", "fr", "user", "", "laser printer"),
    ("m-3", "Cleo", "cleo", "fr", "maintainer", "", "laser saw printer"),
    ("m-4", "Mo", "mo", "en", "user", "2020-01-01", "laser saw printer"),
)


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
        for id_, name, card, lang, level, until, may_use in MEMBERS:
            trained = [] if name == without else [machine for machine in may_use.split() if machine in machines]
            rows.writerow((id_, name, CARDS[card], lang, level, until, ";".join(trained)))
    return path


def roster() -> list[dict[str, Any]]:
    """Return the same members as a roster file has them."""
    return [
        {"id": id_, "name": name, "badges": [CARDS[card]], "lang": lang, "level": level}
        | ({"valid_until": until} if until else {})
        for id_, name, card, lang, level, until, _ in MEMBERS
    ]
