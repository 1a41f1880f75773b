"""Every page, in both languages, on a phone and on a desk, by day and by night: usable, whole, and in its language."""

from __future__ import annotations

from pathlib import Path

import pytest

import fabgate.collector
from tests.browser import english, routes, walk
from tests.browser.furnish import MANAGER, MEMBER, NO_PAGES, WALL
from tests.browser.house import House
from tests.browser.window import cut, too_wide, unusable

AREAS = sorted(found.parent.name for found in Path(fabgate.collector.__file__).parent.glob("pages/*/urls.py"))
#: Areas that have no page in the house.
ELSEWHERE = {"events", "wall"}


def area_of(route: str) -> str:
    """The package of pages that a route belongs to, by its name; what fits none is looked at with `home`."""
    wanted = {"my-minutes": "my", "accounts-keys": "keys", "sign-in": "signin", "welcome": "signin"}
    found = next((area for name, area in wanted.items() if route.startswith(name)), route.partition("-")[0])
    return found if found in AREAS else "home"


@pytest.mark.parametrize("lang", walk.LOOKS)
@pytest.mark.parametrize("area", [area for area in AREAS if area not in ELSEWHERE])
def test_a_page_is_usable_whole_and_in_its_language(house: House, visitor, area: str, lang: str) -> None:
    wrong = []
    mine = [page for page in house.pages if area_of(page["route"]) == area]
    assert mine
    for page in mine:
        status = 404 if page["route"] == "not-found" else 200
        somebody = visitor(page["as"], lang)
        wrong += walk.wrong_with(somebody, lang, page["path"], status=status, names=house.names)
        somebody.page.goto("about:blank")  # it follows nothing any more
    assert not wrong, "\n".join(wrong)


def test_every_page_of_the_table_of_rights_is_looked_at(house: House, tmp_path: Path) -> None:
    looked = {page["route"] for page in house.pages}
    assert {area_of(route) for route in looked} == set(AREAS) - ELSEWHERE, "a page that no look above comes by"
    assert {"floor", "people-one", "use", "machines-one", "gates-one", "log", "my-minutes"} <= looked
    there = routes.of_persons(tmp_path)
    assert {"floor", "wall"} <= there
    assert there - looked - WALL.keys() == NO_PAGES


def test_what_is_not_looked_at_shows_no_page(house: House, visitor) -> None:
    maya = visitor(MANAGER, "en")
    maya.page.goto("/people")
    for route, path in house.no_pages.items():
        kind = maya.page.evaluate(_KIND, path)
        assert kind == "elsewhere" or not kind.startswith("text/html"), f"{route} shows a page: look at it"


def test_on_a_phone_a_long_name_makes_room_for_the_state_beside_it(house: House, person) -> None:
    visitor = person(house.address, lang="fr", width=390)
    visitor.sign_in(MANAGER, house.password)
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
def test_the_bar_holds_whoever_is_signed_in_however_long_their_name(
    house: House, person, lang: str, width: int
) -> None:
    visitor = person(house.address, lang=lang, width=width)
    visitor.sign_in(MANAGER, house.password)
    account = visitor.page.locator(".bar .menu").last
    account.locator("summary span").evaluate("(name) => { name.textContent = 'Françoise'.repeat(9); }")
    account.locator(".who strong").evaluate("(name) => { name.textContent = 'Françoise'.repeat(9); }")
    account.locator("summary").click()
    assert not too_wide(visitor.page)


@pytest.mark.parametrize("lang", ["en", "fr"])
@pytest.mark.parametrize("width", [360, 1280])
def test_a_menu_that_is_opened_lies_whole_within_the_window(house: House, person, lang: str, width: int) -> None:
    visitor = person(house.address, lang=lang, width=width)
    visitor.sign_in(MANAGER, house.password)
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
def test_a_long_state_squeezes_no_date_beside_it(house: House, person, width: int) -> None:
    visitor = person(house.address, lang="en", width=width)
    visitor.sign_in(MEMBER, house.password)
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


def test_a_page_that_is_too_wide_or_cut_or_unusable_or_english_is_found(house: House, person) -> None:
    visitor = person(house.address, lang="fr", width=360)
    visitor.sign_in(MANAGER, house.password)
    assert not [*too_wide(visitor.page), *cut(visitor.page)]
    assert not english.left(visitor.page, house.names)
    visitor.page.evaluate(
        """() => {
          const wide = document.createElement("p");
          wide.textContent = "Nobody was refused today.";
          wide.style.width = "900px";
          const list = document.createElement("select");
          list.add(new Option("Members now, and who was one"));
          list.style.width = "80px";
          document.querySelector("main").append(wide, document.createElement("button"), list);
        }"""
    )
    assert "900" in "".join(too_wide(visitor.page)) or "px" in too_wide(visitor.page)[-1]
    assert english.left(visitor.page, house.names) == {"Nobody was refused today."}
    assert cut(visitor.page) == ["Members now, and who was one"]
    assert any(found.startswith("button-name") for found in unusable(visitor.page))
    visitor.page.evaluate("() => fetch('http://192.0.2.1/').catch(() => 0)")
    assert any("CSP" in said or "Content Security Policy" in said for said in visitor.complaints)
    visitor.complaints.clear()


#: What an address answers with, without waiting for its end: a stream has none.
_KIND = """async (path) => {
  const stop = new AbortController();
  const answer = await fetch(path, { redirect: "manual", signal: stop.signal });
  const kind = answer.type === "opaqueredirect" ? "elsewhere" : answer.headers.get("Content-Type");
  stop.abort();
  return kind;
}"""
