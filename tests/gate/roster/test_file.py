"""A roster that a person keeps: three formats, any spelling of a badge, and every mistake by its line."""

from __future__ import annotations

import json
import os
import re
import socket
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabgate import badge, wire
from fabgate.errors import UsageError
from fabgate.gate.roster import file, file_formats
from tests.support.work import instructions

KEY = b"a badge key of some workshop...."
TOPICS = wire.GateTopics("lyon", "saw")
FALLBACK = wire.MachineRules(limit_s=600, max_s=1200)


def digest(spelling: str) -> str:
    return badge.digest(badge.parse(spelling), KEY)


@pytest.fixture
def read(tmp_path):
    """Read a roster from its text; the name's ending says which format it is."""

    def read_(text: str | bytes, ending: str = "yaml") -> wire.Roster:
        path = tmp_path / f"members.{ending}"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        found = file.read(path, key=KEY, topics=TOPICS, fallback=FALLBACK)
        return msgspec.structs.replace(found, members=list(found.members), refusals=list(found.refusals))

    return read_


@pytest.fixture
def mistakes(tmp_path, read):
    """Return the mistakes of such a file, without its folder."""

    def mistakes_(text: str | bytes, ending: str = "yaml") -> list[str]:
        with pytest.raises(UsageError) as caught:
            read(text, ending)
        assert caught.value.exit_code == 2
        return str(caught.value).replace(f"{tmp_path}/", "").splitlines()

    return mistakes_


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
MO = wire.Refusal(badges=[digest("04A1B2C5")], reasons=["suspended"], id="m-3", lang="fr")


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


# --- mistakes by line -------------------------------------------------------------------------------------------------

WRONG: dict[str, tuple[str, str, list[str]]] = {
    "two people with one card": (
        "csv",
        "id,badges\na,04A1B2C3\nb,hex-reversed:C3B2A104\n",
        ["members.csv:3: member 2: badges: found …04, wanted another card; member 1 in line 2 has that one"],
    ),
    "a card twice at one person": (
        "yaml",
        "members:\n  - {id: a, badges: [04A1B2C3, '04:A1:B2:C3']}",
        ["members.yaml:2: member 1: badges: found …C3, wanted another card; member 1 in line 2 has that one"],
    ),
    "one id twice": (
        "yaml",
        "- {id: a, badges: [04A1B2C3]}\n- {id: a, badges: [04A1B2C4]}",
        ["members.yaml:2: member 2: id: found 'a' again, wanted it once; member 1 in line 1 has it"],
    ),
    "a phone": ("csv", "id,badges\na,08:12:34:56\n", ["members.csv:2: member 1: badges: found a random UID, wanted a card"]),
    "a random number backwards": (
        "csv",
        "id,badges\na,hex-reversed:56341208\n",
        ["members.csv:2: member 1: badges: found a random UID, wanted a card"],
    ),
    "a lost zero": (
        "csv",
        "id,badges\na,4A1B2C3\n",
        ["members.csv:2: member 1: badges: '…C3' has 7 hex digits: a zero is missing. Write all 8, 14 or 20 digits"],
    ),
    "a number that may be two cards": (
        "csv",
        "id,badges\na,77705923123\n",
        ["members.csv:2: member 1: badges: '…23' is a number, and a number can be two different cards: write dec:…23"],
    ),
    "digits that may be hex or a decimal": (
        "yaml",
        "members:\n  - {id: a, badges: [hex:12345678]}\n  - {id: b, badges: [12345679]}",
        [
            "members.yaml:3: member 2: badges: '…79' is a number, and a number can be two different cards: write hex:…79",
        ],
    ),
    "half of a card": ("csv", "id,badges\na,8804A1B2\n", ["members.csv:2: member 1: badges: '…B2' starts with the cascade tag"]),
    "what a spreadsheet made of a card": ("csv", 'id,badges\na,"4,00E+122"\n', ["members.csv:2: member 1: badges: '4' is a number", "members.csv:2: member 1: badges: '…22'"]),
    "an unknown column": (
        "csv",
        "id,badges,valid_untill\na,04A1B2C3,2020-01-01\n",
        ["members.csv:1: found the column 'valid_untill', wanted a known one; did you mean valid_until?"],
    ),
    "a column that is nobody's": ("csv", "id,badges,shoe\n", ["members.csv:1: found the column 'shoe', wanted one of id, badges, name"]),
    "a column twice": ("csv", "id,badges,ID\n", ["members.csv:1: found the column 'id' twice, wanted it once"]),
    "no column of badges": ("csv", "id,name\na,b\n", ["members.csv:1: found the columns id, name, wanted at least id and badges"]),
    "more cells than columns": (
        "csv",
        "id,badges\na,12,345\n",
        ["members.csv:2: found 3 cells, wanted 2; quote a cell with ','"],
    ),
    "an open quote": ("csv", 'id,badges\na,"04' + "A" * 200_000, ["members.csv:2: field larger than field limit"]),
    "fewer cells than columns": ("csv", "id,badges\na\n", ["members.csv:2: member 1: badges: found nothing, wanted a list of badges"]),
    "an empty csv": ("csv", "", ["members.csv:1: found the columns (none), wanted at least id and badges"]),
    "a csv with a head alone": ("csv", "id,badges\n;;\n".replace(";;\n", ""), ["members.csv: found no member, wanted at least one; an empty"]),
    "an unknown key": (
        "yaml",
        "members:\n\n  - {id: a, badges: [], levle: user}",
        ["members.yaml:3: member 1: levle: found an unknown key, wanted a known one; did you mean level?"],
    ),
    "a csv without a head": ("csv", "m-1,04A1B2C3\n", ["members.csv:1: found the column 'm-1', wanted one of"]),
    "a csv without a head, badges first": ("csv", "04A1B2C3,m-1\n", ["members.csv:1: found the column '…c3', wanted"]),
    "an unknown level": (
        "yaml",
        "- {id: a, badges: [], level: boss}",
        ["members.yaml:1: member 1: level: found 'boss', wanted user, supervisor or maintainer"],
    ),
    "a language without a catalogue": (
        "yaml",
        "- {id: a, badges: [], lang: de}",
        ["members.yaml:1: member 1: lang: found 'de', wanted en or fr, the languages of displays"],
    ),
    "a language without a catalogue, of somebody refused": (
        "csv",
        "id,badges,lang,reasons\na,04A1B2C3,FR,banned\n",
        ["members.csv:2: member 1: lang: found 'FR', wanted en or fr, the languages of displays"],
    ),
    "a date as spreadsheets write it": (
        "csv",
        "id,badges,valid_until\na,04A1B2C3,01/03/2027\n",
        ["members.csv:2: member 1: valid_until: found '01/03/2027', wanted a date such as 2027-03-01"],
    ),
    "a window that is none": (
        "csv",
        "id,badges,windows\na,04A1B2C3,mo-fr 8-22\n",
        ["members.csv:2: member 1: windows: found 'mo-fr 8-22', wanted windows such as '1-5 08:00-22:00'"],
    ),
    "a window that is none, in a list": (
        "yaml",
        "- {id: a, badges: [], windows: [1-5 08:00-22:00, 8-9 08:00-22:00]}",
        ["members.yaml:1: member 1: windows: found '8-9 08:00-22:00', wanted windows such as '1-5 08:00-22:00'"],
    ),
    "a window of no hour": (
        "csv",
        "id,badges,windows\na,04A1B2C3,1-5 08:00-25:00\n",
        ["members.csv:2: member 1: windows: found the time '25:00', wanted HH:MM"],
    ),
    "a window of no day": (
        "csv",
        "id,badges,windows\na,04A1B2C3,5-1 08:00-22:00\n",
        ["members.csv:2: member 1: windows: found the days [], wanted ISO weekdays"],
    ),
    "a window without its end": (
        "yaml",
        "- {id: a, badges: [], windows: [{days: [1], from: '08:00'}]}",
        ["members.yaml:1: member 1: windows: found a list, wanted windows such as"],
    ),
    "a limit that is no number": (
        "csv",
        "id,badges,limit_s\na,04A1B2C3,2h\n",
        ["members.csv:2: member 1: limit_s: found '2h', wanted a whole number"],
    ),
    "a switch that is a word": (
        "csv",
        "id,badges,supervised\na,04A1B2C3,oui\n",
        ["members.csv:2: member 1: supervised: found 'oui', wanted true or false"],
    ),
    "numbers for badges": (
        "json",
        '[{"id": "a", "badges": [77705923]}]',
        ["members.json:1: member 1: badges: found something else, wanted a list of badges, each as text"],
    ),
    "a number for an id": ("json", '[{"id": 5, "badges": []}]', ["members.json:1: member 1: id: found 5, wanted text"]),
    "no id": ("yaml", "- {badges: []}", ["members.yaml:1: member 1: id: found nothing, wanted text"]),
    "no badges": ("yaml", "- {id: a}", ["members.yaml:1: member 1: badges: found nothing, wanted a list of badges"]),
    "an id of the emergency": ("yaml", "- {id: 'emergency:x', badges: []}", ["member 1: id: found 'emergency:x', wanted text that"]),
    "a member that is a word": ("yaml", "- ada", ["members.yaml:1: member 1: found a word, wanted keys and values, at least id and badges"]),
    "a member that is a list": ("yaml", "- [ada]", ["members.yaml:1: member 1: found a list, wanted keys and values, at least id and badges"]),
    "a member that is nothing": ("yaml", "-", ["members.yaml:1: member 1: found nothing, wanted keys and values, at least id and badges"]),
    "a key of a member twice": (
        "yaml",
        "- id: a\n  badges: [04A1B2C3]\n  badges: [04A1B2C4]",
        ["members.yaml:3: badges: found again, wanted once"],
    ),
    "the members twice": (
        "yaml",
        "members: [{id: a, badges: []}, {id: b, badges: []}]\nmembers: [{id: c, badges: []}]",
        ["members.yaml:2: members: found again, wanted once"],
    ),
    "a key twice in json": (
        "json",
        '[{"id": "a", "id": "b", "badges": []}]',
        ["members.json:1: id: found again, wanted once"],
    ),
    "an unknown key of the file": ("yaml", "membres: []\nmembers: []", ["members.yaml:1: membres: found an unknown key, wanted a known one; did you mean members?", "members.yaml: found no member"]),
    "no members": ("yaml", "tz: UTC", ["members.yaml: found keys and values, wanted 'members:' with a list of members"]),
    "members that are no list": ("yaml", "members: 5", ["members.yaml:1: members: found '5', wanted a list of members"]),
    "an empty list": ("json", "[]", ["members.json: found no member, wanted at least one; an empty roster would lock"]),
    "an empty file": ("yaml", "", ["members.yaml: found nothing, wanted 'members:' with a list of members"]),
    "a word": ("yaml", "hello", ["members.yaml: found 'hello', wanted 'members:'"]),
    "an unknown zone": ("yaml", "tz: Lyon\nmembers: [{id: a, badges: []}]", ["members.yaml:1: tz: found 'Lyon', wanted a time zone"]),
    "a zone that is a list": ("yaml", "tz: [a]\nmembers: [{id: a, badges: []}]", ["members.yaml:1: tz: found a list, wanted"]),
    "a zone that is nothing": ("json", '{"tz": null, "members": [{"id": "a", "badges": []}]}', ["members.json:1: tz: found nothing, wanted"]),
    "a machine that is a word": ("yaml", "machine: saw\nmembers: [{id: a, badges: []}]", ["members.yaml:1: machine: found 'saw', wanted keys"]),
    "mistakes of a machine": (
        "yaml",
        "machine: {mod: tap, limit_s: x, mode: y, finish: z}\nmembers: [{id: a, badges: []}]",
        [
            "members.yaml:1: machine.mod: found an unknown key, wanted a known one; did you mean mode?",
            "members.yaml:1: machine.limit_s: found 'x', wanted a whole number",
            "members.yaml:1: machine.mode: found 'y', wanted tap, hold, timed or audit",
            "members.yaml:1: machine.finish: found 'z', wanted wait or cut",
        ],
    ),
    "broken yaml": ("yaml", "members: [\n  {id: a", ["members.yaml:3: "]),
    "yaml as deep as its reader goes": ("yaml", "[" * 900 + "]" * 900, ["members.yaml: lists are nested too deeply"]),
    "broken json": ("json", '[\n{"id": "a",}]', ["members.json:2: "]),
    "json without end": ("json", "[" * 100_000, ["members.json: lists are nested too deeply"]),
    "yaml without end": ("yaml", "[" * 100_000, ["members.yaml:1: "]),
    "a number without end": ("json", '[{"id": ' + "9" * 5000 + "}]", ["members.json: lists are nested too deeply, or a number is too long"]),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG)
def test_a_mistake_is_told_by_its_line(kind, mistakes):
    ending, text, expected = WRONG[kind]
    found = mistakes(text, ending)
    assert len(found) == len(expected), found
    for line, wanted in zip(found, expected, strict=True):
        assert wanted in line
        assert line.startswith(f"members.{ending}")
        assert len(line) < 400


def test_all_mistakes_of_a_file_come_at_once_each_with_its_line(mistakes):
    text = "id,name,badges,level\na,Ada,4A1B2C3,boss\nb,Bob,04A1B2C3,user\nc,Cy,04A1B2C3,user\n,Di,08:12:34:56,x\n"
    assert [re.match(r"members\.csv:(\d+): member \d: (\w+)", line).groups() for line in mistakes(text, "csv")] == [
        ("2", "level"),
        ("2", "badges"),
        ("4", "badges"),
        ("5", "id"),
        ("5", "level"),
        ("5", "badges"),
    ]


def test_json_over_many_lines_is_told_by_them_too(mistakes):
    people = [{"id": f"m-{n}", "badges": ["04A1B2C3"]} for n in range(3)]
    found = mistakes(json.dumps({"tz": "UTC", "members": people}, indent=1), "json")
    assert [line.partition(" ")[0] for line in found] == ["members.json:10:", "members.json:16:"]
    assert "member 1 in line 4 has that one" in found[0]


def test_json_that_is_no_yaml_is_told_by_the_members_number(mistakes):
    people = [{"id": "a", "name": "😀", "badges": ["04A1B2C"]}, {"id": "b", "badges": ["04A1B2C"]}]
    found = mistakes(json.dumps(people), "json")  # escaped as two halves, which YAML does not know
    assert [line[:23] for line in found] == ["members.json: member 1:", "members.json: member 2:"]


def test_one_mistake_above_a_hundred_is_one(mistakes):
    found = mistakes("id,badges\n" + "".join(f"m-{n},\n" for n in range(101)), "csv")
    assert found[-1] == "members.csv: and 1 more mistake"


def test_a_column_that_is_wrong_in_every_line_is_told_a_hundred_times_and_counted(mistakes):
    found = mistakes("id,badges,level\n" + "".join(f"m-{n},,boss\n" for n in range(1000)), "csv")
    assert len(found) == 101
    assert found[-1] == "members.csv: and 1900 more mistakes"


def test_a_key_of_thousands_of_letters_and_a_thousand_keys_twice_are_one_short_line(mistakes):
    assert max(map(len, mistakes("- {id: a, badges: [], " + "k" * 900 + ": 1}"))) < 400
    text = "{" + ", ".join(f'"k{n}": 1, "k{n}": 2' for n in range(20_000)) + "}"
    assert max(map(len, mistakes(f'[{{"id": "a", "badges": [], "x": {text}}}]', "json"))) < 400


def test_rows_count_as_the_editor_counts_them_with_line_breaks_in_cells(mistakes):
    assert mistakes('id,name,badges\na,"Ada\nB.",04A1B2C3\nb,Bob,zz\n', "csv")[0].startswith("members.csv:4: member 2")


uids = st.binary(min_size=4, max_size=10).filter(
    lambda raw: len(raw) in badge.UID_LENGTHS and raw[0] not in (8, 0x88) and len(set(raw)) > 2
)


@given(uids)
def test_what_is_wrong_with_a_roster_never_tells_a_badge(uid):
    # The reason of a refused roster is journalled and published, and a badge never is.
    for name, spelling in badge.spellings(badge.from_uid(uid)).items():
        told = compact(spelling if name in ("canonical", "hex with colons") else spelling.rpartition(":")[2])
        for text in (spelling, f"{spelling}1", f"{spelling}x"):
            raw = [{"id": "a", "badges": [text]}, {"id": "b", "badges": [text]}]
            mistakes = file_formats.Mistakes(Path("members.yaml"))
            file._people([(None, person) for person in raw], KEY, mistakes)
            assert mistakes.found
            for line in map(compact, mistakes.found):
                assert told not in line
                assert compact(uid.hex()) not in line


def compact(text: str) -> str:
    return re.sub(r"[\s:.-]", "", text).upper()


@pytest.mark.parametrize("ending", ["yaml", "json", "csv"])
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            "id,badges\né\n".encode("latin-1"),
            ":2: found bytes that are not UTF-8, wanted UTF-8; save the file with that",
        ),
        ("id,badges".encode("utf-16"), ":1: found bytes that are not UTF-8"),
    ],
)
def test_a_file_of_another_encoding_is_one_clear_line(mistakes, ending, content, expected):
    (found,) = mistakes(content, ending)
    assert f"members.{ending}{expected}" in found


def test_a_huge_file_and_no_file_are_one_clear_line(mistakes, tmp_path, monkeypatch):
    monkeypatch.setattr(file_formats, "MAX_BYTES", 100)
    assert "found more than 100 bytes, wanted less" in mistakes("#" * 101)[0]
    with pytest.raises(UsageError, match=r"none\.yaml: cannot be read \(No such file"):
        file.read(tmp_path / "none.yaml", key=KEY, topics=TOPICS, fallback=FALLBACK)


def test_a_file_that_goes_away_while_it_is_read_is_one_clear_line(read, monkeypatch):
    original = file.text_of

    def lose_and_read(path):
        path.unlink()
        return original(path)

    monkeypatch.setattr(file, "text_of", lose_and_read)
    with pytest.raises(UsageError, match="cannot be read"):
        read("- {id: a, badges: []}")


@pytest.mark.parametrize("rest", ["", ', "reasons": ["x"]'])
def test_text_that_nothing_can_encode_is_one_clear_line(mistakes, rest):
    (told,) = mistakes(f'[{{"id": "m-\\ud800", "badges": []{rest}}}]', "json")
    assert told == (
        "members.json: member 1: found half a character (a lone surrogate), wanted text; export the file again, as UTF-8"
    )


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


def test_yaml_has_a_smaller_limit_than_the_others_and_says_what_takes_more(mistakes, read):
    people = [{"id": f"m-{n}", "badges": []} for n in range(33_000)]
    text = json.dumps(people)
    assert len(text) > file_formats.YAML_MAX_BYTES
    (told,) = mistakes(text)
    assert told == (
        "members.yaml: found more than 1048576 characters of YAML, wanted fewer; use JSON or CSV for this many members"
    )
    assert len(read(text, "json").members) == 33_000
    (told,) = mistakes(text[:-1] + ', {"id": "", "badges": []}]', "json")
    assert told.startswith("members.json: member 33001: id: found nothing"), "its line would cost more than the file"


def test_aliases_are_read_once_and_never_fill_the_memory(read, mistakes):
    assert len(read("members: [{id: a, badges: &x [04A1B2C3]}, {id: b, badges: []}]").members) == 2
    bomb = "\n".join(
        f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert "with all aliases expanded" in mistakes(f"a: &a [z]\n{bomb}\nmembers: *i")[0]


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
