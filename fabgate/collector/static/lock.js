// How will a lock look on the display? It is shown while it is typed, by the very page that shows it on demand.
// Without this script the button "How will it look?" sends the form.
"use strict";

(() => {
  const AFTER_MS = 300; // nobody reads along with each letter
  const form = document.querySelector(".lock-form form");
  const place = document.getElementById("display");
  let timer = 0;
  let asking = null;

  async function look() {
    asking?.abort(); // what was typed since is another lock
    asking = new AbortController();
    const body = new FormData(form);
    body.set("look", "1");
    try {
      const how = { method: "POST", body, headers: { "X-Live": "1" }, redirect: "error", signal: asking.signal };
      const answer = await fetch(location.href, how);
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("display");
      if (fresh) place.replaceChildren(...document.importNode(fresh, true).childNodes);
    } catch {
      // Signed out, no collector, or typed on: what is shown stays, and sending the form says what is wrong.
    }
  }

  form.addEventListener("input", (event) => {
    if (event.target.name === "words" && event.target.value) form.elements.why.value = "own";
    clearTimeout(timer);
    timer = setTimeout(look, AFTER_MS);
  });
  form.querySelector("[name=look]").hidden = true;
  if (form.elements.why.value) look(); // a browser that went back kept what was typed
})();
