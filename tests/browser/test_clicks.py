"""A manager who has never seen it: how many clicks is it from the floor? Three at most for what every week asks."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

from tests.browser.furnish import MANAGER
from tests.browser.house import House
from tests.browser.window import looks, too_wide

MOST = 3


class Hand:
    """Clicks, and counts. Typing and choosing from a list are no clicks: they are what the person came for."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.clicks = 0

    def click(self, role: str, name: str, within: str = "body") -> None:
        self.clicks += 1
        self.page.locator(within).get_by_role(role, name=name).first.click()


def at_the_floor(house: House, person) -> Hand:
    maya = person(house.address)
    maya.sign_in(MANAGER, house.password)
    maya.page.get_by_role("heading", name="Floor").wait_for()  # where a manager begins
    return Hand(maya.page)


def test_who_is_at_the_laser_is_seen_at_once(house: House, person) -> None:
    hand = at_the_floor(house, person)
    hand.page.locator("#at-laser-1", has_text="Zoé Müller-Østergård").wait_for()
    assert hand.clicks == 0


def test_somebody_new_whose_badge_was_refused_is_let_in(house: House, person) -> None:
    hand = at_the_floor(house, person)
    hand.click("link", "New person", within="#floor-refused")
    hand.page.get_by_label("Name", exact=True).fill("Noémie Aubert")
    hand.click("checkbox", "3D printing")
    hand.click("button", "Write down")
    hand.page.locator(".message.success", has_text="the badge is theirs").wait_for()
    assert hand.clicks <= MOST
    printer = hand.page.locator("section[aria-labelledby=machines-title] li").filter(has_text="3D printer A")
    printer.get_by_text("Yes", exact=True).wait_for()


def test_somebody_new_is_written_down_with_the_badge_on_the_reader(house: House, person) -> None:
    hand = at_the_floor(house, person)
    hand.click("link", "People", within=".tabs")
    hand.click("button", "New person")
    for width in (1280, 390):
        looks(hand.page, width, dark=False)
        assert too_wide(hand.page) == [], width
    hand.page.get_by_label("Name", exact=True).fill("Grace Hopper")
    badge = hand.page.get_by_label("Badge", exact=True)
    badge.fill("04C0FFEE123480")
    badge.press("Enter")  # as a reader does
    hand.page.locator(".message.success", has_text="the badge is theirs").wait_for()
    assert hand.clicks <= MOST


def test_a_member_who_was_refused_gets_the_training(house: House, person) -> None:
    hand = at_the_floor(house, person)
    refused = hand.page.locator("#floor-refused li", has_text="training missing").locator("p a").first
    hand.clicks += 1
    refused.click()
    hand.clicks += 1
    hand.page.locator("#grant > summary").click()
    training = hand.page.locator("#grant").get_by_label("Training")
    training.select_option(label="Saws")
    hand.click("button", "Grant", within="#grant")
    hand.page.locator(".message.success", has_text="Saws").wait_for()
    assert hand.clicks <= MOST


def test_the_laser_is_locked(house: House, person) -> None:
    hand = at_the_floor(house, person)
    hand.click("button", "Lock…", within="#at-laser-1")
    hand.click("radio", "In my own words:")
    hand.page.get_by_role("textbox", name="My own words").fill("The lens is dirty")
    hand.click("button", "Lock it")
    hand.page.locator("#at-laser-1", has_text="The lens is dirty").wait_for()
    assert hand.clicks <= MOST
    hand.page.locator("#at-laser-1").get_by_text("Unlock…").click()  # as the tests beside this one want it
    hand.page.locator("#at-laser-1").get_by_role("button", name="Unlock it").click()


def test_last_month_is_exported(house: House, person) -> None:
    hand = at_the_floor(house, person)
    hand.click("link", "Use", within=".tabs")
    hand.click("button", "Last month", within=".quick")
    with hand.page.expect_download() as taken:
        hand.click("button", "CSV", within="main")
    assert hand.clicks <= MOST
    rows = list(csv.DictReader(io.StringIO(taken.value.path().read_text(encoding="utf-8-sig"))))
    ended = {row["Ended (local)"][:7] for row in rows if row["Ended (local)"]}  # what is still open stands apart
    assert len(ended) == 1, "one month and no other"
    counted = [row for row in rows if row["Ended (local)"]]
    assert all(row["Person"] for row in counted)
    hand.page.goto(f"/use/usage?month={ended.pop()}")
    total = hand.page.locator("main table tfoot tr").first.inner_text().split()
    on_s = sum(int(row["Time on (ms)"]) for row in counted) // 1000
    assert total[:3] == ["Total", str(len(counted)), f"{on_s // 3600}:{on_s // 60 % 60:02}:{on_s % 60:02}"]


def test_a_name_of_one_endless_word_breaks_and_widens_no_page(house: House, person) -> None:
    hand = at_the_floor(house, person)
    hand.page.goto("/people/new")
    hand.page.get_by_label("Name", exact=True).fill("A" * 120)
    hand.click("button", "Write down")
    hand.page.locator(".message.success").first.wait_for()
    hand.page.goto("/people/trainings/new")
    hand.page.locator("input[name=title]").fill("B" * 120)
    hand.page.locator("main form button").last.click()
    hand.page.wait_for_url(re.compile(r"/people/trainings/(?!new)"))
    for path in ("/people", "/machines/laser", "/people/trainings"):
        hand.page.goto(path)
        for width in (1280, 390):
            looks(hand.page, width, dark=False)
            assert too_wide(hand.page) == [], (path, width)


#: Click twice, and say of each time whether the form was kept from being sent.
TWICE = """button => {
  const kept = [];
  document.addEventListener("submit", (event) => kept.push(event.defaultPrevented));
  button.click();
  button.click();
  return kept;
}"""


def test_a_double_click_sends_once_so_that_what_is_shown_once_is_shown(house: House, person) -> None:
    page = at_the_floor(house, person).page
    page.goto(f"{house.address}/accounts/keys")
    page.get_by_label("For which program?").fill("Clicked twice")
    assert page.get_by_role("button", name="Make the key").evaluate(TWICE) == [False, True]
    page.locator(".message.success", has_text="The key of Clicked twice").wait_for()
