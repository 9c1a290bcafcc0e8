// The network's editor: live checks, problems at their fields, rows that come and go, and an undo for some seconds.
"use strict";

(() => {
  const KEPT = "relais-edited";
  const editor = () => document.getElementById("editor");

  // Problems count the rows that are there; the names of their fields keep the numbers they were made with.
  function counted(at) {
    const before = new Map();
    for (const { name, value } of document.querySelectorAll("#editor input[name$='~row']")) {
      const list = name.slice(0, -"~row".length);
      const row = `${list}[${value}]`;
      if (at === row || at.startsWith(`${row}.`)) return `${list}[${before.get(list) ?? 0}]${at.slice(row.length)}`;
      before.set(list, (before.get(list) ?? 0) + 1);
    }
    return at;
  }

  // A problem stands at its own field, or at the nearest one around it.
  function place() {
    const slots = new Map([...document.querySelectorAll("#editor [data-problem]")].map((slot) => [counted(slot.dataset.problem), slot]));
    for (const slot of slots.values()) {
      slot.hidden = true;
      slot.textContent = "";
      slot.className = "at";
      inputOf(slot)?.removeAttribute("aria-invalid");
    }
    document.getElementById("f-name")?.removeAttribute("aria-invalid");
    for (const told of document.querySelectorAll("#problems [data-at]")) {
      if (told.dataset.at === "@name") document.getElementById("f-name")?.setAttribute("aria-invalid", "true");
      let at = told.dataset.at;
      while (at && !slots.has(at)) at = at.replace(/(\.[^.[\]]*|\[[^[\]]*\]|^[^.[\]]*)$/, "");
      const slot = slots.get(at);
      if (!slot) continue;
      slot.textContent += `${slot.textContent ? " · " : ""}${told.querySelector("span").textContent}`;
      slot.hidden = false;
      slot.classList.add(told.className);
      if (told.className === "problem") inputOf(slot)?.setAttribute("aria-invalid", "true");
      slot.closest("details")?.setAttribute("open", "");
    }
  }

  const inputOf = (slot) => document.getElementById(slot.id.replace(/-problem$/, ""));

  let due;
  function check(delay) {
    clearTimeout(due);
    due = setTimeout(() => document.getElementById("check") && htmx.trigger("#check", "check"), delay);
  }

  function addRow(button) {
    const holder = button.closest("[data-list]");
    const index = holder.querySelectorAll("[data-row]").length + Date.now() % 1e9;
    const copy = holder.querySelector("template").content.cloneNode(true);
    for (const element of copy.querySelectorAll("*")) {
      for (const attribute of [...element.attributes]) {
        if (attribute.value.includes("#") && attribute.name !== "href") {
          element.setAttribute(attribute.name, attribute.value.replaceAll("_23_", `_${index}_`).replaceAll("#", index));
        } else if (attribute.value.includes("_23_")) {
          element.setAttribute(attribute.name, attribute.value.replaceAll("_23_", `_${index}_`));
        }
      }
    }
    const first = copy.querySelector("input:not([type=hidden]), select, textarea");
    holder.querySelector("template").before(copy);
    first?.focus();
  }

  function offer({ text, url, number, digest, changes, back }) {
    offerUndo(text, async () => {
      await post(url, { Number: Number(number), Digest: digest, Changes: changes });
      location.assign(back);
    });
  }

  function edited() {
    const told = document.querySelector("[data-edited]");
    if (!told) return;
    const data = { ...told.dataset };
    told.remove();
    if (data.address) history.replaceState(null, "", data.address);
    if (data.go) {
      sessionStorage.setItem(KEPT, JSON.stringify(data));
      location.assign(data.go);
    } else if (data.url) offer(data);
    else toast(data.text);
  }

  document.addEventListener("input", (event) => event.target.closest("#part") && check(400));
  document.addEventListener("change", (event) => {
    if (event.target.matches("#part [data-kind]")) {
      htmx.ajax("POST", document.querySelector("[name='@show'][value='form']").getAttribute("hx-post"), {
        source: "#part", target: "#editor", swap: "outerHTML",
      });
    } else if (event.target.closest("#part")) check(150);
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if ("add" in button.dataset) addRow(button);
    else if ("drop" in button.dataset) {
      const add = button.closest("[data-list]").querySelector("[data-add]");
      button.closest("[data-row]").remove();
      add.focus();
      check(0);
    } else if ("leave" in button.dataset) button.closest("#removal").replaceChildren();
  });
  document.addEventListener("htmx:beforeSwap", (event) => event.detail.target.id === "editor" && clearTimeout(due));
  document.addEventListener("htmx:afterSettle", () => {
    place();
    edited();
    document.querySelector("#removal [data-leave]")?.focus();
  });
  place();
  const kept = sessionStorage.getItem(KEPT);
  if (kept) {
    sessionStorage.removeItem(KEPT);
    offer(JSON.parse(kept));
  }
  if (editor()?.querySelector("[autofocus]")) editor().querySelector("[autofocus]").focus();
})();
