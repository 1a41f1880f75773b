"""YAML that nobody should write: explicit tags, bombs of aliases, merges, odd scalars. Each is mistakes, none a crash."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fabgate import wire
from fabgate.errors import UsageError
from fabgate.gate.config import gate_yaml
from fabgate.gate.roster import file, file_formats
from fabgate.gate.terminal.check import check

KEY = b"a badge key of some workshop...."
TOPICS = wire.GateTopics("lyon", "saw")

GATE = """\
site: lyon
gate: laser-1
state_dir: state
demo: true
machine: {machine}
reader: {{driver: simulated, control_socket: tap}}
output: {{driver: memory}}
roster: {{file: members.yaml}}
{more}
"""


def members_file(folder: Path, text: str, ending: str = "yaml") -> list[str]:
    """Return the mistakes of a members file, none for one that is right."""
    path = folder / f"members.{ending}"
    path.write_text(text, encoding="utf-8")
    try:
        file.read(path, key=KEY, topics=TOPICS, fallback=wire.MachineRules())
    except UsageError as error:
        return str(error).replace(f"{folder}/", "").splitlines()
    return []


def gate_file(folder: Path, text: str) -> list[str]:
    """Return the mistakes of a gate.yaml, none for one that is right."""
    path = folder / "gate.yaml"
    path.write_text(text, encoding="utf-8")
    try:
        check(path)
    except UsageError as error:
        return str(error).replace(f"{folder}/", "").splitlines()
    return []


@pytest.fixture
def right(tmp_path: Path) -> Path:
    (tmp_path / "members.yaml").write_text("- {id: a, badges: [04A1B2C3]}\n")
    assert gate_file(tmp_path, GATE.format(machine="{}", more="")) == []
    return tmp_path


# --- explicit tags ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        "!!bool x",
        "!!timestamp x",
        '!!float "_"',
        '!!int ""',
        "!!binary x",
        "!!set {a}",
        "!!python/object:os.system x",
        "!mine 5",
        "!!null x",
    ],
)
def test_an_explicit_tag_in_a_gate_yaml_is_a_mistake_in_its_line(right: Path, value: str) -> None:
    for text, line, key in (
        (GATE.format(machine=f"{{limit_s: {value}}}", more=""), 5, "machine.limit_s"),
        (GATE.format(machine="{}", more=f"lang: {value}"), 9, "lang"),
        (GATE.format(machine=f"{{? {value} : 1}}", more=""), 5, "machine"),
    ):
        found = gate_file(right, text)
        assert any(line_.startswith(f"gate.yaml:{line}: {key}") for line_ in found), found
        assert any("found the tag !" in line_ and "wanted a value without one" in line_ for line_ in found), found


def test_an_explicit_tag_in_a_members_file_is_a_mistake_in_its_line(tmp_path: Path) -> None:
    found = members_file(tmp_path, "members:\n- id: !!bool x\n  badges: []\n- {id: b, badges: !!set {04A1B2C3}}\n")
    assert found[0] == "members.yaml:2: found the tag !!bool, wanted a value without one; leave it out"
    assert found[1] == "members.yaml:4: found the tag !!set, wanted a value without one; leave it out"


def test_a_tag_that_says_what_is_there_anyway_is_no_mistake(tmp_path: Path) -> None:
    assert members_file(tmp_path, "!!map\nmembers: !!seq\n- {id: !!str a, badges: []}\n") == []


# --- lines, and all at once -------------------------------------------------------------------------------------------


MISTAKEN = """\
membres: []
members:
  - {id: a, badges: [], levle: user}
machine:
  mod: tap
  limit_s: x
  warn_s: 99999999
  mode: y
tz: Lyon
"""


def test_what_stands_beside_the_members_has_lines_and_hides_nothing(tmp_path: Path) -> None:
    found = members_file(tmp_path, MISTAKEN)
    assert [re.sub(r"(: found.*)", "", line) for line in found] == [
        "members.yaml:1: membres",
        "members.yaml:5: machine.mod",
        "members.yaml:6: machine.limit_s",
        "members.yaml:8: machine.mode",
        "members.yaml:7: machine.warn_s",
        "members.yaml:9: tz",
        "members.yaml:3: member 1: levle",
    ]


def test_json_has_the_same_lines(tmp_path: Path) -> None:
    text = json.dumps(
        {
            "membres": [],
            "members": [{"id": "a", "badges": [], "levle": "user"}],
            "machine": {"limit_s": "x", "finish": "never"},
            "tz": "Lyon",
        },
        indent=1,
    )
    text = text.replace('"tz"', '"tz": "UTC",\n "tz"')
    assert [re.sub(r"(: found.*)", "", line) for line in members_file(tmp_path, text, "json")] == [
        "members.json:15: tz",
        "members.json:2: membres",
        "members.json:11: machine.limit_s",
        "members.json:12: machine.finish",
        "members.json:15: tz",
        "members.json:4: member 1: levle",
    ]


def test_members_that_are_no_list_hide_nothing_else(tmp_path: Path) -> None:
    found = members_file(tmp_path, "tz: Lyon\nmembers: 5\n")
    assert found == [
        "members.yaml:2: members: found '5', wanted a list of members",
        "members.yaml:1: tz: found 'Lyon', wanted a time zone such as Europe/Paris",
    ]


def test_every_wrong_column_is_told_at_once(tmp_path: Path) -> None:
    found = members_file(tmp_path, "id,badgs,levle,shoe,ID\n", "csv")
    assert [line.removeprefix("members.csv:1: found the ").partition(", wanted")[0] for line in found] == [
        "column 'badgs'",
        "column 'levle'",
        "column 'shoe'",
        "column 'id' twice",
        "columns id, badgs, levle, shoe, id",
    ]


def test_a_key_that_is_a_list_is_a_mistake_in_its_line(tmp_path: Path) -> None:
    found = members_file(tmp_path, "members:\n- {id: a, badges: []}\n- {? [b, c] : 1, id: b, badges: []}\n")
    assert found == ["members.yaml:3: found a list as a key, wanted a word"]


# --- bombs ------------------------------------------------------------------------------------------------------------


def test_a_bomb_of_aliases_is_refused_before_anything_is_made_of_it(tmp_path: Path) -> None:
    """757 kB of text, which cost the roster's thread more than 100 s: each member repeats one list of 50,000 badges."""
    badges = ", ".join(f"dec:{1_000_000_000 + n}" for n in range(30_000))
    rest = "\n".join(f"- {{id: m-{n}, badges: *all}}" for n in range(10_000))
    text = f"- {{id: m, badges: &all [{badges}]}}\n{rest}\n"
    assert len(text) < file_formats.YAML_MAX_BYTES
    (found,) = members_file(tmp_path, text)
    assert found == (
        "members.yaml: found more than 524288 values with all aliases expanded, wanted fewer; write the values"
        " themselves"
    )


def test_a_bomb_of_aliases_in_a_gate_yaml_is_refused(right: Path) -> None:
    lines = "\n".join(
        f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]" for before, name in zip("abcdefg", "bcdefgh", strict=True)
    )
    (found,) = gate_file(right, GATE.format(machine="{}", more=f"a: &a [z]\n{lines}"))
    assert "gate.yaml: found more than 131072 values with all aliases expanded" in found


@pytest.mark.parametrize("text", ["members: &m [*m]", "&m\nmembers: [*m]", "- &m {id: *m, badges: []}", "&m [*m]"])
def test_what_holds_itself_is_a_mistake_in_its_line(tmp_path: Path, text: str) -> None:
    (found,) = members_file(tmp_path, text)
    assert re.fullmatch(
        r"members\.yaml:\d: found a value that contains itself \(an alias to what it is part of\), .*", found
    )


def test_a_few_aliases_are_as_good_as_what_they_stand_for(tmp_path: Path) -> None:
    text = "- {id: a, badges: [04A1B2C3], windows: &w [1-5 08:00-22:00]}\n- {id: b, badges: [], windows: *w}\n"
    assert members_file(tmp_path, text) == []


# --- anything at all --------------------------------------------------------------------------------------------------

SCALARS = st.one_of(
    st.sampled_from(
        [
            "x",
            "5",
            "0x_",
            "0b_",
            "0o7",
            "1:60",
            "190:20:30.15",
            "_",
            ".",
            ".inf",
            ".nan",
            "-",
            "~",
            "null",
            "yes",
            "''",
            '""',
            "<<",
            "",
            "=",
            "2026-99-99",
            "2026-11-24",
            "1e999",
            "2001-12-14t21:59:43.10+99:99",
            "0001-01-01t00:00:00+23:59",
            "[]",
            "{}",
            "'\"\\ud800\"'",
            "04A1B2C3",
            "12:34:56:10",
            "user",
            "tap",
            "Europe/Paris",
            "Europe",
            "../etc",
            "&a",
            "*a",
            "1-5",
            "members",
        ]
    ),
    st.just(":".join(["1"] * 400) + ".0"),
    st.just("9" * 5000),
    st.text(alphabet="abc019:-+._'\"#%@`!&*\x00\t ", max_size=8),
)
TAGS = st.sampled_from(["", "", "", "!!bool ", "!!timestamp ", "!!float ", "!!int ", "!!null ", "!!binary ", "!!set "])
MORE_TAGS = st.sampled_from(
    ["!!omap ", "!!pairs ", "!!map ", "!!seq ", "!!str ", "!x ", "! ", "!<tag:y> ", "!!python/none "]
)
ANCHORS = st.sampled_from(["", "", "", "&a ", "&b "])
ALIASES = st.sampled_from(["*a", "*b"])
KEYS = st.sampled_from(
    [
        "id",
        "badges",
        "members",
        "machine",
        "tz",
        "limit_s",
        "mode",
        "windows",
        "days",
        "from",
        "to",
        "reasons",
        "<<",
        "",
        "?",
        "lock",
        "roster",
        "file",
        "driver",
        "reader",
        "site",
        "inputs",
        "running_pin",
        "emergency_badges",
        "digest",
        "level",
        "lang",
        "[a]",
        "!!bool&x",
    ]
)


@st.composite
def values(draw: st.DrawFn, depth: int = 3) -> str:
    head = draw(ANCHORS) + draw(st.one_of(TAGS, MORE_TAGS))
    kind = draw(st.sampled_from("ssslm*" if depth else "ss*"))
    if kind == "*":
        return draw(ALIASES)
    if kind == "s":
        return head + draw(SCALARS)
    inner = [draw(values(depth - 1)) for _ in range(draw(st.integers(0, 3)))]
    if kind == "l":
        return f"{head}[{', '.join(inner)}]"
    return f"{head}{{{', '.join(f'{draw(KEYS)}: {value}' for value in inner)}}}"


FUZZ = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@FUZZ
@given(st.lists(st.tuples(KEYS, values()), max_size=4))
@example([("members", "[{id: !!timestamp x, badges: !!float _}]")])
@example([("tz", "!!binary x"), ("members", "&a [*a]")])
def test_no_members_file_ends_in_anything_but_mistakes(tmp_path: Path, lines: list[tuple[str, str]]) -> None:
    for line in members_file(tmp_path, "\n".join(f"{key}: {value}" for key, value in lines)):
        assert line.startswith("members.yaml")


@FUZZ
@given(st.sampled_from(sorted(gate_yaml.MachineSection.__struct_fields__)), values(), st.tuples(KEYS, values()))
@example("limit_s", "!!bool x", ("site", "!!timestamp x"))
@example("limit_s", ":".join(["1"] * 400) + ".0", ("lang", "en"))
def test_no_gate_yaml_ends_in_anything_but_mistakes(right: Path, name: str, value: str, more: tuple[str, str]) -> None:
    for line in gate_file(right, GATE.format(machine=f"{{{name}: {value}}}", more=f"{more[0]}: {more[1]}")):
        assert line.startswith(("gate.yaml", "members.yaml"))
