// How does a badge come to a reader without loading the page again? By a click, by the keyboard, or dragged there.
// Without this script every button sends the form, and the page comes back with what happened.
"use strict";

(() => {
  const LOOK_EVERY_MS = 400; // what is seen from outside, such as the light, is no change that the collector tells
  const [LOOKS_FOR_A_CHANGE, LOOKS_AFTER, LOOKS_AT_MOST] = [10, 5, 150];
  const form = document.getElementById("do");
  const said = document.getElementById("said");
  if (!form) return;
  const look = () => document.dispatchEvent(new Event("fabgate:look"));
  const machineOf = (element) => element?.closest?.("[data-gate]");

  async function send(button) {
    const body = new FormData(form);
    body.set(button.name, button.value);
    const gate = machineOf(button)?.dataset.gate;
    const before = display(gate);
    button.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(form.action, { method: "POST", body, headers: { "X-Wall": "1" }, redirect: "error" });
      if (answer.status === 409) say(await answer.text(), "message error");
      else if (answer.status === 204) tell(gate, before);
      else location.reload(); // the demo has ended, or the form is too old: the whole page says which
    } catch {
      location.reload(); // signed out, or no collector
    }
    button.removeAttribute("aria-busy");
    look();
  }

  function say(text, look) {
    said.className = look;
    said.textContent = text;
  }

  const display = (gate) => document.getElementById(`display-${gate}`)?.textContent.replace(/\s+/g, " ").trim();

  // What everybody sees on the display is read out to who does not: once it changes, and what soon follows; what stays
  // as it was is an answer too.
  let telling = 0;
  function tell(gate, before) {
    let [told, looks, last] = [before, 0, LOOKS_AT_MOST];
    clearInterval(telling);
    telling = setInterval(() => {
      const shown = display(gate);
      looks += 1;
      if (shown !== told) last = Math.min(last, looks + LOOKS_AFTER);
      if (shown && (shown !== told || (looks === LOOKS_FOR_A_CHANGE && told === before))) say(shown, "hidden-visually");
      told = shown;
      if (looks >= last) clearInterval(telling);
    }, LOOK_EVERY_MS);
  }

  form.addEventListener("submit", (event) => {
    if (!event.submitter) return;
    event.preventDefault();
    send(event.submitter);
  });

  // --- the badge in the hand ------------------------------------------------------------------------------------

  const mark = () => document.body.classList.toggle("has-card", Boolean(form.elements.card?.value));
  document.addEventListener("change", (event) => event.target.name === "card" && mark());
  mark();

  document.addEventListener("dragstart", (event) => {
    const badge = event.target.closest?.("[data-card]");
    if (!badge) return;
    event.dataTransfer.setData("text/plain", badge.dataset.card);
    event.dataTransfer.effectAllowed = "copy";
    document.getElementById(`card-${badge.dataset.card}`).checked = true;
    mark();
  });
  document.addEventListener("dragover", (event) => {
    for (const machine of document.querySelectorAll(".aimed")) machine.classList.remove("aimed");
    const machine = machineOf(event.target);
    if (!machine) return;
    event.preventDefault();
    machine.classList.add("aimed");
  });
  document.addEventListener("drop", (event) => {
    const machine = machineOf(event.target);
    if (!machine) return;
    event.preventDefault();
    machine.classList.remove("aimed");
    machine.querySelector("[data-reader]:not(:disabled)")?.click();
  });

  setInterval(() => !document.hidden && look(), LOOK_EVERY_MS);
})();
