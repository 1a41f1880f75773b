"""Checks network, collector, broker, and who can come in.

While the gate runs its account is not used: the broker would end the gate's own connection.
"""

from __future__ import annotations

import ssl
from typing import Final
from urllib.parse import urlsplit

from fabgate import wire
from fabgate.doctor import computer
from fabgate.doctor.finding import Finding, fail, not_checked, ok
from fabgate.errors import FabgateError
from fabgate.gate.config.authorities import Authorities, tls_context
from fabgate.gate.config.keys import gate_keys
from fabgate.gate.config.network import TLS_PORT
from fabgate.gate.doctor import service
from fabgate.gate.doctor.facts import Facts
from fabgate.gate.uplink.network import client_id
from fabgate.mqtt.client import described, new_client
from fabgate.mqtt.rights import Rights, try_rights

#: No gate has this name (fabgate/wire/topics.py), so no one receives what is published to it.
_NOBODY: Final = "roster"


def network(facts: Facts) -> Finding:
    """Check that a network interface is up."""
    states = {path.parent.name: path.read_text().strip() for path in facts.system.found("/sys/class/net/*/operstate")}
    states.pop("lo", None)
    if not states:
        return not_checked("network", "this computer shows no network interface")
    up = [name for name, state in states.items() if state in ("up", "unknown")]
    if up:
        return ok("network", f"connected by {', '.join(up)}")
    return fail(
        "network",
        f"no connection: {', '.join(f'{name} ({state})' for name, state in states.items())}",
        "check the cable or the Wi-Fi, for example with 'nmcli device' and 'ip address'",
    )


def collector(facts: Facts) -> Finding:
    """Check that the collector can be reached, and its certificate."""
    url = facts.config.roster.url
    if url is None:
        return not_checked("collector", "this gate has a members file and no collector")
    parts = urlsplit(url)
    is_tls = parts.scheme == "https"
    host, port = parts.hostname or "", parts.port or (443 if is_tls else 80)
    return computer.reached("collector", host, port, _context(facts) if is_tls else None, "collector's", facts.now)


def broker(facts: Facts) -> Finding:
    """Check that the broker can be reached, and its certificate."""
    mqtt = facts.config.mqtt
    if mqtt is None:
        return not_checked("broker", "this gate has no broker; its journal stays here")
    if facts.runs and (found := service.running_broker(facts.status)).next_step:
        return found
    tls = _tls(facts)
    return computer.reached("broker", mqtt.host, mqtt.port, tls, "broker's", facts.now)


def broker_rights(facts: Facts) -> Finding:
    """Try what the broker lets the account of a stopped gate do."""
    mqtt, name = facts.config.mqtt, "broker-rights"
    if mqtt is None:
        return not_checked(name, "this gate has no broker")
    if facts.runs:
        return not_checked(
            name,
            "the gate runs, and a second connection of its account would end the gate's connection",
            "to try the connection, stop the gate first",
        )
    topics = facts.config.topics
    published = {topics.topic(leaf): True for leaf in ("status", "state", "reply")}
    published |= {topics.topic(leaf): False for leaf in ("ack", "command")}
    published[wire.GateTopics(topics.site, _NOBODY).topic("ack")] = False
    subscribed = {topics.topic(leaf): True for leaf in ("ack", "command", "roster")}
    subscribed |= {wire.collector_status_topic(topics.site): True, wire.collector_subscriptions(topics.site)[0]: False}
    try:
        rights = _try_rights(facts, published, subscribed)
    except OSError as error:
        return not_checked(name, described(error))
    except FabgateError as error:
        return fail(
            name, str(error), "check mqtt.username and mqtt.password_file; on the broker, see journalctl -u mosquitto"
        )
    return service.broker_rights(rights, published, subscribed)


def _try_rights(facts: Facts, published: dict[str, bool], subscribed: dict[str, bool]) -> Rights:
    mqtt = facts.config.mqtt
    assert mqtt is not None
    client = new_client(client_id(facts.config.topics.account, gate_keys(facts.config)), _tls(facts))
    if mqtt.username is not None:
        password = None if mqtt.password_file is None else mqtt.password_file.read_text("utf-8").strip()
        client.username_pw_set(mqtt.username, password)
    return try_rights(client, mqtt.host, mqtt.port, publish=published, subscribe=subscribed)


def _tls(facts: Facts) -> ssl.SSLContext | None:
    tls = facts.config.mqtt.tls if facts.config.mqtt else None
    if tls is None:
        return None
    return tls_context(tls, Authorities(facts.config).file(tls.ca))


def certificate(facts: Facts) -> Finding:
    """Check the gate's own certificate."""
    tls = facts.config.mqtt.tls if facts.config.mqtt else None
    if tls is None or tls.cert is None:
        return not_checked("certificate", "this gate has no certificate of its own")
    return computer.own_certificate(tls.cert, tls.key, facts.now, "gate's own")


def default_user(facts: Facts) -> Finding:
    """Check for the account pi with its well-known password."""
    return computer.default_user_of(facts.system)


def open_ports(facts: Facts) -> Finding:
    """Check which ports other computers can reach. Those of a collector belong here if its units are installed."""
    expected = {22: "SSH"}
    todo = "a gate needs the port of SSH only: ss -ltnp shows the program; stop it with systemctl disable --now"
    if facts.system.path("/etc/systemd/system/fabgate-collector.target").exists():
        expected |= {80: "http", 443: "https", TLS_PORT: "broker"}
        todo = "ss -ltnp shows the program; fabgate-collector doctor says which ports a collector needs"
    return computer.ports(facts.system.listening(), expected, todo=todo)


def _context(facts: Facts) -> ssl.SSLContext:
    ca = facts.config.roster.ca
    return ssl.create_default_context(cafile=None if ca is None else str(Authorities(facts.config).file(ca)))
