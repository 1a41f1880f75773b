"""Mistakes in a roster that a person keeps: each by its line, all at once, and never a badge."""

from __future__ import annotations

import json
import re
from functools import reduce
from operator import xor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fabgate import badge
from fabgate.errors import UsageError
from fabgate.gate.roster import file, file_formats
from tests.gate.roster.conftest import FALLBACK, KEY, TOPICS


@pytest.fixture
def mistakes(tmp_path, read):
    """Return the mistakes of such a file, without its folder."""

    def mistakes_(text: str | bytes, ending: str = "yaml") -> list[str]:
        with pytest.raises(UsageError) as caught:
            read(text, ending)
        assert caught.value.exit_code == 2
        return str(caught.value).replace(f"{tmp_path}/", "").splitlines()

    return mistakes_


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
    "a year of two digits": (
        "csv",
        "id,badges,valid_until\na,04A1B2C3,0026-12-31\nb,04A1B2C4,2062-12-31\n",
        [
            "members.csv:2: member 1: valid_until: found '0026-12-31', wanted a day from 1950-01-01 to 2060-12-31; did you mean 2026-12-31?",
            "members.csv:3: member 2: valid_until: found '2062-12-31', wanted a day from 1950-01-01 to 2060-12-31; did you mean 2026-12-31?",
        ],
    ),
    "a day without hyphens, and a week": (
        "yaml",
        '- {id: a, badges: [], valid_until: "00261231"}\n- {id: b, badges: [], valid_until: "20621231"}\n- {id: c, badges: [], valid_until: "0026-W53-4"}',
        [
            "members.yaml:1: member 1: valid_until: found '00261231', wanted a date such as 2027-03-01",
            "members.yaml:2: member 2: valid_until: found '20621231', wanted a date such as 2027-03-01",
            "members.yaml:3: member 3: valid_until: found '0026-W53-4', wanted a date such as 2027-03-01",
        ],
    ),
    "a year that lacks its century": (
        "csv",
        "id,badges,valid_until\na,04A1B2C3,26-12-31\n",
        [
            "members.csv:2: member 1: valid_until: found '26-12-31', wanted a day from 1950-01-01 to 2060-12-31; did you mean 2026-12-31?",
        ],
    ),
    "a machine that is open to all for a lifetime": (
        "yaml",
        "machine: {observe_until: 2062-12-31}\nmembers: [{id: a, badges: []}]",
        ["members.yaml:1: machine.observe_until: found '2062-12-31', wanted a day from 1950-01-01 to 2060-12-31; did you mean 2026-12-31?"],
    ),
    "a machine that is open to all until a number": (
        "yaml",
        "machine: {observe_until: 20621231}\nmembers: [{id: a, badges: []}]",
        ["members.yaml:1: machine.observe_until: found '20621231', wanted a moment such as 2027-03-01 or 2027-03-01T18:00"],
    ),
    "no end, written as a day": (
        "yaml",
        "- {id: a, badges: [], valid_until: 9999-12-31}",
        ["members.yaml:1: member 1: valid_until: found '9999-12-31', wanted a day from 1950-01-01 to 2060-12-31"],
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


@settings(max_examples=10)
@given(st.binary(min_size=5, max_size=5), st.integers(0, (1 << 24) - 1))
def test_nor_one_of_another_kind(raw, low):
    raw = b"\xa5" + raw[1:]  # hex that is no decimal
    badges = [badge.Badge(badge.Kind.EM4100, raw), badge.wiegand(34, low << 6), badge.wiegand(37, low << 9 | 1)]
    badges += [badge.number(one.name, f"{low:0{one.digits}d}") for one in badge.NUMBERS]
    texts = [
        text for one in badges for spelling in badge.spellings(one).values() for text in (spelling, f"{spelling}x")
    ]
    check_byte = reduce(xor, raw[:4])
    texts += [raw.hex(), f"{raw[:4].hex()}{check_byte:02x}", f"w37-hex:{low | 0xF00000000:09x}", f"88{raw[:3].hex()}"]
    texts += [f"dec:{int.from_bytes(bytes((0x88, *raw[:3])), 'big')}"]
    for text in texts:
        told = compact(text.rpartition(":")[2])
        mistakes = file_formats.Mistakes(Path("members.yaml"))
        file._people([(None, {"id": "a", "badges": [text]}), (None, {"id": "b", "badges": [text]})], KEY, mistakes)
        assert mistakes.found, text
        for line in map(compact, mistakes.found):
            assert told not in line
            assert told[:8] not in line
            assert compact(raw[:3].hex()) not in line


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


@pytest.mark.parametrize("rest", ["", ', "reasons": ["x"]'])
def test_text_that_nothing_can_encode_is_one_clear_line(mistakes, rest):
    (told,) = mistakes(f'[{{"id": "m-\\ud800", "badges": []{rest}}}]', "json")
    assert told == (
        "members.json: member 1: found half a character (a lone surrogate), wanted text; export the file again, as UTF-8"
    )


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
