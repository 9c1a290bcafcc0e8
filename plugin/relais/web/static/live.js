// What moves by itself: short polls of small fragments, times that age, and the rate of what is under way.
"use strict";

const language = document.documentElement.lang;
const word = document.getElementById("words").dataset;

// Each element with data-live="2" is asked for anew every 2 seconds, unless nobody looks or its last answer is due.
const lastAsked = new WeakMap();

function poll() {
  if (document.hidden || document.querySelector("dialog[open]")) return;
  const now = performance.now();
  for (const element of document.querySelectorAll("[data-live]")) {
    if (!lastAsked.has(element)) lastAsked.set(element, now);
    if (now - lastAsked.get(element) < 1000 * element.dataset.live || element.matches(".htmx-request")) continue;
    lastAsked.set(element, now);
    htmx.trigger(element, "live");
  }
}

function pollNow() {
  document.querySelectorAll("[data-live]").forEach((element) => lastAsked.set(element, -Infinity));
  poll();
}

setInterval(poll, 250);
document.addEventListener("visibilitychange", () => document.hidden || pollNow());

document.addEventListener("htmx:configRequest", (event) => {
  event.detail.headers["X-Relais"] = "1";
  if (event.target.matches("[data-live-rows]")) {
    const ids = [...document.querySelectorAll("[data-rows] tr[data-id]")].map((row) => row.dataset.id);
    event.detail.parameters.Ids = ids.slice(0, 500).join();
    if (event.target.dataset.liveRows === "newest") event.detail.parameters.Newest = newest(ids);
  }
});

// The newest study that was known when the list was made: what came after it is announced, not inserted.
let known;
const newest = (ids) => (known ??= ids[0] ?? "0");

// A morph leaves alone what the person has done: boxes ticked, details opened.
Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, node) =>
  !(name === "checked" || (name === "open" && node.matches("details")) || (name === "class" && node.matches("tr")));

// One toast while Relais does not answer, gone with its first answer.
let lost;
for (const failure of ["htmx:sendError", "htmx:responseError"]) {
  document.addEventListener(failure, (event) => {
    if (event.detail.xhr?.status >= 400 && event.detail.xhr.status < 500) {
      if (event.detail.requestConfig?.verb === "post") toast(JSON.parse(event.detail.xhr.response).Error, { wrong: true });
      return;
    }
    lost ??= toast(word.lost, { wrong: true, stays: true });
  });
}
document.addEventListener("htmx:afterOnLoad", () => {
  lost?.remove();
  lost = undefined;
});

const TOAST_MILLISECONDS = 8000;

function toast(text, { wrong = false, stays = false, button = null } = {}) {
  const element = document.createElement("div");
  element.className = wrong ? "toast wrong" : "toast";
  element.append(text);
  if (button) element.append(button);
  document.getElementById("toasts").append(element);
  if (!stays) setTimeout(() => element.remove(), TOAST_MILLISECONDS);
  return element;
}

// Times age between polls; what is planned is told anew by them.
const relative = new Intl.RelativeTimeFormat(language, { style: "short", numeric: "always" });
const UNITS = [["year", 31557600], ["month", 2629800], ["week", 604800], ["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

function age() {
  for (const element of document.querySelectorAll("time[data-past]")) {
    const seconds = (new Date(element.dateTime) - Date.now()) / 1000;
    const [unit, size] = UNITS.find(([, each]) => Math.abs(seconds) >= each * 0.85) ?? ["second", 1];
    const amount = Math.round(seconds / size);
    element.textContent = relative.format(amount || -0, unit);
  }
}
setInterval(age, 15000);

// How fast images go out and how long that will take, from what was seen since the page was opened.
const seen = new Map();

function rate() {
  for (const bar of document.querySelectorAll("progress[data-moving]")) {
    const now = performance.now() / 1000;
    const first = seen.get(bar.dataset.moving) ?? { at: now, value: bar.value };
    seen.set(bar.dataset.moving, first);
    const images = bar.value - first.value;
    if (images <= 0) continue;
    const perSecond = images / (now - first.at);
    const figures = bar.nextElementSibling;
    const text = word.rate
      .replace("%rate%", new Intl.NumberFormat(language, { maximumSignificantDigits: 2 }).format(perSecond))
      .replace("%left%", lasting((bar.max - bar.value) / perSecond));
    figures.textContent = `${figures.textContent.split(" · ")[0]} · ${text}`;
  }
}

function lasting(seconds) {
  const [unit, size] = seconds < 90 ? ["second", 1] : seconds < 5400 ? ["minute", 60] : ["hour", 3600];
  return new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "short" }).format(Math.ceil(seconds / size));
}
document.addEventListener("htmx:afterSettle", rate);

document.querySelector(".top nav [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });
