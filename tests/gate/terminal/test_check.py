"""``fabgate check``: gate.yaml and the roster file that it names, both at once; nothing is made or stored."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import pytest

from fabgate.drivers.inputs import CLOSE_POLLS
from fabgate.errors import UsageError
from fabgate.gate.config.gate_yaml import Inputs
from fabgate.gate.hardware.inputs_thread import InputsThread, input_pins
from fabgate.gate.terminal.check import check
from tests.rules.world import World

GATE = """\
site: lyon
gate: laser-1
state_dir: state
machine: {limit_s: 600}
reader: {driver: mfrc522}
output: {driver: gpio, pin: 17}
inputs: {INPUTS}
roster: {file: members.yaml}
"""
ADA = "members: [{id: a, badges: [04A1B2C3]}, {id: b, badges: [04A1B2C4], reasons: [banned]}]\n"


@pytest.fixture
def gate(tmp_path: Path):
    def gate_(members: str | bytes = ADA, inputs: str = "") -> Path:
        path = tmp_path / "gate.yaml"
        path.write_text(GATE.replace("INPUTS", inputs))
        (tmp_path / "members.yaml").write_bytes(members if isinstance(members, bytes) else members.encode())
        return path

    return gate_


def mistakes(path: Path) -> list[str]:
    with pytest.raises(UsageError) as caught:
        check(path)
    return str(caught.value).replace(f"{path.parent}/", "").splitlines()


def test_members_are_read_under_the_rules_of_the_configuration_and_nothing_is_made(gate, tmp_path):
    found = check(gate())
    assert (len(found.roster.members), len(found.roster.refusals)) == (1, 1)
    assert (found.roster.gate, found.roster.machine.limit_s) == ("laser-1", 600)
    assert {path.name for path in tmp_path.iterdir()} == {"gate.yaml", "members.yaml"}


def test_every_mistake_of_the_members_is_told_by_line(gate):
    found = mistakes(gate("members:\n  - {id: a, badges: [zz]}\n  - {id: a, badges: [04A1B2C3], level: boss}\n"))
    assert [line.partition(" ")[0] for line in found] == ["members.yaml:2:", "members.yaml:3:", "members.yaml:3:"]


def test_members_that_cannot_be_read_are_a_mistake(gate):
    (line,) = mistakes(gate(b"\xff\xfe"))
    assert line.startswith("members.yaml:1: found bytes that are not UTF-8, wanted UTF-8")
    (line,) = mistakes(gate("members: []\n"))
    assert line.startswith("members.yaml: found no member, wanted at least one")


def test_one_badge_of_two_people_is_found_without_the_gates_key(gate):
    (line,) = mistakes(gate("members: [{id: a, badges: [04A1B2C3]}, {id: b, badges: ['dec:77705923']}]\n"))
    assert "wanted another card; member 1 in line 1 has that one" in line


def test_an_idle_time_in_the_roster_file_needs_run_sense_too(gate):
    idle = f"machine: {{idle_off_s: 900}}\n{ADA}"
    (line,) = mistakes(gate(idle))
    assert line.startswith("members.yaml:1: machine.idle_off_s: found 900 without inputs.running_pin, wanted both;")
    assert check(gate(idle, inputs="running_pin: 24")).roster.machine.idle_off_s == 900
    both = mistakes(gate("machine: {idle_off_s: 900}\nmembers: [{id: a, badges: [zz]}]\n"))
    assert [line.split(": ")[1] for line in both] == ["member 1", "machine.idle_off_s"]


def test_a_holder_without_grace_is_a_mistake_where_a_supervisors_card_is_needed(gate, tmp_path):
    wanted = "machine.grace_s: found 0 with mode: hold and supervisor: minors, wanted 1 or more;"
    (line,) = mistakes(gate(f"machine: {{mode: hold, grace_s: 0}}\n{ADA}"))
    assert line.startswith(f"members.yaml:1: {wanted}")
    gate()
    (tmp_path / "gate.yaml").write_text(
        GATE.replace("INPUTS", "").replace("limit_s: 600", "limit_s: 600, mode: hold, grace_s: 0")
    )
    (line,) = mistakes(tmp_path / "gate.yaml")
    assert line.startswith(f"gate.yaml:4: {wanted}")
    assert check(gate(f"machine: {{mode: hold, grace_s: 0, supervisor: never}}\n{ADA}")).roster.machine.grace_s == 0


def test_the_mistakes_of_both_files_are_told_at_once_those_of_gate_yaml_first(gate, tmp_path):
    gate("members:\n  - {id: a, badges: [zz]}\n  - {id: b, badges: [04A1B2C3], lang: de}\n")
    (tmp_path / "gate.yaml").write_text(GATE.replace("INPUTS", "").replace("lyon", "LYON").replace("600", "10m"))
    found = mistakes(tmp_path / "gate.yaml")
    places = [" ".join(line.split()[:2]) for line in found]
    assert places == [
        "gate.yaml:1: site:",
        "gate.yaml:4: machine.limit_s:",
        "members.yaml:2: member",
        "members.yaml:3: member",
    ]
    assert found[-1].endswith(": member 2: lang: found 'de', wanted en or fr, the languages of displays")


def test_members_that_cannot_be_read_are_told_beside_a_wrong_gate_yaml(gate, tmp_path):
    gate("members: nobody")
    (tmp_path / "gate.yaml").write_text(GATE.replace("INPUTS", "").replace("lyon", "LYON"))
    assert [line.split()[0] for line in mistakes(tmp_path / "gate.yaml")] == ["gate.yaml:1:", "members.yaml:1:"]


@pytest.mark.parametrize(
    ("rules", "members_rules"),
    [
        ("limit_s: 1h", "max_s: 60"),
        ("limit_s: 600, max_s: 60", "on_stale: deny"),
        ("idle_off_s: 60", "on_stale: deny"),
        ("mode: tapp, limit_s: 600, max_s: x", "limit_s: 90000"),
    ],
)
def test_what_is_wrong_with_the_rules_of_gate_yaml_is_no_mistake_of_the_members(gate, tmp_path, rules, members_rules):
    gate(f"machine: {{{members_rules}}}\n{ADA}")
    (tmp_path / "gate.yaml").write_text(GATE.replace("INPUTS", "").replace("limit_s: 600", rules))
    assert {line.split(":")[0] for line in mistakes(tmp_path / "gate.yaml")} == {"gate.yaml"}


def test_members_that_are_not_there_are_told_once(gate, tmp_path):
    path = gate()
    (tmp_path / "members.yaml").unlink()
    (line,) = mistakes(path)
    assert line.startswith("gate.yaml:8: roster.file: found no file ")


def test_a_collectors_roster_is_not_asked_for(gate, tmp_path):
    path = gate()
    for name in ("seal.keys", "badge.keys"):
        (tmp_path / name).write_text("s1:" + "A" * 43 + "=\n")
    (tmp_path / "token").touch()
    url = "roster: {url: 'https://collector.invalid', token_file: token}"
    keys = "gate_key_file: seal.keys\nbadge_key_file: badge.keys\n"
    path.write_text(GATE.replace("INPUTS", "").replace("roster: {file: members.yaml}", url) + keys)
    assert check(path).roster is None


# --- 24 V that fail and return ----------------------------------------------------------------------------------------


def has_power_again(inputs: dict[str, int], **rules: object) -> bool:
    """Say whether the relay is on at the moment when its 24 V return, after they were missing in a session for a second.

    Without them each loop is open and reads as pressed, in the order in which the inputs are polled.
    """
    names = [*input_pins(Inputs(**inputs))]
    is_open = dict.fromkeys(names, False)
    world = World(run_sense="running" in names, **rules)
    thread = InputsThread(SimpleNamespace(read=lambda: is_open), names, world.do)
    for _ in range(CLOSE_POLLS):
        thread.poll()
    world.start()
    is_open.update(dict.fromkeys(names, True))
    for _ in range(CLOSE_POLLS):
        thread.poll()
    world.after(1_000)
    return world.power


LOOPS = {"estop_pin": 23, "stop_pin": 22, "running_pin": 24, "flag_pin": 16}


@pytest.mark.parametrize("wired", [combination for n in range(5) for combination in combinations(LOOPS, n)])
@pytest.mark.parametrize("finish", ["wait", "cut"])
@pytest.mark.parametrize("run_on_s", [0, 60])
def test_the_check_warns_exactly_where_a_session_outlasts_24_v_that_fail_and_return(gate, wired, finish, run_on_s):
    inputs = {name: LOOPS[name] for name in wired}
    path = gate(inputs=", ".join(f"{name}: {pin}" for name, pin in inputs.items()))
    path.write_text(path.read_text().replace("limit_s: 600", f"limit_s: 600, finish: {finish}, run_on_s: {run_on_s}"))
    again = has_power_again(inputs, finishes_jobs=finish == "wait", run_on_ms=1_000 * run_on_s)
    assert bool(check(path).warnings) is again
    assert not (again and "estop_pin" in wired)
    assert again or "estop_pin" in wired or "stop_pin" in wired


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("limit_s: 600", "limit_s: 600, mode: audit"),
        ("{driver: gpio, pin: 17}", "{driver: memory}"),
        ("{driver: gpio, pin: 17}", "{driver: gpio, pin: 17, pins: emulated}\ndemo: true"),
    ],
)
def test_no_warning_where_no_relay_powers_the_machine(gate, old, new):
    path = gate()
    (warning,) = check(path).warnings
    assert "inputs.estop_pin" in warning
    path.write_text(path.read_text().replace(old, new))
    assert check(path).warnings == ()


def test_a_meter_that_says_that_the_machine_works_keeps_its_power_too(gate):
    path = gate(inputs="stop_pin: 22")
    assert check(path).warnings == ()
    with path.open("a") as file:
        file.write("meter: {driver: ads1115, amps_per_volt: 30, running_above_a: 1.5, stopped_below_a: 0.8}\n")
    assert len(check(path).warnings) == 1
