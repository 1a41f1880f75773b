"""What a valid gate.yaml means, and the annotated example."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args, get_type_hints

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fabgate.gate.clock import SOURCES
from fabgate.gate.config import gate_yaml
from fabgate.gate.config.gate_yaml import Config, MachineSection
from fabgate.gate.roster.people import machine_rules
from fabgate.rules import vocabulary
from tests.gate.config.gate_files import EXAMPLE, example, keys_of, written

pytestmark = pytest.mark.usefixtures("folder")


# --- what is right ----------------------------------------------------------------------------------------------------


def test_the_smallest_configuration_loads_and_has_every_default(load, tmp_path):
    found = load()
    assert found.topics.account == "lyon/laser-1"
    assert found.state_dir == tmp_path / "state"
    assert found.roster.file == tmp_path / "members.yaml"
    assert found.machine == MachineSection()
    assert (found.demo, found.lang, found.mqtt, found.panel) == (False, "en", None, [])
    assert found.output.options.pin == 17
    assert found.reader[0].options.reset_pin == 25


def test_absolute_paths_stay_and_relative_ones_start_beside_the_file(load, tmp_path):
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "members.csv").touch()
    found = load(
        state_dir="state_dir: /var/lib/fabgate",
        roster="roster: {file: else/members.csv}",
        panel="panel: {driver: log, file: panel.log}",
    )
    assert found.state_dir == Path("/var/lib/fabgate")
    assert found.roster.file == tmp_path / "else" / "members.csv"
    assert found.panel[0].options.file == tmp_path / "panel.log"


def test_a_section_without_lines_is_its_defaults(load):
    found = load(
        inputs="inputs:", machine="machine:", emergency_badges="emergency_badges:", mqtt="mqtt:", uplink="uplink: {}"
    )
    assert found.inputs == gate_yaml.Inputs()
    assert found.emergency_badges == []
    assert found.mqtt is None


def test_a_byte_order_mark_and_json_are_read_too(tmp_path):
    path = tmp_path / "gate.yaml"
    path.write_text(
        '\ufeff{"site": "lyon", "gate": "saw", "state_dir": "s", "reader": {"driver": "mfrc522"},'
        ' "output": {"driver": "memory"}, "roster": {"file": "members.yaml"}}',
        encoding="utf-8",
    )
    assert gate_yaml.load(path).gate == "saw"


def test_a_collectors_gate_loads_whole(load):
    found = load(
        roster="roster: {url: 'https://collector', token_file: gate.token}",
        gate_key_file="gate_key_file: seal.keys",
        badge_key_file="badge_key_file: badge.keys",
        mqtt="mqtt: {host: broker, port: 8883, username: a/b, password_file: mqtt.password,"
        " tls: {ca: ca.pem, cert: laser-1.pem, key: laser-1.key}}",
        emergency_badges=f"emergency_badges: [{{digest: {'a' * 64}, label: fire brigade}}]",
    )
    assert found.mqtt.tls.key.name == "laser-1.key"
    assert found.emergency_badges[0].label == "fire brigade"


def test_a_demo_may_have_emulated_hardware(load):
    found = load(
        demo="demo: true",
        reader="reader: {driver: mfrc522, chip: emulated, control_socket: s}",
        output="output: {driver: gpio, pin: 17, pins: emulated, pin_log: pins}",
    )
    assert found.output.options.pins == "emulated"


def test_max_s_follows_a_long_limit_and_is_a_day_at_least(load):
    assert load(machine="machine: {limit_s: 60}").machine.rules().max_s == 86_400
    assert load(machine="machine: {limit_s: 200000}").machine.rules().max_s == 200_000
    assert load(machine="machine: {limit_s: 60, max_s: 90}").machine.rules().max_s == 90


@pytest.mark.parametrize("host", ["broker", "broker.lan", "_mqtt.x.", "192.168.1.5", "::1", "fe80::1%eth0"])
def test_a_broker_is_a_name_or_an_address(load, host):
    assert load(mqtt=f"mqtt: {{host: '{host}', port: 1883}}").mqtt.host == host


@pytest.mark.parametrize(
    ("url", "demo"),
    [
        ("http://localhost:8000", False),
        ("http://127.0.0.2:8000/", False),
        ("http://[::1]:8000", False),
        ("http://collector.lan", True),
        ("https://collector.lan", False),
    ],
)
def test_a_token_travels_in_clear_only_inside_this_computer_or_a_demo(load, url, demo):
    found = load(
        roster=f"roster: {{url: '{url}', token_file: gate.token}}",
        gate_key_file="gate_key_file: seal.keys",
        badge_key_file="badge_key_file: badge.keys",
        demo=f"demo: {str(demo).lower()}",
    )
    assert found.roster.url == url


def test_idle_switch_off_goes_with_run_sense_and_a_short_limit_with_the_warning_nobody_wrote(load):
    assert load(machine="machine: {idle_off_s: 900}", inputs="inputs: {running_pin: 24}").machine.idle_off_s == 900
    assert load(machine="machine: {limit_s: 60}").machine.warn_s == 120
    assert load(machine="machine: {limit_s: 60, warn_s: 59}").machine.warn_s == 59


seconds = st.integers(0, 31 * gate_yaml.DAY_S)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "mode": st.sampled_from(vocabulary.Mode),
            "limit_s": st.integers(1, 31 * gate_yaml.DAY_S),
            "idle_off_s": st.one_of(st.none(), st.integers(1, 31 * gate_yaml.DAY_S)),
            "warn_s": seconds,
            "grace_s": seconds,
            "run_on_s": seconds,
            "warm_up_s": seconds,
            "finish_max_s": seconds,
            "finish": st.sampled_from(["wait", "cut"]),
            "supervisor": st.sampled_from(vocabulary.Supervision),
            "on_stale": st.sampled_from(["allow", "deny"]),
        },
    )
)
def test_every_machine_that_the_configuration_takes_means_something_to_the_rules(values):
    made = machine_rules(msgspec.convert(values, MachineSection).rules())
    assert 0 < made.limit_ms <= made.max_ms


def test_words_of_the_configuration_are_those_of_the_rules_and_the_clock():
    hints = get_type_hints(MachineSection)
    assert get_args(hints["mode"]) == tuple(vocabulary.Mode)
    assert get_args(hints["supervisor"]) == tuple(vocabulary.Supervision)
    assert get_args(get_type_hints(gate_yaml.ClockOptions)["source"]) == SOURCES


# --- the annotated example --------------------------------------------------------------------------------------------


def test_the_annotated_example_is_a_configuration(tmp_path):
    (tmp_path / "gate.yaml").write_text(example(all_on=False), encoding="utf-8")
    found = gate_yaml.load(tmp_path / "gate.yaml")
    assert found.topics.account == "lyon/laser-1"
    assert not found.demo


def test_the_annotated_example_with_everything_on_is_right_but_for_what_excludes_each_other(tmp_path):
    text = example(all_on=True).replace("demo: false", "demo: true").replace("  file: members.yaml", "  # file")
    text = re.sub(r"  - driver: neopixel.*?(?=  - driver)", "", text, flags=re.DOTALL)  # it takes a pin of the lights
    text = re.sub(r".*  # (?:keyboard|osdp|pcsc|serial|wiegand)[:,].*\n", "", text)  # the options of another reader
    text = re.sub(r"\n +running_pin:.*", "", text)  # a meter says the same
    text = re.sub(r"  - driver: plug.*?(?=  - driver)", "", text, flags=re.DOTALL)  # it needs another output
    text = re.sub(r".*  # shelly:.*\n", "", text)  # those of another output
    (tmp_path / "gate.yaml").write_text(text, encoding="utf-8")
    found = gate_yaml.load(tmp_path / "gate.yaml")
    assert found.roster.url
    assert found.mqtt.tls
    assert found.emergency_badges[0].label == "fire brigade"


def test_the_annotated_example_names_every_key_of_the_code_and_no_other():
    keys = written(yaml.safe_load(example(all_on=True))).keys()
    assert keys == keys_of(Config).keys(), "add to config/gate.yaml what it does not name, and remove the rest"


def test_a_setting_that_is_off_in_the_example_shows_its_true_default():
    on, everything = (written(yaml.safe_load(example(all_on=on))) for on in (False, True))
    defaults = keys_of(Config)
    for key in everything.keys() - on.keys():
        if defaults[key] not in (None, msgspec.NODEFAULT):
            assert everything[key] == defaults[key], key


def test_every_setting_of_the_example_says_why_it_is_there():
    for line in EXAMPLE.read_text(encoding="utf-8").splitlines():
        # Not a comment, and not the name of a section whose lines follow.
        if re.match(r"\s*#?-? ?\w+: \S", line):
            assert re.search(r"\s# \S.{8,}", line), line
        assert len(line) <= 120, line
