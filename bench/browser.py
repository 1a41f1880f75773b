"""A real browser on the floor page: when had it drawn each event?

``python -m bench.browser PORT`` reads a Cookie header, opens the page and prints ``ready``. Each further line is answered
with (moment, pulse) of what was drawn since. On a pulse the page asks for its regions again; the pulse is drawn once that
answer is in the page.
"""

from __future__ import annotations

import json
import shutil
import sys
from typing import Any

from playwright.sync_api import sync_playwright

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


def main() -> None:
    """Watch until stdin ends."""
    origin = f"http://127.0.0.1:{sys.argv[1]}"
    cookies = [one.strip().partition("=") for one in sys.stdin.readline().split(";")]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context()
        context.add_cookies([{"name": name, "value": value, "url": origin} for name, _, value in cookies])
        context.add_init_script(NOTES)
        page = context.new_page()
        page.goto(f"{origin}/floor")
        page.wait_for_selector("[data-live]", state="attached")
        print("ready", flush=True)
        for _line in sys.stdin:
            found = page.evaluate("() => ({heard: window.bench.heard.splice(0), asked: window.bench.asked.splice(0)})")
            print(json.dumps(_drawn(found["heard"], found["asked"])), flush=True)
        browser.close()


def _drawn(heard: list[Any], asked: list[Any]) -> list[tuple[float, int]]:
    """Return for each pulse the moment at which all its regions, requested after it, were in the page."""
    found = []
    for moment, pulse, regions in heard:
        answers = [
            [came for began, came, drawn in asked if began >= moment and came and region in drawn] for region in regions
        ]
        if all(answers):
            found.append((max((min(times) for times in answers), default=moment) / 1000, pulse))
    return found


if __name__ == "__main__":
    main()
