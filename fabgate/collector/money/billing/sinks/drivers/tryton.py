"""Puts each charge that is still to be paid on a draft invoice in Tryton: one for each payer and month.

Source: docs.tryton.org, "Remote Procedure Call" (JSON-RPC: a session from ``common.db.login``, methods ``model.NAME.METHOD``
whose last parameter is the context, decimals as ``{"__class__": "Decimal"}``), and the fields of ``account.invoice``. Tryton
has no idempotency keys, so lines are searched by their note, which is the id of the charge.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from fabgate.collector.money.billing.currencies import decimal_text
from fabgate.collector.money.billing.sinks import contract
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
from fabgate.collector.money.billing.sinks.http import Program
from fabgate.collector.money.billing.sinks.postings import Account, Income, income_of

#: The errors by which Tryton reports that a record cannot be stored.
_REFUSED: Final = "UserError"


class TrytonOptions(contract.Options, frozen=True, kw_only=True):
    """The keys of Tryton in sinks.yaml."""

    #: With the database: https://erp.example.org/fablab/ up to Tryton 7.6, …/fablab/rpc/ later.
    url: Url
    username: str
    password_file: Path
    #: Codes of accounts there: of what payers owe, if their party has none of its own; and of income.
    receivable: Account
    income: Account
    accounts: list[Income] = []


class TrytonSink:
    """Keeps the contract of sinks/contract.py. The reference of a payer is the code of their party."""

    Options = TrytonOptions
    #: If one line of several were refused, the others would be added again.
    most = 1
    searches = True
    needs_reference = True
    only_money = True
    only_receivables = True

    def __init__(self, options: TrytonOptions, site: Site) -> None:
        self._options = options
        self._site = site
        self._url = f"{check_url(options.url)}/"
        self._program: Program | None = None
        self._context: dict[str, Any] = {}
        self._accounts: dict[str, int] = {}
        self._common: dict[str, int] = {}

    def send(self, items: Sequence[Charge]) -> None:
        """Add a line to the draft invoice of the payer and month; make the invoice if there is none."""
        for item in items:
            party = self._first("party.party", [["code", "=", item.reference]], "addresses", "account_receivable")
            if party is None:
                raise Refused(f"found no party with the code {item.reference!r}")
            line = self._line(item, party["id"])
            name = f"fabgate {item.month:%Y-%m} {item.payer}"
            where = [
                ["reference", "=", name],
                ["party", "=", party["id"]],
                ["state", "=", "draft"],
                ["type", "=", "out"],
            ]
            if (draft := self._first("account.invoice", where, "id")) is not None:
                self._model("account.invoice", "write", [draft["id"]], {"lines": [["create", [line]]]})
            else:
                self._model("account.invoice", "create", [self._invoice(name, party, line)])

    def find(self, items: Sequence[Charge]) -> Collection[str]:
        """Return the charges that are lines of invoices, posted or not."""
        keys = [item.key for item in items]
        rows = self._model("account.invoice.line", "search_read", [["note", "in", keys]], 0, None, None, ["note"])
        return {str(row["note"]) for row in rows}

    def _line(self, item: Charge, party: int) -> dict[str, Any]:
        options = self._options
        account = income_of(options.accounts, options.income, item.machine_category, item.vat_code)
        return {
            **self._of_company(),
            "type": "line",
            "invoice_type": "out",
            "party": party,
            "account": self._account(account),
            "description": description(item, self._site),
            "note": item.key,
            "quantity": 1,
            "unit_price": {"__class__": "Decimal", "decimal": decimal_text(item.amount_minor, self._site.digits)},
        }

    def _invoice(self, name: str, party: Mapping[str, Any], line: Mapping[str, Any]) -> dict[str, Any]:
        if not party["addresses"]:
            raise Refused("the party has no address")
        journal = self._first("account.journal", [["type", "=", "revenue"]], "id")
        if journal is None:
            raise Later("found no journal of the type revenue in Tryton; make one")
        return {
            **self._of_company(),
            "type": "out",
            "party": party["id"],
            "invoice_address": party["addresses"][0],
            "account": party["account_receivable"] or self._account(self._options.receivable),
            "journal": journal["id"],
            "reference": name,
            "lines": [["create", [line]]],
        }

    def _of_company(self) -> dict[str, int]:
        """Return the company and its currency. Raises Later if that is not the site's."""
        if not self._common:
            names = ["company", "currency"]
            found = self._model("account.invoice", "default_get", names)
            currency = self._first("currency.currency", [["id", "=", found.get("currency")]], "code") or {}
            if currency.get("code") != self._site.currency:
                raise Later(f"found the currency {currency.get('code')} in Tryton, wanted {self._site.currency}")
            self._common = {name: found[name] for name in names}
        return self._common

    def _account(self, code: str) -> int:
        if code not in self._accounts:
            found = self._first("account.account", [["code", "=", code]], "id")
            if found is None:
                raise Later(f"found no account with the code {code!r} in Tryton; correct sinks.yaml, or make it there")
            self._accounts[code] = found["id"]
        return self._accounts[code]

    def _first(self, model: str, where: Sequence[Any], *fields: str) -> dict[str, Any] | None:
        rows: list[dict[str, Any]] = self._model(model, "search_read", where, 0, 1, None, list(fields))
        return rows[0] if rows else None

    def _model(self, model: str, method: str, *parameters: Any) -> Any:
        if self._program is None:
            self._program, self._context = self._signed_in()
        return _call(self._program, f"model.{model}.{method}", *parameters, self._context)

    def _signed_in(self) -> tuple[Program, dict[str, Any]]:
        headers = {"Content-Type": "application/json"}
        password, name = secret(self._options.password_file), self._options.username
        found = _call(Program(self._url, headers), "common.db.login", name, {"password": password})
        if not isinstance(found, list) or len(found) < 2:
            raise Later("Tryton refuses the username or the password")
        session = base64.b64encode(f"{name}:{found[0]}:{found[1]}".encode()).decode()
        program = Program(self._url, {**headers, "Authorization": f"Session {session}"})
        return program, _call(program, "model.res.user.get_preferences", True, {})


def _call(program: Program, method: str, *parameters: Any) -> Any:
    """Call a method, and return its result. Raises Refused or Later."""
    body = msgspec.json.encode({"id": 1, "method": method, "params": parameters})
    answer = program.post("", body, {})
    try:
        found = answer.json()
    except ValueError as error:
        raise Later(f"{method}: found an answer that is not JSON") from error
    if not isinstance(found, dict) or ("result" not in found and "error" not in found):
        raise Later(f"{method}: found an answer without a result")
    if "error" not in found:
        return found["result"]
    kind, *rest = found["error"] if isinstance(found["error"], list) else [str(found["error"])]
    details = rest[0] if rest else ""
    text = " ".join(str(details[0] if isinstance(details, list) and details else details or kind).split())
    if kind == _REFUSED:
        raise Refused(text)
    raise Later(f"{method}: {kind}: {text}"[:300])
