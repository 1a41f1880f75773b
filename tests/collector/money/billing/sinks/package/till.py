"""Adds each charge to the tab of its payer in a till that speaks HTTP.

The till stores a whole batch or nothing of it, and ignores an entry whose id it has. It answers 422 where it refuses an entry.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import msgspec

from fabgate.collector.money.billing.sinks import contract
from fabgate.collector.money.billing.sinks.contract import Charge, Site, Url, check_url, description, secret
from fabgate.collector.money.billing.sinks.http import Program


class TillOptions(contract.Options, frozen=True, kw_only=True):
    """The keys of a till in sinks.yaml: its address, and a file with the word that lets the sink in."""

    url: Url
    token_file: Path


class TillSink:
    """Keeps the contract of ``fabgate.collector.money.billing.sinks.contract``. A payer's reference is the name of a tab."""

    Options = TillOptions
    most = 50
    searches = False  # the till knows the ids that it has
    needs_reference = True
    only_money = True
    only_receivables = True

    def __init__(self, options: TillOptions, site: Site) -> None:
        self._options = options
        self._site = site
        self._url = check_url(options.url)

    def send(self, items: Sequence[Charge]) -> None:
        """Add entries. Raises Refused or Later."""
        entries = [
            {
                "id": item.key,
                "tab": item.reference,
                "cents": item.amount_minor,
                "text": description(item, self._site),
            }
            for item in items
        ]
        token = secret(self._options.token_file)  # read again each time: it may have been replaced
        program = Program(self._url, {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
        program.post("/entries", msgspec.json.encode(entries), {})

    def find(self, items: Sequence[Charge]) -> Collection[str]:
        """Return nothing: the engine asks only where `searches` is set."""
        return ()
