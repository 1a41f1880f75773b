"""Does Tryton post the invoices of closed months, each charge once, with the totals of the books?"""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import Collector, Member, PrepaidChange, Sink, SinkLetter
from fabgate.collector.money.billing.paying import payers
from fabgate.collector.money.billing.sinks import config, decisions, engine, feeds, status
from fabgate.collector.money.billing.sinks.config import Configured
from fabgate.collector.money.billing.sinks.drivers.tryton import TrytonSink
from tests.collector.engines.serving import serving
from tests.collector.money.billing.booked import FIRST
from tests.collector.money.billing.sinks.programs import Clock
from tests.collector.money.billing.sinks.sent import NOW, Killed

pytestmark = pytest.mark.usefixtures("database")
MONTH = f"{FIRST:%Y-%m}"
PASSWORD = "four small boats"
_CONFIG = """
[database]
uri = sqlite://
path = {folder}
[web]
listen = 127.0.0.1:{port}
"""
#: Makes a company in euros with a chart of accounts, fiscal years and three parties, as Tryton's own tests do.
_SETUP = """
import datetime as dt
from proteus import Model, config
config.set_trytond("fabgate", config_file="trytond.conf")
from trytond.modules.account.tests.tools import create_chart, create_fiscalyear
from trytond.modules.account_invoice.tests.tools import set_fiscalyear_invoice_sequences
from trytond.modules.company.tests.tools import create_company, get_company
from trytond.modules.currency.tests.tools import get_currency
create_company(currency=get_currency("EUR"))
company = get_company()
create_chart(company)
today = dt.date.today()
days = dt.date(today.year - 1, 1, 1), dt.date(today.year + 1, 12, 31)
year = set_fiscalyear_invoice_sequences(create_fiscalyear(company, today=days))
year.click("create_period")
Party = Model.get("party.party")
for name in ("m-1", "m-2", "m-3"):
    party = Party(name=name, code=name)
    party.save()
"""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A Tryton with a company, which this computer alone can reach."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    site = tmp_path / "tryton"
    site.mkdir()
    (site / "trytond.conf").write_text(_CONFIG.format(folder=site, port=port))
    (site / "password").write_text(PASSWORD)
    (site / "fabgate.sqlite").touch()
    binaries = Path(os.environ.get("FABGATE_ENGINES", ".venv-engines")).absolute() / "bin"
    env = {**os.environ, "TRYTONPASSFILE": str(site / "password")}
    modules = ["--all", "-u", "account_invoice", "--activate-dependencies", "--email", "ada@example.org"]
    for command in (
        [str(binaries / "trytond-admin"), "-c", "trytond.conf", "-d", "fabgate", *modules],
        [str(binaries / "python"), "-c", _SETUP],
    ):
        done = subprocess.run(command, cwd=site, env=env, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr
    serve = [str(binaries / "trytond"), "-c", "trytond.conf", "-d", "fabgate"]
    with serving(serve, site, ("127.0.0.1", port)):
        yield f"http://127.0.0.1:{port}/fabgate/rpc"


def test_tryton_posts_the_invoices_with_the_totals_of_the_books(address, tmp_path, books):
    for number in (1, 2, 3):
        payer = payers.ensure(payers.of_member(Member.objects.get(pk=f"m-{number}")), actor="eve")
        payers.set_references(payer, {"tryton": f"m-{number}" if number < 3 else "nobody"}, actor="eve")
    PrepaidChange.objects.create(payer="m-1", since=FIRST, prepays=True)
    (tmp_path / "password").write_text(PASSWORD)
    options = TrytonSink.Options(
        since=MONTH,
        url=address,
        username="admin",
        password_file=tmp_path / "password",
        receivable="1.2.1",
        income="4.1.2",
    )
    one = Configured("tryton", "tryton", TrytonSink, options)
    clock, sent = Clock(NOW), []

    def die() -> None:
        sent.append(1)
        if len(sent) in {3, 7}:
            raise Killed

    clock.hooks = [die]
    for _try in range(2):  # killed between sending and the cursor, twice
        with pytest.raises(Killed):
            engine.deliver(one, clock)
    clock.hooks = []
    engine.deliver(one, clock)
    row = Sink.objects.get()
    assert row.trouble == ""
    (dead,) = decisions.left(row, SinkLetter.DEAD)
    assert (dead.payer, dead.why) == ("m-3", "found no party with the code 'nobody'")
    payers.set_references(payers.get("m-3"), {"tryton": "m-3"}, actor="eve")
    decisions.retry(row, actor="eve", reason="a wrong code")
    engine.deliver(one, clock)
    SinkLetter.objects.all().delete()  # a restore to before everything
    Sink.objects.update(cursor="", attempt=[])
    audit.record(audit.START, audit.RESTORED, Collector.objects.get())
    decisions.reconcile(Sink.objects.get(), actor="eve", reason="a test")
    engine.deliver(one, clock)
    for month in status.months(Sink.objects.get(), FIRST):
        assert month.open_minor == 0

    feed = feeds.of(TrytonSink, row, options, config.site_of())
    charges, place = [], ""
    while (more := feed.after(place, 50, NOW))[0]:
        charges, place = charges + more[0], more[1]
    wanted = [item for item in charges if item.settlement == "receivable"]
    tryton = TrytonSink(options, config.site_of())
    lines = tryton._model("account.invoice.line", "search_read", [], 0, None, None, ["note", "amount"])
    assert sorted((line["note"], cents(line["amount"])) for line in lines) == sorted(
        (item.key, item.amount_minor) for item in wanted
    )
    invoices = tryton._model("account.invoice", "search", [["state", "=", "draft"]])
    assert len(invoices) == len({(item.payer, item.month) for item in wanted})
    tryton._model("account.invoice", "post", invoices)
    rows = tryton._model("account.invoice", "search_read", [], 0, None, None, ["state", "total_amount"])
    assert {row["state"] for row in rows} == {"posted"}
    assert sum(cents(row["total_amount"]) for row in rows) == sum(item.amount_minor for item in wanted)


def cents(amount: dict[str, str]) -> int:
    return int(Decimal(amount["decimal"]) * 100)
