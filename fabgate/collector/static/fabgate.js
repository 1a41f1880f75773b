// How do pages stay current, and what else needs a script? Without it every page works when it is loaded again.
"use strict";

(() => {
  const MOST_OFTEN_MS = 250;
  const LEAST_OFTEN_MS = 60_000; // something that pulses do not tell: time itself
  const sources = new WeakMap(); // keyed element → the HTML it came from, before clocks ticked in it

  const key = (element) => element.id || element.dataset.key || "";
  const regions = () => [...document.querySelectorAll("[data-live][id]")];
  const isTypedIn = (element) => {
    const focused = document.activeElement;
    return focused && element.contains(focused) && focused.matches("input, select, textarea");
  };

  // --- swapping only what has changed ---------------------------------------------------------------------------

  function remember(element) {
    sources.set(element, element.outerHTML);
    for (const child of element.querySelectorAll("[id], [data-key]")) sources.set(child, child.outerHTML);
  }

  function swap(old, fresh) {
    const html = fresh.outerHTML;
    if (sources.get(old) === html) return;
    const children = [...fresh.children];
    if (children.length && old.tagName === fresh.tagName && [...old.children, ...children].every(key)) {
      const known = new Map([...old.children].map((child) => [key(child), child]));
      for (const attribute of fresh.attributes) old.setAttribute(attribute.name, attribute.value);
      let place = old.firstElementChild;
      for (const child of children) {
        const same = known.get(key(child));
        known.delete(key(child));
        if (!same) {
          remember(child);
          old.insertBefore(child, place);
        } else {
          if (same === place) place = place.nextElementSibling;
          else old.insertBefore(same, place);
          swap(same, child);
        }
      }
      for (const gone of known.values()) gone.remove();
      sources.set(old, html);
    } else if (!isTypedIn(old)) {
      const open = new Set([...old.querySelectorAll("details[open]")].map(key).filter(Boolean));
      const focused = old.contains(document.activeElement) ? key(document.activeElement) : "";
      for (const details of fresh.querySelectorAll("details")) if (open.has(key(details))) details.open = true;
      remember(fresh);
      sources.set(fresh, html);
      old.replaceWith(fresh);
      if (focused) document.querySelector(`#${CSS.escape(focused)}, [data-key="${CSS.escape(focused)}"]`)?.focus();
    }
    tick();
  }

  // --- asking again ------------------------------------------------------------------------------------------------

  const waiting = new Set();
  let timer = 0;
  let isAsking = false;

  async function ask() {
    timer = 0;
    isAsking = true;
    const wanted = regions().filter((region) => waiting.has(region.id));
    waiting.clear();
    const bySource = Map.groupBy
      ? Map.groupBy(wanted, (region) => region.dataset.liveSrc || location.href)
      : wanted.reduce((map, region) => {
          const source = region.dataset.liveSrc || location.href;
          return map.set(source, [...(map.get(source) || []), region]);
        }, new Map());
    for (const [source, group] of bySource) {
      try {
        const answer = await fetch(source, { headers: { "X-Live": "1" }, redirect: "error", cache: "no-store" });
        if (!answer.ok) continue;
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const region of group) {
          const fresh = page.getElementById(region.id);
          if (fresh && region.isConnected) swap(region, document.importNode(fresh, true));
        }
      } catch {
        // The stream says when the collector is back; what is shown stays meanwhile, marked as old.
      }
    }
    isAsking = false;
    if (waiting.size) timer = setTimeout(ask, MOST_OFTEN_MS);
  }

  function refresh(topics) {
    for (const region of regions()) {
      const wanted = region.dataset.live.split(/\s+/);
      if (topics.includes("*") || wanted.includes("*") || topics.some((topic) => wanted.includes(topic))) waiting.add(region.id);
    }
    if (waiting.size && !timer && !isAsking) timer = setTimeout(ask, MOST_OFTEN_MS / 5);
  }

  // --- one stream for all tabs of a browser -------------------------------------------------------------------------

  const address = document.body.dataset.events;
  const channel = "BroadcastChannel" in window ? new BroadcastChannel("fabgate") : null;
  let stream = null;
  let last = document.body.dataset.pulse || "";
  let letGo = null;

  function heard(message) {
    if (message.id) last = message.id;
    document.body.classList.toggle("offline", message.kind === "lost");
    // A hidden tab asks for everything once it is looked at again.
    if (message.kind === "pulse" && !document.hidden) refresh(message.topics);
  }

  function tell(message) {
    heard(message);
    channel?.postMessage(message);
  }

  function open() {
    if (stream) return;
    stream = new EventSource(`${address}?after=${encodeURIComponent(last)}`);
    stream.addEventListener("pulse", (event) => tell({ kind: "pulse", id: event.lastEventId, topics: JSON.parse(event.data).topics }));
    stream.addEventListener("hello", (event) => tell({ kind: "hello", id: event.lastEventId }));
    stream.addEventListener("error", () => {
      tell({ kind: "lost" });
      // A refused stream (signed out, or an old server) is closed for good: try again later.
      if (stream?.readyState === EventSource.CLOSED) {
        close();
        setTimeout(() => !document.hidden && lead(), 10_000);
      }
    });
  }

  function close() {
    stream?.close();
    stream = null;
    letGo?.();
    letGo = null;
  }

  // Browsers allow six streams to one host: the tab that holds the lock listens for all. Where there are no locks (a
  // page without https), each visible tab listens for itself.
  function lead() {
    if (!navigator.locks || !channel) {
      open();
      return;
    }
    navigator.locks.request("fabgate-events", () => new Promise((done) => {
      letGo = done;
      open();
    }));
  }

  function live() {
    if (!address || !regions().length) return;
    for (const region of regions()) remember(region);
    channel?.addEventListener("message", (event) => {
      if (event.data.kind === "where") {
        // Whoever has heard more says so: the tab that listened for all may be the one that has just gone.
        if (Number(last) > Number(event.data.id)) channel.postMessage({ kind: "here", id: last });
      } else if (event.data.kind === "here") {
        // It was told to the others while this page was on its way.
        if (Number(event.data.id) > Number(last)) refresh(["*"]);
      } else heard(event.data);
    });
    channel?.postMessage({ kind: "where", id: last });
    lead();
    document.addEventListener("visibilitychange", () => {
      if (!navigator.locks || !channel) {
        if (document.hidden) close();
        else open();
      }
      if (!document.hidden) refresh(["*"]);
    });
    window.addEventListener("pagehide", close);
    window.addEventListener("pageshow", (event) => event.persisted && (lead(), refresh(["*"])));
    setInterval(() => !document.hidden && refresh(["*"]), LEAST_OFTEN_MS);
    document.addEventListener("fabgate:look", () => refresh(["*"])); // a page that knows of changes by itself
  }

  // --- small things --------------------------------------------------------------------------------------------------

  function tick() {
    for (const element of document.querySelectorAll("[data-since]")) {
      const seconds = Math.max(0, Math.floor((Date.now() - Date.parse(element.dataset.since)) / 1000));
      const two = (number) => String(number).padStart(2, "0");
      const text = `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
      if (element.textContent !== text) element.textContent = text;
    }
  }

  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.menu[open], details.confirm[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
    const copy = event.target.closest("[data-copy]");
    if (copy) {
      const field = document.getElementById(copy.dataset.copy);
      field.select();
      navigator.clipboard?.writeText(field.value).then(() => {
        copy.textContent = copy.dataset.done;
      });
    }
    if (event.target.closest("[data-print]")) window.print();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of document.querySelectorAll("details.menu[open], details.confirm[open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });
  document.addEventListener("change", (event) => {
    const form = event.target.form;
    if (form?.hasAttribute("data-send")) form.requestSubmit();
  });

  live();
  tick();
  setInterval(tick, 1000);
})();
