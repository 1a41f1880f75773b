"""A roster that a person keeps: three formats, any spelling of a badge, and every mistake by its line."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from fabgate import badge, wire
from fabgate.errors import UsageError
from fabgate.gate.roster import file
from tests.gate.roster.conftest import FALLBACK, KEY, TOPICS
from tests.support.work import instructions


def digest(spelling: str) -> str:
    return badge.digest(badge.parse(spelling), KEY)


# --- what is right ----------------------------------------------------------------------------------------------------

YAML = """\
machine: {limit_s: 7200, handover: true}
tz: Europe/Paris
members:
  - {id: m-1, name: Ada, badges: [04:A1:B2:C3], lang: fr, level: supervisor, windows: [1-5 08:00-22:00, "6,7 9:00-12:00"]}
  - id: m-2
    name: Zoé
    badges: [hex-reversed:C4B2A104, "w26:12,345"]
    valid_until: 2027-03-01
    grace_days: 3
    limit_s: 60
    supervised: yes
    windows:
      - {days: [1], from: "08:00", to: "09:00"}
  - {id: m-3, badges: 04A1B2C5, reasons: [suspended], lang: fr}
  - {id: m-4, badges: []}
"""
JSON = json.dumps(
    {
        "machine": {"limit_s": 7200, "handover": True},
        "tz": "Europe/Paris",
        "members": [
            {
                "id": "m-1",
                "name": "Ada",
                "badges": ["04:A1:B2:C3"],
                "lang": "fr",
                "level": "supervisor",
                "windows": ["1-5 08:00-22:00", "6,7 9:00-12:00"],
            },
            {
                "id": "m-2",
                "name": "Zoé",
                "badges": ["hex-reversed:C4B2A104", "w26:12,345"],
                "valid_until": "2027-03-01",
                "grace_days": 3,
                "limit_s": 60,
                "supervised": True,
                "windows": [{"days": [1], "from": "08:00", "to": "09:00"}],
            },
            {"id": "m-3", "badges": "04A1B2C5", "reasons": ["suspended"], "lang": "fr"},
            {"id": "m-4", "badges": []},
        ],
    },
    ensure_ascii=False,
)
CSV = """\
id,name,badges,lang,level,windows,valid_until,grace_days,limit_s,supervised,reasons
m-1,Ada,04:A1:B2:C3,fr,supervisor,"1-5 08:00-22:00; 6,7 9:00-12:00",,,,,
m-2,Zoé,"hex-reversed:C4B2A104;w26:12,345",,,1 08:00-09:00,2027-03-01,3,60,true,
m-3,,04A1B2C5,fr,,,,,,,suspended
"""
#: As a French Excel writes it: ';' between columns, a byte order mark, empty rows below.
EXCEL = "\ufeff" + (
    "ID;Name;Badges;Lang;Level;Windows;Valid_until;Grace_days;Limit_s;Supervised;Reasons\r\n"
    'm-1;Ada;04:A1:B2:C3;fr;supervisor;"1-5 08:00-22:00; 6,7 9:00-12:00";;;;;\r\n'
    "m-2;Zoé;hex-reversed:C4B2A104,w26:12,345;;;1 08:00-09:00;2027-03-01;3;60;TRUE;\r\n".replace(
        "hex-reversed:C4B2A104,w26:12,345", '"hex-reversed:C4B2A104; w26:12,345"'
    )
    + "m-3;;04A1B2C5;fr;;;;;;;suspended\r\n;;;;;;;;;;\r\n"
)
ADA = wire.Member(
    id="m-1",
    name="Ada",
    badges=[digest("04A1B2C3")],
    lang="fr",
    level="supervisor",
    windows=[
        wire.Window(days=[1, 2, 3, 4, 5], start="08:00", to="22:00"),
        wire.Window(days=[6, 7], start="09:00", to="12:00"),
    ],
)
ZOE = wire.Member(
    id="m-2",
    name="Zoé",
    badges=[digest("04A1B2C4"), digest("w26:12,345")],
    valid_until="2027-03-01",
    grace_days=3,
    limit_s=60,
    supervised=True,
    windows=[wire.Window(days=[1], start="08:00", to="09:00")],
)
MO = wire.Barred(badges=[digest("04A1B2C5")], reasons=["suspended"], id="m-3", lang="fr")


@pytest.mark.parametrize(
    ("text", "ending"), [(YAML.replace("yes", "true"), "yaml"), (JSON, "json"), (CSV, "csv"), (EXCEL, "CSV")]
)
def test_each_format_tells_the_same_people(read, text, ending):
    found = read(text, ending)
    assert found.members[:2] == [ADA, ZOE]
    assert found.refusals == [MO]
    assert (found.site, found.gate) == ("lyon", "saw")
    if ending.lower() != "csv":
        assert found.members[2] == wire.Member(id="m-4", badges=[])
        assert (found.tz, found.machine.limit_s, found.machine.handover) == ("Europe/Paris", 7200, True)
        assert found.machine.max_s == 7200


def test_without_a_machine_the_gates_own_rules_hold(read):
    assert read("members: [{id: a, badges: []}]").machine == FALLBACK
    assert read("machine:\nmembers: [{id: a, badges: []}]").machine == FALLBACK
    assert read("id,badges\na,\n".replace("a,", "a,04A1B2C3"), "csv").machine == FALLBACK


def test_a_machine_overrides_what_it_names_and_empty_is_none(read):
    found = read("machine: {mode: hold, idle_off_s: 60}\nmembers: [{id: a, badges: []}]").machine
    assert (found.mode, found.idle_off_s, found.limit_s, found.max_s) == ("hold", 60, 600, 1200)
    again = read("machine: {idle_off_s: ~}\nmembers: [{id: a, badges: []}]").machine
    assert again.idle_off_s is None


def test_what_is_empty_is_as_if_it_were_not_there(read):
    found = read("- {id: a, badges: [], lang: ~, limit_s: , valid_until: null, windows: ''}").members[0]
    assert found == wire.Member(id="a", badges=[])


def test_a_bare_list_is_a_list_of_members(read):
    assert read('[{"id": "a", "badges": ["04A1B2C3"]}]', "json").members[0].id == "a"
    assert read("- {id: a, badges: [04A1B2C3]}").members[0].id == "a"


def test_the_version_is_the_time_of_the_file(read, tmp_path):
    read("- {id: a, badges: []}")
    os.utime(tmp_path / "members.yaml", (1_764_000_000, 1_764_000_000))
    found = file.read(tmp_path / "members.yaml", key=KEY, topics=TOPICS, fallback=FALLBACK)
    assert found.version == 1_764_000_000_000


@pytest.mark.parametrize(
    "spelling",
    ["04A1B2C3", "04a1b2c3", "04:A1:B2:C3", "04-A1-B2-C3", "0x04A1B2C3", "hex-reversed:C3B2A104", "dec:77705923"],
)
@pytest.mark.parametrize("ending", ["yaml", "json", "csv"])
def test_any_spelling_of_a_badge_is_the_same_badge_in_any_format(read, spelling, ending):
    text = {
        "yaml": f"members: [{{id: a, badges: [{spelling}]}}]",
        "json": json.dumps([{"id": "a", "badges": [spelling]}]),
        "csv": f"id,badges\na,{spelling}\n",
    }[ending]
    assert read(text, ending).members[0].badges == [digest("04A1B2C3")]


def test_a_badge_that_yaml_takes_for_a_number_stays_text(read):
    text = "- {id: a, badges: [12:34:56:10]}\n- {id: b, badges: [1E222222]}\n- {id: c, badges: [0o123456]}"
    with pytest.raises(UsageError, match="…56"):
        read(text)
    found = read(text.partition("\n- {id: c")[0])
    assert [one.badges for one in found.members] == [[digest("12:34:56:10")], [digest("1E222222")]]


@pytest.mark.parametrize(
    ("cell", "badges"),
    [
        ("04A1B2C3;04A1B2C4", ["04A1B2C3", "04A1B2C4"]),
        ('"04A1B2C3,04A1B2C4"', ["04A1B2C3", "04A1B2C4"]),
        ('" 04 A1 B2 C3 ; 04 A1 B2 C4 ; "', ["04A1B2C3", "04A1B2C4"]),
        ('"12,345"', ["w26:12,345"]),
        ('"w26:12,345;123,45678"', ["w26:12,345", "w26:123,45678"]),
    ],
)
def test_several_badges_in_a_cell_are_told_apart_and_one_of_wiegand_is_not_two(read, cell, badges):
    assert read(f"id,badges\na,{cell}\n", "csv").members[0].badges == [digest(one) for one in badges]


def test_columns_may_be_separated_by_semicolons_or_tabs_and_badges_then_by_commas(read):
    assert read('id;badges\na;04A1B2C3,04A1B2C4\nb;"12,345"\n', "csv").members[1].badges == [digest("w26:12,345")]
    assert len(read("id;badges\na;04A1B2C3,04A1B2C4\n", "csv").members[0].badges) == 2
    assert len(read("id\tbadges\na\t04A1B2C3;04A1B2C4\n", "csv").members[0].badges) == 2


def test_a_file_that_goes_away_while_it_is_read_is_one_clear_line(read, monkeypatch):
    original = file.text_of

    def lose_and_read(path):
        path.unlink()
        return original(path)

    monkeypatch.setattr(file, "text_of", lose_and_read)
    with pytest.raises(UsageError, match="cannot be read"):
        read("- {id: a, badges: []}")


def test_what_is_no_file_is_told_and_not_waited_for(tmp_path):
    pipe, folder, plug = tmp_path / "pipe.csv", tmp_path / "folder.csv", tmp_path / "plug.csv"
    os.mkfifo(pipe)
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(plug))
    for path, found in (
        (pipe, "a named pipe"),
        (folder, "a directory"),
        (plug, "a socket"),
        (Path("/dev/zero"), "a device"),
    ):
        with pytest.raises(UsageError, match=f"{path}: found {found}, wanted a regular file"):
            file.read(path, key=KEY, topics=TOPICS, fallback=FALLBACK)


# --- a hundred thousand -----------------------------------------------------------------------------------------------


def people_as(ending: str, count: int) -> str:
    """So many members with a badge each, as a file of that ending."""
    people = [(f"m-{n}", f"dec:{1_000_000_000 + n}") for n in range(count)]
    if ending == "csv":
        return "id,badges\n" + "".join(f"{one},{card}\n" for one, card in people)
    rows = [{"id": one, "badges": [card]} for one, card in people]
    return json.dumps(rows) if ending == "json" else "\n".join(f"- {json.dumps(row)}" for row in rows)


@pytest.mark.parametrize(("ending", "most"), [("yaml", 20_000), ("json", 100_000), ("csv", 100_000)])
def test_as_many_members_as_a_file_may_have_are_read(read, ending, most):
    assert len(read(people_as(ending, most), ending).members) == most


@pytest.mark.parametrize("ending", ["yaml", "json", "csv"])
def test_the_work_of_reading_grows_with_the_members_alone(read, ending):
    def work(count: int) -> int:
        text = people_as(ending, count)
        return instructions(lambda: read(text, ending))

    few, many = work(200), work(1_000)
    assert few > 200
    # Five times as many members are 25 times the work where it grows with their square. Python 3.13 counts a little less
    # at the beginning than 3.11 does.
    assert many < 7.5 * few
