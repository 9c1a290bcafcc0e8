// Many at once: the rows that are selected, or everything that the filter finds, with progress, a stop and an undo.
"use strict";

const boxes = (selector = "") => [...document.querySelectorAll(`[data-select]${selector}`)];
const PIECE = 100;
let everything = false; // also what is not shown

async function actOnSelected(button) {
  const bar = button.closest(".bulk");
  const chosen = boxes(":checked").map((box) => ({ ...box.dataset }));
  const able = bar.dataset.many ? chosen.filter((data) => canDo(data, button)) : chosen.filter((data) => data[button.dataset.bulk]);
  const amount = everything ? "" : ` (${able.length})`;
  const body = await ask(button.dataset, `${button.textContent}${amount}`);
  if (body === null) return;
  if (bar.dataset.many) {
    const order = { ...body, Action: button.dataset.bulk };
    if (everything) order.Filter = JSON.parse(bar.dataset.everything);
    else order.Ids = able.map((data) => Number(data.one));
    await inPieces(bar.dataset.many, order, button.dataset);
  } else {
    await oneByOne(able, body, button.dataset);
  }
  selectNone();
  pollNow();
}

const canDo = (data, button) => data.can.split(" ").includes(button.dataset.bulk);

// Orders piece after piece until nothing is left, or until the person stops it.
async function inPieces(url, order, { done: text, undo }) {
  const bar = progressBar();
  const changed = [];
  const refused = [];
  let next = null;
  try {
    for (const part of order.Ids ? chunks(order.Ids, 500) : [null]) {
      const piece = part ? { ...order, Ids: part } : order;
      let left = 1;
      for (next = null; left > 0 && !bar.stopped(); ) {
        const answer = await post(url, { ...piece, Limit: PIECE, ...(next ? { Since: next } : {}) });
        changed.push(...answer.Changed);
        refused.push(...answer.Refused);
        ({ Left: left, Next: next } = answer);
        const seen = changed.length + refused.length;
        bar.show(seen, part ? order.Ids.length : seen + left);
      }
    }
  } catch (error) {
    toast(error.message, { wrong: true });
  }
  bar.end();
  if (refused.length) {
    toast(word.refused.replace("%count%", refused.length).replace("%error%", refused[0].Error), { wrong: true });
  }
  const back = undo && (() => inPieces(url, { Action: undo, Ids: changed, Reason: word.undoReason }, {}));
  if (changed.length && text) offerUndo(text, back);
}

const chunks = (all, size) => Array.from({ length: Math.ceil(all.length / size) }, (_, at) => all.slice(at * size, (at + 1) * size));

// Where each row has a route of its own: one after the other, the same permission and the same audit for each.
async function oneByOne(chosen, body, { bulk: name, done: text }) {
  const bar = progressBar();
  const failures = [];
  const through = [];
  for (const [index, data] of chosen.entries()) {
    if (bar.stopped()) break;
    await post(data[name], body).then(() => through.push(data), (error) => failures.push(error.message));
    bar.show(index + 1, chosen.length);
  }
  bar.end();
  if (failures.length) toast(failures[0], { wrong: true });
  const key = `undo${name[0].toUpperCase()}${name.slice(1)}`;
  const back = through.filter((data) => data[key]).map((data) => ({ ...data, undoing: data[key] }));
  const undo = back.length ? () => oneByOne(back, { Reason: word.undoReason }, { bulk: "undoing" }) : null;
  if (through.length && text) offerUndo(text, undo);
}

function progressBar() {
  const [bar, text, button] = ["progress", "span", "button"].map((name) => document.createElement(name));
  let stop = false;
  button.textContent = word.stop;
  button.addEventListener("click", () => (stop = true));
  bar.setAttribute("aria-label", word.progress);
  const shown = toast("", { stays: true });
  shown.append(bar, text, button);
  const format = (count) => new Intl.NumberFormat(language).format(count);
  return {
    stopped: () => stop,
    show: (done, all) => {
      Object.assign(bar, { max: Math.max(all, 1), value: done });
      text.textContent = word.of.replace("%done%", format(done)).replace("%all%", format(all));
    },
    end: () => {
      shown.remove();
      if (stop) toast(text.textContent);
    },
  };
}

function showSelection() {
  const bulk = document.querySelector(".bulk");
  if (!bulk) return;
  const all = boxes();
  const selected = boxes(":checked");
  if (selected.length < all.length) everything = false;
  all.forEach((box) => box.closest("tr").classList.toggle("selected", box.checked));
  bulk.hidden = selected.length === 0;
  const text = bulk.querySelector("[data-selected-text]");
  text.textContent = everything ? text.dataset.everythingText : text.dataset.selectedText.replace("%count%", selected.length);
  const takeAll = bulk.querySelector("[data-take-all]");
  if (takeAll) takeAll.hidden = everything || selected.length < all.length;
  const whole = document.querySelector("[data-select-all]");
  if (whole) Object.assign(whole, { checked: selected.length > 0 && selected.length === all.length });
  for (const button of bulk.querySelectorAll("[data-bulk]")) {
    const able = (box) => (bulk.dataset.many ? canDo(box.dataset, button) : box.dataset[button.dataset.bulk]);
    button.hidden = everything ? !("forEverything" in button.dataset) : !selected.some(able);
  }
}

function takeEverything() {
  everything = true;
  showSelection();
}

function selectNone() {
  everything = false;
  boxes(":checked").forEach((box) => (box.checked = false));
  showSelection();
}

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-select-all]")) boxes().forEach((box) => (box.checked = event.target.checked));
  if (event.target.matches("[data-select], [data-select-all]")) showSelection();
});
document.addEventListener("htmx:afterSettle", showSelection);
