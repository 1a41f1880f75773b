"""Counts clicks: each weekly task takes at most three from the floor, and a correction reaches the statement in four."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

from tests.browser.sample_data import MANAGER
from tests.browser.used_site import UsedSite
from tests.browser.window import set_look, too_wide

MOST_CLICKS = 3


class Clicker:
    """Clicks and counts. Typing and choosing from a list do not count: they are the task itself."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.clicks = 0

    def click(self, role: str, name: str, within: str = "body") -> None:
        self.clicks += 1
        self.page.locator(within).get_by_role(role, name=name).first.click()


def open_floor(site: UsedSite, person, name: str = MANAGER) -> Clicker:
    somebody = person(site.address)
    somebody.sign_in(name, site.password)
    somebody.page.get_by_role("heading", name="Floor").wait_for()  # the first page of a manager and of the desk
    return Clicker(somebody.page)


def test_the_floor_shows_who_uses_the_laser_without_a_click(site: UsedSite, person) -> None:
    clicker = open_floor(site, person)
    clicker.page.locator("#at-laser-1", has_text="Zoé Müller-Østergård").wait_for()
    assert clicker.clicks == 0


def test_a_new_person_is_added_from_a_refused_badge(site: UsedSite, person) -> None:
    clicker = open_floor(site, person)
    clicker.click("link", "New person", within="#floor-refused")
    clicker.page.get_by_label("Name", exact=True).fill("Noémie Aubert")
    clicker.click("checkbox", "3D printing")
    clicker.click("button", "Add person")
    clicker.page.locator(".message.success", has_text="added with a badge").wait_for()
    assert clicker.clicks <= MOST_CLICKS
    printer = clicker.page.locator("section[aria-labelledby=machines-title] li").filter(has_text="3D printer A")
    printer.get_by_text("Yes", exact=True).wait_for()


def test_a_new_person_is_added_with_the_badge_on_the_reader(site: UsedSite, person) -> None:
    clicker = open_floor(site, person)
    clicker.click("link", "People", within=".tabs")
    clicker.click("button", "New person")
    for width in (1280, 390):
        set_look(clicker.page, width, dark=False)
        assert too_wide(clicker.page) == [], width
    clicker.page.get_by_label("Name", exact=True).fill("Grace Hopper")
    badge = clicker.page.get_by_label("Badge", exact=True)
    badge.fill("04C0FFEE123480")
    badge.press("Enter")  # as a reader does
    clicker.page.locator(".message.success", has_text="added with a badge").wait_for()
    assert clicker.clicks <= MOST_CLICKS


def test_a_refused_member_is_granted_the_training(site: UsedSite, person) -> None:
    clicker = open_floor(site, person)
    refused = clicker.page.locator("#floor-refused li", has_text="training missing").locator("p a").first
    clicker.clicks += 1
    refused.click()
    clicker.clicks += 1
    clicker.page.locator("#grant > summary").click()
    training = clicker.page.locator("#grant").get_by_label("Training")
    training.select_option(label="Saws")
    clicker.click("button", "Grant", within="#grant")
    clicker.page.locator(".message.success", has_text="Saws").wait_for()
    assert clicker.clicks <= MOST_CLICKS


def test_the_laser_is_locked(site: UsedSite, person) -> None:
    clicker = open_floor(site, person)
    clicker.click("button", "Lock…", within="#at-laser-1")
    clicker.click("radio", "In my own words:")
    clicker.page.get_by_role("textbox", name="My own words").fill("The lens is dirty")
    clicker.click("button", "Lock it")
    clicker.page.locator("#at-laser-1", has_text="The lens is dirty").wait_for()
    assert clicker.clicks <= MOST_CLICKS
    clicker.page.locator("#at-laser-1").get_by_text("Unlock…").click()  # as other tests expect it
    clicker.page.locator("#at-laser-1").get_by_role("button", name="Unlock it").click()


def test_credit_is_added_at_the_desk(site: UsedSite, person) -> None:
    clicker = open_floor(site, person, "karim")
    clicker.click("link", "People", within=".tabs")
    search = clicker.page.get_by_label("Name, number, e-mail or badge")
    search.fill("m-5")
    search.press("Enter")
    clicker.click("button", "Add credit", within="main")
    clicker.page.get_by_label("Amount (EUR)").fill("12.50")
    clicker.click("button", "Add credit", within="main")
    clicker.page.locator(".message.success", has_text="€12.50").wait_for()
    assert clicker.clicks <= MOST_CLICKS


def test_a_correction_reaches_the_statement(site: UsedSite, person) -> None:
    maya = person(site.address)
    maya.sign_in(MANAGER, site.password)
    clicker = Clicker(maya.page)
    (listed,) = (page["path"] for page in site.pages if page["route"] == "month-payer")
    statement = listed.replace("/payer/", "/statement/")
    clicker.page.goto(statement)
    sessions = clicker.page.locator(".statement a[href*='/month/session/']")
    address = sessions.first.get_attribute("href")
    row = clicker.page.locator(f".statement tr:has(a[href='{address}'])")
    before = row.inner_text()
    clicker.clicks += 1
    sessions.first.click()
    clicker.click("button", "The session", within="main")
    clicker.page.get_by_label("Powered on").fill("0:01:00")
    clicker.page.locator("#correct").get_by_label("Why").fill("Forgot to tap off")
    clicker.click("button", "Correct", within="#correct")
    clicker.page.locator(".message.success").wait_for()
    clicker.clicks += 1
    clicker.page.goto(statement)
    assert "0:01:00" not in before
    assert "0:01:00" in row.inner_text()
    assert clicker.clicks <= MOST_CLICKS + 1


def test_last_month_is_exported(site: UsedSite, person) -> None:
    clicker = open_floor(site, person)
    clicker.click("link", "Activity", within=".tabs")
    clicker.click("button", "Last month", within=".quick")
    with clicker.page.expect_download() as taken:
        clicker.click("button", "CSV", within="main")
    assert clicker.clicks <= MOST_CLICKS
    rows = list(csv.DictReader(io.StringIO(taken.value.path().read_text(encoding="utf-8-sig"))))
    ended = {row["Ended (local)"][:7] for row in rows if row["Ended (local)"]}  # open sessions have no end
    assert len(ended) == 1, "exactly one month"
    counted = [row for row in rows if row["Ended (local)"]]
    assert all(row["Person"] for row in counted)
    clicker.page.goto(f"/use/usage?month={ended.pop()}")
    total = clicker.page.locator("main table tfoot tr").first.inner_text().split()
    on_s = sum(int(row["Powered on (ms)"]) for row in counted) // 1000
    assert total[:3] == ["Total", str(len(counted)), f"{on_s // 3600}:{on_s // 60 % 60:02}:{on_s % 60:02}"]


def test_a_name_of_120_letters_widens_no_page(site: UsedSite, person) -> None:
    clicker = open_floor(site, person)
    clicker.page.goto("/people/new")
    clicker.page.get_by_label("Name", exact=True).fill("A" * 120)
    clicker.click("button", "Add person")
    clicker.page.locator(".message.success").first.wait_for()
    clicker.page.goto("/people/trainings/new")
    clicker.page.locator("input[name=title]").fill("B" * 120)
    clicker.page.locator("main form button").last.click()
    clicker.page.wait_for_url(re.compile(r"/people/trainings/(?!new)"))
    for path in ("/people", "/people/new", "/machines/laser", "/people/trainings", "/log"):
        clicker.page.goto(path)
        for width in (1280, 390):
            set_look(clicker.page, width, dark=False)
            assert too_wide(clicker.page) == [], (path, width)


#: Clicks twice, and returns for each click whether the form was prevented from being sent.
CLICK_TWICE = """button => {
  const prevented = [];
  document.addEventListener("submit", (event) => prevented.push(event.defaultPrevented));
  button.click();
  button.click();
  return prevented;
}"""


def test_a_double_click_sends_the_form_once(site: UsedSite, person) -> None:
    page = open_floor(site, person).page
    page.goto(f"{site.address}/accounts/keys")
    page.get_by_label("Program name").fill("Clicked twice")
    assert page.get_by_role("button", name="Create key").evaluate(CLICK_TWICE) == [False, True]
    page.locator(".message.success", has_text="Key for Clicked twice").wait_for()
