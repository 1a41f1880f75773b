"""Does a real Mosquitto with the configuration, the access list and the certificates that we ship do what they say?"""

from __future__ import annotations

import contextlib
import re
import shutil
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

from fabgate import wire
from fabgate.demo.ports import free_port
from tests.deploy.places import CONFIG, DOCS, blocks
from tests.support.mosquitto import MOSQUITTO, Mosquitto
from tests.support.patience import HANGS_S

pytestmark = [
    pytest.mark.broker,
    pytest.mark.skipif(not Path(MOSQUITTO).exists(), reason="Mosquitto is not installed here (Debian: mosquitto)"),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed here"),
]

LASER, SAW = wire.GateTopics("lyon", "laser-1"), wire.GateTopics("lyon", "saw")
COLLECTOR = "lyon/collector"
#: What a gate says, and what is said to it.
SAYS = ("event/session/ended", "status", "state", "reply")
HEARS = ("ack", "command", "roster")


@dataclass
class Shipped(Mosquitto):
    """Our own mosquitto.conf, with its paths and ports moved to where a test may be."""

    certificates: Path = Path()
    certificate_port: int = field(default_factory=free_port)

    def config(self) -> str:
        # Lines that begin with "#" and no blank are settings: here both listeners are on.
        text = re.sub(r"^#(?=\S)", "", (CONFIG / "mosquitto.conf").read_text(), flags=re.MULTILINE)
        for shipped, here in (
            ("listener 8883", f"listener {self.port} 127.0.0.1"),
            ("listener 8884", f"listener {self.certificate_port} 127.0.0.1"),
            ("persistence_location /var/lib/mosquitto/", f"persistence_location {self.directory}/"),
            ("log_dest stderr", f"log_dest file {self.log}"),
            ("/etc/mosquitto/certs", str(self.certificates)),
            ("/etc/mosquitto/fabgate.passwd", str(self.password_file)),
            ("/etc/mosquitto/fabgate.acl", str(self.acl_file)),
        ):
            assert shipped in text
            text = text.replace(shipped, here)
        return f"user root\n{text}"


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Path:
    """The workshop's authority and the broker's certificate, made by the commands of docs/install.md."""
    home = tmp_path_factory.mktemp("authority")
    commands = next(block for block in blocks(DOCS / "install.md", "sh") if "-CA ca.crt" in block)
    script = commands.replace("/root/fabgate-ca", str(home))
    subprocess.run(["sh", "-e"], input=script, text=True, check=True, capture_output=True)
    return home


@pytest.fixture(scope="module")
def broker(tmp_path_factory, authority) -> Iterator[Shipped]:
    home = tmp_path_factory.mktemp("broker")
    passwords = home / "passwd"
    passwords.touch(0o600)
    for account in (LASER.account, SAW.account, COLLECTOR):
        subprocess.run(["mosquitto_passwd", "-b", passwords, account, f"{account}'s secret"], check=True)
    acl = home / "acl"
    shutil.copy(CONFIG / "mosquitto.acl", acl)
    found = Shipped(home, password_file=passwords, acl_file=acl, certificates=authority)
    found.start()
    yield found
    found.stop()


def trusting(authority: Path) -> ssl.SSLContext:
    """As fabgate.gate.uplink.connection makes it; the name in the certificate is looked at by a test of its own."""
    context = ssl.create_default_context(cafile=str(authority / "ca.crt"))
    context.check_hostname = False
    return context


class Client:
    """One connection that remembers what it was told."""

    def __init__(
        self, port: int, context: ssl.SSLContext, account: str | None, password: str | None, **options
    ) -> None:
        self.heard: SimpleQueue[tuple[str, bytes]] = SimpleQueue()
        self._answers: SimpleQueue[Any] = SimpleQueue()
        self.lost = threading.Event()
        self.paho = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5, **options)
        self.paho.tls_set_context(context)
        if account is not None:
            self.paho.username_pw_set(account, password)
        self.paho.on_connect = lambda _c, _u, _f, reason, _p: self._answers.put(reason)
        self.paho.on_publish = lambda _c, _u, _m, reason, _p: self._answers.put(reason)
        self.paho.on_subscribe = lambda _c, _u, _m, reasons, _p: self._answers.put(reasons[0])
        self.paho.on_message = lambda _c, _u, message: self.heard.put((message.topic, message.payload))
        self.paho.on_disconnect = lambda *_: self.lost.set()
        self.paho.connect("127.0.0.1", port)
        self.paho.loop_start()
        self.greeting = str(self._answers.get(timeout=HANGS_S))

    def publish(self, topic: str, payload: bytes = b"{}", *, retain: bool = False) -> str:
        """Publish with QoS 1; return why the broker refuses, or "Success"."""
        self.paho.publish(topic, payload, qos=1, retain=retain)
        reason = self._answers.get(timeout=HANGS_S)
        return str(reason) if reason.is_failure else "Success"  # success, too, is that nobody listens

    def subscribe(self, topic: str) -> None:
        self.paho.subscribe(topic, qos=1)
        self._answers.get(timeout=HANGS_S)

    def hears(self) -> tuple[str, bytes] | None:
        try:
            return self.heard.get(timeout=HANGS_S)
        except Empty:
            return None

    def close(self) -> None:
        self.paho.disconnect()
        self.paho.loop_stop()


@pytest.fixture
def connect(broker, authority):
    """Connect as an account; by its password unless told otherwise."""
    with contextlib.ExitStack() as stack:

        def connected(account: str | None, password: str | None = "", **options) -> Client:
            secret = f"{account}'s secret" if password == "" else password
            client = Client(broker.port, trusting(authority), account, secret, **options)
            stack.callback(client.close)
            return client

        yield connected


# --- what a gate may do -----------------------------------------------------------------------------------------------


def test_a_gate_says_its_events_status_state_and_replies_and_the_collector_hears_them(connect):
    collector, gate = connect(COLLECTOR), connect(LASER.account)
    for topic in wire.collector_subscriptions("lyon"):
        collector.subscribe(topic)
    for leaf in SAYS:
        assert gate.publish(f"{LASER.base}/{leaf}") == "Success"
        assert collector.hears() == (f"{LASER.base}/{leaf}", b"{}")


def test_the_collector_says_acks_commands_and_rosters_and_the_gate_hears_them(connect):
    collector, gate = connect(COLLECTOR), connect(LASER.account)
    for leaf in HEARS:
        gate.subscribe(f"{LASER.base}/{leaf}")
        assert collector.publish(f"{LASER.base}/{leaf}") == "Success"
        assert gate.hears() == (f"{LASER.base}/{leaf}", b"{}")


def test_a_gate_learns_from_the_collectors_status_whose_acks_count(connect):
    collector, gate = connect(COLLECTOR), connect(LASER.account)
    gate.subscribe(wire.collector_status_topic("lyon"))
    assert collector.publish(wire.collector_status_topic("lyon")) == "Success"
    assert gate.hears() == (wire.collector_status_topic("lyon"), b"{}")


# --- what it may not --------------------------------------------------------------------------------------------------

FORBIDDEN = [
    *(f"{SAW.base}/{leaf}" for leaf in (*SAYS, *HEARS)),
    *(f"{LASER.base}/{leaf}" for leaf in HEARS),
    f"{LASER.base}/anything",
    LASER.base,
    wire.collector_status_topic("lyon"),
    "fabgate/v1/paris/laser-1/status",
    "fabgate/v2/lyon/laser-1/status",
    f"/{LASER.base}/status",
    f"{LASER.base}//status",
    "$SYS/broker/version",
]


@pytest.mark.parametrize("topic", FORBIDDEN)
def test_a_gate_cannot_speak_as_its_neighbour_nor_acknowledge_or_command_itself(connect, topic):
    listener, gate = connect(COLLECTOR), connect(LASER.account)
    neighbour = connect(SAW.account)
    for heard in wire.collector_subscriptions("lyon"):
        listener.subscribe(heard)
    for client, base in ((neighbour, SAW.base), (gate, LASER.base)):
        client.subscribe(f"{base}/#")
    assert gate.publish(topic, b"forged") == "Not authorized"
    # What comes next is the first thing that anybody hears: the forged message reached nobody.
    neighbour.publish(f"{SAW.base}/state", b"true")
    listener.publish(f"{SAW.base}/ack", b"true")
    listener.publish(f"{LASER.base}/ack", b"true")
    assert listener.hears() == (f"{SAW.base}/state", b"true")
    assert neighbour.hears() == (f"{SAW.base}/ack", b"true")
    assert gate.hears() == (f"{LASER.base}/ack", b"true")


@pytest.mark.parametrize("wanted", ["#", "fabgate/v1/lyon/+/#", f"{SAW.base}/#", f"{SAW.base}/command", "$SYS/#"])
def test_a_gate_reads_nothing_of_its_neighbour_whatever_it_subscribes_to(connect, wanted):
    collector, gate, neighbour = connect(COLLECTOR), connect(LASER.account), connect(SAW.account)
    gate.subscribe(wanted)
    gate.subscribe(f"{LASER.base}/roster")
    assert gate.heard.empty()
    for leaf in HEARS:
        assert collector.publish(f"{SAW.base}/{leaf}", b"private") == "Success"
    for leaf in SAYS:
        assert neighbour.publish(f"{SAW.base}/{leaf}", b"private") == "Success"
    collector.publish(f"{LASER.base}/roster", b"mine")
    assert gate.hears() == (f"{LASER.base}/roster", b"mine")


def test_the_collector_cannot_speak_as_a_gate(connect):
    collector = connect(COLLECTOR)
    for leaf in SAYS:
        assert collector.publish(f"{LASER.base}/{leaf}") == "Not authorized"


# --- who comes in -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("account", "password"),
    [(None, None), (LASER.account, "wrong"), (LASER.account, None), ("lyon/nobody", "x"), (LASER.account.upper(), "")],
    ids=["anonymous", "wrong password", "no password", "unknown", "in capitals"],
)
def test_nobody_comes_in_without_the_right_password(connect, account, password):
    assert connect(account, password).greeting == "Not authorized"


def test_the_broker_speaks_tls_only(broker):
    greetings: list[object] = []
    plain = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    plain.on_connect = lambda *found: greetings.append(found)
    plain.connect("127.0.0.1", broker.port)
    while plain.loop(timeout=HANGS_S) == paho.MQTT_ERR_SUCCESS:
        pass
    assert greetings == []


def test_it_refuses_tls_older_than_1_3(broker, authority):
    old = trusting(authority)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(("127.0.0.1", broker.port)) as raw, pytest.raises(ssl.SSLError, match="VERSION"):
        old.wrap_socket(raw)


def test_its_certificate_holds_for_its_name_and_for_no_other(broker, authority):
    context = ssl.create_default_context(cafile=str(authority / "ca.crt"))
    context.verify_flags |= ssl.VERIFY_X509_STRICT  # the default from Python 3.13 on
    with (
        socket.create_connection(("127.0.0.1", broker.port)) as raw,
        context.wrap_socket(raw, server_hostname="collector.lan") as found,
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
    """Make a gate's certificate as the comment in mosquitto.conf wants it: the account is its common name."""

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
            context = trusting(authority)
            context.load_cert_chain(*certificate(account))
            client = Client(broker.certificate_port, context, None, None, **options)
            stack.callback(client.close)
            return client

        yield connected


def test_a_gates_certificate_is_its_account(connect_certified, connect):
    gate, collector = connect_certified(LASER.account), connect(COLLECTOR)
    collector.subscribe(f"{LASER.base}/event/#")
    assert gate.publish(f"{LASER.base}/event/session/ended") == "Success"
    assert collector.hears() == (f"{LASER.base}/event/session/ended", b"{}")
    assert gate.publish(f"{SAW.base}/state") == "Not authorized"


def test_a_gate_with_a_certificate_cannot_throw_another_out_by_calling_itself_like_it(connect_certified):
    saw = connect_certified(SAW.account, client_id="lyon-saw")
    laser = connect_certified(LASER.account, client_id="lyon-saw")
    assert laser.publish(f"{LASER.base}/state") == "Success"
    assert saw.publish(f"{SAW.base}/state") == "Success"
    assert not saw.lost.is_set()


@pytest.mark.parametrize("kind", ["none", "of a stranger"])
def test_without_a_certificate_of_the_workshop_nobody_comes_in(broker, authority, certificate, tmp_path, kind):
    context = trusting(authority)
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


def test_64_kib_pass_and_a_byte_more_does_not(connect):
    collector, gate = connect(COLLECTOR), connect(LASER.account)
    collector.subscribe(f"{LASER.base}/event/#")
    topic = f"{LASER.base}/event/x"
    assert gate.publish(topic, bytes(wire.MAX_MESSAGE_BYTES)) == "Success"
    assert collector.hears() == (topic, bytes(wire.MAX_MESSAGE_BYTES))
    gate.paho.publish(topic, bytes(wire.MAX_MESSAGE_BYTES + 1), qos=1)
    connect(SAW.account)
    again = connect(LASER.account)
    assert again.publish(topic, b"next") == "Success"
    assert collector.hears() == (topic, b"next")


def test_hundreds_of_messages_are_under_way_to_a_collector_that_has_not_confirmed_one(connect):
    collector = connect(COLLECTOR, manual_ack=True)
    gate = connect(LASER.account)
    collector.subscribe(f"{LASER.base}/event/#")
    for number in range(wire.ACK_WINDOW):
        assert gate.publish(f"{LASER.base}/event/x", str(number).encode()) == "Success"
    assert [collector.hears()[1] for _ in range(wire.ACK_WINDOW)] == [b"%d" % n for n in range(wire.ACK_WINDOW)]


def test_the_settings_that_were_measured_are_there():
    lines = (CONFIG / "mosquitto.conf").read_text().splitlines()
    assert "set_tcp_nodelay true" in lines
    assert f"message_size_limit {wire.MAX_MESSAGE_BYTES}" in lines
    assert "allow_anonymous false" in lines


def test_the_access_list_never_lets_a_gate_write_everything_below_its_name():
    rules = [line for line in (CONFIG / "mosquitto.acl").read_text().splitlines() if line and line[0] != "#"]
    patterns = {line for line in rules if line.startswith("pattern")}
    # wire.md, Topics; and whose acks count.
    assert patterns == {
        *(f"pattern write fabgate/v1/%u/{leaf}" for leaf in ("event/#", "status", "state", "reply")),
        *(f"pattern read fabgate/v1/%u/{leaf}" for leaf in HEARS),
        "pattern read fabgate/v1/+/collector/status",
    }


def test_the_broker_forgets_nothing_retained_when_it_is_stopped(broker, authority):
    assert broker.acl_file.stat().st_mode & 0o077 == 0  # Mosquitto warns about readable ones
    gate = Client(broker.port, trusting(authority), LASER.account, f"{LASER.account}'s secret")
    gate.publish(f"{LASER.base}/status", b"kept", retain=True)
    gate.close()
    broker.stop()
    broker.start()
    collector = Client(broker.port, trusting(authority), COLLECTOR, f"{COLLECTOR}'s secret")
    collector.subscribe(f"{LASER.base}/status")
    assert collector.hears() == (f"{LASER.base}/status", b"kept")
    collector.close()
