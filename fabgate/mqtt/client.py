"""Makes and connects the paho clients of gate and collector.

Every client uses MQTT 5, and every socket gets the options below. ``driver`` runs the client afterwards.
"""

from __future__ import annotations

import contextlib
import hmac
import socket
import ssl
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from fabgate import wire
from fabgate.mqtt import certificates
from fabgate.mqtt.properties import read_quickly

#: How long one attempt to reach the broker's computer lasts. Linux repeats an unanswered first packet after 1, 3 and 7 s,
#: so a new attempt comes sooner than the next repetition.
REACH_S: Final = 4.0
#: The limit with TLS, which includes the handshake: it is slow when all gates connect at the same time.
HANDSHAKE_S: Final = 10.0
KEEPALIVE_S: Final = 30
#: The largest packet that the broker of config/mosquitto.conf takes (``max_packet_size``): the largest message, its topic and
#: its properties. It reads a packet to its end before it serves another client.
BROKER_PACKET_BYTES: Final = wire.MAX_MESSAGE_BYTES + 4 * 1024
#: The largest packet that the broker may send (MQTT 5, 3.1.2.11.4). Mosquitto drops a larger one and never frees its place
#: among the messages that may await a confirmation: after ``max_inflight_messages`` of them it sends nothing more. So this is
#: above what any client can make of a packet that the broker takes. Mosquitto 2.0 does not count the header, and
#: where the packet has a topic alias, the message leaves with its topic in full, of up to 64 KiB
#: (docs/decisions/0120). It is a limit only so that with another broker no packet of 256 MB reaches our memory.
MAX_PACKET_BYTES: Final = 2 * BROKER_PACKET_BYTES
#: How the kernel finds a dead connection: after 3 s of silence it sends a probe every 2 s, and ends the connection
#: after 8 s without an answer. MQTT's pings need up to a minute, and until then a message of the broker waits for TCP's
#: next try, which takes about as long as the network was away (measured: a lock arrived 28 s late after 30 s).
DEAD_LINE: Final = {"TCP_KEEPIDLE": 3, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 8_000}


def new_client(client_id: str, tls: ssl.SSLContext | None = None, *, is_local: bool = False) -> paho.Client:
    """Return a client that is not connected yet; `tls` is None for a broker without TLS.

    One that `is_local` connects to a socket of this computer: its path takes the place of the host.
    """
    read_quickly()
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        protocol=MQTTProtocolVersion.MQTTv5,
        transport="unix" if is_local else "tcp",
    )
    client.connect_timeout = REACH_S if tls is None else HANDSHAKE_S
    if tls is not None:
        client.tls_set_context(tls)
    if is_local:
        own: Any = client
        own._create_unix_socket_connection = partial(_open_local, client)  # noqa: SLF001 - paho's leaves failed ones open
    else:
        client.on_socket_open = _set_options
    return client


def secret_client_id(key: bytes, name: str) -> str:
    """Return a client id that only a holder of `key` can make, the same at each start.

    A client that connects with the id of another one disconnects it. If the id consisted of public names only, any
    account could do that.
    """
    return "fabgate-" + hmac.new(key, f"mqtt client {name}".encode(), "sha256").hexdigest()[:32]


def connect(
    client: paho.Client, host: str, port: int, *, keep_session_s: int = 0, forget_session: bool = False
) -> None:
    """Open the connection and queue CONNECT, which the client's driver then sends. Blocks for at most REACH_S.

    For `keep_session_s` seconds after a disconnection the broker keeps subscriptions and messages for this client; with 0
    each connection begins empty, and with `forget_session` this one does. Raises OSError or ValueError when the broker cannot
    be reached.
    """
    properties = new_properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = keep_session_s
    properties.MaximumPacketSize = MAX_PACKET_BYTES
    client.connect(host, port, KEEPALIVE_S, clean_start=forget_session or not keep_session_s, properties=properties)


def certificate_ends(client: paho.Client) -> datetime | None:
    """Return when the certificate of the broker that `client` is connected to ends; None without TLS."""
    sock = client.socket()
    if not isinstance(sock, ssl.SSLSocket):
        return None
    ends = (sock.getpeercert() or {}).get("notAfter")
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC) if isinstance(ends, str) else None


def certificate_trouble(error: Exception) -> str:
    """Return what is wrong with the dates of the broker's certificate, and what to do; "" for any other error."""
    return certificates.trouble(error, "broker's")


def described(error: Exception) -> str:
    """Return in words why the connection failed."""
    return certificate_trouble(error) or f"{type(error).__name__}: {error}"


def new_properties(packet_type: int) -> Any:
    """Return empty properties for one type of packet (see PacketTypes)."""
    return Properties(packet_type)  # type: ignore[no-untyped-call]  # paho types this class only in part


def acknowledge_quickly(sock: Any) -> None:
    """Let the kernel acknowledge the next packet at once. The kernel resets this, so it is repeated for every message."""
    with contextlib.suppress(OSError, AttributeError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def _open_local(client: paho.Client) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.connect(client.host)
    except BaseException:
        sock.close()
        raise
    return sock


def _set_options(_client: Any, _userdata: Any, sock: Any) -> None:
    # Nagle's algorithm together with delayed acknowledgements costs 40 ms a message.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in DEAD_LINE.items():
        if hasattr(socket, name):  # Linux has all of these options
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    acknowledge_quickly(sock)
