"""Each mistake in a gate.yaml is one line that names file, line, key, what was found and what was wanted."""

from __future__ import annotations

import re

import pytest

from fabgate.errors import UsageError
from fabgate.gate.config import gate_yaml
from fabgate.yaml_reading import yaml_file

pytestmark = pytest.mark.usefixtures("folder")


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
        [":7: clock.source: found emulated, wanted a real clock; an emulated one, which needs 'demo: true', can be set by anyone"],
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
        [":7: panel.driver: found the panel driver 'neon', wanted one of buzzer, lcd, lights, log, neopixel, oled"],
    ),
    "an option that another driver has": (
        {"output": "output: {driver: memory, pin: 17}"},
        [":5: output.pin: found an unknown key, wanted none"],
    ),
    "an option out of range": ({"reader": "reader: {driver: mfrc522, antenna_gain: 9}"}, [":4: reader.antenna_gain: found '9', wanted a whole number from 0 to 7"]),
    "options that do not fit together": (
        {"demo": "demo: true", "reader": "reader: {driver: mfrc522, chip: emulated}", "output": "output: {driver: memory}"},
        [":4: reader: found chip: emulated without control_socket, wanted"],
    ),
    "an emulated chip": (
        {"reader": "reader: {driver: mfrc522, chip: emulated, control_socket: s}"},
        [":4: reader: found emulated hardware, wanted real; on emulated hardware, which needs 'demo: true', anyone can tap any badge"],
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
    "a URL without the keys and the token": (
        {"roster": "roster: {url: 'https://c'}"},
        [
            ":1: gate_key_file: found nothing, wanted a path; without it the gate cannot tell",
            ":1: badge_key_file: found nothing, wanted a path",
            ":6: roster.token_file: found nothing, wanted a path; the collector",
        ],
    ),
    "not a URL": (
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
        (b"a: " + b"[" * 3000, ": lists are nested too deeply; wanted keys and values"),
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
