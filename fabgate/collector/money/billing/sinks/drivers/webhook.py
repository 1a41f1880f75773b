"""Posts each charge or each change of a session to a URL: Standard Webhooks with a CloudEvent as its body.

Sources: https://www.standardwebhooks.com (headers, signature ``v1``), CloudEvents 1.0 in structured mode. The receiver
checks the signature, and ignores a ``webhook-id`` that it has stored: that id is the item's key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from fabgate.collector.money.billing.sinks import contract
from fabgate.collector.money.billing.sinks.contract import Charge, Later, Site, Url, Usage, check_url, secret
from fabgate.collector.money.billing.sinks.http import Program

_PREFIX: Final = "whsec_"
_TYPES: Final = {contract.CHARGES: "org.fabgate.charge.v1", contract.USAGE: "org.fabgate.session.v1"}
#: What only the engine needs.
_INTERNAL: Final = ("key", "place")


class WebhookOptions(contract.Options, frozen=True, kw_only=True):
    """The keys of a webhook in sinks.yaml."""

    url: Url
    #: A file with the secret, as Standard Webhooks writes it: whsec_ and 24 to 64 bytes in base64.
    secret_file: Path
    takes: Literal["charges", "usage"] = "charges"

    @property
    def feed(self) -> str:
        """Return what it gets."""
        return self.takes


class WebhookSink:
    """Keeps the contract of sinks/contract.py."""

    Options = WebhookOptions
    most = 1
    searches = False
    needs_reference = False
    only_money = False
    only_receivables = False

    def __init__(self, options: WebhookOptions, site: Site, now: Callable[[], float] = time.time) -> None:
        self._options = options
        self._site = site
        self._program = Program(check_url(options.url), {"Content-Type": "application/cloudevents+json"})
        self._now = now

    def send(self, items: Sequence[Charge | Usage]) -> None:
        """Post one event."""
        key = _key_of(secret(self._options.secret_file))
        for item in items:
            body = msgspec.json.encode(self._event(item))
            at = int(self._now())
            signed = hmac.digest(key, b"%s.%d." % (item.key.encode(), at) + body, hashlib.sha256)
            headers = {
                "webhook-id": item.key,
                "webhook-timestamp": str(at),
                "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
            }
            self._program.post("", body, headers)

    def find(self, items: Sequence[Any]) -> Collection[str]:  # noqa: ARG002 (the receiver knows the keys)
        """Return nothing: the receiver recognises keys."""
        return ()

    def _event(self, item: Charge | Usage) -> dict[str, Any]:
        data: dict[str, Any] = {
            name: value for name, value in msgspec.structs.asdict(item).items() if name not in _INTERNAL
        }
        if isinstance(item, Charge):
            percent = self._site.vat_rates.get(item.vat_code) if item.amount_minor else None
            data |= {
                "charge_id": item.key,
                "month": f"{item.month:%Y-%m}",
                "of_month": f"{item.of_month:%Y-%m}",
                "currency": self._site.currency,
                "digits": self._site.digits,
                "includes_vat": self._site.includes_vat,
                "vat_percent": None if percent is None else str(percent),
            }
        else:
            data["position"] = int(item.place)
        event: dict[str, Any] = {
            "specversion": "1.0",
            "id": item.key,
            "source": f"urn:fabgate:{self._site.name}:{self._site.collector}",
            "type": _TYPES[self._options.feed],
            "subject": item.payer,
            "datacontenttype": "application/json",
            "data": data,
        }
        if item.ended_at is not None:
            event["time"] = item.ended_at
        return event


def _key_of(text: str) -> bytes:
    """Return the key of a secret. Raises Later: the file can be put right."""
    try:
        key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not text.startswith(_PREFIX) or not 24 <= len(key) <= 64:
        raise Later(
            "secret_file: found another text, wanted whsec_ and 24 to 64 bytes in base64, as Standard Webhooks has it"
        )
    return key
