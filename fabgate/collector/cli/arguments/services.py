"""The arguments of the verbs that run the collector: ``run``, its services, and ``migrate``."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fabgate import installed
from fabgate.collector.cli.arguments import shared
from fabgate.collector.cli.arguments.upkeep import BEFORE_UPDATE

_INGEST: Final = (
    "It stores the messages that have queued up at the broker in one transaction, and acknowledges them afterwards. Only"
    " one collector serves a site: a second one refuses to start without --takeover."
)
_WEB: Final = (
    "It listens on FABGATE_WEB_HOST and FABGATE_WEB_PORT, without TLS: put a proxy in front of it if other computers"
    " use it. /healthz is for monitors, /metrics for Prometheus."
)
_WORKER: Final = "It checks once a minute, and notifies the gates whose rosters change. 'run' starts it too."
_RUN: Final = (
    "Each is a separate process. If one ends it is restarted, after a pause that doubles up to 30 s while it keeps"
    " ending. SIGTERM or Ctrl-C stops all of them."
)

_BROKER_ACCOUNTS: Final = (
    "fabgate-broker.service calls it before each start of the broker, and hands the output to it: JSON for Mosquitto's plugin"
    " dynamic security, with digests of passwords. It needs FABGATE_BROKER_CONTROL."
)


def add_verbs(add: shared.Add) -> None:
    """Add the verbs by `add`."""
    migrate = add(
        "migrate",
        "services",
        "bring the database up to date (other verbs do so too)",
        "migrate",
        makes=True,
    )
    migrate.add_argument(
        "--restored",
        action="store_true",
        help="after the database was restored with all its files: skip used ids, and end sign-ins, links and API keys",
    )
    migrate.add_argument(
        "--copy",
        type=Path,
        default=Path(BEFORE_UPDATE) if installed.package() else None,
        metavar="FOLDER",
        help="before the tables of an existing database change, copy the collector to FOLDER, where the newest two such"
        f" copies stay; without a copy nothing is changed (in a Debian package, the default is {BEFORE_UPDATE})",
    )
    add(
        "broker-accounts",
        "gates",
        "print the accounts of the collector's own broker",
        "broker_accounts",
        about=_BROKER_ACCOUNTS,
    )
    ingest = add(
        "ingest",
        "services",
        "store what the gates publish",
        "ingest",
        about=_INGEST,
        makes=True,
    )
    add(
        "web",
        "services",
        "serve the pages, and rosters to gates",
        "web",
        about=_WEB,
        makes=True,
    )
    add(
        "worker",
        "services",
        "expire loans, trainings and blocks",
        "worker",
        about=_WORKER,
        makes=True,
    )
    both = add("run", "services", "keep ingest, web and worker running", "run", about=_RUN, makes=True)
    for verb in (ingest, both):
        verb.add_argument("--takeover", action="store_true", help="serve the site even if another collector is online")
