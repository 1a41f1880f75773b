"""The wall of badges in a real browser: by mouse, by keyboard, by dragging, without script; usable, whole, in two languages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fabgate.demo.people import CARRIERS
from tests.browser import walk
from tests.browser.furnish import WALL
from tests.browser.window import looks, too_wide, unusable
from tests.demo.running import Demo

#: The narrowest telephone on which the wall is looked at.
NARROW = 320
#: Wide enough for words in the bar, and not for long ones.
TABLET = 768


@pytest.fixture
def visit(person, demo: Demo) -> Callable[..., Any]:
    """Open the wall in a window of its own, with every machine free and whole."""
    demo.mend()

    def make(**looks: Any) -> Any:
        window = person(demo.workshop.address, **looks).page
        window.goto(demo.wall.link())
        return window

    return make


def machine(window: Any, gate: str, words: str) -> None:
    """Wait until a machine says so."""
    window.locator(f"#at-{gate}", has_text=words).wait_for()


def test_a_badge_is_taken_and_tapped_and_the_page_follows_by_itself(visit) -> None:
    window = visit()
    window.get_by_label("Ada").first.check(force=True)
    window.locator("#tap-laser-1").click()
    machine(window, "laser-1", "Power on")
    machine(window, "laser-1", "Hello Ada")
    assert "/wall" in window.url
    assert "?card" not in window.url  # the page was not loaded again
    window.locator("#said", has_text="Hello Ada").wait_for(state="attached")


def test_what_the_display_says_is_read_out_however_late_the_page_hears_of_it(visit) -> None:
    window = visit()
    window.clock.install()
    window.route("**/wall/now", lambda route: route.fulfill(status=204))
    window.get_by_label("Ada").first.check(force=True)
    with window.expect_response("**/wall/do"):
        window.locator("#tap-laser-1").click()
    window.clock.run_for(5_000)
    window.unroute("**/wall/now")
    window.clock.resume()
    window.locator("#said", has_text="Hello Ada").wait_for(state="attached")


def test_who_has_only_a_keyboard_does_the_same_and_keeps_the_place(visit) -> None:
    window = visit()
    window.locator("#card-ada").focus()
    window.keyboard.press("ArrowRight")
    assert window.locator("#card-bob").is_checked()
    window.locator("#tap-laser-1").focus()
    window.keyboard.press("Enter")
    machine(window, "laser-1", "Bonjour Bob")
    assert window.evaluate("document.activeElement.id") == "tap-laser-1"


def test_a_badge_is_dragged_onto_a_machine(visit) -> None:
    window = visit()
    window.locator('label[for="card-stranger"]').drag_to(window.locator("#at-printer-1"))
    machine(window, "printer-1", "Refused: unknown badge")


def test_without_a_badge_in_the_hand_nothing_is_tapped(visit) -> None:
    window = visit()
    window.locator("#tap-laser-1").click()
    assert window.evaluate("document.activeElement.name") == "card"
    assert "Power off" in window.locator("#at-laser-1").inner_text()


def test_what_is_broken_is_seen_at_once_and_can_be_mended(visit) -> None:
    window = visit()
    window.locator("#network-saw-1").click()
    machine(window, "saw-1", "pulled")
    window.locator("#network-saw-1").click()
    machine(window, "saw-1", "connected")
    window.locator("#mains-saw-1").click()
    machine(window, "saw-1", "No mains")
    assert window.locator("#tap-saw-1").is_disabled()
    window.locator("#mains-saw-1").click()
    machine(window, "saw-1", "Free")


def test_without_script_every_button_still_works(visit, demo: Demo) -> None:
    window = visit(script=False)
    window.locator("#card-mo").check(force=True)
    window.locator("#tap-laser-1").click()
    window.wait_for_url("**/wall?card=mo*")
    assert window.locator("#card-mo").is_checked()
    demo.until("laser-1", "Mo was refused")
    window.reload()  # by itself it follows nothing
    machine(window, "laser-1", "Mo was refused")


@pytest.mark.parametrize("lang", walk.LOOKS)
def test_it_is_usable_whole_and_in_its_language(person, demo: Demo, lang: str) -> None:
    visitor = person(demo.workshop.address, lang=lang)
    visitor.page.goto(demo.wall.link())
    names = {*CARRIERS.values(), *(gate.title for gate in demo.workshop.gates)}
    wrong = walk.wrong_with(visitor, lang, WALL["wall"], names=names)
    looks(visitor.page, NARROW, dark=lang == "fr")
    wrong += [*too_wide(visitor.page), *unusable(visitor.page)]
    looks(visitor.page, TABLET, dark=lang == "en")
    wrong += too_wide(visitor.page)
    wrong += walk.wrong_with(visitor, lang, WALL["wall-enter"], status=404, names=names)
    assert not wrong, "\n".join(wrong)


def test_the_part_that_is_asked_for_again_is_no_page(demo: Demo) -> None:
    part = demo.browser.get(f"{demo.workshop.address}/wall/now").body
    assert "played-machine" in part
    assert "<html" not in part
