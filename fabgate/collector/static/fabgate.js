// How do pages stay current, and what else needs a script? Without it every page works when it is loaded again.
"use strict";

(() => {
  const MOST_OFTEN_MS = 250;
  const LEAST_OFTEN_MS = 60_000; // something that pulses do not tell: time itself
  const PATIENCE_MS = 20_000; // a network that swallows an answer says nothing
  const AGAIN_MS = 3_000;
  const page = document.body.dataset.src || location.href; // what a form came back to can only be sent, not asked for
  const WHOLE_EVERY_MS = 5_000; // on a busy floor, where the next pulse is soon, it need not wait for so long
  const LONGEST_PRESS_MS = 3_000; // a release outside the window is not seen
  const sources = new WeakMap(); // keyed element → the HTML it came from, before clocks ticked in it

  const now = () => performance.now();
  const key = (element) => element.id || element.dataset.key || "";
  const regions = () => [...document.querySelectorAll("[data-live][id]")];
  const isTypedIn = (element) => {
    const focused = document.activeElement;
    return focused && element.contains(focused) && focused.matches("input, select, textarea");
  };

  // --- no swap under a finger --------------------------------------------------------------------------------------

  // A press and a release on two elements make no click: a button that is swapped in between would do nothing.
  let pressedAt = -Infinity;
  const isPressed = () => now() - pressedAt < LONGEST_PRESS_MS;
  const presses = (event) => event.type === "pointerdown" || (event.key === " " && !event.repeat);
  for (const press of ["pointerdown", "keydown"]) addEventListener(press, (event) => presses(event) && (pressedAt = now()), true);
  for (const release of ["pointerup", "pointercancel", "keyup"])
    addEventListener(release, () => setTimeout(() => (pressedAt = -Infinity)), true); // after the click

  async function released() {
    while (isPressed()) await new Promise((done) => setTimeout(done, 20));
  }

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
  }

  // Swaps those children of a region that have come; false where one is new, and nobody knows where it belongs.
  function swapPart(old, fresh) {
    const known = new Map([...old.children].map((child) => [key(child), child]));
    const children = [...fresh.children];
    if (!children.every((child) => known.has(key(child)))) return false;
    for (const child of children) swap(known.get(key(child)), child);
    sources.delete(old); // it is no more what came last as a whole
    return true;
  }

  // --- asking again ------------------------------------------------------------------------------------------------

  const waiting = new Map(); // id of a region → the gates of which it heard, or null: all of it is to be asked for
  const asked = new Map(); // id of a region → when it was asked for last
  const whole = new Map(); // the same, of all of it
  let timer = 0;
  let timedFor = 0;
  let isAsking = false;
  let restsUntil = 0; // a collector that takes long is left alone for as long

  const due = (region) => (asked.get(region.id) ?? -Infinity) + Math.max(MOST_OFTEN_MS, Number(region.dataset.liveEvery ?? 0));

  // Gates that are named change their own cards; what changes by time alone, or at many gates, is in all of the region.
  function wait(region, gates) {
    const before = waiting.has(region.id) ? waiting.get(region.id) : [];
    const isOld = now() - (whole.get(region.id) ?? 0) > WHOLE_EVERY_MS;
    const named = gates.length && before && !isOld ? new Set([...before, ...gates]) : null;
    waiting.set(region.id, named && named.size <= Number(region.dataset.liveGates ?? 0) ? named : null);
  }

  function plan() {
    const dues = regions().filter((region) => waiting.has(region.id)).map(due);
    if (isAsking || !dues.length) return;
    const at = Math.max(now() + MOST_OFTEN_MS / 5, restsUntil, Math.min(...dues));
    if (timer && timedFor <= at) return;
    clearTimeout(timer);
    timedFor = at;
    timer = setTimeout(ask, at - now());
  }

  async function ask() {
    timer = 0;
    isAsking = true;
    const began = now();
    const soon = began + MOST_OFTEN_MS / 5; // what would be asked for in a moment comes along
    const bySource = new Map();
    for (const region of regions().filter((region) => waiting.has(region.id) && due(region) <= soon)) {
      const source = region.dataset.liveSrc || page;
      bySource.set(source, [...(bySource.get(source) ?? []), region]);
    }
    let isAnswered = true;
    for (const [source, group] of bySource) isAnswered = (await askOne(source, group)) && isAnswered;
    tick();
    count();
    restsUntil = now() + (isAnswered ? Math.min(now() - began, AGAIN_MS) : AGAIN_MS);
    isAsking = false;
    plan();
  }

  // Nothing that is asked for leads anywhere else but to the page on which one signs in.
  const isSignIn = (answer) => answer.type === "opaqueredirect";

  async function askOne(source, group) {
    const parts = group.filter((region) => region.dataset.liveGates).map((region) => waiting.get(region.id));
    const headers = { "X-Live": group.map((region) => region.id).join(" ") };
    if (parts.length && parts.every(Boolean)) headers["X-Live-Gates"] = [...new Set(parts.flatMap((gates) => [...gates]))].join(" ");
    for (const region of group) {
      waiting.delete(region.id); // what is heard from now on may not be in the answer
      asked.set(region.id, now());
    }
    try {
      const signal = AbortSignal.timeout(PATIENCE_MS);
      const answer = await fetch(source, { headers, signal, redirect: "manual", cache: "no-store" });
      document.body.classList.toggle("signed-out", isSignIn(answer));
      if (answer.status === 410) location.reload(); // the link of a big display was revoked: show nothing of it any more
      if (!answer.ok) throw new Error(answer.statusText);
      document.body.classList.remove("offline"); // even without a stream
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      await released();
      for (const region of group) {
        const fresh = page.getElementById(region.id);
        if (!fresh || !region.isConnected) continue;
        const isPart = fresh.hasAttribute("data-live-part");
        if (!isPart) whole.set(region.id, asked.get(region.id));
        if (!isPart) swap(region, document.importNode(fresh, true));
        else if (!swapPart(region, document.importNode(fresh, true))) wait(region, []);
      }
      return true;
    } catch {
      // The stream says when the collector is back; what is shown stays meanwhile, marked as old.
      for (const region of group) wait(region, []);
      return false;
    }
  }

  function refresh(topics, gates = []) {
    for (const region of regions()) {
      const wanted = region.dataset.live.split(/\s+/);
      if (topics.includes("*") || wanted.includes("*") || topics.some((topic) => wanted.includes(topic))) wait(region, gates);
    }
    plan();
  }

  // --- one stream for all tabs of a browser -------------------------------------------------------------------------

  const address = document.body.dataset.events;
  const channel = "BroadcastChannel" in window ? new BroadcastChannel(`fabgate ${address}`) : null;
  let stream = null;
  let last = document.body.dataset.pulse || "";
  let letGo = null;

  function heard(message) {
    if (message.id) last = message.id;
    document.body.classList.toggle("offline", message.kind === "lost");
    // A hidden tab asks for everything once it is looked at again.
    if (message.kind === "pulse" && !document.hidden) refresh(message.topics, message.gates);
    if (message.kind === "hello") plan(); // what was not answered while the collector was away
  }

  function tell(message) {
    heard(message);
    channel?.postMessage(message);
  }

  function open() {
    if (stream) return;
    stream = new EventSource(`${address}?after=${encodeURIComponent(last)}`);
    stream.addEventListener("pulse", (event) => tell({ kind: "pulse", id: event.lastEventId, ...JSON.parse(event.data) }));
    stream.addEventListener("hello", (event) => tell({ kind: "hello", id: event.lastEventId }));
    stream.addEventListener("error", () => {
      tell({ kind: "lost" });
      // A refused stream (signed out, or an old server) is closed for good: try again later.
      if (stream?.readyState === EventSource.CLOSED) {
        close();
        refresh(["*"]); // which finds out whether somebody signed out here, or the collector is away
        setTimeout(again, 10_000);
      }
    });
  }

  function close() {
    stream?.close();
    stream = null;
    letGo?.();
    letGo = null;
  }

  // A page that nobody looks at waits until somebody does.
  function again() {
    if (document.hidden) document.addEventListener("visibilitychange", again, { once: true });
    else lead();
  }

  // Browsers allow six streams to one host: the tab that holds the lock listens for all. Where there are no locks (a
  // page without https), each visible tab listens for itself.
  function lead() {
    if (!navigator.locks || !channel) {
      open();
      return;
    }
    navigator.locks.request(`fabgate ${address}`, () => new Promise((done) => {
      letGo = done;
      open();
    }));
  }

  function live() {
    if (!address || !regions().some((region) => region.id !== "records")) return; // that alone is no reason to listen
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

  // Something that says how many there are of what the page shows, in an item that is there while it is any.
  function count() {
    for (const element of document.querySelectorAll("[data-count]")) {
      const text = String(document.querySelectorAll(element.dataset.count).length);
      if (element.textContent !== text) element.textContent = text;
      element.closest("li").hidden = text === "0";
    }
  }

  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.menu[open], details.confirm[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
    const copy = event.target.closest("[data-copy]");
    if (copy) {
      const field = document.getElementById(copy.dataset.copy);
      field.select?.();
      navigator.clipboard?.writeText(field.value ?? field.textContent).then(() => {
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
  // Who clicks twice means it once; and of a link or a key that is shown once, the second answer would hide the first.
  const TWICE_MS = 1_000;
  let sent = { by: null, at: -Infinity };
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "post") return;
    const by = event.submitter ?? form;
    if (by === sent.by && now() - sent.at < TWICE_MS) event.preventDefault();
    else sent = { by, at: now() };
  });

  live();
  tick();
  setInterval(tick, 1000);
})();
