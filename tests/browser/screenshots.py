"""What does every page look like? ``make screenshots`` puts all of them into docs/screenshots, in both languages.

On a desk by day in English, and on a phone by night in French: the two ends between which all others lie.
"""

from __future__ import annotations

import html
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.browser.house import House, furnish
from tests.browser.window import Person, chromium
from tests.demo.running import running

FOLDER: Final = Path(__file__).parents[2] / "docs" / "screenshots"


class Look(NamedTuple):
    """How a page is looked at."""

    lang: str
    width: int
    dark: bool


LOOKS: Final = (Look("en", 1280, dark=False), Look("fr", 390, dark=True))
#: Of a picture, so that a list of a thousand people is still one.
TALLEST: Final = {1280: 1400, 390: 1700}
#: All pictures together, in bytes.
MOST_BYTES: Final = 6_000_000
_HEAD: Final = """\
# What every page looks like

Made by `make screenshots` from a workshop that the tests furnish: the names are invented. Left: English, on a desk, by
day. Right: French, on a phone, by night.
"""


def main() -> int:
    """Make them all anew."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    titles: dict[str, str] = {}
    for look in LOOKS:
        with tempfile.TemporaryDirectory() as folder, chromium(look.lang) as browser:
            place = Path(folder)
            for name, page in chain(_house(place, browser, look), _wall(place / "wall", browser, look)):
                _take(page, FOLDER / f"{name}.{look.lang}.png", look.width)
                titles.setdefault(name, page.title().partition(" · ")[0])
                sys.stdout.write(f"{look.lang}  {name}\n")
                sys.stdout.flush()
    _squeeze()
    _write_index(titles)
    found = sum(file.stat().st_size for file in FOLDER.glob("*.png"))
    sys.stdout.write(f"{len(list(FOLDER.glob('*.png')))} pictures, {found / 1e6:.1f} MB, in {FOLDER}\n")
    return 0 if found <= MOST_BYTES else 1


def _house(place: Path, browser: Any, look: Look) -> Iterator[tuple[str, Any]]:
    """Show each page of the furnished house."""
    furnish(place / "furnished")
    house = House(place, place / "furnished")
    try:
        visitor = Person(browser, house.address, **look._asdict())
        signed_in, seen = "", dict.fromkeys((page["route"] for page in house.pages), 0)
        for page in sorted(house.pages, key=lambda page: page["as"]):
            if page["as"] != signed_in:
                visitor.sign_out()
                signed_in = page["as"]
                visitor.sign_in(signed_in, house.password)
            visitor.page.goto(page["path"])
            seen[page["route"]] += 1
            number = seen[page["route"]]
            yield page["route"] + (f"-{number}" if number > 1 else ""), visitor.page
        visitor.close()
    finally:
        house.close()


def _wall(place: Path, browser: Any, look: Look) -> Iterator[tuple[str, Any]]:
    """Show the wall of badges, with somebody at work and somebody refused."""
    place.mkdir()
    with running(place, timed_s=600, lang=look.lang) as demo:
        demo.tap("laser-1", "ada")
        demo.tap("printer-1", "stranger")
        visitor = Person(browser, demo.workshop.address, **look._asdict())
        visitor.page.goto(demo.wall.link())
        visitor.page.locator("#at-laser-1", has_text="Ada").wait_for()
        yield "wall", visitor.page
        visitor.close()


def _take(page: Any, file: Path, width: int) -> None:
    page.evaluate("document.activeElement?.blur()")
    tall = min(TALLEST[width], page.evaluate("document.documentElement.scrollHeight"))
    page.set_viewport_size({"width": width, "height": max(tall, 400)})
    page.screenshot(path=str(file), animations="disabled")
    page.set_viewport_size({"width": width, "height": 844})


def _squeeze() -> None:
    """Make them small: of 256 colours a page keeps all that the eye sees."""
    files = [str(file) for file in sorted(FOLDER.glob("*.png"))]
    subprocess.run(["pngquant", "--force", "--ext", ".png", "--speed", "1", "--strip", "128", *files], check=True)


def _write_index(titles: dict[str, str]) -> None:
    rows = [_HEAD]
    for name in sorted(titles):
        title = html.escape(titles[name])
        rows.append(f"## {title}\n\n`{name}`\n")
        pictures = (("en", 560, "in English"), ("fr", 200, "in French"))
        shown = [f'<img src="{name}.{lang}.png" width="{px}" alt="{title}, {said}">' for lang, px, said in pictures]
        rows.append(" ".join(shown) + "\n")
    (FOLDER / "README.md").write_text("\n".join(rows), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
