"""A browser without a window: cookies, forms with their token, and what a page says."""

from __future__ import annotations

import html
import re
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from http.cookiejar import CookieJar

from tests.support.patience import HANGS_S


@dataclass(frozen=True)
class Answer:
    status: int
    url: str
    body: str

    @property
    def text(self) -> str:
        """What a person reads of it, in one line."""
        return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", self.body)).split())

    def part(self, element: str) -> str:
        """What stands in the article of this id."""
        found = re.search(rf'<article[^>]*id="{element}".*?</article>', self.body, re.DOTALL)
        assert found, f"{element} is not on the page: {self.text}"
        return Answer(self.status, self.url, found.group()).text


class Browser:
    def __init__(self) -> None:
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        self._token = ""

    def get(self, url: str) -> Answer:
        return self._open(urllib.request.Request(url))

    def post(self, url: str, headers: dict[str, str] | None = None, **fields: str) -> Answer:
        body = urllib.parse.urlencode({"csrfmiddlewaretoken": self._token, **fields}).encode()
        return self._open(urllib.request.Request(url, body, headers or {}))

    def _open(self, request: urllib.request.Request) -> Answer:
        try:
            with self._opener.open(request, timeout=HANGS_S) as response:
                answer = Answer(response.status, response.url, response.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                answer = Answer(error.code, error.url or "", error.read().decode())
        if token := re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', answer.body):
            self._token = token.group(1)
        return answer
