"""Checks a real Mosquitto with the configuration, access list and certificates that we ship."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from fabgate import wire
from fabgate.collector.recording.broker import inbox
from fabgate.demo.processes.ports import free_port
from fabgate.mqtt.client import BROKER_PACKET_BYTES, MAX_PACKET_BYTES
from tests.deploy.places import CONFIG, DOCS, SYSTEMD, blocks
from tests.support.mosquitto import MOSQUITTO, Mosquitto
from tests.support.patience import HANGS_S, wait

pytestmark = [
    pytest.mark.broker,
    pytest.mark.skipif(not Path(MOSQUITTO).exists(), reason="Mosquitto is not installed here (Debian: mosquitto)"),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed here"),
]

LASER, SAW = wire.GateTopics("lyon", "laser-1"), wire.GateTopics("lyon", "saw")
#: A gate with the longest name.
LONG = wire.GateTopics("lyon", "l" + 61 * "o" + "g")
COLLECTOR = "lyon/collector"
#: Mosquitto's plugin that checks subscriptions; None where it is not installed.
PLUGIN = next(Path("/usr/lib").glob("**/mosquitto_dynamic_security.so"), None)
#: The last parts of the topics that a gate publishes, and of those that it receives.
PUBLISHED = ("event/session/ended", "status", "state", "reply")
RECEIVED = ("ack", "command", "roster")


@dataclass
class Shipped(Mosquitto):
    """Our own mosquitto.conf, with paths and ports that a test may use."""

    certificates: Path = Path()
    certificate_port: int = field(default_factory=free_port)
    collector_port: int = field(default_factory=free_port)

    def config(self) -> str:
        # Lines that begin with "#" without a blank are optional settings; this turns on all listeners.
        text = re.sub(r"^#(?=\S)", "", (CONFIG / "mosquitto.conf").read_text(), flags=re.MULTILINE)
        for shipped, here in (
            ("listener 8883", f"listener {self.port} 127.0.0.1"),
            ("listener 8884", f"listener {self.certificate_port} 127.0.0.1"),
            ("listener 8885 127.0.0.1", f"listener {self.collector_port} 127.0.0.1"),
            ("persistence_location /var/lib/mosquitto/", f"persistence_location {self.directory}/"),
            ("log_dest stderr", f"log_dest file {self.log}"),
            ("/etc/mosquitto/certs", str(self.certificates)),
            ("/etc/mosquitto/fabgate.passwd", str(self.password_file)),
            ("/etc/mosquitto/fabgate.acl", str(self.acl_file)),
            ("/run/mosquitto/fabgate-subscriptions.json", str(self.directory / "subscriptions.json")),
            ("plugin /usr/lib/fabgate/mosquitto_dynamic_security.so", f"plugin {PLUGIN}" if PLUGIN else ""),
        ):
            assert shipped in text
            text = text.replace(shipped, here)
        return f"user root\n{text}"


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Path:
    """Make the workshop's certificate authority and the broker's certificate by the commands of docs/install-by-hand.md."""
    home = tmp_path_factory.mktemp("authority")
    commands = next(block for block in blocks(DOCS / "install-by-hand.md", "sh") if "-CA ca.crt" in block)
    script = commands.replace("/root/fabgate-ca", str(home))
    subprocess.run(["sh", "-e"], input=script, text=True, check=True, capture_output=True)
    return home


@pytest.fixture(scope="module")
def broker(tmp_path_factory, authority) -> Iterator[Shipped]:
    home = tmp_path_factory.mktemp("broker")
    passwords = home / "passwd"
    passwords.touch(0o600)
    for account in (LASER.account, SAW.account, LONG.account, COLLECTOR):
        subprocess.run(["mosquitto_passwd", "-b", passwords, account, f"{account}'s secret"], check=True)
    acl = home / "acl"
    shutil.copy(CONFIG / "mosquitto.acl", acl)
    found = Shipped(home, password_file=passwords, acl_file=acl, certificates=authority)
    limit_subscriptions(found)
    found.start()
    yield found
    found.stop()


def limit_subscriptions(broker: Shipped) -> None:
    """Do what systemd does before each start of the broker."""
    command = [SYSTEMD / "limit-subscriptions", broker.password_file]
    limits = subprocess.run(command, check=True, capture_output=True)
    (broker.directory / "subscriptions.json").write_bytes(limits.stdout)


def tls_context(authority: Path) -> ssl.SSLContext:
    """Return a context like that of fabgate.gate.uplink.connection; a test of its own checks the name in the certificate."""
    context = ssl.create_default_context(cafile=str(authority / "ca.crt"))
    context.check_hostname = False
    return context


class Client:
    """One connection that keeps the messages it receives."""

    def __init__(
        self,
        port: int,
        context: ssl.SSLContext,
        account: str | None,
        password: str | None,
        *,
        packet_bytes: int | None = None,
        **options,
    ) -> None:
        self.received: SimpleQueue[tuple[str, bytes]] = SimpleQueue()
        self._answers: SimpleQueue[Any] = SimpleQueue()
        self.lost = threading.Event()
        self.paho = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5, **options)
        self.paho.tls_set_context(context)
        if account is not None:
            self.paho.username_pw_set(account, password)
        self.limits: Any = None
        self.paho.on_connect = self._on_connect
        self.paho.on_publish = lambda _c, _u, _m, reason, _p: self._answers.put(reason)
        self.paho.on_subscribe = lambda _c, _u, _m, reasons, _p: self._answers.put(reasons[0])
        self.paho.on_message = lambda _c, _u, message: self.received.put((message.topic, message.payload))
        self.paho.on_disconnect = lambda *_: self.lost.set()
        takes = Properties(PacketTypes.CONNECT)
        if packet_bytes is not None:
            takes.MaximumPacketSize = packet_bytes
        self.paho.connect("127.0.0.1", port, properties=takes)
        self.paho.loop_start()
        self.greeting = str(self._answers.get(timeout=HANGS_S))

    def _on_connect(self, _client: Any, _userdata: Any, _flags: Any, reason: Any, properties: Any) -> None:
        self.limits = properties
        self._answers.put(reason)

    def publish(self, topic: str, payload: bytes = b"{}", *, retain: bool = False) -> str:
        """Publish with QoS 1; return why the broker refuses, or "Success"."""
        self.paho.publish(topic, payload, qos=1, retain=retain)
        reason = self._answers.get(timeout=HANGS_S)
        return str(reason) if reason.is_failure else "Success"  # "no matching subscribers" is a success, too

    def subscribe(self, topic: str) -> str:
        """Subscribe with QoS 1; return the granted QoS, or why the broker refuses."""
        self.paho.subscribe(topic, qos=1)
        return str(self._answers.get(timeout=HANGS_S))

    def next_message(self) -> tuple[str, bytes] | None:
        try:
            return self.received.get(timeout=HANGS_S)
        except Empty:
            return None

    def close(self) -> None:
        self.paho.disconnect()
        self.paho.loop_stop()


@pytest.fixture
def connect(broker, authority):
    """Connect as an account, by default with its password, to the listener of gates or that of the collector."""
    with contextlib.ExitStack() as stack:

        def connected(account: str | None, password: str | None = "", **options) -> Client:
            secret = f"{account}'s secret" if password == "" else password
            port = broker.collector_port if account == COLLECTOR else broker.port
            client = Client(port, tls_context(authority), account, secret, **options)
            stack.callback(client.close)
            return client

        yield connected


# --- what a gate may do -----------------------------------------------------------------------------------------------


def test_the_collector_receives_a_gates_events_status_state_and_replies(connect):
    collector, gate = connect(COLLECTOR), connect(LASER.account)
    for topic in wire.collector_subscriptions("lyon"):
        collector.subscribe(topic)
    for leaf in PUBLISHED:
        assert gate.publish(f"{LASER.base}/{leaf}") == "Success"
        assert collector.next_message() == (f"{LASER.base}/{leaf}", b"{}")


def test_a_gate_receives_the_collectors_acks_commands_and_rosters(connect):
    collector, gate = connect(COLLECTOR), connect(LASER.account)
    for leaf in RECEIVED:
        gate.subscribe(f"{LASER.base}/{leaf}")
        assert collector.publish(f"{LASER.base}/{leaf}") == "Success"
        assert gate.next_message() == (f"{LASER.base}/{leaf}", b"{}")


def test_a_gate_receives_the_status_of_the_collector(connect):
    collector, gate = connect(COLLECTOR), connect(LASER.account)
    gate.subscribe(wire.collector_status_topic("lyon"))
    assert collector.publish(wire.collector_status_topic("lyon")) == "Success"
    assert gate.next_message() == (wire.collector_status_topic("lyon"), b"{}")


# --- what a gate may not do -------------------------------------------------------------------------------------------

FORBIDDEN = [
    *(f"{SAW.base}/{leaf}" for leaf in (*PUBLISHED, *RECEIVED)),
    *(f"{LASER.base}/{leaf}" for leaf in RECEIVED),
    f"{LASER.base}/anything",
    f"{LASER.base}/event/anything",
    f"{LASER.base}/event/session/ended/anything",
    LASER.base,
    wire.collector_status_topic("lyon"),
    "fabgate/v1/paris/laser-1/status",
    "fabgate/v2/lyon/laser-1/status",
    f"/{LASER.base}/status",
    f"{LASER.base}//status",
    "$SYS/broker/version",
    "$CONTROL/dynamic-security/v1",
]


@pytest.mark.parametrize("topic", FORBIDDEN)
def test_a_gate_cannot_publish_as_another_gate_or_as_the_collector(connect, topic):
    listener, gate = connect(COLLECTOR), connect(LASER.account)
    neighbour = connect(SAW.account)
    for topic_filter in wire.collector_subscriptions("lyon"):
        listener.subscribe(topic_filter)
    for client, base in ((neighbour, SAW.base), (gate, LASER.base)):
        for leaf in RECEIVED:
            client.subscribe(f"{base}/{leaf}")
    assert gate.publish(topic, b"forged") == "Not authorized"
    # The next message is the first one that any client receives: the forged one reached none of them.
    neighbour.publish(f"{SAW.base}/state", b"true")
    listener.publish(f"{SAW.base}/ack", b"true")
    listener.publish(f"{LASER.base}/ack", b"true")
    assert listener.next_message() == (f"{SAW.base}/state", b"true")
    assert neighbour.next_message() == (f"{SAW.base}/ack", b"true")
    assert gate.next_message() == (f"{LASER.base}/ack", b"true")


@pytest.mark.parametrize("wanted", ["#", "fabgate/v1/lyon/+/#", f"{SAW.base}/#", f"{SAW.base}/command", "$SYS/#"])
def test_a_gate_receives_no_messages_of_another_gate_whatever_it_subscribes_to(connect, wanted):
    collector, gate, neighbour = connect(COLLECTOR), connect(LASER.account), connect(SAW.account)
    gate.subscribe(wanted)
    gate.subscribe(f"{LASER.base}/roster")
    assert gate.received.empty()
    for leaf in RECEIVED:
        assert collector.publish(f"{SAW.base}/{leaf}", b"private") == "Success"
    for leaf in PUBLISHED:
        assert neighbour.publish(f"{SAW.base}/{leaf}", b"private") == "Success"
    collector.publish(f"{LASER.base}/roster", b"mine")
    assert gate.next_message() == (f"{LASER.base}/roster", b"mine")


@pytest.mark.skipif(PLUGIN is None, reason="this Mosquitto comes without its plugin dynamic security")
@pytest.mark.parametrize("by", ["connect", "connect_certified"])
def test_a_gate_can_subscribe_to_a_few_topics_only(request, by):
    """Each subscription takes memory and time of the broker, also if nothing ever arrives on it."""
    gate = request.getfixturevalue(by)(LASER.account)
    own = [*(f"{LASER.base}/{leaf}" for leaf in RECEIVED), wire.collector_status_topic("lyon")]
    assert [gate.subscribe(topic) for topic in own] == ["Granted QoS 1"] * len(own)
    others = [
        "#",
        "+/#",
        f"{LASER.base}/#",
        f"{LASER.base}/+",
        f"{LASER.base}/ack/1",
        "a/b",
        "/",
        "$SYS/#",
        "$SYS/broker",
    ]
    shared = [f"$share/x/{LASER.base}/ack", "$share/x/#"]
    assert [gate.subscribe(topic) for topic in (*others, *shared)] == ["Not authorized"] * len([*others, *shared])


@pytest.mark.skipif(PLUGIN is None, reason="this Mosquitto comes without its plugin dynamic security")
def test_a_gate_is_added_by_a_restart_or_a_reload_but_only_a_restart_limits_its_subscriptions(broker, connect):
    new = wire.GateTopics("lyon", "new")
    subprocess.run(["mosquitto_passwd", "-b", broker.password_file, new.account, f"{new.account}'s secret"], check=True)
    broker.process.send_signal(signal.SIGHUP)
    wait(lambda: connect(new.account).greeting == "Success", "the broker to read its accounts again")
    assert connect(new.account).subscribe(f"{new.base}/ack") == "Granted QoS 1"
    assert connect(LASER.account).subscribe("#") == "Not authorized"
    broker.stop()
    limit_subscriptions(broker)
    broker.start()
    assert connect(new.account).subscribe(f"{new.base}/ack") == "Granted QoS 1"
    assert connect(new.account).subscribe("#") == "Not authorized"


@pytest.mark.parametrize(
    ("accounts", "names"),
    [
        ("", []),
        ("lyon/collector:$7$x\n", []),
        ("lyon/collector:$7$x\nlyon/saw:$7$y\nparis/saw-2:$7$z\n", ["lyon/saw", "paris/saw-2"]),
        ('other:$7$x\n"lyon"/a:$7$y\nlyon/b/c:$7$z\n\n', []),
    ],
)
def test_only_accounts_of_gates_are_limited(tmp_path, accounts, names):
    (tmp_path / "passwd").write_text(accounts)
    made = subprocess.run([SYSTEMD / "limit-subscriptions", tmp_path / "passwd"], check=True, capture_output=True)
    assert [client["username"] for client in json.loads(made.stdout)["clients"]] == names


def test_the_collector_cannot_publish_as_a_gate(connect):
    collector = connect(COLLECTOR)
    for leaf in PUBLISHED:
        assert collector.publish(f"{LASER.base}/{leaf}") == "Not authorized"


# --- who may connect --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("account", "password"),
    [(None, None), (LASER.account, "wrong"), (LASER.account, None), ("lyon/nobody", "x"), (LASER.account.upper(), "")],
    ids=["anonymous", "wrong password", "no password", "unknown", "in capitals"],
)
def test_the_broker_refuses_a_connection_without_the_right_password(connect, account, password):
    assert connect(account, password).greeting == "Not authorized"


def test_the_broker_accepts_tls_only(broker):
    greetings: list[object] = []
    plain = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    plain.on_connect = lambda *found: greetings.append(found)
    plain.connect("127.0.0.1", broker.port)
    while plain.loop(timeout=HANGS_S) == paho.MQTT_ERR_SUCCESS:
        pass
    assert greetings == []


def test_it_refuses_tls_older_than_1_3(broker, authority):
    old = tls_context(authority)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(("127.0.0.1", broker.port)) as raw, pytest.raises(ssl.SSLError, match="VERSION"):
        old.wrap_socket(raw)


def test_the_brokers_certificate_is_valid_for_its_names_only(broker, authority):
    context = ssl.create_default_context(cafile=str(authority / "ca.crt"))
    context.verify_flags |= ssl.VERIFY_X509_STRICT  # the default from Python 3.13 on
    for port, name in ((broker.port, "collector.lan"), (broker.collector_port, "localhost")):
        with (
            socket.create_connection(("127.0.0.1", port)) as raw,
            context.wrap_socket(raw, server_hostname=name) as found,
        ):
            assert found.version() == "TLSv1.3"
    with (
        socket.create_connection(("127.0.0.1", broker.port)) as raw,
        pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"),
    ):
        context.wrap_socket(raw, server_hostname="other.lan")
    with (
        socket.create_connection(("127.0.0.1", broker.port)) as raw,
        pytest.raises(ssl.SSLCertVerificationError, match="verify failed"),
    ):
        ssl.create_default_context().wrap_socket(raw, server_hostname="collector.lan")


# --- certificates instead of passwords --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(authority):
    """Make a gate's certificate as mosquitto.conf requires: its common name is the account."""

    def made(account: str, *, by: Path = authority) -> tuple[Path, Path]:
        stem = authority / f"{account.replace('/', '-')}-{by.name}"
        names = {"-keyout": f"{stem}.key", "-out": f"{stem}.crt", "-CA": by / "ca.crt", "-CAkey": by / "ca.key"}
        # "/" separates the parts of a subject: a "/" in a name is written "\/".
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        subject = ["-subj", "/CN=" + account.replace("/", r"\/"), "-extensions", "usr_cert"]
        arguments = [str(part) for pair in names.items() for part in pair]
        subprocess.run([*command, *arguments, *subject], check=True, capture_output=True)
        return Path(f"{stem}.crt"), Path(f"{stem}.key")

    return made


@pytest.fixture
def connect_certified(broker, authority, certificate):
    with contextlib.ExitStack() as stack:

        def connected(account: str, **options) -> Client:
            context = tls_context(authority)
            context.load_cert_chain(*certificate(account))
            client = Client(broker.certificate_port, context, None, None, **options)
            stack.callback(client.close)
            return client

        yield connected


def test_a_gates_certificate_determines_its_account(connect_certified, connect):
    gate, collector = connect_certified(LASER.account), connect(COLLECTOR)
    collector.subscribe(f"{LASER.base}/event/#")
    assert gate.publish(f"{LASER.base}/event/session/ended") == "Success"
    assert collector.next_message() == (f"{LASER.base}/event/session/ended", b"{}")
    assert gate.publish(f"{SAW.base}/state") == "Not authorized"


@pytest.mark.parametrize("by", ["connect", "connect_certified"])
def test_a_gate_cannot_disconnect_another_by_taking_its_client_id(request, by):
    connect = request.getfixturevalue(by)
    saw = connect(SAW.account, client_id="lyon-saw")
    laser = connect(LASER.account, client_id="lyon-saw")
    assert laser.publish(f"{LASER.base}/state") == "Success"
    assert saw.publish(f"{SAW.base}/state") == "Success"
    assert not saw.lost.is_set()


@pytest.mark.parametrize("by", ["connect", "connect_certified"])
def test_a_gate_has_one_session_whatever_client_ids_it_uses(request, by):
    connect = request.getfixturevalue(by)
    first = connect(LASER.account, client_id="one")
    second = connect(LASER.account, client_id="two")
    assert first.lost.wait(HANGS_S)
    assert second.publish(f"{LASER.base}/state") == "Success"


def test_the_collectors_programs_connect_at_the_same_time(connect):
    ingest, command = connect(COLLECTOR, client_id="ingest"), connect(COLLECTOR, client_id="command")
    assert command.publish(f"{LASER.base}/command") == "Success"
    assert ingest.publish(f"{LASER.base}/ack") == "Success"
    assert not ingest.lost.is_set()


@pytest.mark.parametrize("kind", ["none", "of a stranger"])
def test_the_broker_refuses_a_client_without_a_certificate_of_the_workshop(
    broker, authority, certificate, tmp_path, kind
):
    context = tls_context(authority)
    if kind == "of a stranger":
        command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=x -keyout ca.key -out ca.crt"
        subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
        context.load_cert_chain(*certificate(LASER.account, by=tmp_path))
    # In TLS 1.3 the refusal arrives only after the handshake, with the first read.
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    greetings: list[object] = []
    client.on_connect = lambda *found: greetings.append(found)
    client.tls_set_context(context)
    with contextlib.suppress(OSError):
        client.connect("127.0.0.1", broker.certificate_port)
        while client.loop(timeout=HANGS_S) == paho.MQTT_ERR_SUCCESS:
            pass
    assert greetings == []


# --- sizes and numbers ------------------------------------------------------------------------------------------------


def test_a_message_of_64_kib_passes_and_one_byte_more_does_not(connect):
    collector, gate = connect(COLLECTOR), connect(LASER.account)
    collector.subscribe(f"{LASER.base}/event/#")
    topic = f"{LASER.base}/event/session/ended"
    assert gate.publish(topic, bytes(wire.MAX_MESSAGE_BYTES)) == "Success"
    assert collector.next_message() == (topic, bytes(wire.MAX_MESSAGE_BYTES))
    gate.paho.publish(topic, bytes(wire.MAX_MESSAGE_BYTES + 1), qos=1)
    connect(SAW.account)
    again = connect(LASER.account)
    assert again.publish(topic, b"next") == "Success"
    assert collector.next_message() == (topic, b"next")


def test_a_packet_is_not_read_if_it_is_larger_than_any_message(connect):
    gate = connect(LASER.account)
    gate.paho.socket().sendall(b"\x30\xff\xff\xff\x7f")  # the beginning of a PUBLISH of 256 MB
    assert gate.lost.wait(HANGS_S)


def message(topic: str, remaining: int, **more: object) -> tuple[str, bytes, Properties]:
    """Return a message whose packet has this remaining length (MQTT 5, 2.1.4), filled up with a user property."""
    properties = Properties(PacketTypes.PUBLISH)
    for name, value in more.items():
        setattr(properties, name, value)
    payload = bytes(wire.MAX_MESSAGE_BYTES - 1_000)
    # The lengths of topic, message id, properties (3 bytes; 1 as long as there are few), and the property's own 6 bytes.
    used = 2 + len(topic.encode()) + 2 + 3 + len(properties.pack()) - 1 + 6 + len(payload)
    properties.UserProperty = ("x", "y" * (remaining - used))
    return topic, payload, properties


#: What makes a packet larger on its way through the broker, or might: a topic in full in place of its alias, a message's
#: expiry, and the identifier of the subscription.
GROWTH = {
    "nothing": ({}, None),
    "an expiry": ({"MessageExpiryInterval": 3_600}, None),
    "an alias": ({"TopicAlias": 1}, None),
    "an identifier": ({}, 268_435_455),
    "all": ({"TopicAlias": 1, "MessageExpiryInterval": 3_600}, 268_435_455),
}


@pytest.mark.parametrize("growth", GROWTH)
def test_our_clients_receive_a_packet_of_each_size_that_the_broker_takes(connect, growth):
    """Mosquitto drops what a client does not take, and never frees its place among the 1,000 unconfirmed messages."""
    properties, identifier = GROWTH[growth]
    collector = connect(COLLECTOR, packet_bytes=MAX_PACKET_BYTES)
    topic = LONG.event("fabgate.roster.rejected.v1")
    wanted = Properties(PacketTypes.SUBSCRIBE)
    if identifier:
        wanted.SubscriptionIdentifier = identifier
    collector.paho.subscribe(f"{LONG.base}/event/#", qos=1, properties=wanted)
    collector._answers.get(timeout=HANGS_S)
    gate = connect(LONG.account)
    if "TopicAlias" in properties:
        name, payload, first = message(topic, 68_000, TopicAlias=1)
        gate.paho.publish(name, payload, qos=1, properties=first)
        gate._answers.get(timeout=HANGS_S)
        collector.next_message()
    taken = []
    for remaining in range(BROKER_PACKET_BYTES - 300, BROKER_PACKET_BYTES + 10):
        if remaining < BROKER_PACKET_BYTES - 20 and remaining % 7:
            continue
        name, payload, found = message("" if "TopicAlias" in properties else topic, remaining, **properties)
        gate.paho.publish(name, payload, qos=1, properties=found)
        wait(lambda: gate.lost.is_set() or not gate._answers.empty(), "the broker's answer")
        if gate.lost.is_set():
            break
        assert not gate._answers.get().is_failure
        taken.append(remaining)
        received = collector.next_message()
        assert received is not None, f"a packet with {remaining} bytes did not arrive"
        assert received[0] == topic
    assert taken[-1] == BROKER_PACKET_BYTES, "Mosquitto 2.0 counts what follows the header"
    assert gate.lost.is_set()


def test_a_gates_largest_packets_keep_no_message_of_another_gate_back(connect):
    """The attack, in full: more packets of the largest size than may be unconfirmed. It silenced a workshop in 1.4 s."""
    collector = connect(COLLECTOR, packet_bytes=MAX_PACKET_BYTES)
    collector.subscribe("fabgate/v1/lyon/+/event/#")
    gate, saw = connect(LASER.account), connect(SAW.account)
    name, payload, properties = message(f"{LASER.base}/event/session/ended", BROKER_PACKET_BYTES)
    for _ in range(1_100):
        gate.paho.publish(name, payload, qos=1, properties=properties)
    for _ in range(1_100):
        assert not gate._answers.get(timeout=HANGS_S).is_failure
    assert saw.publish(f"{SAW.base}/event/session/ended", b"heard") == "Success"
    while (received := collector.next_message()) is not None and received[1] != b"heard":
        pass
    assert received == (f"{SAW.base}/event/session/ended", b"heard")


@pytest.mark.parametrize("by", ["connect", "connect_certified"])
def test_a_gate_may_use_qos_1_at_most(request, by):
    assert request.getfixturevalue(by)(LASER.account).limits.MaximumQoS == 1


def test_the_broker_sends_hundreds_of_messages_before_the_collector_confirms_one(connect):
    collector = connect(COLLECTOR, manual_ack=True)
    gate = connect(LASER.account)
    collector.subscribe(f"{LASER.base}/event/#")
    for number in range(wire.ACK_WINDOW):
        assert gate.publish(f"{LASER.base}/event/session/ended", str(number).encode()) == "Success"
    assert [collector.next_message()[1] for _ in range(wire.ACK_WINDOW)] == [b"%d" % n for n in range(wire.ACK_WINDOW)]


def test_the_measured_settings_are_in_the_configuration():
    lines = (CONFIG / "mosquitto.conf").read_text().splitlines()
    assert "set_tcp_nodelay true" in lines
    assert f"message_size_limit {wire.MAX_MESSAGE_BYTES}" in lines
    assert f"max_packet_size {BROKER_PACKET_BYTES}" in lines
    # A topic of 64 KiB may take the place of an alias, and a subscription's identifier of 5 bytes be added.
    assert MAX_PACKET_BYTES > BROKER_PACKET_BYTES + 65_535 + 5 + 5
    assert f"max_queued_bytes {inbox.MAX_BYTES}" in lines
    assert "allow_anonymous false" in lines


def test_the_access_list_grants_each_topic_of_a_gate_separately():
    rules = [line for line in (CONFIG / "mosquitto.acl").read_text().splitlines() if line and line[0] != "#"]
    patterns = {line for line in rules if line.startswith("pattern")}
    # The gate's own topics (fabgate/wire/topics.py), and the status that names the collector to obey.
    assert patterns == {
        *(f"pattern write fabgate/v1/%u/{leaf}" for leaf in ("status", "state", "reply")),
        *(f"pattern write fabgate/v1/%u/event/{name.replace('.', '/')}" for name in wire.ENTRY_TYPES),
        *(f"pattern read fabgate/v1/%u/{leaf}" for leaf in RECEIVED),
        "pattern read fabgate/v1/+/collector/status",
    }


def test_the_broker_keeps_retained_messages_when_it_is_restarted(broker, authority):
    assert broker.acl_file.stat().st_mode & 0o077 == 0  # Mosquitto warns if others can read it
    gate = Client(broker.port, tls_context(authority), LASER.account, f"{LASER.account}'s secret")
    gate.publish(f"{LASER.base}/status", b"kept", retain=True)
    gate.close()
    broker.stop()
    broker.start()
    collector = Client(broker.collector_port, tls_context(authority), COLLECTOR, f"{COLLECTOR}'s secret")
    collector.subscribe(f"{LASER.base}/status")
    assert collector.next_message() == (f"{LASER.base}/status", b"kept")
    collector.close()
