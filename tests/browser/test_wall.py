"""Checks the wall of badges in a real browser: mouse, keyboard, dragging, no JavaScript; accessible and translated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fabgate.demo.furnishing.people import CARRIERS
from tests.browser import page_checks
from tests.browser.sample_data import WALL
from tests.browser.window import inaccessible, set_look, too_wide
from tests.demo.running import Demo

#: Pixels: the narrowest phone that is checked.
NARROW = 320
#: Pixels: wide enough for short words in the bar, but not for long ones.
TABLET = 768


@pytest.fixture
def visit(person, demo: Demo) -> Callable[..., Any]:
    """Open the wall in a window of its own, with every machine free and in order."""
    demo.mend()

    def make(**looks: Any) -> Any:
        window = person(demo.workshop.address, **looks).page
        window.goto(demo.wall.link())
        return window

    return make


def wait_for_machine(window: Any, gate: str, words: str) -> None:
    """Wait until the card of a machine shows these words."""
    window.locator(f"#at-{gate}", has_text=words).wait_for()


def test_a_chosen_badge_is_tapped_and_the_page_updates(visit) -> None:
    window = visit()
    window.get_by_label("Ada").first.check(force=True)
    window.locator("#tap-laser-1").click()
    wait_for_machine(window, "laser-1", "Power on")
    wait_for_machine(window, "laser-1", "Hello Ada")
    assert "/wall" in window.url
    assert "?card" not in window.url  # the page was not loaded again
    window.locator("#announcement", has_text="Hello Ada").wait_for(state="attached")


def test_the_display_is_read_out_even_if_the_page_learns_of_it_late(visit) -> None:
    window = visit()
    window.clock.install()
    window.route("**/wall/now", lambda route: route.fulfill(status=204))
    window.get_by_label("Ada").first.check(force=True)
    with window.expect_response("**/wall/do"):
        window.locator("#tap-laser-1").click()
    window.clock.run_for(5_000)
    window.unroute("**/wall/now")
    window.clock.resume()
    window.locator("#announcement", has_text="Hello Ada").wait_for(state="attached")


def test_the_keyboard_does_the_same_and_keeps_the_focus(visit) -> None:
    window = visit()
    window.locator("#card-ada").focus()
    window.keyboard.press("ArrowRight")
    assert window.locator("#card-bob").is_checked()
    window.locator("#tap-laser-1").focus()
    window.keyboard.press("Enter")
    wait_for_machine(window, "laser-1", "Bonjour Bob")
    assert window.evaluate("document.activeElement.id") == "tap-laser-1"


def test_a_badge_is_dragged_onto_a_machine(visit) -> None:
    window = visit()
    window.locator('label[for="card-stranger"]').drag_to(window.locator("#at-printer-1"))
    wait_for_machine(window, "printer-1", "Refused: unknown badge")


def test_without_a_chosen_badge_nothing_is_tapped(visit) -> None:
    window = visit()
    window.locator("#tap-laser-1").click()
    assert window.evaluate("document.activeElement.name") == "card"
    assert "Power off" in window.locator("#at-laser-1").inner_text()


def test_a_pulled_network_or_mains_shows_at_once_and_can_be_restored(visit) -> None:
    window = visit()
    window.locator("#network-saw-1").click()
    wait_for_machine(window, "saw-1", "unplugged")
    window.locator("#network-saw-1").click()
    wait_for_machine(window, "saw-1", "connected")
    window.locator("#mains-saw-1").click()
    wait_for_machine(window, "saw-1", "No mains power")
    assert window.locator("#tap-saw-1").is_disabled()
    window.locator("#mains-saw-1").click()
    wait_for_machine(window, "saw-1", "Free")


def test_without_javascript_every_button_still_works(visit, demo: Demo) -> None:
    window = visit(script=False)
    window.locator("#card-mo").check(force=True)
    window.locator("#tap-laser-1").click()
    window.wait_for_url("**/wall?card=mo*")
    assert window.locator("#card-mo").is_checked()
    demo.until("laser-1", "Mo was refused")
    window.reload()  # without JavaScript it does not update
    wait_for_machine(window, "laser-1", "Mo was refused")


@pytest.mark.parametrize("lang", page_checks.LOOKS)
def test_the_wall_is_accessible_complete_and_translated(person, demo: Demo, lang: str) -> None:
    visitor = person(demo.workshop.address, lang=lang)
    visitor.page.goto(demo.wall.link())
    names = {*CARRIERS.values(), *(gate.title for gate in demo.workshop.gates)}
    problems = page_checks.problems(visitor, lang, WALL["wall"], names=names)
    set_look(visitor.page, NARROW, dark=lang == "fr")
    problems += [*too_wide(visitor.page), *inaccessible(visitor.page)]
    set_look(visitor.page, TABLET, dark=lang == "en")
    problems += too_wide(visitor.page)
    problems += page_checks.problems(visitor, lang, WALL["wall-enter"], status=404, names=names)
    assert not problems, "\n".join(problems)


def test_the_live_part_is_not_a_whole_page(demo: Demo) -> None:
    part = demo.browser.get(f"{demo.workshop.address}/wall/now").body
    assert "played-machine" in part
    assert "<html" not in part


_BUTTONS = """() => Object.fromEntries([...document.querySelectorAll(".played-machine button")].map((button) =>
  [button.id, Math.round(button.getBoundingClientRect().top + scrollY)]))"""


@pytest.mark.parametrize(("width", "lang"), [(1280, "en"), (360, "fr")])
def test_no_button_moves_if_texts_change(visit, width: int, lang: str) -> None:
    window = visit(width=width, lang=lang)
    before = window.evaluate(_BUTTONS)
    window.locator("label.kind-unknown, label.kind-lapsed").first.click()
    window.locator("#tap-laser-1").click()
    window.locator("#at-laser-1 .refusal").wait_for()
    assert window.evaluate(_BUTTONS) == before
    window.locator("#ahead-saw-1").click()
    window.locator("#right-saw-1:enabled").wait_for()
    assert window.evaluate(_BUTTONS) == before
    window.locator("label.kind-member").first.click()
    window.locator("#tap-laser-1").click()
    window.locator("#at-laser-1 .relay.on").wait_for()
    assert window.evaluate(_BUTTONS) == before
