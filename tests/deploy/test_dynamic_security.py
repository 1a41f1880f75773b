"""Checks what we rely on in Mosquitto's plugin "dynamic security" (docs/decisions/0145), with a real Mosquitto."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from queue import Empty
from typing import Any, Final

import pytest

from fabgate import wire
from fabgate.demo.processes.ports import free_port
from tests.support.mosquitto import MOSQUITTO, Mosquitto
from tests.support.mqtt_connection import Client
from tests.support.patience import HANGS_S, wait

PLUGIN = next(Path("/usr/lib").glob("**/mosquitto_dynamic_security.so"), None)
pytestmark = [
    pytest.mark.broker,
    pytest.mark.skipif(not Path(MOSQUITTO).exists(), reason="Mosquitto is not installed here (Debian: mosquitto)"),
    pytest.mark.skipif(PLUGIN is None, reason="this Mosquitto comes without its plugin dynamic security"),
]

CONTROL: Final = "$CONTROL/dynamic-security/v1"
LASER, SAW = wire.GateTopics("lyon", "laser-1"), wire.GateTopics("lyon", "saw")
GRANTED, REFUSED = "Granted QoS 1", "Not authorized"


def rights(kind: str, *topics: str) -> list[dict[str, Any]]:
    return [{"acltype": kind, "topic": topic, "priority": 0, "allow": True} for topic in topics]


def role(gate: wire.GateTopics) -> dict[str, Any]:
    """Return the role of one gate: each topic in full, without a wildcard."""
    read = [gate.topic("ack"), gate.topic("command"), gate.topic("roster"), wire.collector_status_topic(gate.site)]
    sent = [gate.topic("status"), gate.topic("state"), gate.topic("reply"), *map(gate.event, wire.ENTRY_TYPES)]
    acls = rights("publishClientSend", *sent)
    for kind in ("publishClientReceive", "subscribeLiteral", "unsubscribeLiteral"):
        acls += rights(kind, *read)
    return {"rolename": gate.account, "acls": acls}


def account(name: str, rolename: str, **more: object) -> dict[str, Any]:
    """Return an account as the plugin stores it; its password is "secret"."""
    salt = os.urandom(12)
    digest = hashlib.pbkdf2_hmac("sha512", b"secret", salt, 101)
    stored = {"salt": base64.b64encode(salt).decode(), "password": base64.b64encode(digest).decode(), "iterations": 101}
    return {"username": name, "roles": [{"rolename": rolename}], **stored, **more}


def document(*gates: wire.GateTopics) -> dict[str, Any]:
    answer = f"{CONTROL}/response"
    admin = [*rights("publishClientSend", CONTROL), *rights("subscribeLiteral", answer)]
    admin += rights("publishClientReceive", answer)
    collector = rights("publishClientSend", "fabgate/v1/lyon/+/ack")
    for kind in ("publishClientReceive", "subscribePattern"):
        collector += rights(kind, "fabgate/v1/lyon/+/status")
    return {
        "defaultACLAccess": dict.fromkeys(
            ("publishClientSend", "publishClientReceive", "subscribe", "unsubscribe"), False
        ),
        "clients": [
            account("admin", "admin"),
            account("lyon/collector", "collector"),
            *(account(gate.account, gate.account, clientid=gate.account) for gate in gates),
        ],
        "roles": [
            {"rolename": "admin", "acls": admin},
            {"rolename": "collector", "acls": collector},
            *map(role, gates),
        ],
    }


class Admin(Client):
    """The account that changes accounts and roles."""

    def __init__(self, port: int) -> None:
        super().__init__(port, "admin")
        assert self.subscribe(f"{CONTROL}/response") in {"Granted QoS 0", GRANTED}

    def change(self, *commands: dict[str, Any]) -> list[str]:
        """Send commands; return the error of each, or "" where there was none."""
        self.publish(CONTROL, json.dumps({"commands": commands}).encode())
        _, answer = self.received.get(timeout=HANGS_S)
        return [found.get("error", "") for found in json.loads(answer)["responses"]]

    def add(self, gate: wire.GateTopics) -> list[str]:
        client = {"username": gate.account, "password": "secret", "clientid": gate.account}
        roles = [{"rolename": gate.account}]
        return self.change(
            {"command": "createRole", **role(gate)}, {"command": "createClient", **client, "roles": roles}
        )

    def revoke(self, gate: wire.GateTopics) -> list[str]:
        client = {"command": "deleteClient", "username": gate.account}
        return self.change(client, {"command": "deleteRole", "rolename": gate.account})


class Broker(Mosquitto):
    """A broker whose accounts are in the plugin; gates use `port`, the collector and the admin `local`."""

    local: int


@pytest.fixture
def broker(tmp_path) -> Iterator[Broker]:
    local, accounts = free_port(), tmp_path / "accounts.json"
    accounts.write_text(json.dumps(document(LASER, SAW)))
    accounts.chmod(0o600)
    lines = (
        "allow_anonymous false",
        f"plugin {PLUGIN}",
        f"plugin_opt_config_file {accounts}",
        "use_username_as_clientid true",
        "max_qos 1",
        f"listener {local} 127.0.0.1",
    )
    found = Broker(tmp_path / "broker", lines=lines)
    found.local = local
    found.start()
    yield found
    found.stop()


@pytest.fixture
def connect(broker):
    with ExitStack() as stack:

        def connected(name: str, **options: Any) -> Client:
            port = options.pop("port", broker.port)
            client = Admin(broker.local) if name == "admin" and not options else Client(port, name, **options)
            stack.callback(client.close)
            return client

        yield connected


def test_a_file_from_outside_gives_each_gate_its_own_topics_and_no_other(connect):
    gate = connect(LASER.account)
    assert [gate.publish(LASER.event(kind)) for kind in wire.ENTRY_TYPES] == ["Success"] * len(wire.ENTRY_TYPES)
    assert gate.subscribe(LASER.topic("ack")) == GRANTED
    forbidden = [SAW.topic("status"), LASER.topic("ack"), f"{LASER.base}/status/", CONTROL, "$SYS/broker/version"]
    assert [gate.publish(topic) for topic in forbidden] == [REFUSED] * len(forbidden)
    filters = ["#", f"{SAW.base}/ack", "fabgate/v1/lyon/+/ack", f"$share/x/{LASER.base}/ack", f"{CONTROL}/response"]
    assert [gate.subscribe(wanted) for wanted in filters] == [REFUSED] * len(filters)


def test_nobody_connects_without_a_password_or_with_the_id_of_another(broker, connect):
    victim = connect(SAW.account)
    assert connect(LASER.account, password="wrong").greeting == REFUSED
    assert connect("lyon/nobody").greeting == REFUSED
    # The gates' listener overrides the id; on the other one the plugin compares it.
    assert connect(LASER.account, client_id=SAW.account).greeting == "Success"
    assert connect(LASER.account, client_id=SAW.account, port=broker.local).greeting == REFUSED
    assert victim.publish(SAW.topic("status")) == "Success"


def test_a_gate_is_added_limited_and_revoked_while_the_others_stay_connected(connect):
    other, admin, new = connect(SAW.account), connect("admin"), wire.GateTopics("lyon", "new")
    assert admin.add(new) == ["", ""]
    gate = connect(new.account)
    assert gate.limits.MaximumQoS == 1
    assert [gate.publish(new.topic("status")), gate.publish(SAW.topic("status"))] == ["Success", REFUSED]
    assert gate.subscribe("#") == REFUSED
    assert admin.revoke(new) == ["", ""]
    wait(lambda: gate.lost, "the disconnection")
    assert gate.lost == ["Administrative action"]
    assert connect(new.account).greeting == REFUSED
    assert other.publish(SAW.topic("status")) == "Success"
    assert other.lost == []


def test_a_role_gets_a_new_topic_without_a_disconnection(connect):
    gate, admin, topic = connect(LASER.account), connect("admin"), f"{LASER.base}/event/new/kind"
    assert gate.publish(topic) == REFUSED
    wider = role(LASER)
    wider["acls"] += rights("publishClientSend", topic)
    assert admin.change({"command": "modifyRole", **wider}) == [""]
    assert gate.publish(topic) == "Success"
    assert gate.lost == []


def test_a_revoked_gates_messages_wait_until_its_session_is_ended(broker, connect):
    collector, admin = connect("lyon/collector", client_id="collector", port=broker.local), connect("admin")
    for ends in (False, True):
        gate = connect(LASER.account, kept=True)
        gate.subscribe(LASER.topic("ack"))
        gate.close()
        assert collector.publish(LASER.topic("ack"), b"old") == "Success"
        admin.revoke(LASER)
        if ends:  # whoever takes the id with a clean start ends the session
            connect("admin", client_id=LASER.account, port=broker.local).close()
        admin.add(LASER)
        gate = connect(LASER.account, kept=True)
        assert gate.session_present is not ends
        if ends:
            with pytest.raises(Empty):
                gate.received.get_nowait()
        else:
            assert gate.received.get(timeout=HANGS_S) == (LASER.topic("ack"), b"old")
        gate.close()


def test_a_reload_forgets_the_limit_of_qos(broker, connect):
    """So the broker is restarted for a renewed certificate. If this fails, it may be reloaded in place."""
    assert connect(LASER.account).limits.MaximumQoS == 1
    broker.process.send_signal(signal.SIGHUP)
    wait(lambda: not hasattr(connect(LASER.account).limits, "MaximumQoS"), "the reload")


@pytest.mark.parametrize("content", ["", "{", '{"clients": []}'])
def test_a_broken_file_lets_nobody_in(broker, connect, content):
    broker.stop()
    (broker.directory.parent / "accounts.json").write_text(content)
    broker.start()
    assert connect(LASER.account).greeting == REFUSED
