"""Composes the gate.yaml of a new gate."""

from __future__ import annotations

import ipaddress
from typing import Final
from urllib.parse import urlsplit

import yaml

from fabgate.collector.ground.base import data_folder
from fabgate.collector.ground.base.environ import Environment
from fabgate.collector.ground.models import Machine

_CA: Final = "ca.crt"

_YAML: Final = """\
# The gate {gate}, next to {title}. Remove the pins that are not wired; hardware/wiring.md shows them all.
site: {site}
gate: {gate}
state_dir: /var/lib/fabgate
machine: {{name: {title_yaml}, limit_s: {limit_s}}}   # until the first roster; then the collector's rules apply
{wires}roster: {{url: "{address}", token_file: {folder}token{roster_ca}}}{roster_note}
gate_key_file: {folder}seal.keys
badge_key_file: {folder}badge.keys
mqtt:
  host: {host}
  port: {port}
  username: {site}/{gate}
  password_file: {folder}{password}
"""


def broker_host(env: Environment, address: str) -> str:
    """Return the name by which a gate reaches the broker.

    If the collector itself uses a loopback address, gates use the host of `address`, the address of the page.
    """
    host = env.mqtt_host
    try:
        is_here = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_here = host == "localhost"
    return urlsplit(address).hostname or host if is_here else host


def compose(gate: str, machine: Machine, env: Environment, address: str, *, wires: str, folder: str) -> str:
    """Return the gate.yaml of a gate that uses the collector at `address`, such as ``https://collector.lan``.

    `wires` are its sections about hardware. The other files are in `folder`, which ends in "/", beside gate.yaml.
    """
    title = str(machine)
    # with the setup of docs/install-by-hand.md, the broker and the proxy of the pages share a certificate
    has_own_ca = bool(env.mqtt_ca) and address.startswith("https://")
    text = _YAML.format(
        site=env.site,
        gate=gate,
        title=" ".join(title.split()),
        title_yaml=yaml.safe_dump(title, allow_unicode=True, default_style='"', width=1000).strip(),
        limit_s=machine.wire_rules().limit_s,
        wires=wires,
        folder=folder,
        address=address,
        roster_ca=f", ca: {folder}{_CA}" if has_own_ca else "",
        roster_note="   # without ca if the certificate is from a public authority" if has_own_ca else "",
        host=broker_host(env, address),
        port=env.mqtt_gate_port,
        password=data_folder.PASSWORD,
    )
    return f"{text}  tls: {{ca: {folder}{_CA}}}\n" if env.mqtt_ca else text
