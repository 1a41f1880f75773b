"""Is an open page told just what it asks for again, and that the same as on the whole page?"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from fabgate.collector.faces.pages.events import live_regions
from fabgate.collector.ground.models import Gate, Machine, Member

FLOOR = ("floor-cut-off", "floor-steps", "floor-machines", "floor-refused", "floor-here", "floor-orders")


@pytest.fixture(autouse=True)
def workshop(database) -> None:
    now = datetime.now(UTC)
    for number in range(live_regions.MOST_GATES + 2):
        machine = Machine.objects.create(name=f"m-{number}", title=f"Machine {number:02}")
        more = {"state": "active", "session": f"s-{number}", "session_member": "ada", "state_since": now}
        Gate.objects.create(name=f"g-{number}", machine=machine, online=True, seen_at=now, boot="b", **more)
    Machine.objects.create(name="without")
    Member.objects.create(id="ada", name="Ada Lovelace")


def again(client: Any, *regions: str, gates: str = "", address: str = "/floor") -> str:
    headers = {"X-Live": " ".join(regions), **({"X-Live-Gates": gates} if gates else {})}
    answer = client.get(address, headers=headers)
    assert answer.status_code == 200
    return answer.content.decode()


def cards(page: str) -> dict[str, str]:
    found = re.findall(r'<article class="card station.*?</article>', page, re.DOTALL)
    return {re.search(r'id="at-([^"]+)"', card)[1]: card for card in found}


def regions(page: str) -> list[str]:
    return re.findall(r'id="([^"]+)" data-live=', page)


def test_a_page_that_is_opened_has_everything(browse):
    page = browse("manager").get("/floor").content.decode()
    assert regions(page) == ["records", *FLOOR]
    assert len(cards(page)) == live_regions.MOST_GATES + 3
    assert "<title>" in page
    assert "data-live-part" not in page


@pytest.mark.parametrize("region", FLOOR)
def test_a_region_that_is_asked_for_comes_alone_and_as_it_is_on_the_whole_page(browse, region):
    client = browse("manager")
    page = again(client, region)
    assert regions(page) == [region]
    begins = page.index(f'id="{region}"')
    piece = page[begins : page.index("</ul>" if "<ul" in page[begins - 20 : begins] else "</div>", begins)]
    assert piece in client.get("/floor").content.decode()


def test_nothing_that_stands_around_a_page_comes_again(browse):
    page = again(browse("manager"), "floor-here", address="/floor")
    for around in ("<html", "<title", "<nav", "<script", 'class="records'):
        assert around not in page


def test_a_page_that_has_no_parts_comes_without_what_stands_around_it(browse):
    page = again(browse("manager"), "gates-list", address="/gates")
    assert 'id="gates-list"' in page
    assert "<nav" not in page


def test_what_is_said_once_is_left_to_the_page_for_which_it_waits(browse):
    client = browse("manager")
    client.post("/floor/gates/m-0/order", {"verb": "stop"})
    Gate.objects.filter(name="g-0").update(online=False)
    client.post("/floor/gates/g-0/order", {"verb": "stop"})
    for _ in range(2):
        assert "The gate cannot receive commands now" not in again(client, "floor-machines")
    assert "The gate cannot receive commands now" in client.get("/floor").content.decode()


def test_of_gates_that_are_named_the_cards_come_alone_and_are_those_of_the_whole_page(browse):
    client = browse("desk")
    page = again(client, "floor-machines", gates="g-3 g-11")
    assert regions(page) == ["floor-machines"]
    assert "data-live-part" in page
    every = cards(client.get("/floor").content.decode())
    assert cards(page) == {name: every[name] for name in ("g-3", "g-11")}


def test_of_gates_that_are_gone_nothing_comes_and_nobody_is_told_that_there_is_no_machine(browse):
    page = again(browse("desk"), "floor-machines", gates="gone")
    assert "data-live-part" in page
    assert cards(page) == {}
    assert "No machine yet" not in page


@pytest.mark.parametrize(("more", "is_part"), [(0, True), (1, False)])
def test_of_too_many_gates_everything_comes(browse, more, is_part):
    named = " ".join(f"g-{number}" for number in range(live_regions.MOST_GATES + more))
    page = again(browse("desk"), "floor-machines", gates=named)
    assert ("data-live-part" in page) == is_part
    assert ("at--without" in page) == (not is_part)


def test_the_page_is_told_of_how_many_gates_it_may_ask(browse):
    page = browse("desk").get("/floor").content.decode()
    assert re.search(r'id="floor-machines"[^>]* data-live-gates="(\d+)"', page)[1] == str(live_regions.MOST_GATES)


def test_who_may_do_less_sees_no_more_of_a_part(browse):
    order = "floor/gates/g-1/order"
    assert order in again(browse("desk"), "floor-machines", gates="g-1")
    assert order not in again(browse("trainer"), "floor-machines", gates="g-1")
    assert browse("member").get("/floor", headers={"X-Live": "floor-machines"}).status_code == 403


def test_a_part_asks_the_database_for_little_and_for_no_more_where_there_are_more_machines(browse):
    client = browse("manager")

    def asked(**more: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            again(client, "floor-machines", **more)
        return len(queries)

    few, whole = asked(gates="g-1"), asked()
    assert few < whole
    for number in range(50, 60):
        Gate.objects.create(name=f"g-{number}", machine=Machine.objects.create(name=f"m-{number}"))
    assert asked(gates="g-1") == few


def test_where_machines_stand_hears_of_machines_that_come_and_go(browse):
    page = browse("manager").get("/floor").content.decode()
    assert "change" in re.search(r'id="\w+-machines" data-live="([^"]+)"', page)[1].split()


def test_the_states_above_the_machines_are_counted_as_their_cards_are(browse):
    Gate.objects.filter(name="g-1").update(state="idle")
    page = browse("manager").get("/floor").content.decode()
    shown = {name: int(count) for name, count in re.findall(r'data-count=".station.is-([\w-]+)">(\d+)<', page)}
    assert {name: count for name, count in shown.items() if count} == {
        "in-use": live_regions.MOST_GATES + 1,
        "free": 1,
        "silent": 1,
    }
    assert shown == {name: len(re.findall(f'"card station is-{name}"', page)) for name in shown}
    assert len(re.findall("<li hidden>", page)) == len(shown) - 3


def test_how_complete_the_records_are_is_asked_for_again_on_any_page(browse):
    client = browse("manager")
    for page in ("/floor", "/use", "/people"):
        whole = client.get(page).content.decode()
        assert whole.count('id="records" data-live="time"') == 1
        again = client.get(page, headers={"X-Live": "records"}).content.decode()
        assert again.count('id="records" data-live="time"') == 1
        assert "<title>" not in again
        assert 'id="records"' not in client.get(page, headers={"X-Live": "floor-machines"}).content.decode()
