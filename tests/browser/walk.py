"""What is wrong with a page? It must be usable, whole, in its language, and what was asked for.

Language, width and colours go pairwise: each value of one meets each of the others, in four looks at every page.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final
from urllib.parse import unquote, urlsplit

from tests.browser import english
from tests.browser.window import Person, cut, looks, too_wide, unusable

#: For each language: width and darkness.
LOOKS: Final = {"en": ((1280, False), (360, True)), "fr": ((1280, True), (360, False))}


def wrong_with(visitor: Person, lang: str, path: str, *, status: int = 200, names: Collection[str] = ()) -> list[str]:
    """Open the page and return what is wrong with it. `names` are what people called things: of no language."""
    answer = visitor.page.goto(path)
    found = []
    if answer.status != status or unquote(urlsplit(visitor.page.url).path) != unquote(urlsplit(path).path):
        found.append(f"answers {answer.status} at {visitor.page.url}")
    for width, dark in LOOKS[lang]:
        looks(visitor.page, width, dark=dark)
        look = f"at {width} px {'dark' if dark else 'light'}"
        found += [f"{look}: too wide: {what}" for what in too_wide(visitor.page)]
        found += [f"{look}: cut: {what}" for what in cut(visitor.page)]
        found += [f"{look}: {what}" for what in unusable(visitor.page)]
    if visitor.page.locator("html").get_attribute("lang") != lang:
        found.append(f"is not in {lang}")
    if lang == "fr":
        found += [f"in English: {what}" for what in english.left(visitor.page, names)]
    found += visitor.complaints
    visitor.complaints.clear()
    return [f"{path}: {what}" for what in found]
