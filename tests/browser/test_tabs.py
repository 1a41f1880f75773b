"""Checks pages that stay open: eight floors in one browser, a page whose user is signed out, a page after a refused form."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tests.browser.sample_data import MANAGER
from tests.browser.used_site import PATIENCE_S, UsedSite
from tests.browser.window import Person

TABS = 8
#: Counts the changes of the machines that a page shows.
_COUNT = """() => {
  window.changes = 0;
  new MutationObserver(() => window.changes++).observe(document.getElementById("floor-machines"), { childList: true, subtree: true });
}"""

#: Removes the request that a page makes every minute even without an event.
_NO_PERIODIC_REQUEST = """(() => {
  const plain = window.setInterval;
  window.setInterval = (work, every_ms) => (every_ms < 60_000 ? plain(work, every_ms) : 0);
})();"""

#: Queues for the lock of the tab that listens, and never passes events on.
_LISTEN_NEXT_AND_PASS_NOTHING_ON = """() => {
  navigator.locks.request("fabgate /floor/events", () => new Promise(() => {}));
}"""


def test_eight_floors_update_and_another_page_still_opens_at_once(site: UsedSite, person) -> None:
    maya = person(site.address)
    maya.sign_in(MANAGER, site.password)
    streams: list[str] = []
    maya.page.goto("/people/new")  # a page without updates
    maya.context.on(
        "request", lambda request: streams.append(request.url) if request.resource_type == "eventsource" else None
    )
    floors = [maya.open("/floor") for _ in range(TABS)]
    for floor in floors:
        floor.evaluate(_COUNT)
    with site.busy():
        for floor in floors:
            wait_for_changes(floor, 2)
        assert len(streams) == 1, "a browser has six connections to a host: one tab listens for all"
        for path in ("/people", "/use", "/machines", "/people/m-1", "/gates"):
            maya.page.goto(path)  # with all six in use, this would wait until a floor is closed
        before = [floor.evaluate("window.changes") for floor in floors]
        for floor, count in zip(floors, before, strict=True):
            wait_for_changes(floor, count + 1)


def test_another_tab_takes_over_when_the_tab_that_listens_is_closed(site: UsedSite, person) -> None:
    maya = person(site.address)
    maya.sign_in(MANAGER, site.password)  # opens the floor, and is the first to listen
    other = maya.open("/floor")
    other.evaluate(_COUNT)
    maya.page.goto("/people/new")
    with site.busy():
        wait_for_changes(other, 2)


def test_a_tab_that_was_still_loading_shows_a_change_that_others_received(site: UsedSite, person) -> None:
    maya = person(site.address)
    maya.sign_in(MANAGER, site.password)  # this tab listens for all
    floor = maya.page
    late, deliver_script = open_without_script(maya)
    site.starts("m-9")
    floor.locator("#at-mill-1", has_text="Fatima Zahra").wait_for()
    deliver_script()
    late.locator("#at-mill-1", has_text="Fatima Zahra").wait_for()


def test_a_tab_that_was_still_loading_shows_it_even_if_the_tab_that_listened_has_just_closed(
    site: UsedSite, person
) -> None:
    maya = person(site.address)
    maya.sign_in(MANAGER, site.password)  # this tab listens for all
    maya.open("/people/new").evaluate(_LISTEN_NEXT_AND_PASS_NOTHING_ON)
    floor = maya.open("/floor")
    late, deliver_script = open_without_script(maya)
    site.starts("m-1")
    floor.locator("#at-mill-1", has_text="Zoé").wait_for()
    maya.page.goto("/people/new")
    deliver_script()
    late.locator("#at-mill-1", has_text="Zoé").wait_for()


def open_without_script(maya: Person) -> tuple[Any, Callable[[], None]]:
    """Open the floor in a tab that still waits for its script; return the tab, and a function that delivers the script."""
    late = maya.open()
    late.add_init_script(_NO_PERIODIC_REQUEST)
    scripts: list[Any] = []
    late.route("**/fabgate.js*", lambda route: scripts.append(route))  # noqa: PLW0108 (playwright sets attributes on the function)
    late.goto("/floor", wait_until="commit")
    until = time.monotonic() + PATIENCE_S
    while not scripts:
        assert time.monotonic() < until, "the page requests no script"
        late.wait_for_timeout(50)
    return late, scripts[0].continue_


def wait_for_changes(floor: Any, times: int) -> None:
    """Wait until the page has changed this many times. The content security policy forbids playwright's own way to wait."""
    until = time.monotonic() + PATIENCE_S
    while floor.evaluate("window.changes") < times:
        assert time.monotonic() < until, "the page does not update"
        floor.wait_for_timeout(50)


def test_a_page_shows_that_its_user_is_signed_out_and_links_to_sign_in(site: UsedSite, person) -> None:
    maya = person(site.address)
    maya.sign_in(MANAGER, site.password)
    maya.page.goto("/floor")
    maya.context.clear_cookies()
    maya.page.evaluate("document.dispatchEvent(new Event('fabgate:look'))")
    note = maya.page.locator(".signed-out-note")
    note.wait_for(state="visible")
    assert not maya.page.locator(".offline-note").is_visible()
    maya.complaints = [text for text in maya.complaints if "EventSource's response" not in text]  # it was refused
    note.locator("a").click()
    maya.page.wait_for_url("**/sign-in?next=/floor")
    maya.sign_in(MANAGER, site.password)
    maya.page.goto("/floor")
    assert not maya.page.locator(".signed-out-note").is_visible()
    maya.complaints = [text for text in maya.complaints if "EventSource's response" not in text]


def test_a_page_after_a_refused_form_updates_like_any_other(site: UsedSite, person) -> None:
    maya = person(site.address)
    maya.sign_in(MANAGER, site.password)
    maya.page.goto("/people/m-7")
    maya.page.evaluate("""() => {
      const form = document.querySelector("form[action$='/block']");
      form.noValidate = true;
      for (const field of form.elements) if (field.name === "reason") field.innerHTML = "";
      form.requestSubmit();
    }""")
    maya.page.wait_for_url("**/people/m-7/block")
    with maya.page.expect_response(lambda answer: "x-live" in answer.request.headers) as asked:
        maya.page.evaluate("document.dispatchEvent(new Event('fabgate:look'))")
    assert asked.value.status == 200
    assert asked.value.url.endswith("/people/m-7")
