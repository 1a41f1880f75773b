"""Somebody looks at the floor while machines change: is just that drawn anew, and is nothing missed?"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.feed import BUSY, ONCE
from tests.browser.furnish import MANAGER
from tests.browser.house import PATIENCE_S, House
from tests.browser.window import Person

#: Marks each card, so that one that was drawn anew is told from one that was left alone; notes those that changed.
_MARK = """() => {
  window.changed = new Set();
  const region = document.querySelector("[data-live-gates]");
  for (const card of region.children) card.isMarked = true;
  const cardOf = (node) => (node.nodeType === 1 ? node : node.parentElement)?.closest(".station");
  new MutationObserver((found) => {
    for (const { target, addedNodes, removedNodes, attributeName } of found) {
      if (attributeName === "open" || target.closest?.("[data-since]")) continue; // clocks tick by themselves
      const touched = target === region ? [...addedNodes, ...removedNodes] : [target];
      for (const card of touched.map(cardOf)) if (card) window.changed.add(card.id);
    }
  }).observe(region, { childList: true, subtree: true, attributes: true });
}"""
_CHANGED = "() => [...window.changed].sort()"
_LEFT_ALONE = "() => [...document.querySelectorAll('.station')].filter((card) => card.isMarked).map((card) => card.id)"
_CARDS = "() => [...document.querySelectorAll('.station')].map((card) => card.id)"
_MISCOUNTED = """() => [...document.querySelectorAll("[data-count]")].filter((one) => {
  const count = document.querySelectorAll(one.dataset.count).length;
  return Number(one.textContent) !== count || one.closest("li").hidden !== (count === 0);
}).map((one) => one.closest("li").outerHTML)"""


def asking(page: Any) -> list[str | None]:
    """Note of each time that the page asks again of which gates it does; None: of all."""
    found: list[str | None] = []

    def note(request: Any) -> None:
        if "x-live" in request.headers:
            found.append(request.headers.get("x-live-gates"))

    page.on("request", note)
    return found


def until(page: Any, what: str, found: Callable[[], Any]) -> None:
    """Wait for it, and let the page go on meanwhile."""
    end = time.monotonic() + PATIENCE_S
    while not found():
        assert time.monotonic() < end, what
        page.wait_for_timeout(50)


def looking(house: House, person: Callable[..., Person], address: str = "/floor") -> tuple[Person, Any]:
    maya = person(house.address)
    maya.sign_in(MANAGER, house.password)
    maya.page.goto(address)
    return maya, maya.page


@pytest.mark.parametrize("address", ["/floor", "/floor/kiosk"])
def test_machines_that_change_are_drawn_alone_and_no_other_is_touched(house: House, person, address) -> None:
    _, page = looking(house, person, address)
    asked = asking(page)
    cards = page.evaluate(_CARDS)
    page.evaluate(_MARK)
    busy = {f"at-{gate}" for gate in BUSY}
    with house.busy():
        until(page, "the page does not follow", lambda: set(page.evaluate(_CHANGED)) >= busy)
        until(page, "it asks for no part", lambda: len([one for one in asked if one]) >= 5)
        until(page, "it never asks for all", lambda: asked.count(None) >= 2)
    assert set(" ".join(one for one in asked if one).split()) == set(BUSY)
    assert set(page.evaluate(_CHANGED)) == busy
    assert page.evaluate(_CARDS) == cards
    assert set(page.evaluate(_LEFT_ALONE)) >= set(cards) - busy


def test_states_are_counted_as_the_cards_show_them(house: House, person) -> None:
    _, page = looking(house, person)
    asked = asking(page)
    assert page.evaluate(_MISCOUNTED) == []
    with house.busy():
        for _ in range(10):
            before = len(asked)
            until(page, "it does not ask", lambda before=before: len(asked) > before)
            assert page.evaluate(_MISCOUNTED) == []


def test_a_machine_that_is_new_renamed_or_retired_stands_where_it_does_on_a_page_that_is_opened(house, person) -> None:
    maya, page = looking(house, person)
    command = [sys.executable, "-m", "fabgate.collector", "gate-add", "aaa-1", "--machine", "aaa"]
    subprocess.run(command, env={**os.environ, **house.environment}, check=True, capture_output=True)
    page.locator("#at-aaa-1").wait_for()
    assert page.evaluate(_CARDS) == maya.open("/floor").evaluate(_CARDS)

    other = maya.open("/machines/aaa")
    other.locator("#about input[name=title]").fill("Zzz")
    other.locator("#about button", has_text="Save").click()
    page.locator("#at-aaa-1", has_text="Zzz").wait_for()
    assert page.evaluate(_CARDS) == maya.open("/floor").evaluate(_CARDS)

    other.goto("/machines/aaa")
    other.locator("#about summary", has_text="Retire it").click()
    other.locator("#about button", has_text="Retire it").click()
    page.locator("#at-aaa-1").wait_for(state="detached")
    assert page.evaluate(_CARDS) == maya.open("/floor").evaluate(_CARDS)


def test_it_asks_once_at_a_time_so_that_nothing_older_is_drawn_over_what_is_newer(house: House, person) -> None:
    maya, page = looking(house, person)
    other = maya.open("/floor")
    held: list[Any] = []

    def hold(route: Any) -> None:
        if held:
            route.continue_()
        else:
            held.append(route)

    page.route("**/floor", hold)
    house.happens("m-9")
    until(page, "the page asks for nothing", lambda: held)
    asked = asking(page)
    with house.busy():
        seen = asking(other)
        until(page, "the other page does not follow", lambda: len(seen) >= 5)
    house.happens("m-1")
    other.locator(f"#at-{ONCE}", has_text="Zoé").wait_for()
    assert asked == []
    held[0].continue_()
    page.locator(f"#at-{ONCE}", has_text="Zoé").wait_for()


def test_what_was_not_answered_is_asked_for_again_without_another_change(house: House, person) -> None:
    maya, page = looking(house, person)
    refused: list[Any] = []

    def refuse(route: Any) -> None:
        refused.append(route)
        route.fulfill(status=503)

    page.route("**/floor", refuse)
    house.happens("m-9")
    until(page, "the page asks for nothing", lambda: refused)
    page.unroute("**/floor")
    asked = asking(page)
    until(page, "the page does not ask again", lambda: asked)
    assert asked[0] is None
    page.locator(f"#at-{ONCE}", has_text="Fatima Zahra").wait_for()
    maya.complaints.clear()  # the browser tells of the 503


def test_a_tab_that_comes_back_asks_for_all_of_it(house: House, person) -> None:
    maya, page = looking(house, person)
    seen = asking(maya.open("/floor"))
    page.evaluate("() => Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
    asked = asking(page)
    with house.busy():
        until(page, "a page that is seen does not follow", lambda: len(seen) >= 5)
    assert asked == []
    page.evaluate("""() => {
      Object.defineProperty(document, "hidden", { value: false });
      document.dispatchEvent(new Event("visibilitychange"));
    }""")
    until(page, "it asks for nothing", lambda: asked)
    assert asked[0] is None


def test_a_question_that_is_open_stays_open_while_its_machine_changes(house: House, person) -> None:
    _, page = looking(house, person)
    house.happens("m-9")
    card = page.locator(f"#at-{ONCE}")
    card.locator("summary", has_text="Stop").click()
    house.happens("m-1")
    page.locator(f"#at-{ONCE}", has_text="Zoé").wait_for()
    assert card.locator(f"#stop-{ONCE}").get_attribute("open") is not None
