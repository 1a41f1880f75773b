"""The archive of a month: its charges and lines as CSV and JSON by ids, and apart from them the names.

The files of a closed month are always the same bytes, because its rows never change; their SHA-256 are stored when it is
closed. The names are in a file of their own, because they can be erased.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any, Final

from fabgate.collector.ground.models import Charge, IssuedStatement, ManualLine
from fabgate.collector.ground.tables.csv_safety import escape_cell
from fabgate.collector.money.billing import terms
from fabgate.collector.money.billing.charges import refresh, vat_codes
from fabgate.collector.money.billing.charges.record import Record

#: Is raised when a column is added: programs ignore columns that they do not know.
FORMAT: Final = 1
_CHARGE: Final = (
    *("charge_id", "month", "of_month", "payer", "used_by", "machine", "session", "class", "plan", "purpose"),
    *("started_at", "ended_at", "counted_ms", "running_ms", "free_ms", "amount_minor", "currency", "vat_code"),
    *("reverses", "rule", "terms"),
)
_LINE: Final = (
    *("line", "month", "payer", "text", "amount_minor", "currency", "vat_code", "session", "author", "at", "day"),
)
#: Rows that are sent at once.
_AT_ONCE: Final = 1_000


def files(month: date) -> dict[str, Callable[[], Iterator[bytes]]]:
    """Return what makes each file of a month's archive, by its name. They have ids; `names` has the names."""
    return {
        f"{month:%Y-%m}-charges.csv": lambda: _csv(_CHARGE, _charges(month)),
        f"{month:%Y-%m}-lines.csv": lambda: _csv(_LINE, _lines(month)),
        f"{month:%Y-%m}.json": lambda: _json(month),
    }


def names_file(month: date) -> str:
    """Return the name of the file that `names` makes."""
    return f"{month:%Y-%m}-names.json"


def names(month: date) -> Iterator[bytes]:
    """Yield the words of the statements of a closed month, as JSON: names, addresses and reasons, if not erased."""
    yield b'{"month":"%b","statements":[' % f"{month:%Y-%m}".encode()
    rows = IssuedStatement.objects.filter(month=month).order_by("payer").values_list("payer", "words")
    for number, (payer, words) in enumerate(rows.iterator()):
        yield (b"\n" if not number else b",\n") + _text({"payer": payer, "words": words})
    yield b"\n]}\n"


def digests(month: date) -> dict[str, str]:
    """Return the SHA-256 of each file without names, in hexadecimal digits."""
    return {name: _sha256(make()) for name, make in files(month).items()}


def _charges(month: date) -> Iterator[tuple[Any, ...]]:
    codes, currency = vat_codes.by_terms(), terms.get().currency
    for row in refresh.records(Charge.objects.filter(month=month).order_by("payer", "pk")):
        yield _charge(row, codes, currency)


def _charge(row: Record, codes: dict[str, str], currency: str) -> tuple[Any, ...]:
    return (
        *(row.id, f"{row.month:%Y-%m}", f"{row.of_month:%Y-%m}", row.payer, row.used_by, row.machine, row.session),
        *(
            row.kind,
            row.plan,
            row.purpose,
            row.started_at.isoformat() if row.started_at else "",
            row.ended_at.isoformat(),
        ),
        *(row.counted_ms, row.running_ms, row.free_ms, row.amount_minor, currency),
        *(codes[row.terms] if row.terms else "", row.reverses, row.rule_id or "", row.terms),
    )


def _lines(month: date) -> Iterator[tuple[Any, ...]]:
    currency = terms.get().currency
    for row in ManualLine.objects.filter(month=month).order_by("payer", "pk").iterator():
        yield (
            *(row.pk, f"{row.month:%Y-%m}", row.payer, row.text, row.amount_minor, currency, row.vat_code, row.session),
            *(row.author, row.at.isoformat(), row.day.isoformat()),
        )


def _csv(columns: tuple[str, ...], rows: Iterator[tuple[Any, ...]]) -> Iterator[bytes]:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for number, row in enumerate(rows, 1):
        writer.writerow([escape_cell(cell) if isinstance(cell, str) else cell for cell in row])
        if not number % _AT_ONCE:
            yield _emptied(out)
    yield _emptied(out)


def _emptied(out: io.StringIO) -> bytes:
    text = out.getvalue()
    out.seek(0)
    out.truncate()
    return text.encode()


def _json(month: date) -> Iterator[bytes]:
    yield _text({"format": FORMAT, "month": f"{month:%Y-%m}", "currency": terms.get().currency})[:-1] + b',"charges":['
    yield from _objects(_CHARGE, _charges(month))
    yield b'],"lines":['
    yield from _objects(_LINE, _lines(month))
    yield b"]}\n"


def _objects(columns: tuple[str, ...], rows: Iterator[tuple[Any, ...]]) -> Iterator[bytes]:
    batch: list[bytes] = []
    is_first = True
    for row in rows:
        batch.append((b"\n" if is_first else b",\n") + _text(dict(zip(columns, row, strict=True))))
        is_first = False
        if len(batch) == _AT_ONCE:
            yield b"".join(batch)
            batch.clear()
    yield b"".join(batch)


def _text(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _sha256(chunks: Iterator[bytes]) -> str:
    found = hashlib.sha256()
    for chunk in chunks:
        found.update(chunk)
    return found.hexdigest()
