"""Checks a page: it must be accessible, complete, in its language, and at the address that was requested.

Four looks at every page cover each pair of language, width and colours. Accessibility is checked in English only: no rule
of it depends on the language, but colours and hidden parts do on the look, and both looks are checked. It takes most of
the time.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final
from urllib.parse import unquote, urlsplit

from tests.browser import english
from tests.browser.window import Person, cut_off, inaccessible, set_look, too_wide

#: For each language: width in pixels, and whether the colours are dark.
LOOKS: Final = {"en": ((1280, False), (360, True)), "fr": ((1280, True), (360, False))}


def problems(visitor: Person, lang: str, path: str, *, status: int = 200, names: Collection[str] = ()) -> list[str]:
    """Open the page and return its problems. `names` are names that people chose, which belong to no language."""
    answer = visitor.page.goto(path)
    found = []
    if answer.status != status or unquote(urlsplit(visitor.page.url).path) != unquote(urlsplit(path).path):
        found.append(f"answers {answer.status} at {visitor.page.url}")
    for width, dark in LOOKS[lang]:
        set_look(visitor.page, width, dark=dark)
        look = f"at {width} px {'dark' if dark else 'light'}"
        found += [f"{look}: too wide: {what}" for what in too_wide(visitor.page)]
        found += [f"{look}: cut off: {what}" for what in cut_off(visitor.page)]
        if lang == "en":
            found += [f"{look}: {what}" for what in inaccessible(visitor.page)]
    if visitor.page.locator("html").get_attribute("lang") != lang:
        found.append(f"is not in {lang}")
    if lang == "fr":
        found += [f"in English: {what}" for what in english.untranslated(visitor.page, names)]
    found += visitor.complaints
    visitor.complaints.clear()
    return [f"{path}: {what}" for what in found]
