// Keeps every card in its place while somebody points at, touches or types in the floor: a machine that starts makes its
// card larger, which would move the button under the finger. Sizes follow the states again once the floor is left alone.
"use strict";

(() => {
  const REST_MS = 4_000; // after the last movement
  const region = document.getElementById("floor-machines");
  if (!region) return;
  // On a phone, people and refusals are above the machines too.
  const others = document.querySelectorAll("#floor-counts, .present, .refusals");
  const held = new Map(); // id of a card → its width and height, while they are held
  let timer = 0;

  const isOpen = () => region.querySelector("details[open]") !== null;

  // A card whose question is open may grow: its reader has asked for that.
  function fix(card) {
    const size = held.get(card.id);
    if (!size) return;
    const grows = card.querySelector("details[open]") !== null;
    Object.assign(card.style, { flex: "none", order: size.order, width: size.width, height: grows ? "" : size.height, minHeight: size.height, overflow: grows ? "" : "clip" });
  }

  function hold() {
    clearTimeout(timer);
    timer = setTimeout(release, REST_MS);
    if (held.size) return;
    const sizes = [...region.children].map((card) => [card, card.getBoundingClientRect(), getComputedStyle(card).order]);
    const { top } = region.getBoundingClientRect();
    for (const other of others) {
      const box = other.getBoundingClientRect();
      if (box.bottom <= top) Object.assign(other.style, { height: `${box.height}px`, overflow: "clip" });
    }
    for (const [card, box, order] of sizes) {
      held.set(card.id, { order, width: `${Math.floor(box.width * 100) / 100}px`, height: `${box.height}px` });
      fix(card);
    }
  }

  function release() {
    clearTimeout(timer);
    if (isOpen()) {
      timer = setTimeout(release, REST_MS);
      return;
    }
    held.clear();
    for (const card of region.children) Object.assign(card.style, { flex: "", order: "", width: "", height: "", minHeight: "", overflow: "" });
    for (const other of others) Object.assign(other.style, { height: "", overflow: "" });
  }

  for (const kind of ["pointermove", "pointerdown", "focusin", "keydown"]) region.addEventListener(kind, hold, { passive: true });
  region.addEventListener("toggle", (event) => fix(event.target.closest(".station")), { capture: true });
  window.addEventListener("resize", () => {
    held.clear();
    release();
  });
  new MutationObserver((changes) => {
    for (const change of changes) for (const node of change.addedNodes) if (node.nodeType === 1) fix(node);
  }).observe(region, { childList: true });
})();
