"""Does hledger accept the journal of closed months, and find it balanced, with the totals of the books?"""

from __future__ import annotations

import csv
import io
import subprocess
from decimal import Decimal
from pathlib import Path

import pytest

from fabgate.collector.ground.models import ClosedMonth, PrepaidChange
from fabgate.collector.money.billing.charges import decisions
from fabgate.collector.money.billing.sinks import engine
from fabgate.collector.money.billing.sinks.config import Configured
from fabgate.collector.money.billing.sinks.drivers.journal import JournalSink
from fabgate.collector.money.billing.sinks.postings import VatAccount
from fabgate.collector.money.billing.vat import rates
from tests.collector.money.billing.booked import FIRST, MONTHS, close
from tests.collector.money.billing.sinks.sent import NOW

pytestmark = pytest.mark.usefixtures("database")


def hledger(folder: Path, *words: str) -> str:
    files = [word for path in sorted(folder.glob("*/entries.journal")) for word in ("-f", str(path))]
    done = subprocess.run(["hledger", *files, *words], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_hledger_balances_the_journal_and_has_the_totals_of_the_books(tmp_path, books):
    PrepaidChange.objects.create(payer="m-2", since=FIRST, prepays=True)
    decisions.add_line("m-1", "Taxed", 1_199, day=FIRST, author="eve", vat_code="normal")
    decisions.add_line("m-1", "Taxed too", -450, day=FIRST, author="eve", vat_code="low")
    close(MONTHS[2])
    (tmp_path / "books").mkdir()
    vat = [VatAccount(code="normal", account="44571"), VatAccount(code="low", account="44572")]
    for code, percent in {"normal": "20", "low": "5.5", "": "0"}.items():
        rates.set_rate(code, Decimal(percent), actor="eve")
    options = JournalSink.Options(since=f"{FIRST:%Y-%m}", folder=tmp_path / "books", vat=vat)
    one = Configured("journal", "journal", JournalSink, options)
    while engine.deliver(one, lambda: NOW):
        pass
    assert len(list((tmp_path / "books").iterdir())) == 3
    hledger(tmp_path / "books", "check", "parseable", "autobalanced", "commodities")
    printed = hledger(tmp_path / "books", "balance", "--depth", "1", "--no-total", "-O", "csv")
    balances = {row["account"]: row["balance"].split()[0] for row in csv.DictReader(io.StringIO(printed))}
    cents = {account: int(100 * Decimal(amount)) for account, amount in balances.items()}
    assert sum(cents.values()) == 0
    total = sum(closed.amount_minor for closed in ClosedMonth.objects.all())
    assert cents["411"] + cents["4191"] == total
    assert cents["706"] + cents["44571"] + cents["44572"] == -total
    assert {"4191:m-2", "411:m-1"} <= {*hledger(tmp_path / "books", "accounts").split()}
    assert "prepaid" in hledger(tmp_path / "books", "tags", "--values", "settlement")
