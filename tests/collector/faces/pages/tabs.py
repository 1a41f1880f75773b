"""What would a browser send of a form on a page? All of its fields as they stand there, the hidden ones too."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any


class _Forms(HTMLParser):
    """Each form of a page: where it is sent, and what."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, list[str]]]] = []
        self._fields: dict[str, list[str]] | None = None
        self._area = self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        name = given.get("name", "")
        if tag == "form":
            self._fields = {}
            self.found.append((given.get("action", ""), self._fields))
        elif self._fields is None or "disabled" in given:
            return
        elif tag == "input" and name:
            is_box = given.get("type") in {"checkbox", "radio"}
            if not is_box or "checked" in given:
                self._fields.setdefault(name, []).append(given.get("value", "on" if is_box else ""))
        elif tag == "textarea":
            self._area = name
            self._fields[name] = [""]
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and ("selected" in given or self._select not in self._fields):
            self._fields[self._select] = [given.get("value", "")]

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._fields = None
        elif tag == "textarea":
            self._area = ""
        elif tag == "select":
            self._select = ""

    def handle_data(self, data: str) -> None:
        if self._area and self._fields is not None:
            # As browsers do: the line break behind the tag is none, and lines end with two signs.
            self._fields[self._area] = [(self._fields[self._area][0] + data).lstrip("\n").replace("\n", "\r\n")]


def sent_by(response: Any, having: str) -> dict[str, list[str]]:
    """Return what the form of a page sends that has a field of this name."""
    parser = _Forms()
    parser.feed(response.content.decode())
    return next(fields for _action, fields in parser.found if having in fields and "csrfmiddlewaretoken" in fields)
