"""A session is stopped and extended from the floor, and what the page says about it is true."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings

from fabgate import wire
from fabgate.collector.faces.pages.floor import extensions
from fabgate.collector.ground.models import Gate, Machine, Order
from fabgate.collector.members.access import roster
from tests.collector.faces.pages.counter import said
from tests.collector.faces.pages.floor.saw import BROKEN, LOCK, UNLOCK, a_gate  # noqa: F401 (fixture)

ORDER = "/floor/gates/saw-1/order"


@pytest.mark.parametrize(
    ("typed", "verb", "seconds"),
    [("stop", "stop", None), ("extend-1800", "extend", 1800), ("identify", "identify", None)],
)
def test_an_order_is_sealed_for_its_gate_and_written_down(desk, broker, typed, verb, seconds):
    response = desk.post(ORDER, {"verb": typed})
    assert (response.status_code, response.headers["Location"]) == (303, "/floor")
    (command,) = broker.commands()
    assert (command.verb, command.seconds, command.actor, command.boot) == (verb, seconds, "desk", "boot-7")
    (sent,) = broker.taken
    keys = roster.gate_keys(settings.ENVIRONMENT, "saw-1")
    keys.verify(sent.seal, wire.PURPOSE_COMMAND, "lyon/saw-1", sent.body)
    order = Order.objects.get()
    assert (order.id, order.actor, order.outcome) == (command.id, "desk", "")


@pytest.mark.parametrize(
    ("limit_s", "offered"),
    [
        (600, {"extend-600": "10 min"}),
        (30, {"extend-30": "30 s"}),
        (2_700, {"extend-900": "15 min", "extend-1800": "30 min", "extend-2700": "45 min"}),
        (14_400, {"extend-900": "15 min", "extend-1800": "30 min", "extend-3600": "1 h"}),
    ],
)
def test_no_more_time_is_offered_than_a_gate_gives_at_once(desk, broker, limit_s, offered):
    Machine.objects.update(rules={"limit_s": limit_s, "max_s": 86_400})
    assert extensions.choices(Machine.objects.get()) == offered
    refused = "extend-3600" if "extend-3600" not in offered else "extend-14400"
    assert desk.post(ORDER, {"verb": refused}).status_code == 400
    assert not broker.taken
    desk.post(ORDER, {"verb": next(iter(offered))})
    assert broker.commands()[0].seconds == int(next(iter(offered)).removeprefix("extend-"))


def test_a_second_click_gives_no_second_half_hour(desk, manager, broker):
    for client in (desk, manager):  # impatient, or in another tab, or somebody else
        first_or_second = client.post(ORDER, {"verb": "extend-1800"})
        assert first_or_second.status_code == 303
    assert said(first_or_second).startswith("desk has just requested more time for Bandsaw.")
    assert [one.seconds for one in broker.commands()] == [1800]
    assert Order.objects.count() == 1
    Order.objects.update(outcome="done")
    assert "has just requested more time" in said(desk.post(ORDER, {"verb": "extend-900"}))
    assert desk.post(ORDER, {"verb": "stop"}).status_code == 303
    assert [one.verb for one in broker.commands()] == ["extend", "stop"]


@pytest.mark.parametrize(
    ("age_s", "outcome", "is_given"),
    [(30, "", False), (30, "done", True), (61, "", True), (1, "refused", True), (1, "not-sent", True)],
)
def test_more_time_is_given_again_once_it_is_known_what_became_of_the_last(desk, broker, age_s, outcome, is_given):
    desk.post(ORDER, {"verb": "extend-1800"})
    order = Order.objects.get()
    before = timedelta(seconds=age_s)
    Order.objects.update(outcome=outcome, at=order.at - before, until=order.until - before)
    desk.post(ORDER, {"verb": "extend-1800"})
    assert len(broker.commands()) == 1 + is_given


def test_a_page_that_lay_open_stops_and_extends_nobody_who_came_after(desk, broker):
    def buttons(page: str) -> dict[str, str]:
        return {
            verb: address
            for address, verb in re.findall(rf'formaction="({ORDER}[^"]*)" name="verb" value="(.+?)"', page)
        }

    Gate.objects.update(state="active", session="s-1", session_member="m-1")
    lay_open = [buttons(desk.get(page).content.decode()) for page in ("/floor", "/floor/closing")]
    assert [sorted(found) for found in lay_open] == [
        ["extend-1800", "extend-3600", "extend-900", "identify", "stop"],
        ["stop"],
    ]
    Gate.objects.update(session="s-2", session_member="m-2")
    for address, verb in ((found[verb], verb) for found in lay_open for verb in found):
        if verb != "identify":
            answer = desk.post(address, {"verb": verb})
            assert answer.status_code == 409
            assert "That session has ended. Check who is using Bandsaw now." in answer.content.decode()
    assert not broker.commands()
    now = buttons(desk.get("/floor").content.decode())
    assert desk.post(now["stop"], {"verb": "stop"}).status_code == 303
    assert [one.verb for one in broker.commands()] == ["stop"]


@pytest.mark.parametrize("verb", ["", "lock", "unlock", "start", "clear-fault", "extend", "extend-9999", "extend-"])
def test_an_order_that_is_none_of_the_floors_is_refused(desk, broker, verb):
    assert desk.post(ORDER, {"verb": verb}).status_code == 400
    assert not broker.taken
    assert not Order.objects.exists()


@pytest.mark.parametrize("gone", [{"online": False}, {"boot": ""}, {"seen_at": None}])
def test_no_order_is_pretended_to_reach_a_gate_that_is_not_there(desk, broker, gone):
    Gate.objects.update(**gone)
    assert "The gate cannot receive commands now" in said(desk.post(ORDER, {"verb": "stop"}))
    assert not Order.objects.exists()
    assert not broker.taken


def test_an_order_that_the_broker_did_not_take_is_said_not_to_be_sent(desk, broker):
    broker.is_away = True
    assert "nothing was sent to Bandsaw" in said(desk.post(ORDER, {"verb": "stop"}))
    assert "Not sent: message broker offline" in desk.get("/floor").content.decode()


def test_nobody_is_led_to_another_site(desk):
    assert desk.post(ORDER, {"verb": "identify", "next": "https://evil.example/"}).headers["Location"] == "/floor"
    assert desk.post(LOCK, {**BROKEN, "next": "//evil.example"}).headers["Location"] == "/floor"


@pytest.mark.parametrize("role", ["trainer", "accountant", "auditor", "member"])
def test_who_may_not_act_is_refused_and_sees_no_button(browse: Callable[..., Any], role):
    client = browse(role)
    for address, typed in ((LOCK, BROKEN), (UNLOCK, {}), (ORDER, {"verb": "stop"})):
        assert client.post(address, typed).status_code == 403
    page = client.get("/floor")
    assert page.status_code == (403 if role in {"accountant", "member"} else 200)
    assert LOCK not in page.content.decode()
    assert ORDER not in page.content.decode()
