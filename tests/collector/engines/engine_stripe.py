"""Does the Stripe SDK make each invoice item once at localstripe, which ignores Idempotency-Key, whatever goes wrong?"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import stripe

from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import Collector, Member, PrepaidChange, Sink, SinkLetter
from fabgate.collector.money.billing.paying import payers
from fabgate.collector.money.billing.sinks import config, decisions, engine, feeds, status
from fabgate.collector.money.billing.sinks.config import Configured
from fabgate.collector.money.billing.sinks.drivers.stripe import StripeSink
from tests.collector.engines.serving import serving
from tests.collector.money.billing.booked import FIRST
from tests.collector.money.billing.sinks.programs import Clock
from tests.collector.money.billing.sinks.sent import NOW, Killed

pytestmark = pytest.mark.usefixtures("database")
MONTH = f"{FIRST:%Y-%m}"
#: localstripe binds every interface; here it may be reached from this computer only.
_PROGRAM = """
import socket
class Loopback(socket.socket):
    def bind(self, address):
        super().bind(("::1", *address[1:]) if address[0] == "::" else address)
socket.socket = Loopback
from localstripe.server import start
start()
"""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    with socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        port = probe.getsockname()[1]
    python = Path(os.environ.get("FABGATE_ENGINES", ".venv-engines")).absolute() / "bin" / "python"
    command = [str(python), "-c", _PROGRAM, "--port", str(port), "--from-scratch"]
    with serving(command, tmp_path, ("::1", port)):
        yield f"http://[::1]:{port}"


@pytest.fixture
def client(address: str) -> stripe.StripeClient:
    return stripe.StripeClient("sk_test_1", base_addresses={"api": address})


@pytest.fixture
def sink(address: str, client: stripe.StripeClient, tmp_path: Path, books) -> Configured:
    """A sink with a customer for each payer; m-1 prepays."""
    for number in (1, 2, 3):
        customer = client.v1.customers.create(params={"name": f"m-{number}"})
        payer = payers.ensure(payers.of_member(Member.objects.get(pk=f"m-{number}")), actor="eve")
        payers.set_references(payer, {"stripe": customer.id}, actor="eve")
    PrepaidChange.objects.create(payer="m-1", since=FIRST, prepays=True)
    (tmp_path / "key").write_text("sk_test_1")
    options = StripeSink.Options(since=MONTH, url=address, key_file=tmp_path / "key")
    return Configured("stripe", "stripe", StripeSink, options)


def items(client: stripe.StripeClient) -> dict[str, int]:
    """Return the invoice items: charge -> amount; each is there once."""
    found = list(client.v1.invoice_items.list(params={"limit": 100}).auto_paging_iter())
    ids = [item.metadata["fabgate_charge"] for item in found]
    assert len(set(ids)) == len(ids)
    return dict(zip(ids, (item.amount for item in found), strict=True))


def wanted(sink: Configured) -> dict[str, int]:
    """Return the charges that are to be invoiced."""
    feed = feeds.of(sink.driver, engine.row_of(sink), sink.options, config.site_of())
    found, place = [], ""
    while (more := feed.after(place, 50, NOW))[0]:
        found, place = found + more[0], more[1]
    return {item.key: item.amount_minor for item in found if item.settlement == "receivable"}


def test_every_receivable_charge_is_an_invoice_item_once(sink, client):
    clock, sent = Clock(NOW), []

    def die() -> None:
        sent.append(1)
        if len(sent) in {3, 7}:
            raise Killed

    clock.hooks = [die]
    for _try in range(2):  # killed between sending and the cursor, twice
        with pytest.raises(Killed):
            engine.deliver(sink, clock)
    engine.deliver(sink, clock)
    assert items(client) == wanted(sink)
    assert any(amount < 0 for amount in items(client).values())
    for month in status.months(Sink.objects.get(), FIRST):
        assert month.open_minor == 0
    assert not decisions.left(Sink.objects.get(), *SinkLetter.STATES).exists()
    # a restore to before everything
    SinkLetter.objects.all().delete()
    Sink.objects.update(cursor="", attempt=[])
    audit.record(audit.START, audit.RESTORED, Collector.objects.get())
    decisions.reconcile(Sink.objects.get(), actor="eve", reason="a test")
    engine.deliver(sink, lambda: NOW)
    assert items(client) == wanted(sink)


def test_a_customer_that_does_not_exist_is_a_dead_letter(sink, client):
    payer = payers.get("m-2")
    payers.set_references(payer, {"stripe": "cus_none"}, actor="eve")
    engine.deliver(sink, lambda: NOW)
    dead = decisions.left(Sink.objects.get(), SinkLetter.DEAD)
    assert {letter.payer for letter in dead} == {"m-2"}
    assert "404" in dead[0].why
    customer = client.v1.customers.create(params={"name": "m-2"})
    payers.set_references(payer, {"stripe": customer.id}, actor="eve")
    decisions.retry(Sink.objects.get(), actor="eve", reason="the customer is there now")
    engine.deliver(sink, lambda: NOW)
    assert items(client) == wanted(sink)
