"""``gate-revoke`` and ``broker-accounts``, and what ``gate-add`` and ``gates`` print of accounts at the broker."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from django.conf import settings

from fabgate.collector.cli import gates
from fabgate.collector.ground.models import BrokerAccount, Change, Gate
from fabgate.collector.processes.verify.findings import Report
from fabgate.collector.processes.verify.tables import logged
from fabgate.collector.recording.broker.accounts import wanted
from fabgate.errors import UsageError
from tests.collector.rosters import add


@pytest.fixture
def own(env, tmp_path, monkeypatch) -> Any:
    """The settings of a collector with a broker of its own, which does not run."""
    found = replace(
        env,
        broker_control=tmp_path / "control" / "socket",
        mqtt_username="lyon/collector",
        mqtt_password_file=env.data / "mqtt.password",
    )
    monkeypatch.setattr(settings, "ENVIRONMENT", found)
    monkeypatch.setattr(gates, "CUT_OFF_S", 0.0)
    return found


def test_without_yes_nothing_changes(run, gate, own):
    assert "To do it: fabgate collector gate-revoke laser-1 --yes" in run("gate-revoke", "laser-1")
    gate.refresh_from_db()
    assert gate.token_hash
    assert not Change.objects.filter(verb="gate.revoked").exists()


def test_token_and_account_end_together_and_the_log_has_it(own, gate, capsys):
    add("laser-1", new_token=True)
    token = (own.gate_directory("laser-1") / "token").read_text().strip()
    assert Gate.by_token("laser-1", token) is not None
    capsys.readouterr()
    assert gates.revoke(_args()) == gates.NOT_CONFIRMED
    said = capsys.readouterr()
    assert "NOT cut off yet" in said.err
    assert "cut off, as" not in said.out
    assert Gate.by_token("laser-1", token) is None
    assert Gate.by_token("laser-1", "") is None
    account = BrokerAccount.objects.get()
    assert (account.digest, account.state) == ("", "awaited")
    change = Change.objects.get(verb="gate.revoked")
    assert (change.actor, change.key, list(change.before)) == ("cli:eve", "laser-1", ["token_seal"])
    gates.show(_args(json=False))
    assert "the broker has not confirmed its account yet" in capsys.readouterr().out


def test_it_is_cut_off_once_the_broker_has_confirmed_it_and_not_asked_for_twice(own, gate, capsys):
    gates.revoke(_args())
    BrokerAccount.objects.update(confirmed_at=datetime.now(UTC))
    capsys.readouterr()
    assert gates.revoke(_args()) == 0
    assert "laser-1: cut off, as the broker has confirmed" in capsys.readouterr().out
    assert Change.objects.filter(verb="gate.revoked").count() == 1
    gates.show(_args(json=False))
    assert "cut off" in capsys.readouterr().out
    gates.show(_args(json=True))
    assert json.loads(capsys.readouterr().out)[0]["account"] == "cut-off"


def test_a_gate_that_was_cut_off_can_be_let_in_again(own, gate):
    gates.revoke(_args())
    add("laser-1")
    gate.refresh_from_db()
    assert gate.token_hash
    assert BrokerAccount.objects.get().digest


def test_with_accounts_by_hand_it_says_what_is_left_to_do(env, gate, capsys):
    assert gates.revoke(_args()) == 0
    assert "the broker still accepts the old password of lyon/laser-1" in capsys.readouterr().err
    assert not BrokerAccount.objects.exists()


def test_the_books_agree_with_the_log_afterwards(own, gate):
    gates.revoke(_args())
    report = Report()
    logged.compare(report, Gate)
    assert report.compared["gate"] == 1
    assert report.findings == []
    Gate.objects.update(token_hash="written into the database")
    logged.compare(report, Gate)
    assert [(found.column, found.wanted) for found in report.findings] == [("token_hash", None)]


def test_an_unknown_gate_is_named(own, gate):
    with pytest.raises(UsageError, match="found no gate 'saw-1'"):
        gates.revoke(_args(name="saw-1"))


def _args(**more: Any) -> Any:
    return Namespace(**{"name": "laser-1", "yes": True, "actor": "eve", **more})


# --- gate-add ---------------------------------------------------------------------------------------------------------


def test_a_new_gate_gets_an_account_with_its_keys(own, run):
    said = run("gate-add", "saw-1", "--machine", "saw")
    path = own.gate_directory("saw-1") / "mqtt.password"
    assert f"mqtt_password_file: {path}\n" in said
    assert "copy the four files" in said
    assert path.stat().st_mode & 0o077 == 0
    assert wanted.digest_of(BrokerAccount.objects.get()).is_of(path.read_text().strip())


def test_new_keys_are_also_a_new_password_and_nothing_is_left_to_do(own, capsys):
    add("saw-1", "saw")
    path = own.gate_directory("saw-1") / "mqtt.password"
    before = path.read_text()
    add("saw-1", "saw", new_token=True)
    assert path.read_text() != before
    assert "the broker still accepts" not in capsys.readouterr().err


def test_an_emulated_gate_uses_that_password(own, run):
    said = run("gate-add", "saw-1", "--machine", "saw", "--emulated")
    assert "First write the password" not in said
    config = (own.data / "emulated" / "saw-1" / "gate.yaml").read_text()
    assert f'password_file: "{own.gate_directory("saw-1") / "mqtt.password"}"' in config


def test_accounts_made_by_hand_get_no_password_here(env, run):
    assert "copy the three files" in run("gate-add", "saw-1", "--machine", "saw")
    assert not (env.gate_directory("saw-1") / "mqtt.password").exists()
    assert not BrokerAccount.objects.exists()


# --- broker-accounts --------------------------------------------------------------------------------------------------


def test_the_accounts_are_printed_on_one_line(own, gate, run):
    wanted.control_password(own.broker_control).parent.mkdir()
    wanted.control_password(own.broker_control).write_text("secret\n")
    own.mqtt_password_file.write_text("secret too\n")
    wanted.give(gate, "a third")
    said = run("broker-accounts")
    assert said.count("\n") == 1
    names = [client["username"] for client in json.loads(said)["clients"]]
    assert names == ["control", "lyon/collector", "lyon/laser-1"]


def test_without_the_setting_there_are_none(env):
    with pytest.raises(UsageError, match="FABGATE_BROKER_CONTROL: not set, wanted the socket"):
        gates.broker_accounts(_args())
