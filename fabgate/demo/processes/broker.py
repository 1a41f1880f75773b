"""The broker of the demo: rumqttd, embedded by the package iotcore, on the loopback only.

Not for production: it has no access list, and after a wrong password it closes the connection without giving a reason.
"""

from __future__ import annotations

from pathlib import Path

import iotcore

from fabgate.demo.processes.ports import free_port

_CONFIG = """\
id = 0

[router]
id = 0
max_connections = 200
max_outgoing_packet_count = 200
max_segment_size = 104857600
max_segment_count = 10

[v5.1]
name = "fabgate-demo"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1
    [v5.1.connections]
    connection_timeout_ms = 60000
    max_payload_size = 70000
    max_inflight_count = 200
"""


def start(folder: Path) -> tuple[iotcore.Broker, int]:
    """Start a broker; return it and its port. It ends with this process."""
    port = free_port()
    config = folder / "broker.toml"
    config.write_text(_CONFIG.format(port=port), encoding="utf-8")
    broker = iotcore.Broker(config_path=str(config))
    broker.start()
    return broker, port
