"""Writes the entries of each closed month for an accounting program: a journal for hledger, or a CSV with chosen columns.

Sources: hledger's journal format (hledger.org, "Journal"); Paheko's simple import, in which each line has an account for the
debit and one for the credit (garradin.eu, "Importer des écritures comptables simples en CSV"); Odoo's import of one2many
fields, where the columns of an entry are filled in its first line only (odoo.com documentation, "Export and import data");
Dolibarr's import of entries: the columns of llx_accounting_bookkeeping, a comma between them unless another separator is chosen
(htdocs/core/modules/import/import_csv.modules.php), days as 2027-01-31, and a decimal point: what follows a comma is lost
(AccountancyImport::cleanAmount in htdocs/accountancy/class/accountancyimport.class.php).
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from msgspec import Struct

from fabgate.collector.ground.tables.csv_file import write_csv
from fabgate.collector.ground.tables.table import NUMBER, TEXT, Cell, Column, Table
from fabgate.collector.money.billing.currencies import decimal_text
from fabgate.collector.money.billing.sinks import contract
from fabgate.collector.money.billing.sinks.contract import Month, Site
from fabgate.collector.money.billing.sinks.month_folder import MonthFolder
from fabgate.collector.money.billing.sinks.postings import (
    Account,
    AccountingEntry,
    Chart,
    Income,
    VatAccount,
    WithoutRateError,
    entries,
)
from fabgate.errors import UsageError

_Value = Literal[
    "date",
    "entry",
    "number",
    "journal",
    "label",
    "payer",
    "reference",
    "subledger",
    "account",
    "side",
    "debit",
    "credit",
    "debit_account",
    "credit_account",
    "amount",
    "currency",
    "nothing",
]
#: Columns whose cells are amounts.
_AMOUNTS: Final = frozenset({"debit", "credit", "amount"})
#: Values of a line for each pair of accounts, and of a line for each posting: a line has one or the other.
_OF_PAIRS: Final = frozenset({"debit_account", "credit_account", "amount"})
_OF_POSTINGS: Final = frozenset({"account", "subledger", "debit", "credit", "side"})
#: Values that an entry has once; Odoo wants them in its first line only.
_ONCE: Final = frozenset({"date", "entry", "number", "journal"})


class ColumnOption(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of ``columns``: its heading and its value."""

    head: str
    value: _Value


class _Layout(NamedTuple):
    columns: tuple[tuple[str, str], ...]
    #: How a day is written, and the decimal mark.
    day: str = "%Y-%m-%d"
    mark: str = "."
    is_once: bool = False
    separator: str = ";"


_PLAIN: Final = ("date", "journal", "entry", "account", "payer", "reference", "label", "debit", "credit", "currency")
_LAYOUTS: Final[Mapping[str, _Layout]] = {
    "csv": _Layout(tuple((name, name) for name in _PLAIN)),
    "paheko": _Layout(
        (
            # an entry that has a number there is looked for and changed
            ("Numéro d'écriture", "nothing"),
            ("Libellé", "label"),
            ("Date", "date"),
            ("Remarques", "payer"),
            ("Numéro pièce comptable", "entry"),
            ("Compte de débit", "debit_account"),
            ("Compte de crédit", "credit_account"),
            ("Montant", "amount"),
        ),
        day="%d/%m/%Y",
        mark=",",
    ),
    "odoo": _Layout(
        (
            ("date", "date"),
            ("journal_id", "journal"),
            ("ref", "entry"),
            ("line_ids/account_id", "account"),
            ("line_ids/partner_id", "reference"),
            ("line_ids/name", "label"),
            ("line_ids/debit", "debit"),
            ("line_ids/credit", "credit"),
        ),
        is_once=True,
        separator=",",
    ),
    "dolibarr": _Layout(
        (
            ("Num. écriture (b.piece_num)", "number"),
            ("Date (b.doc_date)", "date"),
            ("Pièce (b.doc_ref)", "entry"),
            ("Journal (b.code_journal)", "journal"),
            ("Compte comptable (b.numero_compte)", "account"),
            # a column that Dolibarr requires; it shows the name of the account's number elsewhere
            ("Libellé du compte (b.label_compte)", "account"),
            ("Compte auxiliaire (b.subledger_account)", "subledger"),
            ("Libellé opération (b.label_operation)", "label"),
            ("Débit (b.debit)", "debit"),
            ("Crédit (b.credit)", "credit"),
            ("Direction (b.sens)", "side"),
        ),
        separator=",",
    ),
}


class JournalOptions(contract.Options, frozen=True, kw_only=True):
    """The keys of a journal in sinks.yaml."""

    folder: Path
    layout: Literal["hledger", "csv", "paheko", "odoo", "dolibarr"] = "hledger"
    #: The accounts of open charges; of prepaid credit; and of income that matches none of `accounts`.
    receivable: Account = "411"
    prepaid: Account = "4191"
    income: Account = "706"
    accounts: list[Income] = []
    #: The accounts of the tax, by VAT code; the rates are in the books.
    vat: list[VatAccount] = []
    #: The code of the sales journal in that program.
    journal: str = "VT"
    #: With layout csv: its columns.
    columns: list[ColumnOption] = []
    #: Of CSV files; None: that of the layout.
    separator: Literal[",", ";", "\t"] | None = None


class JournalSink:
    """Keeps the contract of sinks/contract.py."""

    Options = JournalOptions
    most = None
    searches = False
    needs_reference = False
    only_money = False
    only_receivables = False

    def __init__(self, options: JournalOptions, site: Site) -> None:
        codes = [one.code for one in options.vat]
        if len(set(codes)) < len(codes):
            raise UsageError("vat: found a code twice, wanted each once")
        if options.vat and site.includes_vat is None:
            raise UsageError(
                "vat: found accounts, wanted none: VAT is not applicable to this workshop (art. 293 B CGI)"
            )
        if options.columns and options.layout != "csv":
            raise UsageError(f"columns: found them with layout {options.layout}, wanted layout csv; or leave them out")
        values = {one.value for one in options.columns}
        if (pairs := values & _OF_PAIRS) and (postings := values & _OF_POSTINGS):
            raise UsageError(
                f"columns: found {', '.join(sorted(pairs))} with {', '.join(sorted(postings))}, wanted those of pairs or"
                " those of postings: a line cannot have both"
            )
        self._options = options
        self._site = site
        vat = {one.code: one.account for one in options.vat}
        own = (options.receivable, options.prepaid, options.income)
        self._chart = Chart(*own, options.accounts, vat, site.vat_rates, site.includes_vat)

    def send(self, items: Sequence[Month]) -> None:
        """Write a month. Raises Later if another one is there, a VAT code is unknown, or the disk is away or full."""
        for month in items:
            found = [_Numbered(n, entry) for n, entry in enumerate(self._entries(month), start=1)]
            with MonthFolder(self._options.folder, month.key) as new:
                if self._options.layout == "hledger":
                    new.write("entries.journal", self._hledger(month, found))
                else:
                    separator = self._options.separator or _LAYOUTS[self._options.layout].separator
                    new.write("entries.csv", write_csv(self._table(month, found), separator))

    def _entries(self, month: Month) -> list[AccountingEntry]:
        try:
            return entries(month, self._chart)
        except WithoutRateError as error:
            digits, currency = self._site.digits, self._site.currency
            found = ", ".join(
                f"{code or 'of prices without one'} ({decimal_text(sum_, digits)} {currency})"
                for code, sum_ in error.by_code.items()
            )
            wanted = "the account of its tax in vat in sinks.yaml" if error.has_rate else "a VAT rate, which may be 0"
            raise contract.Later(
                f"{month.key}: found the VAT code {found}, wanted {wanted}; nothing of this month is written until then"
            ) from error

    def find(self, items: Sequence[Any]) -> Collection[str]:  # noqa: ARG002 (an existing folder is compared)
        """Return nothing: an existing folder is compared."""
        return ()

    def _hledger(self, month: Month, found: Sequence[_Numbered]) -> Iterator[bytes]:
        digits, currency = self._site.digits, self._site.currency
        yield f"; fabgate {self._site.name}, {month.key}, sha256 {month.sha256}\n".encode()
        yield f"commodity 1000.{'0' * digits} {currency}\n".encode()
        for one in found:
            entry = one.entry
            lines = [
                f"\n{_last_day(month)} ({one.name(month)}) {entry.payer}  ; payer: {entry.payer}, settlement: {entry.settlement}"
            ]
            for number, posting in enumerate(entry.postings):
                account = f"{posting.account}:{_as_account(entry.payer)}" if number == 0 else posting.account
                lines.append(f"    {account:<40}  {decimal_text(posting.debit_minor, digits):>14} {currency}")
            yield ("\n".join(lines) + "\n").encode()

    def _table(self, month: Month, found: Sequence[_Numbered]) -> Table:
        layout = _LAYOUTS[self._options.layout]
        if self._options.columns:
            layout = layout._replace(columns=tuple((one.head, one.value) for one in self._options.columns))
        # with a decimal comma, an amount is a text, which is quoted where the comma separates columns
        amounts = _AMOUNTS if layout.mark == "." else frozenset()
        columns = [Column(head, NUMBER if value in amounts else TEXT) for head, value in layout.columns]
        return Table("Entries", columns, self._rows(month, found, layout))

    def _rows(self, month: Month, found: Sequence[_Numbered], layout: _Layout) -> Iterator[Sequence[Cell]]:
        wanted = [value for _head, value in layout.columns]
        in_pairs = not _OF_PAIRS.isdisjoint(wanted)
        day = layout.day.replace("%Y", f"{month.month:%Y}").replace("%m", f"{month.month:%m}")
        day = day.replace("%d", _last_day(month)[-2:])
        for one in found:
            common = {
                "date": day,
                "entry": one.name(month),
                "number": one.numeral(month),
                "journal": self._options.journal,
                "label": f"fabgate {month.key}, {one.entry.payer}",
                "payer": one.entry.payer,
                "reference": month.payers[one.entry.payer][1],
                "currency": self._site.currency,
                "nothing": "",
            }
            postings = self._postings(one.entry, layout, month.payers[one.entry.payer][1])
            lines = self._pairs(one.entry, layout) if in_pairs else postings
            for number, line in enumerate(lines):
                cells = {**common, **line}
                yield ["" if layout.is_once and number and name in _ONCE else cells[name] for name in wanted]

    def _postings(self, entry: AccountingEntry, layout: _Layout, reference: str) -> Iterator[dict[str, str]]:
        for number, (account, debit_minor) in enumerate(entry.postings):
            amount = self._amount(abs(debit_minor), layout)
            zero = self._amount(0, layout)
            is_debit = debit_minor > 0
            yield {
                "account": account,
                "subledger": "" if number else reference,
                "debit": amount if is_debit else zero,
                "credit": zero if is_debit else amount,
                "side": "D" if is_debit else "C",
            }

    def _pairs(self, entry: AccountingEntry, layout: _Layout) -> Iterator[dict[str, str]]:
        """Yield each credit with the account of the payer as its debit; a negative one the other way round."""
        own = entry.postings[0].account
        for posting in entry.postings[1:]:
            sides = (own, posting.account) if posting.debit_minor < 0 else (posting.account, own)
            amount = self._amount(abs(posting.debit_minor), layout)
            yield dict(zip(("debit_account", "credit_account", "amount"), (*sides, amount), strict=True))

    def _amount(self, amount_minor: int, layout: _Layout) -> str:
        return decimal_text(amount_minor, self._site.digits).replace(".", layout.mark)


class _Numbered(NamedTuple):
    """An entry with its number in the month."""

    number: int
    entry: AccountingEntry

    def name(self, month: Month) -> str:
        """Return the entry's name, which is the same in every layout."""
        return f"fabgate-{month.key}-{self.number}"

    def numeral(self, month: Month) -> str:
        """Return a number that no entry of another month has, for programs that know entries by numbers below 2**31."""
        return f"{month.month:%y%m}{self.number:05}"


def _last_day(month: Month) -> str:
    return month.month.replace(day=monthrange(month.month.year, month.month.month)[1]).isoformat()


def _as_account(payer: str) -> str:
    """Return a payer as a part of an account's name: hledger ends it at two blanks, and comments begin with a semicolon."""
    return "-".join(payer.replace(";", "-").split())
