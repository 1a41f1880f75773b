"""Writes each month into a folder of its own: CSV, XLSX and JSON, with their SHA-256.

    2027-01/charges.csv, charges.xlsx, charges.json    each charge and line, with its id; no names
    2027-01/usage.csv, usage.xlsx, usage.json          or else each session, with its time
    2027-01/payers.csv                                 name, reference and sums of each payer; can be deleted
    2027-01/SHA256SUMS                                 for ``sha256sum --check``

The folder appears when it is complete. If it already exists, it is compared, and never replaced.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from fabgate.collector.ground.tables.csv_file import write_csv
from fabgate.collector.ground.tables.table import DAY, NUMBER, PLAIN, TEXT, Cell, Column, Table, minutes
from fabgate.collector.ground.tables.xlsx_file import write_xlsx
from fabgate.collector.money.billing.currencies import decimal_text
from fabgate.collector.money.billing.prepaid.words import PREPAID, RECEIVABLE
from fabgate.collector.money.billing.sinks import contract
from fabgate.collector.money.billing.sinks.contract import Charge, Month, Site, Usage, UsageMonth
from fabgate.collector.money.billing.sinks.month_folder import MonthFolder
from fabgate.collector.money.billing.vat import amounts
from fabgate.errors import UsageError

_SETTLED: Final = (RECEIVABLE, PREPAID)
_SPLIT: Final = ("net_minor", "vat_minor", "gross_minor")
#: Columns of a charge: their names, which are the fields of `Charge` but for the first, and their kinds.
_COLUMNS: Final = (
    ("charge_id", PLAIN),
    *(("month", PLAIN), ("of_month", PLAIN), ("payer", TEXT), ("kind", TEXT), ("settlement", TEXT), ("vat_code", TEXT)),
    *(
        ("amount", NUMBER),
        ("amount_minor", NUMBER),
        ("currency", TEXT),
        ("includes_vat", PLAIN),
        ("reverses", PLAIN),
        ("text", TEXT),
        ("day", DAY),
    ),
    *(("session", TEXT), ("used_by", TEXT), ("machine", TEXT), ("machine_category", TEXT), ("plan", TEXT)),
    *(("purpose", TEXT), ("started_at", PLAIN), ("ended_at", PLAIN), ("counted_ms", NUMBER), ("running_ms", NUMBER)),
)


#: The same of a row of usage; machine_category is as it is today, so usage.json, which is compared, does not have it.
_USAGE: Final = (
    *(("usage_id", PLAIN), ("month", PLAIN), ("of_month", PLAIN), ("payer", TEXT), ("minutes", NUMBER)),
    *(("counted_ms", NUMBER), ("running_ms", NUMBER), ("kind", PLAIN), ("session", TEXT), ("used_by", TEXT)),
    *(("machine", TEXT), ("machine_category", TEXT), ("purpose", TEXT), ("started_at", PLAIN), ("ended_at", PLAIN)),
)
_NOT_COMPARED: Final = "machine_category"


class FilesOptions(contract.SettledOptions, frozen=True, kw_only=True):
    """The keys of a folder in sinks.yaml. `settle_days` is for usage."""

    #: It must exist: a disk that is not mounted must not look like an empty folder.
    folder: Path
    separator: Literal[",", ";", "\t"] = ","
    takes: Literal["charges", "usage"] = "charges"

    @property
    def feed(self) -> str:
        """Return what is written."""
        return self.takes


class FilesSink:
    """Keeps the contract of sinks/contract.py."""

    Options = FilesOptions
    most = None
    searches = False
    needs_reference = False
    only_money = False
    only_receivables = False

    def __init__(self, options: FilesOptions, site: Site) -> None:
        if options.takes == contract.CHARGES and options.settle_days != contract.SETTLE_DAYS:
            raise UsageError(
                "settle_days is for 'takes: usage' only; remove it, since charges are sent when a month is closed"
            )
        self._options = options
        self._site = site

    def send(self, items: Sequence[Month | UsageMonth]) -> None:
        """Write a month. Raises Later if another one is there, or the disk is away or full."""
        for month in items:
            with MonthFolder(self._options.folder, month.key) as new:
                if isinstance(month, UsageMonth):
                    self._write_usage(new, month)
                    continue
                new.write("charges.json", self._json(month))
                new.write("charges.csv", write_csv(self._charges(month), self._options.separator))
                with new.open("charges.xlsx") as file:
                    write_xlsx(file, self._charges(month))
                new.write("payers.csv", write_csv(self._payers(month), self._options.separator))

    def find(self, items: Sequence[Any]) -> Collection[str]:  # noqa: ARG002 (an existing folder is compared)
        """Return nothing: an existing folder is compared."""
        return ()

    def _write_usage(self, new: MonthFolder, month: UsageMonth) -> None:
        rows = [self._usage(month, row) for row in month.rows]
        names = [name for name, _kind in _USAGE]
        kept = [name for name in names if name != _NOT_COMPARED]
        head = {"site": self._site.name, "month": month.key, "counted_ms": month.amount}
        new.write("usage.json", _json(head, "usage", ({name: row[name] for name in kept} for row in rows)))

        def table() -> Table:
            cells = ([plain(row[name]) for name in names] for row in rows)
            return Table("Usage", [Column(name, kind) for name, kind in _USAGE], cells)

        new.write("usage.csv", write_csv(table(), self._options.separator))
        with new.open("usage.xlsx") as file:
            write_xlsx(file, table())
        sums: dict[str, int] = defaultdict(int)
        for row in month.rows:
            sums[row.payer] += row.counted_ms
        columns = [*(Column(name) for name in ("payer", "payer_name", "reference")), Column("minutes", NUMBER)]
        payers = [[payer, *named, minutes(sums[payer])] for payer, named in month.payers.items()]
        new.write("payers.csv", write_csv(Table("Payers", columns, payers), self._options.separator))

    def _usage(self, month: UsageMonth, row: Usage) -> dict[str, Any]:
        """Return the values of a row; its month is the one of the folder."""
        assert row.ended_at is not None
        return {
            **msgspec.structs.asdict(row),
            "usage_id": row.key,
            "month": month.key,
            "of_month": f"{row.ended_at.astimezone(self._site.zone):%Y-%m}",
            "minutes": minutes(row.counted_ms),
            "kind": "reversal" if row.reverses else "usage",
        }

    def _charges(self, month: Month) -> Table:
        return Table("Charges", [Column(name, kind) for name, kind in _COLUMNS], self._rows(month))

    def _rows(self, month: Month) -> Iterator[Sequence[Cell]]:
        for charge in month:
            values = {
                **_values(charge),
                "includes_vat": self._site.includes_vat,
                "amount": decimal_text(charge.amount_minor, self._site.digits),
                "currency": self._site.currency,
            }
            yield [plain(values[name]) for name, _kind in _COLUMNS]

    def _payers(self, month: Month) -> Table:
        """Return the sums of each payer. They follow the VAT rates, which a closed month may get later."""
        columns = [
            *(Column(name) for name in ("payer", "payer_name", "reference")),
            *(Column(name, NUMBER) for name in (*_SETTLED, *_SPLIT)),
        ]
        sums: dict[str, dict[str, dict[str, int]]] = defaultdict(lambda: {name: defaultdict(int) for name in _SETTLED})
        for charge in month:
            if charge.amount_minor:
                sums[charge.payer][charge.settlement][charge.vat_code] += charge.amount_minor
        rows = [[payer, *named, *self._sums(sums[payer])] for payer, named in month.payers.items()]
        return Table("Payers", columns, rows)

    def _sums(self, settled: Mapping[str, Mapping[str, int]]) -> list[Cell]:
        site = self._site
        split = amounts.together(
            amounts.of(by_code, site.vat_rates, includes_vat=site.includes_vat) for by_code in settled.values()
        )
        whole = [decimal_text(sum(settled[name].values()), site.digits) for name in _SETTLED]
        return [*whole, *(plain(getattr(split, name)) for name in _SPLIT)]

    def _json(self, month: Month) -> Iterator[bytes]:
        return _json(self._head(month), "charges", map(_as_json, month))

    def _head(self, month: Month) -> dict[str, Any]:
        return {
            "site": self._site.name,
            "month": month.key,
            "sha256": month.sha256,
            "currency": self._site.currency,
            "digits": self._site.digits,
            "includes_vat": self._site.includes_vat,
            "amount_minor": month.amount,
        }


def _json(head: dict[str, Any], name: str, rows: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """Yield a JSON object: the values of `head`, and a list with a row in each line."""
    yield msgspec.json.encode(head)[:-1] + f',"{name}":['.encode()
    for number, row in enumerate(rows):
        yield (b",\n" if number else b"\n") + msgspec.json.encode(row)
    yield b"\n]}\n"


def plain(value: Any) -> Cell:
    """Return a value as a cell: moments in UTC, nothing for None."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else value if isinstance(value, int) else str(value)


def _values(charge: Charge) -> dict[str, Any]:
    return {
        **msgspec.structs.asdict(charge),
        "charge_id": charge.key,
        "month": f"{charge.month:%Y-%m}",
        "of_month": f"{charge.of_month:%Y-%m}",
    }


def _as_json(charge: Charge) -> dict[str, Any]:
    values = _values(charge)
    return {name: values[name] for name, _kind in _COLUMNS if name in values}
