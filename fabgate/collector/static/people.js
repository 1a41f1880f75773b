// How are all people of a list ticked at once? One box above them; without this script each is ticked by hand.
"use strict";

document.addEventListener("change", (event) => {
  const name = event.target.dataset?.ticks;
  if (!name) return;
  for (const box of document.querySelectorAll(`input[type="checkbox"][name="${CSS.escape(name)}"]`)) {
    box.checked = event.target.checked;
  }
});
