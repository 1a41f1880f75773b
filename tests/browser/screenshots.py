"""Takes pictures of every page: ``make screenshots`` puts them into build/screenshots, in both languages.

English is shown on a desktop in light colours, French on a phone in dark colours.
"""

from __future__ import annotations

import html
import shutil
import sys
import tempfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.browser.used_site import UsedSite, make_sample_data
from tests.browser.window import WHOLE, Person, chromium
from tests.demo.running import running

FOLDER: Final = Path(__file__).parents[2] / "build" / "screenshots"


class Look(NamedTuple):
    """Language, width in pixels and colours of a picture."""

    lang: str
    width: int
    dark: bool


LOOKS: Final = (Look("en", 1280, dark=False), Look("fr", 390, dark=True))
#: The most pixels in height for each width, so that a list of a thousand people still fits in a picture.
TALLEST: Final = {1280: 1400, 390: 1700}
_HEAD: Final = """\
<!doctype html>
<meta charset="utf-8">
<title>What every page looks like</title>
<h1>What every page looks like</h1>
<p>The names are invented. Left: English, on a desktop, light. Right: French, on a phone, dark.</p>
"""


def main() -> int:
    """Take all pictures again."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    titles: dict[str, str] = {}
    for look in LOOKS:
        with tempfile.TemporaryDirectory() as folder, chromium(WHOLE, look.lang) as browser:
            place = Path(folder)
            for name, page in chain(_site_pages(place, browser, look), _wall_page(place / "wall", browser, look)):
                _take(page, FOLDER / f"{name}.{look.lang}.png", look.width)
                titles.setdefault(name, page.title().partition(" · ")[0])
                sys.stdout.write(f"{look.lang}  {name}\n")
                sys.stdout.flush()
    _write_index(titles)
    sys.stdout.write(f"{len(titles) * len(LOOKS)} pictures, in {FOLDER / 'index.html'}\n")
    return 0


def _site_pages(place: Path, browser: Any, look: Look) -> Iterator[tuple[str, Any]]:
    """Open each page of a site with sample data."""
    make_sample_data(place / "sample-data")
    site = UsedSite(place, place / "sample-data")
    try:
        visitor = Person(browser, site.address, **look._asdict())
        signed_in, seen = "", dict.fromkeys((page["route"] for page in site.pages), 0)
        for page in sorted(site.pages, key=lambda page: page["as"]):
            if page["as"] != signed_in:
                visitor.sign_out()
                signed_in = page["as"]
                visitor.sign_in(signed_in, site.password)
            visitor.page.goto(page["path"])
            seen[page["route"]] += 1
            number = seen[page["route"]]
            yield page["route"] + (f"-{number}" if number > 1 else ""), visitor.page
        visitor.close()
    finally:
        site.close()


def _wall_page(place: Path, browser: Any, look: Look) -> Iterator[tuple[str, Any]]:
    """Open the wall of badges, with one member at work, on displays in their language, and one badge refused."""
    place.mkdir()
    who, name = {"en": ("ada", "Ada"), "fr": ("bob", "Bob")}[look.lang]
    with running(place, timed_s=600, lang=look.lang) as demo:
        demo.tap("laser-1", who)
        demo.tap("saw-1", who)
        demo.tap("printer-1", "stranger")
        visitor = Person(browser, demo.workshop.address, **look._asdict())
        visitor.page.goto(demo.wall.link())
        for gate in ("laser-1", "saw-1"):
            visitor.page.locator(f"#at-{gate}", has_text=name).wait_for()
            visitor.page.locator(f"#at-{gate} .dots[d*=M]").wait_for(state="attached")
        yield "wall", visitor.page
        visitor.close()


def _take(page: Any, file: Path, width: int) -> None:
    page.evaluate("document.activeElement?.blur()")
    tall = min(TALLEST[width], page.evaluate("document.documentElement.scrollHeight"))
    page.set_viewport_size({"width": width, "height": max(tall, 400)})
    page.screenshot(path=str(file), animations="disabled")
    page.set_viewport_size({"width": width, "height": 844})


def _write_index(titles: dict[str, str]) -> None:
    rows = [_HEAD]
    for name in sorted(titles):
        title = html.escape(titles[name])
        rows.append(f"<h2>{title}</h2>\n<p><code>{name}</code></p>\n")
        pictures = (("en", 560, "in English"), ("fr", 200, "in French"))
        shown = [
            f'<img src="{name}.{lang}.png" width="{px}" alt="{title}, {language}">' for lang, px, language in pictures
        ]
        rows.append("\n".join(shown) + "\n")
    (FOLDER / "index.html").write_text("\n".join(rows), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
