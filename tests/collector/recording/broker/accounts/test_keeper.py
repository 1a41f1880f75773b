"""Are the accounts of a running broker those of the database, whatever happens to either?"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fabgate import wire
from fabgate.collector.ground.base import data_folder
from fabgate.collector.ground.models import BrokerAccount, Gate
from fabgate.collector.members.machines.keys import revoke_gate
from fabgate.collector.processes.doctor import checks
from fabgate.collector.recording.broker.accounts import keeper as keeping
from fabgate.collector.recording.broker.accounts import rights, wanted
from fabgate.collector.recording.broker.accounts.control import Control
from fabgate.collector.recording.broker.accounts.keeper import Keeper
from fabgate.doctor.finding import Outcome
from fabgate.errors import FabgateError, UsageError
from tests.collector.recording.broker.accounts.conftest import password_file
from tests.deploy.places import CONFIG
from tests.support.mosquitto import MOSQUITTO
from tests.support.patience import HANGS_S, wait

pytestmark = [
    pytest.mark.broker,
    pytest.mark.skipif(not Path(MOSQUITTO).exists(), reason="Mosquitto is not installed here (Debian: mosquitto)"),
]

SAW, LASER = wire.GateTopics("lyon", "saw-1"), wire.GateTopics("lyon", "laser-1")
REFUSED = "Not authorized"


def state(gate: str = "saw-1") -> str:
    return BrokerAccount.objects.get(gate__name=gate).state


def cut_off(gate: str = "saw-1") -> None:
    revoke_gate.revoke(gate, actor="cli:eve")


# --- a gate is let in, gets new keys, and is cut off ------------------------------------------------------------------


def test_a_gate_connects_once_the_broker_has_confirmed_its_account(let_in, keeper, connect):
    let_in("saw-1")
    assert connect("saw-1").greeting == REFUSED
    assert keeper.is_due()
    assert state() == "awaited"
    keeper.turn()
    assert not keeper.is_due()
    assert state() == "ready"
    gate = connect("saw-1")
    assert gate.greeting == "Success"
    assert gate.limits.MaximumQoS == 1
    assert gate.publish(SAW.topic("status")) == "Success"
    assert [gate.publish(LASER.topic("status")), gate.subscribe("#")] == [REFUSED] * 2


def test_new_keys_end_the_old_password_and_what_waits_for_the_old_gate(let_in, keeper, broker, connect):
    let_in("saw-1")
    keeper.turn()
    old = password_file(broker.env, "saw-1").read_text().strip()
    thief = connect("saw-1", kept=True)
    thief.subscribe(SAW.topic("command"))
    let_in("saw-1", new_token=True)
    keeper.turn()
    wait(lambda: thief.lost, "the disconnection of the old gate")
    assert thief.lost == ["Administrative action"]
    assert connect("saw-1", old).greeting == REFUSED
    new = connect("saw-1", kept=True)
    assert (new.greeting, new.session_present) == ("Success", False)


def test_a_gate_that_is_cut_off_leaves_nothing_behind(let_in, keeper, broker, connect):
    let_in("saw-1")
    let_in("laser-1")
    keeper.turn()
    collector = connect("collector", client_id="ingest")
    gate, other = connect("saw-1", kept=True), connect("laser-1")
    gate.subscribe(SAW.topic("ack"))
    gate.publish(SAW.topic("status"), b"online", retain=True)
    other.publish(LASER.topic("status"), b"online", retain=True)
    collector.publish(SAW.topic("ack"), b"stored", retain=True)
    cut_off()
    assert state() == "awaited"
    keeper.turn()
    assert state() == "cut-off"
    wait(lambda: gate.lost, "the disconnection")
    assert connect("saw-1").greeting == REFUSED
    assert other.lost == []
    with Control(broker.env) as control:
        assert LASER.account in control.roles()
        assert SAW.account not in control.roles()
    for filter_ in wire.collector_subscriptions("lyon"):
        collector.subscribe(filter_)
    assert collector.received.get(timeout=HANGS_S) == (LASER.topic("status"), b"online")
    assert other.publish(LASER.topic("state")) == "Success"
    assert collector.received.get(timeout=HANGS_S) == (LASER.topic("state"), b"{}"), "nothing of the other gate is left"
    # The next gate of this name begins anew.
    let_in("saw-1")
    keeper.turn()
    again = connect("saw-1", kept=True)
    assert (again.greeting, again.session_present) == ("Success", False)
    again.subscribe(SAW.topic("ack"))
    assert collector.publish(SAW.topic("ack"), b"new") == "Success"
    assert again.received.get(timeout=HANGS_S) == (SAW.topic("ack"), b"new")


def test_a_gate_is_cut_off_although_another_ones_account_cannot_be_made(let_in, keeper, broker, connect):
    let_in("laser-1")
    let_in("saw-1")
    keeper.turn()
    let_in("laser-1", new_token=True)
    password_file(broker.env, "laser-1").write_text("another password")
    gate = connect("saw-1")
    cut_off()
    keeper.turn()
    assert (state("saw-1"), state("laser-1")) == ("cut-off", "awaited")
    assert "laser-1: " in keeper.trouble
    assert "gate-add laser-1 --machine MACHINE --new-token" in keeper.trouble
    wait(lambda: gate.lost, "the disconnection")
    let_in("laser-1", new_token=True)
    keeper.turn()
    assert (state("laser-1"), keeper.trouble) == ("ready", "")


def test_a_password_is_read_once_all_files_of_the_gate_are_in_place(let_in, keeper, broker, monkeypatch):
    let_in("saw-1")
    path = password_file(broker.env, "saw-1")
    password = path.read_text()
    path.write_text("the one of before")

    @contextmanager
    def until_they_are(lock: Path) -> Iterator[None]:
        assert lock == broker.env.data / data_folder.LETTING_IN
        path.write_text(password)
        yield

    monkeypatch.setattr(data_folder, "alone", until_they_are)
    keeper.turn()
    assert (state(), keeper.trouble) == ("ready", "")


def test_a_lost_password_ends_the_old_one_all_the_same(let_in, keeper, broker, connect):
    let_in("saw-1")
    keeper.turn()
    old = password_file(broker.env, "saw-1").read_text().strip()
    let_in("saw-1", new_token=True)
    password_file(broker.env, "saw-1").unlink()
    keeper.turn()
    assert "cannot be read" in keeper.trouble
    assert connect("saw-1", old).greeting == REFUSED


# --- the broker restarts, and the database is another one -------------------------------------------------------------


def test_a_broker_that_starts_has_the_accounts_of_the_database(let_in, keeper, broker, connect):
    let_in("saw-1")
    let_in("laser-1")
    keeper.turn()
    cut_off("laser-1")
    broker.stop()
    with pytest.raises(FabgateError, match=r"the broker cannot be reached over .*/control/socket \("):
        keeper.turn()
    assert state("laser-1") == "awaited", "only the broker confirms it"
    broker.start()
    assert connect("saw-1").greeting == "Success"
    assert connect("laser-1").greeting == REFUSED
    keeper.turn()
    assert state("laser-1") == "cut-off"


def test_what_changes_between_the_file_and_the_start_is_changed_afterwards(let_in, keeper, broker, connect):
    let_in("saw-1")
    stale = wanted.document(broker.env)
    cut_off()
    assert wanted.document(broker.env) != stale
    broker.stop()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wanted, "_gates", lambda *_: iter(stale["clients"][2:]))
        patch.setattr(wanted, "roles", lambda *_: stale["roles"])
        broker.start()
    assert connect("saw-1").greeting == "Success"
    keeper.turn()
    assert connect("saw-1").greeting == REFUSED
    assert state() == "cut-off"


def test_accounts_follow_a_database_that_is_put_back(let_in, keeper, broker, connect):
    let_in("saw-1")
    let_in("laser-1")
    keeper.turn()
    before = {row.gate_id: row for row in wanted.all_accounts()}
    folder = password_file(broker.env, "saw-1")
    password = folder.read_text().strip()
    let_in("saw-1", new_token=True)
    let_in("new-1")
    cut_off("laser-1")
    keeper.turn()
    newer = folder.read_text().strip()
    gate = connect("new-1")
    BrokerAccount.objects.all().delete()
    BrokerAccount.objects.bulk_create(before.values())
    folder.write_text(password)
    assert not keeper.is_due()
    keeper.turn()
    wait(lambda: gate.lost, "the end of a gate that this database does not know")
    assert [connect(name).greeting for name in ("saw-1", "laser-1", "new-1")] == ["Success", "Success", REFUSED]
    assert connect("saw-1", newer).greeting == REFUSED


def test_a_gate_that_the_database_has_cut_off_already_is_cut_off_again(let_in, keeper, connect):
    let_in("saw-1")
    cut_off()
    keeper.turn()
    (before,) = wanted.all_accounts()
    let_in("saw-1")
    keeper.turn()
    assert connect("saw-1").greeting == "Success"
    before.save()
    assert (state(), keeper.is_due()) == ("cut-off", False)
    keeper.turn()
    assert connect("saw-1").greeting == REFUSED


def test_what_changes_during_a_turn_is_not_confirmed_by_it(let_in, keeper, connect, monkeypatch):
    let_in("saw-1")
    confirm = keeping._confirm

    def late(account: BrokerAccount) -> None:
        monkeypatch.setattr(keeping, "_confirm", confirm)
        let_in("saw-1", new_token=True)
        confirm(account)

    monkeypatch.setattr(keeping, "_confirm", late)
    keeper.turn()
    assert (state(), connect("saw-1").greeting) == ("awaited", REFUSED)
    keeper.turn()
    assert (state(), connect("saw-1").greeting) == ("ready", "Success")


# --- rights -----------------------------------------------------------------------------------------------------------


def test_rights_of_a_later_version_reach_gates_that_stay_connected(let_in, keeper, broker, connect, monkeypatch):
    let_in("saw-1")
    keeper.turn()
    gate, topic = connect("saw-1"), f"{SAW.base}/event/new/kind"
    assert gate.publish(topic) == REFUSED
    monkeypatch.setattr(wire, "ENTRY_TYPES", {**dict.fromkeys(wire.ENTRY_TYPES), "fabgate.new.kind.v1": None})
    Keeper(broker.env).turn()
    assert gate.publish(topic) == "Success"
    assert gate.lost == []


def test_a_role_that_is_there_already_gets_its_rights_again(let_in, keeper, broker, connect):
    keeper.turn()  # from now on roles are not compared
    let_in("saw-1")
    with Control(broker.env) as control:
        control.do({"command": "createRole", "rolename": SAW.account, "acls": []})
    keeper.turn()
    assert connect("saw-1").publish(SAW.topic("status")) == "Success"


def test_the_collector_may_do_what_it_does_and_cannot_pose_as_a_gate(let_in, keeper, connect):
    let_in("saw-1")
    keeper.turn()
    collector = connect("collector", client_id="ingest")
    status = wire.collector_status_topic("lyon")
    needed = [*wire.collector_subscriptions("lyon"), *wire.gate_subscriptions("lyon", "saw-1"), status]
    assert [collector.subscribe(name) for name in needed] == ["Granted QoS 1"] * len(needed)
    sent = [*map(SAW.topic, ("ack", "command", "roster")), status]
    assert [collector.publish(topic) for topic in sent] == ["Success"] * len(sent)
    assert [collector.publish(SAW.topic(leaf)) for leaf in ("status", "state", "reply")] == [REFUSED] * 3
    assert collector.publish(rights.COMMANDS) == REFUSED
    assert [collector.subscribe(name) for name in ("#", "$SYS/#", rights.ANSWERS)] == [REFUSED] * 3


def test_a_gate_has_the_rights_of_the_access_list_by_hand():
    lines = re.findall(r"^pattern (\w+) (\S+)$", (CONFIG / "mosquitto.acl").read_text(), re.MULTILINE)
    by_hand = {(kind, topic.replace("%u", SAW.account)) for kind, topic in lines}
    found = rights.of_gate(SAW)["acls"]
    send = {("write", one["topic"]) for one in found if one["acltype"] == "publishClientSend"}
    read = {("read", one["topic"]) for one in found if one["acltype"] == "publishClientReceive"}
    anywhere = ("read", "fabgate/v1/+/collector/status")
    assert send | read == (by_hand - {anywhere}) | {("read", wire.collector_status_topic("lyon"))}


# --- the account that changes the others ------------------------------------------------------------------------------


def test_the_account_that_changes_the_others_has_another_password_at_each_start(broker):
    password = wanted.control_password(broker.socket)
    before = password.read_text()
    broker.stop()
    broker.start()
    after = password.read_text()
    password.write_text(before)
    with pytest.raises(FabgateError, match="refused the account control"), Control(broker.env):
        pass
    password.write_text(after)
    with Control(broker.env) as control:
        assert control.clients().keys() == {"control", "lyon/collector"}


def test_a_command_that_the_broker_refuses_is_an_error(broker):
    with Control(broker.env) as control, pytest.raises(FabgateError, match="refused deleteClient: Client not found"):
        control.do({"command": "deleteClient", "username": "lyon/nobody"})


def test_more_accounts_than_one_answer_has_are_all_listed(let_in, keeper, broker, monkeypatch):
    monkeypatch.setattr("fabgate.collector.recording.broker.accounts.control._CLIENTS", 2)
    monkeypatch.setattr("fabgate.collector.recording.broker.accounts.control._ROLES", 2)
    for number in range(3):
        let_in(f"saw-{number}")
    keeper.turn()
    with Control(broker.env) as control:
        assert len(control.clients()) == len(control.roles()) == 5


# --- what the doctor says ---------------------------------------------------------------------------------------------


def found(broker: Any) -> list[str]:
    with Control(broker.env) as control:
        return keeping.differences(broker.env, control.clients())


def test_differences_are_named_until_a_turn(let_in, keeper, broker):
    assert found(broker) == []
    let_in("saw-1")
    assert found(broker) == [SAW.account]
    keeper.turn()
    assert found(broker) == []
    let_in("saw-1", new_token=True)
    assert found(broker) == [SAW.account]
    keeper.turn()
    cut_off()
    assert found(broker) == [SAW.account]
    keeper.turn()
    assert found(broker) == []


def test_the_doctor_asks_the_running_broker(let_in, keeper, broker):
    facts: Any = SimpleNamespace(set_up=lambda: broker.env, health=None)
    let_in("saw-1")
    assert checks.broker_accounts(facts).outcome is Outcome.FAIL
    keeper.turn()
    assert checks.broker_accounts(facts).text == "the broker has the 3 accounts of the database"
    Gate.objects.create(name="old", token_hash="x")
    assert checks.broker_accounts(facts).outcome is Outcome.WARN


def test_a_gate_from_before_the_broker_is_named(gate):
    assert wanted.without_account() == ["laser-1"]
    Gate.objects.update(token_hash="")
    assert wanted.without_account() == []


# --- the unit and the settings ----------------------------------------------------------------------------------------


def test_the_file_of_the_broker_holds_no_password(let_in, broker):
    let_in("saw-1")
    text = json.dumps(wanted.document(broker.env))
    for path in (
        password_file(broker.env, "saw-1"),
        broker.env.mqtt_password_file,
        wanted.control_password(broker.socket),
    ):
        assert path.read_text().strip() not in text


@pytest.mark.parametrize("lost", ["control", "collector", "empty"])
def test_no_accounts_are_made_without_a_password_that_they_need(broker, lost):
    path = broker.env.mqtt_password_file if lost == "collector" else wanted.control_password(broker.socket)
    path.write_text("") if lost == "empty" else path.unlink()
    with pytest.raises(UsageError, match=f"{path}"):
        wanted.document(broker.env)
