"""A browser in a root: it has cookies, sends forms, and trusts the workshop's authority only."""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass
from typing import Final

from tests.install.roots import Root

#: Runs in the root, which has no browser. It reads what to fetch, and writes where it ended and what it saw.
_FETCH: Final = """
import http.cookiejar, json, os, ssl, sys, urllib.parse, urllib.request
url, fields = json.load(sys.stdin)
jar = http.cookiejar.MozillaCookieJar("/root/cookies")
if os.path.exists(jar.filename):
    jar.load(ignore_discard=True)
trusted = ssl.create_default_context(cafile="/etc/fabgate/ca.crt")
kinds = urllib.request.HTTPCookieProcessor(jar), urllib.request.HTTPSHandler(context=trusted)
sent = urllib.parse.urlencode(fields).encode() if fields else None
asked = urllib.request.Request(url, sent, headers={"Referer": url})
answer = urllib.request.build_opener(*kinds).open(asked, timeout=60)
jar.save(ignore_discard=True)
print(json.dumps([answer.url, answer.read().decode()]))
"""
_HIDDEN: Final = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Page:
    """A page, and its address after redirects."""

    url: str
    source: str

    @property
    def text(self) -> str:
        """Return what a person reads, with single blanks."""
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", self.source)).split())


class Browser:
    """The browser of one person."""

    def __init__(self, root: Root) -> None:
        self._root = root

    def open(self, url: str) -> Page:
        """Fetch a page. Raises CommandError if it is refused."""
        return self._fetch(url, {})

    def send(self, url: str, **fields: str) -> Page:
        """Fill in the form at an address, and send it; return the page that follows."""
        hidden = {name: html.unescape(value) for name, value in _HIDDEN.findall(self.open(url).source)}
        return self._fetch(url, hidden | fields)

    def _fetch(self, url: str, fields: dict[str, str]) -> Page:
        self._root.write("/root/fetch.py", _FETCH)
        answer = self._root.run("python3 fetch.py", answers=json.dumps([url, fields])).text
        return Page(*json.loads(answer.splitlines()[-1]))
