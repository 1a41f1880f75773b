"""What is left in English on a page that should be French? Every string that the collector can show is looked for."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache
from typing import Any

from fabgate.po import read_po
from tests.collector.pages import strings

_PLACE = re.compile(r"%\((\w+)\)[sd]|%[sd]")
#: A language is called as those who speak it do.
SAME = {"English"}
#: What a page quotes as it is kept (code, del, ins, the display of a gate) is of no language; else all that is read out or seen: texts between tags, and the attributes that people get to know.
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


def left(page: Any, names: Collection[str] = ()) -> set[str]:
    """Return the texts of a page that are one of our English sources, and not `names` that people gave something."""
    return {text for text in page.evaluate(_READ) if text not in names and is_source(text)}


def is_source(text: str) -> bool:
    """Whether a text is one of the sources, and is said otherwise in French."""
    plain, with_places = _sources()
    return text in plain or any(pattern.fullmatch(text) for pattern in with_places)


@cache
def _sources() -> tuple[frozenset[str], tuple[re.Pattern[str], ...]]:
    plain, patterns = set(), []
    translated = _translated()
    french = {" ".join(said.split()) for target in translated.values() for said in target.split("\0")}
    for source in translated:
        for one in source.split("\0"):
            text = " ".join(one.split())
            if not text or text in french or text in SAME:  # some words are of both
                continue
            if not _PLACE.search(text):
                plain.add(text)
            elif len(re.findall(r"[^\W\d_]{3,}", _PLACE.sub("", text))) >= 2:  # of less a name could be made
                patterns.append(re.compile(".+".join(re.escape(part) for part in _PLACE.sub("\0", text).split("\0"))))
    return frozenset(plain), tuple(patterns)


def _translated() -> dict[str, str]:
    folder = strings.ROOT / "locale" / "fr" / "LC_MESSAGES"
    found: dict[str, str] = {}
    for file in sorted(folder.glob("*.po")):
        found |= read_po(file.read_text(encoding="utf-8"))
    return found
