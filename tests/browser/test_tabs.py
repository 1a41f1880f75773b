"""Pages that stay open: eight floors in one browser, one whose person is signed out, one that a form came back to."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tests.browser.furnish import MANAGER
from tests.browser.house import PATIENCE_S, House
from tests.browser.window import Person

TABS = 8
#: Counts in the page how often what it shows has changed.
_COUNT = """() => {
  window.changes = 0;
  new MutationObserver(() => window.changes++).observe(document.getElementById("floor-machines"), { childList: true, subtree: true });
}"""

#: Every minute a page asks again, whatever it has heard.
_LOOKS_NOT_BY_ITSELF = """(() => {
  const plain = window.setInterval;
  window.setInterval = (work, every_ms) => (every_ms < 60_000 ? plain(work, every_ms) : 0);
})();"""

#: The tab that is to listen next, and has not come to it yet.
_IS_NEXT_AND_TELLS_NOBODY = """() => {
  navigator.locks.request("fabgate-events", () => new Promise(() => {}));
}"""


def test_eight_floors_follow_and_another_page_opens_at_once(house: House, person) -> None:
    maya = person(house.address)
    maya.sign_in(MANAGER, house.password)
    streams: list[str] = []
    maya.page.goto("/people/new")  # which follows nothing
    maya.context.on(
        "request", lambda asked: streams.append(asked.url) if asked.resource_type == "eventsource" else None
    )
    floors = [maya.open("/floor") for _ in range(TABS)]
    for floor in floors:
        floor.evaluate(_COUNT)
    with house.busy():
        for floor in floors:
            followed(floor, 2)
        assert len(streams) == 1, "a browser has six connections to a host: one tab listens for all"
        for path in ("/people", "/use", "/machines", "/people/m-1", "/gates"):
            maya.page.goto(path)  # with all six taken, it would wait for as long as the floors are open
        before = [floor.evaluate("window.changes") for floor in floors]
        for floor, count in zip(floors, before, strict=True):
            followed(floor, count + 1)


def test_a_tab_that_holds_the_stream_is_closed_and_another_takes_it_over(house: House, person) -> None:
    maya = person(house.address)
    maya.sign_in(MANAGER, house.password)  # this one is a floor too, and the first to listen
    other = maya.open("/floor")
    other.evaluate(_COUNT)
    maya.page.goto("/people/new")
    with house.busy():
        followed(other, 2)


def test_a_tab_hears_what_was_told_to_the_others_while_it_was_on_its_way(house: House, person) -> None:
    maya = person(house.address)
    maya.sign_in(MANAGER, house.password)  # this tab listens for all
    floor = maya.page
    late, go_on = on_its_way(maya)
    house.happens("m-9")
    floor.locator("#at-mill-1", has_text="Fatima Zahra").wait_for()
    go_on()
    late.locator("#at-mill-1", has_text="Fatima Zahra").wait_for()


def test_a_tab_hears_it_also_when_the_one_that_listened_for_all_has_just_gone(house: House, person) -> None:
    maya = person(house.address)
    maya.sign_in(MANAGER, house.password)  # this tab listens for all
    maya.open("/people/new").evaluate(_IS_NEXT_AND_TELLS_NOBODY)
    floor = maya.open("/floor")
    late, go_on = on_its_way(maya)
    house.happens("m-1")
    floor.locator("#at-mill-1", has_text="Zoé").wait_for()
    maya.page.goto("/people/new")
    go_on()
    late.locator("#at-mill-1", has_text="Zoé").wait_for()


def on_its_way(maya: Person) -> tuple[Any, Callable[[], None]]:
    """Open the floor in a tab whose script has not arrived; return it, and what lets the script through."""
    late = maya.open()
    late.add_init_script(_LOOKS_NOT_BY_ITSELF)
    scripts: list[Any] = []
    late.route("**/fabgate.js*", lambda route: scripts.append(route))  # noqa: PLW0108 (playwright marks what it is given)
    late.goto("/floor", wait_until="commit")
    until = time.monotonic() + PATIENCE_S
    while not scripts:
        assert time.monotonic() < until, "the page asks for no script"
        late.wait_for_timeout(50)
    return late, scripts[0].continue_


def followed(floor: Any, times: int) -> None:
    """Wait until what the page shows has changed so often. Our pages let nothing be evaluated in them to wait for it."""
    until = time.monotonic() + PATIENCE_S
    while floor.evaluate("window.changes") < times:
        assert time.monotonic() < until, "the page does not follow"
        floor.wait_for_timeout(50)


def test_a_page_whose_person_is_signed_out_says_so_and_leads_back(house: House, person) -> None:
    maya = person(house.address)
    maya.sign_in(MANAGER, house.password)
    maya.page.goto("/floor")
    maya.context.clear_cookies()
    maya.page.evaluate("document.dispatchEvent(new Event('fabgate:look'))")
    note = maya.page.locator(".signed-out-note")
    note.wait_for(state="visible")
    assert not maya.page.locator(".offline-note").is_visible()
    maya.complaints = [said for said in maya.complaints if "EventSource's response" not in said]  # it was refused
    note.locator("a").click()
    maya.page.wait_for_url("**/sign-in?next=/floor")
    maya.sign_in(MANAGER, house.password)
    maya.page.goto("/floor")
    assert not maya.page.locator(".signed-out-note").is_visible()
    maya.complaints = [said for said in maya.complaints if "EventSource's response" not in said]


def test_a_page_that_a_refused_form_came_back_to_follows_like_any_other(house: House, person) -> None:
    maya = person(house.address)
    maya.sign_in(MANAGER, house.password)
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
