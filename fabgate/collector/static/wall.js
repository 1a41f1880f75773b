// Taps badges on readers without reloading the page: by click, keyboard or drag and drop.
// Without this script, each button submits the form and the page reloads with the result.
"use strict";

(() => {
  const POLL_EVERY_MS = 400; // the collector sends no events for what is only visible from outside, such as the light
  const [POLLS_FOR_A_CHANGE, POLLS_AFTER, MAX_POLLS] = [10, 5, 150];
  const form = document.getElementById("do");
  const announcement = document.getElementById("announcement");
  if (!form) return;
  const refresh = () => document.dispatchEvent(new Event("fabgate:look"));
  const machineOf = (element) => element?.closest?.("[data-gate]");

  async function send(button) {
    const body = new FormData(form);
    body.set(button.name, button.value);
    const gate = machineOf(button)?.dataset.gate;
    const before = display(gate);
    button.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(form.action, { method: "POST", body, headers: { "X-Wall": "1" }, redirect: "error" });
      if (answer.status === 409) announce(await answer.text(), "message error");
      else if (answer.status === 204) announceDisplay(gate, before);
      else location.reload(); // the demo has ended, or the form is too old: the page shows which
    } catch {
      location.reload(); // signed out, or no collector
    }
    button.removeAttribute("aria-busy");
    refresh();
  }

  function announce(text, className) {
    announcement.className = className;
    announcement.textContent = text;
  }

  const display = (gate) => document.getElementById(`display-${gate}`)?.textContent.replace(/\s+/g, " ").trim();

  // Screen readers announce the display once it changes, and changes soon after; if it stays the same, once as well.
  let timer = 0;
  function announceDisplay(gate, before) {
    let [announced, polls, last] = [before, 0, MAX_POLLS];
    clearInterval(timer);
    timer = setInterval(() => {
      const shown = display(gate);
      polls += 1;
      if (shown !== announced) last = Math.min(last, polls + POLLS_AFTER);
      if (shown && (shown !== announced || (polls === POLLS_FOR_A_CHANGE && announced === before))) announce(shown, "hidden-visually");
      announced = shown;
      if (polls >= last) clearInterval(timer);
    }, POLL_EVERY_MS);
  }

  form.addEventListener("submit", (event) => {
    if (!event.submitter) return;
    event.preventDefault();
    send(event.submitter);
  });

  // --- the selected badge ------------------------------------------------------------------------------------

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

  setInterval(() => !document.hidden && refresh(), POLL_EVERY_MS);
})();
