"""Commands on the floor: what became of each, and who gave it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from fabgate.collector.faces.pages.floor import recent_commands, stations
from fabgate.collector.ground.models import (
    Gate,
    Order,
)
from fabgate.collector.members.machines import commands
from tests.collector.faces.pages.floor.orders import a_gate, order  # noqa: F401 (fixture)

pytestmark = pytest.mark.usefixtures("fresh_now")

NOW = datetime.now(UTC)
MINUTE = timedelta(minutes=1)


# --- orders -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("minutes_ago", "outcome", "expected"),
    [
        (0.5, "", ("starting", "Sent")),
        (2, "", ("warn", "No answer within a minute")),
        (2, "done", ("ok", "Done")),
        (2, "refused", ("bad", "Refused")),
        (2, commands.NOT_SENT, ("warn", "Not sent: message broker offline")),
        (2, "postponed", ("warn", "postponed")),
    ],
)
def test_what_became_of_an_order_is_said_in_words(minutes_ago, outcome, expected):
    assert recent_commands.outcome(order(NOW, minutes_ago, outcome=outcome), NOW) == expected


@pytest.mark.parametrize("outcome", ["", commands.WAITING])
def test_an_order_to_lock_says_since_when_its_gate_is_silent_and_that_it_knows_once_it_does(outcome):
    heard = NOW - 20 * MINUTE  # without a last will: it never said that it goes
    Gate.objects.update(roster_version=5, reported_roster=4, seen_at=heard, online=True)
    said = f"Its gate has been offline since {stations.moment(heard)}; it will be updated when it is back"
    for minutes_ago in (0.5, 10):
        locked = order(NOW, minutes_ago, command="lock", outcome=outcome)
        assert recent_commands.outcome(locked, NOW) == ("warn", said)
    Gate.objects.update(seen_at=NOW)
    locked = Order.objects.get(pk=locked.pk)
    back = "Its gate is back; sending now" if outcome else "No answer within a minute"
    assert recent_commands.outcome(locked, NOW)[1] == back
    Gate.objects.update(reported_roster=5)
    assert recent_commands.outcome(Order.objects.get(pk=locked.pk), NOW) == ("ok", "Applied on the gate")
    Gate.objects.update(seen_at=None)
    Gate.objects.update(reported_roster=4)
    assert recent_commands.outcome(Order.objects.get(pk=locked.pk), NOW) == ("warn", "Its gate has never been online")


def test_an_order_that_no_roster_repeats_is_not_promised_to_a_silent_gate():
    Gate.objects.update(roster_version=5, reported_roster=5, seen_at=NOW - 20 * MINUTE)
    assert recent_commands.outcome(order(NOW, 2), NOW) == ("warn", "No answer within a minute")


def test_orders_of_the_last_half_hour_stand_on_the_floor_with_who_gave_them(browse, account):
    account("maintainer", name="maya", display_name="Maya Durand")
    order(NOW, 5, outcome="refused", detail="it expired")
    order(NOW, 31)
    order(NOW, 1, actor="cli:eve")
    found = recent_commands.recent(NOW)
    assert [(one.actor, one.where, one.what) for one in found] == [
        ("eve (command line)", "Bandsaw", "Stop"),
        ("Maya Durand", "Bandsaw", "Stop"),
    ]
    page = browse("trainer").get("/floor").content.decode()
    assert "Maya Durand · it expired" in page
