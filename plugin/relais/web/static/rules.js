// Rules and versions: moving a rule by dragging or by keys, keeping the place while a form is renewed, refusals in place.
"use strict";

// What a person types is not overwritten by an answer to what they typed before; the builder's boxes say what its rule says.
const unlessPersonal = Idiomorph.defaults.callbacks.beforeAttributeUpdated;
Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, node, kind) => {
  if (name === "value") return node !== document.activeElement;
  return (name === "checked" && node.closest("#builder") !== null) || unlessPersonal(name, node, kind);
};

// A refusal (409) is a fragment that says why; it is shown where the form asked for it to be.
document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr } = event.detail;
  if (xhr.status !== 409) return;
  if ((xhr.getResponseHeader("Content-Type") ?? "").startsWith("text/html")) {
    event.detail.shouldSwap = true;
    event.detail.isError = false;
  }
});

// A condition that was added by a button is what the person wants to fill in.
let asked = null;
document.addEventListener("htmx:beforeRequest", (event) => {
  asked = event.target.matches?.("button[name=Do]") ? event.target.value : asked;
});
document.addEventListener("htmx:afterSettle", () => {
  const [verb, place] = (asked ?? "").split(" ");
  asked = null;
  if (verb === "add-example") [...document.querySelectorAll(".example input")].at(-5)?.focus();
  if (!["add-question", "add-group", "add-reference"].includes(verb)) return;
  const inside = [...document.querySelectorAll(`[name^="${CSS.escape(place)}/"]`)];
  inside.filter((element) => element.matches(".field-of, [list=names-conditions]")).at(-1)?.focus();
});

// Alt and an arrow key move the rule that has the focus; the focus goes with it.
let followed = null;
document.addEventListener("keydown", (event) => {
  const rule = event.target.closest?.("[data-position]");
  const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (!rule || !event.altKey || !step) return;
  event.preventDefault();
  const button = rule.querySelector(`[data-do=${step < 0 ? "up" : "down"}]`);
  if (!button || button.disabled) return;
  followed = Number(rule.dataset.position) + step;
  button.click();
});
document.addEventListener("htmx:afterSettle", () => {
  if (followed === null) return;
  document.querySelector(`[data-position="${followed}"] .open`)?.focus();
  followed = null;
});

// The number of a rule is its handle.
let dragged = null;
document.addEventListener("dragstart", (event) => {
  dragged = event.target.closest?.(".place")?.closest("[data-position]") ?? null;
  if (dragged) event.dataTransfer.setDragImage(dragged, 10, 10);
});
document.addEventListener("dragover", (event) => {
  const over = event.target.closest?.("[data-position]");
  document.querySelectorAll(".rule.over").forEach((each) => each.classList.remove("over"));
  if (!dragged || !over) return;
  event.preventDefault();
  if (over !== dragged) over.classList.add("over");
});
document.addEventListener("drop", (event) => {
  const over = event.target.closest?.("[data-position]");
  const list = over?.closest("[data-reorder]");
  if (!dragged || !list || over === dragged) return;
  event.preventDefault();
  const { reorder, digest } = list.dataset;
  const values = { Do: "move", Position: dragged.dataset.position, To: over.dataset.position, Digest: digest };
  htmx.ajax("POST", reorder, { source: list, target: "#rules", swap: "morph", values });
});
document.addEventListener("dragend", () => {
  dragged = null;
  document.querySelectorAll(".rule.over").forEach((each) => each.classList.remove("over"));
});

document.addEventListener("change", async (event) => {
  const into = event.target.dataset.readInto;
  if (into) document.getElementById(into).value = (await event.target.files[0]?.text()) ?? "";
});
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-reload]")) location.reload();
});
