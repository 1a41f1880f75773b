"""The wall of badges in a real browser: by mouse, by keyboard, by dragging, without script; on a phone, in the dark."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.demo.running import Demo

CHROMIUM = Path("/usr/bin/chromium")
pytest.importorskip("playwright")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="no Chromium on this computer: apt install chromium"),
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Any, page: Demo) -> Iterator[Callable[..., Any]]:
    """Open the wall in a window of its own; whatever the browser complains of fails the test."""
    complaints: list[str] = []
    contexts = []

    def make(**options: Any) -> Any:
        context = chromium.new_context(viewport={"width": 1280, "height": 900}, **options)
        contexts.append(context)
        window = context.new_page()
        window.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        window.on("pageerror", lambda error: complaints.append(str(error)))
        window.goto(page.wall.link())
        return window

    yield make
    for context in contexts:
        context.close()
    assert complaints == []


def machine(window: Any, gate: str, words: str) -> Any:
    """Wait until a machine says so."""
    found = window.locator(f"#at-{gate}", has_text=words)
    found.wait_for(timeout=20_000)
    return found


def test_a_badge_is_taken_and_tapped_and_the_page_follows_by_itself(visit: Any, page: Demo) -> None:
    window = visit()
    window.get_by_label("Ada").first.check(force=True)
    window.locator("#tap-laser-1").click()
    machine(window, "laser-1", "Power on")
    machine(window, "laser-1", "Hello Ada")
    assert "/wall" in window.url
    assert "?card" not in window.url  # the page was not loaded again
    window.locator("#said", has_text="Hello Ada").wait_for(state="attached", timeout=20_000)


def test_who_has_only_a_keyboard_does_the_same_and_keeps_the_place(visit: Any) -> None:
    window = visit()
    window.locator("#card-ada").focus()
    window.keyboard.press("ArrowRight")
    assert window.locator("#card-bob").is_checked()
    window.locator("#tap-laser-1").focus()
    window.keyboard.press("Enter")
    machine(window, "laser-1", "Bonjour Bob")
    assert window.evaluate("document.activeElement.id") == "tap-laser-1"


def test_a_badge_is_dragged_onto_a_machine(visit: Any) -> None:
    window = visit()
    window.locator('label[for="card-stranger"]').drag_to(window.locator("#at-printer-1"))
    machine(window, "printer-1", "Refused: unknown badge")


def test_without_a_badge_in_the_hand_nothing_is_tapped(visit: Any) -> None:
    window = visit()
    window.locator("#tap-laser-1").click()
    assert window.evaluate("document.activeElement.name") == "card"
    assert "Power off" in window.locator("#at-laser-1").inner_text()


def test_what_is_broken_is_seen_at_once_and_can_be_mended(visit: Any) -> None:
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


def test_without_script_every_button_still_works(visit: Any) -> None:
    window = visit(java_script_enabled=False)
    window.locator("#card-mo").check(force=True)
    window.locator("#tap-laser-1").click()
    assert window.locator("#card-mo").is_checked()
    window.reload()
    machine(window, "laser-1", "Mo was refused")


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en", "fr"])
@pytest.mark.parametrize("width", [1280, 390, 320])
def test_it_fits_and_everybody_can_use_it(visit: Any, colours: str, locale: str, width: int) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    window = visit(color_scheme=colours, locale=locale)
    window.set_viewport_size({"width": width, "height": 844})
    assert window.locator("h1").inner_text().startswith("Take" if locale == "en" else "Prenez")
    assert window.evaluate("document.documentElement.scrollWidth") <= width
    found = axe.run(window)
    assert found.violations_count == 0, [row["id"] for row in found.response["violations"]]
