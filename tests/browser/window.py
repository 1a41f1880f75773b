"""A real browser: its windows, who is signed in, and the errors in its console."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import sync_playwright

from tests.browser.used_site import EVENING

#: With windows of its own, whose fields speak the language of their reader; pictures are taken with it.
WHOLE = shutil.which("chromium") or shutil.which("chromium-browser") or "/usr/bin/chromium"
#: Without windows, where it is installed: the same pages for two thirds of the processor time.
CHROMIUM = shutil.which("chromium-headless-shell") or WHOLE
#: Chromium's sandbox does not run as root; /dev/shm is small in a container.
FLAGS = ["--disable-dev-shm-usage", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
#: Milliseconds; a busy computer needs long.
PATIENCE_MS = 60_000
HEIGHT = 844
LOCALES = {"en": "en_GB", "fr": "fr_FR"}
_REPORT_CSP = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP: ${event.violatedDirective} refused ${event.blockedURI} at ${event.sourceFile}:${event.lineNumber}`));
"""

#: Returns violations only: what passes is most of the result. Of a long table it reads ten rows: contrast, which takes most
#: of the time, is computed cell by cell, and the rows of a table are made by one template.
_ACCESSIBILITY = """async () => {
  const where = { exclude: [["tbody tr:nth-child(n+11)"]] };
  const { violations } = await axe.run(where, { resultTypes: ["violations"] });
  return violations.flatMap((row) => row.nodes.slice(0, 3).map((node) => `${row.id}: ${node.html.slice(0, 160)}`));
}"""


def is_installed() -> bool:
    return Path(CHROMIUM).exists()


@contextmanager
def chromium(program: str = CHROMIUM, lang: str = "en") -> Iterator[Any]:
    """Start the browser; the own controls of a `WHOLE` one, such as date fields, are in `lang`."""
    with sync_playwright() as player:
        browser = player.chromium.launch(
            executable_path=program, args=FLAGS, env={**os.environ, "LANGUAGE": LOCALES[lang]}
        )
        yield browser
        browser.close()


class Person:
    """One user of the browser: a context with its own cookies, and `complaints`: the console errors of all its windows."""

    def __init__(
        self,
        browser: Any,
        address: str,
        *,
        lang: str = "en",
        width: int = 1280,
        dark: bool = False,
        height: int = HEIGHT,
        script: bool = True,
    ) -> None:
        self.address = address
        self.complaints: list[str] = []
        self._refused: set[str] = set()
        self.context = browser.new_context(
            base_url=address,
            locale=LOCALES[lang].replace("_", "-"),
            timezone_id=EVENING,
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            accept_downloads=True,
            java_script_enabled=script,
        )
        self.context.set_default_timeout(PATIENCE_MS)
        self.context.add_init_script(_REPORT_CSP)
        self.page = self.open()

    def open(self, path: str = "") -> Any:
        """Open one more window."""
        page = self.context.new_page()
        page.on("console", lambda message: self._note(message) if message.type in {"error", "warning"} else None)
        page.on("response", self._note_answer)
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))
        if path:
            page.goto(path)
        return page

    def sign_in(self, name: str, password: str) -> None:
        self.page.goto("/sign-in")
        self.page.locator("input[name=name]").fill(name)
        self.page.locator("input[name=password]").fill(password)
        self.page.locator("main button").click()
        self.page.locator(".tabs").wait_for()

    def sign_out(self) -> None:
        self.context.clear_cookies()

    def close(self) -> None:
        self.context.close()

    def _note_answer(self, response: Any) -> None:
        if response.status >= 400 and response.request.is_navigation_request():
            self._refused.add(response.url)

    def _note(self, message: Any) -> None:
        # The browser reports a page that answers 4xx as an error, but tests request such pages on purpose.
        where = message.location.get("url", "")
        if where not in self._refused or "Failed to load resource" not in message.text:
            self.complaints.append(f"{where}: {message.text}")


def set_look(page: Any, width: int, *, dark: bool) -> None:
    """Change the width and the colours of the window."""
    page.set_viewport_size({"width": width, "height": HEIGHT})
    page.emulate_media(color_scheme="dark" if dark else "light", reduced_motion="reduce")


def too_wide(page: Any) -> list[str]:
    """Return what makes the page scroll sideways, once its layout has settled; empty if it does not."""
    found: list[str] = page.evaluate(
        """async () => {
          // right after a click, the next page may have no content yet
          while (!document.documentElement) await new Promise(requestAnimationFrame);
          const isTooWide = () => document.documentElement.scrollWidth > document.documentElement.clientWidth;
          const until = performance.now() + 5_000; // a chart adjusts to its page a frame later
          while (isTooWide() && performance.now() < until) await new Promise(requestAnimationFrame);
          const width = document.documentElement.clientWidth;
          if (!isTooWide()) return [];
          const out = [...document.querySelectorAll("body *")].filter((one) => one.getBoundingClientRect().right > width + 1);
          return out.slice(-3).map((one) => one.outerHTML.slice(0, 120)).concat(`${document.documentElement.scrollWidth} px`);
        }"""
    )
    return found


def cut_off(page: Any) -> list[str]:
    """Return the selected options of lists that are cut off."""
    found: list[str] = page.evaluate(
        """() => {
          const pen = document.createElement("canvas").getContext("2d");
          const isCut = (list) => {
            const look = getComputedStyle(list);
            pen.font = look.font;
            const room = list.clientWidth - parseFloat(look.paddingLeft) - parseFloat(look.paddingRight);
            return list.checkVisibility() && pen.measureText(list.selectedOptions[0]?.text ?? "").width > room + 1;
          };
          return [...document.querySelectorAll("select")].filter(isCut).map((list) => list.selectedOptions[0].text);
        }"""
    )
    return found


def inaccessible(page: Any) -> list[str]:
    """Return the accessibility problems that axe-core finds: the rule, and where."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    found: list[str] = page.evaluate(_ACCESSIBILITY)
    return found
