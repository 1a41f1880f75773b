"""One true browser that looks at the floor: when had it drawn what it heard of?

``python -m bench.browser PORT`` reads a Cookie header, opens the page and says ``ready``. Each further line is answered
with (moment, pulse) of what was drawn since: a page asks again when it hears, and has drawn when that answer is in it.
"""

from __future__ import annotations

import json
import shutil
import sys

from playwright.sync_api import sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
#: Notes each pulse, and of each answer that a page has fetched since when it was asked for and came.
NOTES = """
(() => {
  const heard = [], asked = [];
  window.bench = { heard, asked };
  const Plain = window.EventSource;
  window.EventSource = class extends Plain {
    constructor(...given) {
      super(...given);
      this.addEventListener("pulse", (event) => heard.push([Date.now(), Number(event.lastEventId)]));
    }
  };
  const plain = window.fetch;
  window.fetch = async (...given) => {
    const one = [Date.now(), 0];
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
    """Look until stdin ends."""
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


def _drawn(heard: list[list[int]], asked: list[list[int]]) -> list[tuple[float, int]]:
    """Return for each pulse the moment at which the first answer that was asked for after it was in the page."""
    found = []
    for moment, pulse in heard:
        done = [came for began, came in asked if began >= moment and came]
        if done:
            found.append((min(done) / 1000, pulse))
    return found


if __name__ == "__main__":
    main()
