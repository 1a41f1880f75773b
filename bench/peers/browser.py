"""A real browser on the floor page: when had it drawn each event?

On a pulse the page asks for its regions again; the pulse is drawn once that answer is in the page.
"""

from __future__ import annotations

import shutil
from typing import Any

from playwright.sync_api import Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
#: Records each pulse with its regions, and of each answer the times of request and arrival, and its regions.
NOTES = """
(() => {
  const heard = [], asked = [];
  window.bench = { heard, asked };
  const Plain = window.EventSource;
  window.EventSource = class extends Plain {
    constructor(...given) {
      super(...given);
      this.addEventListener("pulse", (event) => {
        const { topics } = JSON.parse(event.data);
        const concerned = [...document.querySelectorAll("[data-live][id]:not([data-live-every])")].filter((region) =>
          region.dataset.live.split(" ").some((topic) => topics.includes(topic)));
        heard.push([Date.now(), Number(event.lastEventId), concerned.map((region) => region.id)]);
      });
    }
  };
  const plain = window.fetch;
  window.fetch = async (...given) => {
    const one = [Date.now(), 0, (given[1]?.headers?.["X-Live"] ?? "").split(" ")];
    asked.push(one);
    const answer = await plain(...given);
    const text = answer.text.bind(answer);
    answer.text = async () => {
      const found = await text();
      setTimeout(() => { one[1] = Date.now(); }, 0); // after the page was changed
      return found;
    };
    return answer;
  };
})();
"""


_page: Page


def watch(port: int, cookie: str) -> None:
    """Open the page with a Cookie header."""
    global _page
    origin = f"http://127.0.0.1:{port}"
    cookies = [one.strip().partition("=") for one in cookie.split(";")]
    browser = sync_playwright().start().chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
    context = browser.new_context()
    context.add_cookies([{"name": name, "value": value, "url": origin} for name, _, value in cookies])
    context.add_init_script(NOTES)
    _page = context.new_page()
    _page.goto(f"{origin}/floor")
    _page.wait_for_selector("[data-live]", state="attached")


def drawn() -> list[tuple[float, int]]:
    """Return (moment, pulse) of what was drawn since the last call."""
    found = _page.evaluate("() => ({heard: window.bench.heard.splice(0), asked: window.bench.asked.splice(0)})")
    return moments(found["heard"], found["asked"])


def moments(heard: list[Any], asked: list[Any]) -> list[tuple[float, int]]:
    """Return for each pulse the moment at which all its regions, requested after it, were in the page."""
    found = []
    for moment, pulse, regions in heard:
        answers = [
            [came for began, came, drawn in asked if began >= moment and came and region in drawn] for region in regions
        ]
        if all(answers):
            found.append((max((min(times) for times in answers), default=moment) / 1000, pulse))
    return found
