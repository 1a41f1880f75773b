"""Makes an invoice item in Stripe of each charge that is still to be paid, when its month is closed.

Sources: docs.stripe.com, "Invoice items" (they wait for the customer's next invoice), "Idempotent requests" (a key is forgotten
after 24 hours, so items are searched by their metadata before they are made again), and "Supported currencies" (amounts are
in the smallest unit of a currency, with exceptions).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import stripe
from msgspec import Struct

from fabgate.collector.money.billing.sinks import contract, http
from fabgate.collector.money.billing.sinks.contract import (
    Charge,
    Later,
    Refused,
    Site,
    Url,
    check_url,
    description,
    secret,
)
from fabgate.errors import UsageError

_ID: Final = "fabgate_charge"
#: Currencies whose amounts have other decimals at Stripe than in ISO 4217.
_DIGITS: Final = {"ISK": 2, "UGX": 2, "MGA": 0}
_LONGEST: Final = 300
_CONFLICT, _SERVER = 409, 500


class TaxRate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of ``tax_rates``: the tax rate in Stripe for a VAT code."""

    code: str
    tax_rate: str


class StripeOptions(contract.Options, frozen=True, kw_only=True):
    """The keys of Stripe in sinks.yaml."""

    #: A file with a secret or restricted key that may read and write invoice items.
    key_file: Path
    url: Url = "https://api.stripe.com"
    tax_rates: list[TaxRate] = []


class StripeSink:
    """Keeps the contract of sinks/contract.py. The reference of a payer is the id of their customer, such as cus_9s6XK."""

    Options = StripeOptions
    #: If one item of several were refused, the others would be made again, and Stripe forgets keys.
    most = 1
    searches = True
    needs_reference = True
    only_money = True
    only_receivables = True

    def __init__(self, options: StripeOptions, site: Site) -> None:
        codes = [one.code for one in options.tax_rates]
        if len(set(codes)) < len(codes):
            raise UsageError("tax_rates: found a code twice, wanted each once")
        if codes and site.includes_vat is None:
            raise UsageError(
                "tax_rates: found some, wanted none: VAT is not applicable to this workshop (art. 293 B CGI)"
            )
        self._options = options
        self._site = site
        self._url = check_url(options.url)
        self._rates = {one.code: one.tax_rate for one in options.tax_rates}

    def send(self, items: Sequence[Charge]) -> None:
        """Make invoice items."""
        client = self._client()
        for item in items:
            params: dict[str, Any] = {
                "customer": item.reference,
                "amount": self._amount(item),
                "currency": self._site.currency.lower(),
                "description": description(item, self._site),
                "metadata": {_ID: item.key, "fabgate_month": f"{item.month:%Y-%m}", "fabgate_session": item.session},
            }
            if self._rates and item.vat_code and item.vat_code not in self._rates:
                known = ", ".join(self._rates)
                raise Refused(
                    f"found the VAT code {item.vat_code}, wanted one of {known}: add it to tax_rates in sinks.yaml"
                )
            if item.vat_code in self._rates:
                params["tax_rates"] = [self._rates[item.vat_code]]
            with _Errors():
                client.v1.invoice_items.create(params=params, options={"idempotency_key": item.key})  # type: ignore[arg-type]

    def find(self, items: Sequence[Charge]) -> Collection[str]:
        """Return the charges of which there are invoice items, invoiced or not."""
        client, wanted = self._client(), {item.key for item in items}
        found: set[str] = set()
        for customer in sorted({item.reference for item in items}):
            with suppress(Refused), _Errors():  # a customer that does not exist has no items
                found |= wanted.intersection(_ids(client, customer))
        return found

    def _client(self) -> stripe.StripeClient:
        return stripe.StripeClient(
            secret(self._options.key_file),
            base_addresses={"api": self._url},
            max_network_retries=0,
            http_client=stripe.RequestsClient(timeout=http.TIMEOUT_S),
        )

    def _amount(self, item: Charge) -> int:
        """Return an amount as Stripe stores it. Raises Refused for one that it cannot store."""
        shift = _DIGITS.get(self._site.currency, self._site.digits) - self._site.digits
        amount, rest = divmod(item.amount_minor * 10 ** max(shift, 0), 10 ** max(-shift, 0))
        if rest or (self._site.digits == 3 and amount % 10):
            raise Refused(f"found the amount {item.amount_minor} of {self._site.currency}, which Stripe cannot store")
        return int(amount)


def _ids(client: stripe.StripeClient, customer: str) -> Iterator[str]:
    """Yield the ids of the charges that a customer has as invoice items."""
    page = client.v1.invoice_items.list(params={"customer": customer, "limit": 100})
    for found in page.auto_paging_iter():
        yield str(found.metadata.to_dict().get(_ID, "") if found.metadata else "")


class _Errors:
    """Turns errors of the SDK into those of the contract."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, stripe.StripeError):
            return
        if isinstance(error, stripe.APIConnectionError):
            raise Later(http.TIMED_OUT if "timeout" in str(error).lower() else http.NO_CONNECTION) from error
        status = error.http_status or 0
        text = f"{status} {' '.join(str(error.user_message or error).split())[:_LONGEST]}"
        is_about_the_item = isinstance(error, stripe.InvalidRequestError | stripe.IdempotencyError | stripe.CardError)
        if is_about_the_item and status != _CONFLICT and status < _SERVER:
            raise Refused(text) from error
        known: Any = error.headers or {}
        asked = {str(name).lower(): str(value) for name, value in known.items()}.get("retry-after", "")
        raise Later(text, float(asked) if asked.isdecimal() else 0) from error
