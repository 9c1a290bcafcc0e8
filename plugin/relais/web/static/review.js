// Reviews: candidates by j and k, decisions by one key, a claim while the page is looked at, and undo.
"use strict";

const RENEW_MILLISECONDS = 60_000;
const REMEMBERED_MILLISECONDS = 600_000;
const DONE = "relais-review-done";
const page = document.getElementById("review");
const follow = document.getElementById("follow");

async function send(method, url, body, options = {}) {
  const response = await fetch(url, {
    method,
    headers: { "Content-Type": "application/json", "X-Relais": "1" },
    body: JSON.stringify(body),
    ...options,
  });
  if (response.ok) return response;
  const answer = await response.json();
  throw new Error([answer.Error, ...answer.Details.map((each) => each.Message)].join(": "));
}

// --- candidates: tabs over the sections that the server wrote ---
const sections = () => [...document.querySelectorAll("#panels > [data-candidate]")];
const chosen = () => sections().find((each) => !each.hidden);

function showTabs() {
  const panels = document.getElementById("panels");
  panels.parentElement.querySelector(".candidates")?.remove();
  const tabs = document.createElement("div");
  tabs.className = "candidates";
  tabs.role = "tablist";
  tabs.ariaLabel = panels.dataset.of;
  sections().forEach((section, place) => {
    const tab = document.createElement("button");
    tab.type = "button";
    tab.role = "tab";
    tab.id = `tab-${place}`;
    section.id = `panel-${place}`;
    section.role = "tabpanel";
    tab.setAttribute("aria-controls", section.id);
    tab.append(`${place + 1} · ${section.dataset.name}`);
    if (section.dataset.share) {
      const share = document.createElement("small");
      share.textContent = section.dataset.share;
      tab.append(" ", share);
    }
    tab.addEventListener("click", () => choose(place));
    tabs.append(tab);
  });
  if (sections().length) panels.before(tabs);
}

function choose(place) {
  const all = sections();
  if (!all.length) return;
  const wanted = all[Math.min(Math.max(place, 0), all.length - 1)];
  all.forEach((section, number) => {
    section.hidden = section !== wanted;
    const tab = document.getElementById(`tab-${number}`);
    tab.ariaSelected = String(section === wanted);
    tab.tabIndex = section === wanted ? 0 : -1;
  });
  const name = document.querySelector("[data-chosen-name]");
  if (!name) return;
  name.textContent = wanted.dataset.name;
  name.closest("button").hidden = false;
}

const walkCandidates = (step) => choose(sections().indexOf(chosen()) + step);

// --- the claim: nobody else decides while this page is open ---
const handsOff = () => document.querySelector("#standing[data-hands-off]") !== null;

async function claim() {
  if (handsOff() || document.hidden) return;
  try {
    await send("POST", `${page.dataset.api}/claim`, {});
  } catch (error) {
    toast(error.message, { wrong: true });
  }
  pollNow();
}

function letGo() {
  if (!handsOff()) send("POST", `${page.dataset.api}/unclaim`, {}, { keepalive: true }).catch(() => {});
}

function refreshHands() {
  const standing = document.getElementById("standing");
  if (standing.dataset.match !== page.dataset.match) location.reload(); // something else is asked meanwhile
  const bar = document.getElementById("decide");
  if (bar) bar.inert = handsOff();
}

// --- what a person decides ---
let deciding = false;

async function decide(decision) {
  const crmId = decision === "Link" ? chosen()?.dataset.candidate : null;
  if (deciding || handsOff() || (decision === "Link" && !crmId)) return;
  deciding = true;
  try {
    const answer = await send("POST", `${page.dataset.api}/resolve`, {
      Decision: decision,
      ...(crmId ? { CrmId: crmId } : {}),
      Comment: document.getElementById("comment").value,
      Match: Number(page.dataset.match),
    });
    const { State: state } = await answer.json();
    rememberDone(state === "Open" ? "first" : decision === "Link" ? "link" : "nobody", state !== "Open");
    goOn();
  } catch (error) {
    toast(error.message, { wrong: true });
    pollNow();
  }
  deciding = false;
}

async function askCrm() {
  const button = document.querySelector("[data-ask-crm]");
  if (!button || button.disabled || handsOff()) return;
  button.disabled = true;
  try {
    await send("POST", `${page.dataset.api}/ask`, {});
    rememberDone("asked", false);
    letGo();
    goOn();
  } catch (error) {
    button.disabled = false;
    toast(error.message, { wrong: true });
  }
}

const goOn = () => location.assign(page.dataset.next);

function skip() {
  letGo();
  goOn();
}

// --- what was decided a moment ago, and how it is taken back; ids only ---
function rememberDone(word, undo) {
  const { api, here, consequences } = page.dataset;
  sessionStorage.setItem(DONE, JSON.stringify({ word, undo, api, here, consequences, at: Date.now() }));
}

function lastDone() {
  const done = JSON.parse(sessionStorage.getItem(DONE) ?? "null");
  return done && Date.now() - done.at < REMEMBERED_MILLISECONDS ? done : null;
}

function showDone() {
  const line = document.getElementById("just-done");
  const done = lastDone();
  if (!line || !done) return;
  line.querySelector("span").textContent = line.dataset[done.word];
  line.querySelector("button").hidden = !done.undo;
  line.hidden = false;
}

function undoLast() {
  const done = lastDone();
  if (done?.undo) undo(done);
}

function undo({ api, here, consequences }) {
  askFirst({
    title: follow.dataset.undoTitle,
    word: follow.dataset.undoWord,
    consequences,
    body: { Undone: true },
    act: async (reason) => {
      await send("POST", `${api}/undo`, { Reason: reason });
      sessionStorage.removeItem(DONE);
      location.assign(here);
    },
  });
}

// Tell what follows, ask why, then do it.
async function askFirst({ title, word, consequences, body, act }) {
  const form = follow.querySelector("form");
  document.getElementById("follow-title").textContent = title;
  document.getElementById("follow-do").textContent = word;
  const told = document.getElementById("follow-told");
  told.replaceChildren();
  form.reset();
  form.onsubmit = async () => {
    try {
      await act(form.elements.reason.value);
    } catch (error) {
      toast(error.message, { wrong: true });
    }
  };
  follow.showModal();
  form.elements.reason.focus();
  try {
    told.innerHTML = await (await send("POST", consequences, body)).text();
  } catch (error) {
    told.textContent = error.message;
  }
}

// --- a study's own page: link by hand, and take back ---
function byHand(button) {
  const { crmId, to, title, text } = button.dataset;
  const takenBack = "takeBack" in button.dataset;
  askFirst({
    title,
    word: text,
    consequences: button.dataset.consequences,
    body: takenBack ? { Undone: true } : { CrmId: crmId || null },
    act: async (reason) => {
      if (takenBack) await send("POST", to, { Reason: reason });
      else await send("PUT", to, { CrmId: crmId || null, Comment: reason });
      location.reload();
    },
  });
}

// --- whatever a page offers with what follows from it: a button says where it asks, where it sends, and where it goes ---
function foresee(button) {
  const { foresee: consequences, about, to, send: sent, title, text, goes } = button.dataset;
  askFirst({
    title,
    word: text,
    consequences,
    body: JSON.parse(about),
    act: async (reason) => {
      await send("POST", to, { ...JSON.parse(sent), Reason: reason });
      if (goes) location.assign(goes);
      else location.reload();
    },
  });
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const data = button.dataset;
  if (data.decide) decide(data.decide);
  else if ("askCrm" in data) askCrm();
  else if ("skip" in data) skip();
  else if ("reviewUndo" in data) undoLast();
  else if ("reviewUndoThis" in data) undo(page.dataset);
  else if ("byHand" in data) byHand(button);
  else if (data.foresee) foresee(button);
  else if (data.large) document.querySelector(".pictures .large").src = data.large;
});

const REVIEW_KEYS = {
  j: () => walkCandidates(1),
  k: () => walkCandidates(-1),
  l: () => decide("Link"),
  n: () => decide("NoMatch"),
  c: askCrm,
  s: skip,
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.matches("input, textarea, select")) return;
  if (event.key === "u") undoLast();
  else if (event.key === "/") document.querySelector(".find")?.setAttribute("open", "");
  else if (page && "mayDecide" in page.dataset) REVIEW_KEYS[event.key]?.();
  else if (page && (event.key === "j" || event.key === "k")) REVIEW_KEYS[event.key]();
});

showDone();
if (page) {
  showTabs();
  choose(sections().findIndex((each) => "chosen" in each.dataset));
  refreshHands();
  document.addEventListener("htmx:afterSettle", (event) => {
    refreshHands();
    if (event.target.id !== "panels" && !event.target.closest?.("#panels")) return;
    showTabs();
    choose(sections().length - 1);
  });
  if ("mayDecide" in page.dataset) {
    claim();
    setInterval(claim, RENEW_MILLISECONDS);
    addEventListener("pagehide", () => deciding || letGo());
  }
}
