"""Sends the time of settled sessions to Lago, as usage events in batches.

Sources: getlago.com, API reference, "Batch usage events": POST /api/v1/events/batch with at most 100 events, each with a
``transaction_id`` that is unique, the external id of a subscription, the code of a billable metric and a time in seconds
since 1970. A batch is refused as a whole, by 422 with the errors by position; one whose transaction_id is known has
``value_already_exist``. Unknown codes are reported later, by Lago's webhook ``events.errors``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from fabgate.collector.money.billing.sinks import contract
from fabgate.collector.money.billing.sinks.contract import Refused, Site, Url, Usage, check_url, secret
from fabgate.collector.money.billing.sinks.http import Program
from fabgate.collector.money.billing.sinks.seconds import data_of, time_of

_KNOWN: Final = {"transaction_id": ["value_already_exist"]}


class LagoOptions(contract.MeteredOptions, frozen=True, kw_only=True):
    """The keys of Lago in sinks.yaml."""

    url: Url
    #: A file with the API key.
    key_file: Path
    #: The code of the billable metric.
    code: str = "machine_time"
    #: Whether events name the member who used the machine.
    with_members: bool = False


class LagoSink:
    """Keeps the contract of sinks/contract.py. The reference of a payer is the external id of their subscription."""

    Options = LagoOptions
    most = 100
    searches = False
    needs_reference = True
    only_money = False
    only_receivables = False

    def __init__(self, options: LagoOptions, site: Site) -> None:  # noqa: ARG002 (as every driver)
        self._options = options
        self._url = check_url(options.url)

    def send(self, items: Sequence[Usage]) -> None:
        """Send events; those that Lago knows already are left out."""
        headers = {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {secret(self._options.key_file)}",
        }
        program = Program(self._url, headers)
        left = list(items)
        while left:
            try:
                program.post("/api/v1/events/batch", msgspec.json.encode({"events": list(map(self._event, left))}), {})
            except Refused as error:
                known = _known(error)
                if not known or not known <= set(range(len(left))):
                    raise
                left = [item for place, item in enumerate(left) if place not in known]
            else:
                return

    def find(self, items: Sequence[Any]) -> Collection[str]:  # noqa: ARG002 (Lago recognises keys)
        """Return nothing: Lago recognises keys."""
        return ()

    def _event(self, item: Usage) -> dict[str, Any]:
        return {
            "transaction_id": item.key,
            "external_subscription_id": item.reference,
            "code": self._options.code,
            "timestamp": int(time_of(item).timestamp()),
            "properties": data_of(item, with_members=self._options.with_members),
        }


def _known(error: Refused) -> set[int]:
    """Return the positions of events that Lago has stored before."""
    details = error.answer.get("error_details") if isinstance(error.answer, dict) else None
    if not isinstance(details, dict):
        return set()
    return {int(place) for place, wrong in details.items() if wrong == _KNOWN and str(place).isdecimal()}
