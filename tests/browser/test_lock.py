"""Checks the preview of a lock on the display: while typing, and by a button without JavaScript."""

from __future__ import annotations

from tests.browser.sample_data import MANAGER
from tests.browser.used_site import UsedSite

LOCK = "/floor/machines/cnc-mill/lock"
WORDS = "The blade guard is bent and the new one is on order"
CUT = "The text does not fit the display."


def test_the_preview_follows_the_typing_and_locks_nothing(site: UsedSite, person) -> None:
    page = open_lock_form(site, person)
    english = page.locator("#display .display").first
    assert english.inner_text().split() == []
    page.get_by_label("Needs cleaning").check()
    english.filter(has_text="Needs cleaning").wait_for()
    page.get_by_role("textbox", name="My own words").press_sequentially(WORDS)
    english.filter(has_text="bent and the new…").wait_for()
    assert page.get_by_label("In my own words:").is_checked()
    page.locator("#display .message", has_text=CUT).wait_for()
    page.get_by_role("textbox", name="My own words").fill("")
    page.wait_for_function("() => !document.querySelector('#display .display').textContent.trim()")
    assert page.locator("#display .message").count() == 0
    page.get_by_role("textbox", name="My own words").fill("Blade bent")
    page.get_by_label("Expected back").fill("2059-03-01")
    english.filter(has_text="Back: 1 March").wait_for()
    assert not page.get_by_role("button", name="Preview").is_visible()
    page.goto("/floor")
    assert "Blade bent" not in page.locator("#floor-machines").inner_text()


def test_without_javascript_a_button_shows_the_preview(site: UsedSite, person) -> None:
    page = open_lock_form(site, person, script=False)
    page.get_by_label("In my own words:").check()
    page.get_by_role("textbox", name="My own words").fill(WORDS)
    page.get_by_role("button", name="Preview").click()
    page.locator("#display .display", has_text="bent and the new…").first.wait_for()
    page.locator("#display .message", has_text=CUT).wait_for()
    assert page.get_by_role("textbox", name="My own words").input_value() == WORDS


def open_lock_form(site: UsedSite, person, **how: bool):
    maya = person(site.address, **how)
    maya.sign_in(MANAGER, site.password)
    maya.page.goto(LOCK)
    return maya.page
