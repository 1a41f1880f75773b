// Previews a lock on the display while the user types, using the page's own preview.
// Without this script, the button "Preview" submits the form.
"use strict";

(() => {
  const AFTER_MS = 300; // after the last keystroke
  const form = document.querySelector(".lock-form form");
  const place = document.getElementById("display");
  let timer = 0;
  let asking = null;

  async function look() {
    asking?.abort(); // the text has changed since
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
      // Signed out, no collector, or aborted: the preview stays, and submitting the form shows the problem.
    }
  }

  form.addEventListener("input", (event) => {
    if (event.target.name === "words" && event.target.value) form.elements.why.value = "own";
    clearTimeout(timer);
    timer = setTimeout(look, AFTER_MS);
  });
  form.querySelector("[name=look]").hidden = true;
  if (form.elements.why.value) look(); // browsers keep form fields when going back
})();
