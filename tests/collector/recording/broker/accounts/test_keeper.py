"""Are the accounts of a running broker those of the database, whatever happens to either?"""

from __future__ import annotations

from pathlib import Path

import pytest

from fabgate import wire
from fabgate.collector.ground.models import BrokerAccount
from tests.support.mosquitto import MOSQUITTO

pytestmark = [
    pytest.mark.broker,
    pytest.mark.skipif(not Path(MOSQUITTO).exists(), reason="Mosquitto is not installed here (Debian: mosquitto)"),
]

SAW, LASER = wire.GateTopics("lyon", "saw-1"), wire.GateTopics("lyon", "laser-1")
REFUSED = "Not authorized"


def test_a_gate_connects_once_the_broker_has_confirmed_its_account(let_in, keeper, connect):
    let_in("saw-1")
    assert connect("saw-1").greeting == REFUSED
    assert keeper.is_due()
    keeper.turn()
    assert not keeper.is_due()
    assert BrokerAccount.objects.get().confirmed_at is not None
    gate = connect("saw-1")
    assert gate.greeting == "Success"
    assert gate.limits.MaximumQoS == 1
    assert gate.publish(SAW.topic("status")) == "Success"
    assert [gate.publish(LASER.topic("status")), gate.subscribe("#")] == [REFUSED] * 2


def test_a_broker_that_starts_has_the_accounts_of_the_database(let_in, broker, connect):
    let_in("saw-1")
    broker.stop()
    broker.start()
    assert connect("saw-1").greeting == "Success"
