"""A workshop's week in a real browser, against real processes: from the first password to the exported minutes.

One story, because each day needs the one before. What a page promises is looked up at the gate: its power, its journal.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from fabgate import wire
from fabgate.demo import books
from tests.browser.shop import TITLE, Shop

PASSWORD = "three green chairs"
ZOE, ZDENEK = "Zoé Müller-Østergård", "Zdeněk Dvořák"
CARD, LOAN, STRANGE = "04:A1:B2:C3:D4:E5:80", "1E:5C:90:77", "C0:FF:EE:01"
BROKEN = 151


@pytest.fixture
def shop(tmp_path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    yield made
    made.close()


def members() -> bytes:
    """A list of 300 members as a spreadsheet writes it in France, and among them a line that has no number."""
    rows = [
        ("id", "name", "badges", "lang", "category"),
        ("m-1", ZOE, CARD, "fr", "student"),
        ("m-2", ZDENEK, "", "en", ""),
    ]
    rows += [(f"m-{number}", f"Élève {number:03}", "", "fr", "school") for number in range(3, 301)]
    rows.insert(BROKEN - 1, ("", "Nobody Inparticular", "", "fr", ""))
    out = io.StringIO()
    csv.writer(out, delimiter=";").writerows(rows)
    return out.getvalue().encode("utf-8-sig")


def test_a_week(shop: Shop, person) -> None:
    maya = person(shop.address)
    page = maya.page
    the_first_password(page, shop)
    the_members_are_imported(page)

    floor = maya.open("/floor")
    lies_open(floor)
    a_training_lets_her_in(page, floor, shop)
    locked_once_it_is_idle(page, floor, shop)
    a_badge_is_lent(page, floor, shop)
    whose_is_it(page, floor, shop)
    blocked(page, floor, shop)
    assert floor.evaluate("window.wasNotReloaded"), "the floor that lay open was loaded again"

    shop.until("everything to be stored", shop.gate.settled)
    who_used_it_then(page, shop)
    the_export_is_the_journal(page, shop)


def the_first_password(page: Any, shop: Shop) -> None:
    page.goto(shop.first_link)
    page.get_by_label("Name to sign in with").fill("maya")
    page.get_by_label("Name that others read").fill("Maya Roussel")
    page.get_by_label("New password").fill("maya")
    page.get_by_role("button", name="Set the password").click()
    page.locator(".errorlist", has_text="too short").wait_for()
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_role("button", name="Set the password").click()
    page.get_by_role("link", name="People").wait_for()
    page.goto(shop.first_link)  # it opened once, and never again
    assert page.get_by_label("New password").count() == 0


def the_members_are_imported(page: Any) -> None:
    page.goto("/people")
    page.get_by_role("link", name="Import").click()
    list_of_members = {"name": "membres.csv", "mimeType": "text/csv", "buffer": members()}
    page.get_by_label("List of members").set_input_files(list_of_members)
    page.get_by_role("button", name="Show what it changes").click()
    page.locator("main", has_text="Nothing has changed yet.").filter(has_text=f"Line {BROKEN}").wait_for()
    page.get_by_role("button", name="Take the other 300").click()
    said(page, "300 new people")
    page.get_by_label("Name, number, e-mail or badge").fill("zoe muller")
    page.locator("main").get_by_role("button", name="Find").click()
    page.get_by_role("heading", name=ZOE).wait_for()  # she is the only one: her page opens at once


def a_training_lets_her_in(page: Any, floor: Any, shop: Shop) -> None:
    shop.tap(CARD)
    shop.refused("training-missing")
    seen(floor, "#floor-refused", ZOE, "training missing")

    page.goto("/people/trainings/new")
    page.get_by_label("Training").fill("Laser cutting")
    page.get_by_label(TITLE).check()
    page.get_by_role("button", name="Save").click()
    said(page, "Laser cutting is there now")

    open_person(page, "m-1")
    page.locator("#grant > summary").click()
    page.locator("#grant").get_by_label("Training").select_option(label="Laser cutting")
    page.locator("#grant").get_by_role("button", name="Grant").click()
    said(page, "Laser cutting")
    known(page)
    shop.tap(CARD)
    shop.is_on()
    seen(floor, "#floor-machines", TITLE, "In use", ZOE)


def locked_once_it_is_idle(page: Any, floor: Any, shop: Shop) -> None:
    floor.get_by_role("button", name="Lock…").click()
    floor.get_by_label("Waits for a part").check()
    assert floor.get_by_label("When it is idle").is_checked()
    sends(floor, "Lock it")
    seen(floor, "#floor-machines", "It locks once it is idle.", ZOE)
    assert shop.gate.observer.on
    shop.tap(CARD)
    shop.is_off()
    seen(floor, "#floor-machines", "Waits for a part", "Locked by Maya Roussel")
    shop.until("the lock at the gate", lambda: "lock-idle" in shop.gate.status().get("causes", []))
    shop.tap(CARD)
    shop.refused("blocked-lock-idle")
    floor.get_by_text("Unlock…").click()
    sends(floor, "Unlock it")
    shop.until("the lock to fall", lambda: not shop.gate.status().get("causes"))
    seen(floor, "#floor-machines", "Free")


def a_badge_is_lent(page: Any, floor: Any, shop: Shop) -> None:
    open_person(page, "m-1")
    page.locator("#lend > summary").click()
    page.locator("#lend").get_by_label("Loan badge").fill(LOAN)
    page.locator("#lend").get_by_label("Number printed on it").fill("L-07")
    page.locator("#lend").get_by_role("button", name="Lend").click()
    said(page, "Lent until this evening.")
    known(page)
    shop.tap(LOAN)
    shop.is_on()
    seen(floor, "#floor-machines", "In use", ZOE)
    shop.tap(CARD)  # her own badge ends what the lent one began: it is she
    shop.is_off()


def whose_is_it(page: Any, floor: Any, shop: Shop) -> None:
    shop.tap(STRANGE)
    shop.refused("unknown-badge")
    seen(floor, "#floor-refused", "Unknown badge", TITLE)
    page.goto("/floor")
    page.get_by_role("link", name="Whose is it?").click()
    page.get_by_label("Name, number or e-mail").fill("zdenek")
    page.locator("main").get_by_role("button", name="Find").click()
    page.get_by_label(ZDENEK).check()
    page.get_by_role("button", name="It is theirs").click()
    said(page, "The badge is theirs from now on.")
    known(page)
    shop.tap(STRANGE)
    shop.refused("training-missing")
    seen(floor, "#floor-refused", ZDENEK)


def blocked(page: Any, floor: Any, shop: Shop) -> None:
    open_person(page, "m-1")
    page.locator("#block > summary").click()
    page.locator("#block").get_by_label("Why?").select_option("payment-due")
    page.locator("#block").get_by_role("button", name="Block").click()
    said(page, "Blocked")
    known(page)
    shop.tap(CARD)
    shop.refused("payment-due")
    seen(floor, "#floor-refused", "payment due")
    assert not shop.gate.observer.on


def who_used_it_then(page: Any, shop: Shop) -> None:
    began = started(shop)[0]
    page.goto("/use/moment")
    machine = page.get_by_label("Machine").locator("option").first.get_attribute("value")
    at = began + timedelta(seconds=1)
    page.goto(f"/use/moment?machine={machine}&day={at:%Y-%m-%d}&time={at:%H:%M:%S}")
    answer = page.locator("article.answer").inner_text()
    assert ZOE in answer
    assert "Laser cutting" in answer


def the_export_is_the_journal(page: Any, shop: Shop) -> None:
    page.goto("/use")
    with page.expect_download() as taken:
        page.locator("main").get_by_role("button", name="CSV").click()
    text = taken.value.path().read_text(encoding="utf-8-sig")
    rows = csv.DictReader(io.StringIO(text), delimiter=";" if text.splitlines()[0].count(";") else ",")
    exported = {row["Session"]: (row["Person"], int(row["Time on (ms)"]), int(row["Uncertainty (ms)"])) for row in rows}
    journal = books.read(shop.gate.entries())
    assert not journal.wrong
    booked = {one.session: (ZOE, one.energised_ms, one.uncertainty_ms) for one in journal.sessions.values()}
    assert len(booked) == 2
    assert exported == booked
    assert books.against_observer(journal, shop.gate.observer.stretches()) == []


# --- what is looked for --------------------------------------------------------------------------------------------


def open_person(page: Any, pk: str) -> None:
    page.goto(f"/people/{pk}")


def said(page: Any, words: str) -> None:
    """The page says what is true now."""
    page.locator(".message.success", has_text=words).wait_for()


def lies_open(floor: Any) -> None:
    """From now on the page is not loaded again."""
    floor.evaluate("window.wasNotReloaded = true")


def sends(floor: Any, button: str) -> None:
    """Press what sends the page; the one that comes back lies open."""
    with floor.expect_navigation():
        floor.get_by_role("button", name=button).click()
    lies_open(floor)


def known(page: Any) -> None:
    """The page says by itself when the gate decides by it."""
    page.locator("#known", has_text="Known by 1 of the 1 gate that it concerns").wait_for()


def seen(floor: Any, region: str, *words: str) -> None:
    """A page that lies open shows it by itself."""
    found = floor.locator(region)
    for word in words:
        found = found.filter(has_text=word)
    found.wait_for()


def started(shop: Shop) -> list[datetime]:
    """When each session of the gate began."""
    entries = [wire.decode_entry(body) for body in shop.gate.entries()]
    return [entry.time for entry in entries if entry.type == wire.full_type("session.started") and entry.time]
