"""A workshop's week in a real browser, against real processes: from the first password to the exported minutes.

It is one test, because each step needs the previous ones. What a page shows is compared with the gate: power and journal.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from fabgate import wire
from fabgate.demo import books
from tests.browser.new_site import TITLE, NewSite

PASSWORD = "three green chairs"
ZOE, ZDENEK = "Zoé Müller-Østergård", "Zdeněk Dvořák"
CARD, LOAN, STRANGE = "04:A1:B2:C3:D4:E5:80", "1E:5C:90:77", "C0:FF:EE:01"
BAD_ROW = 151


@pytest.fixture
def site(tmp_path) -> Iterator[NewSite]:
    made = NewSite(tmp_path)
    yield made
    made.close()


def members() -> bytes:
    """A list of 300 members as a French spreadsheet exports it, with one row that has no number."""
    rows = [
        ("id", "name", "badges", "lang", "category"),
        ("m-1", ZOE, CARD, "fr", "student"),
        ("m-2", ZDENEK, "", "en", ""),
    ]
    rows += [(f"m-{number}", f"Élève {number:03}", "", "fr", "school") for number in range(3, 301)]
    rows.insert(BAD_ROW - 1, ("", "Nobody Inparticular", "", "fr", ""))
    out = io.StringIO()
    csv.writer(out, delimiter=";").writerows(rows)
    return out.getvalue().encode("utf-8-sig")


def test_a_week(site: NewSite, person) -> None:
    maya = person(site.address)
    page = maya.page
    set_the_first_password(page, site)
    import_members(page)

    floor = maya.open("/floor")
    mark_as_loaded(floor)
    grant_a_training(page, floor, site)
    lock_when_idle(page, floor, site)
    lend_a_badge(page, floor, site)
    assign_an_unknown_badge(page, floor, site)
    block_a_member(page, floor, site)
    assert floor.evaluate("window.wasNotReloaded"), "the open floor was loaded again"

    site.until("everything to be stored", site.gate.settled)
    find_who_used_it(page, site)
    compare_export_and_journal(page, site)


def set_the_first_password(page: Any, site: NewSite) -> None:
    page.goto(site.first_link)
    page.get_by_label("Username").fill("maya")
    page.get_by_label("Display name").fill("Maya Roussel")
    page.get_by_label("New password").fill("maya")
    page.get_by_role("button", name="Set password").click()
    page.locator(".errorlist", has_text="too short").wait_for()
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_role("button", name="Set password").click()
    page.get_by_role("link", name="People").wait_for()
    page.goto(site.first_link)  # it works only once
    assert page.get_by_label("New password").count() == 0


def import_members(page: Any) -> None:
    page.goto("/people")
    page.get_by_role("link", name="Import").click()
    list_of_members = {"name": "membres.csv", "mimeType": "text/csv", "buffer": members()}
    page.get_by_label("Your list").set_input_files(list_of_members)
    page.get_by_role("button", name="Preview changes").click()
    page.locator("main", has_text="Nothing has changed yet.").filter(has_text=f"Row {BAD_ROW}").wait_for()
    page.get_by_label("300 new people: add them all").check()
    page.get_by_role("button", name="Import the other 300").click()
    see_message(page, "300 new people")
    page.get_by_label("Name, number, e-mail or badge").fill("zoe muller")
    page.locator("main").get_by_role("button", name="Find").click()
    page.get_by_role("heading", name=ZOE).wait_for()  # a single result opens at once


def grant_a_training(page: Any, floor: Any, site: NewSite) -> None:
    site.tap(CARD)
    site.wait_until_refused("training-missing")
    see(floor, "#floor-refused", ZOE, "training missing")

    page.goto("/people/trainings/new")
    page.get_by_label("Training").fill("Laser cutting")
    page.get_by_label(TITLE).check()
    page.get_by_role("button", name="Save").click()
    see_message(page, "Laser cutting added")

    open_person(page, "m-1")
    page.locator("#grant > summary").click()
    page.locator("#grant").get_by_label("Training").select_option(label="Laser cutting")
    page.locator("#grant").get_by_role("button", name="Grant").click()
    see_message(page, "Laser cutting")
    wait_until_applied(page)
    site.tap(CARD)
    site.wait_until_on()
    see(floor, "#floor-machines", TITLE, "In use", ZOE)


def lock_when_idle(page: Any, floor: Any, site: NewSite) -> None:
    floor.get_by_role("button", name="Lock…").click()
    floor.get_by_label("Waiting for parts").check()
    assert floor.get_by_label("When idle").is_checked()
    submit(floor, "Lock it")
    see(floor, "#floor-machines", "Will lock when idle.", ZOE)
    assert site.gate.observer.on
    site.tap(CARD)
    site.wait_until_off()
    see(floor, "#floor-machines", "Waiting for parts", "Locked by Maya Roussel")
    site.until("the lock at the gate", lambda: "lock-idle" in site.gate.status().get("causes", []))
    site.tap(CARD)
    site.wait_until_refused("blocked-lock-idle")
    floor.get_by_text("Unlock…").click()
    submit(floor, "Unlock it")
    site.until("the lock to be lifted", lambda: not site.gate.status().get("causes"))
    see(floor, "#floor-machines", "Free")


def lend_a_badge(page: Any, floor: Any, site: NewSite) -> None:
    open_person(page, "m-1")
    page.locator("#lend > summary").click()
    page.locator("#lend").get_by_label("Loan badge").fill(LOAN)
    page.locator("#lend").get_by_label("Printed number").fill("L-07")
    page.locator("#lend").get_by_role("button", name="Lend").click()
    see_message(page, "Lent until this evening.")
    wait_until_applied(page)
    site.tap(LOAN)
    site.wait_until_on()
    see(floor, "#floor-machines", "In use", ZOE)
    site.tap(CARD)  # her own badge ends the session of her loan badge
    site.wait_until_off()


def assign_an_unknown_badge(page: Any, floor: Any, site: NewSite) -> None:
    site.tap(STRANGE)
    site.wait_until_refused("unknown-badge")
    see(floor, "#floor-refused", "Unknown badge", TITLE)
    page.goto("/floor")
    page.get_by_role("link", name="Assign to someone").click()
    page.get_by_label("Name, number or e-mail").fill("zdenek")
    page.locator("main").get_by_role("button", name="Find").click()
    page.get_by_label(ZDENEK).check()
    page.get_by_role("button", name="Assign badge").click()
    see_message(page, "Badge assigned.")
    wait_until_applied(page)
    site.tap(STRANGE)
    site.wait_until_refused("training-missing")
    see(floor, "#floor-refused", ZDENEK)


def block_a_member(page: Any, floor: Any, site: NewSite) -> None:
    open_person(page, "m-1")
    page.locator("#block > summary").click()
    page.locator("#block").get_by_label("Why?").select_option("payment-due")
    page.locator("#block").get_by_role("button", name="Block").click()
    see_message(page, "Blocked")
    wait_until_applied(page)
    site.tap(CARD)
    site.wait_until_refused("payment-due")
    see(floor, "#floor-refused", "payment due")
    assert not site.gate.observer.on


def find_who_used_it(page: Any, site: NewSite) -> None:
    began = session_starts(site)[0]
    page.goto("/use/moment")
    machine = page.get_by_label("Machine").locator("option").first.get_attribute("value")
    at = began + timedelta(seconds=1)
    page.goto(f"/use/moment?machine={machine}&day={at:%Y-%m-%d}&time={at:%H:%M:%S}")
    answer = page.locator("article.answer").inner_text()
    assert ZOE in answer
    assert "Laser cutting" in answer


def compare_export_and_journal(page: Any, site: NewSite) -> None:
    page.goto("/use")
    with page.expect_download() as taken:
        page.locator("main").get_by_role("button", name="CSV").click()
    text = taken.value.path().read_text(encoding="utf-8-sig")
    rows = csv.DictReader(io.StringIO(text), delimiter=";" if text.splitlines()[0].count(";") else ",")
    exported = {
        row["Session"]: (row["Person"], int(row["Powered on (ms)"]), int(row["Uncertainty (ms)"])) for row in rows
    }
    journal = books.read(site.gate.entries())
    assert not journal.wrong
    booked = {row.session: (ZOE, row.energised_ms, row.uncertainty_ms) for row in journal.sessions.values()}
    assert len(booked) == 2
    assert exported == booked
    assert books.against_observer(journal, site.gate.observer.stretches()) == []


# --- steps and checks ----------------------------------------------------------------------------------------------


def open_person(page: Any, pk: str) -> None:
    page.goto(f"/people/{pk}")


def see_message(page: Any, words: str) -> None:
    """Wait for a success message."""
    page.locator(".message.success", has_text=words).wait_for()


def mark_as_loaded(floor: Any) -> None:
    """Mark the page, so that a later reload can be detected."""
    floor.evaluate("window.wasNotReloaded = true")


def submit(floor: Any, button: str) -> None:
    """Submit the form, and mark the page that follows."""
    with floor.expect_navigation():
        floor.get_by_role("button", name=button).click()
    mark_as_loaded(floor)


def wait_until_applied(page: Any) -> None:
    """Wait until the page shows, without a reload, that the gate applies the change."""
    # by its capital letter: before, the page says "Not yet applied on the gate"
    page.locator("#known", has_text=re.compile("Applied on the gate")).wait_for()


def see(floor: Any, region: str, *words: str) -> None:
    """Wait until an open page shows the words, without a reload."""
    found = floor.locator(region)
    for word in words:
        found = found.filter(has_text=word)
    found.wait_for()


def session_starts(site: NewSite) -> list[datetime]:
    """Return when each session of the gate began."""
    entries = [wire.decode_entry(body) for body in site.gate.entries()]
    return [entry.time for entry in entries if entry.type == wire.full_type("session.started") and entry.time]
