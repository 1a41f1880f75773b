"""Checks the network settings of gate.yaml: whether they can work, and whether they send a secret in clear text."""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

from fabgate.yaml_reading.yaml_file import Reading

#: The port that is registered for MQTT over TLS (secure-mqtt).
TLS_PORT: Final = 8883
_HOST_NAME: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_.])?")


def check_url(reading: Reading) -> None:
    """Report a collector's URL that is invalid, or that would send the gate's token in clear text."""
    url = reading.values.get("roster.url")
    if url is None:
        return
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # an invalid port raises only here
    except ValueError as error:
        reading.wrong("roster.url", f"found '{url}' ({error}), wanted a URL such as https://collector.lan")
        return
    if parts.scheme == "http" and not _is_this_computer(host) and reading.values.get("demo") is not True:
        reading.wrong(
            "roster.url",
            f"found '{url}', wanted https://; the gate's token would be sent in clear text. Put a proxy with TLS in front"
            " of the collector (docs/install-by-hand.md); http:// is for a collector on this computer",
        )


def check_mqtt(reading: Reading) -> None:
    """Report a broker address that cannot work, and an incomplete certificate or account."""
    values = reading.values
    host, port = values.get("mqtt.host"), values.get("mqtt.port")
    if host is not None and not _is_host(host):
        reading.wrong("mqtt.host", f"found '{host}', wanted only a name or an address; {_host_hint(host)}")
    if port == TLS_PORT and values.get("mqtt.tls", ...) is None:
        reading.wrong(
            "mqtt.port",
            f"found {TLS_PORT} without tls, wanted both or neither; brokers use TLS on this port. Write tls: with ca: and"
            " the authority that signed the broker's certificate, or use the port without TLS (1883)",
        )
    for given, missing in (("cert", "key"), ("key", "cert")):
        if values.get(f"mqtt.tls.{given}") is not None and values.get(f"mqtt.tls.{missing}", ...) is None:
            reading.wrong(f"mqtt.tls.{missing}", f"found {given} without it, wanted both or neither")
    if values.get("mqtt.password_file") is not None and values.get("mqtt.username", ...) is None:
        reading.wrong("mqtt.username", "found password_file without it, wanted both; a password belongs to a username")


def _is_this_computer(host: str | None) -> bool:
    address = _address(host or "")
    return host == "localhost" if address is None else address.is_loopback


def _is_host(text: str) -> bool:
    return _HOST_NAME.fullmatch(text) is not None or _address(text) is not None


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _host_hint(text: str) -> str:
    """Return how to write a host that was given with a scheme, a port or a path."""
    try:
        parts = urlsplit(text if "://" in text else f"mqtt://{text}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if not _is_host(host):
        return "such as broker.lan"
    wanted = f"host: {host}" if port is None else f"host: {host} and port: {port}"
    return f"write {wanted}{', and tls:' if text.startswith(('mqtts:', 'ssl:', 'tls:', 'wss:')) else ''}"
