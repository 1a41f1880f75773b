"""Can what gate.yaml says about the network work, and does it tell no secret to whoever listens?"""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

from fabgate.gate.config.yaml_file import Reading

#: Brokers speak TLS here and nothing else, by the registration of this port (secure-mqtt).
TLS_PORT: Final = 8883
_HOST_NAME: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_.])?")


def check_url(reading: Reading) -> None:
    """Refuse a collector's URL that is none, or that would carry the gate's token in clear."""
    url = reading.values.get("roster.url")
    if url is None:
        return
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # a port that is none shows only when it is asked for
    except ValueError as error:
        reading.wrong("roster.url", f"found '{url}' ({error}), wanted a URL such as https://collector.lan")
        return
    if parts.scheme == "http" and not _is_this_computer(host) and reading.values.get("demo") is not True:
        reading.wrong(
            "roster.url",
            f"found '{url}', wanted https://; the gate's token would travel in clear. Put a proxy with TLS before the"
            " collector (docs/install.md); http:// is for a collector on this computer",
        )


def check_mqtt(reading: Reading) -> None:
    """Refuse a broker that cannot be reached as it is written, and half a certificate or account."""
    values = reading.values
    host, port = values.get("mqtt.host"), values.get("mqtt.port")
    if host is not None and not _is_host(host):
        reading.wrong("mqtt.host", f"found '{host}', wanted a name or an address alone; {_host_hint(host)}")
    if port == TLS_PORT and values.get("mqtt.tls", ...) is None:
        reading.wrong(
            "mqtt.port",
            f"found {TLS_PORT} without tls, wanted both or neither; brokers speak TLS on it. Write tls: with ca: and"
            " the certificate of who signed the broker's, or take the port without TLS (1883)",
        )
    for one, other in (("cert", "key"), ("key", "cert")):
        if values.get(f"mqtt.tls.{one}") is not None and values.get(f"mqtt.tls.{other}", ...) is None:
            reading.wrong(f"mqtt.tls.{other}", f"found nothing beside {one}, wanted both or neither")
    if values.get("mqtt.password_file") is not None and values.get("mqtt.username", ...) is None:
        reading.wrong("mqtt.username", "found nothing beside password_file, wanted text; brokers know passwords by it")


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
    """Return how to write a host that came with a scheme, a port or a path."""
    try:
        parts = urlsplit(text if "://" in text else f"mqtt://{text}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if not _is_host(host):
        return "such as broker.lan"
    wanted = f"host: {host}" if port is None else f"host: {host} and port: {port}"
    return f"write {wanted}{', and tls:' if text.startswith(('mqtts:', 'ssl:', 'tls:', 'wss:')) else ''}"
