// A big display: its tiles fill the screen, by turns if they would be too small to be read from across the room.
"use strict";

(() => {
  const TURN_MS = 12_000;
  const main = document.getElementById("main");
  const head = () => document.getElementById("display-head");
  const files = head().dataset.files;
  const GAP_PX = 12; // as in big-display.css
  let turn = 0;
  let turns = 1;

  // The font size of a tile, as in big-display.css.
  const size = (columns, rows, width, height) =>
    Math.min(0.088 * ((width - GAP_PX * (columns - 1)) / columns), 0.108 * ((height - GAP_PX * (rows - 1)) / rows));

  // The columns and rows that show `count` tiles as large as possible.
  function fitting(count, width, height) {
    let best = { size: 0, columns: 1, rows: count };
    for (let columns = 1; columns <= count; columns += 1) {
      const rows = Math.ceil(count / columns);
      const found = size(columns, rows, width, height);
      if (found > best.size) best = { size: found, columns, rows };
    }
    return best;
  }

  function lay() {
    const tiles = document.getElementById("display-machines");
    const every = [...tiles.querySelectorAll(".tile")];
    const isFitted = matchMedia("(min-width: 44rem) and (min-height: 30rem)").matches && every.length > 0;
    main.classList.toggle("fitted", isFitted);
    const box = tiles.getBoundingClientRect();
    const least = Math.max(14, innerHeight / 62);
    let shown = every.length;
    while (isFitted && shown > 1 && fitting(shown, box.width, box.height).size < least) shown -= 1;
    turns = isFitted ? Math.ceil(every.length / shown) : 1;
    shown = Math.ceil(every.length / turns); // each turn as full as the others
    turn %= turns;
    const grid = fitting(shown, box.width, box.height);
    tiles.style.setProperty("--columns", grid.columns);
    tiles.style.setProperty("--rows", grid.rows);
    for (const [place, tile] of every.entries()) {
      const isHidden = isFitted && Math.floor(place / shown) !== turn;
      if (tile.hidden !== isHidden) tile.hidden = isHidden;
    }
    const dots = head().querySelector(".turns");
    dots.replaceChildren(...(turns > 1 ? Array.from({ length: turns }, () => document.createElement("span")) : []));
    dots.children[turn]?.classList.add("shown");
  }

  // The clock of the collector, for the screen's own may be wrong. Each head that comes says what time it is.
  let known = null;
  let ahead = 0;
  function tick() {
    const clock = head().querySelector(".clock time");
    if (clock !== known) ahead = Date.parse(clock.dateTime) - Date.now();
    known = clock;
    const form = { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: clock.dataset.zone };
    const text = new Intl.DateTimeFormat(document.documentElement.lang, form).format(Date.now() + ahead);
    if (clock.textContent !== text) clock.textContent = text;
  }

  const watcher = new MutationObserver(() => (head().dataset.files === files ? show() : location.reload()));
  function show() {
    watcher.disconnect(); // what follows is no news
    lay();
    tick();
    watcher.observe(main, { childList: true, subtree: true });
  }

  show();
  new ResizeObserver(show).observe(main);
  setInterval(() => {
    turn += 1;
    show();
  }, TURN_MS);
  setInterval(tick, 1000);
})();
