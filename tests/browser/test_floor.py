"""Checks the floor while machines change: only their cards are redrawn, and no change is missed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from tests.browser.feed import BUSY, ONCE
from tests.browser.sample_data import MANAGER
from tests.browser.used_site import PATIENCE_S, UsedSite
from tests.browser.window import Person

#: Marks each card, so that a redrawn card can be distinguished from an untouched one, and records changed cards.
_MARK = """() => {
  window.changed = new Set();
  const region = document.querySelector("[data-live-gates]");
  for (const card of region.children) card.isMarked = true;
  const cardOf = (node) => (node.nodeType === 1 ? node : node.parentElement)?.closest(".station");
  new MutationObserver((found) => {
    for (const { target, addedNodes, removedNodes, attributeName } of found) {
      if (attributeName === "open" || target.closest?.("[data-since]")) continue; // clocks tick without a change
      const touched = target === region ? [...addedNodes, ...removedNodes] : [target];
      for (const card of touched.map(cardOf)) if (card) window.changed.add(card.id);
    }
  }).observe(region, { childList: true, subtree: true, attributes: true });
}"""
_CHANGED = "() => [...window.changed].sort()"
_UNTOUCHED = "() => [...document.querySelectorAll('.station')].filter((card) => card.isMarked).map((card) => card.id)"
_CARDS = "() => [...document.querySelectorAll('.station')].map((card) => card.id)"
_MISCOUNTED = """() => [...document.querySelectorAll("[data-count]")].filter((number) => {
  const count = document.querySelectorAll(number.dataset.count).length;
  return Number(number.textContent) !== count || number.closest("li").hidden !== (count === 0);
}).map((number) => number.closest("li").outerHTML)"""


def live_requests(page: Any) -> list[str | None]:
    """Return a list that records, for each live request of the page, the gates it asks for; None for all."""
    found: list[str | None] = []

    def note(request: Any) -> None:
        if "x-live" in request.headers:
            found.append(request.headers.get("x-live-gates"))

    page.on("request", note)
    return found


def wait_until(page: Any, what: str, found: Callable[[], Any]) -> None:
    """Wait for `found`, while the page continues to run."""
    end = time.monotonic() + PATIENCE_S
    while not found():
        assert time.monotonic() < end, what
        page.wait_for_timeout(50)


def open_as_manager(site: UsedSite, person: Callable[..., Person], address: str = "/floor") -> tuple[Person, Any]:
    maya = person(site.address)
    maya.sign_in(MANAGER, site.password)
    maya.page.goto(address)
    return maya, maya.page


def test_only_the_cards_of_changed_machines_are_redrawn(site: UsedSite, person) -> None:
    _, page = open_as_manager(site, person)
    requests = live_requests(page)
    cards = page.evaluate(_CARDS)
    page.evaluate(_MARK)
    busy = {f"at-{gate}" for gate in BUSY}
    with site.busy():
        wait_until(page, "the page does not update", lambda: set(page.evaluate(_CHANGED)) >= busy)
        wait_until(
            page, "the page requests no single machines", lambda: len([gates for gates in requests if gates]) >= 5
        )
        wait_until(page, "the page never requests all machines", lambda: requests.count(None) >= 2)
    assert set(" ".join(gates for gates in requests if gates).split()) == set(BUSY)
    assert set(page.evaluate(_CHANGED)) == busy
    assert page.evaluate(_CARDS) == cards
    assert set(page.evaluate(_UNTOUCHED)) >= set(cards) - busy


def test_a_button_that_is_pressed_while_its_machine_changes_does_its_work(site: UsedSite, person) -> None:
    _, page = open_as_manager(site, person)
    lock = page.locator(f"#at-{BUSY[0]}").get_by_text("Lock…")
    lock.hover()
    page.evaluate(_MARK)
    with site.busy():
        page.mouse.down()
        page.wait_for_event("response", lambda answer: "x-live" in answer.request.headers)
        page.evaluate("() => new Promise((done) => setTimeout(done, 200))")  # in which the page would swap the card
        page.mouse.up()
        page.wait_for_url("**/lock*")


def test_the_counts_of_states_match_the_cards(site: UsedSite, person) -> None:
    _, page = open_as_manager(site, person)
    requests = live_requests(page)
    assert page.evaluate(_MISCOUNTED) == []
    with site.busy():
        for _ in range(10):
            before = len(requests)
            wait_until(page, "the page requests nothing", lambda before=before: len(requests) > before)
            assert page.evaluate(_MISCOUNTED) == []


def test_a_new_renamed_or_retired_machine_appears_where_a_fresh_page_shows_it(site, person) -> None:
    maya, page = open_as_manager(site, person)
    command = [sys.executable, "-m", "fabgate.collector", "gate-add", "aaa-1", "--machine", "aaa"]
    subprocess.run(command, env={**os.environ, **site.environment}, check=True, capture_output=True)
    page.locator("#at-aaa-1").wait_for()
    assert page.evaluate(_CARDS) == maya.open("/floor").evaluate(_CARDS)

    other = maya.open("/machines/aaa")
    other.locator("#about input[name=title]").fill("Zzz")
    other.locator("#about button", has_text="Save").click()
    page.locator("#at-aaa-1", has_text="Zzz").wait_for()
    assert page.evaluate(_CARDS) == maya.open("/floor").evaluate(_CARDS)

    other.goto("/machines/aaa")
    other.locator("#about summary", has_text="Retire").click()
    other.locator("#about button", has_text="Retire").click()
    page.locator("#at-aaa-1").wait_for(state="detached")
    assert page.evaluate(_CARDS) == maya.open("/floor").evaluate(_CARDS)


def test_the_page_makes_one_request_at_a_time_so_that_no_older_answer_replaces_a_newer_one(
    site: UsedSite, person
) -> None:
    maya, page = open_as_manager(site, person)
    other = maya.open("/floor")
    held: list[Any] = []

    def hold(route: Any) -> None:
        if held:
            route.continue_()
        else:
            held.append(route)

    page.route("**/floor", hold)
    site.starts("m-9")
    wait_until(page, "the page requests nothing", lambda: held)
    requests = live_requests(page)
    with site.busy():
        seen = live_requests(other)
        wait_until(page, "the other page does not update", lambda: len(seen) >= 5)
    site.starts("m-1")
    other.locator(f"#at-{ONCE}", has_text="Zoé").wait_for()
    assert requests == []
    held[0].continue_()
    page.locator(f"#at-{ONCE}", has_text="Zoé").wait_for()


def test_a_failed_request_is_repeated_without_another_change(site: UsedSite, person) -> None:
    maya, page = open_as_manager(site, person)
    refused: list[Any] = []

    def refuse(route: Any) -> None:
        refused.append(route)
        route.fulfill(status=503)

    page.route("**/floor", refuse)
    site.starts("m-9")
    wait_until(page, "the page requests nothing", lambda: refused)
    page.unroute("**/floor")
    requests = live_requests(page)
    wait_until(page, "the page does not repeat the request", lambda: requests)
    assert requests[0] is None
    page.locator(f"#at-{ONCE}", has_text="Fatima Zahra").wait_for()
    maya.complaints.clear()  # the browser reports the 503


def test_a_tab_that_becomes_visible_again_requests_all_machines(site: UsedSite, person) -> None:
    maya, page = open_as_manager(site, person)
    seen = live_requests(maya.open("/floor"))
    page.evaluate("() => Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
    requests = live_requests(page)
    with site.busy():
        wait_until(page, "a visible page does not update", lambda: len(seen) >= 5)
    assert requests == []
    page.evaluate("""() => {
      Object.defineProperty(document, "hidden", { value: false });
      document.dispatchEvent(new Event("visibilitychange"));
    }""")
    wait_until(page, "the page requests nothing", lambda: requests)
    assert requests[0] is None


def test_an_open_confirmation_stays_open_while_its_machine_changes(site: UsedSite, person) -> None:
    _, page = open_as_manager(site, person)
    site.starts("m-9")
    card = page.locator(f"#at-{ONCE}")
    card.locator("summary", has_text="Stop").click()
    site.starts("m-1")
    page.locator(f"#at-{ONCE}", has_text="Zoé").wait_for()
    assert card.locator(f"#stop-{ONCE}").get_attribute("open") is not None
