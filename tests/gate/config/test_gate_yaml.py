"""gate.yaml: every mistake at once, each by file, line, key, what was found and what was wanted."""

from __future__ import annotations

import re
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import certifi
import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from fabgate.errors import UsageError
from fabgate.gate.clock import SOURCES
from fabgate.gate.config import gate_yaml, yaml_file
from fabgate.gate.config.gate_yaml import Config, Driver, Machine
from fabgate.gate.roster.people import machine_rules
from fabgate.rules import vocabulary as w

EXAMPLE = Path(__file__).parents[3] / "config" / "gate.yaml"
KEY = "k1:" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVowMTIzNDU="

#: The smallest whole configuration, a key a line.
LINES = {
    "site": "site: lyon",
    "gate": "gate: laser-1",
    "state_dir": "state_dir: state",
    "reader": "reader: {driver: mfrc522}",
    "output": "output: {driver: gpio, pin: 17}",
    "roster": "roster: {file: members.yaml}",
}


@pytest.fixture(autouse=True)
def folder(tmp_path):
    """The files that a configuration may name lie beside it."""
    for name in ("members.yaml", "gate.token", "mqtt.password", "ca.pem", "laser-1.pem", "laser-1.key"):
        (tmp_path / name).touch()
    (tmp_path / "collector-ca.pem").symlink_to(certifi.where())  # the one of them that is read
    for name in ("seal.keys", "badge.keys"):
        (tmp_path / name).write_text(KEY)
    return tmp_path


@pytest.fixture
def load(tmp_path):
    """Load a configuration made of the smallest one with lines changed, added or (None) left out."""

    def load_(**lines: str | None) -> Config:
        text = "\n".join(line for line in {**LINES, **lines}.values() if line is not None)
        (tmp_path / "gate.yaml").write_text(text, encoding="utf-8")
        return gate_yaml.load(tmp_path / "gate.yaml")

    return load_


@pytest.fixture
def mistakes(tmp_path, load):
    """Return the mistakes of such a configuration, without the folder."""

    def mistakes_(**lines: str | None) -> list[str]:
        with pytest.raises(UsageError) as caught:
            load(**lines)
        assert caught.value.exit_code == 2
        found = str(caught.value).replace(f"{tmp_path}/", "").splitlines()
        for line in found:
            assert re.match(r"gate\.yaml(:\d+)?: ", line)
        return found

    return mistakes_


# --- what is right ----------------------------------------------------------------------------------------------------


def test_the_smallest_configuration_loads_and_has_every_default(load, tmp_path):
    found = load()
    assert found.topics.account == "lyon/laser-1"
    assert found.state_dir == tmp_path / "state"
    assert found.roster.file == tmp_path / "members.yaml"
    assert found.machine == Machine()
    assert (found.demo, found.lang, found.mqtt, found.panel) == (False, "en", None, None)
    assert found.output.options.pin == 17
    assert found.reader.options.reset_pin == 25


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
    assert found.panel.options.file == tmp_path / "panel.log"


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
            "mode": st.sampled_from(w.Mode),
            "limit_s": st.integers(1, 31 * gate_yaml.DAY_S),
            "idle_off_s": st.one_of(st.none(), st.integers(1, 31 * gate_yaml.DAY_S)),
            "warn_s": seconds,
            "grace_s": seconds,
            "run_on_s": seconds,
            "warm_up_s": seconds,
            "finish_max_s": seconds,
            "finish": st.sampled_from(["wait", "cut"]),
            "supervisor": st.sampled_from(w.Supervision),
            "on_stale": st.sampled_from(["allow", "deny"]),
        },
    )
)
def test_every_machine_that_the_configuration_takes_means_something_to_the_rules(values):
    made = machine_rules(msgspec.convert(values, Machine).rules())
    assert 0 < made.limit_ms <= made.max_ms


def test_words_of_the_configuration_are_those_of_the_rules_and_the_clock():
    hints = get_type_hints(Machine)
    assert get_args(hints["mode"]) == tuple(w.Mode)
    assert get_args(hints["supervisor"]) == tuple(w.Supervision)
    assert get_args(get_type_hints(gate_yaml.ClockOptions)["source"]) == SOURCES


# --- what is wrong: one kind each -------------------------------------------------------------------------------------

WRONG: dict[str, tuple[dict[str, str | None], list[str]]] = {
    "unknown key": (
        {"machine": "machine: {limt_s: 5}"},
        [r":7: machine.limt_s: found an unknown key, wanted a known one; did you mean limit_s\?"],
    ),
    "unknown key like no other": (
        {"clock": "clock: {zzz: 5}"},
        [":7: clock.zzz: found an unknown key, wanted one of source"],
    ),
    "unknown section": ({"x": "mqqt: {host: b}"}, [r":7: mqqt: found an unknown key, .*did you mean mqtt\?"]),
    "duplicate key": ({"x": "gate: saw"}, [":7: gate: found again, wanted once; it is in line 2 already"]),
    "duplicate key in a section": (
        {"x": "machine:\n  warn_s: 1\n  warn_s: 2"},
        [":9: machine.warn_s: found again, wanted once; it is in line 8 already"],
    ),
    "a key that is no word": ({"x": "? [a, b]\n: 1"}, [r":7: \?: found a list as a key, wanted a word"]),
    "a key that is no word in a section": (
        {"x": "machine: {{a: 1}: 2}"},
        [":7: machine: found keys and values as a key, wanted a word"],
    ),
    "text for a number": (
        {"machine": "machine: {limit_s: 2h}"},
        [":7: machine.limit_s: found '2h', wanted a whole number from 1 to 2678400; write the number of seconds, without a unit"],
    ),
    "text for a pin": ({"inputs": "inputs: {stop_pin: GPIO5}"}, [":7: inputs.stop_pin: found 'GPIO5', wanted a GPIO from"]),
    "a fraction for a number": ({"machine": "machine: {warn_s: 1.5}"}, [":7: machine.warn_s: found '1.5', wanted a whole"]),
    "a word for a switch": ({"demo": "demo: maybe"}, [":7: demo: found 'maybe', wanted true or false"]),
    "a number for a name": (
        {"site": "site: 2026"},
        [""":1: site: found '2026', wanted text; YAML does not read it as text: write "2026" in quotes"""],
    ),
    "a switch for a name": ({"gate": "gate: no"}, [':2: gate: found \'no\', wanted text; .*write "no" in quotes']),
    "a date for a path": ({"state_dir": "state_dir: 2026-01-01"}, [":3: state_dir: found '2026-01-01', wanted a path;"]),
    "nothing for a path": ({"state_dir": "state_dir:"}, [":3: state_dir: found nothing, wanted a path"]),
    "an empty path": ({"state_dir": "state_dir: ''"}, [":3: state_dir: found '', wanted a path"]),
    "a path with a zero byte": ({"state_dir": 'state_dir: "a\\0b"'}, [":3: state_dir: found 'a.x00b', wanted a path"]),
    "a list for a number": ({"machine": "machine: {warn_s: [1]}"}, [":7: machine.warn_s: found a list, wanted a whole number"]),
    "a list for a section": ({"machine": "machine: [1]"}, [":7: machine: found a list, wanted keys and values"]),
    "a word for a section": ({"mqtt": "mqtt: broker"}, [":7: mqtt: found 'broker', wanted keys and values"]),
    "a section for a list": (
        {"x": "emergency_badges: {digest: a}"},
        [":7: emergency_badges: found keys and values, wanted a list"],
    ),
    "an unknown tag": ({"x": "lang: !hey en"}, [":7: lang: found the tag !hey, wanted a value without one; leave it out"]),
    "a leading zero": (
        {"output": "output: {driver: gpio, pin: 017}"},
        [":5: output.pin: found '017', wanted a whole number from 0 to 27; write it without leading zeros and colons"],
    ),
    "base sixty": ({"machine": "machine: {warn_s: 2:00}"}, [":7: machine.warn_s: found '2:00', .*in another base"]),
    "a near word": ({"machine": "machine: {mode: holt}"}, [r":7: machine.mode: found 'holt', wanted tap, hold, timed or audit; did you mean hold\?"]),
    "a far word": ({"machine": "machine: {finish: never}"}, [":7: machine.finish: found 'never', wanted wait or cut$"]),
    "an unknown clock": ({"clock": "clock: {source: ntp}"}, [":7: clock.source: found 'ntp', wanted kernel, timesyncd, assume"]),
    "a clock that anybody could set": (
        {"clock": "clock: {source: emulated}"},
        [":7: clock.source: found emulated, wanted a real clock; anybody could set it. It needs 'demo: true'"],
    ),
    "missing keys": (
        {"site": None, "output": None},
        [
            ":1: site: found nothing, wanted text; it is required",
            ":1: output: found nothing, wanted keys and values",
        ],
    ),
    "a missing key of a section": ({"mqtt": "mqtt: {port: 1883}"}, [":7: mqtt.host: found nothing, wanted text that is not"]),
    "a missing option of a driver": (
        {"output": "output: {driver: gpio}"},
        [":5: output.pin: found nothing, wanted a whole number from 0 to 27"],
    ),
    "no driver": ({"reader": "reader: {bus: 1}"}, [":4: reader.driver: found nothing, wanted the name of a reader driver"]),
    "a list of drivers": ({"reader": "reader: {driver: [a]}"}, [":4: reader.driver: found a list, wanted the name of a"]),
    "no section for a driver": ({"reader": "reader: mfrc522"}, [":4: reader: found 'mfrc522', wanted keys and values"]),
    "an unknown driver": (
        {"reader": "reader: {driver: mfcr522}"},
        [r":4: reader.driver: found the reader driver 'mfcr522', wanted a known one; did you mean mfrc522\?"],
    ),
    "a driver of nobody": (
        {"panel": "panel: {driver: neon}"},
        [":7: panel.driver: found the panel driver 'neon', wanted one of log"],
    ),
    "an option that another driver has": (
        {"output": "output: {driver: memory, pin: 17}"},
        [":5: output.pin: found an unknown key, wanted none"],
    ),
    "an option out of range": ({"reader": "reader: {driver: mfrc522, antenna_gain: 9}"}, [":4: reader.antenna_gain: found '9', wanted a whole number from 0 to 7"]),
    "options that do not fit together": (
        {"demo": "demo: true", "reader": "reader: {driver: mfrc522, chip: emulated}"},
        [":4: reader: found chip: emulated without control_socket, wanted"],
    ),
    "an emulated chip": (
        {"reader": "reader: {driver: mfrc522, chip: emulated, control_socket: s}"},
        [":4: reader: found emulated hardware, wanted real; anybody could tap any badge. It needs 'demo: true'"],
    ),
    "a simulated reader": (
        {"reader": "reader: {driver: simulated, control_socket: s}"},
        [":4: reader: found emulated hardware, wanted real"],
    ),
    "emulated pins": (
        {"output": "output: {driver: gpio, pin: 17, pins: emulated}"},
        [":5: output: found emulated hardware, wanted real"],
    ),
    "an unsafe output": (
        {"output": "output: {driver: gpio, pin: 8}"},
        [
            ":5: output.pin: found GPIO 8, wanted 9 to 27 except 14 and 15; the others are high while the Pi starts",
            ":5: output.pin: found GPIO 8, wanted another one; it is used by SPI bus 0 of the reader already",
        ],
    ),
    "one pin twice": (
        {"inputs": "inputs:\n  stop_pin: 22\n  estop_pin: 22"},
        [":9: inputs.estop_pin: found GPIO 22, wanted another one; it is used by inputs.stop_pin already"],
    ),
    "an input on the output's pin": (
        {"inputs": "inputs: {stop_pin: 17}"},
        [":5: output.pin: found GPIO 17, wanted another one; it is used by inputs.stop_pin already|:7: inputs.stop_pin: found GPIO 17"],
    ),
    "the reader's reset pin": (
        {"output": "output: {driver: gpio, pin: 25}"},
        [":5: output.pin: found GPIO 25, wanted another one; it is used by reader.reset_pin already"],
    ),
    "a pin of the second SPI bus": (
        {"reader": "reader: {driver: mfrc522, bus: 1, device: 2}", "output": "output: {driver: gpio, pin: 16}"},
        [":5: output.pin: found GPIO 16, wanted another one; it is used by SPI bus 1 of the reader already"],
    ),
    "an input that no header has": ({"inputs": "inputs: {flag_pin: 28}"}, [":7: inputs.flag_pin: found '28', wanted a GPIO from 2 to 27"]),
    "a limit above the longest": (
        {"machine": "machine: {limit_s: 100, max_s: 50}"},
        [r":7: machine.max_s: found 50, wanted 100 \(limit_s\) or more"],
    ),
    "no limit at all": ({"machine": "machine: {limit_s: 0}"}, [":7: machine.limit_s: found '0', wanted a whole number from 1"]),
    "a negative limit": ({"machine": "machine: {limit_s: -5}"}, [":7: machine.limit_s: found '-5', wanted a whole number from 1"]),
    "a limit of years": ({"machine": "machine: {limit_s: 99999999}"}, [":7: machine.limit_s: found '99999999', wanted"]),
    "a negative grace time": ({"machine": "machine: {grace_s: -1}"}, [":7: machine.grace_s: found '-1', wanted a whole number from 0"]),
    "a site that is no topic": ({"site": "site: Lyon/Nord"}, [":1: site: found site 'Lyon/Nord', wanted lower-case letters"]),
    "a gate that is no topic": ({"gate": "gate: 'laser #1'"}, [":2: gate: found gate 'laser #1', wanted lower-case letters"]),
    "a reserved name": ({"gate": "gate: roster"}, [":2: gate: a gate cannot be called 'roster'"]),
    "no roster": ({"roster": "roster: {fetch_every_s: 5}"}, [":6: roster: found neither file nor url, wanted one"]),
    "an empty roster": ({"roster": "roster:"}, [":6: roster: found neither file nor url, wanted one"]),
    "two rosters": (
        {
            "roster": "roster: {file: members.yaml, url: 'https://c', token_file: gate.token}",
            "x": "gate_key_file: seal.keys",
            "y": "badge_key_file: badge.keys",
        },
        [":6: roster: found both file and url, wanted one"],
    ),
    "a URL that nobody seals for": (
        {"roster": "roster: {url: 'https://c'}"},
        [
            ":1: gate_key_file: found nothing, wanted a path; without it the gate cannot tell",
            ":1: badge_key_file: found nothing, wanted a path",
            ":6: roster.token_file: found nothing, wanted a path; the collector",
        ],
    ),
    "a URL that is none": (
        {"roster": "roster: {url: collector.lan}"},
        [":6: roster.url: found 'collector.lan', wanted a URL that starts with https://"],
    ),
    "a fetch that never rests": ({"roster": "roster: {file: members.yaml, fetch_every_s: 0}"}, [":6: roster.fetch_every_s: found '0'"]),
    "missing files": (
        {
            "roster": "roster: {file: nobody.csv}",
            "x": "gate_key_file: no.keys",
            "mqtt": "mqtt: {host: b, username: u, password_file: p, tls: {ca: a, cert: c, key: k}}",
        },
        [
            ":6: roster.file: found no file nobody.csv, wanted one; relative paths start at the folder of this file",
            ":7: gate_key_file: found no file no.keys",
            ":8: mqtt.password_file: found no file p",
            ":8: mqtt.tls.ca: found no file a",
            ":8: mqtt.tls.cert: found no file c",
            ":8: mqtt.tls.key: found no file k",
        ],
    ),
    "a directory for a file": ({"roster": "roster: {file: .}"}, [":6: roster.file: found no file"]),
    "a file for the state": ({"state_dir": "state_dir: members.yaml"}, [":3: state_dir: found a file members.yaml, wanted a directory"]),
    "a key file without keys": (
        {"x": "gate_key_file: members.yaml"},
        [":7: gate_key_file: members.yaml: found no key, wanted at least one 'kid:base64-key' line"],
    ),
    "half of a certificate": (
        {"mqtt": "mqtt: {host: b, tls: {ca: ca.pem, cert: laser-1.pem}}"},
        [":7: mqtt.tls.key: found cert without it, wanted both or neither"],
    ),
    "the other half": (
        {"mqtt": "mqtt: {host: b, tls: {ca: ca.pem, key: laser-1.key}}"},
        [":7: mqtt.tls.cert: found key without it, wanted both or neither"],
    ),
    "tls without an authority": ({"mqtt": "mqtt: {host: b, tls: {}}"}, [":7: mqtt.tls.ca: found nothing, wanted a path"]),
    "a password of nobody": (
        {"mqtt": "mqtt: {host: b, password_file: mqtt.password}"},
        [":7: mqtt.username: found password_file without it"],
    ),
    "a port that is none": ({"mqtt": "mqtt: {host: b, port: 70000}"}, [":7: mqtt.port: found '70000', wanted a whole number from 1 to 65535"]),
    "an empty host": ({"mqtt": "mqtt: {host: ''}"}, [":7: mqtt.host: found '', wanted text that is not empty"]),
    "a badge that is no digest": (
        {"x": "emergency_badges:\n  - {digest: 04A1B2C3, label: fire}"},
        [r":8: emergency_badges\[0\].digest: found '04A1B2C3', wanted the 64 hex digits that 'fabgate badge --digest'"],
    ),
    "a broker with scheme and port": (
        {"mqtt": "mqtt: {host: 'mqtt://broker.lan:1884'}"},
        [":7: mqtt.host: found 'mqtt://broker.lan:1884', wanted only a name or an address; write host: broker.lan and port: 1884$"],
    ),
    "a broker with a scheme of TLS": (
        {"mqtt": "mqtt: {host: 'mqtts://broker.lan'}"},
        [":7: mqtt.host: found 'mqtts://broker.lan', .*; write host: broker.lan, and tls:$"],
    ),
    "a broker with a port": ({"mqtt": "mqtt: {host: 'broker.lan:1883'}"}, [":7: mqtt.host: .*; write host: broker.lan and port: 1883$"]),
    "a broker with a path": ({"mqtt": "mqtt: {host: broker.lan/mqtt}"}, [":7: mqtt.host: .*; write host: broker.lan$"]),
    "an address in brackets": ({"mqtt": "mqtt: {host: '[fe80::1]:1883'}"}, [":7: mqtt.host: .*; write host: fe80::1 and port: 1883$"]),
    "a broker with a blank": ({"mqtt": "mqtt: {host: 'my broker'}"}, [":7: mqtt.host: found 'my broker', .*; such as broker.lan$"]),
    "a broker with a port that is none": ({"mqtt": "mqtt: {host: 'broker:99999'}"}, [":7: mqtt.host: .*; such as broker.lan$"]),
    "the port of TLS without it": (
        {"mqtt": "mqtt: {host: b, port: 8883}"},
        [":7: mqtt.port: found 8883 without tls, wanted both or neither; brokers use TLS on this port. Write tls: with ca:"],
    ),
    "the port of TLS with every line of it behind '#'": (
        {"mqtt": "mqtt:\n  host: b\n  port: 8883\n  tls:\n    #ca: ca.pem"},
        [":9: mqtt.port: found 8883 without tls, wanted both"],
    ),
    "a token in clear": (
        {
            "roster": "roster: {url: 'http://collector.lan:8000', token_file: gate.token}",
            "x": "gate_key_file: seal.keys",
            "y": "badge_key_file: badge.keys",
        },
        [":6: roster.url: found 'http://collector.lan:8000', wanted https://; the gate's token would be sent in clear text"],
    ),
    "a URL with a port that is none": (
        {
            "roster": "roster: {url: 'https://collector.lan:https', token_file: gate.token}",
            "x": "gate_key_file: seal.keys",
            "y": "badge_key_file: badge.keys",
        },
        [r":6: roster.url: found 'https://collector.lan:https' \(Port could not be cast"],
    ),
    "a home that depends on who asks": (
        {"state_dir": "state_dir: ~/fabgate", "x": "badge_key_file: ~/badge.keys"},
        [
            ":3: state_dir: found '~/fabgate', wanted a path; '~' is another folder for each account, .*: write the path in full",
            ":7: badge_key_file: found '~/badge.keys', wanted a path; '~'",
        ],
    ),
    "idle switch-off of a machine that nobody watches": (
        {"machine": "machine: {idle_off_s: 900}", "inputs": "inputs: {stop_pin: 22}"},
        [":7: machine.idle_off_s: found 900 without inputs.running_pin, wanted both; the gate cannot tell that the machine is idle"],
    ),
    "a warning before the start": (
        {"machine": "machine: {limit_s: 60, warn_s: 60}"},
        [r":7: machine.warn_s: found 60, wanted less than 60 \(limit_s\)"],
    ),
    "a warning before it stands still": (
        {"machine": "machine: {idle_off_s: 60, warn_s: 60}", "inputs": "inputs: {running_pin: 22}"},
        [r":7: machine.warn_s: found 60, wanted less than 60 \(idle_off_s\)"],
    ),
    "an emergency badge twice": (
        {"x": f"emergency_badges:\n  - {{digest: {'b' * 64}, label: a}}\n  - {{digest: {'b' * 64}, label: b}}"},
        [r":9: emergency_badges\[1\].digest: found the badge of emergency_badges\[0\] again"],
    ),
    "an emergency badge without a label": (
        {"x": f"emergency_badges:\n  - {{digest: {'b' * 64}}}\n  - {{digest: {'c' * 64}, label: ''}}\n  - fire"},
        [
            r":8: emergency_badges\[0\].label: found nothing, wanted a label of 1 to 60 characters",
            r":9: emergency_badges\[1\].label: found '', wanted a label",
            r":10: emergency_badges\[2\]: found 'fire', wanted keys and values",
        ],
    ),
    "a checkpoint that never comes": ({"journal": "journal: {checkpoint_s: 0}"}, [":7: journal.checkpoint_s: found '0', wanted a whole number from 1 to 900"]),
    "a journal too small": ({"journal": "journal: {max_entries: 10, keep_days: 0}"}, [":7: journal.keep_days: found '0'", ":7: journal.max_entries: found '10'"]),
    "resending that shrinks": (
        {"uplink": "uplink: {resend_s: 10, resend_max_s: 5}"},
        [r":7: uplink.resend_max_s: found 5, wanted 10 \(resend_s\) or more"],
    ),
    "resending that is no time": ({"uplink": "uplink: {resend_s: .nan}"}, [":7: uplink.resend_s: found '.nan', wanted a number"]),
    "resending that never comes": ({"uplink": "uplink: {resend_max_s: .inf}"}, [":7: uplink.resend_max_s: found '.inf', wanted"]),
    "an unknown language": ({"lang": "lang: de"}, [":7: lang: found 'de', wanted en or fr"]),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG)
def test_a_mistake_names_file_line_key_found_and_wanted(kind, mistakes):
    lines, expected = WRONG[kind]
    found = mistakes(**lines)
    assert len(found) == len(expected), found
    for pattern in expected:
        assert any(re.match(f"gate.yaml({pattern})", line) for line in found), found


def test_all_mistakes_of_a_file_come_at_once_in_its_order(mistakes):
    found = mistakes(
        site="site: Lyon",
        reader="reader: {driver: simulated, control_socket: s}",
        output="output: {driver: gpio, pin: 3}",
        roster="roster: {file: nobody.yaml}",
        machine="machine:\n  limit_s: 100\n  max_s: 50\n  mod: tap",
        mqtt="mqtt: {port: x}",
        x="nobody: 1",
    )
    assert {line.split(":")[2].strip() for line in found} == {
        *("site", "reader", "output.pin", "roster.file"),
        *("machine.max_s", "machine.mod", "mqtt.port", "mqtt.host", "nobody"),
    }
    assert [int(line.split(":")[1]) for line in found] == [1, 4, 5, 6, 9, 10, 11, 11, 12]


def test_a_key_of_thousands_of_letters_is_told_by_its_start(mistakes):
    (found,) = mistakes(x=f"? {'k' * 5000}\n: 1")
    assert len(found) < 400


def test_a_badge_key_that_blake2b_cannot_take_is_a_mistake(mistakes, folder):
    (folder / "badge.keys").write_text("k1:" + "QUJD" * 24)
    (found,) = mistakes(x="badge_key_file: badge.keys")
    assert ":7: badge_key_file: found a key of 72 bytes, wanted 16 to 64" in found
    assert "QUJD" not in found


# --- files that are no configuration ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", ":1: found nothing, wanted keys and values such as 'site: lyon'"),
        (b"\n# only a comment\n", ":1: found nothing, wanted keys"),
        (b"- site\n- gate\n", ":1: found a list, wanted keys and values"),
        (b"hello", ":1: found 'hello', wanted keys and values"),
        (b"site: lyon\ngate: [laser\n", r":3: .*expected ',' or '\]'"),
        (b"site: lyon\n\tgate: laser\n", ":2: .*indent with spaces, not with tabs"),
        (b"site: lyon\n---\nsite: paris\n", ":2: but found another document"),
        (b"site: a\n# caf\xe9\n", ":2: found bytes that are not UTF-8, wanted UTF-8"),
        (b"\xff\xfes\x00i\x00", ":1: found bytes that are not UTF-8"),
        (b"site: \x01", ": .*special characters are not allowed"),
        (b"a: " + b"[" * 3000, ": found too many lists within lists, wanted keys and values"),
        (b"#" * (yaml_file.MAX_BYTES + 1), ": found more than 262144 bytes, wanted less; is it the right file?"),
        (b"site: *nobody\n", ":1: found undefined alias"),
    ],
)
def test_a_file_that_is_no_configuration_is_one_clear_line(tmp_path, text, expected):
    path = tmp_path / "gate.yaml"
    path.write_bytes(text)
    with pytest.raises(UsageError) as caught:
        gate_yaml.load(path)
    found = str(caught.value)
    assert len(found.splitlines()) == 1
    assert re.match(f"{re.escape(str(path))}{expected}".replace("file?", "file."), found), found


def test_a_file_that_is_not_there_or_a_folder_is_one_clear_line(tmp_path):
    with pytest.raises(UsageError, match=r"none\.yaml: cannot be read \(No such file or directory\)"):
        gate_yaml.load(tmp_path / "none.yaml")
    with pytest.raises(UsageError, match=r"cannot be read \(Is a directory\)"):
        gate_yaml.load(tmp_path)


def test_aliases_and_endless_ones_are_mistakes_and_never_fill_the_memory(mistakes):
    bomb = "x: &a [z, z, z, z, z, z, z, z, z]\n" + "\n".join(
        f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert any("with all aliases expanded" in line for line in mistakes(x=f"{bomb}\nmachine: {{warn_s: *i}}"))
    assert any("found a value that contains itself" in line for line in mistakes(x="clock: &a [*a]"))
    assert any("found a value that contains itself" in line for line in mistakes(x="machine: {name: &a [*a]}"))


# --- drivers of strangers ---------------------------------------------------------------------------------------------


class NfcOptions(Struct, frozen=True, kw_only=True):
    port: str = "/dev/ttyUSB0"
    rate: Annotated[int, msgspec.Meta(gt=0)] = 9600
    codes: list[int] = []
    slots: Annotated[int, msgspec.Meta(ge=1)] = 1
    odd: int | str | None = None


class NfcReader:
    """A stranger's reader that sees a card once and then no more."""

    Options = NfcOptions
    continuous = False


class Shapeless:
    """A class without Options."""


@pytest.fixture
def strangers(monkeypatch):
    """Install drivers of other packages."""
    points = {
        "nfc": f"{__name__}:NfcReader",
        "shapeless": f"{__name__}:Shapeless",
        "gone": "no_such_package:Reader",
        "moody": f"{__name__}:moody_attribute",
        "leaving": f"{__name__}:leaving_attribute",
        "unmade": f"{__name__}:Unmade",
    }
    monkeypatch.setattr(
        gate_yaml,
        "entry_points",
        lambda group: (
            [EntryPoint(name, value, group) for name, value in points.items()]
            + [EntryPoint("gpio", "fabgate.drivers.outputs.gpio:GpioOutput", group)]
        ),
    )


def __getattr__(name: str) -> Any:
    if name == "moody_attribute":
        raise RuntimeError("This module can only be run on a Raspberry Pi!\nReally.")
    if name == "leaving_attribute":
        raise SystemExit("no licence")
    raise AttributeError(name)


class Unmade(NfcReader):
    """A stranger's reader that ends the program where it should keep its options."""

    def __init__(self, options: NfcOptions) -> None:
        sys.exit("no port")


def test_a_driver_that_cannot_be_made_is_one_line_that_names_it(strangers):
    with pytest.raises(
        UsageError, match=r"the reader driver 'unmade' failed in its constructor \(SystemExit: no port\)"
    ):
        gate_yaml.make_driver("reader", Driver(driver="unmade", options=NfcOptions()))


def test_hold_mode_needs_a_reader_that_goes_on_seeing_the_card(strangers, mistakes, load):
    (found,) = mistakes(machine="machine: {mode: hold}", reader="reader: {driver: nfc}")
    assert ":7: machine.mode: found hold with the reader 'nfc', wanted a reader that sees a card" in found
    assert load(machine="machine: {mode: tap}", reader="reader: {driver: nfc}").reader.driver == "nfc"


def test_hold_mode_with_a_continuous_reader_is_right(load):
    assert load(machine="machine: {mode: hold}").machine.mode == "hold"


@pytest.mark.parametrize(
    ("driver", "expected"),
    [
        ("gone", r"cannot be loaded \(ModuleNotFoundError: .*pip install 'fabgate\[pi\]'"),
        ("moody", r"cannot be loaded \(RuntimeError: This module can only be run on a Raspberry Pi! Really.\)"),
        ("leaving", r"cannot be loaded \(SystemExit: no licence\)"),
        ("shapeless", "without Options, wanted a msgspec Struct; tell its author"),
    ],
)
def test_a_driver_that_cannot_be_loaded_is_a_mistake_in_its_line(strangers, mistakes, driver, expected):
    (found,) = mistakes(reader=f"reader: {{driver: {driver}}}")
    assert re.match(f"gate.yaml:4: reader.driver: found the reader driver '{driver}'.*{expected}", found)


def test_options_of_a_stranger_are_checked_like_ours(strangers, mistakes, load):
    found = mistakes(reader="reader: {driver: nfc, port: 5, rate: 0, codes: [1, x], slots: 0, odd: {}}")
    assert [line.partition(" ")[2] for line in found] == [
        """reader.port: found '5', wanted text; YAML does not read it as text: write "5" in quotes""",
        "reader.rate: found '0', wanted a whole number above 0",
        "reader.codes[1]: found 'x', wanted a whole number",
        "reader.slots: found '0', wanted a whole number, 1 or more",
        "reader.odd: found keys and values, wanted another value",
    ]
    assert load(reader="reader: {driver: nfc, codes: [1, 2]}").reader.options.codes == [1, 2]


def test_a_driver_is_made_with_its_own_options():
    made = gate_yaml.make_driver(
        "output", Driver(driver="memory", options=gate_yaml.driver_class("output", "memory").Options())
    )
    assert type(made).__name__ == "MemoryOutput"


# --- the annotated example --------------------------------------------------------------------------------------------


def example(*, all_on: bool) -> str:
    text = EXAMPLE.read_text(encoding="utf-8")
    return re.sub(r"^(\s*)#(?=[^\s#])", r"\1", text, flags=re.MULTILINE) if all_on else text


def test_the_annotated_example_is_a_configuration(tmp_path):
    (tmp_path / "gate.yaml").write_text(example(all_on=False), encoding="utf-8")
    found = gate_yaml.load(tmp_path / "gate.yaml")
    assert found.topics.account == "lyon/laser-1"
    assert not found.demo


def test_the_annotated_example_with_everything_on_is_right_but_for_what_excludes_each_other(tmp_path):
    text = example(all_on=True).replace("demo: false", "demo: true").replace("  file: members.yaml", "  # file")
    (tmp_path / "gate.yaml").write_text(text, encoding="utf-8")
    found = gate_yaml.load(tmp_path / "gate.yaml")
    assert found.roster.url
    assert found.mqtt.tls
    assert found.emergency_badges[0].label == "fire brigade"


def keys_of(kind: Any, where: str = "") -> dict[str, Any]:
    """Return every dotted key below a type, and its default."""
    found: dict[str, Any] = {}
    hints = get_type_hints(kind)
    for field in msgspec.structs.fields(kind):
        hint = hints[field.name]
        if get_origin(hint) in (Union, UnionType):
            hint = next(arg for arg in get_args(hint) if arg is not NoneType)
        if get_origin(hint) is list:
            hint = get_args(hint)[0]
        key = f"{where}{field.name}"
        if hint is Driver:
            found[f"{key}.driver"] = msgspec.NODEFAULT
            for point in gate_yaml.entry_points(group=gate_yaml.KINDS[field.name]):
                found |= keys_of(point.load().Options, f"{key}.")
        elif isinstance(hint, type) and issubclass(hint, Struct):
            found |= keys_of(hint, f"{key}.")
        else:
            found[key] = field.default
    return found


def written(value: Any, where: str = "") -> dict[str, Any]:
    if isinstance(value, list):
        return written(value[0], where)
    if not isinstance(value, dict):
        return {where.rstrip("."): value}
    return {key: leaf for name, below in value.items() for key, leaf in written(below, f"{where}{name}.").items()}


def test_the_annotated_example_names_every_key_of_the_code_and_no_other():
    assert written(yaml.safe_load(example(all_on=True))).keys() == keys_of(Config).keys()


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
