"""Checks every page in both languages, on phone and desktop, light and dark: accessible, complete and translated."""

from __future__ import annotations

from pathlib import Path

import pytest

import fabgate.collector
from tests.browser import english, page_checks, routes
from tests.browser.sample_data import MANAGER, MEMBER, NO_PAGES, WALL
from tests.browser.used_site import UsedSite
from tests.browser.window import cut_off, inaccessible, too_wide

AREAS = sorted(found.parent.name for found in Path(fabgate.collector.__file__).parent.glob("faces/pages/*/urls.py"))
#: Areas without a page on the site with sample data.
ELSEWHERE = {"events", "wall"}


def area_of(route: str) -> str:
    """Return the package of pages that a route belongs to by its name, else `home`."""
    wanted = {"my-minutes": "my", "accounts-keys": "keys", "sign-in": "signin", "welcome": "signin"}
    wanted |= dict.fromkeys(("people-credit", "month-credits", "month-prepaid"), "credit")
    wanted |= dict.fromkeys(("display", "floor-displays"), "big_displays")
    wanted |= dict.fromkeys(("my-contest", "month-contest"), "contests")
    found = next((area for name, area in wanted.items() if route.startswith(name)), route.partition("-")[0])
    return found if found in AREAS else "home"


@pytest.mark.parametrize("lang", page_checks.LOOKS)
@pytest.mark.parametrize("area", [area for area in AREAS if area not in ELSEWHERE])
def test_each_page_is_accessible_complete_and_translated(site: UsedSite, visitor, area: str, lang: str) -> None:
    problems = []
    pages = [page for page in site.pages if area_of(page["route"]) == area]
    assert pages
    for page in pages:
        status = 404 if page["route"] == "not-found" else 200
        problems += page_checks.problems(visitor(page["as"], lang), lang, page["path"], status=status, names=site.names)
    for name in {page["as"] for page in pages}:
        visitor(name, lang).page.goto("about:blank")  # stops its updates
    assert not problems, "\n".join(problems)


def test_every_page_in_the_table_of_rights_is_checked(site: UsedSite, tmp_path: Path) -> None:
    checked = {page["route"] for page in site.pages}
    assert {area_of(route) for route in checked} == set(AREAS) - ELSEWHERE, "no test above checks this area"
    assert {"floor", "people-one", "use", "machines-one", "gates-one", "log", "my-minutes"} <= checked
    readable = routes.readable_routes(tmp_path)
    assert {"floor", "wall"} <= readable
    assert readable - checked - WALL.keys() == NO_PAGES
    assert checked - readable == {"display", "not-found"}


def test_routes_that_are_not_checked_show_no_page(site: UsedSite, visitor) -> None:
    maya, zoe = visitor(MANAGER, "en"), visitor(MEMBER, "en")
    maya.page.goto("/people")
    zoe.page.goto("/my-minutes")
    for route, path in site.no_pages.items():
        kind = (zoe if route.startswith("my-") else maya).page.evaluate(_KIND, path)
        assert kind == "elsewhere" or not kind.startswith("text/html"), f"{route} shows a page: check it"


def test_on_a_phone_a_long_name_leaves_room_for_the_state(site: UsedSite, person) -> None:
    visitor = person(site.address, lang="fr", width=390)
    visitor.sign_in(MANAGER, site.password)
    visitor.page.goto("/floor")
    card = visitor.page.locator("#at-print-1")
    one_line = card.locator(".state").bounding_box()["height"]
    card.locator("h3 a").evaluate("(name) => { name.textContent = 'Imprimante 3D grand format'; }")
    card.locator(".state span").evaluate("(word) => { word.textContent = 'Restée allumée'; }")
    name, state = (card.locator(part).bounding_box() for part in ("h3", ".state"))
    assert state["x"] >= name["x"] + name["width"]
    assert name["y"] <= state["y"] <= name["y"] + name["height"]
    assert state["height"] == one_line


@pytest.mark.parametrize("lang", ["en", "fr"])
@pytest.mark.parametrize("width", [360, 768, 1280])
def test_a_long_account_name_fits_in_the_bar(site: UsedSite, person, lang: str, width: int) -> None:
    visitor = person(site.address, lang=lang, width=width)
    visitor.sign_in(MANAGER, site.password)
    account = visitor.page.locator(".bar .menu").last
    account.locator("summary span").evaluate("(name) => { name.textContent = 'Françoise'.repeat(9); }")
    account.locator(".who strong").evaluate("(name) => { name.textContent = 'Françoise'.repeat(9); }")
    account.locator("summary").click()
    assert not too_wide(visitor.page)


@pytest.mark.parametrize("lang", ["en", "fr"])
@pytest.mark.parametrize("width", [360, 1280])
def test_an_open_menu_fits_in_the_window(site: UsedSite, person, lang: str, width: int) -> None:
    visitor = person(site.address, lang=lang, width=width)
    visitor.sign_in(MANAGER, site.password)
    for menu, parts in (
        (visitor.page.locator(".bar .menu").first, "a"),
        (visitor.page.locator(".bar .menu").last, "button"),
    ):
        menu.locator("summary").click()
        items = [item.bounding_box() for item in menu.locator(".sheet").locator(parts).all()]
        assert len(items) > 3
        assert all(item["x"] >= 0 and item["x"] + item["width"] <= width for item in items), items
        below = sorted({item["y"] for item in items})
        assert parts == "button" or below == [item["y"] for item in items], "one below the other"
        menu.locator("summary").click()


@pytest.mark.parametrize("width", [390, 1280])
def test_a_long_state_does_not_wrap_the_date_next_to_it(site: UsedSite, person, width: int) -> None:
    visitor = person(site.address, lang="en", width=width)
    visitor.sign_in(MEMBER, site.password)
    visitor.page.goto("/my-minutes")
    row = visitor.page.locator(".mine .table tbody tr").first
    date = row.locator("time").first
    one_line = date.bounding_box()["height"]
    row.locator(".actions a").evaluate("(word) => { word.textContent = 'stands as it was counted'; }")
    assert date.bounding_box()["height"] == one_line
    time, word = (row.locator(part).bounding_box() for part in (".how-long", ".actions a"))
    assert width == 1280 or abs(time["x"] + time["width"] - word["x"] - word["width"]) < 1
    held = visitor.page.locator(".mine .may small", has_text="since").first
    beside = held.locator("xpath=ancestor::li").locator(".state span")
    before = held.bounding_box()["height"]
    beside.evaluate("(word) => { word.textContent = 'only with a supervisor nearby'; }")
    assert held.bounding_box()["height"] <= before


def test_a_page_that_is_too_wide_cut_off_inaccessible_or_english_is_found(site: UsedSite, person) -> None:
    visitor = person(site.address, lang="fr", width=360)
    visitor.sign_in(MANAGER, site.password)
    assert not [*too_wide(visitor.page), *cut_off(visitor.page)]
    assert not english.untranslated(visitor.page, site.names)
    visitor.page.evaluate(
        """() => {
          const wide = document.createElement("p");
          wide.textContent = "No refusals today.";
          wide.style.width = "900px";
          const list = document.createElement("select");
          list.add(new Option("Members now, and who was one"));
          list.style.width = "80px";
          document.querySelector("main").append(wide, document.createElement("button"), list);
        }"""
    )
    assert "900" in "".join(too_wide(visitor.page)) or "px" in too_wide(visitor.page)[-1]
    assert english.untranslated(visitor.page, site.names) == {"No refusals today."}
    assert cut_off(visitor.page) == ["Members now, and who was one"]
    assert any(found.startswith("button-name") for found in inaccessible(visitor.page))
    visitor.page.evaluate("() => fetch('http://192.0.2.1/').catch(() => 0)")
    assert any("CSP" in text or "Content Security Policy" in text for text in visitor.complaints)
    visitor.complaints.clear()


#: Returns the content type of an answer without waiting for its end, which a stream does not have.
_KIND = """async (path) => {
  const stop = new AbortController();
  const answer = await fetch(path, { redirect: "manual", signal: stop.signal });
  const kind = answer.type === "opaqueredirect" ? "elsewhere" : answer.headers.get("Content-Type");
  stop.abort();
  return kind;
}"""
