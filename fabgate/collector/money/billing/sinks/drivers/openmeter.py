"""Sends the time of settled sessions to OpenMeter, as CloudEvents in batches.

Sources: openmeter.io, "Usage Events" and "Ingest events": POST /api/v1/events with ``application/cloudevents-batch+json``,
answered by 204 when all are stored; an event with a ``source`` and an ``id`` that it knows is dropped. It remembers them for 32
days unless configured otherwise, so events that were sent before that must not be sent again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import msgspec

from fabgate.collector.money.billing.sinks import contract
from fabgate.collector.money.billing.sinks.contract import Site, Url, Usage, check_url, secret
from fabgate.collector.money.billing.sinks.http import Program
from fabgate.collector.money.billing.sinks.seconds import data_of, time_of


class OpenMeterOptions(contract.MeteredOptions, frozen=True, kw_only=True):
    """The keys of OpenMeter in sinks.yaml."""

    url: Url
    #: A file with the API key; OpenMeter on one's own computer needs none.
    key_file: Path | None = None
    #: The type of event that the meter counts.
    event_type: str = "machine-time"
    #: Whether events name the member who used the machine.
    with_members: bool = False


class OpenMeterSink:
    """Keeps the contract of sinks/contract.py."""

    Options = OpenMeterOptions
    most = 100
    searches = False
    needs_reference = False
    only_money = False
    only_receivables = False

    def __init__(self, options: OpenMeterOptions, site: Site) -> None:
        self._options = options
        self._site = site
        self._url = check_url(options.url)

    def send(self, items: Sequence[Usage]) -> None:
        """Send events."""
        headers = {"Content-Type": "application/cloudevents-batch+json"}
        if self._options.key_file is not None:
            headers["Authorization"] = f"Bearer {secret(self._options.key_file)}"
        Program(self._url, headers).post(
            "/api/v1/events", msgspec.json.encode([self._event(item) for item in items]), {}
        )

    def find(self, items: Sequence[Any]) -> Collection[str]:  # noqa: ARG002 (OpenMeter recognises keys)
        """Return nothing: OpenMeter recognises keys."""
        return ()

    def _event(self, item: Usage) -> dict[str, Any]:
        return {
            "specversion": "1.0",
            "id": item.key,
            "source": f"urn:fabgate:{self._site.name}:{self._site.collector}",
            "type": self._options.event_type,
            "subject": item.reference or item.payer,
            "time": time_of(item),
            "data": data_of(item, with_members=self._options.with_members),
        }
