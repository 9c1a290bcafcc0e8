// What a person does: a button asks why, posts to the API, and offers to undo what can be undone.
"use strict";

async function post(url, body) {
  const response = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Relais": "1" },
    body: JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) {
    const error = new Error([answer.Error, ...answer.Details.map((each) => each.Message)].join(": "));
    throw Object.assign(error, { details: answer.Details });
  }
  return answer;
}

// Resolves to the body that the button's route takes, with its reason, or to null when the person leaves it.
function ask({ ask: question, choose, choices, flag, flagWord }, action) {
  const dialog = document.getElementById("ask");
  const form = dialog.querySelector("form");
  const { reason, choice, flag: box } = form.elements;
  document.getElementById("ask-title").textContent = question;
  document.getElementById("ask-do").textContent = action;
  const which = document.getElementById("ask-which");
  which.hidden = choose === undefined;
  which.querySelectorAll("label").forEach((label) => (label.hidden = label.dataset.of !== choose));
  choice.disabled = choose === undefined;
  choice.replaceChildren(...JSON.parse(choices ?? "[]").map(([value, words]) => new Option(words, value)));
  const also = document.getElementById("ask-also");
  also.hidden = flag === undefined;
  also.querySelector("span").textContent = flagWord ?? "";
  form.reset();
  dialog.returnValue = "";
  dialog.showModal();
  reason.focus();
  const body = () => ({
    Reason: reason.value,
    ...(choose === undefined ? {} : { [choose]: choice.value }),
    ...(flag === undefined ? {} : { [flag]: box.checked }),
  });
  return new Promise((resolve) => {
    form.onsubmit = () => (dialog.returnValue = "done");
    dialog.onclose = () => resolve(dialog.returnValue === "done" ? body() : null);
  });
}

async function act(button) {
  const { url, done, undo, meanwhile } = button.dataset;
  const body = await ask(button.dataset, button.textContent);
  if (body === null) return;
  button.disabled = true;
  const shown = meanwhile ? toast(meanwhile, { stays: true }) : null;
  try {
    await post(url, body);
    offerUndo(done, undo ? () => post(undo, { Reason: word.undoReason }) : null);
  } catch (error) {
    toast(error.message, { wrong: true });
  }
  shown?.remove();
  button.disabled = false;
  pollNow();
}

function offerUndo(text, undo) {
  if (!undo) {
    toast(text);
    return;
  }
  const button = document.createElement("button");
  button.textContent = word.undo;
  const shown = toast(text, { button });
  button.addEventListener("click", async () => {
    shown.remove();
    await undo().then(() => toast(word.undone), (error) => toast(error.message, { wrong: true }));
    pollNow();
  });
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
  else if ("takeAll" in data) takeEverything();
  else if ("dismiss" in data) button.closest("dialog").close();
  else if ("copy" in data) copy(button);
  else if ("themeSwitch" in data) switchTheme();
  else if ("help" in data) document.getElementById("help").showModal();
  else if (data.language) {
    remember("relais-language", data.language);
    location.reload();
  }
});
