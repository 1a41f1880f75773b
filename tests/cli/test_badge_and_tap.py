"""fabgate badge and fabgate tap."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fabgate import badge
from fabgate.drivers.emulated.control import ask
from tests.cli.running import (
    CONFIG,
    refused,
    run_fabgate,
    write_gate,
)
from tests.support.patience import HANGS_S, wait


def test_badge_shows_every_spelling_and_each_is_the_same_card():
    done = run_fabgate("badge", "04:A1:B2:C3")
    assert (done.returncode, done.stderr) == (0, "")
    spellings, _, _ = done.stdout.partition("\n\n")
    shown = dict(re.split(r" {2,}", line, maxsplit=1) for line in spellings.splitlines())
    assert {str(badge.parse(spelling)) for spelling in shown.values()} == {"04A1B2C3"}
    assert shown == json.loads(run_fabgate("badge", "dec:0077705923", "--json").stdout)["spellings"]


def test_badge_tells_what_other_readers_show_and_who_has_the_card(gate):
    done = run_fabgate("badge", "04:A1:B2:C3", "--config", gate.config)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"^  last byte first, hex +C3B2A104 +which is another card$", done.stdout, re.MULTILINE)
    assert re.search(r"^roster +m-1 \(Ada\) has this card$", done.stdout, re.MULTILINE)
    turned = json.loads(run_fabgate("badge", "hex:C3B2A104", "--json", "--config", gate.config).stdout)
    assert turned["roster"] == {"holder": None, "others": [{"card": "04A1B2C3", "holder": "m-1 (Ada) has this card"}]}


def test_badge_digest_is_the_one_under_the_gates_key(gate):
    done = run_fabgate("badge", "04:A1:B2:C3", "--digest", "--config", gate.config)
    assert done.returncode == 0
    key = (gate.state / "badge.key").read_bytes()
    assert done.stdout == badge.digest(badge.parse("04A1B2C3"), key) + "\n"
    as_json = json.loads(run_fabgate("badge", "04A1B2C3", "--digest", "--json", "--config", gate.config).stdout)
    assert as_json["digest"] == done.stdout.strip()


@pytest.mark.parametrize(
    ("spelling", "expected"),
    [
        ("4A1B2C3", "a zero is missing"),
        ("08:12:34:56", "is a random UID"),
        ("77705923123", "a number can be two different cards"),
        ("hello", "is not a badge: wanted hex such as 04:A1:B2:C3"),
        ("880401B2", "cascade tag"),
        ("w26:256,1", "'256' is too large, wanted 0 to 255"),
        ("0A00B1C2D3", "or a prefix; write one of these:\\n.* em-hex:0A00B1C2D3 "),
    ],
)
def test_badge_says_why_a_spelling_is_none(spelling, expected):
    refused(run_fabgate("badge", spelling), 2, expected)


def test_badge_of_digits_alone_shows_each_card_that_they_can_be():
    done = run_fabgate("badge", "12345678")
    refused(done, 2, "'12345678' is a number, and a number can be two different cards; write one of these:")
    lines = [re.split(r" {2,}", line.removeprefix("error:")) for line in done.stderr.splitlines()[1:6]]
    assert [line[1:] for line in lines] == [
        ["hex:12345678", "12:34:56:78", "hex, as most readers print it"],
        ["dec:12345678", "00BC614E", "decimal, bytes in card order"],
        ["dec-reversed:12345678", "4E61BC00", "decimal, last byte first"],
        ["number8:12345678", "number8:12345678", "shortened by a reader"],
        ["number8-reversed:12345678", "number8-reversed:12345678", "the same, last byte first"],
    ]
    as_json = run_fabgate("badge", "12345678", "--json")
    assert as_json.returncode == 2
    readings = json.loads(as_json.stdout)["readings"]
    assert readings == {line[1]: line[2] for line in lines}
    for spelling, card in readings.items():
        assert json.loads(run_fabgate("badge", spelling, "--json").stdout)["spellings"]["canonical"] == card
    refused(run_fabgate("badge", "9" * 30), 2, f"write dec:{'9' * 30}")


def test_badge_of_many_digits_keeps_spelling_and_card_apart():
    digits = "9" * 23
    done = run_fabgate("badge", digits)
    assert re.findall(r"\bdec:\d+ +[0-9A-F]{20} ", done.stderr), done.stderr
    assert re.findall(r"\bdec-reversed:\d+ +[0-9A-F]{20} ", done.stderr), done.stderr


def test_badge_leaves_the_reader_of_a_running_gate_alone(gate):
    refused(run_fabgate("badge", "--config", gate.config), 2, "the gate is running and uses the reader; stop it first")


def test_badge_without_what_it_needs_says_so(config):
    refused(run_fabgate("badge"), 2, "found no badge; add a spelling, or --config gate.yaml")
    refused(
        run_fabgate("badge", "04A1B2C3", "--digest"), 2, "a digest needs the gate's badge key: add --config gate.yaml"
    )
    done = run_fabgate("badge", "04A1B2C3", "--digest", "--config", config)
    refused(done, 2, r"badge\.key: there is no badge key yet; start the gate once")
    assert not (config.parent / "state").exists()


def test_badge_waits_for_a_card_on_any_reader_and_explains_it(config):
    first = re.search("{driver: simulated.*}", text := config.read_text())[0]
    config.write_text(text.replace(first, f"[{first}, {{driver: simulated, control_socket: first}}]"))
    process = subprocess.Popen(
        [sys.executable, "-m", "fabgate", "badge", "--json", "--config", str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    control = str(config.parent / "control")
    wait(lambda: Path(control).exists() or process.poll() is not None, "the reader")
    ask(control, {"do": "place", "uid": "08123456"})
    ask(control, {"do": "remove"})
    ask(control, {"do": "place", "uid": "04A1B2C3D4E5F6"})
    out, told = process.communicate(timeout=HANGS_S)
    assert process.returncode == 0
    assert json.loads(out)["spellings"]["canonical"] == "04A1B2C3D4E5F6"
    assert "hold a card on a reader" in told


def test_badge_on_a_reader_that_is_not_there_ends_with_3(tmp_path):
    text = CONFIG.replace("reader: {driver: simulated, control_socket: CONTROL}", "reader: {driver: mfrc522}")
    path = write_gate(tmp_path / "gate", text)
    refused(run_fabgate("badge", "--config", path), 3, "error: ")


def test_tap_without_a_reader_or_a_card_says_so(gate, tmp_path):
    refused(
        run_fabgate("tap", tmp_path / "nowhere", "04A1B2C3"), 2, "found no reader at .*nowhere: is the gate running"
    )
    refused(run_fabgate("tap", gate.control, "4A1B2C3"), 2, "a zero is missing")
    refused(run_fabgate("tap", gate.control, "w26:1,2"), 2, "found w26:1,2, wanted a card with a UID")
    for time_ms in ("soon", "5", "-300", "300.5", "60001", "9" * 5000):
        done = run_fabgate("tap", gate.control, "04A1B2C3", f"--for={time_ms}")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == f"error: --for: found '{time_ms[:20]}', wanted 100 to 60000 milliseconds\n"
    refused(
        run_fabgate("tap", "laser-1", "ada", "--data", tmp_path), 2, "--data: there is no running demo in .*; start one"
    )
    (tmp_path / "file").touch()
    refused(run_fabgate("tap", tmp_path / "file", "04A1B2C3"), 3, "error: ")


def test_tap_says_what_was_tapped_where(gate):
    unknown = "C0:FF:EE:01"
    done = run_fabgate("tap", gate.control, unknown, "--for", "150")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"tapped {unknown} at {gate.control} for 150 ms\n"


def test_tap_finds_the_reader_that_a_gate_yaml_names(gate, tmp_path):
    done = run_fabgate("tap", gate.config, "C0:FF:EE:01", "--for", "150")
    assert (done.returncode, done.stdout) == (0, f"tapped C0:FF:EE:01 at {gate.config} for 150 ms\n")
    readers = "reader: [{driver: simulated, control_socket: CONTROL}, {driver: mfrc522}]"
    text = CONFIG.replace("reader: {driver: simulated, control_socket: CONTROL}", readers)
    real = write_gate(tmp_path / "gate", text)
    done = run_fabgate("tap", real, "C0:FF:EE:01", "--reader", "2")
    refused(done, 2, "found the reader 'mfrc522', wanted an emulated one")


def test_tap_finds_a_gate_of_fabgate_data_by_its_name(gate, tmp_path, monkeypatch):
    (tmp_path / "emulated" / "laser-1").mkdir(parents=True)
    (tmp_path / "emulated" / "laser-1" / "reader.sock").symlink_to(gate.control)
    monkeypatch.setenv("FABGATE_DATA", str(tmp_path))
    done = run_fabgate("tap", "laser-1", "C0:FF:EE:01", "--for", "150")
    assert (done.returncode, done.stdout) == (0, "tapped C0:FF:EE:01 at laser-1 for 150 ms\n")
    refused(run_fabgate("tap", "saw-1", "C0:FF:EE:01"), 2, "found no reader at .*/emulated/saw-1/reader.sock")


def test_tap_finds_people_and_gates_in_the_folder_of_a_demo(gate, tmp_path):
    (tmp_path / "people.json").write_text('{"zoe": "C0:FF:EE:02"}')
    refused(run_fabgate("tap", "laser-1", "zoe", "--data", tmp_path), 2, "--data: there is no running demo in ")
    (tmp_path / "laser-1.sock").symlink_to(gate.control)
    (tmp_path / "laser-1.yaml").touch()
    (tmp_path / "wall.sock").touch()  # of the wall of badges: no gate
    done = run_fabgate("tap", "laser-1", "zoe", "--data", tmp_path)
    assert (done.returncode, done.stdout) == (0, "tapped zoe at laser-1 for 300 ms\n")
    refused(
        run_fabgate("tap", "laser-1", "max", "--data", tmp_path),
        2,
        "'max' is not a badge.*; the people of this demo are zoe",
    )
    refused(run_fabgate("tap", "saw", "zoe", "--data", tmp_path), 2, "found the gate 'saw', wanted laser-1$")
