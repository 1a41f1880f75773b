"""Finds English text on a page that should be French, by looking for every string that the collector can show."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache
from typing import Any

from fabgate.po import read_po
from tests.collector.faces.pages import strings

_PLACEHOLDER = re.compile(r"%\((\w+)\)[sd]|%[sd]")
#: A language is shown under its own name.
SAME = {"English"}
#: The JavaScript collects all text that people see or hear: text nodes, and attributes such as title. Text that a page quotes
#: unchanged (code, del, ins, the display of a gate) belongs to no language.
_READ = """() => {
  const found = new Set();
  const walker = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const parent = walker.currentNode.parentElement;
    if (parent && !parent.closest("script, style, code, del, ins, .display, [lang='en']")) found.add(walker.currentNode.data);
  }
  for (const element of document.querySelectorAll("body *"))
    for (const name of ["title", "aria-label", "alt", "placeholder"])
      if (element.hasAttribute(name)) found.add(element.getAttribute(name));
  return [...found].map((text) => text.replace(/\\s+/g, " ").trim()).filter(Boolean);
}"""


def untranslated(page: Any, names: Collection[str] = ()) -> set[str]:
    """Return the texts of a page that are English source strings, except `names` that people chose."""
    return {text for text in page.evaluate(_READ) if text not in names and is_source(text)}


def is_source(text: str) -> bool:
    """Whether a text is a source string whose French translation differs."""
    plain, with_placeholders = _sources()
    return text in plain or any(pattern.fullmatch(text) for pattern in with_placeholders)


@cache
def _sources() -> tuple[frozenset[str], tuple[re.Pattern[str], ...]]:
    plain, patterns = set(), []
    translated = _translated()
    french = {" ".join(text.split()) for target in translated.values() for text in target.split("\0")}
    for source in translated:
        for form in source.split("\0"):
            text = " ".join(form.split())
            if not text or text in french or text in SAME:  # some words are the same in both languages
                continue
            if not _PLACEHOLDER.search(text):
                plain.add(text)
            elif (
                len(re.findall(r"[^\W\d_]{3,}", _PLACEHOLDER.sub("", text))) >= 2
            ):  # with fewer words it could be a name
                patterns.append(
                    re.compile(".+".join(re.escape(part) for part in _PLACEHOLDER.sub("\0", text).split("\0")))
                )
    return frozenset(plain), tuple(patterns)


def _translated() -> dict[str, str]:
    folder = strings.ROOT / "locale" / "fr" / "LC_MESSAGES"
    found: dict[str, str] = {}
    for file in sorted(folder.glob("*.po")):
        found |= read_po(file.read_text(encoding="utf-8"))
    return found
