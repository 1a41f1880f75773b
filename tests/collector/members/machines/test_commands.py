"""Orders to a gate: written down first, sealed, for the boot that runs now, and honest about what was not sent."""

from __future__ import annotations

from datetime import timedelta

import pytest

from fabgate import wire
from fabgate.collector.ground.models import Gate, Order, Pulse
from fabgate.collector.members.access import roster
from fabgate.collector.members.machines import commands
from fabgate.errors import UsageError

pytestmark = pytest.mark.usefixtures("env")


@pytest.fixture
def online(gate) -> Gate:
    gate.online, gate.boot = True, "boot-7"
    gate.save()
    return gate


def test_an_order_is_sealed_written_down_and_expires(env, online, told):
    order = commands.send(online, "extend", "eve", reason="nearly done", seconds=600)
    (message,) = told
    sent = wire.decode(message.body, wire.Command)
    assert (sent.id, sent.verb, sent.boot, sent.actor, sent.seconds) == (order.pk, "extend", "boot-7", "eve", 600)
    assert (sent.reason, sent.lock, sent.roster) == ("nearly done", None, None)
    assert sent.expires - sent.issued == timedelta(seconds=wire.COMMAND_LIFE_S)
    assert (message.topic, message.retain, message.expiry_s) == ("fabgate/v1/lyon/laser-1/command", False, 60)
    roster.gate_keys(env, "laser-1").verify(message.seal, wire.PURPOSE_COMMAND, "lyon/laser-1", message.body)
    kept = Order.objects.get()
    assert (kept.command, kept.actor, kept.reason, kept.outcome, kept.answered_at) == (
        *("extend", "eve", "nearly done"),
        *("", None),
    )
    assert (kept.at, kept.until) == (sent.issued, sent.expires)
    assert Pulse.objects.latest("id").topic == "order"


def test_one_that_the_broker_did_not_take_says_so(online):
    order = commands.send(online, "stop", "eve")
    assert (order.outcome, order.answered_at is None) == ("not-sent", False)


@pytest.mark.parametrize("verb", ["start", "on", "lock", "unlock", ""])
def test_no_order_switches_on_and_a_lock_is_none(online, told, verb):
    with pytest.raises(UsageError, match="wanted one of stop, extend, identify"):
        commands.send(online, verb, "eve")
    assert (told, Order.objects.count()) == ([], 0)


@pytest.mark.parametrize(("verb", "seconds"), [("extend", None), ("extend", 0), ("extend", 10**9), ("stop", 5)])
def test_a_time_is_for_extending_and_within_reason(online, told, verb, seconds):
    with pytest.raises(UsageError, match="seconds for"):
        commands.send(online, verb, "eve", seconds=seconds)
    assert not Order.objects.exists()


def test_a_gate_that_is_offline_is_given_none(gate, told):
    with pytest.raises(UsageError, match="laser-1 is offline"):
        commands.send(gate, "identify", "eve")
    assert told == []
