"""Checks layouts in a real browser: filled rows and steady buttons on the floor, short pages on a phone, no scripts."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.browser.feed import ONCE
from tests.browser.sample_data import MANAGER
from tests.browser.used_site import UsedSite

#: Pixels: a common phone.
PHONE = 390
#: Last month has sessions on the first day of a month, too.
USAGE = f"/use/usage?month={datetime.now(UTC).replace(day=1) - timedelta(days=1):%Y-%m}"
#: Pixels: what a phone shows without scrolling.
SCREEN = 844
_USED = ".is-in-use, .is-running, .is-left-on, .is-starting, .is-finishing"
_BOXES = """() => Object.fromEntries([...document.querySelectorAll(".stations > .station")].map((card) => {
  const box = card.getBoundingClientRect();
  return [card.id, [box.x, box.y, box.width, box.height].map((number) => Math.round(number))];
}))"""
#: A pointer that moves over the floor, however long the collector takes to report a change.
_KEEP_POINTING = """() => {
  const point = () => document.querySelector(".stations").dispatchEvent(new PointerEvent("pointermove", { bubbles: true }));
  point();
  window.pointing = setInterval(point, 500);
}"""
_ROWS = """() => {
  const region = document.querySelector(".stations").getBoundingClientRect();
  const rows = {};
  for (const card of document.querySelectorAll(".stations > .station")) {
    const box = card.getBoundingClientRect();
    (rows[Math.round(box.top)] ??= []).push([box.left, box.right, box.bottom]);
  }
  return Object.values(rows).map((cards) => ({
    left: Math.round(Math.min(...cards.map(([left]) => left)) - region.left),
    right: Math.round(region.right - Math.max(...cards.map(([, right]) => right))),
    heights: new Set(cards.map(([, , bottom]) => Math.round(bottom))).size,
  }));
}"""


@pytest.fixture
def opened(site: UsedSite, person) -> Callable[..., Any]:
    """Open a page as the manager, in a window of its own."""

    def make(path: str, **looks: Any) -> Any:
        maya = person(site.address, **looks)
        maya.sign_in(MANAGER, site.password) if looks.get("script", True) else sign_in_without_scripts(maya, site)
        maya.page.goto(path)
        return maya.page

    return make


def sign_in_without_scripts(who: Any, site: UsedSite) -> None:
    who.page.goto("/sign-in")
    who.page.locator("input[name=name]").fill(MANAGER)
    who.page.locator("input[name=password]").fill(site.password)
    who.page.locator("main button").click()


@pytest.mark.parametrize("width", [PHONE, 768, 1280, 1600])
def test_every_row_of_the_floor_is_filled(opened, width: int) -> None:
    page = opened("/floor", width=width)
    assert page.evaluate(_ROWS)
    for row in page.evaluate(_ROWS):
        assert (row["left"], row["right"], row["heights"]) == (0, 0, 1)


def test_free_machines_are_small_and_running_ones_large(opened) -> None:
    page = opened("/floor")
    free, used = (
        [card.bounding_box()["width"] for card in page.locator(f".station:is({kinds})").all()]
        for kinds in (".is-free", ".is-in-use, .is-running, .is-left-on")
    )
    assert max(free) < min(used)


@pytest.mark.parametrize("look", [PHONE, 1280])
def test_nothing_moves_under_the_finger_and_sizes_follow_once_the_floor_is_left_alone(
    opened, site: UsedSite, look: int
) -> None:
    site.stops()  # another test may have left it running
    page = opened("/floor", width=look)
    before = page.evaluate(_BOXES)
    page.evaluate(_KEEP_POINTING)
    site.starts("m-9")
    page.locator(f"#at-{ONCE}", has_text="Fatima Zahra").wait_for()
    assert page.evaluate(_BOXES) == before
    page.evaluate("() => clearInterval(window.pointing)")
    width = before[f"at-{ONCE}"][2]
    page.wait_for_function(
        "([id, width]) => document.getElementById(id).offsetWidth > width + 20", arg=[f"at-{ONCE}", width]
    )


def test_on_a_phone_people_come_first_then_the_newest_refusals_then_the_machines_in_use(opened) -> None:
    page = opened("/floor", width=PHONE)
    boxes = [page.locator(part).bounding_box() for part in (".present", ".refusals", "#floor-machines")]
    for above, below in itertools.pairwise(boxes):
        assert above["y"] + above["height"] <= below["y"]
    assert page.locator("#floor-here > li").first.bounding_box()["y"] < SCREEN / 2
    used, others = (
        [card.bounding_box()["y"] for card in page.locator(f".station{kinds}").all()]
        for kinds in (f":is({_USED})", f":not({_USED})")
    )
    assert max(used) < min(others)
    assert page.locator("#floor-refused > li:visible").count() <= 2


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_on_a_phone_reports_begin_with_the_chart_and_filters_fold(opened, lang: str) -> None:
    page = opened(USAGE, width=PHONE, lang=lang)
    chart = page.locator(".chart").bounding_box()
    assert chart["y"] + chart["height"] < SCREEN
    assert not page.locator("[name=machine]").is_visible()
    page.locator(".fold > summary").click()
    assert page.locator("[name=machine]").is_visible()


def test_on_a_desk_filters_are_open(opened) -> None:
    page = opened(USAGE, width=1280)
    assert page.locator("[name=machine]").is_visible()
    assert not page.locator(".fold > summary").is_visible()


def test_on_a_phone_the_list_of_sessions_is_short(opened) -> None:
    page = opened("/use?period=last-month", width=PHONE, lang="fr")
    rows = page.locator(".compact tbody tr").count()
    assert rows == 50
    assert page.locator(".compact").bounding_box()["height"] < rows * 110
    assert page.evaluate("document.documentElement.scrollHeight") < 6_500


def test_a_bar_leads_to_its_sessions(opened) -> None:
    page = opened(USAGE)
    numbers = page.locator("#chart-numbers")
    numbers.locator("summary").click()
    numbers.get_by_role("link").first.click()
    assert "period=own" in page.url


def test_without_scripts_a_chart_is_its_table_and_filters_open(opened) -> None:
    page = opened(USAGE, script=False, width=PHONE)
    assert page.locator("noscript .steps tr").first.is_visible()
    assert not page.locator(".chart").is_visible()
    page.locator(".fold > summary").click()
    assert page.locator("[name=machine]").is_visible()
    page.locator(".sortable thead a").nth(1).click()
    assert "sort=-sessions" in page.url
