"""What the doctor learns from a reader, a broker and a roster of their own kind: an emulated chip, a real Mosquitto."""

from __future__ import annotations

import json
import re
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fabgate.cli import main
from fabgate.doctor import computer, shipped
from fabgate.doctor.finding import Outcome
from fabgate.doctor.system import System
from fabgate.drivers.emulated import ChipBench
from fabgate.drivers.emulated.chip import Chip
from fabgate.drivers.emulated.control import bench_at, release
from fabgate.drivers.emulated.outputs.plug import Plug
from fabgate.drivers.emulated.outputs.shelly import EmulatedShelly
from fabgate.drivers.readers.mfrc522 import rpi_gpio
from fabgate.errors import UsageError
from fabgate.gate.doctor import machine, service
from fabgate.gate.doctor import pi as judged
from fabgate.gate.terminal.check import check
from fabgate.phrases import phrases
from fabgate.testing import emulated_hardware
from tests.cli.running import run_fabgate
from tests.deploy.places import SYSTEMD
from tests.gate.doctor.emulated_pi import EmulatedPi
from tests.support.certificates import sign
from tests.support.mosquitto import MOSQUITTO, Mosquitto

OK, WARN, FAIL, NOT_CHECKED = Outcome.OK, Outcome.WARN, Outcome.FAIL, Outcome.NOT_CHECKED
PLUGIN = next(Path("/usr/lib").glob("**/mosquitto_dynamic_security.so"), None)
RIGHTS = """\
topic write fabgate/v1/lyon/{0}/status
topic write fabgate/v1/lyon/{0}/state
topic write fabgate/v1/lyon/{0}/reply
"""
#: By gate: its part of the access list.
ACCOUNTS = {
    "laser-1": RIGHTS.format("laser-1"),
    "greedy": "topic readwrite fabgate/v1/#\n",
    "poor": "topic write fabgate/v1/lyon/poor/status\n",
    "curious": RIGHTS.format("curious"),
}


# --- the reader -------------------------------------------------------------------------------------------------------


@pytest.fixture
def chip(pi) -> Iterator[Chip]:
    """The chip on an emulated reader of a stopped gate."""
    emulated_hardware.provide()
    path = str(pi.folder / "chip")
    pi.reconfigure("{driver: mfrc522}", f"{{driver: mfrc522, chip: emulated, control_socket: {path}}}")
    pi.reconfigure("site: lyon", "site: lyon\ndemo: true")
    pi.reconfigure("{driver: gpio, pin: 17,", "{driver: gpio, pins: emulated, pin: 17,")
    pi.stop()
    rpi_gpio.pins.cleanup()
    found = Chip(rf_time=True)
    bench_at(path, lambda: ChipBench(found))
    yield found
    release(path)
    rpi_gpio.pins.cleanup()


def test_the_reader_of_a_stopped_gate_tells_the_version_of_its_chip(pi, chip):
    finding = pi.finding("reader")
    assert (finding.outcome, finding.text) == (OK, "the MFRC522 at spidev0.0: VersionReg 92h (NXP 2.0)")


def test_a_reader_without_its_ribbon_is_found(pi, chip):
    chip.unplug()
    assert pi.finding("reader").outcome is FAIL


def test_the_reader_of_a_running_gate_is_left_alone(pi, chip):
    pi.start()
    before = chip.transfers
    assert pi.finding("reader").outcome is OK
    assert chip.transfers == before


def test_libraries_that_are_missing_are_named():
    finding = judged.pin_library(None, {"lgpio": None})
    assert finding.outcome is FAIL
    assert "python3-lgpio" in finding.next_step


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ({"gpiozero": "1.6.2"}, "found gpiozero 1.6.2, wanted at least 2.0"),
        ({"gpiozero": "2.0.1.post3", "lgpio": "0.2.2.0", "spidev": "3.6"}, ""),
        ({"lgpio": "0.10"}, ""),
        ({"lgpio": "0.2"}, "found lgpio 0.2, wanted at least 0.2.2"),
        ({"mfrc522": "0.0.8"}, "found mfrc522 0.0.8, wanted 0.0.7"),
        ({"mfrc522": "0.0.7", "spidev": "3.5"}, "found spidev 3.5, wanted at least 3.6"),
        ({"lgpio": ""}, ""),
    ],
)
def test_a_library_for_pins_of_another_version_is_found(pi, found, told):
    unit = shipped.settings([(SYSTEMD / "fabgate-gate.service").read_text()])
    finding = judged.pin_library(unit, found)
    assert finding.outcome is (FAIL if told else OK)
    assert told in finding.text
    assert phrases("fr")(finding.text) != finding.text


def test_the_libraries_of_this_python_are_looked_at_on_a_live_pi(pi, monkeypatch):
    monkeypatch.setattr(System, "is_live", property(lambda _: True, lambda _, value: None), raising=False)
    monkeypatch.setattr(machine, "find_spec", {"gpiozero": 1, "lgpio": 1, "spidev": 1, "mfrc522": 1}.get)
    versions = {"gpiozero": "2.0.1", "lgpio": "0.2.2.0", "spidev": "3.6", "mfrc522": "0.0.6"}
    monkeypatch.setattr(machine.metadata, "version", versions.get)
    finding = pi.finding("pin-library")
    assert (finding.outcome, finding.text) == (FAIL, "found mfrc522 0.0.6, wanted 0.0.7")
    versions["mfrc522"] = "0.0.7"
    assert pi.finding("pin-library").outcome is OK


@pytest.mark.parametrize("answers", [True, False])
def test_a_broker_without_tls_is_found_by_a_gate_with_it(papers, answers):
    """One that closes the connection, and one that waits for the rest of a message."""
    with socket.create_server(("127.0.0.1", 0)) as plain:
        port = plain.getsockname()[1]

        def serve() -> None:
            client, _ = plain.accept()
            with client:
                client.recv(1_000)
                if answers:
                    client.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        context = ssl.create_default_context(cafile=papers / "ca.pem")
        finding = computer.reached("broker", "127.0.0.1", port, context, "broker's", datetime.now(UTC))
        thread.join()
    assert finding.outcome is FAIL
    assert "does not speak TLS" in finding.text


# --- the roster -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("age_s", "outcome"), [(60, OK), (60_000, WARN), (100_000, FAIL), (None, WARN)])
def test_the_age_of_a_collectors_roster(age_s, outcome):
    finding = service.roster(members=3, age_s=age_s, fresh_for_s=86_400, from_collector=True)
    assert finding.outcome is outcome


# --- the broker -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def broker(tmp_path_factory, papers) -> Iterator[Mosquitto]:
    """A broker with accounts that may do too much, too little, and just enough; `curious` may subscribe to everything."""
    if not Path(MOSQUITTO).exists() or PLUGIN is None:
        pytest.skip("Mosquitto and its plugin for subscriptions are not installed here (Debian: mosquitto)")
    home = tmp_path_factory.mktemp("broker")
    passwords, acl, limits = home / "passwd", home / "acl", home / "limits.json"
    passwords.touch(0o600)
    for gate in ACCOUNTS:
        subprocess.run(["mosquitto_passwd", "-b", passwords, f"lyon/{gate}", "secret"], check=True)
    acl.write_text("".join(f"user lyon/{gate}\n{rights}" for gate, rights in ACCOUNTS.items()))
    limited = [line for line in passwords.read_text().splitlines() if "curious" not in line]
    (home / "limited").write_text("\n".join(limited) + "\n")
    made = subprocess.run([SYSTEMD / "limit-subscriptions", home / "limited"], check=True, capture_output=True)
    limits.write_bytes(made.stdout)
    lines = (f"plugin {PLUGIN}", f"plugin_opt_config_file {limits}", "max_packet_size 69632")
    found = Mosquitto(home, password_file=passwords, acl_file=acl, lines=lines, papers=papers)
    found.start()
    yield found
    found.stop()


def joined(pi: EmulatedPi, broker: Mosquitto, gate: str, password: str = "secret") -> None:
    """Give a stopped gate its account at the broker."""
    shutil.copy(broker.ca, pi.folder / "ca.pem")
    (pi.folder / "password").write_text(password)
    pi.reconfigure("gate: laser-1", f"gate: {gate}")
    account = f"username: lyon/{gate}, password_file: password"
    pi.reconfigure("port: PORT", f"port: {broker.port}, tls: {{ca: ca.pem}}, {account}")
    pi.stop()


@pytest.mark.broker
@pytest.mark.parametrize(
    ("gate", "outcome", "told"),
    [
        ("laser-1", OK, "nothing in the name of other accounts"),
        ("greedy", FAIL, "fabgate/v1/lyon/greedy/ack, fabgate/v1/lyon/greedy/command, fabgate/v1/lyon/roster/ack"),
        ("poor", FAIL, "refuses what the gate needs: fabgate/v1/lyon/poor/state, fabgate/v1/lyon/poor/reply"),
        ("curious", WARN, "subscribe to fabgate/v1/lyon/+/event/#"),
    ],
)
def test_what_an_account_may_do_is_tried(pi, broker, gate, outcome, told):
    joined(pi, broker, gate)
    finding = pi.finding("broker-rights")
    assert finding.outcome is outcome, finding
    assert told in finding.text


def test_a_running_gate_whose_entries_wait_is_not_called_connected():
    status = {
        "mqtt": {"connected": True, "problem": ""},
        "problems": ["delivery: entries wait: the collector is offline"],
    }
    finding = service.running_broker(status)
    assert finding.outcome is FAIL
    assert "entries wait: the collector is offline" in finding.text
    assert service.running_broker(status | {"problems": ["reader: torn"]}).outcome is OK


@pytest.mark.broker
def test_a_wrong_password_is_found_and_the_certificate_told(pi, broker):
    joined(pi, broker, "laser-1", password="wrong")
    rights, reached = pi.finding("broker-rights"), pi.finding("broker")
    assert (rights.outcome, reached.outcome) == (FAIL, OK)
    assert "Not authorized" in rights.text
    assert "valid until" in reached.text


def test_the_gates_own_certificate_is_judged_by_its_end(pi, papers):
    own = shutil.copytree(papers, pi.folder / "papers")
    sign(own, "gate", days=10)
    pi.reconfigure("port: PORT", "port: PORT, tls: {ca: papers/ca.pem, cert: papers/gate.pem, key: papers/gate.key}")
    finding = pi.finding("certificate")
    assert finding.outcome is WARN
    assert "mqtt.tls.cert" in finding.next_step


def test_a_key_that_is_not_of_the_gates_own_certificate_is_found(pi, papers):
    shutil.copytree(papers, pi.folder / "papers")
    pi.reconfigure("port: PORT", "port: PORT, tls: {ca: papers/ca.pem, cert: papers/gate.pem, key: papers/broker.key}")
    finding = pi.finding("certificate")
    assert finding.outcome is FAIL
    assert "broker.key" in finding.text
    assert "do not belong together" in finding.text


# --- the verb ---------------------------------------------------------------------------------------------------------


def test_the_verb_prints_findings_and_fails_when_one_does(pi):
    options = ("--config", pi.folder / "gate.yaml", "--root", pi.root)
    done = run_fabgate("doctor", *options, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["ok"] is True
    pi.remove("/dev/spidev0.0")
    done = run_fabgate("doctor", *options)
    assert done.returncode == 1
    assert "FAIL  spi" in done.stdout
    assert re.search(r"\b1 failed, [01] warnings?\b", done.stdout)
    found = json.loads(run_fabgate("doctor", *options, "--json").stdout)["findings"]
    assert [finding["id"] for finding in found if finding["outcome"] == "fail"] == ["spi"]
    # This process writes to the real disk, which may be slow.
    assert {finding["id"] for finding in found if finding["outcome"] == "warn"} <= {"disk-speed"}


def test_the_verb_speaks_the_language_of_the_gate_and_its_json_stays_for_programs(pi):
    pi.reconfigure("gate: laser-1", "gate: laser-1\nlang: fr")
    pi.remove("/dev/spidev0.0")
    options = ("--config", pi.folder / "gate.yaml", "--root", pi.root)
    said = run_fabgate("doctor", *options).stdout
    assert "FAIL  spi" in said
    assert "/dev/spidev0.0 n\u2019existe pas\u00a0: le SPI est désactivé" in said
    assert "→ raspi-config nonint do_spi 0; reboot" in said
    english = {" is ", " are ", " the ", " not ", " does ", " of "}
    assert [line for line in said.splitlines() if any(word in line for word in english)] == []
    found = {row["id"]: row["text"] for row in json.loads(run_fabgate("doctor", *options, "--json").stdout)["findings"]}
    assert found["spi"] == "there is no /dev/spidev0.0: SPI is off"


def test_a_root_that_is_not_there_is_refused(tmp_path):
    done = run_fabgate("doctor", "--root", tmp_path / "nowhere")
    assert (done.returncode, done.stdout) == (2, "")


# --- the output -------------------------------------------------------------------------------------------------------


def test_a_plug_is_asked_how_it_is_set_up_and_fabgate_check_refuses_what_the_doctor_finds(pi, capsys):
    with EmulatedShelly(Plug("let me in")) as shelly:
        (pi.folder / "plug.password").write_text("let me in")
        section = f"host: 127.0.0.1, port: {shelly.port}, device_id: {shelly.plug.device_id}, password_file: "
        pi.reconfigure(
            "{driver: gpio, pin: 17, readback_pin: 27, readback_closed: high}",
            f"{{driver: shelly, {section}{pi.folder / 'plug.password'}}}",
        )
        own = shelly.plug.config["switch:0"]
        for change in ({}, {"auto_off": True}, {"auto_off_delay": "soon"}, {"auto_off": False, "auto_off_delay": 35}):
            own.update(change)
            found = pi.finding("output")
            assert (found.outcome, "auto-off" in found.text) == (WARN, True), change
            assert main(["check", str(pi.folder / "gate.yaml")]) == 0, "no refusal"
            assert "warning: its auto-off" in capsys.readouterr().out
            assert main(["check", "--json", str(pi.folder / "gate.yaml")]) == 0
            assert "auto-off" in json.loads(capsys.readouterr().out)["warnings"][0]
        own.update(auto_off=True)
        assert pi.finding("output").outcome is OK
        assert main(["check", str(pi.folder / "gate.yaml")]) == 0
        assert "warning" not in capsys.readouterr().out
        shelly.plug.config["cloud"]["enable"] = True
        found = pi.finding("output")
        assert (found.outcome, "the cloud is on" in found.text) == (FAIL, True)
        with pytest.raises(UsageError, match="output: the cloud is on, wanted off"):
            check(pi.folder / "gate.yaml")
        shelly.plug.password = None
        with pytest.raises(UsageError, match="has no password, wanted one"):
            check(pi.folder / "gate.yaml")
        shelly.pull_out()
        assert "does not answer" in check(pi.folder / "gate.yaml").unreached
        assert pi.finding("output").outcome is FAIL
        assert shelly.plug.history == []
