"""Every page, in both languages, on a phone and on a desk, by day and by night: usable, whole, and in its language.

Language, width and colours go pairwise: each value of one meets each of the others, in four looks at every page.
"""

from __future__ import annotations

from pathlib import Path

import pytest

import fabgate.collector
from tests.browser import english
from tests.browser.furnish import MANAGER
from tests.browser.house import House
from tests.browser.window import looks, too_wide, unusable

AREAS = sorted(found.parent.name for found in Path(fabgate.collector.__file__).parent.glob("pages/*/urls.py"))
#: For each language: width and darkness.
LOOKS = {"en": ((1280, False), (360, True)), "fr": ((1280, True), (360, False))}


def area_of(route: str) -> str:
    """The package of pages that a route belongs to, by its name; what fits none is looked at with `home`."""
    wanted = {"my-minutes": "my", "accounts-keys": "keys", "sign-in": "signin", "welcome": "signin"}
    found = next((area for name, area in wanted.items() if route.startswith(name)), route.partition("-")[0])
    return found if found in AREAS else "home"


@pytest.mark.parametrize("lang", LOOKS)
@pytest.mark.parametrize("area", [area for area in AREAS if area not in {"events", "wall"}])
def test_a_page_is_usable_whole_and_in_its_language(house: House, person, area: str, lang: str) -> None:
    wrong = []
    visitor = person(house.address, lang=lang)
    signed_in = ""
    mine = [page for page in house.pages if area_of(page["route"]) == area]
    assert mine
    for page in sorted(mine, key=lambda page: page["as"]):
        if page["as"] != signed_in:
            visitor.sign_out()
            signed_in = page["as"]
            visitor.sign_in(signed_in, house.password)
        visitor.page.goto(page["path"])
        for width, dark in LOOKS[lang]:
            looks(visitor.page, width, dark=dark)
            where = f"{page['path']} at {width} px {'dark' if dark else 'light'}"
            wrong += [f"{where}: too wide: {found}" for found in too_wide(visitor.page)]
            wrong += [f"{where}: {found}" for found in unusable(visitor.page)]
        if visitor.page.locator("html").get_attribute("lang") != lang:
            wrong.append(f"{page['path']}: is not in {lang}")
        if lang == "fr":
            wrong += [f"{page['path']}: in English: {found}" for found in english.left(visitor.page, house.names)]
        wrong += [f"{page['path']}: {found}" for found in visitor.complaints]
        visitor.complaints.clear()
    assert not wrong, "\n".join(wrong)


def test_every_page_is_looked_at_once(house: House) -> None:
    looked = {page["route"] for page in house.pages}
    assert {area_of(route) for route in looked} == set(AREAS) - {"events", "wall"}
    assert {"floor", "people-one", "use", "machines-one", "gates-one", "log", "my-minutes"} <= looked


def test_a_page_that_is_too_wide_or_unusable_or_english_is_found(house: House, person) -> None:
    visitor = person(house.address, lang="fr", width=360)
    visitor.sign_in(MANAGER, house.password)
    assert not too_wide(visitor.page)
    assert not english.left(visitor.page, house.names)
    visitor.page.evaluate(
        """() => {
          const wide = document.createElement("p");
          wide.textContent = "Nobody was refused today.";
          wide.style.width = "900px";
          document.querySelector("main").append(wide, document.createElement("button"));
        }"""
    )
    assert "900" in "".join(too_wide(visitor.page)) or "px" in too_wide(visitor.page)[-1]
    assert english.left(visitor.page, house.names) == {"Nobody was refused today."}
    assert any(found.startswith("button-name") for found in unusable(visitor.page))
    visitor.page.evaluate("() => fetch('http://192.0.2.1/').catch(() => 0)")
    assert any("CSP" in said or "Content Security Policy" in said for said in visitor.complaints)
    visitor.complaints.clear()
