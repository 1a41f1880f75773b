"""Where the parts of a collector are that ``fabgate-collector setup`` set up."""

from __future__ import annotations

from typing import Final

ETC: Final = "/etc/fabgate"
SETTINGS: Final = f"{ETC}/collector.env"
#: The certificate of the authority, which gates and phones get.
CA: Final = f"{ETC}/ca.crt"
#: Certificate and key of the pages, in one file.
PAGES: Final = f"{ETC}/tls/pages.pem"
BROKER: Final = f"{ETC}/tls/broker.pem"
FIREWALL: Final = f"{ETC}/fabgate.nft"
DATA: Final = "/var/lib/fabgate-collector"
COPIES: Final = f"{DATA}-copies"
#: Where the worker changes accounts of the broker (config/broker.conf).
CONTROL: Final = "/run/fabgate-broker/control/socket"
#: The account of the collector, and its group.
ACCOUNT: Final = "fabgate-collector"
#: Runs a verb with the account and the settings of the collector.
PROGRAM: Final = "/usr/sbin/fabgate-collector"
#: What the package brings to be copied.
SHIPPED: Final = "/usr/lib/fabgate-collector/share/fabgate/config"
#: The ports of the broker: for gates, and for the programs of the collector on this computer (config/broker.conf).
GATE_PORT: Final = 8883
OWN_PORT: Final = 8885

TARGET: Final = "fabgate-collector.target"
WEB: Final = "fabgate-collector@web.service"
BROKER_UNIT: Final = "fabgate-broker.service"
FIREWALL_UNIT: Final = "fabgate-firewall.service"
#: What opens each port of the pages.
SOCKETS: Final = {443: "fabgate-collector-https.socket", 80: "fabgate-collector-http.socket"}
TIMERS: Final = ("fabgate-collector-backup.timer", "fabgate-collector-certificates.timer")
