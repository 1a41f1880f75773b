"""Checks a big display: it changes by itself, finds back to its collector, fills its screen, and shows nothing once revoked."""

from __future__ import annotations

import re
from typing import Any

import pytest

from fabgate.demo.waiting import wait_for
from tests.browser.sample_data import MANAGER
from tests.browser.used_site import PATIENCE_S, UsedSite, answers
from tests.browser.window import Person, too_wide

#: What the screen shows: names of the tiles, in their places.
_SHOWN = "() => [...document.querySelectorAll('.tile')].filter((tile) => tile.offsetParent).map((tile) => tile.id)"
#: Lets no time pass by itself, so that only the test turns the pages.
_TURNS = "window.setInterval = (work, every_ms) => { if (every_ms === 12_000) window.turn = work; };"
_OUTSIDE = """() => [...document.querySelectorAll(".tile")].filter((tile) => tile.offsetParent).filter((tile) => {
  const box = tile.getBoundingClientRect();
  return box.left < 0 || box.top < 0 || box.right > innerWidth || box.bottom > innerHeight;
}).map((tile) => tile.id)"""


def make_link(site: UsedSite, maya: Person, name: str) -> str:
    maya.sign_in(MANAGER, site.password)
    maya.page.goto("/floor")
    maya.page.get_by_role("button", name="Big displays").click()
    maya.page.get_by_label("Location").fill(name)
    maya.page.get_by_role("button", name="Make link").click()
    return str(maya.page.get_by_label("Link", exact=True).input_value())


def with_forty(page: Any) -> None:
    """Let the display have forty machines, whenever it asks."""

    def add(route: Any) -> None:
        answer = route.fetch()
        html = answer.text()
        tiles = re.findall(r'<article class="tile.*?</article>', html, re.DOTALL)
        if tiles:
            more = [tiles[-1].replace(' id="', f' id="more-{number}-') for number in range(40 - len(tiles))]
            html = html.replace(tiles[-1], "".join([tiles[-1], *more]))
        route.fulfill(response=answer, body=html)

    page.route(re.compile(r"/display/[^/]+$"), add)


def forgive(one: Person, *texts: str) -> None:
    """Forget what the browser says of a collector that was away, or of a link that was revoked."""
    one.complaints = [said for said in one.complaints if not any(text in said for text in texts)]


def test_it_changes_by_itself_and_is_blank_once_its_link_is_revoked(site: UsedSite, person) -> None:
    maya, screen = person(site.address), person(site.address, width=1920, height=1080)
    screen.page.goto(make_link(site, maya, "Entrance hall"))
    site.stops()
    screen.page.locator("#at-mill-1.is-free").wait_for()
    site.starts("m-1")
    screen.page.locator("#at-mill-1.is-in-use", has_text="Zoé").wait_for()
    shown = screen.page.evaluate(_SHOWN)
    used = {
        f"at-{name}"
        for name in screen.page.locator(".tile .user").evaluate_all(
            "(all) => all.map((one) => one.closest('.tile').id.slice(3))"
        )
    }
    assert set(shown[: len(used)]) == used
    assert screen.page.locator("a, button, form, input").count() == 0
    assert screen.context.cookies() == []
    maya.page.goto("/floor/displays")
    row = maya.page.get_by_role("row", name=re.compile("Entrance hall"))
    row.get_by_text("Revoke…").click()
    row.get_by_role("button", name="Revoke link").click()
    screen.page.get_by_role("heading", name="This link no longer works").wait_for()
    assert screen.page.locator(".tile").count() == 0
    forgive(screen, "410", "EventSource's response")


def test_it_finds_back_after_a_restart_of_the_collector(site: UsedSite, person) -> None:
    maya, screen = person(site.address), person(site.address, width=1920, height=1080)
    screen.page.goto(make_link(site, maya, "Wood shop"))
    maya.page.goto("about:blank")
    site.web.end()
    try:
        screen.page.locator(".away").wait_for(state="visible")
        assert "What you see is from" in screen.page.locator(".away").inner_text()
        site.stops()
    finally:
        site.web.start()
        wait_for("the site's web server", lambda: answers(site.address), timeout_s=PATIENCE_S)
    site.starts("m-9")
    screen.page.locator("#at-mill-1", has_text="Fatima").wait_for()
    screen.page.locator(".away").wait_for(state="hidden")
    forgive(screen, "ERR_", "EventSource's response", "502")


def test_a_stream_that_was_refused_while_nobody_looked_is_opened_again_once_somebody_does(site, person) -> None:
    maya, screen = person(site.address), person(site.address, width=1920, height=1080)
    link = make_link(site, maya, "Metal shop")
    page = screen.page
    page.add_init_script("""
      const plain = window.setTimeout;
      window.setTimeout = (work, after_ms) => (after_ms === 10_000 ? ((window.again = work), 0) : plain(work, after_ms));
      let isHidden = false;
      Object.defineProperty(document, "hidden", { get: () => isHidden });
      window.look = (is) => { isHidden = !is; document.dispatchEvent(new Event("visibilitychange")); };""")
    page.route("**/events?*", lambda route: route.fulfill(status=502))
    page.goto(link)
    wait_for("a refused stream", lambda: page.evaluate("() => Boolean(window.again)"), timeout_s=PATIENCE_S)
    page.unroute("**/events?*")
    page.evaluate("() => { look(false); again(); look(false); }")
    with page.expect_request("**/events?*"):
        page.evaluate("() => look(true)")
    forgive(screen, "502", "EventSource's response")


@pytest.mark.parametrize(("width", "height", "turns"), [(1920, 1080, 1), (1280, 720, 2), (390, 844, 1)])
def test_forty_machines_fit_or_are_shown_by_turns_and_on_a_phone_as_a_list(site, person, width, height, turns) -> None:
    maya, screen = person(site.address), person(site.address, width=width, height=height)
    link = make_link(site, maya, f"Hall of {width}")
    screen.page.add_init_script(_TURNS)
    with_forty(screen.page)
    screen.page.goto(link)
    page: Any = screen.page
    page.locator(".tile").nth(39).wait_for(state="attached")
    assert page.locator(".turns span").count() == (turns if turns > 1 else 0)
    seen = []
    for _ in range(turns):
        seen += page.evaluate(_SHOWN)
        assert not too_wide(page)
        if width > 390:
            assert page.evaluate(_OUTSIDE) == []
            assert page.evaluate("() => document.documentElement.scrollHeight <= innerHeight")
        page.evaluate("() => turn()")
    assert len(seen) == len(set(seen)) == 40
    assert page.evaluate(_SHOWN) == seen[: len(seen) // turns]
