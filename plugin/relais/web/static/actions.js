// What a person does: a button asks why, posts to the API, and offers to undo what can be undone.
"use strict";

async function post(url, reason) {
  const response = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Relais": "1" },
    body: JSON.stringify({ Reason: reason }),
  });
  if (!response.ok) throw new Error((await response.json()).Error);
}

// Resolves to the reason, or to null when the person leaves it.
function ask(title, action) {
  const dialog = document.getElementById("ask");
  const form = dialog.querySelector("form");
  document.getElementById("ask-title").textContent = title;
  document.getElementById("ask-do").textContent = action;
  form.reset();
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    form.onsubmit = () => (dialog.returnValue = "done");
    dialog.onclose = () => resolve(dialog.returnValue === "done" ? form.elements.reason.value : null);
  });
}

async function act(button) {
  const { url, ask: question, done, undo } = button.dataset;
  const reason = await ask(question, button.textContent);
  if (reason === null) return;
  button.disabled = true;
  try {
    await post(url, reason);
    offerUndo(done, undo ? [undo] : []);
  } catch (error) {
    toast(error.message, { wrong: true });
  }
  button.disabled = false;
  pollNow();
}

function offerUndo(text, urls) {
  if (!urls.length) {
    toast(text);
    return;
  }
  const button = document.createElement("button");
  button.textContent = word.undo;
  const shown = toast(text, { button });
  button.addEventListener("click", async () => {
    shown.remove();
    const { failures } = await all(urls, word.undoReason);
    toast(failures[0] ?? word.undone, { wrong: failures.length > 0 });
    pollNow();
  });
}

// One after the other: the same permission and the same audit for each.
async function all(urls, reason, progress = () => {}) {
  const failures = [];
  const through = [];
  for (const [index, url] of urls.entries()) {
    await post(url, reason).then(() => through.push(index), (error) => failures.push(error.message));
    progress(index + 1);
  }
  return { failures, through };
}

const boxes = (selector = "") => [...document.querySelectorAll(`[data-select]${selector}`)];

async function actOnSelected(button) {
  const name = button.dataset.bulk;
  const chosen = boxes(":checked").map((box) => ({ ...box.dataset })).filter((data) => data[name]);
  const reason = await ask(button.dataset.ask, `${button.textContent} (${chosen.length})`);
  if (reason === null) return;
  const shown = toast("", { stays: true });
  const { failures, through } = await all(chosen.map((data) => data[name]), reason, (done) => {
    shown.textContent = word.of.replace("%done%", done).replace("%all%", chosen.length);
  });
  shown.remove();
  if (failures.length) toast(failures[0], { wrong: true });
  const undo = `undo${name[0].toUpperCase()}${name.slice(1)}`;
  if (through.length) offerUndo(button.dataset.done, through.map((index) => chosen[index][undo]).filter(Boolean));
  selectNone();
  pollNow();
}

function showSelection() {
  const bulk = document.querySelector(".bulk");
  if (!bulk) return;
  const selected = boxes(":checked");
  boxes().forEach((box) => box.closest("tr").classList.toggle("selected", box.checked));
  bulk.hidden = selected.length === 0;
  const text = bulk.querySelector("[data-selected-text]");
  text.textContent = text.dataset.selectedText.replace("%count%", selected.length);
  for (const button of bulk.querySelectorAll("[data-bulk]")) {
    button.hidden = !selected.some((box) => box.dataset[button.dataset.bulk]);
  }
}

function selectNone() {
  boxes(":checked").forEach((box) => (box.checked = false));
  showSelection();
}

function remember(cookie, value) {
  document.cookie = `${cookie}=${value}; path=/; max-age=31536000; samesite=strict`;
}

function switchTheme() {
  const dark = getComputedStyle(document.documentElement).colorScheme === "dark"
    || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "light" : "dark";
  remember("relais-theme", document.documentElement.dataset.theme);
}

async function copy(button) {
  await navigator.clipboard.writeText(button.dataset.copy);
  toast(word.copied);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  document.querySelectorAll("details[data-menu][open]").forEach((menu) => menu.contains(event.target) || (menu.open = false));
  if (!button) return;
  const data = button.dataset;
  if (data.url) act(button);
  else if (data.bulk) actOnSelected(button);
  else if ("unselect" in data) selectNone();
  else if ("dismiss" in data) button.closest("dialog").close();
  else if ("copy" in data) copy(button);
  else if ("themeSwitch" in data) switchTheme();
  else if ("help" in data) document.getElementById("help").showModal();
  else if (data.language) {
    remember("relais-language", data.language);
    location.reload();
  }
});
document.addEventListener("change", (event) => event.target.matches("[data-select]") && showSelection());
document.addEventListener("htmx:afterSettle", showSelection);
