"""fabgate run and fabgate check."""

from __future__ import annotations

import json
import re

import pytest

from fabgate.drivers.emulated.outputs.plug import Plug
from fabgate.drivers.emulated.outputs.shelly import EmulatedShelly
from fabgate.gate.config.hardware import SIMULATED_OUTPUT
from tests.cli.running import (
    CONFIG,
    RunningGate,
    refused,
    run_fabgate,
    status_of,
    write_gate,
)
from tests.support.patience import wait

# --- run --------------------------------------------------------------------------------------------------------------


def test_run_ends_in_order_with_0_on_sigterm_and_says_one_line_a_decision(tmp_path):
    gate = RunningGate(tmp_path / "gate")
    run_fabgate("tap", gate.control, "04:A1:B2:C3")
    wait(lambda: status_of(gate.folder).get("state") == "active", "the session")
    said = gate.stop()
    assert gate.process.returncode == 0
    assert "Traceback" not in said
    assert "ready: lyon/laser-1" in said
    assert "04A1B2C3" not in said
    assert "04:A1" not in said
    kinds = [
        json.loads(line)["type"]
        for line in run_fabgate("journal", "--config", gate.config, "--json").stdout.splitlines()
    ]
    assert kinds[-2:] == ["fabgate.session.ended.v1", "fabgate.gate.stopping.v1"]
    stopped = run_fabgate("status", "--config", gate.config)
    assert stopped.returncode == 1
    assert "NOT RUNNING" in stopped.stdout


def test_run_names_every_mistake_of_its_configuration_and_ends_with_2(tmp_path):
    path = write_gate(tmp_path / "gate", CONFIG.replace("limit_s: 600", "limit_s: -1") + "nonsense: 1\n")
    done = run_fabgate("run", "--config", path)
    refused(done, 2, "machine.limit_s: found '-1'")
    assert [line.startswith("error: ") for line in done.stderr.splitlines()] == [True, True]


def test_a_simulated_reader_never_powers_a_real_plug_and_what_the_gate_stored_can_be_read(tmp_path, monkeypatch):
    monkeypatch.delenv(SIMULATED_OUTPUT, raising=False)
    with EmulatedShelly(Plug("let me in")) as shelly:
        (tmp_path / "password").write_text("let me in")
        plug = f"{{driver: shelly, host: 127.0.0.1, port: {shelly.port}, device_id: {shelly.plug.device_id}"
        text = CONFIG.replace("{driver: memory", f"{plug}, password_file: {tmp_path / 'password'}")
        path = write_gate(tmp_path / "gate", text)
        for verb in (("run", "--config", path), ("check", path)):
            refused(run_fabgate(*verb), 2, "output: found the real output shelly next to emulated hardware .reader.")
        assert run_fabgate("doctor", "--config", path, "--root", tmp_path).returncode == 1
        assert (shelly.requests, shelly.plug.history) == ([], [])
        assert "found no reader" in run_fabgate("tap", path, "04:A1:B2:C3").stderr
        for verb in ("status", "journal"):
            assert "real output" not in run_fabgate(verb, "--config", path).stderr
        monkeypatch.setenv(SIMULATED_OUTPUT, "1")
        assert run_fabgate("check", path).returncode == 0


def test_a_second_gate_on_one_state_directory_is_refused(gate):
    done = run_fabgate("run", "--config", gate.config)
    assert done.returncode == 2
    assert "another fabgate runs on this state directory; stop it first" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_state_directory_that_cannot_be_made_is_one_clear_line(tmp_path):
    path = write_gate(tmp_path / "gate", CONFIG.replace("state_dir: state", "state_dir: members.csv/state"))
    done = run_fabgate("run", "--config", path)
    assert done.returncode == 4
    assert "members.csv/state: the state directory cannot be used" in done.stderr
    assert "Traceback" not in done.stderr


# --- check ------------------------------------------------------------------------------------------------------------


def test_check_says_that_a_configuration_is_right_and_how_many_members_its_file_has(config):
    done = run_fabgate("check", config)
    assert (done.returncode, done.stderr) == (0, "")
    members = config.parent / "members.csv"
    said = done.stdout.splitlines()
    assert (said[0], said[-1]) == (f"ok: {config} describes the gate lyon/laser-1", f"ok: {members} has 2 members")
    as_json = json.loads(run_fabgate("check", config, "--json").stdout)
    assert as_json.pop("notes")
    assert as_json == {
        "ok": True,
        "mistakes": [],
        "gate": "lyon/laser-1",
        "roster": {"members": 2, "refused": 0},
        "warnings": [],
    }
    assert not (config.parent / "state").exists()
    members.write_text("id,badges,reasons\na,04A1B2C3,\nb,04A1B2C4,suspended\n")
    assert run_fabgate("check", config).stdout.endswith("has 1 member, and 1 who is refused\n")


@pytest.mark.parametrize(
    ("machine", "inputs", "is_noted"),
    [
        ("{limit_s: 60}", "{}", True),
        ("{limit_s: 60}", "{running_pin: 24}", False),
        ("{limit_s: 60, finish: cut}", "{}", False),
        ("{limit_s: 60, mode: audit}", "{}", False),
    ],
)
def test_check_says_where_the_limit_cuts_a_job_that_nothing_senses(config, machine, inputs, is_noted):
    text = re.sub("(?m)^(machine|inputs):.*\n", "", config.read_text())
    config.write_text(f"{text}machine: {machine}\ninputs: {inputs}\n")
    done = run_fabgate("check", config)
    assert done.returncode == 0, done.stderr
    wanted = (
        "note: machine.finish: nothing reports whether a job runs, so limit_s cuts it; set limit_s to your longest job"
    )
    assert (wanted in done.stdout) is is_noted
    assert bool(json.loads(run_fabgate("check", config, "--json").stdout)["notes"]) is is_noted


def test_check_names_every_mistake_of_the_roster_file_by_line_and_ends_with_2(config):
    members = config.parent / "members.csv"
    members.write_text("id,badges,level\na,12345678,user\nb,zz,boss\na,04A1B2C3,user\n")
    done = run_fabgate("check", config)
    refused(done, 2, r"members\.csv:2: member 1: badges: '…78' is a number, .*: write hex:…78")
    lines = [line.removeprefix(f"error: {members}:").split(": ")[:3] for line in done.stderr.splitlines()]
    assert lines == [
        ["2", "member 1", "badges"],
        ["3", "member 2", "level"],
        ["3", "member 2", "badges"],
        ["4", "member 3", "id"],
    ]
    assert [
        f"error: {mistake}" for mistake in json.loads(run_fabgate("check", config, "--json").stdout)["mistakes"]
    ] == (done.stderr.splitlines())


def test_check_names_every_mistake_a_line_each(tmp_path):
    path = write_gate(tmp_path / "gate", CONFIG.replace("demo: true", "dema: true").replace("site: lyon", "site: LYON"))
    done = run_fabgate("check", path)
    refused(done, 2, "dema: found an unknown key")
    assert [line.replace(str(path), "f").split(": ")[:3] for line in done.stderr.splitlines()] == [
        ["error", "f:1", "site"],
        ["error", "f:4", "dema"],
        ["error", "f:6", "reader"],
    ]
    as_json = run_fabgate("check", path, "--json")
    assert as_json.returncode == 2
    found = json.loads(as_json.stdout)
    assert not found["ok"]
    assert [f"error: {mistake}" for mistake in found["mistakes"]] == done.stderr.splitlines()


def test_check_of_no_file_and_of_none_given(tmp_path):
    refused(
        run_fabgate("check", tmp_path / "none.yaml"), 2, r"none\.yaml: cannot be read \(No such file or directory\)"
    )
    refused(run_fabgate("check"), 2, "the following arguments are required: FILE")
